//! Windows: console events; processes and the service manager are in the files beside.
#![expect(unsafe_code, reason = "console events have no safe interface")]

mod process;
mod service_manager;

use std::io;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use windows_sys::Win32::Foundation::TRUE;
use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, CTRL_C_EVENT, SetConsoleCtrlHandler};

use crate::config::Config;
use crate::failure::Failure;
use crate::identity::NAME;
use crate::log::{Log, LogSettings};
use crate::state::{Control, State};
use crate::supervisor::{Host, Message, Supervisor};

pub(crate) use process::Process;
pub(crate) use service_manager::{manage, run_as_service};

/// Where the console's events go; a console has one handler for the life of the process.
static CONSOLE: OnceLock<Sender<Message>> = OnceLock::new();

/// Supervises until Ctrl-C, Ctrl-Break or the console's end.
pub(crate) fn run_in_foreground(config: Config) -> Result<(), Failure> {
    let log = Log::open(NAME, &LogSettings::of_file(config.log_file.clone()))?;
    let (sender, inbox) = mpsc::channel();
    CONSOLE.get_or_init(|| sender.clone());
    // SAFETY: `on_console_event` has the required signature and lives as long as the program.
    // It fails only without a console, and then there is nothing to hear.
    unsafe { SetConsoleCtrlHandler(Some(on_console_event), TRUE) };
    Supervisor::new(config, log, &mut Nobody, (sender, inbox)).run()
}

/// Appends to `path`.
pub(crate) fn open_log(path: &Path) -> Result<Log, Failure> {
    Log::open(NAME, &LogSettings::of_file(Some(path.to_owned())))
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
