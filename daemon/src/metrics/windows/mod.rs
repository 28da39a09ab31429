//! Windows: GlobalMemoryStatusEx, GetSystemTimes and their like. There is no load average.
#![expect(unsafe_code, reason = "the system's figures have no safe interface")]

use std::mem::size_of;
use std::os::windows::ffi::OsStrExt;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::Path;
use std::ptr;

use windows_sys::Win32::Foundation::FILETIME;
use windows_sys::Win32::Storage::FileSystem::GetDiskFreeSpaceExW;
use windows_sys::Win32::System::ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS};
use windows_sys::Win32::System::SystemInformation::{GetTickCount64, GlobalMemoryStatusEx, MEMORYSTATUSEX};
use windows_sys::Win32::System::Threading::{
    GetProcessHandleCount, GetProcessTimes, GetSystemTimes, OpenProcess, PROCESS_QUERY_LIMITED_INFORMATION,
};

use super::observed::{Disk, Host, Process};

/// Units of a FILETIME in a second (100 ns).
const UNITS: f64 = 1e7;

pub(super) fn host() -> Host {
    let memory = memory();
    // SAFETY: takes nothing.
    let uptime = unsafe { GetTickCount64() } as f64 / 1000.0;
    Host {
        load: None,
        booted: None,
        cpu: cpu_times(),
        memory_size: memory.map(|memory| memory.ullTotalPhys as f64),
        memory_available: memory.map(|memory| memory.ullAvailPhys as f64),
        uptime: Some(uptime),
    }
}

fn memory() -> Option<MEMORYSTATUSEX> {
    let mut status = MEMORYSTATUSEX { dwLength: size_of::<MEMORYSTATUSEX>() as u32, ..Default::default() };
    // SAFETY: `status` is writable and says its own size.
    (unsafe { GlobalMemoryStatusEx(&raw mut status) } != 0).then_some(status)
}

fn cpu_times() -> Vec<(&'static str, f64)> {
    let (mut idle, mut kernel, mut user) = Default::default();
    // SAFETY: the three are writable.
    if unsafe { GetSystemTimes(&raw mut idle, &raw mut kernel, &raw mut user) } == 0 {
        return Vec::new();
    }
    // Kernel time has idle time in it.
    vec![
        ("user", seconds(user)),
        ("system", (seconds(kernel) - seconds(idle)).max(0.0)),
        ("idle", seconds(idle)),
    ]
}

pub(super) fn disk(folder: &Path) -> Option<Disk> {
    let folder: Vec<u16> = folder.as_os_str().encode_wide().chain([0]).collect();
    let (mut free, mut size) = (0, 0);
    // SAFETY: the folder's name ends with a zero; the numbers are writable, the third may be null.
    let done = unsafe { GetDiskFreeSpaceExW(folder.as_ptr(), &raw mut free, &raw mut size, ptr::null_mut()) };
    (done != 0).then_some(Disk { size: size as f64, free: free as f64 })
}

pub(super) fn process(pid: u32) -> Process {
    // SAFETY: takes numbers only.
    let handle = unsafe { OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, 0, pid) };
    if handle.is_null() {
        return Process::default();
    }
    // SAFETY: the handle was just opened for us, and nobody else closes it.
    let process = unsafe { OwnedHandle::from_raw_handle(handle) };
    Process {
        cpu: process_time(&process),
        resident: resident(&process),
        descriptors: handles(&process),
        descriptors_limit: None,
        threads: None,
    }
}

fn process_time(process: &OwnedHandle) -> Option<f64> {
    let (mut created, mut ended, mut kernel, mut user) = Default::default();
    // SAFETY: the handle is open with the access that this needs; the four are writable.
    let done = unsafe {
        GetProcessTimes(
            process.as_raw_handle(),
            &raw mut created,
            &raw mut ended,
            &raw mut kernel,
            &raw mut user,
        )
    };
    (done != 0).then(|| seconds(kernel) + seconds(user))
}

fn resident(process: &OwnedHandle) -> Option<f64> {
    let size = size_of::<PROCESS_MEMORY_COUNTERS>() as u32;
    let mut counters = PROCESS_MEMORY_COUNTERS { cb: size, ..Default::default() };
    // SAFETY: the handle is open with the access that this needs; `counters` is writable and `size` long.
    let done = unsafe { K32GetProcessMemoryInfo(process.as_raw_handle(), &raw mut counters, size) };
    (done != 0).then_some(counters.WorkingSetSize as f64)
}

fn handles(process: &OwnedHandle) -> Option<f64> {
    let mut count = 0;
    // SAFETY: the handle is open with the access that this needs; `count` is writable.
    (unsafe { GetProcessHandleCount(process.as_raw_handle(), &raw mut count) } != 0).then(|| f64::from(count))
}

fn seconds(time: FILETIME) -> f64 {
    (f64::from(time.dwHighDateTime) * 4_294_967_296.0 + f64::from(time.dwLowDateTime)) / UNITS
}
