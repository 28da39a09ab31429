//! A durable queue of tasks in a folder: a push returns when its task is on disk, and a task leaves when it is done.
//!
//! The folder holds segments (`0000000001.segment`, …) that records are appended to, `lock`, `salt`, and `damaged-…` files
//! with bytes that were no records. Nothing that is in a segment is ever changed: a later record says what became of a
//! task. `record.rs` and `scan.rs` name the fields. What each operation promises:
//!
//! - A push, a replay and a discard are on disk when they return. Pushes that wait at the same time share one sync.
//! - A task that was taken is handed out again after a crash, with the same idempotency key.
//! - What became of a task otherwise is written at once and survives the death of the process; a loss of power may undo
//!   the last of it, so that a task is handed out again.
//! - Damage costs the records that it hits. They are counted, named and set aside.

mod clock;
mod collect;
mod disk;
mod error;
mod index;
mod keys;
mod limits;
mod log;
#[expect(clippy::module_inception, reason = "the queue itself, beside its parts")]
mod queue;
mod record;
mod recovery;
mod scan;
mod tasks;
#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime};

pub use clock::Now;
pub use error::{Error, Refused, TaskError};
pub use limits::{Limits, WhenFull};
pub use queue::Queue;
pub use recovery::{Damage, Recovery};

/// What a task is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Its body goes to a collector.
    #[default]
    Deliver,
    /// Its body says what to run.
    Command,
}

/// A task to push.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewTask {
    /// What it is.
    pub kind: Kind,
    /// Tasks of one order key are handed out one at a time, in the order of their pushes. At most 255 bytes; empty is none.
    pub order_key: Option<String>,
    /// A second push with this key adds nothing. At most 255 bytes. Without, the queue makes one up.
    pub idempotency_key: Option<String>,
    /// From then on it is dead.
    pub deadline: Option<SystemTime>,
    /// What it is about.
    pub body: Vec<u8>,
}

/// A push that is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// The task's id; ids of later tasks are higher.
    pub id: u64,
    /// The idempotency key was used before: this is the id of the first task, and nothing was added.
    pub is_repeat: bool,
    /// Tasks that gave way because the queue was full; to be logged.
    pub dropped: Vec<u64>,
}

/// A task in flight: to be ended by [`Queue::done`] or [`Queue::retry`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Its id.
    pub id: u64,
    /// What it is.
    pub kind: Kind,
    /// As it was pushed.
    pub order_key: Option<String>,
    /// The same at every attempt: as it was pushed, or made up then.
    pub idempotency_key: String,
    /// 1 for the first; attempts that found nobody do not count.
    pub attempt: u32,
    /// When it was pushed, as the wall clock then said.
    pub pushed: SystemTime,
    /// As it was pushed; none once it was replayed.
    pub deadline: Option<SystemTime>,
    /// As it was pushed.
    pub body: Vec<u8>,
}

/// What [`Queue::take`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// A task to work at.
    Task(Lease),
    /// A task that is dead now.
    Dead(Death),
    /// A task that the disk does not give now; it is tried again later.
    Unreadable {
        /// Its id.
        id: u64,
        /// What the system said.
        why: String,
    },
}

/// Why a task in flight is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why<'a> {
    /// Nobody was there to do it: the task is not to blame, and never dies of that.
    Unreachable,
    /// It failed, and may be the reason itself; kept if it dies of it, 200 bytes of it at most.
    Failed(&'a str),
    /// It failed, and would fail again: it is dead at once.
    Hopeless(&'a str),
}

/// What becomes of a task that was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retried {
    /// It is due again after this pause.
    In(Duration),
    /// It failed too often.
    Dead(Death),
}

/// A task died; to be logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// Its id.
    pub id: u64,
    /// Of what.
    pub reason: String,
    /// Its deadline has passed.
    pub is_expired: bool,
    /// A dead task that gave way to it, because only so many are kept.
    pub evicted: Option<u64>,
}

/// A dead task, waiting for [`Queue::replay`] or [`Queue::discard`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadTask {
    /// Its id.
    pub id: u64,
    /// What it is; none if its record is damaged.
    pub kind: Option<Kind>,
    /// As it was pushed.
    pub order_key: Option<String>,
    /// As it was pushed or made up; none if its record is damaged.
    pub idempotency_key: Option<String>,
    /// When, as the wall clock then said.
    pub died: SystemTime,
    /// How many attempts failed.
    pub failures: u32,
    /// Of what.
    pub reason: String,
}

/// What there is to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Figures {
    /// Tasks that may be taken.
    pub ready: usize,
    /// Tasks that wait for their next attempt.
    pub delayed: usize,
    /// Tasks that are worked at.
    pub in_flight: usize,
    /// Tasks that wait for an earlier one of their order key.
    pub blocked: usize,
    /// Dead tasks.
    pub dead: usize,
    /// Records of all tasks. Bytes.
    pub bytes: u64,
    /// The segments. Bytes.
    pub disk_bytes: u64,
    /// How many segments there are.
    pub segments: usize,
    /// How long ago the oldest task that is not dead was pushed, by the wall clock.
    pub oldest: Option<Duration>,
    /// What happened since the queue was opened.
    pub since_open: Counters,
}

/// How often things happened since the queue was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Tasks were added.
    pub pushed: u64,
    /// Pushes repeated an idempotency key.
    pub repeated: u64,
    /// Pushes were refused.
    pub refused: u64,
    /// Tasks were handed out.
    pub taken: u64,
    /// Tasks were done.
    pub done: u64,
    /// Attempts are to be repeated.
    pub retried: u64,
    /// Tasks died.
    pub died: u64,
    /// Tasks gave way to others.
    pub dropped: u64,
    /// Dead tasks were replayed.
    pub replayed: u64,
    /// Dead tasks were discarded.
    pub discarded: u64,
}
