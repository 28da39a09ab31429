//! Every operation of the disk fails, runs out of room or is the last one, each in turn; then the queue is opened again.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Instant;

use super::simulated::{Ending, Fault, Simulated};
use super::{Random, at, drain, open, small, take, task};
use crate::queue::disk::Disk;
use crate::queue::{Kind, Limits, Now, Queue, Refused, Taken, TaskError, Why};

/// What the queue was told and what it promised.
#[derive(Debug, Default)]
struct Ledger {
    /// Acknowledged and not ended: number of the push by id.
    held: BTreeMap<u64, u64>,
    /// Ended, and said to be written.
    ended: BTreeSet<u64>,
    /// Ended, but perhaps not on disk.
    perhaps_ended: BTreeSet<u64>,
    /// Pushes that were not acknowledged.
    unacknowledged: BTreeSet<u64>,
    dead: BTreeSet<u64>,
    in_flight: Vec<u64>,
    /// In flight until the end, so that their segments are copied.
    stuck: Vec<u64>,
}

fn body(number: u64) -> Vec<u8> {
    let mut random = Random::new(number + 1);
    let length = 20 + random.below(400);
    let mut body = number.to_le_bytes().to_vec();
    body.extend((0..length).map(|_| random.next() as u8));
    body
}

fn order(number: u64) -> Option<String> {
    (!number.is_multiple_of(3)).then(|| format!("order{}", number % 4))
}

/// A life with rotations, collections, retries, deaths and a replay; ends early when the process does.
fn live(disk: &Simulated, start: Instant, ledger: &mut Ledger) -> Option<Queue> {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let now = at(start, 0);
    let Ok((queue, _)) = Queue::open_on(shared, Limits { max_tasks: 1000, max_attempts: 2, ..small() }, now)
    else {
        assert!(disk.was_hit(), "it opens");
        return None;
    };
    let mut random = Random::new(7);
    for number in 0..80 {
        let new = task(order(number).as_deref(), Some(&format!("key{number}")), &body(number));
        match queue.push_at(&new, now) {
            Ok(pushed) => assert_eq!(ledger.held.insert(pushed.id, number), None, "an id is used once"),
            Err(_) => drop(ledger.unacknowledged.insert(number)),
        }
        for _ in 0..random.below(3) {
            match queue.take(None, now) {
                Some(Taken::Task(lease)) if lease.body[0] % 18 == 0 => ledger.stuck.push(lease.id),
                Some(Taken::Task(lease)) => ledger.in_flight.push(lease.id),
                Some(Taken::Dead(death)) => drop(ledger.dead.insert(death.id)),
                Some(Taken::Unreadable { .. }) | None => {}
            }
        }
        for _ in 0..random.below(3) {
            if ledger.in_flight.is_empty() {
                break;
            }
            let id = ledger.in_flight.remove(0);
            match random.below(6) {
                0 => drop(queue.retry(id, Why::Unreachable, now)),
                1 => {
                    if let Ok(crate::queue::Retried::Dead(death)) = queue.retry(id, Why::Failed("no"), now) {
                        ledger.dead.insert(death.id);
                        if let Some(evicted) = death.evicted {
                            ledger.held.remove(&evicted);
                            ledger.perhaps_ended.insert(evicted);
                        }
                    }
                }
                _ => end(ledger, id, &queue.done(id)),
            }
        }
        if number % 8 == 7 {
            queue.reconnected(Kind::Deliver);
            if let Some(&id) = ledger.dead.iter().find(|id| ledger.held.contains_key(id)) {
                ledger.dead.remove(&id);
                if number % 16 == 7 {
                    drop(queue.replay(id));
                } else {
                    end(ledger, id, &queue.discard(id));
                }
            }
        }
        if disk.is_stopped() {
            break;
        }
    }
    Some(queue)
}

fn end(ledger: &mut Ledger, id: u64, result: &Result<(), TaskError>) {
    ledger.held.remove(&id);
    match result {
        Ok(()) => ledger.ended.insert(id),
        Err(TaskError::NotWritten(_)) => ledger.perhaps_ended.insert(id),
        Err(error) => panic!("{error}"),
    };
}

