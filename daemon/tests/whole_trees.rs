//! `seaworthyd run` with workloads whose processes flee: into sessions of their own, from their parents, from their mark.
//! None may be left after a stop, a crash, or the start after a kill of the daemon itself.
#![cfg(unix)]
#![expect(clippy::disallowed_methods, reason = "the tests start the program under test")]

mod support;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{PoisonError, RwLock};

use rustix::process::{Pid, Signal};
use serde_json::Value;
use support::{runner, wait_until};

/// The daemon while it runs; killed if the test ends early.
struct Daemon {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStderr>>,
    records: Vec<Value>,
}

impl Daemon {
    fn run(folder: &Path, config: &str) -> Self {
        Self::run_through(&[], Path::new(env!("CARGO_BIN_EXE_seaworthyd")), folder, config)
    }

    /// `wrapper` is a command that ends by becoming its last arguments.
    fn run_through(wrapper: &[&str], program: &Path, folder: &Path, config: &str) -> Self {
        let path = folder.join("seaworthyd.toml");
        std::fs::write(&path, config).expect("written");
        let runner = runner();
        let mut words =
            wrapper.iter().copied().chain(runner.split_whitespace()).map(Path::new).chain([program]);
        let mut command = Command::new(words.next().expect("at least the program"));
        command.args(words).arg("run").arg("--config").arg(path);
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the daemon starts");
        let lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        Self { child, lines, records: Vec::new() }
    }

