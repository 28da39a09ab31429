//! Workloads that use too much, for real: memory near the limit, and descriptors and threads that only become more.
#![cfg(unix)]

mod support;

use std::time::{Duration, Instant};

use serde_json::Value;
use support::{Daemon, PATIENCE, folder};

const MIB: u64 = 1 << 20;

fn python(name: &str, script: &str, more: &str) -> String {
    format!(
        "[[workloads]]\nname = \"{name}\"\ncommand = \"python3\"\nargs = [\"-c\", '''\n{script}''']\n{more}\n"
    )
}

fn number(record: &Value, key: &str) -> u64 {
    record["fields"][key].as_u64().unwrap_or_else(|| panic!("no {key} in {record}"))
}

/// Resident bytes of the process, by the kernel.
fn resident(pid: u64) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    kib.expect("resident memory").parse::<u64>().expect("a number") * 1024
}

#[test]
fn a_workload_near_its_memory_limit_is_stopped_gracefully_and_started_again() {
    let folder = folder();
    let grown = folder.path().join("grown");
    // Only the first one grows, and ends with a code of its own when it is asked to.
    let script = format!(
        "import os, signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(9))\n\
         if not os.path.exists({grown:?}):\n    open({grown:?}, 'w').close()\n    kept = bytearray(85 << 20)\n\
         while True: time.sleep(1)\n"
    );
    let limit = format!("memory = {{ limit_bytes = {} }}", 100 * MIB);
    let config = format!("heartbeat_seconds = 1\n{}", python("grows", &script, &limit));
    let mut daemon = Daemon::run(&config, folder.path());
    let pid = number(&daemon.wait_for("workload-started"), "pid");
    let high = daemon.wait_for("workload-memory-high");
    let (bytes, kernel) = (number(&high, "bytes"), resident(pid));
    assert_eq!((&high["workload"], number(&high, "limit_bytes")), (&"grows".into(), 100 * MIB));
    assert!(bytes > 85 * MIB && bytes.abs_diff(kernel) < 8 * MIB, "{bytes}, and {kernel} by the kernel");
    let reason = daemon.wait_for("workload-unhealthy")["fields"]["reason"].to_string();
    assert!(reason.contains("bytes of memory"), "{reason}");
    assert_eq!(daemon.wait_for("workload-exited")["fields"]["exit_code"], 9);
    let next = number(&daemon.wait_for("workload-started"), "pid");
    assert_ne!(next, pid);
    let (records, code) = daemon.stop();
    assert!(records.iter().all(|record| record["event"] != "workload-memory-high"), "{records:?}");
    assert_eq!(code, Some(0));
}

#[test]
fn where_only_a_warning_is_wanted_it_runs_on_and_is_told_once() {
    let folder = folder();
    let less = folder.path().join("less");
    let script = format!(
        "import os, time\nkept = bytearray(95 << 20)\nwhile not os.path.exists({less:?}): time.sleep(0.05)\n\
         del kept\nwhile True: time.sleep(1)\n"
    );
    let limit = format!("memory = {{ limit_bytes = {}, action = \"warn\" }}", 100 * MIB);
    let config = format!("heartbeat_seconds = 1\n{}", python("warned", &script, &limit));
    let mut daemon = Daemon::run(&config, folder.path());
    let pid = number(&daemon.wait_for("workload-started"), "pid");
    daemon.wait_for("workload-memory-high");
    std::fs::write(&less, "").expect("written");
    let normal = loop {
        let record = daemon.next().expect("the log goes on");
        assert!(
            record["event"] != "workload-memory-high" && record["event"] != "workload-exited",
            "{record}"
        );
        if record["event"] == "workload-memory-normal" {
            break record;
        }
    };
    assert!(number(&normal, "bytes") < 70 * MIB, "{normal}");
    assert!(resident(pid) < 70 * MIB, "the same process goes on");
    assert_eq!(daemon.stop().1, Some(0));
}

#[test]
fn what_is_never_closed_is_a_leak_and_what_comes_and_goes_is_not() {
    let folder = folder();
    let windows = "leaks = { window_seconds = 1 }";
    let leaking =
        "import time\nkept = []\nwhile True:\n    kept.append(open('/dev/null'))\n    time.sleep(0.02)\n";
    let threads = "import threading, time\nforever = threading.Event()\nwhile True:\n    \
                   threading.Thread(target=forever.wait, daemon=True).start()\n    time.sleep(0.05)\n";
    let busy = "import time\nwhile True:\n    some = [open('/dev/null') for _ in range(200)]\n    \
                time.sleep(0.3)\n    some.clear()\n    time.sleep(0.3)\n";
    let config = format!(
        "heartbeat_seconds = 1\n{}{}{}",
        python("leaks", leaking, windows),
        python("spawns", threads, windows),
        python("busy", busy, windows)
    );
    let mut daemon = Daemon::run(&config, folder.path());
    let begun = Instant::now();
    let mut found = Vec::new();
    while found.len() < 2 {
        let leak = daemon.wait_for("workload-leak");
        assert!(number(&leak, "to") >= number(&leak, "from") + 20, "{leak}");
        found.push((leak["workload"].to_string(), leak["fields"]["what"].to_string()));
    }
    // Seven windows are the least that it takes.
    assert!(begun.elapsed() >= Duration::from_secs(6) && begun.elapsed() < PATIENCE);
    found.sort();
    let expected = [("leaks", "descriptors"), ("spawns", "threads")];
    assert_eq!(found, expected.map(|(name, what)| (format!("{name:?}"), format!("{what:?}"))));
    // Told once, though it goes on.
    let (records, code) = daemon.stop();
    assert!(records.iter().all(|record| record["event"] != "workload-leak"), "{records:?}");
    assert_eq!(code, Some(0));
}
