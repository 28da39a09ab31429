//! Deliveries to a real nginx (Debian package nginx-light) that is stopped, answers 503, hangs, and comes back. Its own
//! access log is the truth about what arrived.
#![cfg(unix)]
#![expect(clippy::disallowed_methods, reason = "the tests start the receiver")]

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use seaworthyd::http::{Error, IDEMPOTENCY_KEY, Status, Url, get, post};

/// No step of a test takes longer, on a slow machine or in an emulator.
const PATIENCE: Duration = Duration::from_secs(60);

/// nginx in the foreground as one process; killed when dropped.
struct Nginx {
    child: Child,
    url: Url,
}

impl Nginx {
    /// Takes connections when this returns.
    fn start(folder: &Path, port: u16) -> Self {
        let at = folder.display();
        let config = format!(
            "daemon off; master_process off; pid {at}/pid; error_log {at}/error.log;\n\
             events {{ worker_connections 64; }}\n\
             http {{\n\
               log_format tasks '$status $http_idempotency_key $content_length $http_traceparent';\n\
               access_log {at}/access.log tasks;\n\
               client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/fastcgi;\n\
               uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;\n\
               server {{\n\
                 listen 127.0.0.1:{port};\n\
                 location /ping {{ access_log off; return 204; }}\n\
                 location / {{\n\
                   add_header Retry-After 3 always;\n\
                   if (-f {at}/maintenance) {{ return 503; }}\n\
                   return 200 'taken';\n\
                 }}\n\
               }}\n\
             }}\n"
        );
        let path = folder.join("nginx.conf");
        std::fs::write(&path, config).expect("written");
        let child = Command::new("/usr/sbin/nginx")
            .arg("-c")
            .arg(&path)
            .arg("-p")
            .arg(folder)
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("install the Debian package nginx-light (ci/setup does): {error}")
            });
        let mut nginx = Self { child, url: url(port, "/tasks") };
        let deadline = Instant::now() + PATIENCE;
        while get(&url(port, "/ping"), &[], PATIENCE).is_err() {
            let ended = nginx.child.try_wait().expect("a child");
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "nginx does not answer ({ended:?}): see above"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        nginx
    }

    fn deliver(&self, key: &str, body: &[u8], deadline: Duration) -> Result<Status, Error> {
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        post(&self.url, &[(IDEMPOTENCY_KEY, key), ("traceparent", trace)], body, deadline)
    }

    fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.child), signal).expect("nginx runs");
    }

    /// Ends after what it does, so that its log has every answer.
    fn stop(mut self) {
        self.signal(Signal::QUIT);
        self.child.wait().expect("it ends");
    }

    /// Stands still when this returns.
    fn freeze(&self) {
        self.signal(Signal::STOP);
        let pid = Pid::from_child(&self.child);
        rustix::process::waitid(WaitId::Pid(pid), WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT)
            .expect("a child");
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn url(port: u16, path: &str) -> Url {
    format!("http://127.0.0.1:{port}{path}").parse().expect("an address")
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

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
