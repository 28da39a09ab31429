//! What becomes of tasks once they are in: taken, done, tried again, dead, revived.

use std::io;
use std::ops::Bound;
use std::time::Duration;

use super::clock::{Now, from_unix_ms, unix_ms};
use super::index::{Note, State};
use super::log::task_of;
use super::queue::{Guard, Inner, Queue, random};
use super::record::{self, Batch, LONGEST_REASON, Record};
use super::{DeadTask, Death, Figures, Kind, Lease, Retried, Taken, TaskError, Why};

impl Queue {
    /// The next task that is due (of `kind`, if that matters): the oldest, but none of an order key before the earlier one is done or dead. Call it
    /// again until it answers `None`; what it found dead on the way is told once, for the log.
    pub fn take(&self, kind: Option<Kind>, now: Now) -> Option<Taken> {
        let mut inner = self.lock();
        let ticks = inner.ticks.at(now);
        let id = inner.index.next_ready(kind, ticks)?;
        let entry = *inner.index.get(id)?;
        if entry.failures >= inner.limits.max_attempts {
            let why = format!("{} attempts failed, the last ones with the daemon", entry.failures);
            return Some(Taken::Dead(self.die(inner, id, &why, now)));
        }
        if (1..=ticks).contains(&entry.deadline) {
            let death = self.die(inner, id, "its deadline has passed", now);
            return Some(Taken::Dead(Death { is_expired: true, ..death }));
        }
        let lease = inner.log.read(entry.place).and_then(|mut payload| {
            let (task, start) = task_of(&payload, id)?;
            let lease = Lease {
                id,
                kind: task.kind,
                order_key: (!task.order.is_empty()).then(|| task.order.to_owned()),
                idempotency_key: task.key.to_owned(),
                attempt: u32::from(entry.failures) + 1,
                pushed: from_unix_ms(task.pushed_ms),
                deadline: (task.deadline_ms > 0 && !entry.marks.is_lifted())
                    .then(|| from_unix_ms(task.deadline_ms)),
                body: Vec::new(),
            };
            let body = payload.split_off(start);
            Ok(Lease { body, ..lease })
        });
        match lease {
            Ok(lease) => {
                inner.index.take(id);
                inner.counters.taken += 1;
                // Should the process die with the task in flight, this attempt counts: a task that kills it must end.
                let state = inner.state(id, entry.failures + 1, 0);
                drop(self.write_small(inner, state, Keep::No));
                Some(Taken::Task(lease))
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Some(Taken::Dead(self.die(inner, id, &error.to_string(), now)))
            }
            // Perhaps the disk or the system recovers.
            Err(error) => {
                let pause = inner.limits.pause(entry.steps.saturating_add(1), random() as u32);
                inner.index.take(id);
                inner.index.delay(id, ticks + pause.as_millis() as u64);
                Some(Taken::Unreadable { id, why: error.to_string() })
            }
        }
    }

    /// The task in flight is done.
    ///
    /// # Errors
    /// When it is not in flight; [`TaskError::NotWritten`] when it is done, but a crash now would undo that.
    pub fn done(&self, id: u64) -> Result<(), TaskError> {
        let mut inner = self.in_flight(id)?;
        if let Some(entry) = inner.index.remove(id, true) {
            inner.log.count(entry.place.segment, -1);
        }
        inner.counters.done += 1;
        let (inner, written) = self.write_small(inner, Some(Record::Done { id }), Keep::Yes);
        self.wake();
        self.collect(inner);
        written
    }

