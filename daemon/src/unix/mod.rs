//! Linux: signals; processes and systemd are in the files beside.

mod process;
pub(crate) mod socket;
mod systemd;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Sender};
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

use crate::command_line::Manage;
use crate::control::protocol::Answer;
use crate::failure::{Cause, Failure};
use crate::guardian::{Notice, guard};
use crate::identity::NAME;
use crate::state::Control;

pub(crate) use process::{Process, spawn_worker};
use systemd::Systemd;

/// Supervises until SIGTERM or SIGINT.
pub(crate) fn run_in_foreground(config: Option<&Path>) -> Result<(), Failure> {
    let (sender, inbox) = mpsc::channel();
    forward_signals(sender.clone())?;
    guard(config, &mut Systemd, (sender, inbox))
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

/// The service's own controls that do not go to the running daemon.
pub(crate) fn control_service(control: Control) -> Option<Result<Answer, Failure>> {
    let hint = match control {
        Control::Start => "systemctl start seaworthyd, or: seaworthyd run",
        Control::Restart => "systemctl restart seaworthyd",
        _ => return None,
    };
    let message = format!("{} is not done here: systemd manages {NAME} on this system", control.name());
    Some(Err(Failure::new(Cause::Usage, message, hint)))
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
