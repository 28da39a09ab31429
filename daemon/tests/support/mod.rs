//! What the tests of the running daemon share.
#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]
#![expect(clippy::disallowed_methods, reason = "the tests start the program under test")]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use serde_json::Value;

/// No step of a test takes longer, on a slow machine or in an emulator.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The daemon while it runs; killed if the test ends early.
pub struct Daemon {
    pub child: Child,
    lines: std::io::Lines<BufReader<ChildStderr>>,
}

impl Daemon {
    pub fn run(config: &str, folder: &Path) -> Self {
        let mut command = program();
        command.arg("run").arg("--config").arg(configure(folder, config));
        Self::spawn(command)
    }

    pub fn spawn(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the daemon starts");
        let lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        Self { child, lines }
    }

    /// The next record of `event`.
    pub fn wait_for(&mut self, event: &str) -> Value {
        loop {
            let record = self.next().unwrap_or_else(|| panic!("the log ended before {event}"));
            if record["event"] == event {
                return record;
            }
        }
    }

    /// The next line of its standard error, whatever that is.
    pub fn line(&mut self) -> Option<String> {
        self.lines.next().map(|line| line.expect("UTF-8"))
    }

    pub fn next(&mut self) -> Option<Value> {
        let mut line = self.line()?;
        // An emulator tells that its program crashed, in the same place.
        while line.starts_with("qemu: uncaught target signal ") && !runner().is_empty() {
            line = self.line()?;
        }
        Some(serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}")))
    }

    pub fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.child), signal).expect("the daemon runs");
    }

    /// Stops it; the records until its end, and its exit code.
    pub fn stop(mut self) -> (Vec<Value>, Option<i32>) {
        self.signal(Signal::TERM);
        let records = std::iter::from_fn(|| self.next()).collect();
        (records, self.child.wait().expect("it ends").code())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The emulator that cargo was told to run this build's programs with; empty if none.
pub fn runner() -> String {
    let target = format!("{}_UNKNOWN_LINUX_MUSL", std::env::consts::ARCH.to_uppercase());
    std::env::var(format!("CARGO_TARGET_{target}_RUNNER")).unwrap_or_default()
}

/// The program, in that emulator.
pub fn program() -> Command {
    let runner = runner();
    let mut words = runner.split_whitespace().chain([env!("CARGO_BIN_EXE_seaworthyd")]);
    let mut command = Command::new(words.next().expect("at least the program"));
    command.args(words);
    command
}

pub fn write(folder: &Path, config: &str) -> PathBuf {
    let path = folder.join("seaworthyd.toml");
    std::fs::write(&path, config).expect("written");
    path
}

/// The same with a control socket of its own.
pub fn configure(folder: &Path, config: &str) -> PathBuf {
    write(folder, &format!("control.path = {:?}\n{config}", socket(folder)))
}

/// Where a daemon that was configured so listens.
pub fn socket(folder: &Path) -> PathBuf {
    folder.join("control.sock")
}

/// What a command answers: standard output or the error, and the exit code.
pub fn ask(folder: &Path, words: &str) -> (String, i32) {
    ask_with(folder, words, b"")
}

/// The same, given `input`.
pub fn ask_with(folder: &Path, words: &str, input: &[u8]) -> (String, i32) {
    let mut command = program();
    command.args(words.split_whitespace()).arg("--socket").arg(socket(folder));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    // A command that is refused early does not read it.
    let _ = child.stdin.take().expect("piped").write_all(input);
    let output = child.wait_with_output().expect("it ends");
    let text = if output.status.success() { &output.stdout } else { &output.stderr };
    (String::from_utf8_lossy(text).into_owned(), output.status.code().expect("it ends by itself"))
}

pub fn workload(name: &str, script: &str) -> String {
    format!("[[workloads]]\nname = \"{name}\"\ncommand = \"/bin/sh\"\nargs = [\"-c\", '''{script}''']\n")
}

pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Ends a process without asking it.
pub fn kill(process: i64) {
    let process = Pid::from_raw(i32::try_from(process).expect("a process number")).expect("not zero");
    rustix::process::kill_process(process, Signal::KILL).expect("it runs");
}

/// A command that runs the words given to it as another user, without this one's groups.
pub fn as_nobody() -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    command
}

/// Asks again and again, on a slow machine or in an emulator for longer than any step takes.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + 2 * PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A zombie has ended too: its new parent may take seconds to reap it.
pub fn assert_ended(process: i32) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        let state = stat.rsplit(')').next().unwrap_or_default().trim_start();
        if stat.is_empty() || state.starts_with(['Z', 'X']) {
            return;
        }
        assert!(Instant::now() < deadline, "process {process} still runs: {stat}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
