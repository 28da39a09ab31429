//! System calls and nothing else, so that the daemon is not judged by its own code. Answers are error numbers, 0 for none.
#![expect(unsafe_code, reason = "system calls")]

use std::ffi::c_void;
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::GetLastError;
use windows_sys::Win32::Storage::FileSystem::{GetFileVersionInfoSizeW, GetFileVersionInfoW, VerQueryValueW};
use windows_sys::Win32::System::Diagnostics::Debug::{
    FORMAT_MESSAGE_ARGUMENT_ARRAY, FORMAT_MESSAGE_FROM_HMODULE, FormatMessageW,
};
use windows_sys::Win32::System::LibraryLoader::{LOAD_LIBRARY_AS_DATAFILE, LoadLibraryExW};
use windows_sys::Win32::System::Services::{
    ControlService, CreateServiceW, DeleteService, OpenSCManagerW, OpenServiceW, QUERY_SERVICE_CONFIGW,
    QueryServiceConfigW, QueryServiceStatusEx, SC_HANDLE, SC_MANAGER_ALL_ACCESS, SERVICE_ALL_ACCESS,
    SERVICE_STATUS, SERVICE_STATUS_PROCESS, StartServiceW,
};

fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

fn answer(result: i32) -> u32 {
    // SAFETY: takes nothing.
    if result == 0 { unsafe { GetLastError() } } else { 0 }
}

fn open(name: &str) -> Result<SC_HANDLE, u32> {
    // SAFETY: texts end with a NUL. Handles live as long as this short program.
    let service = unsafe {
        let manager = OpenSCManagerW(null(), null(), SC_MANAGER_ALL_ACCESS);
        OpenServiceW(manager, wide(name).as_ptr(), SERVICE_ALL_ACCESS)
    };
    if service.is_null() { Err(answer(0)) } else { Ok(service) }
}

pub(crate) fn create(name: &str, line: &str) -> u32 {
    // SAFETY: texts end with a NUL and outlive the call.
    let service = unsafe {
        let manager = OpenSCManagerW(null(), null(), SC_MANAGER_ALL_ACCESS);
        let (name, line) = (wide(name), wide(line));
        CreateServiceW(
            manager,
            name.as_ptr(),
            name.as_ptr(),
            SERVICE_ALL_ACCESS,
            0x10,
            3,
            1,
            line.as_ptr(),
            null(),
            null_mut(),
            null(),
            null(),
            null(),
        )
    };
    answer(i32::from(!service.is_null()))
}

pub(crate) fn start(name: &str) -> u32 {
    // SAFETY: the handle is open.
    open(name).map_or_else(|code| code, |service| answer(unsafe { StartServiceW(service, 0, null()) }))
}

pub(crate) fn delete(name: &str) -> u32 {
    // SAFETY: the handle is open.
    open(name).map_or_else(|code| code, |service| answer(unsafe { DeleteService(service) }))
}

pub(crate) fn control(name: &str, code: u32) -> u32 {
    let mut status = SERVICE_STATUS::default();
    // SAFETY: the handle is open; `status` is writable.
    let send = |service| answer(unsafe { ControlService(service, code, &raw mut status) });
    open(name).map_or_else(|code| code, send)
}

pub(crate) fn command_line(name: &str) -> String {
    let service = open(name).expect("the service");
    let (mut buffer, mut needed) = ([0_u64; 1024], 0);
    // SAFETY: pointer and size describe `buffer`, which begins with the structure afterwards.
    unsafe {
        let result = QueryServiceConfigW(service, buffer.as_mut_ptr().cast(), 8192, &raw mut needed);
        assert_ne!(result, 0, "error {}", answer(0));
        text_at((*buffer.as_ptr().cast::<QUERY_SERVICE_CONFIGW>()).lpBinaryPathName)
    }
}