/// Opens what is left, and holds it against what was promised.
fn check(disk: &Simulated, start: Instant, ledger: &Ledger, ending: Ending, what: &str) {
    let shared: Arc<dyn Disk> = Arc::new(disk.restart(ending));
    let now = at(start, 60_000);
    let (queue, recovery) = open(&shared, &Limits { max_tasks: 1000, max_attempts: 200, ..small() }, now);
    for dead in queue.dead(0, usize::MAX) {
        queue.replay(dead.id).unwrap_or_else(|error| panic!("{what}: {error}"));
    }
    queue.reconnected(Kind::Deliver);
    // A key of what is held answers with its id, and what was refused may be pushed again.
    if let Some((id, number)) = ledger.held.last_key_value() {
        let again = task(None, Some(&format!("key{number}")), b"again");
        let pushed = queue.push_at(&again, now).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(pushed.id == *id && pushed.is_repeat, "{what}: {pushed:?} for {id}");
    }
    let mut seen = BTreeSet::new();
    let mut last_of: BTreeMap<Option<String>, u64> = BTreeMap::new();
    for lease in drain(&queue, now) {
        assert!(seen.insert(lease.id), "{what}: {} twice", lease.id);
        let number = u64::from_le_bytes(*lease.body.first_chunk().expect("a number"));
        assert_eq!(lease.body, body(number), "{what}");
        assert_eq!(
            (lease.order_key.clone(), lease.idempotency_key),
            (order(number), format!("key{number}")),
            "{what}"
        );
        if ledger.held.contains_key(&lease.id) {
            assert_eq!(ledger.held[&lease.id], number, "{what}");
        } else {
            let is_known = ledger.unacknowledged.contains(&number)
                || ledger.perhaps_ended.contains(&lease.id)
                || (matches!(ending, Ending::PowerLoss(_)) && ledger.ended.contains(&lease.id));
            assert!(is_known, "{what}: {} of push {number} is back; {ledger:?}", lease.id);
        }
        if lease.order_key.is_some() && last_of.insert(lease.order_key.clone(), lease.id) > Some(lease.id) {
            panic!("{what}: {} out of order", lease.id);
        }
    }
    let lost: Vec<_> = ledger.held.keys().filter(|id| !seen.contains(id)).collect();
    assert!(lost.is_empty(), "{what}: {lost:?} are lost; {recovery:?}");
    assert_eq!(queue.depth(), 0, "{what}");
}

fn faults() -> Vec<Fault> {
    let mut faults = Vec::new();
    for part in [0, 400, 1000] {
        faults.extend([Fault::Stop(part), Fault::Full(part), Fault::Fail(ErrorKind::Other, part)]);
    }
    faults
}

#[test]
fn no_fault_loses_what_was_acknowledged() {
    let start = Instant::now();
    let disk = Simulated::default();
    disk.plan(u64::MAX, Fault::Stop(0));
    let mut ledger = Ledger::default();
    let queue = live(&disk, start, &mut ledger).expect("it opens");
    let figures = queue.figures(at(start, 0));
    assert!(figures.segments > 2 && *disk.files()[0].0 > *"0000000002", "segments were made and removed");
    assert!(ledger.held.contains_key(&1), "what was in the first segment was copied");
    drop(queue);
    let operations = disk.operations();
    assert!(operations > 200, "{operations}");
    for operation in 0..operations + 1 {
        for fault in faults() {
            let disk = Simulated::default();
            disk.plan(operation, fault);
            let mut ledger = Ledger::default();
            let queue = live(&disk, start, &mut ledger);
            let what = format!("operation {operation}, {fault:?}");
            check(&disk, start, &ledger, Ending::Kill, &what);
            for seed in 0..2 {
                check(
                    &disk,
                    start,
                    &ledger,
                    Ending::PowerLoss(operation * 2 + seed),
                    &format!("{what}, power {seed}"),
                );
            }
            drop(queue);
        }
    }
}

/// The same, but the process lives on: it must go on working once the disk does.
#[test]
fn the_queue_goes_on_after_each_fault() {
    let start = Instant::now();
    let now = at(start, 60_000);
    for operation in 0.. {
        for fault in [Fault::Full(400), Fault::Fail(ErrorKind::Other, 400)] {
            let disk = Simulated::default();
            disk.plan(operation, fault);
            let mut ledger = Ledger::default();
            let Some(queue) = live(&disk, start, &mut ledger) else { continue };
            if !disk.was_hit() {
                assert!(operation > 200, "{operation}");
                return;
            }
            disk.mend();
            let pushed = queue.push_at(&task(None, None, &body(100)), now).expect("room");
            ledger.held.insert(pushed.id, 100);
            for id in ledger.in_flight.drain(..).chain(ledger.stuck.drain(..)) {
                queue.retry(id, Why::Unreachable, now).expect("in flight");
            }
            for dead in queue.dead(0, usize::MAX) {
                queue.replay(dead.id).expect("dead");
            }
            queue.reconnected(Kind::Deliver);
            let ids: BTreeSet<u64> = drain(&queue, now).iter().map(|lease| lease.id).collect();
            assert_eq!(ids, ledger.held.keys().copied().collect(), "operation {operation}, {fault:?}");
            drop(queue);
            let shared: Arc<dyn Disk> = Arc::new(disk.restart(Ending::PowerLoss(operation)));
            let (queue, recovery) = open(&shared, &small(), now);
            assert_eq!(queue.depth(), 0, "operation {operation}, {fault:?}: {recovery:?}");
        }
    }
}

