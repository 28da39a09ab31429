//! Privileges as seen by the programs that run with them: read back from `/proc`, and refused for real.

use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::launch::Launch;
use crate::log::{Log, LogSettings};
use crate::os::{Process, procfs, runner};
use crate::privileges::Privileges;

/// What a run came to.
struct Run {
    output: String,
    success: bool,
    log: String,
}

impl Run {
    fn audit(&self, event: &str) -> serde_json::Value {
        audit(&self.log, event)
    }

    fn status(&self, name: &str) -> String {
        let line = self.output.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("{name} in {}", self.output))
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    }
}

fn audit(log: &str, event: &str) -> serde_json::Value {
    let records = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    let found = records.into_iter().find(|record| record["event"] == event);
    found.unwrap_or_else(|| panic!("no {event} in {log}"))
}

fn parse(privileges: &str) -> Privileges {
    let privileges: Privileges = toml::from_str(privileges).expect("valid");
    privileges.check().expect("valid");
    privileges
}

fn start(privileges: &str, command: &str, args: &[&str]) -> (std::io::Result<Process>, tempfile::TempDir) {
    // Tests run side by side, and where orphans are found by their mark alone, a name must be one workload's.
    static STARTED: AtomicU32 = AtomicU32::new(0);
    let name = format!("test-{}", STARTED.fetch_add(1, Ordering::Relaxed));
    let folder = tempfile::tempdir().expect("a folder");
    let log = Log::open("test", &LogSettings::of_file(Some(folder.path().join("log")))).expect("a log");
    let args: Vec<String> = args.iter().map(|argument| (*argument).to_owned()).collect();
    let mut launch = Launch::new(&name, Path::new(command), &args, &log);
    launch.privileges = parse(privileges);
    launch.environment = vec![("ADDED".to_owned(), "yes".to_owned())];
    (Process::spawn(&launch), folder)
}

/// Standard output and error of a shell script.
fn run(privileges: &str, script: &str) -> Run {
    let (process, folder) = start(privileges, "/bin/sh", &["-c", &format!("exec 2>&1\n{script}")]);
    let mut process = process.unwrap_or_else(|error| panic!("{error} with {privileges}"));
    let mut output = String::new();
    process.take_output().0.expect("piped").read_to_string(&mut output).expect("text");
    process.waiter()();
    process.kill_tree();
    let success = process.reap().expect("a status").success();
    Run { output, success, log: std::fs::read_to_string(folder.path().join("log")).expect("a log") }
}

/// The error, and the log.
fn refusal(privileges: &str, command: &str) -> (String, String) {
    let (process, folder) = start(privileges, command, &[]);
    let error = process.err().unwrap_or_else(|| panic!("started with {privileges}"));
    (error.to_string(), std::fs::read_to_string(folder.path().join("log")).unwrap_or_default())
}

#[test]
fn by_default_nothing_is_kept() {
    let run = run("", "cat /proc/self/status");
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "SigBlk"] {
        assert_eq!(run.status(set), "0000000000000000", "{set}");
    }
    assert_eq!(crate::os::ignored_signals(&run.status("SigIgn")), 0);
    assert_eq!((run.status("Uid").as_str(), run.status("Groups").as_str()), ("0 0 0 0", ""));
    assert_eq!((run.status("NoNewPrivs").as_str(), run.status("Seccomp").as_str()), ("1", "0"));
    let record = run.audit("privileges-applied");
    assert_eq!(record["level"], "audit-success");
    assert_eq!(record["fields"]["capabilities"], "none");
}

#[test]
fn a_user_is_changed_to_for_good_and_keeps_only_what_is_listed() {
    let privileges = "user = \"nobody\"\nsupplementary_groups = [\"27\", \"adm\"]\ncapabilities = [\"net_bind_service\"]\n\
                      umask = 0o027\n[limits]\nopen_files = 64\ncore_bytes = 0\n";
    let seen = run(privileges, "cat /proc/self/status; cat /proc/self/limits; echo $HOME $USER $ADDED");
    assert_eq!(seen.status("Uid"), "65534 65534 65534 65534");
    assert_eq!(seen.status("Gid"), "65534 65534 65534 65534");
    assert_eq!(seen.status("Groups"), "4 27");
    for set in ["CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(seen.status(set), "0000000000000400", "{set}");
    }
    assert_eq!(seen.status("Umask"), "0027");
    let limits =
        seen.output.lines().filter(|line| line.starts_with("Max open files") || line.starts_with("Max core"));
    let limits: Vec<Vec<&str>> =
        limits.map(|line| line.split_whitespace().rev().skip(1).take(2).collect()).collect();
    assert_eq!(limits, [["0", "0"], ["64", "64"]], "{}", seen.output);
    assert!(seen.output.ends_with("/nonexistent nobody yes\n"), "{}", seen.output);
    let record = seen.audit("privileges-applied");
    assert_eq!(record["fields"]["capabilities"], "net_bind_service");
    assert_eq!(record["fields"]["user"], "65534");

    let back = "python3 -c 'import os; os.setuid(0)'; python3 -c 'import os; os.setgid(0)'; \
                python3 -c 'import os; os.setgroups([0])'";
    assert_eq!(run(privileges, back).output.matches("PermissionError").count(), 3);
    let bind = "python3 -c 'import socket; socket.socket().bind((\"127.0.0.1\", 67))'";
    let bound = run(privileges, bind);
    assert!(bound.success, "while the capability that is kept works: {}", bound.output);
    assert!(!run("user = \"nobody\"", bind).success);
}

