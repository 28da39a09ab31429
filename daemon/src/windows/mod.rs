//! Windows: console events; everything else is in the files beside.
#![expect(unsafe_code, reason = "console events have no safe interface")]

mod access;
#[allow(dead_code, reason = "process.rs takes it up")]
pub(crate) mod console;
mod event_log;
mod event_source;
mod manage;
#[allow(dead_code, reason = "the control protocol takes it up")]
pub(crate) mod pipe;
mod process;
mod service;
mod service_manager;
mod wide;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use windows_sys::Win32::Foundation::TRUE;
use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, CTRL_C_EVENT, SetConsoleCtrlHandler};

use crate::config::Config;
use crate::failure::{Cause, Failure};
use crate::identity::NAME;
use crate::log::Log;
use crate::state::{Control, State};
use crate::supervisor::{Host, Message, Supervisor};

#[allow(unused_imports, reason = "the log takes it up")]
pub(crate) use event_log::EventLog;
#[allow(unused_imports, reason = "the command line takes them up")]
pub(crate) use manage::{Drive, Installation, doctor, drive, install_service, manage};
pub(crate) use process::Process;
pub(crate) use service::run_as_service;

/// Where the console's events go; a console has one handler for the life of the process.
static CONSOLE: OnceLock<Sender<Message>> = OnceLock::new();

/// Supervises until Ctrl-C, Ctrl-Break or the console's end.
pub(crate) fn run_in_foreground(config: Config) -> Result<(), Failure> {
    let log = match &config.log_file {
        Some(path) => open_log(path)?,
        None => Log::to_stderr(NAME),
    };
    let (sender, inbox) = mpsc::channel();
    CONSOLE.get_or_init(|| sender.clone());
    // SAFETY: `on_console_event` has the required signature and lives as long as the program.
    // It fails only without a console, and then there is nothing to hear.
    unsafe { SetConsoleCtrlHandler(Some(on_console_event), TRUE) };
    Supervisor::new(config, log, &mut Nobody, (sender, inbox)).run()
}

/// `%ProgramData%\seaworthyd`, where the service keeps what it writes.
pub(crate) fn data_folder() -> PathBuf {
    std::env::var_os("ProgramData").map_or_else(|| PathBuf::from(r"C:\ProgramData"), PathBuf::from).join(NAME)
}

/// Appends to `path`.
pub(crate) fn open_log(path: &Path) -> Result<Log, Failure> {
    Log::to_file(NAME, path).map_err(|error| {
        let message = format!("cannot open log file {}: {error}", path.display());
        Failure::new(Cause::System, message, "create its folder and make it writable")
    })
}

unsafe extern "system" fn on_console_event(event: u32) -> i32 {
    if let Some(sender) = CONSOLE.get() {
        let _ = sender.send(Message::Control(Control::Stop));
    }
    if event != CTRL_C_EVENT && event != CTRL_BREAK_EVENT {
        // Close, log-off and shutdown end the process as soon as this returns: let `main` return first.
        thread::sleep(Duration::from_secs(30));
    }
    TRUE
}

/// In a console nobody waits for states.
struct Nobody;

impl Host for Nobody {
    fn report(&mut self, _state: State, _patience: Duration) -> io::Result<()> {
        Ok(())
    }

    fn pulse(&self) -> Option<Duration> {
        None
    }

    fn alive(&mut self) -> io::Result<()> {
        Ok(())
    }
}
