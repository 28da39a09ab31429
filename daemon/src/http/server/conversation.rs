//! One request and its answer, within the deadline.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::{Limits, Page, Route, Routes};
use crate::http::head::{self, Method, RequestHead};

const PLAIN: &str = "text/plain; charset=utf-8";
/// What a client may still send after its answer before the connection is cut. Bytes.
const MOST_LEFTOVERS: usize = 64 * 1024;
/// How long it has for that.
const LINGER: Duration = Duration::from_secs(1);

/// Answers the client of `stream`, sets `answering` once its request has come, and closes the connection.
pub(super) fn run(mut stream: TcpStream, routes: &Routes, limits: Limits, answering: &AtomicBool) {
    let begun = Instant::now();
    let ends = begun + limits.deadline;
    // What is left is for telling a client that it was too slow.
    let request = receive(&mut stream, limits.head_bytes, begun + limits.deadline * 4 / 5);
    let Ok(request) = request else { return };
    answering.store(true, Ordering::Release);
    let (route, answer) = match request {
        Ok(request) => answer(&request, routes),
        Err(problem) => (Route::Other, Answer::plain(problem.status, problem.text)),
    };
    (routes.observe)(route, answer.status);
    if send(&mut stream, answer.bytes().as_bytes(), ends).is_ok() {
        linger(&mut stream, ends.min(Instant::now() + LINGER));
    }
}

/// Why there is no request to answer.
struct Problem {
    status: u16,
    text: &'static str,
}

/// An outer error when there is nobody left to answer.
fn receive(stream: &mut TcpStream, most: usize, ends: Instant) -> io::Result<Result<RequestHead, Problem>> {
    let mut received = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        match head::request(&received) {
            Ok(Some(request)) => return Ok(Ok(request)),
            Ok(None) if received.len() > most => {
                return Ok(Err(Problem { status: 431, text: "the request's head is too long" }));
            }
            Ok(None) => {}
            Err(text) => return Ok(Err(Problem { status: 400, text })),
        }
        match read(stream, &mut buffer, ends) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => received.extend_from_slice(&buffer[..count]),
            Err(error) if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) => {
                return Ok(Err(Problem { status: 408, text: "the request did not come in time" }));
            }
            Err(error) => return Err(error),
        }
    }
}

struct Answer {
    status: u16,
    page: Page,
    head_only: bool,
}

impl Answer {
    fn plain(status: u16, text: &str) -> Self {
        let page = Page { content_type: PLAIN, text: format!("{text}\n").into() };
        Self { status, page, head_only: false }
    }

    fn bytes(&self) -> String {
        let reason = match self.status {
            200 => "OK",
            400 => "Bad Request",
            404 => "Not Found",
            405 => "Method Not Allowed",
            408 => "Request Timeout",
            431 => "Request Header Fields Too Large",
            _ => "Service Unavailable",
        };
        let allow = if self.status == 405 { "Allow: GET, HEAD\r\n" } else { "" };
        format!(
            "HTTP/1.1 {} {reason}\r\nContent-Type: {}\r\nContent-Length: {}\r\n{allow}Cache-Control: no-store\r\n\
             X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n{}",
            self.status,
            self.page.content_type,
            self.page.text.len(),
            if self.head_only { "" } else { &self.page.text },
        )
    }
}

fn answer(request: &RequestHead, routes: &Routes) -> (Route, Answer) {
    let route = match request.path.as_str() {
        "/metrics" => Route::Metrics,
        "/health/live" => Route::Live,
        "/health/ready" => Route::Ready,
        _ => Route::Other,
    };
    if request.method == Method::Other {
        return (route, Answer::plain(405, "only GET and HEAD are answered"));
    }
    let health = |health: super::Health| match health {
        Ok(text) => Answer::plain(200, &text),
        Err(reason) => Answer::plain(503, &reason),
    };
    let mut answer = match route {
        Route::Metrics => Answer { status: 200, page: (routes.metrics)(&request.accept), head_only: false },
        Route::Live => health((routes.live)()),
        Route::Ready => health((routes.ready)()),
        Route::Other => Answer::plain(404, "there is /metrics, /health/live and /health/ready"),
    };
    answer.head_only = request.method == Method::Head;
    (route, answer)
}

fn send(stream: &mut TcpStream, mut bytes: &[u8], ends: Instant) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.set_write_timeout(Some(remaining(ends)?))?;
        match stream.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A connection that is closed while unread bytes wait is reset, and the client may lose its answer: let it finish.
fn linger(stream: &mut TcpStream, ends: Instant) {
    let mut buffer = [0; 1024];
    let mut left = MOST_LEFTOVERS;
    if stream.shutdown(Shutdown::Write).is_err() {
        return;
    }
    while let Ok(1..) = read(stream, &mut buffer, ends) {
        left = left.saturating_sub(buffer.len());
        if left == 0 {
            return;
        }
    }
}

fn read(stream: &mut TcpStream, buffer: &mut [u8], ends: Instant) -> io::Result<usize> {
    loop {
        stream.set_read_timeout(Some(remaining(ends)?))?;
        match stream.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn remaining(ends: Instant) -> io::Result<Duration> {
    let left = ends.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

impl From<&str> for Page {
    fn from(text: &str) -> Self {
        Self { content_type: PLAIN, text: Arc::from(text) }
    }
}
