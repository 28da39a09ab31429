//! Deliveries to a real nginx (Debian package nginx-light) that is stopped, answers 503, hangs, and comes back. Its own
//! access log is the truth about what arrived.
#![cfg(unix)]

mod nginx;

use std::time::{Duration, Instant};

use nginx::{Nginx, PATIENCE, free_port, url};
use rustix::process::Signal;
use seaworthyd::http::{Error, IDEMPOTENCY_KEY, Status, post};

/// As a queue does it: again and again while that is worth it.
fn deliver_until_taken(nginx: &Nginx, key: &str, body: &[u8]) -> Status {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match nginx.deliver(key, body, Duration::from_secs(5)) {
            Ok(status) => return status,
            Err(error) => assert!(error.is_worth_a_retry() && Instant::now() < deadline, "{error}"),
        }
    }
}

#[test]
fn a_task_is_delivered_past_every_failure_of_its_receiver() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let port = free_port();
    let nginx = Nginx::start(folder.path(), port);
    assert_eq!(nginx.deliver("first", b"{}", PATIENCE).expect("delivered"), Status(200));

    let maintenance = folder.path().join("maintenance");
    std::fs::write(&maintenance, "").expect("written");
    let busy = nginx.deliver("busy", b"12345", PATIENCE).expect_err("503");
    let Error::Status { code, retry_after } = busy else { panic!("{busy}") };
    assert_eq!((code, retry_after), (503, Some(Duration::from_secs(3))));
    std::fs::remove_file(&maintenance).expect("removed");
    assert_eq!(deliver_until_taken(&nginx, "busy", b"12345"), Status(200));

    // The system still takes connections for it; nobody answers.
    nginx.freeze();
    let hung = nginx.deliver("hung", b"", Duration::from_secs(1)).expect_err("no answer");
    assert!(matches!(hung, Error::TimedOut { step: "the answer", .. }), "{hung}");
    nginx.signal(Signal::CONT);
    assert_eq!(deliver_until_taken(&nginx, "hung", b""), Status(200));

    nginx.stop();
    let stopped =
        post(&url(port, "/tasks"), &[(IDEMPOTENCY_KEY, "gone")], b"x", PATIENCE).expect_err("nobody");
    assert!(matches!(stopped, Error::Refused { .. }) && stopped.is_worth_a_retry(), "{stopped}");
    let nginx = Nginx::start(folder.path(), port);
    assert_eq!(deliver_until_taken(&nginx, "gone", b"x"), Status(200));
    // More than nginx takes: a task that will never be delivered.
    let large = nginx.deliver("large", &vec![b'x'; 2 << 20], PATIENCE).expect_err("413");
    assert!(!large.is_worth_a_retry() && matches!(large, Error::Status { code: 413, .. }), "{large}");
    nginx.stop();

    let log = std::fs::read_to_string(folder.path().join("access.log")).expect("the access log");
    // What hung was taken by the system before nginx looked: it may come twice, under one key.
    // Of what was too large nginx writes only when it has taken the rest, and it may have ended before.
    let mut lines: Vec<&str> = log.lines().filter(|line| !line.starts_with('4')).collect();
    lines.dedup();
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let expected = [
        format!("200 first 2 {trace}"),
        format!("503 busy 5 {trace}"),
        format!("200 busy 5 {trace}"),
        format!("200 hung 0 {trace}"),
        format!("200 gone 1 {trace}"),
    ];
    assert_eq!(lines, expected);
}
