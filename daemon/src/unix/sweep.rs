//! Ends what the workloads of a killed daemon left behind. Their first processes die with their daemon; what those had
//! started does not.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::marker;
use super::procfs::{self, Entry};
use super::tree::Hunt;
use crate::log::{Event, Log, Value};

/// Finds the processes that carry the mark of a daemon that has ended, with all that descends from them, and ends them.
/// A daemon that still runs keeps its workloads, and another pid namespace (a container) is left alone: whether its
/// daemon runs cannot be told by pid from here.
pub(super) fn sweep(log: &Log) {
    // The common case, at the start of every daemon: one look at nothing but the marks.
    let is_dead = |pid| marker::carried_by(pid).is_some_and(|mark| marker::is_of_dead_instance(&mark));
    if !procfs::pids(true).into_iter().any(is_dead) {
        return;
    }
    let own = ancestors_and_self();
    let marks = RefCell::new(BTreeMap::new());
    let is_stray = |entry: &Entry| {
        let Some(mark) = stray_mark(entry) else { return false };
        marks.borrow_mut().insert(entry.pid, mark);
        true
    };
    let outcome = Hunt { is_seed: &is_stray, spared: &|pid| own.contains(&pid), reap: &|_| {} }.end();
    let marks = marks.take();
    for pid in outcome.ended.union(&outcome.left) {
        // Without a mark of its own it descends from one that has it.
        let (instance, workload) = marks.get(pid).and_then(|mark| mark.split_once(':')).unwrap_or_default();
        let fields = [
            ("pid", Value::number(*pid)),
            ("workload", Value::text(workload)),
            ("instance", Value::text(instance)),
        ];
        if outcome.left.contains(pid) {
            log.write(Event::StrayLeft, "a process of a daemon that was killed could not be ended", &fields);
        } else {
            log.write(Event::StrayEnded, "a process of a daemon that was killed has been ended", &fields);
        }
    }
}

fn stray_mark(entry: &Entry) -> Option<String> {
    let mark = marker::carried_by(entry.pid).filter(|mark| marker::is_of_dead_instance(mark))?;
    let namespace = procfs::pid_namespace(entry.pid)?;
    (procfs::pid_namespace(rustix::process::getpid().as_raw_pid())? == namespace).then_some(mark)
}

/// This process may itself carry the mark: a daemon can be another's workload.
fn ancestors_and_self() -> BTreeSet<i32> {
    let mut chain = BTreeSet::new();
    let mut pid = rustix::process::getpid().as_raw_pid();
    while chain.insert(pid)
        && let Some(entry) = Entry::read(pid)
    {
        pid = entry.parent;
    }
    chain
}
