//! The filter of exceptions that nobody handles: it says that the worker crashed and waits, so that the guardian can
//! look at it and end it with the exception's code.
//!
//! It formats numbers into memory of its own and calls the system. std reserves stack for it in each of its threads
//! (SetThreadStackGuarantee), also for one whose stack has overflowed. What ends a process at once (`__fastfail`, and so
//! std's abort) comes by no filter.
#![expect(unsafe_code, reason = "exceptions have no safe interface")]

use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::process::Child;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use windows_sys::Win32::Foundation::{
    EXCEPTION_ACCESS_VIOLATION, EXCEPTION_STACK_OVERFLOW, LocalFree, STATUS_BREAKPOINT,
    STATUS_FLOAT_DIVIDE_BY_ZERO, STATUS_ILLEGAL_INSTRUCTION, STATUS_IN_PAGE_ERROR,
    STATUS_INTEGER_DIVIDE_BY_ZERO, STATUS_PRIVILEGED_INSTRUCTION,
};
use windows_sys::Win32::Storage::FileSystem::WriteFile;
use windows_sys::Win32::System::Console::{GetStdHandle, STD_OUTPUT_HANDLE};
use windows_sys::Win32::System::Diagnostics::Debug::{
    EXCEPTION_POINTERS, RaiseException, SetUnhandledExceptionFilter,
};
use windows_sys::Win32::System::Threading::{
    GetCurrentThreadId, GetThreadDescription, OpenThread, Sleep, THREAD_QUERY_LIMITED_INFORMATION,
    TerminateProcess,
};

use super::wide::text_at;
use crate::crashes::{CRASH_PATIENCE, Crash, LONGEST_LINE};

/// A panic, as an exception: bit 29 says that it is a program's own (the letters are "SWP").
const PANIC: i32 = 0xE053_5750_u32.cast_signed();
const EXCEPTION_NONCONTINUABLE: u32 = 1;
const EXCEPTION_CONTINUE_SEARCH: i32 = 0;

const NAMES: [(i32, &str); 9] = [
    (EXCEPTION_ACCESS_VIOLATION, "access violation"),
    (EXCEPTION_STACK_OVERFLOW, "stack overflow"),
    (STATUS_IN_PAGE_ERROR, "in-page error"),
    (STATUS_ILLEGAL_INSTRUCTION, "illegal instruction"),
    (STATUS_PRIVILEGED_INSTRUCTION, "privileged instruction"),
    (STATUS_INTEGER_DIVIDE_BY_ZERO, "integer division by zero"),
    (STATUS_FLOAT_DIVIDE_BY_ZERO, "division by zero"),
    (STATUS_BREAKPOINT, "breakpoint"),
    (PANIC, "panic"),
];

static HAS_SAID: AtomicBool = AtomicBool::new(false);

/// From now on crashes of this process are said to its parent.
pub(crate) fn watch() -> io::Result<()> {
    // SAFETY: the filter has the required signature and lives as long as the program; the one before is not asked for.
    unsafe { SetUnhandledExceptionFilter(Some(on_crash)) };
    Ok(())
}

/// Called by the system, on the thread that crashed.
unsafe extern "system" fn on_crash(pointers: *const EXCEPTION_POINTERS) -> i32 {
    // Of several threads one says it; the others wait with it.
    if !HAS_SAID.swap(true, Ordering::Relaxed) {
        // SAFETY: the system passes both parts, on this thread's stack.
        say_bytes(unsafe { look(pointers) }.line(&mut [0; LONGEST_LINE]));
    }
    // SAFETY: takes a number. The guardian ends the process meanwhile.
    unsafe { Sleep(CRASH_PATIENCE.as_millis() as u32) };
    EXCEPTION_CONTINUE_SEARCH
}

/// # Safety
/// `pointers` is what the system passed.
unsafe fn look(pointers: *const EXCEPTION_POINTERS) -> Crash {
    // SAFETY: as our caller says.
    let (record, registers) = unsafe { (&*(*pointers).ExceptionRecord, &*(*pointers).ContextRecord) };
    let is_access = [EXCEPTION_ACCESS_VIOLATION, STATUS_IN_PAGE_ERROR].contains(&record.ExceptionCode);
    // The second number of these two is what could not be accessed (EXCEPTION_RECORD).
    let address = match is_access && record.NumberParameters >= 2 {
        true => record.ExceptionInformation[1] as u64,
        false => record.ExceptionAddress as u64,
    };
    Crash {
        what: record.ExceptionCode.cast_unsigned(),
        code: 0,
        address,
        stack: registers.Rsp,
        // SAFETY: takes nothing.
        thread: unsafe { GetCurrentThreadId() },
        pointers: pointers as u64,
    }
}

/// Says a whole line, past std's lock of standard output: a thread that holds it may be the one that crashed.
pub(crate) fn say(line: &str) {
    say_bytes(line.as_bytes());
}

fn say_bytes(line: &[u8]) {
    let mut written = 0;
    // SAFETY: the handle is the pipe to the guardian and stays open; the pointers and the length describe `line` and
    // `written`. Nobody may be left to hear it.
    unsafe {
        WriteFile(
            GetStdHandle(STD_OUTPUT_HANDLE),
            line.as_ptr(),
            line.len() as u32,
            &raw mut written,
            ptr::null_mut(),
        )
    };
}

/// Ends the process as a crash, by the filter.
pub(crate) fn end() -> ! {
    // SAFETY: takes numbers; there are no arguments. Nobody handles it, so it does not return.
    unsafe { RaiseException(PANIC.cast_unsigned(), EXCEPTION_NONCONTINUABLE, 0, ptr::null()) };
    std::process::abort()
}

/// Ends a child that said that it crashed with the exception's code, as the system would.
pub(crate) fn let_die(child: &mut Child, crash: &Crash) {
    // SAFETY: the handle is open. Fails only for a process that has ended.
    unsafe { TerminateProcess(child.as_raw_handle(), crash.what) };
}

/// The exception's name.
pub(crate) fn name(code: u32) -> String {
    let known = NAMES.iter().find(|(known, _)| known.cast_unsigned() == code);
    known.map_or_else(|| format!("exception {code:#010X}"), |(_, name)| (*name).to_owned())
}

/// Whether a thread's stack had no room left.
pub(crate) fn is_stack_overflow(crash: &Crash) -> bool {
    let is_access = crash.what == EXCEPTION_ACCESS_VIOLATION.cast_unsigned();
    crash.what == EXCEPTION_STACK_OVERFLOW.cast_unsigned() || is_access && crash.is_near_stack()
}

/// The name of a thread.
pub(crate) fn thread_name(_process: u32, thread: u32) -> Option<String> {
    // SAFETY: takes numbers.
    let handle = unsafe { OpenThread(THREAD_QUERY_LIMITED_INFORMATION, 0, thread) };
    if handle.is_null() {
        return None;
    }
    // SAFETY: the handle was just opened for us, and nobody else closes it.
    let handle = unsafe { OwnedHandle::from_raw_handle(handle) };
    let mut name = ptr::null_mut();
    // SAFETY: the handle is open; `name` is writable, and stays null on failure.
    unsafe { GetThreadDescription(handle.as_raw_handle(), &raw mut name) };
    // SAFETY: null, or a text that ends with a NUL and is ours.
    let text = unsafe { text_at(name) };
    // SAFETY: the text was allocated for us; null is allowed.
    unsafe { LocalFree(name.cast()) };
    (!text.is_empty()).then_some(text)
}
