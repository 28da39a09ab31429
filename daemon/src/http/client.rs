//! One request, one answer, within one deadline.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::body::Body;
use super::error::Error;
use super::head::{self, ResponseHead};
use super::resolve::resolve;
use super::url::Url;

/// The field whose value is the same for every try of one delivery, so that its receiver can tell a repetition (IETF
/// draft-ietf-httpapi-idempotency-key-header).
pub const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// A longer head is a mistake or an attack. Bytes, also for all interim answers together.
const LONGEST_HEAD: usize = 16 * 1024;
/// What is read of a body; the rest of a longer one is not waited for, since only the status matters.
const LONGEST_BODY: usize = 64 * 1024;

/// The status code of an answer, 200 to 299.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub u16);

/// An answer with a status of 200 to 299.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status code.
    pub status: Status,
    /// Its body, or the first 64 KiB of a longer one.
    pub body: Vec<u8>,
}

/// Sends `body` to `url`. The whole exchange, with the lookup of the host's name, takes no longer than `deadline`,
/// whatever the server does.
///
/// # Errors
/// Whatever is not an answer with a status of 200 to 299 whose body has come as announced;
/// [`Error::is_worth_a_retry`] tells what may succeed later.
pub fn post(url: &Url, headers: &[(&str, &str)], body: &[u8], deadline: Duration) -> Result<Status, Error> {
    Exchange::new(deadline).run("POST", url, headers, Some(body), 0).map(|answer| answer.status)
}

/// As [`post`], for who reads what comes back.
///
/// # Errors
/// As [`post`].
pub fn post_and_read(
    url: &Url,
    headers: &[(&str, &str)],
    body: &[u8],
    deadline: Duration,
) -> Result<Answer, Error> {
    Exchange::new(deadline).run("POST", url, headers, Some(body), LONGEST_BODY)
}

/// Asks for `url`, as a probe does; otherwise as [`post`].
///
/// # Errors
/// As [`post`].
pub fn get(url: &Url, headers: &[(&str, &str)], deadline: Duration) -> Result<Status, Error> {
    Exchange::new(deadline).run("GET", url, headers, None, 0).map(|answer| answer.status)
}

/// The time that an exchange has.
struct Exchange {
    limit: Duration,
    ends: Instant,
}

impl Exchange {
    fn new(limit: Duration) -> Self {
        let now = Instant::now();
        // A century is as good as for ever.
        let ends = now.checked_add(limit).unwrap_or_else(|| now + Duration::from_secs(100 * 365 * 86_400));
        Self { limit, ends }
    }

    /// Of the answer's body `most` bytes are kept.
    fn run(
        &self,
        method: &str,
        url: &Url,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
        most: usize,
    ) -> Result<Answer, Error> {
        let head = request_head(method, url, headers, body.map(<[u8]>::len))?;
        let mut stream = self.connect(url)?;
        let sent = self
            .send(&mut stream, head.as_bytes())
            .and_then(|()| self.send(&mut stream, body.unwrap_or_default()));
        match sent {
            Ok(()) => {}
            Err(timeout @ Error::TimedOut { .. }) => return Err(timeout),
            // A server may refuse before it has read everything, and close: its answer is the better reason.
            Err(broken) => {
                return self.receive(&mut stream, most).map_err(|error| match error {
                    Error::Status { .. } => error,
                    _ => broken,
                });
            }
        }
        self.receive(&mut stream, most)
    }

