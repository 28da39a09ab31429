//! A real nginx (Debian package nginx-light) as a collector; its own access log is the truth about what arrived.
#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]
#![expect(clippy::disallowed_methods, reason = "the tests start the receiver")]

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use seaworthyd::http::{Error, IDEMPOTENCY_KEY, Status, Url, get, post};

/// No step of a test takes longer, on a slow machine or in an emulator.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// nginx in the foreground as one process; killed when dropped.
pub struct Nginx {
    child: Child,
    url: Url,
}

impl Nginx {
    /// Takes connections when this returns.
    pub fn start(folder: &Path, port: u16) -> Self {
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

    pub fn deliver(&self, key: &str, body: &[u8], deadline: Duration) -> Result<Status, Error> {
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        post(&self.url, &[(IDEMPOTENCY_KEY, key), ("traceparent", trace)], body, deadline)
    }

    pub fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.child), signal).expect("nginx runs");
    }

    /// Ends after what it does, so that its log has every answer.
    pub fn stop(mut self) {
        self.signal(Signal::QUIT);
        self.child.wait().expect("it ends");
    }

    /// Stands still when this returns.
    pub fn freeze(&self) {
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

pub fn url(port: u16, path: &str) -> Url {
    format!("http://127.0.0.1:{port}{path}").parse().expect("an address")
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}
