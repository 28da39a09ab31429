//! Tests of `daemonize` as a program: asked by its environment, the test program becomes one before its own `main`, with
//! one thread, as `daemonize` wants it.
#![expect(clippy::disallowed_methods, reason = "the tests start the program under test")]

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use super::*;
use crate::os::pid_file;
use crate::os::procfs::Entry;

/// No step of a test takes longer, on a slow machine or in an emulator.
const PATIENCE: Duration = Duration::from_secs(60);
/// Debian's `nobody` and `nogroup`.
const NOBODY: u32 = 65534;

/// No process has this pid.
const STAND_IN: i32 = 0;

#[used]
// SAFETY: the section is a table of functions without arguments that run once before `main`.
#[unsafe(link_section = ".init_array")]
static BE_THE_PROGRAM: extern "C" fn() = be_the_program;

/// Does what the variables say and never returns, if they say something.
extern "C" fn be_the_program() {
    let variable = |name: &str| std::env::var(format!("SEAWORTHYD_TEST_{name}")).ok();
    let (Some(lock), Some(then)) = (variable("LOCK"), variable("THEN")) else { return };
    let release = variable("RELEASE").unwrap_or_default();
    // As std does before `main`.
    // SAFETY: ignoring needs no handler.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    let options = Options {
        lock_file: lock.into(),
        pid_file: variable("PID").map(PathBuf::from),
        user: variable("USER"),
        group: None,
    };
    let mut readiness = daemonize(&options).unwrap_or_else(|failure| {
        // Only the launcher still has a standard error.
        let _ = writeln!(std::io::stderr(), "error: {failure}");
        process::exit(i32::from(failure.code()))
    });
    match then.as_str() {
        "be ready" => readiness.ready(),
        "fail" => {
            readiness.failed(&Failure::new(Cause::Config, "the port is taken", "choose another"));
            process::exit(0);
        }
        _ => process::abort(),
    }
    // Until the test opens and closes its end.
    let _ = std::fs::read(release);
    drop(readiness);
    process::exit(0);
}

/// A launch from a careless shell.
struct Launch {
    folder: tempfile::TempDir,
    variables: BTreeMap<&'static str, String>,
}

impl Launch {
    fn new(then: &str) -> Self {
        // The test program is a subreaper when other tests start workloads: its orphans, these daemons too, must not pass
        // for a workload's. They cannot while there is another workload.
        crate::os::children::waited_for().push(STAND_IN);
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("ours");
        std::fs::create_dir(folder.path().join("run")).expect("ours");
        chown(folder.path().join("run"), Some(NOBODY), None).expect("the tests run as root");
        let path = |name: &str| folder.path().join(name).display().to_string();
        let release = path("release");
        assert!(
            Command::new("mkfifo").args(["-m", "666", &release]).status().expect("mkfifo runs").success()
        );
        let variables = BTreeMap::from([
            ("LOCK", path("lock")),
            ("PID", path("run/pid")),
            ("THEN", then.to_owned()),
            ("RELEASE", release),
        ]);
        Self { folder, variables }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.variables.insert(name, value.to_owned());
        self
    }

    /// Extra groups, blocked signals; then a shell with open descriptors and ignored signals, of which it becomes one.
    fn run(&self) -> Output {
        let careless = "import os, signal, sys\n\
            os.setgroups([0, 4, 27])\n\
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD])\n\
            script = 'exec 9</etc/passwd 10>/dev/null 251</etc/hostname; trap \"\" HUP QUIT; exec \"$@\"'\n\
            os.execv('/bin/bash', ['bash', '-c', script, 'bash'] + sys.argv[1:])\n";
        let mut command = Command::new("python3");
        command.args(["-c", careless]).args(crate::os::runner()).arg(std::env::current_exe().expect("known"));
        for (name, value) in &self.variables {
            command.env(format!("SEAWORTHYD_TEST_{name}"), value);
        }
        command
            .env("SECRET", "hunter2")
            .env("LC_ALL", "C.UTF-8")
            .current_dir("/tmp")
            .output()
            .expect("python3 runs")
    }

    fn pid(&self) -> i32 {
        let text = std::fs::read_to_string(&self.variables["PID"]).expect("a pid file");
        text.lines().next().and_then(|line| line.parse().ok()).expect("a pid")
    }

    /// Lets the daemon end in order.
    fn release(&self) {
        drop(OpenOptions::new().write(true).open(&self.variables["RELEASE"]).expect("the daemon reads"));
    }
}