    /// The task in flight could not be done now and is tried again after a pause, or is dead if it failed too often.
    ///
    /// # Errors
    /// When it is not in flight.
    pub fn retry(&self, id: u64, why: Why<'_>, now: Now) -> Result<Retried, TaskError> {
        let mut inner = self.in_flight(id)?;
        let ticks = inner.ticks.at(now);
        let most = inner.limits.max_attempts;
        let Some(entry) = inner.index.get_mut(id) else { return Err(TaskError::NotTaken(id)) };
        entry.steps = entry.steps.saturating_add(1);
        if let Why::Failed(reason) | Why::Hopeless(reason) = why {
            entry.failures = entry.failures.saturating_add(1);
            if entry.failures >= most || matches!(why, Why::Hopeless(_)) {
                return Ok(Retried::Dead(self.die(inner, id, reason, now)));
            }
        }
        let entry = *entry;
        inner.counters.retried += 1;
        let pause = inner.limits.pause(entry.steps, random() as u32);
        let mut due = ticks + pause.as_millis() as u64;
        if entry.deadline > 0 {
            due = due.min(entry.deadline.max(ticks));
        }
        inner.index.delay(id, due);
        let due_ms = unix_ms(now.wall).saturating_add(due - ticks);
        let state = inner.state(id, entry.failures, due_ms);
        let (inner, _) = self.write_small(inner, state, Keep::No);
        self.wake();
        self.collect(inner);
        Ok(Retried::In(Duration::from_millis(due - ticks)))
    }

    /// The other side is back: every task of `kind` that waits for its next attempt is due at once.
    pub fn reconnected(&self, kind: Kind) {
        if self.lock().index.hurry(kind) {
            self.wake();
        }
    }

    /// Whether a task is in the queue and not dead.
    pub fn holds(&self, id: u64) -> bool {
        self.lock().index.get(id).is_some_and(|entry| entry.state != State::Dead)
    }

    /// The dead tasks after task `after`, `most` of them, by id.
    pub fn dead(&self, after: u64, most: usize) -> Vec<DeadTask> {
        let mut inner = self.lock();
        let from = (Bound::Excluded(after), Bound::Unbounded);
        let notes = inner.index.dead.range(from).take(most);
        let notes: Vec<(u64, Note)> = notes.map(|(id, note)| (*id, note.clone())).collect();
        let tasks = notes.into_iter().filter_map(|(id, note)| {
            let entry = *inner.index.get(id)?;
            let payload = inner.log.read_prefix(entry.place).unwrap_or_default();
            let task = task_of(&payload, id).ok().map(|(task, _)| task);
            Some(DeadTask {
                id,
                kind: task.map(|task| task.kind),
                order_key: task.map(|task| task.order.to_owned()).filter(|order| !order.is_empty()),
                idempotency_key: task.map(|task| task.key.to_owned()),
                died: from_unix_ms(note.at_ms),
                failures: entry.failures.into(),
                reason: note.reason.into(),
            })
        });
        tasks.collect()
    }

    /// A dead task is due again, as if never tried and without deadline; on disk when this returns.
    ///
    /// # Errors
    /// When it is not dead; [`TaskError::NotWritten`] when it is due again, but a crash now would undo that.
    pub fn replay(&self, id: u64) -> Result<(), TaskError> {
        let mut inner = self.is_dead(id)?;
        inner.index.revive(id);
        inner.counters.replayed += 1;
        let state = record::State { id, failures: 0, steps: 0, due_ms: 0, lifted: true, revived: true };
        self.write_durably(inner, Record::State(state))
    }

    /// A dead task is no more; on disk when this returns.
    ///
    /// # Errors
    /// When it is not dead; [`TaskError::NotWritten`] when it is gone, but a crash now would undo that.
    pub fn discard(&self, id: u64) -> Result<(), TaskError> {
        let mut inner = self.is_dead(id)?;
        inner.forget(id);
        inner.counters.discarded += 1;
        self.write_durably(inner, Record::Gone { id })
    }

    /// Tasks in the queue, those in flight among them, dead ones not.
    pub fn depth(&self) -> usize {
        let inner = self.lock();
        inner.index.len() - inner.index.dead.len()
    }

    /// How long until a task may be due (of `kind`, if that matters); zero if one is, none if nothing will be unless
    /// something happens.
    pub fn next_due(&self, kind: Option<Kind>, now: Now) -> Option<Duration> {
        self.lock().next_due(kind, now)
    }

