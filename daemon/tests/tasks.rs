//! Tasks of the running daemon: delivered to a real nginx past every failure of it and of the daemon, done by commands,
//! given up and tried again, and the daemon's own reports among them.
#![cfg(unix)]

mod nginx;
mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{self, Receiver};

use nginx::{Nginx, free_port, url};
use rustix::process::Signal;
use serde_json::Value;
use support::{Daemon, PATIENCE, ask, ask_with, folder, socket, workload};

fn push(folder: &Path, options: &str, body: &[u8]) {
    let (text, code) = ask_with(folder, &format!("queue push {options}"), body);
    assert!(code == 0 && text.contains("accepted"), "{text}");
}

fn queue(folder: &Path) -> Value {
    let (text, code) = ask(folder, "status --format json");
    assert_eq!(code, 0, "{text}");
    serde_json::from_str::<Value>(&text).expect("JSON")["status"]["queue"].clone()
}

/// With a queue for deliveries to `collector`, and with `more` in its table.
fn config(folder: &Path, collector: impl std::fmt::Display, more: &str) -> String {
    format!(
        "state_directory = {:?}\n[queue]\ncollector = \"{collector}\"\nattempt_seconds = 2\n{more}\n",
        folder.join("state")
    )
}

/// The lines of nginx's access log: status, key, length, trace.
fn arrived(folder: &Path) -> Vec<String> {
    let log = std::fs::read_to_string(folder.join("access.log")).expect("the access log");
    log.lines().map(ToOwned::to_owned).collect()
}

