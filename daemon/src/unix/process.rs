//! A workload's process and everything it starts.
#![expect(clippy::disallowed_methods, reason = "the one place that spawns workloads on Linux")]

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};

use crate::config::ReloadSignal;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

/// Starts this program again as a worker, in a process group of its own: a terminal's Ctrl-C is the guardian's to hear.
pub(crate) fn spawn_worker(args: &[OsString]) -> io::Result<Child> {
    // By what runs, not by its path: during an upgrade another program may be there.
    Command::new("/proc/self/exe")
        .arg0(crate::identity::NAME)
        .args(args)
        .process_group(0)
        // Only the guardian speaks to systemd.
        .env_remove("NOTIFY_SOCKET")
        .env_remove("WATCHDOG_USEC")
        .env_remove("WATCHDOG_PID")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
}

/// A workload's process, leader of a process group of its own.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    group: Pid,
}

impl Process {
    pub(crate) fn spawn(command: &Path, args: &[String]) -> io::Result<Self> {
        let child = Command::new(command)
            .args(args)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        Ok(Self { group: Pid::from_child(&child), child })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn take_output(&mut self) -> (Option<ChildStdout>, Option<ChildStderr>) {
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

    /// Asks the whole group; a stopped one is woken to hear it.
    pub(crate) fn ask_to_stop(&mut self) -> io::Result<()> {
        rustix::process::kill_process_group(self.group, Signal::TERM)?;
        rustix::process::kill_process_group(self.group, Signal::CONT)?;
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

    /// Ends the whole group.
    pub(crate) fn kill_tree(&mut self) {
        // Fails only when nothing is left to kill.
        let _ = rustix::process::kill_process_group(self.group, Signal::KILL);
    }

    pub(crate) fn reap(&mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }
}
