//! Where syslog messages go, as the configuration writes it.

#[cfg(unix)]
use std::path::PathBuf;

use serde::Deserialize;

/// A receiver of syslog messages.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum Address {
    /// A datagram socket in the file system, such as `/dev/log`.
    #[cfg(unix)]
    Datagram(PathBuf),
    /// `host:port`.
    Udp(String),
    /// `host:port`.
    Tcp(String),
}

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if let Some(receiver) = text.strip_prefix("udp://") {
            return receiver_of(receiver).map(Self::Udp);
        }
        if let Some(receiver) = text.strip_prefix("tcp://") {
            return receiver_of(receiver).map(Self::Tcp);
        }
        #[cfg(unix)]
        if text.starts_with('/') && !text.contains('\0') {
            return Ok(Self::Datagram(text.into()));
        }
        let path = if cfg!(unix) { "the absolute path of a socket, " } else { "" };
        Err(format!("syslog must be {path}udp://HOST:PORT or tcp://HOST:PORT, not {text:?}"))
    }
}

/// The name is looked up when a message is sent.
fn receiver_of(receiver: &str) -> Result<String, String> {
    let (host, port) = receiver.rsplit_once(':').ok_or("syslog must name HOST:PORT, the port is missing")?;
    let in_brackets = host.starts_with('[') && host.ends_with(']');
    if host.is_empty() || host.contains(['/', '@']) || (host.contains(':') && !in_brackets) {
        return Err(format!(
            "syslog must name HOST:PORT, {host:?} is no host (an IPv6 address needs brackets)"
        ));
    }
    match port.parse::<u16>() {
        Ok(1..) => Ok(receiver.to_owned()),
        _ => Err(format!("syslog must name HOST:PORT, {port:?} is no port (1 to 65535)")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Address, String> {
        text.to_owned().try_into()
    }

    #[test]
    fn addresses_are_understood() {
        assert_eq!(read("udp://[::1]:514"), Ok(Address::Udp("[::1]:514".to_owned())));
        assert_eq!(read("tcp://logs.example:601"), Ok(Address::Tcp("logs.example:601".to_owned())));
        #[cfg(unix)]
        assert_eq!(read("/dev/log"), Ok(Address::Datagram("/dev/log".into())));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, expected) in [
            ("", "udp://HOST:PORT"),
            ("dev/log", "udp://HOST:PORT"),
            ("tls://a:1", "udp://HOST:PORT"),
            ("udp://host", "the port is missing"),
            ("udp://host:", "\"\" is no port"),
            ("udp://host:0", "\"0\" is no port"),
            ("tcp://host:65536", "\"65536\" is no port"),
            ("tcp://:1", "\"\" is no host"),
            ("tcp://::1:514", "needs brackets"),
            ("tcp://user@host:514", "is no host"),
        ] {
            let message = read(text).expect_err(text);
            assert!(
                message.starts_with("syslog must") && message.contains(expected),
                "{message:?} for {text:?}"
            );
        }
    }
}
