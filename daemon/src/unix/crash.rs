//! The handler of signals that end a program: it says that the worker crashed and waits, so that the guardian can look
//! at it, and then lets the signal have its way.
//!
//! All that the handler calls is async-signal-safe (signal-safety(7)): system calls, and numbers formatted into memory
//! of its own. It runs on the stack that std gives to each thread for this (sigaltstack(2)), also when the thread's own
//! has overflowed. Neither handlers nor that stack survive exec, so workloads get nothing of it.
#![expect(unsafe_code, reason = "signal handlers have no safe interface")]

use std::ffi::{c_int, c_void};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{PTracer, Pid};

use crate::crashes::{CRASH_PATIENCE, Crash, LONGEST_LINE};

const SIGNALS: [(c_int, &str); 6] = [
    (libc::SIGSEGV, "SIGSEGV"),
    (libc::SIGBUS, "SIGBUS"),
    (libc::SIGILL, "SIGILL"),
    (libc::SIGFPE, "SIGFPE"),
    (libc::SIGABRT, "SIGABRT"),
    (libc::SIGTRAP, "SIGTRAP"),
];
/// Until the guardian takes a line. It always reads, so only one that is stopped itself does not.
const SAY_PATIENCE: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Bytes of the alternate stack: many times what the kernel asks for one signal (`AT_MINSIGSTKSZ`: 3632 bytes with AVX-512).
const ALTERNATE_STACK: usize = 64 << 10;

/// Whose crash it is: a child between fork and exec has the handler too.
static WORKER: AtomicI32 = AtomicI32::new(0);
static GUARDIAN: AtomicI32 = AtomicI32::new(0);
static HAS_SAID: AtomicBool = AtomicBool::new(false);

/// From now on crashes of this process are said to its parent.
pub(crate) fn watch() -> io::Result<()> {
    WORKER.store(rustix::process::getpid().as_raw_pid(), Ordering::Relaxed);
    GUARDIAN.store(rustix::process::getppid().map_or(0, Pid::as_raw_pid), Ordering::Relaxed);
    make_room()?;
    for (signal, _) in SIGNALS {
        // SAFETY: zero is a valid action with an empty mask.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = on_crash as *const () as usize;
        // Not deferred: the guardian's answer is the same signal again.
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
        // SAFETY: the action is valid and its handler does only what a handler may; the old one is not asked for.
        if unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) } == -1 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Gives this thread an alternate stack on which the guardian's answer fits above the crash: what the kernel keeps there of a
