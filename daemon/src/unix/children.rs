//! The daemon's own children, and the orphans that become them: the daemon is a subreaper (PR_SET_CHILD_SUBREAPER(2const)),
//! so a process whose parents have left becomes its child instead of pid 1's.
//!
//! Children are forked by one thread, which lives as long as the daemon: the death signal that each child asks for comes
//! when the *thread* that forked it ends (PR_SET_PDEATHSIG(2const)). The kernel gives orphans to the first thread, so the
//! first thread's children are orphans and nothing else, and whether there are any is one system call.
#![expect(
    unsafe_code,
    reason = "waiting for the children of one thread has no safe interface, nor has the group 0"
)]

use std::io;
use std::process::{Child, Command};
use std::sync::mpsc::{self, Sender, SyncSender};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, WaitId, WaitIdOptions};
use signal_hook::consts::SIGCHLD;
use signal_hook::iterator::Signals;

use super::procfs::{self, Entry};
use super::sweep::sweep;
use crate::log::{Event, Log, Value};

/// Enough for a fork and for reading `/proc`; the pages are only used when touched. Bytes.
const STACK: usize = 128 * 1024;
/// How long after a child's end the dead orphans are reaped: a burst of them, and a restart, come first.
const REAP_DELAY: Duration = Duration::from_secs(1);

/// The pids of children that a [`super::Process`] waits for; nobody else may reap them. Locked while a child is made, while
/// orphans are reaped and while a tree is ended: then no process is in between.
static WAITED_FOR: Mutex<Vec<i32>> = Mutex::new(Vec::new());

/// What was set up before the first child.
struct Nursery {
    launcher: Sender<(Command, SyncSender<io::Result<Child>>)>,
    /// Why orphans go to pid 1 instead.
    subreaper: Result<(), rustix::io::Errno>,
}

static NURSERY: OnceLock<Nursery> = OnceLock::new();

/// The pids, locked.
pub(super) fn waited_for() -> MutexGuard<'static, Vec<i32>> {
    WAITED_FOR.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts `command` from the launcher thread, and waits until its program runs or could not.
pub(super) fn spawn(command: Command, log: &Log) -> io::Result<Child> {
    let nursery = NURSERY.get_or_init(|| open_nursery(log));
    let (sender, receiver) = mpsc::sync_channel(1);
    let gone = || {
        io::Error::other(
            "the thread that starts workloads could not be started; raise the limit of processes",
        )
    };
    nursery.launcher.send((command, sender)).map_err(|_| gone())?;
    receiver.recv().map_err(|_| gone())?
}

/// The child's status was taken: its pid may be anybody's now.
pub(super) fn forget(pid: i32) {
    waited_for().retain(|waited_for| *waited_for != pid);
}

/// Whether orphans become the daemon's children.
pub(super) fn is_subreaper() -> bool {
    NURSERY.get().is_some_and(|nursery| nursery.subreaper.is_ok())
}

/// Whether it is sure that the daemon has no orphan, alive or dead. Only the first thread can be sure.
pub(super) fn has_surely_no_orphan() -> bool {
    if !is_subreaper() || rustix::thread::gettid() != rustix::process::getpid() {
        return false;
    }
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL | libc::__WNOTHREAD;
    // SAFETY: zero is a valid `siginfo_t`.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: `info` is writable; the call only looks (WNOWAIT) and does not block (WNOHANG).
    let result = unsafe { libc::waitid(libc::P_ALL, 0, &raw mut info, options) };
    result == -1 && io::Error::last_os_error().raw_os_error() == Some(libc::ECHILD)
}

/// Takes the status of dead orphans. A child of the daemon in the daemon's own process group is left alone: some other
/// part of the program waits for it.
pub(super) fn reap_orphans() {
    let waited_for = waited_for();
    let any_dead = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    if !matches!(rustix::process::waitid(WaitId::All, any_dead), Ok(Some(_))) {
        return;
    }
    for entry in procfs::pids(false).into_iter().filter_map(Entry::read) {
        reap(&entry, &waited_for);
    }
}

/// This process' group: 0 where the kernel's own first process started it without a session, which rustix takes for impossible.
pub(super) fn own_group() -> i32 {
    // SAFETY: it takes nothing, touches no memory, and always succeeds (getpgrp(2)).
    unsafe { libc::getpgrp() }
}

/// Takes the status of `entry` if it is a dead orphan.
pub(super) fn reap(entry: &Entry, waited_for: &[i32]) {
    let (me, group) = (rustix::process::getpid().as_raw_pid(), own_group());
    let is_orphan = entry.parent == me && entry.group != group && !waited_for.contains(&entry.pid);
    if is_orphan
        && !entry.is_alive()
        && let Some(pid) = Pid::from_raw(entry.pid)
    {
        let _ = rustix::process::waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
    }
}

fn open_nursery(log: &Log) -> Nursery {
    let subreaper = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    if let Err(error) = subreaper {
        let fields = [("error", Value::text(error.to_string()))];
        log.write(
            Event::SubreaperMissing,
            "orphans go to another process: they are found by their mark alone",
            &fields,
        );
    }
    sweep(log);
    let (launcher, jobs) = mpsc::channel::<(Command, SyncSender<io::Result<Child>>)>();
    // Without the thread the channel is closed, which `spawn` reports.
    let _ = thread::Builder::new().name("launcher".into()).stack_size(STACK).spawn(move || {
        for (mut command, sender) in jobs {
            let mut waited_for = waited_for();
            let child = command.spawn();
            if let Ok(child) = &child {
                waited_for.push(Pid::from_child(child).as_raw_pid());
            }
            drop(waited_for);
            // Closes what the command holds before its result is looked at.
            drop(command);
            let _ = sender.send(child);
        }
    });
    let log = log.clone();
    // Without it dead orphans stay in the process table until a workload with orphans ends.
    let _ = thread::Builder::new().name("reaper".into()).stack_size(STACK).spawn(move || {
        let Ok(mut signals) = Signals::new([SIGCHLD]) else { return };
        // Once more, at leisure: what forks all the time can be missed.
        thread::sleep(REAP_DELAY);
        sweep(&log);
        for _ in signals.forever() {
            thread::sleep(REAP_DELAY);
            reap_orphans();
        }
    });
    Nursery { launcher, subreaper }
}