/// State, accepted controls, checkpoint, wait hint, exit codes.
pub(crate) fn query(name: &str) -> String {
    let service = match open(name) {
        Ok(service) => service,
        Err(code) => return format!("error {code}"),
    };
    let (mut status, mut needed) = (SERVICE_STATUS_PROCESS::default(), 0);
    // SAFETY: pointer and size describe `status`.
    unsafe {
        QueryServiceStatusEx(
            service,
            0,
            (&raw mut status).cast(),
            size_of::<SERVICE_STATUS_PROCESS>() as u32,
            &raw mut needed,
        )
    };
    format!(
        "state {} accepted {:#x} checkpoint {} hint {} exit {} {} pid {}",
        status.dwCurrentState,
        status.dwControlsAccepted,
        status.dwCheckPoint,
        status.dwWaitHint,
        status.dwWin32ExitCode,
        status.dwServiceSpecificExitCode,
        status.dwProcessId
    )
}

/// The text of each event, from the program's own message table.
pub(crate) fn texts(program: &str) {
    let (first, second) = (wide("MESSAGE"), wide("FIELDS"));
    let arguments = [first.as_ptr(), second.as_ptr()];
    // SAFETY: the name ends with a NUL.
    let module = unsafe { LoadLibraryExW(wide(program).as_ptr(), null_mut(), LOAD_LIBRARY_AS_DATAFILE) };
    assert!(!module.is_null(), "{program}: error {}", answer(0));
    for id in 0..=u16::MAX {
        let mut text = [0_u16; 2048];
        // SAFETY: the module is loaded; there are as many arguments as any text inserts; size and pointer describe `text`.
        let length = unsafe {
            FormatMessageW(
                FORMAT_MESSAGE_FROM_HMODULE | FORMAT_MESSAGE_ARGUMENT_ARRAY,
                module,
                u32::from(id),
                0x409,
                text.as_mut_ptr(),
                text.len() as u32,
                arguments.as_ptr().cast_mut().cast(),
            )
        };
        if length != 0 {
            println!("{id} {:?}", String::from_utf16_lossy(&text[..length as usize]));
        }
    }
}

/// The product version that the file's properties show.
pub(crate) fn version(program: &str) -> String {
    let name = wide(program);
    let (mut value, mut length): (*mut c_void, u32) = (null_mut(), 0);
    // SAFETY: texts end with a NUL; pointer and size describe `buffer`, in which the value lies.
    unsafe {
        let size = GetFileVersionInfoSizeW(name.as_ptr(), null_mut());
        assert_ne!(size, 0, "error {}", answer(0));
        let mut buffer = vec![0_u64; size as usize / 8 + 1];
        GetFileVersionInfoW(name.as_ptr(), 0, size, buffer.as_mut_ptr().cast());
        let path = wide(r"\StringFileInfo\040904b0\ProductVersion");
        let found = VerQueryValueW(buffer.as_ptr().cast(), path.as_ptr(), &raw mut value, &raw mut length);
        assert_ne!(found, 0, "error {}", answer(0));
        text_at(value.cast())
    }
}

/// Starts the service and at once asks it to pause; every state that is seen until it runs, and the pause's answer.
pub(crate) fn start_and_watch(name: &str) {
    println!("start {}", start(name));
    println!("pause {}", control(name, 2));
    watch(name, "state 4 ");
}

/// Stops the service; every state that is seen until it has stopped.
pub(crate) fn stop_and_watch(name: &str) {
    println!("stop {}", control(name, 1));
    watch(name, "state 1 ");
}

fn watch(name: &str, end: &str) {
    let begin = std::time::Instant::now();
    let mut last = String::new();
    while !last.starts_with(end) && begin.elapsed() < std::time::Duration::from_secs(60) {
        let status = query(name);
        if status != last {
            println!("{status}");
            last = status;
        }
    }
}

unsafe fn text_at(text: *const u16) -> String {
    // SAFETY: the text ends with a NUL.
    let units = (0..).map(|index| unsafe { *text.add(index) }).take_while(|unit| *unit != 0);
    String::from_utf16_lossy(&units.collect::<Vec<_>>())
}