    /// The next record that `wanted` accepts.
    fn wait_for(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let line = self.lines.next().unwrap_or_else(|| panic!("the log ended: {:#?}", self.records));
            let record: Value = serde_json::from_str(&line.expect("UTF-8")).expect("JSON");
            self.records.push(record.clone());
            if wanted(&record) {
                return record;
            }
        }
    }

    fn wait_for_event(&mut self, event: &str) -> Value {
        self.wait_for(|record| record["event"] == event)
    }

    /// The pids that the workload prints, each on a line; the first is its own.
    fn wait_for_pids(&mut self, count: usize) -> Vec<i32> {
        let mut pid = || {
            let record = self.wait_for_event("workload-output");
            let message = record["message"].as_str().expect("text");
            message.parse().unwrap_or_else(|_| panic!("a pid, not {message}"))
        };
        std::iter::repeat_with(&mut pid).take(count).collect()
    }

    /// Whether orphans come to it; where not, a mark is all there is to find them by.
    fn is_subreaper(&self) -> bool {
        !self.records.iter().any(|record| record["event"] == "subreaper-missing")
    }

    /// The process of the worker; the child is its guardian.
    fn worker(&self) -> Pid {
        let starting = self.records.iter().find(|record| record["event"] == "starting").expect("it started");
        Pid::from_raw(starting["fields"]["pid"].as_i64().expect("a pid") as i32).expect("a pid")
    }

    /// Kills both, and neither has time to do anything about the other.
    fn die(&mut self) {
        let guardian = Pid::from_child(&self.child);
        for (process, signal) in
            [(guardian, Signal::STOP), (self.worker(), Signal::KILL), (guardian, Signal::KILL)]
        {
            rustix::process::kill_process(process, signal).expect("it runs");
        }
        self.child.wait().expect("it ends");
    }

    fn stop(mut self) -> Vec<Value> {
        rustix::process::kill_process(Pid::from_child(&self.child), Signal::TERM).expect("it runs");
        self.wait_for_event("stopped");
        assert_eq!(self.child.wait().expect("it ends").code(), Some(0));
        std::mem::take(&mut self.records)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_emulated() -> bool {
    !runner().is_empty()
}

/// A workload in Python, which can do what a shell cannot. `flee` starts a process that outlives its parent in a session of
/// its own; each tells its pid.
fn workload(name: &str, script: &str) -> String {
    let prelude = "import os, signal, subprocess, sys, time\n\
        def tell():\n    os.write(1, b'%d\\n' % os.getpid())\n\
        def rest():\n    tell()\n    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    time.sleep(1000)\n\
        def flee(then):\n    child = os.fork()\n    if child:\n        return os.waitpid(child, 0)\n    os.setsid()\n    \
        if os.fork():\n        os._exit(0)\n    then()\n    os._exit(0)\n";
    format!(
        "[[workloads]]\nname = \"{name}\"\ncommand = \"/usr/bin/env\"\nrestart = \"never\"\n\
         args = [\"python3\", \"-c\", '''{prelude}{script}''']\n"
    )
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// A zombie has ended too: its new parent may take seconds to reap it.
fn is_alive(process: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let state = stat.rsplit(')').next().unwrap_or_default().trim_start();
    !stat.is_empty() && !state.starts_with(['Z', 'X'])
}

/// Whoever starts a workload first ends what dead daemons' workloads have left on this machine: the test that leaves something
/// on purpose must be alone.
static SWEEPING: RwLock<()> = RwLock::new(());

const FLEEING: &str = "tell()\nflee(rest)\nif os.fork() == 0:\n    os.setsid()\n    rest()\n";

#[test]
fn a_stop_ends_what_has_fled_and_ignores_it() {
    let _beside = SWEEPING.read().unwrap_or_else(PoisonError::into_inner);
    let folder = folder();
    let config = format!("stop_seconds = 1\n{}", workload("flees", &format!("{FLEEING}rest()\n")));
    let mut daemon = Daemon::run(folder.path(), &config);
    let mut pids: Vec<i32> = daemon.wait_for_pids(4);
    pids.sort_unstable();
    pids.dedup();
    assert!(pids.len() == 3 && pids.iter().all(|pid| is_alive(*pid)), "{pids:?}");
    let records = daemon.stop();
    assert!(pids.iter().all(|pid| !is_alive(*pid)), "{pids:?}");
    assert!(records.iter().any(|record| record["event"] == "tree-ended"), "{records:?}");
    assert_eq!(records.last().expect("records")["fields"]["workloads_left"], 0);
}

#[test]
fn a_graceful_stop_reaches_those_outside_the_group() {
    let _beside = SWEEPING.read().unwrap_or_else(PoisonError::into_inner);
    let folder = folder();
    let polite = "def polite():\n    signal.signal(signal.SIGTERM, lambda *_: (os.write(1, b'asked\\n'), os._exit(0)))\n    \
                  tell()\n    time.sleep(1000)\n\
                  def patient(*_):\n    time.sleep(1000)\nsignal.signal(signal.SIGTERM, patient)\n\
                  if os.fork() == 0:\n    os.setsid()\n    polite()\ntime.sleep(1000)\n";
    let mut daemon = Daemon::run(folder.path(), &format!("stop_seconds = 2\n{}", workload("polite", polite)));
    daemon.wait_for_pids(1);
    let records = daemon.stop();
    assert!(records.iter().any(|record| record["message"] == "asked"), "{records:?}");
}

#[test]
fn a_crash_ends_what_has_fled_before_the_next_start() {
    let _beside = SWEEPING.read().unwrap_or_else(PoisonError::into_inner);
    let folder = folder();
    let bystander = workload("bystander", "flee(rest)\nrest()\n");
    let crashing =
        workload("crashes", &format!("{FLEEING}sys.stdin.read()\ntime.sleep(1)\nos.kill(os.getpid(), 9)\n"));
    let mut daemon = Daemon::run(folder.path(), &format!("stop_seconds = 1\n{bystander}{crashing}"));
    let (mut own, mut others) = (BTreeSet::new(), BTreeSet::new());
    while own.len() < 3 || others.len() < 2 {
        let record = daemon.wait_for_event("workload-output");
        let pid = record["message"].as_str().expect("text").parse::<i32>().expect("a pid");
        let set = if record["workload"] == "crashes" { &mut own } else { &mut others };
        set.insert(pid);
    }
    daemon.wait_for(|record| record["event"] == "workload-exited" && record["workload"] == "crashes");
    assert!(own.iter().all(|pid| !is_alive(*pid)), "{own:?}");
    assert!(others.iter().all(|pid| is_alive(*pid)), "another workload's are not touched: {others:?}");
    daemon.stop();
    assert!(others.iter().all(|pid| !is_alive(*pid)), "{others:?}");
}

#[test]
fn a_wiped_environment_does_not_hide() {
    let _beside = SWEEPING.read().unwrap_or_else(PoisonError::into_inner);
    let folder = folder();
    // Without its mark, in a session of its own, and with its parents gone.
    let script = "flee(lambda: os.execve(sys.executable, ['x', '-c', \"import os, time; os.write(1, b'%d\\\\n' % os.getpid()); \
                  time.sleep(1000)\"], {}))\nsys.stdin.read()\ntime.sleep(2)\nos.kill(os.getpid(), 9)\n";
    let mut daemon = Daemon::run(folder.path(), &workload("wipes", script));
    let pid = daemon.wait_for_pids(1)[0];
    daemon.wait_for_event("workload-exited");
    assert_eq!(daemon.is_subreaper(), !is_emulated(), "an emulator cannot, and the log says so");
    if daemon.is_subreaper() {
        assert!(!is_alive(pid));
    } else {
        // What cannot be found is still there, and the log has said that it can be so.
        assert!(is_alive(pid));
        rustix::process::kill_process(Pid::from_raw(pid).expect("a pid"), Signal::KILL).expect("it runs");
    }
    daemon.stop();
}

/// As the systemd unit runs it: a user of its own, no capability at all, and none to be had.
#[test]
fn a_daemon_without_privileges_does_the_same() {
    let _beside = SWEEPING.read().unwrap_or_else(PoisonError::into_inner);
    let folder = folder();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("ours");
    let program = folder.path().join("seaworthyd");
    std::fs::copy(env!("CARGO_BIN_EXE_seaworthyd"), &program).expect("copied to where the user can reach it");
    let wrapper = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "--bounding-set=-all",
        "--no-new-privs",
    ];
    let config = format!("stop_seconds = 1\n{}", workload("flees", &format!("{FLEEING}rest()\n")));
    let mut daemon = Daemon::run_through(&wrapper, &program, folder.path(), &config);
    let pids = daemon.wait_for_pids(4);
    let audit = daemon
        .records
        .iter()
        .find(|record| record["event"] == "privileges-applied")
        .expect("an audit record");
    assert_eq!(audit["fields"]["capabilities"], "none");
    daemon.stop();
    assert!(pids.iter().all(|pid| !is_alive(*pid)), "{pids:?}");
}

#[test]
fn a_fork_storm_ends() {
    let _beside = SWEEPING.read().unwrap_or_else(PoisonError::into_inner);
    let folder = folder();
    // Each process starts a successor in a new session and ends; many lines of them run at once. An emulated daemon looks
    // through `/proc` more slowly than the workloads, which are not emulated, fork.
    let (lines, pause) = if is_emulated() { (3, 0.1) } else { (20, 0.002) };
    let script = format!(
        "tell()\nend = time.time() + 120\ndef storm():\n    while time.time() < end:\n        if os.fork():\n            os._exit(0)\n        os.setsid()\n        \
         time.sleep({pause})\nfor line in range({lines}):\n    flee(storm)\nos.write(1, b'%d\\n' % os.getpid())\n\
         signal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(1000)\n"
    );
    let marker = format!("storm-{}", std::process::id());
    let mut daemon = Daemon::run(folder.path(), &format!("stop_seconds = 1\n{}", workload(&marker, &script)));
    daemon.wait_for_pids(2);
    assert!(!alive_with(&marker).is_empty());
    let records = daemon.stop();
    assert_eq!(alive_with(&marker), [0; 0]);
    assert!(!records.iter().any(|record| record["event"] == "tree-left"), "{records:?}");
}

/// The processes whose mark has `text`.
fn alive_with(text: &str) -> Vec<i32> {
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &i32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let mark = String::from_utf8_lossy(&environment)
            .split('\0')
            .any(|variable| variable.starts_with("SEAWORTHYD_RUN=") && variable.ends_with(text));
        mark && is_alive(*pid)
    })
    .collect()
}

