//! Clients of the running daemon on Linux: each command, each refusal, many at once, and hostile bytes.
#![cfg(unix)]

mod schema;
mod support;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::Value;
use support::{Daemon, PATIENCE, ask, configure, folder, program, socket, stderr, workload};

/// A workload that lives until it is asked to end, and says so when its configuration is to be read again.
const CALM: &str =
    "trap 'echo reloaded' HUP; trap 'exit 0' TERM; while :; do sleep 1000 & wait; kill $!; done";

fn status(folder: &Path) -> Value {
    let (text, code) = ask(folder, "status --format json");
    assert_eq!(code, 0, "{text}");
    serde_json::from_str::<Value>(&text).expect("JSON")["status"].clone()
}

fn done(text: &str) -> (String, i32) {
    (format!("{text}\n"), 0)
}

#[test]
fn the_service_obeys_and_a_second_wish_does_no_harm() {
    let folder = folder();
    let mut daemon = Daemon::run(&workload("web", CALM), folder.path());
    daemon.wait_for("ready");
    let first = status(folder.path());
    assert_eq!((&first["state"], &first["workloads"][0]["state"]), (&"running".into(), &"running".into()));
    assert_eq!(ask(folder.path(), "pause"), done("seaworthyd is paused"));
    assert_eq!(ask(folder.path(), "pause"), done("seaworthyd is paused already"));
    assert_eq!(status(folder.path())["state"], "paused");
    let (text, code) = ask(folder.path(), "start web");
    assert!(code == 7 && text.contains("the service is paused"), "{text}");
    assert_eq!(ask(folder.path(), "resume"), done("seaworthyd is running"));
    assert_eq!(ask(folder.path(), "resume"), done("seaworthyd is running already"));
    assert_eq!(ask(folder.path(), "reload"), done("seaworthyd is running"));
    assert_eq!(
        status(folder.path())["workloads"][0]["pid"],
        first["workloads"][0]["pid"],
        "the process stayed"
    );
    assert_eq!(ask(folder.path(), "stop"), done("seaworthyd is stopped"));
    assert_eq!(daemon.child.wait().expect("it ends").code(), Some(0));
    let (text, code) = ask(folder.path(), "status");
    assert!(code == 6 && text.contains("no daemon listens"), "{text}");
}

#[test]
fn a_workload_obeys_by_itself() {
    let folder = folder();
    let both = workload("web", CALM) + "reload_signal = \"HUP\"\n" + &workload("db", CALM);
    let mut daemon = Daemon::run(&both, folder.path());
    daemon.wait_for("ready");
    let pid = |index: usize| status(folder.path())["workloads"][index]["pid"].clone();
    let (web, db) = (pid(0), pid(1));
    assert_eq!(ask(folder.path(), "restart web"), done("web is running"));
    assert_ne!(pid(0), web);
    assert_eq!(ask(folder.path(), "reload web"), done("web is running"));
    while daemon.wait_for("workload-output")["message"] != "reloaded" {}
    let (text, code) = ask(folder.path(), "reload db");
    assert!(code == 7 && text.contains("reload_signal"), "{text}");
    assert_eq!(ask(folder.path(), "stop web"), done("web is stopped"));
    assert_eq!(ask(folder.path(), "stop web"), done("web is stopped already"));
    let (text, code) = ask(folder.path(), "pause web");
    assert!(code == 7 && text.contains("web is stopped: pause is not possible now"), "{text}");
    assert_eq!(pid(0), Value::Null);
    assert_eq!(ask(folder.path(), "start web"), done("web is running"));
    assert_eq!(pid(1), db, "the other one did not notice");
    let (text, code) = ask(folder.path(), "stop mail");
    assert!(
        code == 7 && text.contains("no workload is named \"mail\"") && text.contains("web, db"),
        "{text}"
    );
    assert_eq!(daemon.stop().1, Some(0));
}