#[test]
fn a_full_disk_refuses_and_recovers() {
    let start = Instant::now();
    let now = at(start, 0);
    let disk = Simulated::default();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let (queue, _) = open(&shared, &small(), now);
    let first = queue.push_at(&task(None, Some("a"), b"one"), now).expect("room").id;
    disk.fill();
    assert_eq!(queue.push_at(&task(None, Some("b"), b"two"), now), Err(Refused::DiskFull));
    assert_eq!(queue.push_at(&task(None, Some("a"), b"one"), now).expect("a repeat").id, first);
    let lease = take(&queue, now).expect("still there");
    assert!(matches!(queue.done(lease.id), Err(TaskError::NotWritten(_))));
    assert_eq!(queue.depth(), 0);
    // Killed now, it would be there again, with its key.
    let shared: Arc<dyn Disk> = Arc::new(disk.restart(Ending::Kill));
    let (killed, _) = open(&shared, &small(), now);
    assert_eq!(take(&killed, now).expect("again").idempotency_key, "a");
    disk.mend();
    let second = queue.push_at(&task(None, Some("b"), b"two"), now).expect("room").id;
    drop(queue);
    let shared: Arc<dyn Disk> = Arc::new(disk.restart(Ending::Kill));
    let (queue, recovery) = open(&shared, &small(), now);
    assert_eq!(recovery.damaged_places, 0);
    assert_eq!(drain(&queue, now).iter().map(|lease| lease.id).collect::<Vec<_>>(), [second]);
}

#[test]
fn a_queue_opens_and_drains_on_a_full_disk() {
    let now = at(Instant::now(), 0);
    let disk = Simulated::default();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let (queue, _) = open(&shared, &small(), now);
    for number in 0..40 {
        queue.push_at(&task(None, None, &body(number)), now).expect("room");
    }
    drop(queue);
    disk.fill();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let (queue, _) = open(&shared, &small(), now);
    let before = queue.figures(now);
    let mut taken = 0;
    while let Some(lease) = take(&queue, now) {
        drop(queue.done(lease.id));
        taken += 1;
    }
    let after = queue.figures(now);
    assert_eq!(taken, 40);
    assert!(after.disk_bytes < before.disk_bytes / 2, "ended segments are removed: {after:?}");
}

/// The clock of the wall is set back and forth; neither stalls nor loses a task.
#[test]
fn a_clock_set_back_a_day_stalls_nothing() {
    let start = Instant::now();
    let day = std::time::Duration::from_secs(86_400);
    let now = at(start, 0);
    let disk = Simulated::default();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let (queue, _) = open(&shared, &small(), now);
    let mut with_deadline = task(None, None, b"deadline");
    with_deadline.deadline = Some(now.wall + std::time::Duration::from_secs(100));
    queue.push_at(&with_deadline, now).expect("room");
    queue.push_at(&task(None, None, b"retried"), now).expect("room");
    let first = take(&queue, now).expect("due");
    let second = take(&queue, now).expect("due");
    queue.retry(first.id, Why::Unreachable, now).expect("in flight");
    queue.retry(second.id, Why::Unreachable, now).expect("in flight");
    let back = |ms| Now { wall: at(start, ms).wall - day, ..at(start, ms) };
    let forth = |ms| Now { wall: at(start, ms).wall + day, ..at(start, ms) };
    // In the running process only time that passed counts.
    for now in [back(1001), forth(1001)] {
        assert_eq!(queue.next_due(None, now), Some(std::time::Duration::ZERO));
    }
    let lease = take(&queue, forth(1001)).expect("not dead");
    queue.retry(lease.id, Why::Unreachable, back(1001)).expect("in flight");
    assert_eq!(queue.figures(back(1001)).oldest, Some(std::time::Duration::ZERO));
    drop(queue);
    // Across a restart, no pause is longer than the longest, and no deadline further away than when it was set.
    let shared: Arc<dyn Disk> = Arc::new(disk.restart(Ending::Kill));
    let (queue, _) = open(&shared, &small(), back(2000));
    let due = queue.next_due(None, back(2000)).expect("due");
    assert!(due.as_millis() <= 8000, "{due:?}");
    let leases = [take(&queue, back(10_001)), take(&queue, back(10_001))];
    assert!(leases.iter().all(Option::is_some), "{leases:?}");
    drop(queue);
    let shared: Arc<dyn Disk> = Arc::new(disk.restart(Ending::Kill));
    let (queue, _) = open(&shared, &small(), back(2000));
    let mut bodies = Vec::new();
    let mut died = Vec::new();
    while let Some(taken) = queue.take(None, back(103_000)) {
        match taken {
            Taken::Task(lease) => bodies.push(lease.body),
            Taken::Dead(death) => died.push(death.reason),
            Taken::Unreadable { .. } => panic!("{taken:?}"),
        }
    }
    assert_eq!((bodies, died), (vec![b"retried".to_vec()], vec!["its deadline has passed".to_owned()]));
}