#[test]
fn a_killed_daemon_leaves_nothing_once_it_is_started_again() {
    let _alone = SWEEPING.write().unwrap_or_else(PoisonError::into_inner);
    let folder = folder();
    let name = format!("left-{}", std::process::id());
    let config = workload(&name, &format!("{FLEEING}rest()\n"));
    let mut first = Daemon::run(folder.path(), &config);
    let root = first.wait_for_event("workload-started")["fields"]["pid"].as_i64().expect("a pid") as i32;
    let mut pids = first.wait_for_pids(4);
    pids.sort_unstable();
    pids.dedup();
    // Another daemon that runs is no stray, nor is what it runs.
    let other_folder = self::folder();
    let mut other = Daemon::run(other_folder.path(), &workload("other", "flee(rest)\nrest()\n"));
    let others = other.wait_for_pids(2);
    assert!(pids.iter().all(|pid| is_alive(*pid)), "a daemon that runs is left alone");

    first.die();
    wait_until("the workload's first process ends with its daemon", || !is_alive(root));
    let fled: BTreeSet<i32> = pids.into_iter().filter(|pid| *pid != root).collect();
    assert!(fled.iter().all(|pid| is_alive(*pid)), "{fled:?}");

    let mut second = Daemon::run(folder.path(), "");
    second.wait_for_event("ready");
    // Nothing is started, so nothing was swept yet.
    assert!(fled.iter().all(|pid| is_alive(*pid)));
    second.stop();
    let mut third = Daemon::run(folder.path(), &workload("next", "rest()\n"));
    third.wait_for_event("workload-started");
    let swept: BTreeSet<i32> = third
        .records
        .iter()
        .filter(|record| record["event"] == "stray-ended" && record["workload"] == *name)
        .map(|record| record["fields"]["pid"].as_i64().expect("a pid") as i32)
        .collect();
    assert_eq!(swept, fled);
    assert!(fled.iter().all(|pid| !is_alive(*pid)));
    assert!(others.iter().all(|pid| is_alive(*pid)), "{others:?}");
    other.stop();
    third.stop();
}

