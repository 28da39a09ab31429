//! The one place that starts programs: bounded output, a deadline, and nothing left running behind it.
#![expect(clippy::disallowed_methods, reason = "this is the crate's one command module")]

use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::{Error, ErrorKind, Runner};

/// How much of each stream is kept.
const KEPT: u64 = 64 * 1024;

/// What a program did and said.
#[derive(Debug)]
pub(crate) struct Spoken {
    /// How it ended; `None` where it had to be killed.
    pub(crate) status: Option<ExitStatus>,
    /// Standard output, lossily decoded.
    pub(crate) output: String,
    /// Standard error, likewise.
    pub(crate) complaints: String,
}

impl Spoken {
    pub(crate) fn ended_well(&self, timeout: Duration) -> Result<(), String> {
        let Some(status) = self.status else {
            return Err(format!("it was still running after {} s", timeout.as_secs()));
        };
        match (status.code(), status.signal()) {
            (Some(0), _) => Ok(()),
            (Some(code), _) => Err(format!("it ended with exit code {code}")),
            (None, Some(signal)) => Err(format!("it was killed by signal {signal}")),
            (None, None) => Err("it ended in an unknown way".to_owned()),
        }
    }
}

/// Runs `program` with `args` in `runner`, in a process group of its own, for `timeout` at most.
pub(crate) fn run(
    runner: &Runner,
    program: &Path,
    args: &[String],
    timeout: Duration,
) -> Result<Spoken, Error> {
    let container = format!("seaworthy-smoke-{}-{}", std::process::id(), container_number());
    let words = runner.words(program, args, &container);
    let mut child = Command::new(&words[0])
        .args(&words[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|error| {
            Error::new(ErrorKind::Runner, format!("cannot start `{}`", words.join(" "))).with_source(error)
        })?;
    let output = collect(child.stdout.take());
    let complaints = collect(child.stderr.take());
    let status = wait(&mut child, timeout);
    if status.is_none()
        && let Runner::Container { engine, .. } = runner
    {
        // The engine's client is dead by now; its container is not.
        let _ = Command::new(engine.program()).args(["rm", "--force", &container]).output();
    }
    let text = |stream: Option<thread::JoinHandle<Vec<u8>>>| {
        let bytes = stream.and_then(|stream| stream.join().ok()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    Ok(Spoken { status, output: text(output), complaints: text(complaints) })
}

/// Wine's major version: `wine-10.0 (Debian …)`.
pub(crate) fn version_of(wine: &Path) -> Option<u32> {
    let output = Command::new(wine).arg("--version").stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.trim().strip_prefix("wine-")?.split('.').next()?.parse().ok()
}

fn container_number() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Waits for the end, and at the deadline ends the whole group.
fn wait(child: &mut Child, timeout: Duration) -> Option<ExitStatus> {
    let group = Pid::from_child(child);
    let (ended, deadline) = mpsc::channel::<()>();
    // A waiting thread needs the child by value, so the one that watches the clock is the helper.
    thread::scope(|scope| {
        let watch = scope.spawn(move || {
            let late = deadline.recv_timeout(timeout) == Err(mpsc::RecvTimeoutError::Timeout);
            if late {
                let _ = kill_process_group(group, Signal::KILL);
            }
            late
        });
        let status = child.wait().ok();
        drop(ended);
        let late = watch.join().unwrap_or(true);
        // Whatever it left in its group would keep the output open.
        let _ = kill_process_group(group, Signal::KILL);
        status.filter(|_| !late)
    })
}

fn collect(stream: Option<impl Read + Send + 'static>) -> Option<thread::JoinHandle<Vec<u8>>> {
    let mut stream = stream?;
    Some(thread::spawn(move || {
        let mut kept = Vec::new();
        let _ = (&mut stream).take(KEPT).read_to_end(&mut kept);
        // Read on to the end, so that a talkative program is not stopped by a full pipe.
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
        kept
    }))
}