#[test]
fn tasks_arrive_past_every_failure_of_the_collector_and_of_the_daemon() {
    let folder = folder();
    let at = folder.path();
    let port = free_port();
    let mut daemon = Daemon::run(&config(at, url(port, "/tasks"), "limits.max_body_bytes = 4194304"), at);
    let worker = daemon.wait_for("starting")["fields"]["pid"].as_i64().expect("a process number");
    assert_eq!(daemon.wait_for("ready")["event_id"], 101);

    // Nobody is there yet; the daemon itself dies with what it has accepted.
    for key in ["a", "b", "c"] {
        push(at, &format!("--order-key one --key {key}"), key.as_bytes());
    }
    daemon.wait_for("collector-away");
    support::kill(worker);
    let opened = daemon.wait_for("queue-opened");
    assert_eq!((&opened["fields"]["tasks"], &opened["fields"]["dead"]), (&3.into(), &0.into()));
    daemon.wait_for("collector-away");
    assert_eq!(queue(at)["waits_for_collector"], true);

    // It comes, but refuses at first; then all arrive, in order.
    let maintenance = at.join("maintenance");
    std::fs::write(&maintenance, "").expect("written");
    let nginx = Nginx::start(at, port);
    while !daemon.wait_for("task-retry")["fields"]["error"].as_str().expect("text").contains("503") {}
    std::fs::remove_file(&maintenance).expect("removed");
    daemon.wait_for("collector-back");
    for _ in 0..3 {
        let done = daemon.wait_for("task-done");
        assert_eq!(done["fields"]["status"], 200);
    }

    // A key that is known adds nothing.
    let (text, code) = ask(at, "queue push --key b");
    assert_eq!((text.as_str(), code), ("task 2 known already\n", 0));

    // It hangs, and comes back.
    nginx.freeze();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    push(at, &format!("--key {trace}"), b"hung");
    let retry = daemon.wait_for("task-retry");
    assert!(retry["fields"]["error"].as_str().expect("text").contains("was not done"), "{retry}");
    assert_eq!(retry["trace_id"], trace);
    nginx.signal(Signal::CONT);
    assert_eq!(daemon.wait_for("task-done")["trace_id"], trace);

    // More than nginx takes: no second attempt is made, until somebody wants it.
    push(at, "--key large", &vec![b'x'; 2 << 20]);
    let dead = daemon.wait_for("task-dead");
    assert!(dead["fields"]["reason"].as_str().expect("text").contains("413"), "{dead}");
    let (list, _) = ask(at, "queue dead");
    assert!(list.contains("deliver") && list.contains("1 failure(s)") && list.contains("413"), "{list}");
    let id = dead["task_id"].as_str().expect("a number as text");
    assert_eq!(ask(at, &format!("queue replay {id}")), ("1 tried again\n".to_owned(), 0));
    daemon.wait_for("task-dead");
    assert_eq!(ask(at, "queue discard --all"), ("1 thrown away\n".to_owned(), 0));
    assert_eq!(ask(at, "queue dead"), ("no task was given up\n".to_owned(), 0));
    let (text, code) = ask(at, &format!("queue replay {id}"));
    assert!(code == 7 && text.contains("is no dead letter"), "{text}");
    let now = queue(at);
    for key in ["ready", "delayed", "in_flight", "blocked", "dead"] {
        assert_eq!(now[key], 0, "{now}");
    }

    assert_eq!(daemon.stop().1, Some(0));
    nginx.stop();
    let mut lines = arrived(at);
    // What is sent while nginx stands still is taken by the system, and may come again after that, under one key.
    lines.retain(|line| !line.starts_with("503") && !line.starts_with("413") && !line.starts_with("499"));
    lines.dedup_by_key(|line| line.split(' ').nth(1).map(ToOwned::to_owned));
    let keys: Vec<_> =
        lines.iter().map(|line| line.split(' ').take(3).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(keys, ["200 a 1", "200 b 1", "200 c 1", &format!("200 {trace} 4")]);
    assert!(lines[3].contains(&format!("00-{trace}-")), "{lines:?}");
}

/// A command that writes what it reads and is told into the folder's file `out`, then does `more`.
fn command(folder: &Path, name: &str, more: &str) -> String {
    let out = folder.join("out").display().to_string();
    format!(
        "[[queue.commands]]\nname = \"{name}\"\ncommand = \"/bin/sh\"\nargs = [\"-c\", '''read body; \
         echo \"$body $SEAWORTHYD_TASK $SEAWORTHYD_ATTEMPT\" >> {out}; echo printed; {more}''']\n"
    )
}

#[test]
fn commands_are_done_and_a_pause_waits_for_those_that_run() {
    let folder = folder();
    let at = folder.path();
    let go = at.join("go");
    let slow = command(at, "slow", &format!("while [ ! -e {} ]; do sleep 0.01; done", go.display()));
    let config = config(at, url(free_port(), "/"), "limits.first_pause_ms = 10\nlimits.max_attempts = 2")
        + &slow
        + &command(at, "broken", "exit 3")
        + &workload("web", "exec sleep 1000");
    let mut daemon = Daemon::run(&config, at);
    daemon.wait_for("ready");
    // The collector is away, which is nothing to a command.
    push(at, "", b"nobody takes it");
    daemon.wait_for("collector-away");
    push(at, "--run slow", b"first\n");
    let printed = daemon.wait_for("workload-output");
    assert_eq!((&printed["workload"], &printed["message"]), (&"queue/slow".into(), &"printed".into()));
    push(at, "--run slow", b"second\n");

    let (paused, answer) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| paused.send(ask(at, "pause")).expect("wanted"));
        // It waits for the first one, and the second one for its end.
        let early = answer.recv_timeout(std::time::Duration::from_millis(300));
        assert!(early.is_err(), "{early:?}");
        std::fs::write(&go, "").expect("written");
        let answer = answer.recv_timeout(PATIENCE).expect("paused");
        assert_eq!(answer, ("seaworthyd is paused\n".to_owned(), 0));
    });
    assert_eq!(std::fs::read_to_string(at.join("out")).expect("written"), "first 2 1\n");
    assert_eq!(ask(at, "resume").1, 0);
    daemon.wait_for("task-done");

    push(at, "--run broken", b"third\n");
    let dead = daemon.wait_for("task-dead");
    assert!(dead["fields"]["reason"].as_str().expect("text").contains("exit status: 3"), "{dead}");
    let out = std::fs::read_to_string(at.join("out")).expect("written");
    assert_eq!(out, "first 2 1\nsecond 3 1\nthird 4 1\nthird 4 2\n");
    assert_eq!(daemon.stop().1, Some(0));
}

#[test]
fn a_stop_interrupts_a_command_whose_task_is_done_by_the_next_daemon() {
    let folder = folder();
    let at = folder.path();
    // Endless for the first daemon only.
    let again = at.join("again").display().to_string();
    let endless = command(at, "endless", &format!("[ -e {again} ] || {{ touch {again}; sleep 1000; }}"));
    let config = format!("stop_seconds = 1\n{}{endless}", config(at, url(free_port(), "/"), ""));
    let mut daemon = Daemon::run(&config, at);
    daemon.wait_for("ready");
    push(at, "--run endless", b"body\n");
    daemon.wait_for("workload-output");
    let (records, code) = daemon.stop();
    assert_eq!((code, records.last().expect("records")["event"].as_str()), (Some(0), Some("stopped")));
    let mut daemon = Daemon::run(&config, at);
    daemon.wait_for("task-done");
    assert_eq!(daemon.stop().1, Some(0));
    // The interruption was no failure of the task: it is still its first attempt.
    assert_eq!(std::fs::read_to_string(at.join("out")).expect("written"), "body 1 1\nbody 1 1\n");
}