#[test]
fn a_paused_workload_that_ends_stays_ended_until_it_is_resumed() {
    let folder = folder();
    let mut daemon = Daemon::run(&workload("web", CALM), folder.path());
    let started = daemon.wait_for("workload-started");
    assert_eq!(ask(folder.path(), "pause web"), done("web is paused"));
    support::kill(started["fields"]["pid"].as_i64().expect("a number"));
    daemon.wait_for("workload-exited");
    let paused = status(folder.path());
    assert_eq!(
        (&paused["workloads"][0]["state"], &paused["workloads"][0]["pid"]),
        (&"paused".into(), &Value::Null)
    );
    assert_eq!(ask(folder.path(), "resume web"), done("web is running"));
    assert_eq!(daemon.stop().1, Some(0));
}

#[test]
fn running_means_that_the_readiness_probe_passed() {
    let folder = folder();
    let flag = folder.path().join("flag");
    let probe = format!("readiness = {{ exec = [\"/bin/sh\", \"-c\", \"test -e {}\"] }}\n", flag.display());
    let mut daemon = Daemon::run(&(workload("web", CALM) + &probe), folder.path());
    daemon.wait_for("workload-started");
    let waiting = status(folder.path());
    assert_eq!(
        (&waiting["state"], &waiting["workloads"][0]["state"]),
        (&"start-pending".into(), &"start-pending".into())
    );
    let (text, code) = ask(folder.path(), "pause");
    assert!(code == 7 && text.contains("start-pending"), "{text}");
    std::fs::write(&flag, "").expect("written");
    daemon.wait_for("ready");
    assert_eq!(status(folder.path())["workloads"][0]["state"], "running");
    assert_eq!(daemon.stop().1, Some(0));
}

#[test]
fn a_start_that_does_not_become_ready_fails_and_says_so() {
    let folder = folder();
    let probe = "start_seconds = 1\nreadiness = { exec = [\"/bin/false\"] }\n";
    let mut daemon = Daemon::run(&(workload("web", CALM) + probe), folder.path());
    assert!(daemon.wait_for("not-ready")["message"].as_str().expect("text").contains("web"));
    daemon.wait_for("stopped");
    assert_eq!(daemon.child.wait().expect("it ends").code(), Some(5));
}

#[test]
fn what_is_not_well_is_started_again() {
    let folder = folder();
    let flag = folder.path().join("sick");
    let probe = format!(
        "liveness = {{ exec = [\"/bin/sh\", \"-c\", \"! rm {}\"], interval_seconds = 1, failures = 1 }}\n",
        flag.display()
    );
    let mut daemon = Daemon::run(&(workload("web", CALM) + &probe), folder.path());
    daemon.wait_for("ready");
    std::fs::write(&flag, "").expect("written");
    let unwell = daemon.wait_for("workload-unhealthy");
    assert!(unwell["fields"]["reason"].as_str().expect("text").contains("exit status: 1"), "{unwell}");
    daemon.wait_for("workload-started");
    assert_eq!(daemon.stop().1, Some(0));
}

#[test]
fn a_probe_that_passes_harms_no_child_of_the_workload() {
    let folder = folder();
    let script = "trap 'exit 0' TERM; sleep 1000 & echo $!; wait; echo harmed; sleep 1000 & wait";
    let probe =
        "liveness = { exec = [\"/bin/sh\", \"-c\", \"sleep 1000 & exit 0\"], interval_seconds = 1 }\n";
    let mut daemon = Daemon::run(&(workload("web", script) + probe), folder.path());
    // What the probe leaves is ended, thrice, and each time told.
    for _ in 0..3 {
        loop {
            let record = daemon.next().expect("a record");
            assert_ne!(record["message"], "harmed");
            if record["event"] == "tree-ended" {
                break;
            }
        }
    }
    assert_eq!(daemon.stop().1, Some(0));
}

