//! Hostile servers for the HTTP client: it ends, in time, and takes nothing broken for a success.

#[path = "support/request.rs"]
mod request;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use request::receive;
use seaworthyd::http::{Error, IDEMPOTENCY_KEY, Status, Url, get, post};

/// No step of a test takes longer, on a slow machine or in an emulator.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a hostile peer is given; only how the exchange ends is looked at, not when.
const SHORT: Duration = Duration::from_secs(1);

/// A server that does `act` with its first connection.
fn server(act: impl FnOnce(TcpStream) + Send + 'static) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client");
        act(stream);
    });
    format!("http://{address}/path?query").parse().expect("an address")
}

/// A server that takes a whole request and answers with `bytes`, then closes.
fn answering(bytes: &'static str) -> Url {
    server(move |mut stream| {
        receive(&stream);
        stream.write_all(bytes.as_bytes()).expect("written");
    })
}

/// A server that takes a whole request, writes `first`, and then `again` until the client is gone.
fn endless(first: &'static str, again: &'static str, pause: Duration) -> Url {
    server(move |mut stream| {
        receive(&stream);
        let mut bytes = first;
        while stream.write_all(bytes.as_bytes()).is_ok() {
            bytes = again;
            thread::sleep(pause);
        }
    })
}

fn code(result: Result<Status, Error>) -> u16 {
    match result {
        Ok(Status(code)) | Err(Error::Status { code, .. }) => code,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_delivery_arrives_as_it_was_given() {
    let (sender, received) = mpsc::channel();
    let url = server(move |mut stream| {
        let (head, body) = receive(&stream);
        sender.send(head + &body).expect("a test that waits");
        stream.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok").expect("written");
    });
    let headers = [(IDEMPOTENCY_KEY, "task-7"), ("Content-Type", "application/json")];
    assert_eq!(post(&url, &headers, b"{\"a\":1}", PATIENCE).expect("delivered"), Status(202));
    let request = received.recv_timeout(PATIENCE).expect("a request");
    assert!(request.starts_with("POST /path?query HTTP/1.1\r\nHost: 127.0.0.1:"), "{request}");
    assert!(request.contains("\r\nIdempotency-Key: task-7\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\n{\"a\":1}"), "{request}");
}

#[test]
fn whole_answers_of_every_shape() {
    for (bytes, expected) in [
        ("HTTP/1.1 204 No Content\r\n\r\n", 204),
        ("HTTP/1.0 200 OK\r\n\r\nuntil the end", 200),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
            201,
        ),
        ("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", 302),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone", 404),
        ("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\nmore than it said", 500),
    ] {
        assert_eq!(code(get(&answering(bytes), &[], PATIENCE)), expected, "{bytes}");
    }
    let busy = answering("HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n");
    let Err(Error::Status { code: 503, retry_after }) = get(&busy, &[], PATIENCE) else { panic!("503") };
    assert_eq!(retry_after, Some(Duration::from_secs(7)));
}

#[test]
fn broken_answers_are_no_success() {
    for bytes in [
        "",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        "HTTP/1.1 OK\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "\0\u{1}\u{2}\u{3}",
    ] {
        let error = get(&answering(bytes), &[], PATIENCE).expect_err(bytes);
        assert!(matches!(error, Error::BadAnswer(_)) && error.is_worth_a_retry(), "{error} for {bytes:?}");
    }
}

#[test]
fn endless_answers_end() {
    let now = Duration::ZERO;
    let fields = endless("HTTP/1.1 200 OK\r\n", "X: y\r\n", now);
    let line =
        endless("HTTP/1.1 200 OK\r\nX: ", "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy", now);
    let interim = endless("HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n", now);
    let chunk_line =
        endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0", "0000000000000000", now);
    for url in [fields, line, interim] {
        assert!(matches!(get(&url, &[], PATIENCE), Err(Error::BadAnswer(_))));
    }
    // The head has come, and the status is known; nobody needs the rest.
    assert_eq!(code(get(&chunk_line, &[], PATIENCE)), 200);
    let body = endless("HTTP/1.1 503 Busy\r\n\r\n", "busy ", now);
    assert_eq!(code(get(&body, &[], PATIENCE)), 503);
}

#[test]
fn a_server_that_drips_or_hangs_does_not_outlive_the_deadline() {
    let pause = Duration::from_millis(20);
    let head = endless("H", "T", pause);
    let fields = endless("HTTP/1.1 200 OK\r\n", "X", pause);
    let body = endless("HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", ".", pause);
    let chunks = endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n", pause);
    let deaf = TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent = format!("http://{}/", deaf.local_addr().expect("bound")).parse().expect("an address");
    for url in [fields, body, chunks, silent] {
        let error = get(&url, &[], SHORT).expect_err("no answer");
        assert!(matches!(error, Error::TimedOut { step: "the answer", .. }), "{error}");
        assert!(error.is_worth_a_retry());
    }
    // "HT" goes on with "TTT", which is not HTTP: known before the deadline.
    assert!(matches!(get(&head, &[], PATIENCE), Err(Error::BadAnswer(_))));
    // Nobody takes the request: it is larger than the system's buffers.
    let url = format!("http://{}/", deaf.local_addr().expect("bound")).parse().expect("an address");
    let error = post(&url, &[], &vec![b'x'; 64 << 20], SHORT).expect_err("not taken");
    assert!(matches!(error, Error::TimedOut { step: "sending", .. }), "{error}");
}

#[test]
fn an_answer_before_the_end_of_the_request_counts() {
    let url = server(|mut stream| {
        let mut buffer = vec![0; 1 << 16];
        stream.read_exact(&mut buffer[..1000]).expect("its beginning");
        stream.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n").expect("written");
        while let Ok(1..) = stream.read(&mut buffer) {}
    });
    let error = post(&url, &[], &vec![b'x'; 8 << 20], PATIENCE).expect_err("refused");
    assert!(matches!(error, Error::Status { code: 413, .. }) && !error.is_worth_a_retry(), "{error}");
}

#[test]
fn nobody_there_is_refused_and_no_name_is_unresolved() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url: Url = format!("http://{}/", listener.local_addr().expect("bound")).parse().expect("an address");
    drop(listener);
    let error = get(&url, &[], PATIENCE).expect_err("nobody");
    assert!(matches!(error, Error::Refused { .. }) && error.is_worth_a_retry(), "{error}");
    // RFC 6761: this name never has an address. A machine without a resolver may need the deadline to say so.
    let error =
        get(&"http://nobody.invalid/".parse().expect("an address"), &[], PATIENCE).expect_err("no name");
    assert!(
        matches!(error, Error::Unresolved { .. } | Error::TimedOut { .. }) && error.is_worth_a_retry(),
        "{error}"
    );
}
