//! Windows: console events; everything else is in the files beside.
#![expect(unsafe_code, reason = "console events have no safe interface")]

mod access;
pub(crate) mod console;
pub(crate) mod crash;
mod create;
pub(crate) mod dump;
mod event_log;
mod event_sink;
mod event_source;
pub(crate) mod interrupt;
mod job;
mod manage;
mod privileges;
mod process;
mod service;
mod service_manager;
#[path = "pipe.rs"]
pub(crate) mod socket;
mod token;
mod wide;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use windows_sys::Win32::Foundation::{FALSE, TRUE};
use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, CTRL_C_EVENT, SetConsoleCtrlHandler};

use crate::command_line::Daemonize;
use crate::failure::{Cause, Failure};
use crate::guardian::{Host, Notice, guard};
use crate::identity::NAME;
use crate::log::{Log, LogSettings};
use crate::state::{Control, State};

use event_log::EventLog;
pub(crate) use manage::{absence, control_service, doctor, manage};
pub(crate) use process::{Printed, Process, spawn_dumper, spawn_worker};
pub(crate) use service::run_as_service;

/// Where the console's events go; a console has one handler for the life of the process.
static CONSOLE: OnceLock<Sender<Notice>> = OnceLock::new();

/// Supervises until Ctrl-C, Ctrl-Break or the console's end.
pub(crate) fn run_in_foreground(config: Option<&Path>) -> Result<(), Failure> {
    let (sender, inbox) = mpsc::channel();
    CONSOLE.get_or_init(|| sender.clone());
    // SAFETY: `on_console_event` has the required signature and lives as long as the program.
    // It fails only without a console, and then there is nothing to hear.
    unsafe { SetConsoleCtrlHandler(Some(on_console_event), TRUE) };
    guard(config, false, &mut Nobody, (sender, inbox))
}

/// Refused: Windows has services for this.
pub(crate) fn run_daemonized(_config: Option<PathBuf>, _how: Daemonize) -> Result<(), Failure> {
    let message = "run --daemonize is for Linux";
    Err(Failure::new(Cause::Usage, message, "use: seaworthyd install, then seaworthyd start"))
}

/// Where a service logs: the configured file, else `%ProgramData%\seaworthyd\seaworthyd.log`; and the Event Log.
pub(crate) fn service_log(mut settings: LogSettings) -> Result<Log, Failure> {
    settings.file.get_or_insert_with(|| {
        let folder = data_folder();
        // If it cannot be made, opening the file in it says why.
        let _ = std::fs::create_dir_all(&folder);
        folder.join("seaworthyd.log")
    });
    let log = Log::open(NAME, &settings)?;
    // Without it the file has everything.
    if let Ok(events) = EventLog::open() {
        log.add(Box::new(events));
    }
    Ok(log)
}

/// What a console tells is the guardian's to hear. A process that is deaf to Ctrl-C, as the leader of a process group is
/// at first, would make its workloads deaf too; one that hears it and does nothing does not.
pub(crate) fn prepare_worker() {
    // SAFETY: `hear_nothing` has the required signature and lives as long as the program. No failure is to be expected,
    // and none would be in the way of the work.
    unsafe {
        SetConsoleCtrlHandler(Some(hear_nothing), TRUE);
        SetConsoleCtrlHandler(None, FALSE);
    }
}

unsafe extern "system" fn hear_nothing(event: u32) -> i32 {
    i32::from(event == CTRL_C_EVENT || event == CTRL_BREAK_EVENT)
}

/// `%ProgramData%\seaworthyd`, where the service keeps what it writes.
pub(crate) fn data_folder() -> PathBuf {
    std::env::var_os("ProgramData").map_or_else(|| PathBuf::from(r"C:\ProgramData"), PathBuf::from).join(NAME)
}

unsafe extern "system" fn on_console_event(event: u32) -> i32 {
    if let Some(sender) = CONSOLE.get() {
        let _ = sender.send(Notice::Control(Control::Stop));
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