#[test]
fn a_reload_touches_what_changed_and_a_bad_file_nothing() {
    let folder = folder();
    let web = workload("web", CALM);
    let mut daemon = Daemon::run(&(web.clone() + &workload("db", CALM)), folder.path());
    daemon.wait_for("ready");
    let before = status(folder.path());
    configure(folder.path(), "stop_seconds = 0\n");
    let (text, code) = ask(folder.path(), "reload");
    assert!(code == 7 && text.contains("stop_seconds must be 1 to 86400"), "{text}");
    assert_eq!(status(folder.path())["workloads"][1]["pid"], before["workloads"][1]["pid"]);
    daemon.signal(rustix::process::Signal::HUP);
    daemon.wait_for("reload-refused");
    daemon.wait_for("reload-refused");

    let changed = workload("mail", &format!("echo changed; {CALM}"));
    configure(folder.path(), &(web + &changed));
    assert_eq!(ask(folder.path(), "reload"), done("seaworthyd is running"));
    // The workload may print before the record of its beginning is written.
    let (mut reloaded, mut has_changed) = (None, false);
    while reloaded.is_none() || !has_changed {
        let record = daemon.next().expect("a record");
        has_changed |= record["message"] == "changed";
        reloaded = reloaded.or_else(|| (record["event"] == "reloaded").then(|| record["fields"].clone()));
    }
    let reloaded = reloaded.expect("just seen");
    assert_eq!((&reloaded["new"], &reloaded["gone"]), (&1.into(), &1.into()));
    let after = status(folder.path());
    let names: Vec<_> =
        after["workloads"].as_array().expect("a list").iter().map(|one| &one["name"]).collect();
    assert!(names.contains(&&"web".into()) && names.contains(&&"mail".into()), "{after}");
    assert_eq!(after["workloads"][0]["pid"], before["workloads"][0]["pid"], "web did not notice");
    assert_eq!(daemon.stop().1, Some(0));
}

#[test]
fn what_comes_back_while_it_is_still_ending_is_started_when_it_has_ended() {
    let folder = folder();
    let deaf = workload("web", "trap '' TERM; while :; do sleep 1000 & wait; done") + "stop_seconds = 2\n";
    let mut daemon = Daemon::run(&(workload("db", CALM) + &deaf), folder.path());
    daemon.wait_for("ready");
    let before = status(folder.path())["workloads"][1]["pid"].clone();
    configure(folder.path(), &workload("db", CALM));
    assert_eq!(ask(folder.path(), "reload"), done("seaworthyd is running"));
    configure(folder.path(), &(workload("db", CALM) + &deaf));
    assert_eq!(ask(folder.path(), "reload"), done("seaworthyd is running"));
    let (text, code) = ask(folder.path(), "start web");
    assert!(code == 7 && text.contains("web is stop-pending"), "{text}");
    daemon.wait_for("workload-killed");
    daemon.wait_for("workload-started");
    let after = status(folder.path());
    assert_eq!(after["workloads"].as_array().expect("a list").len(), 2, "{after}");
    assert_eq!(after["workloads"][1]["state"], "running");
    assert_ne!(after["workloads"][1]["pid"], before);
    let stopped = ask(folder.path(), "stop");
    assert_eq!(stopped, done("seaworthyd is stopped"));
}

#[test]
fn what_is_configured_during_a_pause_starts_after_it() {
    let folder = folder();
    let mut daemon = Daemon::run(&workload("web", CALM), folder.path());
    daemon.wait_for("ready");
    assert_eq!(ask(folder.path(), "pause"), done("seaworthyd is paused"));
    configure(folder.path(), &(workload("web", CALM) + &workload("db", CALM)));
    assert_eq!(ask(folder.path(), "reload"), done("seaworthyd is paused"));
    assert_eq!(status(folder.path())["workloads"][1]["state"], "stopped");
    assert_eq!(ask(folder.path(), "resume"), done("seaworthyd is running"));
    assert_eq!(status(folder.path())["workloads"][1]["state"], "running");
    assert_eq!(daemon.stop().1, Some(0));
}

#[test]
fn many_clients_at_once_get_an_answer_each() {
    let folder = folder();
    let mut daemon = Daemon::run(&workload("web", CALM), folder.path());
    daemon.wait_for("ready");
    let clients: Vec<_> = (0..24)
        .map(|number| {
            let path = folder.path().to_owned();
            let word =
                ["restart web", "stop web", "start web", "pause web", "resume web", "status"][number % 6];
            std::thread::spawn(move || ask(&path, word))
        })
        .collect();
    for client in clients {
        let (text, code) = client.join().expect("no panic");
        assert!([0, 7].contains(&code), "{code}: {text}");
    }
    let (text, code) = ask(folder.path(), "restart web");
    assert_eq!(code, 0, "{text}");
    assert_eq!(daemon.stop().1, Some(0));
}

