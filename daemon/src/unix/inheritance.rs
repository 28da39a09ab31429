//! What a process has from the one that started it: signals, descriptors, environment.
#![expect(unsafe_code, reason = "signals and descriptors of a whole process have no safe interface")]

use std::ffi::{CStr, OsString, c_char};
use std::io;
use std::os::unix::ffi::OsStrExt;

use super::accounts;

/// The variables that a daemon keeps; all `LC_*` too.
const KEPT: [&str; 6] = ["PATH", "LANG", "TZ", "HOME", "USER", "LOGNAME"];

/// Every signal has its default effect and none is blocked. A broken pipe stays an error instead of an end, as std has it.
pub(super) fn reset_signals() -> io::Result<()> {
    default_dispositions(Some(libc::SIGPIPE));
    // SAFETY: zero is a valid set, which `sigemptyset` then initialises; the old mask is not asked for.
    let result = unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut())
    };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Gives every signal but `except` its default effect. May be called between fork and exec.
pub(super) fn default_dispositions(except: Option<libc::c_int>) {
    // The kernel's `struct sigaction` (handler, flags, restorer, mask); zero is SIG_DFL. The C library's own call would
    // leave out the two signals that it keeps for itself, and they can be inherited as ignored too.
    let default = [0_u64; 4];
    for signal in (1..=64).filter(|signal| Some(*signal) != except) {
        let (none, size) = (std::ptr::null_mut::<u64>(), size_of::<u64>());
        // SAFETY: the action is readable and laid out as the kernel's; the old one is not asked for. Those that cannot be
        // changed are refused, rightly.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), none, size) };
    }
}

/// Closes every descriptor from 3 on that is not in `kept`.
///
/// # Safety
/// Nobody may use a descriptor afterwards that is not in `kept`.
pub(super) unsafe fn close_all_but(kept: &[i32]) -> io::Result<()> {
    let mut kept: Vec<u32> = kept.iter().filter_map(|kept| u32::try_from(*kept).ok()).collect();
    kept.sort_unstable();
    let mut first = 3;
    for next in kept.into_iter().map(Some).chain([None]) {
        let last = next.map_or(libc::c_uint::MAX, |next| next.saturating_sub(1));
        // SAFETY: takes numbers; our caller has given these descriptors up.
        if first <= last && unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) } == -1 {
            let error = io::Error::last_os_error();
            if error.raw_os_error() != Some(libc::ENOSYS) {
                return Err(error);
            }
            // SAFETY: as above.
            unsafe { close_each(first, last)? };
        }
        first = next.map_or(last, |next| next + 1).max(3);
    }
    Ok(())
}

/// Before Linux 5.9.
///
/// # Safety
/// As for [`close_all_but`].
unsafe fn close_each(first: u32, last: u32) -> io::Result<()> {
    let open = std::fs::read_dir("/proc/self/fd")?;
    // Collected first: the folder's own descriptor is among them, and must be closed by then.
    let open: Vec<i32> = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    for descriptor in open {
        if u32::try_from(descriptor).is_ok_and(|number| (first..=last).contains(&number)) {
            // SAFETY: as for `close_all_but`.
            unsafe { libc::close(descriptor) };
        }
    }
    Ok(())
}

/// Keeps the allowed variables, those of `user` instead of the launcher's if one is named, and wipes what the others said:
/// it would stay readable in `/proc/PID/environ`.
///
/// # Safety
/// The process must have one thread, and nobody may hold on to a pointer into the environment.
pub(super) unsafe fn reduce_environment(user: Option<&str>) -> io::Result<()> {
    let mut kept: Vec<(OsString, OsString)> = std::env::vars_os()
        .filter(|(name, _)| KEPT.iter().any(|kept| name == kept) || name.as_bytes().starts_with(b"LC_"))
        .collect();
    if let Some(user) = user
        && let Some(entry) = accounts::user(user)?.entry
    {
        let own = [("HOME", entry.home), ("USER", entry.name.clone()), ("LOGNAME", entry.name)];
        kept.retain(|(name, _)| own.iter().all(|(own, _)| name != own));
        kept.extend(own.map(|(name, value)| (name.into(), value.into())));
    }
    unsafe extern "C" {
        static mut environ: *mut *mut c_char;
    }
    // SAFETY: the array is the C library's, ends with a null pointer and is not changed meanwhile (one thread); its strings
    // are writable and, as our caller says, nobody's. What replaces them was copied above.
    unsafe {
        let mut variable = environ;
        while !variable.is_null() && !(*variable).is_null() {
            let length = CStr::from_ptr(*variable).count_bytes();
            std::ptr::write_bytes(*variable, 0, length);
            variable = variable.add(1);
        }
        libc::clearenv();
        kept.into_iter().for_each(|(name, value)| std::env::set_var(name, value));
    }
    Ok(())
}