#[test]
fn dead_orphans_do_not_pile_up() {
    let _beside = SWEEPING.read().unwrap_or_else(PoisonError::into_inner);
    let folder = folder();
    let script = "for _ in range(50):\n    flee(lambda: None)\ntell()\ntime.sleep(1000)\n";
    let mut daemon = Daemon::run(folder.path(), &workload("sheds", script));
    daemon.wait_for_pids(1);
    let me = daemon.worker().to_string();
    let zombies = || {
        let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
        let stats = processes.filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok());
        stats
            .filter(|stat| {
                let fields: Vec<&str> =
                    stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
                fields.first() == Some(&"Z") && fields.get(1) == Some(&me.as_str())
            })
            .count()
    };
    wait_until("they are reaped", || zombies() == 0);
    // And the status of the workload itself was not taken with them.
    let pid = daemon.records.iter().find(|record| record["event"] == "workload-started").expect("started")["fields"]["pid"].as_i64();
    let pid = Pid::from_raw(pid.expect("a pid") as i32).expect("a pid");
    rustix::process::kill_process(pid, Signal::USR1).expect("it runs");
    let exit = daemon.wait_for_event("workload-exited");
    assert!(exit["fields"]["ended_by"].as_str().expect("text").contains("10"), "{exit}");
    daemon.stop();
}
