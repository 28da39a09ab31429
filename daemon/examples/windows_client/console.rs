//! A program that was started in this console and does not know of it.
#![expect(unsafe_code, reason = "system calls")]

use std::ptr::{null, null_mut};

use windows_sys::Win32::System::Console::{
    STD_ERROR_HANDLE, STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, SetStdHandle,
};
use windows_sys::Win32::System::Threading::{
    CreateProcessW, DETACHED_PROCESS, PROCESS_INFORMATION, STARTUPINFOW, WaitForSingleObject,
};

/// Runs `program argument` without any standard handle, as a shell starts a program of the GUI subsystem.
pub(crate) fn start_unconnected(program: &str, argument: &str) {
    let mut line: Vec<u16> = format!("\"{program}\" {argument}").encode_utf16().chain([0]).collect();
    let startup = STARTUPINFOW { cb: size_of::<STARTUPINFOW>() as u32, ..Default::default() };
    let mut process = PROCESS_INFORMATION::default();
    // SAFETY: the line is writable and ends with a NUL; the structures say their sizes; no handle is inherited.
    unsafe {
        for stream in [STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE] {
            SetStdHandle(stream, null_mut());
        }
        let made = CreateProcessW(
            null(),
            line.as_mut_ptr(),
            null(),
            null(),
            0,
            // Windows gives a GUI program no console; Wine does unless told so.
            DETACHED_PROCESS,
            null(),
            null(),
            &raw const startup,
            &raw mut process,
        );
        let ended = made != 0 && WaitForSingleObject(process.hProcess, 60_000) == 0;
        std::process::exit(if ended { 0 } else { 1 });
    }
}
