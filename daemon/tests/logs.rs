//! The log of `seaworthyd run` on Linux: in the journal, into a pipe that nobody reads, and against its schema.
#![cfg(unix)]
#![expect(clippy::disallowed_methods, reason = "the tests start the program under test")]

#[path = "support/journal.rs"]
mod journal;
mod support;

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal};
use serde_json::Value;
use support::wait_until;

/// A process that ends with the test.
struct Running(Child);

impl Running {
    /// Asks it to stop; its exit code.
    fn stop(&mut self) -> Option<i32> {
        rustix::process::kill_process(Pid::from_child(&self.0), Signal::TERM).expect("it runs");
        let mut code = None;
        wait_until("it ends", || {
            code = self.0.try_wait().expect("its state");
            code.is_some()
        });
        code.expect("it has ended").code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A configuration with one workload, a script that creates `done` in the folder as its last step.
fn config(folder: &Path, script: &str) -> std::path::PathBuf {
    let path = folder.join("seaworthyd.toml");
    let done = folder.join("done").display().to_string();
    // The shell itself says that it is done: a `touch` that has not quite ended when the daemon stops would be told.
    let text = format!(
        "control.path = {:?}\n[[workloads]]\nname = \"web\"\nrestart = \"never\"\ncommand = \"/bin/sh\"\n\
         args = [\"-c\", '''{script}; : > {done}; exec sleep 1000''']\n",
        folder.join("control.sock")
    );
    std::fs::write(&path, text).expect("written");
    path
}

/// More than any pipe and the queue before it hold.
const FLOOD: &str = "i=0; while [ $i -lt 9000 ]; do echo $i 0123456789012345678901234567890123456789 0123456789; \
    i=$((i+1)); done";

#[test]
fn a_reader_of_standard_error_that_sleeps_or_leaves_stops_nobody() {
    for leaves in [false, true] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let child = Command::new(env!("CARGO_BIN_EXE_seaworthyd"))
            .args(["run", "--config"])
            .arg(config(folder.path(), FLOOD))
            .stderr(Stdio::piped())
            .spawn();
        let mut daemon = Running(child.expect("the daemon starts"));
        let mut stderr = daemon.0.stderr.take();
        if leaves {
            stderr = None;
        }
        wait_until("the workload has printed all", || folder.path().join("done").exists());
        assert_eq!(daemon.stop(), Some(0));
        let Some(mut stderr) = stderr else { continue };
        let mut bytes = Vec::new();
        stderr.read_to_end(&mut bytes).expect("the pipe");
        let text = String::from_utf8(bytes).expect("UTF-8");
        let lines: Vec<_> = text.split_inclusive('\n').filter(|line| line.ends_with('\n')).collect();
        assert!(lines.len() > 50, "{} lines", lines.len());
        for line in lines {
            serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }
}

#[test]
fn every_record_of_a_run_follows_the_published_schema() {
    let text = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/schema/log-record.json"));
    let schema: Value = serde_json::from_slice(&text.expect("the schema")).expect("JSON");
    let validator = jsonschema::draft202012::new(&schema).expect("a schema");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("log");
    let config = config(folder.path(), r"printf 'a\033\377\n'");
    let text = std::fs::read_to_string(&config).expect("the configuration");
    std::fs::write(&config, format!("log.file = {:?}\n{text}", path.display().to_string())).expect("written");
    let child = Command::new(env!("CARGO_BIN_EXE_seaworthyd")).args(["run", "--config"]).arg(&config).spawn();
    let mut daemon = Running(child.expect("the daemon starts"));
    wait_until("the workload has printed", || folder.path().join("done").exists());
    assert_eq!(daemon.stop(), Some(0));
    let text = std::fs::read_to_string(&path).expect("the log");
    let mut events = Vec::new();
    for line in text.lines() {
        let record: Value = serde_json::from_str(line).expect("JSON");
        let errors: Vec<_> = validator.iter_errors(&record).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?} in {line}");
        events.push(record["event"].as_str().expect("a name").to_owned());
    }
    for event in ["starting", "ready", "workload-started", "workload-output", "workload-exited", "stopped"] {
        assert!(events.iter().any(|found| found == event), "{event} is not in {events:?}");
    }
}

/// systemd-cat connects a program's output to the journal; `JOURNAL_STREAM` is set as systemd sets it for a unit
/// (systemd.exec(5)): device and inode of that stream.
#[test]
fn under_systemd_records_reach_the_journal_once_and_with_their_fields() {
    let mut journal = journal::Journal::start();
    for (stream, transport) in [("$(stat -L -c %d:%i /proc/self/fd/2)", "journal"), ("1:2", "stdout")] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let script = format!("export JOURNAL_STREAM={stream}; exec \"$@\"");
        let child = Command::new("nsenter")
            .arg(format!("--mount=/proc/{}/ns/mnt", journal.process()))
            .args(["systemd-cat", "/bin/sh", "-c", &script, "sh", env!("CARGO_BIN_EXE_seaworthyd")])
            .args(["run", "--config"])
            .arg(config(folder.path(), "echo hello"))
            .spawn();
        let mut daemon = Running(child.expect("nsenter of the package util-linux"));
        wait_until("the workload has printed", || folder.path().join("done").exists());
        let sender = worker_of(daemon.0.id());
        assert_eq!(daemon.stop(), Some(0));
        let process = format!("_PID={sender}");
        let mut expected = vec![
            "starting",
            "privileges-applied",
            "workload-started",
            "ready",
            "workload-output",
            "stopping",
            "workload-stop-asked",
            "workload-exited",
            "workload-stopped",
            "stopped",
        ];
        let mut entries = Vec::new();
        wait_until("the last record is in the journal", || {
            entries = journal.entries(&process, 1);
            entries.iter().any(|entry| event_of(entry) == "stopped")
        });
        let mut events: Vec<_> = entries.iter().map(event_of).collect();
        events.sort_unstable();
        if !support::runner().is_empty() {
            // What the emulator lacks is told.
            expected.push("subreaper-missing");
        }
        expected.sort_unstable();
        assert_eq!(events, expected, "each once: {entries:#?}");
        assert!(entries.iter().all(|entry| entry["_TRANSPORT"] == transport), "{entries:#?}");
        if transport == "journal" {
            assert!(entries.iter().all(|entry| entry["SYSLOG_IDENTIFIER"] == "seaworthyd"));
            let output = entries.iter().find(|entry| entry["SEAWORTHYD_EVENT"] == "workload-output");
            let output = output.expect("what the workload printed");
            assert_eq!(
                (&output["MESSAGE"], &output["SEAWORTHYD_WORKLOAD"]),
                (&"hello".into(), &"web".into())
            );
        } else {
            // A stream that is not the journal's: someone inherited the variable.
            let message = entries[0]["MESSAGE"].as_str().expect("text");
            assert_eq!(serde_json::from_str::<Value>(message).expect("JSON")["event"], "starting");
        }
    }
}

/// By its field, or by the record that standard error had.
fn event_of(entry: &Value) -> String {
    let field = entry["SEAWORTHYD_EVENT"].as_str().map(str::to_owned);
    field.unwrap_or_else(|| {
        let record: Value = serde_json::from_str(entry["MESSAGE"].as_str().expect("text")).expect("JSON");
        record["event"].as_str().expect("a name").to_owned()
    })
}

/// The process that the guardian runs.
fn worker_of(guardian: u32) -> u32 {
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_its = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let parent = stat.rsplit(')').next().unwrap_or_default().split_whitespace().nth(1).map(str::to_owned);
        parent == Some(guardian.to_string())
    };
    pids.find(is_its).expect("a worker")
}
