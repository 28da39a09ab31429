//! Asks a workload to stop: by Ctrl-C in its console.
//!
//! Only a process that is attached to a console can do that, and a process is attached to one at most. The daemon keeps the
//! one it has, or has none, so a second process of this program does it: whatever a workload does to its own console, it
//! does not do to the daemon.
#![expect(unsafe_code, reason = "consoles have no safe interface")]
#![expect(clippy::disallowed_methods, reason = "starts this program again")]

use std::io;
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::os::windows::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread;

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
const PATIENCE: u32 = 10_000;
/// The thread that waits for it; bytes.
const STACK: usize = 64 * 1024;

/// Has a process of this program interrupt `process`, whose number is `id`. Returns at once: whoever supervises many cannot
/// wait for each. If it cannot be interrupted and still runs, `otherwise` is called, from another thread.
pub(super) fn ask(
    process: &OwnedHandle,
    id: u32,
    otherwise: impl FnOnce(io::Error) + Send + 'static,
) -> io::Result<()> {
    // As long as this is open, the number is nobody else's.
    let process = process.try_clone()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args([COMMAND, &id.to_string()]).creation_flags(DETACHED_PROCESS);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let wait = move || {
        if let Err(error) = finish(&mut child)
            && !has_ended(&process, 0)
        {
            otherwise(error);
        }
    };
    thread::Builder::new().stack_size(STACK).spawn(wait).map(drop)
}

fn finish(child: &mut Child) -> io::Result<()> {
    if !has_ended(child, PATIENCE) {
        child.kill()?;
        return Err(io::ErrorKind::TimedOut.into());
    }
    match child.wait()? {
        status if status.success() => Ok(()),
        status => Err(io::Error::other(format!("it has no console that can be reached ({status})"))),
    }
}

fn has_ended(process: &impl AsRawHandle, milliseconds: u32) -> bool {
    // SAFETY: the handle is open, and has every access (from CreateProcess).
    unsafe { WaitForSingleObject(process.as_raw_handle(), milliseconds) == WAIT_OBJECT_0 }
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
