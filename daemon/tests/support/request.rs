//! What a server of the tests reads.
#![allow(unreachable_pub, reason = "each test program takes it in")]

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;

/// Reads a request: its head, and its body.
pub fn receive(stream: &TcpStream) -> (String, String) {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let before = head.len();
        reader.read_line(&mut head).expect("a line");
        let line = head[before..].trim_end();
        if let Some(value) = line.strip_prefix("Content-Length: ") {
            length = value.parse().expect("a number");
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("the body");
    (head, String::from_utf8(body).expect("UTF-8"))
}