#[test]
fn hostile_bytes_get_an_answer_or_none_and_harm_nobody() {
    let folder = folder();
    let mut daemon = Daemon::run("", folder.path());
    daemon.wait_for("ready");
    let endless = vec![b'x'; 1 << 20];
    let cases: [&[u8]; 6] = [b"\n", b"\0\xff\n", b"{\"command\":\"dance\"}\n", b"[[[[[[[[\n", &endless, b""];
    // A silent client in the background harms nobody.
    let silent = UnixStream::connect(socket(folder.path())).expect("connected");
    for bytes in cases {
        let mut stream = UnixStream::connect(socket(folder.path())).expect("connected");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        // The daemon may have answered and gone before all is written.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let text = String::from_utf8(answer).expect("UTF-8");
        assert!(text.is_empty() || text.contains("\"kind\":\"bad-request\""), "{text}");
    }
    assert_eq!(status(folder.path())["state"], "running");
    drop(silent);
    assert_eq!(daemon.stop().1, Some(0));
}

#[test]
fn the_socket_is_for_its_owner() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let mut daemon = Daemon::run("", folder.path());
    daemon.wait_for("ready");
    let mode = std::fs::metadata(socket(folder.path())).expect("a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // Even where the file's mode was opened, the peer's user counts.
    std::fs::set_permissions(socket(folder.path()), PermissionsExt::from_mode(0o666)).expect("opened");
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).expect("opened");
    let mut stranger = support::as_nobody();
    let script = "import socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n\
                  s.sendall(b'{\"command\":\"control\",\"control\":\"stop\"}\\n')\nprint(s.recv(4096).decode())";
    let output = stranger
        .args(["/usr/bin/python3", "-c", script])
        .arg(socket(folder.path()))
        .output()
        .expect("it runs");
    let answer = String::from_utf8_lossy(&output.stdout);
    assert!(
        answer.contains("\"kind\":\"not-permitted\"") && answer.contains("uid 65534"),
        "{answer} {}",
        stderr(&output)
    );
    assert_eq!(daemon.wait_for("client-refused")["level"], "audit-failure");
    assert_eq!(daemon.stop().1, Some(0));
}

#[test]
fn every_status_follows_the_published_schema() {
    let folder = folder();
    let crashing = workload("crashes", "exit 3") + &workload("once", "exit 1") + "restart = \"never\"\n";
    let queue = format!("[queue]\ndirectory = {:?}\n", folder.path().join("queue"));
    let mut daemon = Daemon::run(&(workload("web", CALM) + &crashing + &queue), folder.path());
    daemon.wait_for("workload-failed");
    while daemon.wait_for("workload-restart")["fields"]["short_runs"] != 4 {}
    let status = status(folder.path());
    schema::assert_valid("seaworthyd-status.json", &status);
    let states: Vec<_> = (0..3).map(|index| &status["workloads"][index]["state"]).collect();
    assert_eq!(states, ["running", "backoff", "failed"]);
    let text = ask(folder.path(), "status").0;
    assert!(text.contains("again in ") && text.contains("last: exit status: 3"), "{text}");
    assert!(text.contains("queue: 0 task(s), 0 dead letter(s)\n"), "{text}");
    assert_eq!(daemon.stop().1, Some(0));
}

#[test]
fn a_configuration_can_be_checked_without_running_it() {
    let folder = folder();
    let path = configure(folder.path(), &workload("web", CALM));
    let output = program().arg("check-config").arg(&path).output().expect("it runs");
    assert!(output.status.success(), "{}", stderr(&output));
    let path = configure(folder.path(), "stop_secs = 1\n");
    let output = program().arg("check-config").arg(&path).output().expect("it runs");
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("unknown field `stop_secs`"), "{}", stderr(&output));
}
