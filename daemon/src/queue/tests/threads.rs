//! Many threads at once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::simulated::{Ending, Simulated};
use super::{at, drain, open, small, take, task};
use crate::queue::disk::Disk;
use crate::queue::{Limits, Now};

const PUSHERS: u64 = 6;
const EACH: u64 = 150;

#[test]
fn pushers_and_takers_share_it() {
    let limits = Limits { max_tasks: 10_000, max_bytes: 10 << 20, ..small() };
    let disk = Simulated::default();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let (queue, _) = open(&shared, &limits, Now::read());
    let (finished, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let (mut pushed, mut taken) = (BTreeSet::new(), Vec::new());
    thread::scope(|scope| {
        let pushers: Vec<_> = (0..PUSHERS)
            .map(|pusher| {
                let queue = &queue;
                scope.spawn(move || {
                    let push = |number| {
                        let key = format!("{pusher}-{number}");
                        queue
                            .push(&task(Some(&format!("order{pusher}")), Some(&key), key.as_bytes()))
                            .expect("room")
                            .id
                    };
                    (0..EACH).map(push).collect::<Vec<u64>>()
                })
            })
            .collect();
        let takers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut taken = Vec::new();
                    while !finished.load(Ordering::SeqCst) || queue.depth() > 0 {
                        match take(&queue, Now::read()) {
                            Some(lease) => {
                                queue.done(lease.id).expect("in flight");
                                done.fetch_add(1, Ordering::SeqCst);
                                taken.push(lease.id);
                            }
                            None => queue.wait(None, Duration::from_millis(20)),
                        }
                    }
                    taken
                })
            })
            .collect();
        for pusher in pushers {
            let ids = pusher.join().expect("a pusher");
            assert!(ids.is_sorted(), "a thread's pushes keep their order");
            pushed.extend(ids);
        }
        finished.store(true, Ordering::SeqCst);
        for taker in takers {
            let ids = taker.join().expect("a taker");
            taken.extend(ids);
        }
    });
    taken.sort_unstable();
    assert_eq!(taken, pushed.into_iter().collect::<Vec<_>>(), "each once");
    assert_eq!(done.load(Ordering::SeqCst), PUSHERS * EACH);
}

/// Two that push one key at the same time get one id.
#[test]
fn one_key_from_many_threads_is_one_task() {
    let disk = Simulated::default();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let (queue, _) = open(&shared, &small(), Now::read());
    for round in 0..50 {
        let ids: BTreeSet<u64> = thread::scope(|scope| {
            let push = || queue.push(&task(None, Some(&format!("key{round}")), b"body")).expect("room").id;
            let pushers: Vec<_> = (0..8).map(|_| scope.spawn(push)).collect();
            pushers.into_iter().map(|pusher| pusher.join().expect("a pusher")).collect()
        });
        assert_eq!(ids.len(), 1);
    }
    assert_eq!(queue.depth(), 50);
}

/// What threads push while syncs fail now and then is there exactly when it was acknowledged.
#[test]
fn a_failed_sync_fails_all_that_wait_for_it() {
    use super::simulated::Fault;
    for operation in 0..60 {
        let limits = Limits { max_tasks: 10_000, max_bytes: 10 << 20, ..small() };
        let disk = Simulated::default();
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let (queue, _) = open(&shared, &limits, Now::read());
        disk.plan(operation, Fault::Fail(std::io::ErrorKind::Other, 500));
        let acknowledged: BTreeSet<u64> = thread::scope(|scope| {
            let pushers: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        (0..8)
                            .filter_map(|_| Some(queue.push(&task(None, None, b"body")).ok()?.id))
                            .collect::<Vec<_>>()
                    })
                })
                .collect();
            pushers.into_iter().flat_map(|pusher| pusher.join().expect("a pusher")).collect()
        });
        let shared: Arc<dyn Disk> = Arc::new(disk.restart(Ending::PowerLoss(operation)));
        let now = at(Instant::now(), 0);
        let (after, _) = open(&shared, &limits, now);
        let left: BTreeSet<u64> = drain(&after, now).into_iter().map(|lease| lease.id).collect();
        assert!(left.is_superset(&acknowledged), "operation {operation}");
        let held: BTreeSet<u64> = drain(&queue, Now::read()).into_iter().map(|lease| lease.id).collect();
        assert_eq!(held, acknowledged, "operation {operation}");
    }
}
