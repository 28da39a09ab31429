//! A minidump of another process, by the system's own library.
#![expect(unsafe_code, reason = "a function that is looked up, and handles, have no safe interface")]

use std::ffi::c_void;
use std::io;
use std::mem::transmute;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr;

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::Storage::FileSystem::FlushFileBuffers;
use windows_sys::Win32::System::Diagnostics::Debug::{
    EXCEPTION_POINTERS, MINIDUMP_EXCEPTION_INFORMATION, MINIDUMP_TYPE, MiniDumpNormal, MiniDumpWithThreadInfo,
};
use windows_sys::Win32::System::LibraryLoader::{
    GetProcAddress, LOAD_LIBRARY_SEARCH_SYSTEM32, LoadLibraryExW,
};
use windows_sys::Win32::System::Threading::{OpenProcess, PROCESS_QUERY_INFORMATION, PROCESS_VM_READ};

use super::wide::{check, wide};
use crate::crashes::Request;

type MiniDumpWriteDump = unsafe extern "system" fn(
    HANDLE,
    u32,
    HANDLE,
    MINIDUMP_TYPE,
    *const MINIDUMP_EXCEPTION_INFORMATION,
    *const c_void,
    *const c_void,
) -> i32;

/// Writes the dump that was asked for to standard output. Its size is what the guardian judges.
pub(crate) fn write(request: &Request) -> io::Result<()> {
    // Looked up here: a library that is linked takes memory and time in every process of the daemon.
    // SAFETY: the name ends with a NUL; only the system's own folder is searched.
    let library = unsafe {
        LoadLibraryExW(wide("dbghelp.dll").as_ptr(), ptr::null_mut(), LOAD_LIBRARY_SEARCH_SYSTEM32)
    };
    if library.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the library is loaded and stays so; the name ends with a NUL.
    let function = unsafe { GetProcAddress(library, c"MiniDumpWriteDump".as_ptr().cast()) };
    let function = function.ok_or_else(io::Error::last_os_error)?;
    // SAFETY: the function of this name has this type (minidumpapiset.h).
    let write_dump: MiniDumpWriteDump = unsafe { transmute(function) };

    // SAFETY: takes numbers.
    let process = unsafe { OpenProcess(PROCESS_QUERY_INFORMATION | PROCESS_VM_READ, 0, request.process) };
    if process.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the handle was just opened for us, and nobody else closes it.
    let process = unsafe { OwnedHandle::from_raw_handle(process) };
    let exception = request.pointers.map(|pointers| MINIDUMP_EXCEPTION_INFORMATION {
        ThreadId: request.thread,
        // An address of the other process.
        ExceptionPointers: pointers as *mut EXCEPTION_POINTERS,
        ClientPointers: 1,
    });
    let file = io::stdout().as_raw_handle();
    // SAFETY: both handles are open; the exception is null or readable, and the library reads its addresses in the
    // other process (ClientPointers); the other two may be null.
    check(unsafe {
        write_dump(
            process.as_raw_handle(),
            request.process,
            file,
            MiniDumpNormal | MiniDumpWithThreadInfo,
            exception.as_ref().map_or(ptr::null(), ptr::from_ref),
            ptr::null(),
            ptr::null(),
        )
    })?;
    // SAFETY: the handle is open.
    check(unsafe { FlushFileBuffers(file) })
}
