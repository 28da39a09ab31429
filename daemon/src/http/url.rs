//! The addresses that the client takes: `http://host[:port][/path][?query]` (RFC 3986, RFC 9110 section 4.2.1).

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use serde::Deserialize;

/// A longer one is a mistake. Bytes.
const LONGEST: usize = 2048;

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Url {
    /// A name or an address; one of IPv6 without its brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// The value of the `Host` field.
    pub(super) authority: String,
    /// Path and query, as the request line has them.
    pub(super) target: String,
}

/// Why a text is not an address that the client takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlError {
    text: String,
    why: &'static str,
}

impl fmt::Display for UrlError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?} is not an address to send to: {}", self.text, self.why)
    }
}

impl std::error::Error for UrlError {}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        parse(text).map_err(|why| UrlError { text: text.chars().take(200).collect(), why })
    }
}

impl TryFrom<String> for Url {
    type Error = UrlError;

    fn try_from(text: String) -> Result<Self, UrlError> {
        text.parse()
    }
}

impl fmt::Display for Url {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "http://{}{}", self.authority, self.target)
    }
}

fn parse(text: &str) -> Result<Url, &'static str> {
    if text.len() > LONGEST {
        return Err("it is longer than 2048 bytes");
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("only visible ASCII characters are allowed; write others as %XX");
    }
    let (scheme, rest) = text.split_once("://").ok_or("it must begin with http://")?;
    if scheme.eq_ignore_ascii_case("https") {
        return Err("https is not spoken here; send to a local proxy that speaks TLS outwards");
    }
    if !scheme.eq_ignore_ascii_case("http") {
        return Err("it must begin with http://");
    }
    // A fragment is for whoever reads the answer; it is not sent.
    let rest = rest.split('#').next().unwrap_or(rest);
    let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if authority.contains('@') {
        return Err("a user name or password does not belong into it; use a header");
    }
    let (host, port) = split_port(authority)?;
    let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
    Ok(Url { host: host.to_owned(), port, authority: authority.to_owned(), target })
}

fn split_port(authority: &str) -> Result<(&str, u16), &'static str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or("the bracket of its IPv6 address is not closed")?;
            if host.parse::<Ipv6Addr>().is_err() {
                return Err("what is in the brackets is not an IPv6 address");
            }
            let port = match port.strip_prefix(':') {
                Some(port) => Some(port),
                None if port.is_empty() => None,
                None => return Err("only a port may follow the bracket"),
            };
            (host, port)
        }
        None => {
            let (host, port) =
                authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            if host.is_empty() || host.len() > 253 || !host.bytes().all(is_plain) {
                return Err("its host must be 1 to 253 letters, digits, '-', '.' or '_'");
            }
            (host, port)
        }
    };
    let is_number = |port: &&str| port.bytes().all(|byte| byte.is_ascii_digit());
    match port {
        None => Ok((host, 80)),
        Some(port) => match Some(port).filter(is_number).and_then(|port| port.parse().ok()) {
            None | Some(0) => Err("its port must be 1 to 65535"),
            Some(port) => Ok((host, port)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        for (text, host, port, authority, target) in [
            ("http://collector", "collector", 80, "collector", "/"),
            ("HTTP://c.example:8080/a/b?c=d#e", "c.example", 8080, "c.example:8080", "/a/b?c=d"),
            ("http://[::1]:9000?x", "::1", 9000, "[::1]:9000", "/?x"),
            ("http://[fe80::1]/", "fe80::1", 80, "[fe80::1]", "/"),
            ("http://127.0.0.1:1/:@", "127.0.0.1", 1, "127.0.0.1:1", "/:@"),
        ] {
            let url: Url = text.parse().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!((url.host.as_str(), url.port), (host, port), "{text}");
            assert_eq!((url.authority.as_str(), url.target.as_str()), (authority, target), "{text}");
            assert_eq!(url.to_string().parse::<Url>().as_ref(), Ok(&url));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, expected) in [
            ("collector", "begin with http://"),
            ("ftp://x", "begin with http://"),
            ("https://x", "a local proxy"),
            ("http://", "its host"),
            ("http:///x", "its host"),
            ("http://a:b@c/", "a user name or password"),
            ("http://a b/", "visible ASCII"),
            ("http://a/\r\nX: y", "visible ASCII"),
            ("http://a:0/", "its port"),
            ("http://a:65536/", "its port"),
            ("http://a:/", "its port"),
            ("http://a:+1/", "its port"),
            ("http://[::1/", "is not closed"),
            ("http://[x]/", "not an IPv6"),
            ("http://[::1]x/", "may follow the bracket"),
            ("http://ä/", "visible ASCII"),
        ] {
            let error = text.parse::<Url>().expect_err(text).to_string();
            assert!(error.contains(expected), "{error} for {text:?}");
        }
        assert!(format!("http://a/{}", "x".repeat(3000)).parse::<Url>().is_err());
    }
}
