//! `seaworthyd run` as a child process on Linux: what it logs, restarts, stops and tells systemd.
#![cfg(unix)]

mod support;

use std::os::unix::net::UnixDatagram;

use rustix::process::Signal;
use serde_json::Value;

use support::{Daemon, PATIENCE, assert_ended, configure, folder, program, stderr, workload, write};

#[test]
fn each_line_is_an_object_and_a_stop_is_graceful() {
    for signal in [Signal::TERM, Signal::INT] {
        let folder = folder();
        let mut daemon = Daemon::run("heartbeat_seconds = 1\n", folder.path());
        let mut records = vec![daemon.wait_for("ready"), daemon.wait_for("heartbeat")];
        daemon.signal(signal);
        records.extend(std::iter::from_fn(|| daemon.next()));
        assert_eq!(daemon.child.wait().expect("it ends").code(), Some(0));
        assert_eq!(records.last().expect("records")["event"], "stopped");
        for record in &records {
            let time = record["time"].as_str().expect("time");
            assert!(time.len() == 24 && time.ends_with('Z') && time.as_bytes()[19] == b'.', "{time}");
            assert_eq!(record["level"], "info");
            assert_eq!(record["service"], "seaworthyd");
            assert!(
                record["event_id"].is_u64() && record["message"].is_string() && record["fields"].is_object()
            );
        }
    }
}

#[test]
fn a_crashing_workload_restarts_at_once_and_then_backs_off() {
    let folder = folder();
    let mut daemon = Daemon::run(&workload("crash", "exit 7"), folder.path());
    let exit = daemon.wait_for("workload-exited");
    assert_eq!((&exit["workload"], &exit["fields"]["exit_code"]), (&"crash".into(), &7.into()));
    let pauses: Vec<_> = (0..4)
        .map(|_| daemon.wait_for("workload-restart")["fields"]["pause_ms"].as_u64().expect("a number"))
        .collect();
    assert_eq!(pauses[0], 0);
    assert!(pauses[1] > 0 && pauses.is_sorted(), "{pauses:?}");
    assert_eq!(daemon.stop().1, Some(0));
}

#[test]
fn restart_is_only_as_wanted() {
    let folder = folder();
    let never = workload("never", "exit 1") + "restart = \"never\"\n";
    let clean = workload("clean", "exit 0") + "restart = \"on-failure\"\n";
    let mut daemon = Daemon::run(
        &(never + &clean + "[[workloads]]\nname = \"missing\"\ncommand = \"/no/such\"\n"),
        folder.path(),
    );
    let mut starts = vec![daemon.wait_for("workload-started")["workload"].clone()];
    // The missing program's third failure comes after time enough for the others to return.
    let mut failures = 0;
    while failures < 3 {
        let record = daemon.next().expect("a record");
        match record["event"].as_str() {
            Some("workload-started") => starts.push(record["workload"].clone()),
            Some("workload-start-failed") => failures += 1,
            _ => {}
        }
    }
    assert_eq!(starts, ["never", "clean"]);
    assert_eq!(daemon.stop().1, Some(0));
}

#[test]
fn a_deaf_workload_and_its_children_are_ended() {
    let folder = folder();
    let script = "trap '' TERM; sleep 1000 & echo child=$!; while :; do wait; done";
    let mut daemon = Daemon::run(&format!("stop_seconds = 1\n{}", workload("deaf", script)), folder.path());
    let output = daemon.wait_for("workload-output");
    let child = output["message"].as_str().expect("text");
    let child: i32 = child.trim_start_matches("child=").parse().expect("a process number");
    let (records, code) = daemon.stop();
    assert_eq!(code, Some(0));
    assert!(records.iter().any(|record| record["event"] == "workload-killed"), "{records:?}");
    assert_ended(child);
}

#[test]
fn what_a_crashed_workload_leaves_behind_is_ended() {
    let folder = folder();
    let script = "sleep 1000 & echo $!; sleep 0.2; kill -9 $$";
    let mut daemon = Daemon::run(&(workload("leaves", script) + "restart = \"never\"\n"), folder.path());
    let child =
        daemon.wait_for("workload-output")["message"].as_str().expect("text").parse().expect("a number");
    let exit = daemon.wait_for("workload-exited");
    assert!(exit["fields"]["ended_by"].as_str().expect("text").contains('9'), "{exit}");
    assert_ended(child);
    assert_eq!(daemon.stop().1, Some(0));
}

#[test]
fn hostile_output_stays_one_record() {
    let folder = folder();
    let script = r#"printf 'a\r\033[2J\377"}\\ \302\205b\n'; sleep 1000"#;
    let mut daemon = Daemon::run(&workload("hostile", script), folder.path());
    let output = daemon.wait_for("workload-output");
    assert_eq!(output["message"], "a\r\u{1b}[2J\u{fffd}\"}\\ \u{85}b");
    assert_eq!(daemon.stop().1, Some(0));
}

#[test]
fn systemd_is_told() {
    let folder = folder();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut command = program();
    command
        .arg("run")
        .arg("--config")
        .arg(configure(folder.path(), ""))
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "200000")
        .env_remove("WATCHDOG_PID");
    let mut daemon = Daemon::spawn(command);
    assert_eq!(receive(&socket), "READY=1");
    assert_eq!(receive(&socket), "WATCHDOG=1");
    daemon.signal(Signal::TERM);
    let stopping = std::iter::repeat_with(|| receive(&socket)).find(|message| message != "WATCHDOG=1");
    assert!(stopping.expect("a message").starts_with("STOPPING=1"));
    assert_eq!(daemon.child.wait().expect("it ends").code(), Some(0));
}

fn receive(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 512];
    let length = socket.recv(&mut buffer).expect("a message");
    String::from_utf8_lossy(&buffer[..length]).trim_end().to_owned()
}

#[test]
fn a_bad_configuration_is_refused_by_file_line_and_key() {
    let folder = folder();
    let path = write(folder.path(), "stop_seconds = 1\nhartbeat_seconds = 3\n");
    let output = program().arg("run").arg("--config").arg(&path).output().expect("it runs");
    assert_eq!(output.status.code(), Some(3));
    let expected = format!("{}:2: unknown field `hartbeat_seconds`", path.display());
    assert!(stderr(&output).contains(&expected), "{}", stderr(&output));
    let output = program().args(["run", "--config", "/no/such"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("/no/such"));
}

#[test]
fn the_version_is_one_json_object() {
    let output = program().args(["--version", "--json"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(0));
    let version: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for key in ["name", "version", "commit", "dirty", "target", "build"] {
        assert!(version.get(key).is_some(), "{key} in {version}");
    }
    assert_eq!(version["name"], "seaworthyd");
}

#[test]
fn service_commands_say_that_systemd_does_it() {
    for command in ["install", "uninstall"] {
        let output = program().arg(command).output().expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{command}");
        assert!(stderr(&output).contains("systemctl"), "{}", stderr(&output));
    }
    let output = program().args(["run", "--service"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
}
