//! Linux: process groups, signals, and systemd's notification socket.
#![expect(clippy::disallowed_methods, reason = "the one place that spawns workloads on Linux")]

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use sd_notify::NotifyState;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::command_line::Manage;
use crate::config::Config;
use crate::failure::{Cause, Failure};
use crate::identity::NAME;
use crate::log::Log;
use crate::state::{Control, State};
use crate::supervisor::{Host, Message, Supervisor};

/// Supervises until SIGTERM or SIGINT.
pub(crate) fn run_in_foreground(config: Config) -> Result<(), Failure> {
    let log = open_log(&config)?;
    let (sender, inbox) = mpsc::channel();
    forward_signals(sender.clone())?;
    Supervisor::new(config, log, &mut Systemd, (sender, inbox)).run()
}

/// Refused: `--service` is how the Windows service manager starts the daemon.
pub(crate) fn run_as_service(_config: Result<Config, Failure>) -> Result<(), Failure> {
    let message = "run --service is for the Windows service manager";
    Err(Failure::new(Cause::Usage, message, "use: seaworthyd run (the systemd unit does)"))
}

/// Refused: systemd does this on Linux.
pub(crate) fn manage(what: Manage) -> Result<String, Failure> {
    let (name, hint) = match what {
        Manage::Install { .. } => (
            "install",
            "copy seaworthyd.service to /etc/systemd/system, then: systemctl enable --now seaworthyd",
        ),
        Manage::Uninstall => ("uninstall", "systemctl disable --now seaworthyd"),
        Manage::Start => ("start", "systemctl start seaworthyd"),
        Manage::Stop => ("stop", "systemctl stop seaworthyd"),
        Manage::Status => ("status", "systemctl status seaworthyd"),
    };
    Err(Failure::new(
        Cause::Usage,
        format!("{name} is not done here: systemd manages {NAME} on this system"),
        hint,
    ))
}

fn open_log(config: &Config) -> Result<Log, Failure> {
    let Some(path) = &config.log_file else { return Ok(Log::to_stderr(NAME)) };
    Log::to_file(NAME, path).map_err(|error| {
        let message = format!("cannot open log file {}: {error}", path.display());
        Failure::new(Cause::System, message, "create its folder and make it writable")
    })
}

fn forward_signals(sender: Sender<Message>) -> Result<(), Failure> {
    let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(|error| {
        let message = format!("cannot listen for signals: {error}");
        Failure::new(Cause::System, message, "raise the limit of open files")
    })?;
    thread::spawn(move || {
        for _ in signals.forever() {
            if sender.send(Message::Control(Control::Stop)).is_err() {
                return;
            }
        }
    });
    Ok(())
}

/// systemd, if it gave us a `NOTIFY_SOCKET` (sd_notify(3)); otherwise nobody.
struct Systemd;

impl Host for Systemd {
    fn report(&mut self, state: State, patience: Duration) -> io::Result<()> {
        let microseconds = u32::try_from(patience.as_micros()).unwrap_or(u32::MAX);
        match state {
            State::Running => sd_notify::notify(&[NotifyState::Ready]),
            State::StopPending => {
                sd_notify::notify(&[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(microseconds)])
            }
            _ => Ok(()),
        }
    }

    fn pulse(&self) -> Option<Duration> {
        // Half of it is systemd's own advice (sd_watchdog_enabled(3)).
        sd_notify::watchdog_enabled().map(|limit| limit / 2)
    }

    fn alive(&mut self) -> io::Result<()> {
        match sd_notify::watchdog_enabled() {
            Some(_) => sd_notify::notify(&[NotifyState::Watchdog]),
            None => Ok(()),
        }
    }
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
            // Only the daemon itself may speak to systemd.
            .env_remove("NOTIFY_SOCKET")
            .env_remove("WATCHDOG_USEC")
            .env_remove("WATCHDOG_PID")
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

    /// Ends the whole group.
    pub(crate) fn kill_tree(&mut self) {
        // Fails only when nothing is left to kill.
        let _ = rustix::process::kill_process_group(self.group, Signal::KILL);
    }

    pub(crate) fn reap(&mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }
}
