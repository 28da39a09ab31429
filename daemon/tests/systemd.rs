//! The shipped unit under a real systemd as process 1, in a container of Debian's packages.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(clippy::disallowed_methods, reason = "the tests start docker")]

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

/// No step takes longer, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(90);
const IMAGE: &str = "localhost/seaworthy-test-systemd:bookworm";
const UNIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/seaworthyd.service");
/// A container has no user namespace to give away. The watchdog is faster, that nobody waits half a minute.
const DROP_IN: &str = "[Service]\nPrivateUsers=no\nWatchdogSec=2s\n";

/// A Debian with systemd, in a container that is removed with it.
struct Machine {
    container: String,
}

fn run(words: &[&str]) -> Output {
    Command::new(words[0]).args(&words[1..]).output().unwrap_or_else(|error| {
        panic!("{}: {error}\n  next: ci/setup installs what the tests need", words[0])
    })
}

/// What a command that must succeed printed.
fn ok(words: &[&str]) -> String {
    let output = run(words);
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

impl Machine {
    fn boot() -> Self {
        if !run(&["docker", "image", "inspect", IMAGE]).status.success() {
            let folder = tempfile::tempdir().expect("a folder");
            let tar = folder.path().join("root.tar").display().to_string();
            let packages = "--include=systemd,systemd-sysv,dbus";
            ok(&["mmdebstrap", "--quiet", "--variant=minbase", packages, "bookworm", &tar]);
            ok(&["docker", "import", &tar, IMAGE]);
        }
        let mut words = vec!["docker", "run", "--detach", "--cap-add", "SYS_ADMIN"];
        words.extend(["--security-opt", "seccomp=unconfined", "--env", "container=docker"]);
        words.extend(["--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp"]);
        words.extend(["--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw", IMAGE, "/sbin/init"]);
        let machine = Self { container: ok(&words) };
        machine.until("it has booted", || {
            let state = machine.shell("systemctl is-system-running || true");
            ["running", "degraded"].contains(&state.as_str())
        });
        machine.copy(Path::new(env!("CARGO_BIN_EXE_seaworthyd")), "/usr/local/bin/seaworthyd");
        machine.copy(Path::new(UNIT), "/etc/systemd/system/seaworthyd.service");
        machine.write("/etc/systemd/system/seaworthyd.service.d/test.conf", DROP_IN);
        machine.shell("systemctl daemon-reload");
        machine
    }

    fn copy(&self, from: &Path, to: &str) {
        ok(&["docker", "cp", &from.display().to_string(), &format!("{}:{to}", self.container)]);
    }

    fn try_shell(&self, script: &str) -> Output {
        run(&["docker", "exec", &self.container, "timeout", "80", "sh", "-c", script])
    }

    fn shell(&self, script: &str) -> String {
        ok(&["docker", "exec", &self.container, "timeout", "80", "sh", "-c", script])
    }

    fn write(&self, path: &str, text: &str) {
        self.shell(&format!("mkdir -p $(dirname {path}); cat > {path} <<'END'\n{text}\nEND"));
    }

    /// A property of the unit.
    fn show(&self, property: &str) -> String {
        self.shell(&format!("systemctl show --value --property {property} seaworthyd"))
    }

    /// The daemon's records in the journal.
    fn records(&self) -> Vec<Value> {
        let lines = self.shell("journalctl --output json --unit seaworthyd");
        let records = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        records.filter(|record| record.get("SEAWORTHYD_EVENT").is_some()).collect()
    }

    fn count(&self, event: &str) -> usize {
        self.records().iter().filter(|record| record["SEAWORTHYD_EVENT"] == event).count()
    }

    /// The worker's process number.
    fn worker(&self) -> String {
        let records = self.records();
        let starting = records.iter().rfind(|record| record["SEAWORTHYD_EVENT"] == "starting");
        starting.expect("a start")["SEAWORTHYD_PID"].as_str().expect("a process number").to_owned()
    }

    /// The sizes of the crashes' dumps, which nobody but the unit's user may read.
    fn dumps(&self) -> Vec<u64> {
        let records = self.records();
        let saved = records.iter().filter(|record| record["SEAWORTHYD_EVENT"] == "crash-saved");
        let dump = |record: &Value| {
            let path = record["SEAWORTHYD_DUMP"].as_str().unwrap_or_else(|| panic!("no dump: {record}"));
            let about = self.shell(&format!("stat -c '%a %s' {path}; head -c 4 {path}"));
            let (about, magic) = about.split_once('\n').expect("two lines");
            let (mode, size) = about.split_once(' ').expect("two words");
            assert_eq!((mode, magic), ("600", "MDMP"));
            size.parse().expect("a number")
        };
        saved.map(dump).collect()
    }

    /// How many processes have such a command line; words are separated, and the last one followed, by a space.
    fn processes(&self, pattern: &str) -> usize {
        let lines = "for one in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$one; echo; done 2>/dev/null";
        let script = format!("{lines} | grep -cE '{pattern}' || true");
        self.shell(&script).parse().expect("a number")
    }

    fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so() {
            let told =
                || self.try_shell("systemctl status seaworthyd; journalctl --no-pager | tail -n 40").stdout;
            assert!(Instant::now() < deadline, "not yet: {what}\n{}", String::from_utf8_lossy(&told()));
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        run(&["docker", "rm", "--force", &self.container]);
    }
}

/// A workload whose processes are found by `mark`, and which heeds no SIGTERM; its child has a session of its own.
fn stubborn(name: &str, mark: &str) -> String {
    let script = format!("trap '' TERM; setsid sleep {mark}0 & while :; do sleep {mark}; done");
    format!("[[workloads]]\nname = \"{name}\"\ncommand = \"/bin/sh\"\nargs = [\"-c\", \"{script}\"]\n")
}

#[test]
fn the_unit_lives_under_systemd() {
    let machine = Machine::boot();
    let file = "/etc/seaworthyd/seaworthyd.toml";
    let base = "stop_seconds = 1\n[queue]\n[[queue.commands]]\nname = \"note\"\ncommand = \"/bin/true\"\n";
    machine.write(file, &format!("{base}{}", stubborn("one", "1111")));

    // Started means ready; the journal has every field, as the unit's own user.
    machine.shell("systemctl start seaworthyd");
    assert_eq!((machine.show("ActiveState"), machine.show("NRestarts")), ("active".into(), "0".into()));
    let records = machine.records();
    let started =
        records.iter().find(|record| record["SEAWORTHYD_EVENT"] == "workload-started").expect("started");
    assert_eq!(
        (&started["SEAWORTHYD_WORKLOAD"], &started["SYSLOG_IDENTIFIER"], &started["PRIORITY"]),
        (&"one".into(), &"seaworthyd".into(), &"6".into())
    );
    assert_eq!(started["MESSAGE_ID"], "7d1c1f0e64a34b2f9c582ab1c3f600c8");
    assert_eq!(started["_SYSTEMD_UNIT"], "seaworthyd.service");
    assert_ne!(started["_UID"], "0", "it is not root");
    machine.until("the workload's child runs", || machine.processes("^sleep 11110 ") == 1);

    // Its state directory holds the queue; root may push.
    let pushed = machine.shell("echo body | seaworthyd queue push --run note");
    assert_eq!(pushed, "task 1 accepted");
    machine.until("the task is done", || machine.count("task-done") == 1);
    assert!(machine.shell("ls /var/lib/seaworthyd/queue").contains("0000000001.segment"));

    // A good file is taken over, a bad one changes nothing; systemd waits for both.
    let main = machine.show("MainPID");
    machine.write(file, &format!("{base}{}{}", stubborn("one", "1111"), stubborn("two", "2222")));
    machine.shell("systemctl reload seaworthyd");
    assert_eq!(machine.count("reloaded"), 1);
    machine.until("the new workload runs", || machine.processes("^sleep 22220 ") == 1);
    machine.write(file, "nonsense = 1\n");
    assert!(!machine.try_shell("systemctl reload seaworthyd").status.success());
    assert_eq!(machine.count("reload-refused"), 1);
    assert!(machine.shell("journalctl --unit seaworthyd").contains("unknown field `nonsense`"));
    assert_eq!((machine.show("ActiveState"), machine.show("MainPID")), ("active".into(), main.clone()));
    assert_eq!(machine.processes("^sleep (1111|2222)0 "), 2);
    machine.write(file, &format!("{base}{}", stubborn("one", "1111")));

    // A guardian that stands still misses the watchdog: systemd ends all of it, and starts it again.
    machine.shell(&format!("kill -STOP {main}"));
    machine.until("systemd has restarted it", || machine.show("NRestarts") == "1");
    machine.until("it runs again", || machine.show("ActiveState") == "active");
    assert_ne!(machine.show("MainPID"), main);
    machine.until("only the new workload is there", || {
        machine.processes("^sleep 11110 ") == 1 && machine.processes("^sleep 22220 ") == 0
    });

    // A worker that stands still is the guardian's to restart: systemd does not notice.
    let worker = machine.worker();
    machine.shell(&format!("kill -STOP {worker}"));
    machine.until("the guardian has restarted it", || machine.count("worker-crashed") == 1);
    machine.until("it is ready", || machine.shell("seaworthyd status || true").contains("running"));
    assert_eq!(machine.show("NRestarts"), "1");
    assert_eq!(machine.dumps().len(), 1, "of the one that stood still, before its end");

    // One that crashes leaves a dump, too, in spite of all that the unit takes away.
    let worker = machine.worker();
    machine.shell(&format!("kill -SEGV {worker}"));
    machine.until("its successor tells", || machine.count("crash-saved") == 2);
    machine.until("it is ready", || machine.shell("seaworthyd status || true").contains("running"));
    assert_eq!((machine.show("NRestarts"), machine.dumps().len()), ("1".into(), 2));

    // A stop ends what does not heed it, sessions of their own included, and is a success.
    machine.shell("systemctl stop seaworthyd");
    assert_eq!((machine.show("ActiveState"), machine.show("Result")), ("inactive".into(), "success".into()));
    assert_eq!(machine.processes("^sleep (1111|2222)|^[^ ]*seaworthyd "), 0);
    assert!(machine.count("workload-killed") >= 1);
    assert_eq!(machine.records().last().expect("records")["SEAWORTHYD_EVENT"], "stopped");

    // What does not mend itself is not tried again.
    machine.write(file, "nonsense = 1\n");
    assert!(!machine.try_shell("systemctl start seaworthyd").status.success());
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!((machine.show("ActiveState"), machine.show("ExecMainStatus")), ("failed".into(), "3".into()));
}
