//! Ends what the workloads of a killed daemon left behind. Their first processes die with their daemon; what those had
//! started does not.

use std::collections::BTreeSet;

use super::procfs::{self, Entry};
use super::{marker, tree};
use crate::log::{Event, Log, Value};

/// Finds the processes that carry the mark of a daemon that has ended, with all that descends from them, and ends them.
/// A daemon that still runs keeps its workloads, and another pid namespace (a container) is left alone: whether its
/// daemon runs cannot be told by pid from here.
pub(super) fn sweep(log: &Log) {
    if !procfs::snapshot().iter().any(is_stray) {
        return;
    }
    let mut strays = std::cell::RefCell::new(std::collections::BTreeMap::new());
    let outcome = tree::end(|entries| {
        let own = ancestors_and_self(entries);
        let found: Vec<Entry> = entries.iter().filter(|entry| is_stray(entry)).copied().collect();
        let mut all = tree::with_descendants(entries, found);
        all.retain(|entry| !own.contains(&entry.pid));
        for entry in all.iter().filter(|entry| entry.is_alive()) {
            let mark = marker::carried_by(entry.pid).unwrap_or_default();
            strays.borrow_mut().entry(entry.pid).or_insert(mark);
        }
        all
    });
    for (pid, mark) in std::mem::take(strays.get_mut()) {
        let (instance, workload) = mark.split_once(':').unwrap_or_default();
        let fields = [
            ("pid", Value::Number(i64::from(pid))),
            ("workload", Value::Text(workload.to_owned())),
            ("instance", Value::Text(instance.to_owned())),
        ];
        if outcome.left.contains(&pid) {
            log.write(Event::StrayLeft, "a process of a daemon that was killed could not be ended", &fields);
        } else {
            log.write(Event::StrayEnded, "a process of a daemon that was killed has been ended", &fields);
        }
    }
}

fn is_stray(entry: &Entry) -> bool {
    entry.is_alive()
        && marker::carried_by(entry.pid).is_some_and(|mark| marker::is_of_dead_instance(&mark))
        && procfs::pid_namespace(entry.pid)
            .is_some_and(|space| procfs::pid_namespace(rustix::process::getpid().as_raw_pid()) == Some(space))
}

/// This process may itself carry the mark: a daemon can be another's workload.
fn ancestors_and_self(entries: &[Entry]) -> BTreeSet<i32> {
    let mut chain = BTreeSet::new();
    let mut pid = rustix::process::getpid().as_raw_pid();
    while chain.insert(pid) {
        match entries.iter().find(|entry| entry.pid == pid) {
            Some(entry) => pid = entry.parent,
            None => break,
        }
    }
    chain
}