    /// What there is to measure.
    pub fn figures(&self, now: Now) -> Figures {
        let mut inner = self.lock();
        let (dead, in_flight) = (inner.index.dead.len(), inner.index.in_flight);
        let (ready, delayed) = (inner.index.ready(), inner.index.delayed());
        Figures {
            ready,
            delayed,
            in_flight,
            blocked: inner.index.len() - dead - in_flight - ready - delayed,
            dead,
            bytes: inner.index.bytes,
            disk_bytes: inner.log.bytes(),
            segments: inner.log.segments.len(),
            oldest: inner.oldest_age(now),
            since_open: inner.counters,
        }
    }

    fn in_flight(&self, id: u64) -> Result<Guard<'_>, TaskError> {
        let inner = self.lock();
        match inner.index.get(id) {
            Some(entry) if entry.state == State::InFlight => Ok(inner),
            _ => Err(TaskError::NotTaken(id)),
        }
    }

    fn is_dead(&self, id: u64) -> Result<Guard<'_>, TaskError> {
        let inner = self.lock();
        if inner.index.dead.contains_key(&id) { Ok(inner) } else { Err(TaskError::NotDead(id)) }
    }

    fn die(&self, mut inner: Guard<'_>, id: u64, reason: &str, now: Now) -> Death {
        let reason = &reason[..reason.floor_char_boundary(LONGEST_REASON)];
        let at_ms = unix_ms(now.wall);
        let failures = inner.index.get(id).map_or(0, |entry| entry.failures);
        inner.index.die(id, Note { at_ms, reason: reason.into() });
        inner.counters.died += 1;
        let record = Record::Dead { id, at_ms, failures, reason };
        let (mut inner, _) = self.write_small(inner, Some(record), Keep::Yes);
        let mut evicted = None;
        if inner.index.dead.len() > inner.limits.max_dead as usize {
            evicted = inner.index.dead.first_key_value().map(|(id, _)| *id);
        }
        if let Some(id) = evicted {
            inner.forget(id);
            inner.counters.dropped += 1;
            inner = self.write_small(inner, Some(Record::Gone { id }), Keep::Yes).0;
        }
        self.wake();
        self.collect(inner);
        Death { id, reason: reason.to_owned(), is_expired: false, evicted }
    }

    /// Writes a record without a sync: it survives the process, and the machine once anything is synced.
    fn write_small<'a>(
        &'a self,
        inner: Guard<'a>,
        record: Option<Record<'_>>,
        keep: Keep,
    ) -> (Guard<'a>, Result<(), TaskError>) {
        let Some(record) = record else { return (inner, Ok(())) };
        let mut batch = Batch::of(record);
        let (mut inner, room) = self.make_room(inner, batch.len());
        let written = room.and_then(|()| inner.log.append(&mut batch));
        if written.is_err() && keep == Keep::Yes {
            inner.log.defer(record);
        }
        (inner, written.map(drop).map_err(TaskError::NotWritten))
    }

    fn write_durably(&self, inner: Guard<'_>, record: Record<'_>) -> Result<(), TaskError> {
        let (inner, written) = self.write_small(inner, Some(record), Keep::Yes);
        let (inner, synced) = self.sync(inner);
        self.wake();
        self.collect(inner);
        written.and(synced.map_err(TaskError::NotWritten))
    }
}

/// Whether a record that the disk refuses is written later.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    Yes,
    No,
}

impl Inner {
    fn state(&self, id: u64, failures: u8, due_ms: u64) -> Option<Record<'static>> {
        let entry = self.index.get(id)?;
        let (steps, lifted) = (entry.steps, entry.marks.is_lifted());
        Some(Record::State(record::State { id, failures, steps, due_ms, lifted, revived: false }))
    }

    pub(super) fn next_due(&mut self, kind: Option<Kind>, now: Now) -> Option<Duration> {
        let ticks = self.ticks.at(now);
        if self.index.has_ready(kind) {
            return Some(Duration::ZERO);
        }
        self.index.next_due().map(|due| Duration::from_millis(due.saturating_sub(ticks)))
    }
}
