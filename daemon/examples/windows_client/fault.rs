//! Real faults in another process: a thread of it that executes what is no good.
#![expect(unsafe_code, reason = "system calls")]

use std::ffi::c_void;
use std::mem::transmute;
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::Diagnostics::Debug::WriteProcessMemory;
use windows_sys::Win32::System::ProcessStatus::EnumProcessModules;
use windows_sys::Win32::System::Threading::{CreateRemoteThread, OpenProcess, PROCESS_ALL_ACCESS};

#[link(name = "kernel32")]
unsafe extern "system" {
    // Not worth another feature of windows-sys.
    fn VirtualAllocEx(process: HANDLE, at: *const c_void, size: usize, kind: u32, access: u32)
    -> *mut c_void;
}

const MEM_COMMIT_AND_RESERVE: u32 = 0x3000;
const PAGE_EXECUTE_READWRITE: u32 = 0x40;

fn open(process: &str) -> HANDLE {
    let process = process.parse().expect("a number");
    // SAFETY: takes numbers.
    let handle = unsafe { OpenProcess(PROCESS_ALL_ACCESS, 0, process) };
    assert!(!handle.is_null(), "{}", std::io::Error::last_os_error());
    handle
}

fn start(process: HANDLE, at: *mut c_void) {
    type Start = unsafe extern "system" fn(*mut c_void) -> u32;
    // SAFETY: what is at this address is another process's worry, and meant to be its end.
    let thread = unsafe {
        let start = transmute::<*mut c_void, Start>(at);
        CreateRemoteThread(process, null(), 0, Some(start), null(), 0, null_mut())
    };
    assert!(!thread.is_null(), "{}", std::io::Error::last_os_error());
}

/// Executes `code`, in hexadecimal.
pub(crate) fn execute(process: &str, code: &str) {
    let digits: Vec<u32> = code.chars().map(|digit| digit.to_digit(16).expect("hexadecimal")).collect();
    let code: Vec<u8> = digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect();
    let process = open(process);
    // SAFETY: the handle is open and has every access; the pointer and the length describe `code`.
    unsafe {
        let at = VirtualAllocEx(process, null(), code.len(), MEM_COMMIT_AND_RESERVE, PAGE_EXECUTE_READWRITE);
        let written = WriteProcessMemory(process, at, code.as_ptr().cast(), code.len(), null_mut());
        assert!(written != 0, "{}", std::io::Error::last_os_error());
        start(process, at);
    }
}

/// Calls the program's own function, by its distance from the program's beginning.
pub(crate) fn call(process: &str, distance: &str) {
    let distance: usize = distance.parse().expect("a number");
    let (process, mut program, mut needed) = (open(process), null_mut(), 0);
    // SAFETY: the handle is open; one module is asked for, the program itself comes first.
    let found =
        unsafe { EnumProcessModules(process, &raw mut program, size_of::<HANDLE>() as u32, &raw mut needed) };
    assert!(found != 0, "{}", std::io::Error::last_os_error());
    start(process, program.wrapping_byte_add(distance));
}
