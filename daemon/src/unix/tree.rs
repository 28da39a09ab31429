//! Ends a set of processes that may fork, flee or die while it is looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal};

use super::marker;
use super::procfs::{self, Entry};

/// How often the processes are looked for again. Each round ends what the one before could not see; a tree outlives this
/// many only when the system does not end a killed process.
const ROUNDS: u32 = 64;
/// How long a round waits for the killed processes to be gone.
const DEATH: Duration = Duration::from_millis(50);

/// How ending a set of processes went.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ended {
    /// Every process that was sent a kill.
    pub(super) ended: BTreeSet<i32>,
    /// Those still there afterwards.
    pub(super) left: BTreeSet<i32>,
}

/// Ends every process that `find` finds alive in a snapshot, again and again until it finds none. All are stopped before
/// the first is killed: a stopped process cannot fork, and its descendants are still found through it.
pub(super) fn end(find: impl Fn(&[Entry]) -> Vec<Entry>) -> Ended {
    let mut result = Ended::default();
    let mut stopped: BTreeMap<(i32, u64), Entry> = BTreeMap::new();
    for _ in 0..ROUNDS {
        let found: Vec<Entry> = find(&procfs::snapshot()).into_iter().filter(Entry::is_alive).collect();
        let known = stopped.len();
        for entry in &found {
            stopped.entry((entry.pid, entry.start)).or_insert_with(|| {
                signal(entry, Signal::STOP);
                *entry
            });
        }
        if stopped.len() > known {
            continue;
        }
        for entry in stopped.values() {
            if signal(entry, Signal::KILL) {
                result.ended.insert(entry.pid);
            }
        }
        let deadline = Instant::now() + DEATH;
        stopped.values().for_each(|entry| wait_for_death(entry, deadline));
        stopped.clear();
        result.left = found.iter().map(|entry| entry.pid).collect();
        if found.is_empty() {
            return result;
        }
    }
    // Whatever a fork storm has stopped must not stay stopped.
    stopped.values().for_each(|entry| {
        signal(entry, Signal::KILL);
    });
    result.left =
        find(&procfs::snapshot()).iter().filter(|entry| entry.is_alive()).map(|entry| entry.pid).collect();
    result
}

/// The processes of the workload whose first process is `root`, alive or waiting to be reaped, itself included.
/// `waited_for` are the first processes of all workloads.
pub(super) fn members(
    entries: &[Entry],
    root: i32,
    mark: &str,
    waited_for: &[i32],
    is_subreaper: bool,
) -> Vec<Entry> {
    let me = rustix::process::getpid().as_raw_pid();
    let own_group = rustix::process::getpgrp().as_raw_pid();
    let is_only_workload = waited_for.iter().all(|pid| *pid == root);
    let is_seed = |entry: &Entry| {
        if entry.pid == root || entry.group == root || entry.session == root {
            return true;
        }
        if entry.pid == me || waited_for.contains(&entry.pid) || !entry.is_alive() {
            return false;
        }
        if !is_subreaper {
            return marker::carried_by(entry.pid).as_deref() == Some(mark);
        }
        entry.parent == me
            && match marker::carried_by(entry.pid) {
                Some(carried) => carried == mark,
                // It has wiped its environment; when no other workload runs it can be of no other.
                None => is_only_workload && entry.group != own_group,
            }
    };
    with_descendants(entries, entries.iter().filter(|entry| is_seed(entry)).copied().collect())
}

/// `found` and all that descends from them.
pub(super) fn with_descendants(entries: &[Entry], mut found: Vec<Entry>) -> Vec<Entry> {
    let mut children: BTreeMap<i32, Vec<Entry>> = BTreeMap::new();
    for entry in entries {
        children.entry(entry.parent).or_default().push(*entry);
    }
    let mut seen: BTreeSet<i32> = found.iter().map(|entry| entry.pid).collect();
    let mut next = 0;
    while let Some(entry) = found.get(next).copied() {
        for child in children.get(&entry.pid).into_iter().flatten() {
            if seen.insert(child.pid) {
                found.push(*child);
            }
        }
        next += 1;
    }
    found
}

/// Sends `what` to exactly that process, never to a later one with its pid; whether it was still there.
pub(super) fn signal(entry: &Entry, what: Signal) -> bool {
    let Some(pid) = Pid::from_raw(entry.pid) else { return false };
    match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
        // The descriptor holds on to whoever has the pid now: look who that is, then send through it.
        Ok(process) => entry.is_same() && rustix::process::pidfd_send_signal(&process, what).is_ok(),
        Err(rustix::io::Errno::SRCH) => false,
        // Before Linux 5.3, or out of descriptors: a pid that was the same a moment ago has to do.
        Err(_) => entry.is_same() && rustix::process::kill_process(pid, what).is_ok(),
    }
}

fn wait_for_death(entry: &Entry, deadline: Instant) {
    let Some(pid) = Pid::from_raw(entry.pid) else { return };
    let Ok(process) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else { return };
    if entry.is_same() {
        let patience = deadline.saturating_duration_since(Instant::now());
        let patience = Timespec { tv_sec: 0, tv_nsec: patience.subsec_nanos().into() };
        let _ = rustix::event::poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&patience));
    }
}