#[test]
fn a_number_needs_no_entry_but_then_a_group() {
    let seen = run("user = \"4321\"\ngroup = \"1234\"", "cat /proc/self/status");
    assert_eq!(
        (seen.status("Uid").as_str(), seen.status("Gid").as_str()),
        ("4321 4321 4321 4321", "1234 1234 1234 1234")
    );
    let (error, log) = refusal("user = \"4321\"", "/bin/true");
    assert!(error.contains("set `group` too"), "{error}");
    assert_eq!(audit(&log, "privileges-refused")["level"], "audit-failure");
}

#[test]
fn what_cannot_be_applied_is_refused_by_name() {
    for (privileges, expected) in [
        ("user = \"no-such-user\"", "unknown user \"no-such-user\""),
        ("supplementary_groups = [\"no-such-group\"]", "unknown group"),
        (
            "[limits]\nopen_files = 18446744073709551615",
            "limits: setting resource limits: Operation not permitted",
        ),
    ] {
        let (error, log) = refusal(privileges, "/bin/true");
        assert!(error.contains(expected), "{error}");
        let record = audit(&log, "privileges-refused");
        assert!(record["fields"]["error"].as_str().expect("text").contains(expected), "{record}");
    }
    // A program that is missing is no question of privileges.
    let (error, log) = refusal("", "/no/such/program");
    assert!(error.contains("No such file") && !log.contains("privileges"), "{error} {log}");
}

#[test]
fn nothing_of_the_daemon_is_inherited() {
    // A descriptor that would be inherited, as from a careless shell.
    let open = rustix::fs::open("/etc/passwd", rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty())
        .expect("it is there");
    let run = run("", "ls /proc/$$/fd; echo $SEAWORTHYD_RUN");
    let (descriptors, marker) = run.output.trim_end().rsplit_once('\n').expect("lines");
    assert_eq!(descriptors, "0\n1\n2");
    let name = run.audit("privileges-applied")["workload"].clone();
    assert_eq!(marker, crate::os::marker::of(name.as_str().expect("text")));
    drop(open);
}

#[test]
fn namespaces_are_its_own() {
    let script = "readlink /proc/self/ns/net /proc/self/ns/uts; mount -t tmpfs none /mnt && touch /mnt/inside && ls /mnt";
    let privileges = "namespaces = [\"net\", \"uts\", \"mount\"]\ncapabilities = [\"sys_admin\"]";
    let seen = run(privileges, script);
    for kind in ["net", "uts"] {
        let own = std::fs::read_link(format!("/proc/self/ns/{kind}")).expect("a link");
        assert!(!seen.output.contains(&own.display().to_string()), "{}", seen.output);
    }
    assert!(seen.output.ends_with("inside\n"), "{}", seen.output);
    assert!(!Path::new("/mnt/inside").exists(), "the mount stays inside");
}

/// Landlock and seccomp as the kernel has them; an emulator of user programs has neither.
fn is_emulated() -> bool {
    !runner().is_empty()
}

#[test]
fn seccomp_refuses_what_capabilities_would_allow() {
    if is_emulated() {
        return is_told_unsupported("seccomp = \"default\"", "seccomp");
    }
    let allowed = "namespaces = [\"mount\"]\ncapabilities = [\"sys_admin\"]\n";
    let filtered = format!("{allowed}seccomp = \"default\"\n");
    // Refused with and without the program's own way to report it.
    for script in [
        "mount -t tmpfs none /mnt",
        "unshare --uts true",
        "unshare --user true",
        "python3 -c 'import ctypes, sys; sys.exit(-ctypes.CDLL(None).ptrace(0, 0, 0, 0))'",
    ] {
        let control = run(allowed, script);
        assert!(control.success, "without the filter {script} works: {}", control.output);
        assert!(!run(&filtered, script).success, "{script}");
    }
    let seen = run(&filtered, "mount -t tmpfs none /mnt; cat /proc/self/status");
    assert!(
        seen.output.to_lowercase().contains("permission denied") || seen.output.contains("not permitted"),
        "{}",
        seen.output
    );
    assert_eq!(seen.status("Seccomp"), "2");
    assert_eq!(seen.audit("privileges-applied")["fields"]["seccomp"], "on");
    let threads = "python3 -c 'import threading; t = threading.Thread(target=print, args=(\"alive\",)); t.start(); t.join()'";
    assert_eq!(run(&filtered, threads).output, "alive\n", "threads and children go on");
    // A child that would be the daemon's own.
    let sibling = "python3 -c 'import ctypes; print(ctypes.CDLL(None, use_errno=True).syscall(NUMBER, 0x8011, 0, 0, 0, 0))'";
    let sibling = sibling.replace("NUMBER", &libc::SYS_clone.to_string());
    assert_eq!(run(&filtered, &sibling).output, "-1\n");
}

