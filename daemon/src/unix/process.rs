//! A workload's process and everything it starts.
#![expect(clippy::disallowed_methods, reason = "the one place that spawns workloads on Linux")]

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

use super::tree::{Ended, Hunt};
use super::{children, marker, privileges, tree};
use crate::config::ReloadSignal;
use crate::failure::{Cause, Failure};
use crate::launch::Launch;
use crate::log::{Event, Log, Value};

/// What only the daemon itself may use: systemd's socket, watchdog and listening sockets.
const OWN_VARIABLES: [&str; 6] =
    ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"];

/// Starts this program again as a worker, in a process group of its own: a terminal's Ctrl-C is the guardian's to hear.
pub(crate) fn spawn_worker(args: &[OsString]) -> io::Result<Child> {
    // By what runs, not by its path: during an upgrade another program may be there.
    let mut command = Command::new("/proc/self/exe");
    command.arg0(crate::identity::NAME).args(args).process_group(0);
    for variable in OWN_VARIABLES {
        command.env_remove(variable);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()
}

/// Starts this program again to write a worker's dump into `file`, out of a terminal's reach like the worker.
pub(crate) fn spawn_dumper(words: &[String], file: File) -> io::Result<Child> {
    let mut command = Command::new("/proc/self/exe");
    command.arg0(crate::identity::NAME).args(words).process_group(0);
    command.stdin(Stdio::null()).stdout(file).stderr(Stdio::piped()).spawn()
}

/// Starts this program as a daemon of the old kind, and waits until it is ready; why not is on standard error.
pub(crate) fn launch_daemon(config: Option<&Path>) -> Result<(), Failure> {
    let mut command = Command::new("/proc/self/exe");
    command.arg0(crate::identity::NAME).args(["run", "--daemonize"]);
    if let Some(config) = config {
        command.arg("--config").arg(config);
    }
    let status = command.stdin(Stdio::null()).status().map_err(|error| {
        Failure::new(
            Cause::System,
            format!("cannot start the daemon: {error}"),
            "raise the limit of processes",
        )
    })?;
    match status.code().and_then(|code| u8::try_from(code).ok()) {
        Some(0) => Ok(()),
        code => Err(Failure::told(code.unwrap_or(Cause::System as u8), String::new())),
    }
}

/// What a workload prints: its standard output and error, each once.
pub(crate) type Printed = (Option<ChildStdout>, Option<ChildStderr>);

/// A workload's process, leader of a process group of its own.
pub(crate) struct Process {
    child: Child,
    group: Pid,
    name: String,
    log: Log,
}

impl Process {
    /// Starts it with its privileges applied; the log has an audit record of them, also when it is not started.
    pub(crate) fn spawn(launch: &Launch) -> io::Result<Self> {
        let mut command = Command::new(&launch.command);
        command.args(&launch.args).process_group(0);
        for variable in OWN_VARIABLES {
            command.env_remove(variable);
        }
        if let Some(folder) = &launch.folder {
            command.current_dir(folder);
        }
        let stdin = if launch.input.is_some() { Stdio::piped() } else { Stdio::null() };
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = privileges::start(command, launch)?;
        launch.feed(child.stdin.take());
        let (name, log) = (launch.name.clone(), launch.log.clone());
        Ok(Self { group: Pid::from_child(&child), child, name, log })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn take_output(&mut self) -> Printed {
        (self.child.stdout.take(), self.child.stderr.take())
    }

    /// Blocks until the process ends, without reaping it: its number, and so its group's, stays ours until
    /// [`Process::reap`], and a late signal cannot hit a stranger.
    pub(crate) fn waiter(&mut self) -> impl FnOnce() + Send + 'static {
        let pid = self.group;
        move || {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while let Err(rustix::io::Errno::INTR) = rustix::process::waitid(WaitId::Pid(pid), options) {}
        }
    }

    /// Asks the whole tree; a stopped group is woken to hear it.
    pub(crate) fn ask_to_stop(&mut self) -> io::Result<()> {
        rustix::process::kill_process_group(self.group, Signal::TERM)?;
        rustix::process::kill_process_group(self.group, Signal::CONT)?;
        let waited_for = children::waited_for();
        self.hunt(&waited_for, |hunt| {
            hunt.for_each(|entry| {
                if entry.group != self.group.as_raw_pid() {
                    tree::signal(entry, Signal::TERM);
                }
            });
        });
        Ok(())
    }

    /// Sends the workload's own signal for a reload to its first process.
    pub(crate) fn signal(&self, signal: ReloadSignal) -> io::Result<()> {
        let signal = match signal {
            ReloadSignal::Hup => Signal::HUP,
            ReloadSignal::Usr1 => Signal::USR1,
            ReloadSignal::Usr2 => Signal::USR2,
        };
        Ok(rustix::process::kill_process(self.group, signal)?)
    }

    /// Ends the whole tree: the group, what left it, and what its parents left. Costs one system call when the process has
    /// ended and left nothing, provided that the daemon's first thread asks.
    pub(crate) fn kill_tree(&mut self) {
        if self.has_ended() && children::has_surely_no_orphan() {
            return;
        }
        // Held to the end: a child that is being made right now has no mark yet.
        let waited_for = children::waited_for();
        let outcome = self.hunt(&waited_for, |hunt| hunt.end());
        // What `/proc` hides (hidepid) is still in the group. Fails only when nothing is left there.
        let _ = rustix::process::kill_process_group(self.group, Signal::KILL);
        drop(waited_for);
        children::reap_orphans();
        self.tell(&outcome);
    }

    pub(crate) fn reap(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait();
        children::forget(self.group.as_raw_pid());
        status
    }

    /// For the processes of this workload.
    fn hunt<T>(&self, waited_for: &[i32], then: impl FnOnce(&Hunt<'_>) -> T) -> T {
        let (root, mark, is_subreaper) =
            (self.group.as_raw_pid(), marker::of(&self.name), children::is_subreaper());
        let me = rustix::process::getpid().as_raw_pid();
        then(&Hunt {
            is_seed: &|entry| tree::is_of_workload(entry, root, &mark, waited_for, is_subreaper),
            spared: &|pid| pid == me || pid != root && waited_for.contains(&pid),
            reap: &|entry| children::reap(entry, waited_for),
        })
    }

    fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        matches!(rustix::process::waitid(WaitId::Pid(self.group), options), Ok(Some(_)))
    }

    fn tell(&self, outcome: &Ended) {
        let count = |pids: &std::collections::BTreeSet<i32>| {
            pids.iter().filter(|pid| **pid != self.group.as_raw_pid()).count()
        };
        let (ended, left) = (count(&outcome.ended), outcome.left.len());
        let fields = [
            ("workload", Value::text(&self.name)),
            ("pid", Value::number(self.id())),
            ("ended", Value::number(ended)),
            ("left", Value::number(left)),
        ];
        if left > 0 {
            self.log.write(Event::TreeLeft, "processes of a workload could not be ended", &fields);
        } else if ended > 0 {
            self.log.write(Event::TreeEnded, "what a workload had started was ended with it", &fields);
        }
    }
}