impl Drop for Launch {
    /// A test that failed has not released its daemon.
    fn drop(&mut self) {
        let text = std::fs::read_to_string(&self.variables["PID"]).unwrap_or_default();
        if let Some((pid, start)) = pid_file::parse(&text)
            && let Some(entry) = Entry::read(pid).filter(|entry| entry.start == start)
        {
            crate::os::tree::signal(&entry, rustix::process::Signal::KILL);
        }
        let mut waited_for = crate::os::children::waited_for();
        if let Some(index) = waited_for.iter().position(|pid| *pid == STAND_IN) {
            waited_for.remove(index);
        }
    }
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn nothing_of_the_launcher_leaks_and_everything_ends_in_order() {
    let launch = Launch::new("be ready").with("USER", "nobody");
    let output = launch.run();
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
    let pid = launch.pid();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("{name} in {status}")).split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let id = NOBODY.to_string();
    assert_eq!(line("Uid"), [id.as_str(); 4].join(" "));
    assert_eq!(line("Gid"), [id.as_str(); 4].join(" "));
    assert_eq!(line("Groups"), "");
    assert_eq!(line("Umask"), "0027");
    assert_eq!(line("SigBlk"), "0000000000000000");
    // SIGPIPE, as in every Rust program.
    assert_eq!(crate::os::ignored_signals(&line("SigIgn")), 0x1000);
    for set in ["CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(line(set), "0000000000000000", "{set}");
    }

    let link = |name: &str| std::fs::read_link(format!("/proc/{pid}/{name}")).expect("a link");
    assert_eq!(link("cwd"), Path::new("/"));
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("readable");
    let mut open: Vec<_> =
        open.map(|entry| link(&format!("fd/{}", entry.expect("listed").file_name().display()))).collect();
    open.sort();
    let mut expected = vec![PathBuf::from("/dev/null"); 3];
    expected.push(launch.folder.path().join("lock"));
    expected.sort();
    assert_eq!(open, expected);

    let is_emulated = !crate::os::runner().is_empty();
    let environment = std::fs::read(format!("/proc/{pid}/environ")).expect("readable");
    let environment = String::from_utf8_lossy(&environment);
    // An emulator keeps the host's copy, which the program in it cannot reach.
    assert!(
        is_emulated || !environment.contains("hunter2") && !environment.contains("SEAWORTHYD"),
        "{environment:?}"
    );

    let entry = Entry::read(pid).expect("it runs");
    assert!(entry.session != pid && entry.group == entry.session, "it leads no session: {entry:?}");
    assert!(Entry::read(entry.session).is_none_or(|leader| !leader.is_alive()), "and its leader has ended");
    let mode = std::fs::metadata(&launch.variables["PID"]).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o640);

    let second = launch.run();
    assert_eq!(second.status.code(), Some(1));
    let expected = format!("process {pid} holds lock file {}", launch.variables["LOCK"]);
    assert!(stderr(&second).contains(&expected), "{}", stderr(&second));
    assert_eq!(launch.pid(), pid, "the pid file is still the first one's");

    launch.release();
    wait_until("the daemon ends", || {
        !entry.is_same() || !Entry::read(pid).is_some_and(|entry| entry.is_alive())
    });
    assert!(!Path::new(&launch.variables["PID"]).exists());
}

#[test]
fn without_a_user_groups_and_descriptors_are_shed_all_the_same() {
    let launch = Launch::new("be ready");
    assert_eq!(launch.run().status.code(), Some(0));
    let pid = launch.pid();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    assert!(status.lines().any(|line| line.trim_end() == "Groups:"), "{status}");
    for descriptor in [9, 10, 251] {
        assert!(!Path::new(&format!("/proc/{pid}/fd/{descriptor}")).exists(), "{descriptor}");
    }
    launch.release();
    wait_until("the daemon ends", || !Path::new(&launch.variables["PID"]).exists());
}

#[test]
fn what_goes_wrong_is_the_launchers_status_and_message() {
    let run = |launch: Launch| {
        let output = launch.run();
        (output.status.code(), stderr(&output))
    };
    let (code, message) = run(Launch::new("be ready").with("USER", "no-such-user"));
    assert_eq!(code, Some(3));
    assert!(message.contains("unknown user \"no-such-user\"") && message.contains("next: "), "{message}");

    let (code, message) = run(Launch::new("be ready").with("PID", "/no/such/folder/pid"));
    assert_eq!(code, Some(1));
    assert!(message.contains("cannot write pid file /no/such/folder/pid"), "{message}");

    // The folder is root's, the daemon is not.
    let launch = Launch::new("be ready").with("USER", "nobody");
    let path = launch.folder.path().join("pid").display().to_string();
    let (code, message) = run(launch.with("PID", &path));
    assert_eq!(code, Some(1));
    assert!(message.contains(&path) && message.contains("Permission denied"), "{message}");

    let (code, message) = run(Launch::new("fail"));
    assert_eq!((code, message.as_str()), (Some(3), "error: the port is taken\n  next: choose another\n"));

    let (code, message) = run(Launch::new("die"));
    assert_eq!(code, Some(1));
    assert!(message.contains("ended before it was ready"), "{message}");
}
