//! The console of whoever started the program. A program of the GUI subsystem is given none, so that a service and its
//! workloads never show a window; where its parent has one, what it prints should appear there all the same.
#![expect(unsafe_code, reason = "consoles have no safe interface")]

use std::fs::OpenOptions;
use std::os::windows::io::{AsRawHandle, IntoRawHandle};

use windows_sys::Win32::Foundation::{HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::Storage::FileSystem::{FILE_TYPE_UNKNOWN, GetFileType};
use windows_sys::Win32::System::Console::{
    ATTACH_PARENT_PROCESS, AttachConsole, GetConsoleCP, GetStdHandle, STD_ERROR_HANDLE, STD_HANDLE,
    STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, SetStdHandle,
};
use windows_sys::Win32::System::Threading::{CREATE_NEW_PROCESS_GROUP, CREATE_NO_WINDOW};

/// Gives standard input, output and error to the parent's console, each only if it leads nowhere: what was redirected
/// stays so. Does nothing where the parent has no console, and never opens one. To be called before anything is printed.
pub(crate) fn attach() {
    let streams =
        [(STD_INPUT_HANDLE, "CONIN$"), (STD_OUTPUT_HANDLE, "CONOUT$"), (STD_ERROR_HANDLE, "CONOUT$")];
    let missing: Vec<_> = streams.into_iter().filter(|(stream, _)| leads_nowhere(*stream)).collect();
    // SAFETY: takes a number. Fails for a console program, which has one already, and without a console to attach to.
    if missing.is_empty() || unsafe { AttachConsole(ATTACH_PARENT_PROCESS) } == 0 {
        return;
    }
    for (stream, name) in missing {
        // Both rights, or a console cannot be asked for its mode.
        let Ok(file) = OpenOptions::new().read(true).write(true).open(name) else { continue };
        // SAFETY: the handle is open.
        if unsafe { SetStdHandle(stream, file.as_raw_handle()) } != 0 {
            // It is the process's stream now, for as long as the process lives.
            let _ = file.into_raw_handle();
        }
    }
}

/// How a worker is to be created (`dwCreationFlags`): in our console if there is one, else in one of its own that has no
/// window.
pub(crate) fn creation_flags() -> u32 {
    if has_console() { CREATE_NEW_PROCESS_GROUP } else { CREATE_NEW_PROCESS_GROUP | CREATE_NO_WINDOW }
}

fn has_console() -> bool {
    // SAFETY: takes nothing. Only a console has a code page.
    unsafe { GetConsoleCP() != 0 }
}

fn leads_nowhere(stream: STD_HANDLE) -> bool {
    // SAFETY: takes a number.
    let handle: HANDLE = unsafe { GetStdHandle(stream) };
    // A shell may pass on its own handles' numbers, which mean nothing here.
    // SAFETY: any number may be asked about.
    handle.is_null() || handle == INVALID_HANDLE_VALUE || unsafe { GetFileType(handle) } == FILE_TYPE_UNKNOWN
}
