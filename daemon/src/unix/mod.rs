//! Linux: signals; processes and systemd are in the files beside.

mod accounts;
mod children;
#[cfg_attr(not(test), expect(dead_code, reason = "no command asks for it yet"))]
mod daemonize;
mod inheritance;
mod lock;
mod marker;
#[cfg_attr(not(test), expect(dead_code, reason = "no command reads it yet"))]
mod pid_file;
mod privileges;
mod process;
mod procfs;
mod sweep;
mod systemd;
mod tree;

use std::sync::mpsc::{self, Sender};
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::command_line::Manage;
use crate::config::Config;
use crate::failure::{Cause, Failure};
use crate::identity::NAME;
use crate::log::Log;
use crate::state::Control;
use crate::supervisor::{Message, Supervisor};

pub(crate) use process::Process;
use systemd::Systemd;

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
