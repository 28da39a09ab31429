//! Hostile clients for the HTTP server: it answers the others, and in time.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use seaworthyd::http::{Error, Limits, Page, Route, Routes, Server, Status, get, post};

/// No step of a test takes longer, on a slow machine or in an emulator.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a hostile client is given; only how the exchange ends is looked at, not when.
const SHORT: Duration = Duration::from_millis(400);

/// What the tests' server has answered.
type Answers = Receiver<(Route, u16)>;

/// A server with a page of `page_bytes`.
fn start(page_bytes: usize, limits: Limits) -> (Server, Answers) {
    let (sender, answers) = mpsc::channel();
    let sender = Mutex::new(sender);
    let page: Arc<str> = "m".repeat(page_bytes).into();
    let routes = Routes {
        metrics: Box::new(move |_| Page {
            content_type: "text/plain; version=0.0.4",
            text: Arc::clone(&page),
        }),
        live: Box::new(|| Ok("alive".to_owned())),
        ready: Box::new(|| Err("web is not ready".to_owned())),
        observe: Box::new(move |route, code| {
            let _ = sender.lock().expect("no panic").send((route, code));
        }),
    };
    let server =
        Server::start("127.0.0.1:0".parse().expect("an address"), routes, limits).expect("a free port");
    (server, answers)
}

/// Sends `bytes`, and reads until the server closes.
fn exchange(address: SocketAddr, bytes: &str) -> String {
    let mut stream = connect(address);
    stream.write_all(bytes.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    String::from_utf8(answer).expect("text")
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

fn code(result: Result<Status, Error>) -> u16 {
    match result {
        Ok(Status(code)) | Err(Error::Status { code, .. }) => code,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn what_is_asked_for_is_answered() {
    let (server, answers) = start(3, Limits::default());
    for (request, first, last, answer) in [
        ("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK", "mmm", (Route::Metrics, 200)),
        ("HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK", "", (Route::Metrics, 200)),
        ("GET /health/live?x HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK", "alive\n", (Route::Live, 200)),
        ("GET /health/ready HTTP/1.0\r\n\r\n", "HTTP/1.1 503 S", "web is not ready\n", (Route::Ready, 503)),
        ("GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 404 N", "/health/ready\n", (Route::Other, 404)),
        ("DELETE /metrics HTTP/1.0\r\n\r\n", "HTTP/1.1 405 M", "answered\n", (Route::Metrics, 405)),
        ("GET /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 400 B", "Host field\n", (Route::Other, 400)),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n", "HTTP/1.1 400 B", "HTTP\n", (Route::Other, 400)),
        ("\r\n\r\nSELECT * FROM x;\r\n\r\n", "HTTP/1.1 400 B", "\n", (Route::Other, 400)),
    ] {
        let text = exchange(server.address(), request);
        assert!(text.starts_with(first) && text.ends_with(last), "{text} for {request:?}");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        if !request.starts_with("HEAD") {
            assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())), "{head}");
        }
        assert!(head.contains("\r\nConnection: close"), "{head}");
        assert_eq!(answers.recv_timeout(PATIENCE), Ok(answer));
    }
    // Our own client and our own server.
    let url = |path: &str| format!("http://{}{path}", server.address()).parse().expect("an address");
    assert_eq!(code(get(&url("/health/live"), &[], PATIENCE)), 200);
    assert_eq!(code(get(&url("/health/ready"), &[], PATIENCE)), 503);
    assert_eq!(code(post(&url("/metrics"), &[], b"x", PATIENCE)), 405);
}

#[test]
fn a_head_without_end_is_cut() {
    let (server, _answers) = start(3, Limits::default());
    for again in ["X: y\r\n", "yyyyyyyyyyyyyyyyyyyyyyyyy"] {
        let mut stream = connect(server.address());
        stream.write_all(b"GET /metrics HTTP/1.1\r\nX: ").expect("sent");
        // Until the server has had enough.
        while stream.write_all(again.as_bytes()).is_ok() {}
    }
    let mut long = "GET /metrics HTTP/1.1\r\nHost: a\r\nX: ".to_owned();
    long.extend(std::iter::repeat_n('y', 9000));
    assert!(exchange(server.address(), &long).starts_with("HTTP/1.1 431 "));
}

/// Slow clients, many times the places there are, and one honest among them at every moment.
#[test]
fn slow_clients_do_not_keep_others_out() {
    let (server, _answers) =
        start(3, Limits { deadline: PATIENCE, grace: Duration::from_millis(100), ..Limits::default() });
    let mut slow = Vec::new();
    for _ in 0..5 {
        for _ in 0..8 {
            let mut stream = connect(server.address());
            stream.write_all(b"GET /metrics HTTP/1.1\r\nX: ").expect("sent");
            slow.push(stream);
        }
        let answer = exchange(server.address(), "GET /metrics HTTP/1.0\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    }
    // The first of them have lost their connections; no answer came on them.
    let mut rest = Vec::new();
    let _ = slow[0].read_to_end(&mut rest);
    assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
}

#[test]
fn a_slow_client_ends_at_its_deadline() {
    let (server, answers) = start(3, Limits { deadline: SHORT, ..Limits::default() });
    let mut stream = connect(server.address());
    // A byte now and then would move any deadline that is counted from the last one.
    let mut writer = stream.try_clone().expect("a second handle");
    let dripping = thread::spawn(move || {
        while writer.write_all(b"G").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    });
    assert_eq!(answers.recv_timeout(PATIENCE), Ok((Route::Other, 408)));
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    dripping.join().expect("its connection was closed");
}

#[test]
fn a_client_that_does_not_read_holds_up_nobody() {
    // Larger than what the system buffers.
    let (server, answers) = start(64 << 20, Limits { deadline: PATIENCE, ..Limits::default() });
    let mut deaf = Vec::new();
    for _ in 0..12 {
        let mut stream = connect(server.address());
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").expect("sent");
        deaf.push(stream);
    }
    assert_eq!(answers.recv_timeout(PATIENCE), Ok((Route::Metrics, 200)));
    let answer = exchange(server.address(), "GET /health/live HTTP/1.0\r\n\r\n");
    assert!(answer.ends_with("alive\n"), "{answer}");
    // Ends at once, though conversations are under way.
    drop(server);
}

#[test]
fn many_honest_clients_at_a_time_are_all_answered() {
    let (server, _answers) =
        start(30_000, Limits { deadline: PATIENCE, grace: PATIENCE, ..Limits::default() });
    let address = server.address();
    let clients: Vec<_> =
        (0..100).map(|_| thread::spawn(move || exchange(address, "GET /metrics HTTP/1.0\r\n\r\n"))).collect();
    for client in clients {
        let answer = client.join().expect("answered");
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("mm"), "{}", answer.len());
    }
}

#[test]
fn a_port_in_use_is_named_and_a_dropped_server_frees_it() {
    let (server, _answers) = start(3, Limits::default());
    let address = server.address();
    let routes = || Routes {
        metrics: Box::new(|_| "x".into()),
        live: Box::new(|| Ok(String::new())),
        ready: Box::new(|| Ok(String::new())),
        observe: Box::new(|_, _| {}),
    };
    let error = Server::start(address, routes(), Limits::default()).expect_err("in use").to_string();
    assert!(
        error.contains(&address.to_string()) && error.contains("another program listens there"),
        "{error}"
    );
    drop(server);
    let again = Server::start(address, routes(), Limits::default()).expect("free again");
    assert!(exchange(again.address(), "GET /metrics HTTP/1.0\r\n\r\n").ends_with("\r\n\r\nx"));
}
