//! A collector that answers as it is told, and the messages of OpenTelemetry that judge what it gets.
#![expect(clippy::disallowed_methods, reason = "the tests start the reader that judges")]

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

use crate::request::receive;
use crate::support::PATIENCE;

/// An answer; without one the collector says nothing more, and keeps the connection.
type Scripted = Option<String>;

pub(crate) const TAKEN: &str = "HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n{\"partialSuccess\":{}}";

/// Takes exports at a port of its own.
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    answers: Arc<Mutex<VecDeque<Scripted>>>,
    exports: Receiver<Export>,
}

/// A request as it came, and what the page of metrics said before it was answered.
pub(crate) struct Export {
    pub(crate) head: String,
    pub(crate) body: String,
    pub(crate) page: Option<String>,
}

impl Collector {
    /// Gives `answers`, one each, then takes everything. For each export it looks at the page at `page` too.
    pub(crate) fn start<'a>(
        answers: impl IntoIterator<Item = Option<&'a str>>,
        page: Option<SocketAddr>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let answers = answers.into_iter().map(|answer| answer.map(str::to_owned));
        let answers = Arc::new(Mutex::new(answers.collect::<VecDeque<Scripted>>()));
        let (sender, exports) = mpsc::channel();
        let script = Arc::clone(&answers);
        thread::spawn(move || {
            let mut silent = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.expect("a client");
                let (head, body) = receive(&stream);
                let page = page.map(|page| get(page, "/metrics"));
                let answer =
                    script.lock().expect("whole").pop_front().unwrap_or_else(|| Some(TAKEN.to_owned()));
                // Before the answer: whoever sees its effects finds the export here.
                if sender.send(Export { head, body, page }).is_err() {
                    return;
                }
                match answer {
                    // A daemon that is killed meanwhile does not hear it.
                    Some(text) => _ = stream.write_all(text.as_bytes()),
                    None => silent.push(stream),
                }
            }
        });
        Self { address, answers, exports }
    }

    /// What it answers next.
    pub(crate) fn answer<'a>(&self, answers: impl IntoIterator<Item = Option<&'a str>>) {
        let answers = answers.into_iter().map(|answer| answer.map(str::to_owned));
        self.answers.lock().expect("whole").extend(answers);
    }

    /// The next export, in time.
    pub(crate) fn next(&self) -> Export {
        self.exports.recv_timeout(PATIENCE).expect("an export")
    }

    /// What came and was not looked at.
    pub(crate) fn rest(&self) -> Vec<Export> {
        self.exports.try_iter().collect()
    }
}

/// The body of a page.
pub(crate) fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("read");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.contains(" 200 "), "{head}");
    body.to_owned()
}

impl Export {
    /// What OpenTelemetry's own messages find in it (PyPI package opentelemetry-proto, in the environment of `ci/corpora`).
    pub(crate) fn read(&self) -> Value {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/collector/samples.py");
        let mut child = Command::new(python())
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("python starts");
        let mut input = child.stdin.take().expect("piped");
        let body = self.body.clone();
        let writer = thread::spawn(move || input.write_all(body.as_bytes()));
        let output = child.wait_with_output().expect("it ends");
        let written = writer.join().expect("no panic");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && written.is_ok(), "{stderr}\n{}", self.body);
        serde_json::from_slice(&output.stdout).expect("JSON")
    }
}

fn python() -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = variable("SEAWORTHY_CACHE")
        .or_else(|| variable("XDG_CACHE_HOME").map(|folder| folder.join("seaworthy")))
        .unwrap_or_else(|| variable("HOME").expect("HOME is set").join(".cache/seaworthy"));
    let otlp = cache.join("otlp");
    assert!(
        otlp.join("installed").exists(),
        "no opentelemetry-proto in {}: run ci/setup, or `ci/corpora readers`",
        otlp.display()
    );
    otlp.join("bin/python")
}
