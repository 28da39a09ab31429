//! Asks a workload to stop: by Ctrl-C in its console.
//!
//! Only a process that is attached to a console can do that, and a process is attached to one at most. The daemon keeps the
//! one it has, or has none, so a second process of this program does it: whatever a workload does to its own console, it
//! does not do to the daemon.
#![expect(unsafe_code, reason = "consoles have no safe interface")]
#![expect(clippy::disallowed_methods, reason = "starts this program again")]

use std::io;
use std::os::windows::io::AsRawHandle;
use std::os::windows::process::CommandExt;
use std::process::{Command, Stdio};

use windows_sys::Win32::Foundation::{TRUE, WAIT_OBJECT_0};
use windows_sys::Win32::System::Console::{
    AttachConsole, CTRL_C_EVENT, FreeConsole, GenerateConsoleCtrlEvent, SetConsoleCtrlHandler,
};
use windows_sys::Win32::System::Threading::{DETACHED_PROCESS, WaitForSingleObject};

use super::wide::check;
use crate::failure::{Cause, Failure};

/// The word by which this program is started to do it.
pub(crate) const COMMAND: &str = "interrupt";
/// How long that may take. Milliseconds.
const PATIENCE: u32 = 5000;

/// Has a process of this program interrupt `process`, which must not have been waited for: its number is its own.
pub(super) fn ask(process: u32) -> io::Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([COMMAND, &process.to_string()]).creation_flags(DETACHED_PROCESS);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    // SAFETY: the handle is open until the child is dropped.
    if unsafe { WaitForSingleObject(child.as_raw_handle(), PATIENCE) } != WAIT_OBJECT_0 {
        child.kill()?;
        return Err(io::ErrorKind::TimedOut.into());
    }
    match child.wait()? {
        status if status.success() => Ok(()),
        status => Err(io::Error::other(format!("it has no console that can be reached ({status})"))),
    }
}

/// Interrupts every process in the console of `process`.
pub(crate) fn interrupt(process: u32) -> Result<(), Failure> {
    // SAFETY: these calls take numbers, or nothing; a null handler makes this process deaf to Ctrl-C.
    let done = unsafe {
        FreeConsole();
        SetConsoleCtrlHandler(None, TRUE);
        check(AttachConsole(process)).and_then(|()| check(GenerateConsoleCtrlEvent(CTRL_C_EVENT, 0)))
    };
    done.map_err(|error| {
        let message = format!("cannot interrupt process {process}: {error}");
        Failure::new(Cause::System, message, "a program without a console cannot be asked to stop")
    })
}