/// processor with many registers (AVX-512) takes some 3.5 KiB each time, and std's has the least that one needs.
fn make_room() -> io::Result<()> {
    // For as long as the process lives; no page of it is there before it is needed.
    let memory = Box::leak(vec![0_u8; ALTERNATE_STACK].into_boxed_slice());
    let stack = libc::stack_t { ss_sp: memory.as_mut_ptr().cast(), ss_flags: 0, ss_size: memory.len() };
    // SAFETY: the memory is never freed; the old stack is not asked for.
    if unsafe { libc::sigaltstack(&raw const stack, std::ptr::null_mut()) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Called by the kernel.
unsafe extern "C" fn on_crash(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let is_worker = rustix::process::getpid().as_raw_pid() == WORKER.load(Ordering::Relaxed);
    // SAFETY: the kernel passes both (SA_SIGINFO), on this thread's stack.
    let (crash, sender) = unsafe { look(signal, &*info, context.cast()) };
    let is_answer = HAS_SAID.load(Ordering::Relaxed)
        && sender.is_some_and(|sender| sender == GUARDIAN.load(Ordering::Relaxed));
    if is_worker && !is_answer {
        // Of several threads one says it; the others wait with it.
        if !HAS_SAID.swap(true, Ordering::Relaxed) {
            // Where only parents may trace (Yama), this opens the worker to what its guardian starts.
            let guardian = Pid::from_raw(GUARDIAN.load(Ordering::Relaxed));
            let _ = rustix::process::set_ptracer(guardian.map_or(PTracer::None, PTracer::ProcessID));
            let pointers = [info.cast::<c_void>(), context];
            say_bytes(Crash { pointers: &raw const pointers as u64, ..crash }.line(&mut [0; LONGEST_LINE]));
        }
        wait();
    }
    end_by(signal);
}

/// What happened, and which process sent the signal if one did.
///
/// # Safety
/// `context` is what the kernel passed with `info`.
unsafe fn look(
    signal: c_int,
    info: &libc::siginfo_t,
    context: *const libc::ucontext_t,
) -> (Crash, Option<i32>) {
    // SAFETY: as our caller says.
    let registers = unsafe { &(*context).uc_mcontext };
    #[cfg(target_arch = "x86_64")]
    let stack = registers.gregs[libc::REG_RSP as usize].cast_unsigned();
    #[cfg(target_arch = "aarch64")]
    let stack = registers.sp;
    // The kernel's own codes are positive, and the fault's address is there then; else the sender is.
    let is_fault = info.si_code > 0;
    // SAFETY: the kernel fills in the one or the other (sigaction(2)).
    let address = if is_fault { unsafe { info.si_addr() as u64 } } else { 0 };
    // SAFETY: as above.
    let sender = (info.si_code == libc::SI_USER).then(|| unsafe { info.si_pid() });
    let thread = rustix::thread::gettid().as_raw_pid().cast_unsigned();
    (Crash { what: signal.cast_unsigned(), code: info.si_code, address, stack, thread, pointers: 0 }, sender)
}

/// Says a whole line, past std's lock of standard output: a thread that holds it may be the one that crashed.
pub(crate) fn say(line: &str) {
    say_bytes(line.as_bytes());
}

fn say_bytes(line: &[u8]) {
    let output = rustix::stdio::stdout();
    let mut ready = [PollFd::new(&output, PollFlags::OUT)];
    // The pipe then takes what is shorter than 4096 bytes in one piece (pipe(7)). Nobody may be left to hear it.
    if let Ok(1..) = rustix::event::poll(&mut ready, Some(&SAY_PATIENCE)) {
        let _ = rustix::io::write(output, line);
    }
}

/// Until the guardian ends this process, or long enough.
fn wait() {
    let end = Instant::now() + CRASH_PATIENCE;
    while let left = end.saturating_duration_since(Instant::now())
        && left > Duration::ZERO
    {
        let left = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
        let _ = rustix::thread::nanosleep(&left);
    }
}

/// The end that the signal would have brought.
fn end_by(signal: c_int) -> ! {
    // SAFETY: both take numbers and may be called in a handler. The signal is not blocked (SA_NODEFER).
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
        libc::_exit(128 + signal)
    }
}

/// Ends the process as a crash: SIGABRT, which comes by the handler.
pub(crate) fn end() -> ! {
    std::process::abort()
}

/// Lets a child that said that it crashed die of its signal. It must not have been waited for.
pub(crate) fn let_die(child: &mut std::process::Child, crash: &Crash) {
    let process = child.id().cast_signed();
    let signal = SIGNALS.iter().find(|(signal, _)| signal.cast_unsigned() == crash.what);
    let signal = signal.map_or(libc::SIGKILL, |(signal, _)| *signal);
    // SAFETY: takes numbers; the child's is its own until it is waited for. One that a killed dumper left stopped goes on.
    unsafe {
        libc::kill(process, signal);
        libc::kill(process, libc::SIGCONT);
    }
}

/// The signal's name.
pub(crate) fn name(signal: u32) -> String {
    let known = SIGNALS.iter().find(|(known, _)| known.cast_unsigned() == signal);
    known.map_or_else(|| format!("signal {signal}"), |(_, name)| (*name).to_owned())
}

/// Whether a thread's stack had no room left.
pub(crate) fn is_stack_overflow(crash: &Crash) -> bool {
    let is_access = [libc::SIGSEGV, libc::SIGBUS].iter().any(|signal| signal.cast_unsigned() == crash.what);
    is_access && crash.code > 0 && crash.is_near_stack()
}

/// The name of a thread of another process; at most 15 bytes of it are known.
pub(crate) fn thread_name(process: u32, thread: u32) -> Option<String> {
    let name = std::fs::read_to_string(format!("/proc/{process}/task/{thread}/comm")).ok()?;
    Some(name.trim_end().to_owned())
}
