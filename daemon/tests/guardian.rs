//! The guardian and its worker on Linux: crashes, hangs, and the death of the guardian itself.
#![cfg(unix)]

mod support;

use std::os::unix::net::UnixDatagram;
use std::process::Command;

use rustix::process::{Pid, Signal};
use serde_json::Value;
use support::{Daemon, PATIENCE, configure, folder, program, workload};

const CALM: &str = "trap 'exit 0' TERM; while :; do sleep 1000 & wait; done";

fn number(record: &Value) -> i64 {
    record["fields"]["pid"].as_i64().expect("a process number")
}

#[test]
fn a_killed_worker_is_started_again_and_its_workloads_with_it() {
    let folder = folder();
    let mut daemon = Daemon::run(&workload("web", CALM), folder.path());
    let first = number(&daemon.wait_for("starting"));
    let web = number(&daemon.wait_for("workload-started"));
    daemon.wait_for("ready");
    support::kill(first);
    let crash = daemon.wait_for("worker-crashed");
    assert!(crash["message"].as_str().expect("text").contains("signal: 9"), "{crash}");
    assert_ne!(number(&daemon.wait_for("starting")), first);
    assert_ne!(number(&daemon.wait_for("workload-started")), web);
    support::assert_ended(i32::try_from(web).expect("a process number"));
    daemon.wait_for("ready");
    assert_eq!(daemon.stop().1, Some(0));
}

#[test]
fn a_worker_that_hangs_is_killed_and_started_again() {
    let folder = folder();
    let socket = UnixDatagram::bind(folder.path().join("notify")).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut command: Command = program();
    command.arg("run").arg("--config").arg(configure(folder.path(), ""));
    command
        .env("NOTIFY_SOCKET", folder.path().join("notify"))
        .env("WATCHDOG_USEC", "400000")
        .env_remove("WATCHDOG_PID");
    let mut daemon = Daemon::spawn(command);
    let worker = i32::try_from(number(&daemon.wait_for("starting"))).expect("a process number");
    daemon.wait_for("ready");
    rustix::process::kill_process(Pid::from_raw(worker).expect("not zero"), Signal::STOP).expect("it runs");
    let crash = daemon.wait_for("worker-crashed");
    assert!(crash["message"].as_str().expect("text").contains("no sign of life"), "{crash}");
    daemon.wait_for("ready");
    assert_eq!(daemon.stop().1, Some(0));
}

#[test]
fn a_worker_without_its_guardian_stops_everything() {
    let folder = folder();
    let mut daemon = Daemon::run(&workload("web", CALM), folder.path());
    daemon.wait_for("ready");
    daemon.signal(Signal::KILL);
    daemon.wait_for("stopping");
    assert_eq!(daemon.wait_for("stopped")["fields"]["workloads_left"], 0);
    assert_eq!(daemon.next(), None, "the worker has ended");
}

#[test]
fn a_stop_between_two_crashes_is_obeyed() {
    let folder = folder();
    let mut daemon = Daemon::run("", folder.path());
    for _ in 0..6 {
        support::kill(number(&daemon.wait_for("starting")));
    }
    // Whatever the guardian is at now, a pause or a new worker.
    let (_, code) = daemon.stop();
    assert_eq!(code, Some(0));
}
