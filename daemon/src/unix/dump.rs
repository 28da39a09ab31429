//! A minidump of another process, by ptrace(2).
#![expect(unsafe_code, reason = "ptrace, and structures of the kernel as bytes, have no safe interface")]

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::ptr;

use minidump_writer::CrashContextExt;
use minidump_writer::minidump_writer::MinidumpWriterConfig;
use rustix::process::{Resource, Rlimit};

use crate::crashes::Request;

/// What a worker's memory may make this process take, at most. Bytes.
const MOST_MEMORY: u64 = 512 << 20;

/// Writes the dump that was asked for to standard output.
pub(crate) fn write(request: &Request) -> io::Result<()> {
    let most = Rlimit { current: Some(MOST_MEMORY), maximum: Some(MOST_MEMORY) };
    // A second bound, beside the time that the guardian grants: a filter of system calls may refuse it.
    let _ = rustix::process::setrlimit(Resource::As, most);
    let (process, thread) = (request.process.cast_signed(), request.thread.cast_signed());
    // The writer would go on without what it cannot see, and tell so in a dump of nothing.
    try_to_trace(thread)
        .map_err(|error| io::Error::new(error.kind(), format!("it cannot be traced: {error}")))?;
    let mut dump = MinidumpWriterConfig::new(process, thread);
    dump.set_minidump_size_limit(request.limit);
    if let Some(pointers) = request.pointers {
        dump.set_crash_context(CrashContextExt { inner: crash_context(process, thread, pointers)? });
    }
    let mut file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    dump.write(&mut file).map_err(|error| io::Error::other(error_chain(&error)))?;
    file.sync_all()
}

/// Whether the system allows it, and if not, why: seccomp, Yama, another user, an emulator.
fn try_to_trace(thread: i32) -> io::Result<()> {
    let ptrace = |request, data: usize| {
        // SAFETY: these requests read and write no memory of ours.
        let result = unsafe { libc::ptrace(request, thread, ptr::null_mut::<c_void>(), data as *mut c_void) };
        if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
    };
    ptrace(libc::PTRACE_SEIZE, 0)?;
    ptrace(libc::PTRACE_INTERRUPT, 0)?;
    // SAFETY: waits for the thread that was just seized; its status is not asked for.
    if unsafe { libc::waitpid(thread, ptr::null_mut(), libc::__WALL) } == -1 {
        return Err(io::Error::last_os_error());
    }
    ptrace(libc::PTRACE_DETACH, 0)
}

/// What the handler was given, from the memory of `process`.
fn crash_context(process: i32, thread: i32, pointers: u64) -> io::Result<crash_context::CrashContext> {
    let memory = File::open(format!("/proc/{process}/mem"))?;
    // SAFETY: an array of numbers may have any bytes.
    let [info, context]: [u64; 2] = unsafe { read(&memory, pointers)? };
    // SAFETY: numbers, and pointers that nobody follows here.
    let info: libc::siginfo_t = unsafe { read(&memory, info)? };
    // SAFETY: as above.
    let context: crash_context::ucontext_t = unsafe { read(&memory, context)? };
    #[cfg(target_arch = "x86_64")]
    // SAFETY: numbers alone.
    let float_state = unsafe { read(&memory, context.uc_mcontext.fpregs as u64)? };
    #[cfg(target_arch = "aarch64")]
    let float_state = float_state(&context);
    // SAFETY: numbers alone, for which zero is as good as any.
    let mut siginfo: libc::signalfd_siginfo = unsafe { MaybeUninit::zeroed().assume_init() };
    siginfo.ssi_signo = info.si_signo.cast_unsigned();
    siginfo.ssi_code = info.si_code;
    if info.si_code > 0 {
        // SAFETY: the kernel's own codes come with an address.
        siginfo.ssi_addr = unsafe { info.si_addr() } as u64;
    }
    Ok(crash_context::CrashContext { context, float_state, siginfo, pid: process, tid: thread })
}

/// The first of the kernel's records behind the general registers (arch/arm64/include/uapi/asm/sigcontext.h).
#[cfg(target_arch = "aarch64")]
fn float_state(context: &crash_context::ucontext_t) -> crash_context::fpregset_t {
    let records = &context.uc_mcontext.__reserved;
    // SAFETY: the space is longer than a record, and any bytes are one: numbers alone.
    unsafe { ptr::read_unaligned(records.as_ptr().cast()) }
}

/// A `T` from another process.
///
/// # Safety
/// Any bytes are a valid `T`.
unsafe fn read<T>(memory: &File, address: u64) -> io::Result<T> {
    let mut value = MaybeUninit::<T>::zeroed();
    // SAFETY: the memory is ours, as long as `T`, and zeroed.
    let bytes = unsafe { std::slice::from_raw_parts_mut(value.as_mut_ptr().cast::<u8>(), size_of::<T>()) };
    memory.read_exact_at(bytes, address)?;
    // SAFETY: our caller says so.
    Ok(unsafe { value.assume_init() })
}

fn error_chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