    fn connect(&self, url: &Url) -> Result<TcpStream, Error> {
        let step = "the lookup of the host";
        let addresses = resolve(&url.host, url.port, self.remaining(step)?).map_err(|cause| {
            if cause.kind() == io::ErrorKind::TimedOut {
                self.timed_out(step)
            } else {
                Error::Unresolved { host: url.host.clone(), cause }
            }
        })?;
        let step = "connecting";
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for (index, address) in addresses.iter().enumerate() {
            // An address that does not answer leaves time for the others.
            let share = self.remaining(step)? / u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
            match TcpStream::connect_timeout(address, share.max(Duration::from_millis(1))) {
                Ok(stream) => {
                    // A failure costs only a moment.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        if is_timeout(&last) {
            return Err(self.timed_out(step));
        }
        Err(Error::Refused { authority: url.authority.clone(), cause: last })
    }

    fn send(&self, stream: &mut TcpStream, mut bytes: &[u8]) -> Result<(), Error> {
        let step = "sending";
        while !bytes.is_empty() {
            stream.set_write_timeout(Some(self.remaining(step)?)).map_err(Error::Broken)?;
            match stream.write(bytes) {
                Ok(0) => return Err(Error::Broken(io::ErrorKind::WriteZero.into())),
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) => return Err(self.timed_out(step)),
                Err(error) => return Err(Error::Broken(error)),
            }
        }
        Ok(())
    }

    fn receive(&self, stream: &mut TcpStream, most: usize) -> Result<Answer, Error> {
        let (head, rest) = self.receive_head(stream)?;
        let body = self.receive_body(stream, Body::new(head.framing, most), &rest)?;
        if (200..300).contains(&head.status) {
            return Ok(Answer { status: Status(head.status), body: body.into_content() });
        }
        Err(Error::Status { code: head.status, retry_after: head.retry_after })
    }

    /// The final head, and what came after it.
    fn receive_head(&self, stream: &mut TcpStream) -> Result<(ResponseHead, Vec<u8>), Error> {
        let (mut received, mut interim) = (Vec::new(), 0);
        let mut buffer = [0; 2048];
        loop {
            while let Some(head) = head::response(&received).map_err(Error::BadAnswer)? {
                let rest = received.split_off(head.length);
                match head.status {
                    101 => return Err(Error::BadAnswer("it changes the protocol unasked")),
                    // Interim answers ("early hints") come before the one that counts.
                    100..200 => interim += head.length,
                    _ => return Ok((head, rest)),
                }
                received = rest;
            }
            if received.len() + interim > LONGEST_HEAD {
                return Err(Error::BadAnswer("its head is longer than 16 KiB"));
            }
            match self.read(stream, &mut buffer)? {
                0 => return Err(Error::BadAnswer("the connection was closed before its head was whole")),
                count => received.extend_from_slice(&buffer[..count]),
            }
        }
    }

    fn receive_body(&self, stream: &mut TcpStream, mut body: Body, rest: &[u8]) -> Result<Body, Error> {
        body.take(rest).map_err(Error::BadAnswer)?;
        let mut total = rest.len();
        let mut buffer = [0; 2048];
        while !body.is_done() && total < LONGEST_BODY {
            let count = self.read(stream, &mut buffer)?;
            if count == 0 {
                let short = Error::BadAnswer("the connection was closed before its body was whole");
                return if body.may_end_here() { Ok(body) } else { Err(short) };
            }
            body.take(&buffer[..count]).map_err(Error::BadAnswer)?;
            total += count;
        }
        Ok(body)
    }

    fn read(&self, stream: &mut TcpStream, buffer: &mut [u8]) -> Result<usize, Error> {
        let step = "the answer";
        loop {
            stream.set_read_timeout(Some(self.remaining(step)?)).map_err(Error::Broken)?;
            match stream.read(buffer) {
                Ok(count) => return Ok(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) => return Err(self.timed_out(step)),
                Err(error) => return Err(Error::Broken(error)),
            }
        }
    }

    fn remaining(&self, step: &'static str) -> Result<Duration, Error> {
        let left = self.ends.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(self.timed_out(step)) } else { Ok(left) }
    }

    fn timed_out(&self, step: &'static str) -> Error {
        Error::TimedOut { step, limit: self.limit }
    }
}

/// Linux says that it would block, Windows that it timed out.
fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}

fn request_head(
    method: &str,
    url: &Url,
    headers: &[(&str, &str)],
    length: Option<usize>,
) -> Result<String, Error> {
    let mut head = format!(
        "{method} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: seaworthyd\r\nConnection: close\r\n",
        url.target, url.authority
    );
    if let Some(length) = length {
        let _ = write!(head, "Content-Length: {length}\r\n");
    }
    for (name, value) in headers {
        check_header(name, value).map_err(Error::Request)?;
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head.push_str("\r\n");
    Ok(head)
}

/// Whether the client sends such a header; if not, why.
///
/// # Errors
/// It is none, or one that the client writes itself.
pub fn check_header(name: &str, value: &str) -> Result<(), &'static str> {
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err("a header's name has a character that none may have");
    }
    if ["host", "content-length", "transfer-encoding", "connection"]
        .iter()
        .any(|ours| name.eq_ignore_ascii_case(ours))
    {
        return Err("a header's name is one that the client writes itself");
    }
    // A line break in a value would begin a header of somebody's choice.
    if !value.bytes().all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f)) {
        return Err("a header's value has a control character");
    }
    Ok(())
}

/// RFC 9110, section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_cannot_begin_another() {
        let url: Url = "http://h:1/p?q".parse().expect("an address");
        let head = request_head("POST", &url, &[(IDEMPOTENCY_KEY, "k 1")], Some(3)).expect("good");
        let expected = "POST /p?q HTTP/1.1\r\nHost: h:1\r\nUser-Agent: seaworthyd\r\nConnection: close\r\n\
                        Content-Length: 3\r\nIdempotency-Key: k 1\r\n\r\n";
        assert_eq!(head, expected);
        for field in [
            ("A\r\nB", "c"),
            ("A", "b\r\nC: d"),
            ("A", "b\nC: d"),
            ("", "b"),
            ("A b", "c"),
            ("host", "x"),
            ("A", "\0"),
        ] {
            let error = request_head("GET", &url, &[field], None).expect_err("refused");
            assert!(matches!(error, Error::Request(_)) && !error.is_worth_a_retry(), "{field:?}");
        }
    }
}
