//! The heads of requests and answers (RFC 9112), out of bytes that nobody vouches for.

use std::time::Duration;

use super::body::Body;

/// More fields are a mistake or an attack.
const MOST_FIELDS: usize = 64;

/// How the end of an answer's body is found (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

/// The head of an answer.
#[derive(Debug)]
pub(super) struct ResponseHead {
    /// 100 to 999.
    pub(super) status: u16,
    /// Its bytes, up to the body.
    pub(super) length: usize,
    pub(super) framing: Framing,
    pub(super) retry_after: Option<Duration>,
}

/// What a request wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RequestHead {
    pub(super) method: Method,
    /// Without its query.
    pub(super) path: String,
    /// All `Accept` fields in one, as a list; empty without one.
    pub(super) accept: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Head,
    Other,
}

/// `None` while bytes are missing.
pub(super) fn response(bytes: &[u8]) -> Result<Option<ResponseHead>, &'static str> {
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut head = httparse::Response::new(&mut fields);
    let length = match head.parse(bytes).map_err(|error| describe(&error))? {
        httparse::Status::Complete(length) => length,
        httparse::Status::Partial => return Ok(None),
    };
    let status = head.code.filter(|code| (100..1000).contains(code)).ok_or("its status is not 100 to 999")?;
    let retry_after = values(head.headers, "retry-after").next().and_then(number).map(Duration::from_secs);
    Ok(Some(ResponseHead { status, length, framing: framing(status, head.headers)?, retry_after }))
}

fn framing(status: u16, fields: &[httparse::Header<'_>]) -> Result<Framing, &'static str> {
    if status < 200 || matches!(status, 204 | 304) {
        return Ok(Framing::Length(0));
    }
    let mut codings = values(fields, "transfer-encoding");
    let mut lengths = values(fields, "content-length");
    match (codings.next(), lengths.next()) {
        // Two ends for one body: whatever is between them and us may have chosen the other one.
        (Some(_), Some(_)) => Err("it has both a length and a transfer coding"),
        (Some(coding), None) => {
            let only_chunked = coding.eq_ignore_ascii_case(b"chunked") && codings.next().is_none();
            if only_chunked { Ok(Framing::Chunked) } else { Err("its transfer coding is not 'chunked'") }
        }
        (None, Some(length)) => {
            if lengths.any(|other| other != length) {
                return Err("it has two lengths");
            }
            number(length).map(Framing::Length).ok_or("its length is not a number")
        }
        (None, None) => Ok(Framing::UntilClose),
    }
}

/// `None` while bytes are missing.
pub(super) fn request(bytes: &[u8]) -> Result<Option<RequestHead>, &'static str> {
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut head = httparse::Request::new(&mut fields);
    if head.parse(bytes).map_err(|error| describe(&error))?.is_partial() {
        return Ok(None);
    }
    let hosts = values(head.headers, "host").count();
    if hosts > 1 || (hosts == 0 && head.version == Some(1)) {
        return Err("it must have one Host field");
    }
    let method = match head.method {
        Some("GET") => Method::Get,
        Some("HEAD") => Method::Head,
        _ => Method::Other,
    };
    let accepts: Vec<_> = values(head.headers, "accept").map(String::from_utf8_lossy).collect();
    Ok(Some(RequestHead {
        method,
        path: path(head.path.unwrap_or_default()).to_owned(),
        accept: accepts.join(","),
    }))
}

/// The path in a request's target, which a proxy's client writes with scheme and host before it.
fn path(target: &str) -> &str {
    let target = match target.split_once("://") {
        Some((scheme, rest)) if scheme.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
            rest.find('/').map_or("/", |slash| &rest[slash..])
        }
        _ => target,
    };
    target.split('?').next().unwrap_or(target)
}

fn values<'a>(fields: &'a [httparse::Header<'_>], name: &str) -> impl Iterator<Item = &'a [u8]> {
    fields
        .iter()
        .filter(move |field| field.name.eq_ignore_ascii_case(name))
        .map(|field| field.value.trim_ascii())
}

/// Digits only: no sign, no list.
fn number(value: &[u8]) -> Option<u64> {
    let digits =
        std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok()
}

fn describe(error: &httparse::Error) -> &'static str {
    match error {
        httparse::Error::HeaderName => "a field's name has a character that none may have",
        httparse::Error::HeaderValue => "a field's value has a character that none may have",
        httparse::Error::NewLine => "a line does not end as lines do",
        httparse::Error::Status => "its status is not a number",
        httparse::Error::Token => "its first line is not one of HTTP",
        httparse::Error::TooManyHeaders => "it has more than 64 fields",
        httparse::Error::Version => "its version is not HTTP/1.0 or HTTP/1.1",
    }
}

