//! A program that was started in this console and does not know of it; and one that is asked to stop in its own.
#![expect(unsafe_code, reason = "system calls")]

use std::ptr::{null, null_mut};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use windows_sys::Win32::System::Console::{
    FreeConsole, GetConsoleWindow, STD_ERROR_HANDLE, STD_INPUT_HANDLE, STD_OUTPUT_HANDLE,
    SetConsoleCtrlHandler, SetStdHandle,
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

static ASKED: OnceLock<Sender<u32>> = OnceLock::new();

/// Ends with exit code 42 when its console asks it to.
pub(crate) fn end_when_asked() {
    let (sender, inbox) = channel();
    ASKED.get_or_init(|| sender);
    // SAFETY: the handler has the required signature and lives as long as the program.
    assert_ne!(unsafe { SetConsoleCtrlHandler(Some(asked), 1) }, 0);
    // SAFETY: takes nothing.
    println!("has {} window", if unsafe { GetConsoleWindow() }.is_null() { "no" } else { "a" });
    let event = inbox.recv_timeout(Duration::from_secs(600)).expect("asked");
    println!("asked by event {event}");
    std::process::exit(42);
}

/// Runs on without the console that it was given.
pub(crate) fn leave() {
    // SAFETY: takes nothing.
    assert_ne!(unsafe { FreeConsole() }, 0);
    println!("has left its console");
    std::thread::sleep(Duration::from_secs(600));
}

unsafe extern "system" fn asked(event: u32) -> i32 {
    let _ = ASKED.get().map(|sender| sender.send(event));
    1
}