/// A collector that takes everything; the bodies it got.
fn collector() -> (u16, Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let (sender, bodies) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(&stream);
            let mut length = 0;
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).expect("a head");
                if let Some(value) = line.strip_prefix("Content-Length: ") {
                    length = value.trim().parse().expect("a number");
                }
                if line == "\r\n" {
                    break;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("a body");
            (&stream).write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").expect("answered");
            if sender.send(serde_json::from_slice(&body).expect("JSON")).is_err() {
                return;
            }
        }
    });
    (port, bodies)
}

#[test]
fn heartbeats_audit_and_errors_reach_the_collector_in_order() {
    let folder = folder();
    let at = folder.path();
    let (port, bodies) = collector();
    let reports = "reports = [\"heartbeat\", \"audit\", \"error\"]";
    let config = format!(
        "heartbeat_seconds = 1\n{}{}",
        config(at, url(port, "/"), reports),
        workload("web", "exec sleep 1000")
    );
    let mut daemon = Daemon::run(&config, at);
    let worker = daemon.wait_for("starting")["fields"]["pid"].as_i64().expect("a process number");
    let next = |event: &str| loop {
        let body = bodies.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no {event} came"));
        if body["event"] == event {
            return body;
        }
    };
    assert_eq!(next("privileges-applied")["workload"], "web");
    assert_eq!(next("heartbeat")["fields"]["state"], "running");
    assert_eq!(next("heartbeat")["fields"]["running"], 1);
    // A crash is reported by the next worker.
    support::kill(worker);
    assert!(next("worker-crashed")["message"].as_str().expect("text").contains("signal: 9"));
    assert_eq!(ask(at, "reload web").1, 7);
    assert_eq!(next("control-asked")["fields"]["control"], "reload");
    assert_eq!(daemon.stop().1, Some(0));
}

#[test]
fn what_is_no_task_is_refused_and_the_daemon_goes_on() {
    let folder = folder();
    let at = folder.path();
    let more = "limits.max_body_bytes = 1000\nlimits.max_tasks = 2\n";
    let mut daemon = Daemon::run(&config(at, url(free_port(), "/"), more), at);
    daemon.wait_for("ready");
    for (options, body, words) in
        [("--run nothing", &b"x"[..], "no command is named"), ("", &[0; 1001], "1001 bytes, more than 1000")]
    {
        let (text, code) = ask_with(at, &format!("queue push {options}"), body);
        assert!(code == 7 && text.contains(words), "{text}");
    }
    push(at, "", b"");
    push(at, "", &[0xff; 1000]);
    let (text, code) = ask_with(at, "queue push", b"one too many");
    assert!(code == 7 && text.contains("the queue is full"), "{text}");

    // Hostile clients: lies about lengths, keys that would be headers.
    let raw = |bytes: &[u8]| {
        let mut stream = UnixStream::connect(socket(at)).expect("connected");
        stream.write_all(bytes).expect("sent");
        stream.shutdown(std::net::Shutdown::Write).expect("shut");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answered");
        answer
    };
    for (bytes, words) in [
        (&b"{\"command\":\"push\",\"length\":5}\nabc"[..], "ended after 3 of 5 bytes"),
        (b"{\"command\":\"push\",\"length\":18446744073709551615}\nabc", "more than 1000"),
        (
            b"{\"command\":\"push\",\"length\":1,\"task\":{\"idempotency_key\":\"a\\r\\nB: c\"}}\nx",
            "control character",
        ),
        (b"{\"command\":\"push\",\"length\":1,\"task\":{\"order_key\":\"\"}}\nx", "empty"),
        (b"{\"command\":\"replay\",\"task\":77}\n", "is no dead letter"),
    ] {
        let answer = raw(bytes);
        assert!(answer.contains("refused") && answer.contains(words), "{answer}");
    }
    let tasks = queue(at);
    let waiting: i64 =
        ["ready", "delayed", "in_flight"].iter().map(|key| tasks[key].as_i64().expect("a number")).sum();
    assert_eq!(waiting, 2, "{tasks}");
    assert_eq!(daemon.stop().1, Some(0));
}

#[test]
fn without_a_queue_it_says_so_and_with_a_broken_one_the_workloads_run() {
    let folder = folder();
    let at = folder.path();
    let mut daemon = Daemon::run(&workload("web", "exec sleep 1000"), at);
    daemon.wait_for("ready");
    let (text, code) = ask(at, "queue push");
    assert!(code == 7 && text.contains("has no queue") && text.contains("[queue]"), "{text}");
    assert_eq!(queue(at), Value::Null);
    assert_eq!(daemon.stop().1, Some(0));

    std::fs::write(at.join("file"), "").expect("written");
    let broken = format!("[queue]\ndirectory = {:?}\n", at.join("file/queue"));
    let mut daemon = Daemon::run(&(broken + &workload("web", "exec sleep 1000")), at);
    assert!(daemon.wait_for("queue-unavailable")["fields"]["error"].is_string());
    daemon.wait_for("ready");
    assert_eq!(daemon.stop().1, Some(0));
}