/// Reads an answer, as the client does; for fuzzing. Whether its head was whole and the rest well formed.
///
/// # Panics
/// Where the body's end or content depends on the pieces that it comes in.
pub fn read_response_head(bytes: &[u8]) -> bool {
    let Ok(Some(head)) = response(bytes) else { return false };
    let rest = &bytes[head.length..];
    let body = || Body::new(head.framing, usize::MAX);
    let (mut whole, mut dripped) = (body(), body());
    let at_once = whole.take(rest).map(|()| whole.is_done());
    let in_drops = rest.chunks(1).try_for_each(|byte| dripped.take(byte)).map(|()| dripped.is_done());
    assert_eq!(at_once, in_drops, "{head:?}");
    assert_eq!(whole.into_content(), dripped.into_content(), "{head:?}");
    at_once.is_ok()
}

/// Reads the head of a request, as the server does; for fuzzing. Whether it was whole and well formed.
pub fn read_request_head(bytes: &[u8]) -> bool {
    matches!(request(bytes), Ok(Some(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing_of(fields: &str) -> Result<Framing, &'static str> {
        let text = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
        response(text.as_bytes()).map(|head| head.expect("whole").framing)
    }

    #[test]
    fn an_answer_has_one_end() {
        assert_eq!(framing_of(""), Ok(Framing::UntilClose));
        assert_eq!(framing_of("Content-Length: 12\r\n"), Ok(Framing::Length(12)));
        assert_eq!(framing_of("content-length:7\r\nContent-Length: 7\r\n"), Ok(Framing::Length(7)));
        assert_eq!(framing_of("Transfer-Encoding: Chunked\r\n"), Ok(Framing::Chunked));
        for ambiguous in [
            "Content-Length: 1\r\nContent-Length: 2\r\n",
            "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            "Content-Length: +1\r\n",
            "Content-Length: -1\r\n",
            "Content-Length: 1, 1\r\n",
            "Content-Length: \r\n",
            "Content-Length: 99999999999999999999999\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        ] {
            assert!(framing_of(ambiguous).is_err(), "{ambiguous:?}");
        }
        let head =
            response(b"HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n").expect("good").expect("whole");
        assert_eq!(head.framing, Framing::Length(0));
    }

    #[test]
    fn an_answer_may_say_when_to_come_back() {
        let text = b"HTTP/1.1 503 Busy\r\nRetry-After: 120\r\n\r\n";
        let head = response(text).expect("good").expect("whole");
        assert_eq!((head.status, head.length), (503, text.len()));
        assert_eq!(head.retry_after, Some(Duration::from_secs(120)));
        let date = b"HTTP/1.1 503 Busy\r\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n\r\n";
        assert_eq!(response(date).expect("good").expect("whole").retry_after, None);
    }

    #[test]
    fn every_cut_of_a_head_is_incomplete() {
        let text = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n";
        for end in 0..text.len() {
            assert!(matches!(response(&text[..end]), Ok(None)), "{end}");
        }
        for wrong in
            [&b"SSH-2.0-OpenSSH\r\n"[..], b"HTTP/2 200\r\n\r\n", b"HTTP/1.1 99999 x\r\n\r\n", b"\0\0\0\0"]
        {
            assert!(response(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn requests_are_read() {
        let read = |text: &str| request(text.as_bytes()).map(|head| head.expect("whole"));
        let head =
            read("GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\nAccept: b\r\naccept: c\r\n\r\n").expect("good");
        assert_eq!(head.method, Method::Get);
        assert_eq!((head.path.as_str(), head.accept.as_str()), ("/metrics", "b,c"));
        assert_eq!(read("HEAD http://h:1/a HTTP/1.0\r\n\r\n").expect("good").path, "/a");
        assert_eq!(read("GET http://h HTTP/1.0\r\n\r\n").expect("good").path, "/");
        assert_eq!(read("POST / HTTP/1.0\r\n\r\n").expect("good").method, Method::Other);
        for wrong in [
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "GET / HTTP/3.0\r\n\r\n",
        ] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
        assert!(!read_request_head(b"GET / HT"));
    }
}
