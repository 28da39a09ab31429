//! `run --daemonize` on Linux: a launcher whose exit code is true, and a daemon that is known by its lock.
#![cfg(unix)]

mod support;

use std::path::Path;
use std::process::Output;

use support::{configure, folder, program, socket, stderr, workload};

fn launch(folder: &Path, config: &str) -> Output {
    let config = format!("log.file = {:?}\n{config}", folder.join("log"));
    program()
        .args(["run", "--daemonize", "--config"])
        .arg(configure(folder, &config))
        .output()
        .expect("it runs")
}

fn ask(folder: &Path, word: &str) -> Output {
    program().args([word, "--socket"]).arg(socket(folder)).output().expect("it runs")
}

#[test]
fn the_launcher_leaves_when_the_daemon_is_ready_and_a_second_one_is_refused() {
    let folder = folder();
    let output = launch(folder.path(), &workload("web", "sleep 1000"));
    assert!(output.status.success(), "{}", stderr(&output));
    // At once: the launcher's word is enough.
    let status = ask(folder.path(), "status");
    assert!(String::from_utf8_lossy(&status.stdout).starts_with("seaworthyd running"), "{status:?}");
    let pid = std::fs::read_to_string(folder.path().join("seaworthyd.pid")).expect("a pid file");
    let second = launch(folder.path(), &workload("web", "sleep 1000"));
    assert_eq!(second.status.code(), Some(1));
    let holder = pid.split_whitespace().next().expect("a process number");
    assert!(
        stderr(&second).contains(holder) && stderr(&second).contains("seaworthyd.lock"),
        "{}",
        stderr(&second)
    );
    let stopped = ask(folder.path(), "stop");
    assert_eq!(String::from_utf8_lossy(&stopped.stdout), "seaworthyd is stopped\n");
}

#[test]
fn what_keeps_the_daemon_from_running_is_told_by_the_launcher() {
    let folder = folder();
    let refused = launch(folder.path(), "stop_secs = 1\n");
    assert_eq!(refused.status.code(), Some(3));
    assert!(stderr(&refused).contains("unknown field `stop_secs`"), "{}", stderr(&refused));
    // This only the worker finds, whose own standard error is gone.
    std::fs::create_dir(folder.path().join("log")).expect("a folder in the log's place");
    // Whoever tries again as soon as that is told finds the lock free.
    for _ in 0..30 {
        let refused = launch(folder.path(), "");
        assert_eq!(refused.status.code(), Some(1));
        assert!(stderr(&refused).contains("cannot open log file"), "{}", stderr(&refused));
    }
    let never = "start_seconds = 1\nreadiness = { exec = [\"/bin/false\"] }\n";
    std::fs::remove_dir(folder.path().join("log")).expect("empty");
    let late = launch(folder.path(), &(workload("web", "sleep 1000") + never));
    assert_eq!(late.status.code(), Some(5));
    assert!(stderr(&late).contains("not ready in time: web"), "{}", stderr(&late));
}
