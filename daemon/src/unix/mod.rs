//! Linux: signals; processes and systemd are in the files beside.

mod accounts;
mod children;
pub(crate) mod crash;
mod daemonize;
mod doctor;
pub(crate) mod dump;
mod inheritance;
mod lock;
mod marker;
mod pid_file;
mod privileges;
mod process;
mod procfs;
pub(crate) mod socket;
mod sweep;
mod systemd;
mod tree;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

use crate::command_line::{Daemonize, Manage, Place};
use crate::config::Config;
use crate::control::client;
use crate::control::protocol::{Answer, Outcome, Request};
use crate::failure::{Cause, Failure};
use crate::guardian::{Host, Notice, guard};
use crate::identity::NAME;
use crate::log::{Log, LogSettings};
use crate::state::{Control, State};

use daemonize::{Options, Readiness, daemonize};
pub(crate) use doctor::doctor;
pub(crate) use process::{Printed, Process, spawn_dumper, spawn_worker};
use systemd::Systemd;

/// How long a daemon that has stopped may take to end.
const UNLOCK_PATIENCE: Duration = Duration::from_secs(10);

/// Supervises until SIGTERM or SIGINT.
pub(crate) fn run_in_foreground(config: Option<&Path>) -> Result<(), Failure> {
    let (sender, inbox) = mpsc::channel();
    forward_signals(sender.clone())?;
    guard(config, false, &mut Systemd, (sender, inbox))
}

/// Supervises as a daemon of the old kind. Returns in the daemon; the launcher ends when that is ready.
pub(crate) fn run_daemonized(config: Option<PathBuf>, how: Daemonize) -> Result<(), Failure> {
    // The daemon's folder is another one, and its standard error is gone: what can be told here is.
    let config = config.map(std::path::absolute).transpose().map_err(|error| {
        let message = format!("cannot resolve the configuration's path: {error}");
        Failure::new(Cause::System, message, "give its full path")
    })?;
    let settings = config.as_ref().map_or_else(|| Ok(Config::default()), |path| Config::read(path))?.control;
    let socket = settings.path.unwrap_or_else(socket::default_path);
    let lock_file = how.lock_file.unwrap_or_else(|| beside(&socket, "lock"));
    let pid_file = Some(how.pid_file.unwrap_or_else(|| beside(&socket, "pid")));
    if let Some(folder) = lock_file.parent() {
        // If it cannot be made, locking the file in it says why.
        let _ = std::fs::create_dir_all(folder);
    }
    let options = Options { lock_file, pid_file, user: how.user, group: how.group };
    let mut launcher = Launcher(daemonize(&options)?);
    let (sender, inbox) = mpsc::channel();
    let ended = forward_signals(sender.clone())
        .and_then(|()| guard(config.as_deref(), false, &mut launcher, (sender, inbox)));
    if let Err(failure) = &ended {
        launcher.0.failed(failure);
    }
    ended
}

/// A launcher that waits for its daemon to be ready.
struct Launcher(Readiness);

impl Host for Launcher {
    fn report(&mut self, state: State, _patience: Duration) -> io::Result<()> {
        if state == State::Running {
            self.0.ready();
        }
        Ok(())
    }

    fn pulse(&self) -> Option<Duration> {
        None
    }

    fn alive(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Why no daemon answers, where somebody knows.
pub(crate) fn absence() -> Option<Failure> {
    None
}

/// Where a service logs: where it was configured to, since systemd reads standard error.
pub(crate) fn service_log(settings: LogSettings) -> Result<Log, Failure> {
    Log::open(NAME, &settings)
}

/// Makes tools such as ps show the program's name, which the way it was started hides.
pub(crate) fn prepare_worker() {
    // It is a convenience.
    let _ = rustix::thread::set_name(c"seaworthyd");
}

/// Refused: `--service` is how the Windows service manager starts the daemon.
pub(crate) fn run_as_service(_config: Option<PathBuf>) -> Result<(), Failure> {
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
    };
    let message = format!("{name} is not done here: systemd manages {NAME} on this system");
    Err(Failure::new(Cause::Usage, message, hint))
}

/// The service's own controls that do not go to the running daemon: a daemon of the old kind is started, unless systemd
/// has one of its own.
pub(crate) fn control_service(control: Control, at: &Place) -> Option<Result<Answer, Failure>> {
    let hint = match control {
        Control::Start => "systemctl start seaworthyd",
        Control::Restart => "systemctl restart seaworthyd",
        _ => return None,
    };
    if Path::new("/run/systemd/system").exists() && Path::new(doctor::UNIT).exists() {
        let message = format!("{} is not done here: systemd manages {NAME} on this system", control.name());
        return Some(Err(Failure::new(Cause::Usage, message, hint)));
    }
    Some(start(control, at))
}

/// A file that a daemon keeps in the folder of its socket.
fn beside(socket: &Path, extension: &str) -> PathBuf {
    socket.with_file_name(NAME).with_extension(extension)
}

fn start(control: Control, at: &Place) -> Result<Answer, Failure> {
    let socket = at.path()?;
    match client::ask(&socket, &Request::Status {}, &[]) {
        Ok(Answer::Status { status }) if control == Control::Start => {
            return Ok(Answer::Done { outcome: Outcome::Already, state: status.state });
        }
        Ok(_) => {
            client::ask(&socket, &Request::Control { control: Control::Stop, workload: None }, &[])?;
            // The guardian lets go of its lock a moment after the worker's answer.
            lock::wait_until_free(&beside(&socket, "lock"), UNLOCK_PATIENCE);
        }
        Err(_) => {}
    }
    process::launch_daemon(at.config())?;
    Ok(Answer::Done { outcome: Outcome::Changed, state: State::Running })
}

fn forward_signals(sender: Sender<Notice>) -> Result<(), Failure> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1]).map_err(|error| {
        let message = format!("cannot listen for signals: {error}");
        Failure::new(Cause::System, message, "raise the limit of open files")
    })?;
    thread::spawn(move || {
        for signal in signals.forever() {
            let message = match signal {
                SIGHUP => Notice::Control(Control::Reload),
                SIGUSR1 => Notice::Reopen,
                _ => Notice::Control(Control::Stop),
            };
            if sender.send(message).is_err() {
                return;
            }
        }
    });
    Ok(())
}

/// What has to run a program of this build: an emulator, or nothing. Cargo's variable is the only way to know.
#[cfg(test)]
fn runner() -> Vec<String> {
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH).to_uppercase().replace('-', "_");
    let runner = std::env::var(format!("CARGO_TARGET_{target}_RUNNER")).unwrap_or_default();
    runner.split_whitespace().map(str::to_owned).collect()
}

/// `SigIgn` of proc(5) without what is out of reach: an emulator keeps the host's signal 32 as it found it.
#[cfg(test)]
fn ignored_signals(set: &str) -> u64 {
    let set = u64::from_str_radix(set, 16).expect("a set");
    if runner().is_empty() { set } else { set & !(1 << 31) }
}
