//! Ends a set of processes that may fork, flee or die while they are looked for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal};

use super::procfs::{self, Entry};
use super::{children, marker};

/// For how long processes that fork faster than they are found are hunted.
const PATIENCE: Duration = Duration::from_secs(3);
/// How many times in a row nothing may be found while something on the system moves, before it is believed.
const QUIET_LOOKS: u32 = 20;
/// How many times is looked for processes that are only to be asked something.
const LOOKS: u32 = 4;
/// How long the killed processes may take to be gone, before they are looked for again.
const DEATH: Duration = Duration::from_millis(50);

/// A set of processes: those that `is_seed` accepts and all that descends from them.
pub(super) struct Hunt<'a> {
    pub(super) is_seed: &'a dyn Fn(&Entry) -> bool,
    /// Never among them, whatever else they are.
    pub(super) spared: &'a dyn Fn(i32) -> bool,
    /// Told of each process that is dead, to reap it if it is an orphan: a fork storm leaves more of them than can be
    /// looked through.
    pub(super) reap: &'a dyn Fn(&Entry),
}

/// How ending a set of processes went.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ended {
    /// Every process that was sent a kill.
    pub(super) ended: BTreeSet<i32>,
    /// Those still there afterwards.
    pub(super) left: BTreeSet<i32>,
}

/// A process for ever: pid and start time.
type Identity = (i32, u64);

impl Hunt<'_> {
    /// Ends them all. Each is stopped the moment it is found, and none is killed before all are found: a stopped process
    /// cannot fork, and what descends from it is still known to.
    pub(super) fn end(&self) -> Ended {
        let mut result = Ended::default();
        let mut stopped = BTreeMap::new();
        let mut dead = BTreeSet::new();
        let (mut quiet, mut newest_first) = (0, true);
        let deadline = Instant::now() + PATIENCE;
        loop {
            // What forks and flees is at the high end of the pids, and soon gone; descendants are above their parents.
            newest_first = !newest_first;
            let pids = procfs::pids(newest_first);
            let (found, moved) =
                self.look(&pids, &mut stopped, &mut dead, |entry| signal(entry, Signal::STOP));
            quiet = if found { 0 } else { quiet + 1 };
            let out_of_patience = Instant::now() >= deadline;
            if (found || moved && quiet < QUIET_LOOKS) && !out_of_patience {
                continue;
            }
            if stopped.is_empty() {
                return result;
            }
            result
                .ended
                .extend(stopped.values().filter(|entry| signal(entry, Signal::KILL)).map(|entry| entry.pid));
            let death = Instant::now() + DEATH;
            stopped.values().for_each(|entry| wait_for_death(entry, death));
            stopped.clear();
            quiet = 0;
            if out_of_patience {
                self.look(&procfs::pids(false), &mut stopped, &mut dead, |_| true);
                result.left = stopped.values().map(|entry| entry.pid).collect();
                return result;
            }
        }
    }

    /// Does something to each of them, once.
    pub(super) fn for_each(&self, action: impl Fn(&Entry)) {
        let (mut known, mut dead) = (BTreeMap::new(), BTreeSet::new());
        // A child can have a lower number than its parent, and is then only found when looking again.
        for _ in 0..LOOKS {
            if !self.look(&procfs::pids(false), &mut known, &mut dead, |_| true).0 {
                break;
            }
        }
        known.values().for_each(action);
    }

    /// Looks at `pids` once and adds to `known` who is alive and for whom `act` succeeds. Whether there was any, and
    /// whether any process died or went while looking: then its child may have been missed.
    fn look(
        &self,
        pids: &[i32],
        known: &mut BTreeMap<Identity, Entry>,
        dead: &mut BTreeSet<Identity>,
        act: impl Fn(&Entry) -> bool,
    ) -> (bool, bool) {
        let mut members: BTreeSet<i32> = known.values().map(|entry| entry.pid).collect();
        let (mut found, mut moved) = (false, false);
        for pid in pids.iter().copied().filter(|pid| !(self.spared)(*pid)) {
            let Some(entry) = Entry::read(pid) else {
                moved = true;
                continue;
            };
            let identity = (entry.pid, entry.start);
            if !entry.is_alive() {
                moved |= dead.insert(identity);
                (self.reap)(&entry);
                continue;
            }
            let is_member = members.contains(&entry.parent) || (self.is_seed)(&entry);
            if is_member && !known.contains_key(&identity) && act(&entry) {
                known.insert(identity, entry);
                members.insert(pid);
                found = true;
            }
        }
        (found, moved)
    }
}

/// Whether `entry` is of the workload whose first process is `root`, seen for itself; its descendants are too.
/// `waited_for` are the first processes of all workloads.
pub(super) fn is_of_workload(
    entry: &Entry,
    root: i32,
    mark: &str,
    waited_for: &[i32],
    is_subreaper: bool,
) -> bool {
    if entry.pid == root || entry.group == root || entry.session == root {
        return true;
    }
    let me = rustix::process::getpid().as_raw_pid();
    if is_subreaper && entry.parent != me {
        return false;
    }
    match marker::carried_by(entry.pid) {
        Some(carried) => carried == mark,
        // It has wiped its environment, or hides it; when no other workload runs it can be of no other. What is in the
        // daemon's own group was started by another part of the program.
        None => {
            let own_group = children::own_group();
            is_subreaper && entry.group != own_group && waited_for.iter().all(|pid| *pid == root)
        }
    }
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