#[test]
fn landlock_closes_everything_that_is_not_listed() {
    let listed = "[landlock]\nread = [\"/usr\", \"/lib\", \"/bin\", \"/etc/ld.so.cache\"]\n";
    if is_emulated() {
        return is_told_unsupported(listed, "landlock");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().display();
    std::fs::write(folder.path().join("secret"), "hunter2").expect("written");
    let read = format!("python3 -c 'print(open(\"{path}/secret\").read())'");
    let write = format!("python3 -c 'open(\"{path}/new\", \"w\").write(\"x\")'");
    let lib64 = if Path::new("/lib64").exists() { ", \"/lib64\"" } else { "" };
    let listed = listed.replace(", \"/bin\"", &format!(", \"/bin\"{lib64}"));
    let open = format!("{listed}write = [\"{path}\"]\n");
    assert_eq!(run(&open, &read).output, "hunter2\n");
    assert!(run(&open, &write).success && folder.path().join("new").exists());
    std::fs::remove_file(folder.path().join("new")).expect("it is there");
    let seen = run(&listed, &read);
    assert!(seen.output.contains("PermissionError"), "{}", seen.output);
    assert!(!run(&listed, &write).success && !folder.path().join("new").exists());
    let only_read = listed.replace("\"/usr\"", &format!("\"/usr\", \"{path}\""));
    assert_eq!(run(&only_read, &read).output, "hunter2\n");
    assert!(!run(&only_read, &write).success && !folder.path().join("new").exists());
    assert_eq!(seen.audit("privileges-applied")["fields"]["landlock"], "on");

    let (error, log) = refusal("[landlock]\nread = [\"/no/such/path\"]", "/bin/true");
    assert!(error.contains("landlock: cannot allow /no/such/path"), "{error}");
    audit(&log, "privileges-refused");
}

/// Refused by default, and gone without when the configuration says so; both in the audit.
fn is_told_unsupported(privileges: &str, what: &str) {
    let (error, log) = refusal(privileges, "/bin/true");
    assert!(error.contains(what) && error.contains("not implemented"), "{error}");
    assert_eq!(audit(&log, "privileges-refused")["level"], "audit-failure");
    let run = run(&format!("when_unsupported = \"continue\"\n{privileges}"), "cat /proc/self/status");
    assert_eq!(run.status("Seccomp"), "0");
    let record = run.audit("privileges-unsupported");
    assert_eq!(record["level"], "audit-failure");
    assert!(record["fields"]["unsupported"].as_str().expect("text").starts_with(what), "{record}");
    assert_eq!(run.audit("privileges-applied")["fields"][what], "unsupported");
}

#[test]
fn a_capability_that_the_daemon_lacks_is_refused() {
    let status = procfs::own_status().expect("readable");
    let permitted = procfs::status_line(&status, "CapPrm").expect("a line");
    let permitted = u64::from_str_radix(permitted, 16).expect("a set");
    let lacking = crate::privileges::names_of(!permitted);
    let Some(name) = lacking.first() else {
        // This one may have all: then the whole list can be kept.
        let all = crate::privileges::names_of(u64::MAX)
            .iter()
            .map(|name| format!("\"{name}\""))
            .collect::<Vec<_>>();
        assert!(run(&format!("capabilities = [{}]", all.join(",")), "true").success);
        return;
    };
    let (error, _) = refusal(&format!("capabilities = [\"{name}\"]"), "/bin/true");
    assert!(error.contains("the daemon itself does not have") && error.contains(name), "{error}");
}

#[test]
fn what_only_windows_has_is_refused_or_told() {
    let (error, log) = refusal("token = { integrity = \"low\" }", "/bin/true");
    assert!(error.starts_with("token: only on Windows; when_unsupported = \"continue\""), "{error}");
    audit(&log, "privileges-refused");
    let run = run("when_unsupported = \"continue\"\ntoken = {}", "true");
    assert_eq!(run.audit("privileges-unsupported")["fields"]["unsupported"], "token: only on Windows");
}
