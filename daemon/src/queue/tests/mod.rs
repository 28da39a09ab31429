//! The store against a model, against faults at every operation of the disk, and against damage.

mod damage;
mod faults;
mod folder;
mod model;
mod simulated;
mod threads;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::disk::Disk;
use super::{Lease, Limits, NewTask, Now, Queue, Recovery, Taken};

/// Numbers that look random and are the same at every run (Marsaglia, "Xorshift RNGs").
#[derive(Clone, Debug)]
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 11) % end
    }
}

/// Small segments, so that many are made and collected.
fn small() -> Limits {
    Limits {
        segment_bytes: 4096,
        max_body_bytes: 3000,
        max_bytes: 64 << 10,
        max_tasks: 60,
        max_dead: 5,
        remembered_keys: 8,
        max_attempts: 3,
        first_pause_ms: 1000,
        longest_pause_ms: 8000,
        ..Limits::default()
    }
}

fn open(disk: &Arc<dyn Disk>, limits: &Limits, now: Now) -> (Queue, Recovery) {
    Queue::open_on(Arc::clone(disk), limits.clone(), now).expect("the queue opens")
}

/// Clocks that stand still.
fn at(start: Instant, ms: u64) -> Now {
    let passed = Duration::from_millis(ms);
    Now {
        monotonic: start + passed,
        wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000) + passed,
    }
}

fn task(order: Option<&str>, key: Option<&str>, body: &[u8]) -> NewTask {
    NewTask {
        order_key: order.map(str::to_owned),
        idempotency_key: key.map(str::to_owned),
        body: body.to_vec(),
        ..NewTask::default()
    }
}

/// The next task, past those that are told dead.
fn take(queue: &Queue, now: Now) -> Option<Lease> {
    loop {
        match queue.take(None, now)? {
            Taken::Task(lease) => return Some(lease),
            Taken::Dead(_) | Taken::Unreadable { .. } => {}
        }
    }
}

/// Takes and ends all there is, in the order it comes.
fn drain(queue: &Queue, now: Now) -> Vec<Lease> {
    let mut leases = Vec::new();
    while let Some(lease) = take(queue, now) {
        queue.done(lease.id).expect("in flight");
        leases.push(lease);
    }
    leases
}
