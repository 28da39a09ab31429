//! The queue that threads share: a push returns when its task is on disk, and pushes that wait at the same time share one
//! sync.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::clock::{Now, Ticks, unix_ms};
use super::disk::{Disk, Folder};
use super::index::{Entry, Index, Place};
use super::limits::{LONGEST_KEY, Limits, WhenFull};
use super::log::Log;
use super::record::{Batch, HEAD, IDS_END, LONGEST_PREFIX, Record, Task};
use super::recovery::{Recovery, recover};
use super::{Counters, Error, Kind, NewTask, Pushed, Refused};

/// A durable queue in a folder. Threads may share it.
#[derive(Debug)]
pub struct Queue {
    inner: Mutex<Inner>,
    /// Something was synced, or became due.
    changed: Condvar,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) limits: Limits,
    pub(super) log: Log,
    pub(super) index: Index,
    pub(super) ticks: Ticks,
    pub(super) counters: Counters,
    next_id: u64,
    orders: RandomState,
    /// Written, and on disk with the next sync.
    unsynced: VecDeque<Entry>,
    /// Pushes that failed and do not know it yet.
    failed: BTreeMap<u64, Refused>,
    /// A thread syncs the active segment.
    pub(super) syncing: bool,
    /// No tidying before that many bytes were appended.
    pub(super) collect_after: u64,
}

pub(super) type Guard<'a> = MutexGuard<'a, Inner>;

impl Queue {
    /// Opens the queue in `folder`, which is made if it is not there, and locks it until the queue is dropped.
    ///
    /// # Errors
    /// When another process has it open, when it cannot be written or read, and when the limits do not fit together.
    /// Damage is no error: it is in the [`Recovery`].
    pub fn open(folder: &Path, limits: Limits) -> Result<(Self, Recovery), Error> {
        limits.check().map_err(Error::Limits)?;
        let disk = Arc::new(Folder::lock(folder)?);
        Self::open_on(disk, limits, Now::read())
            .map_err(|(name, source)| Error::Io { path: folder.join(name), source })
    }

    pub(super) fn open_on(
        disk: Arc<dyn Disk>,
        limits: Limits,
        now: Now,
    ) -> Result<(Self, Recovery), (String, io::Error)> {
        let orders = RandomState::new();
        let fingerprint = |order: &str| orders.hash_one(order).max(1);
        let recovered = recover(disk, &limits, &fingerprint, unix_ms(now.wall))?;
        let inner = Inner {
            limits,
            log: recovered.log,
            index: recovered.index,
            ticks: Ticks(now.monotonic),
            counters: Counters::default(),
            next_id: recovered.next_id,
            orders,
            unsynced: VecDeque::new(),
            failed: BTreeMap::new(),
            syncing: false,
            collect_after: 0,
        };
        let queue = Self { inner: Mutex::new(inner), changed: Condvar::new() };
        Ok((queue, recovered.recovery))
    }

    /// Adds a task; it is on disk when this returns. A repeated idempotency key adds nothing and answers with the first
    /// task's id, also when that task is done and its key still remembered.
    ///
    /// # Errors
    /// When the queue or the disk is full, the task too long, or the disk fails; what was in the queue stays.
    pub fn push(&self, task: &NewTask) -> Result<Pushed, Refused> {
        self.push_at(task, Now::read())
    }

    pub(super) fn push_at(&self, task: &NewTask, now: Now) -> Result<Pushed, Refused> {
        let inner = self.lock();
        let pushed = inner.check(task).and_then(|()| self.insert(inner, task, now));
        let mut inner = self.lock();
        match &pushed {
            Ok(pushed) if pushed.is_repeat => inner.counters.repeated += 1,
            Ok(_) => inner.counters.pushed += 1,
            Err(_) => inner.counters.refused += 1,
        }
        self.collect(inner);
        pushed
    }

    fn insert<'a>(&'a self, mut inner: Guard<'a>, task: &NewTask, now: Now) -> Result<Pushed, Refused> {
        let key = task.idempotency_key.as_deref().map(|key| inner.index.keys.fingerprint(key));
        loop {
            let (guard, room) = self.make_room(inner, HEAD + LONGEST_PREFIX + task.body.len());
            inner = guard;
            room.map_err(|error| Refused::because(&error))?;
            match key.and_then(|key| inner.index.keys.owner(key)) {
                Some(id) if inner.is_unsynced(id) => inner = self.wait_for_sync(inner),
                Some(id) => return Ok(Pushed { id, is_repeat: true, dropped: Vec::new() }),
                None => break,
            }
        }
        let (id, dropped) = inner.write(task, key, now)?;
        self.wait_until_synced(inner, id)?;
        Ok(Pushed { id, is_repeat: false, dropped })
    }

    /// Returns when the task is on disk, or failed to get there.
    fn wait_until_synced<'a>(&'a self, mut inner: Guard<'a>, id: u64) -> Result<(), Refused> {
        loop {
            if let Some(refused) = inner.failed.remove(&id) {
                return Err(refused);
            }
            if !inner.is_unsynced(id) {
                return Ok(());
            }
            inner = self.wait_for_sync(inner);
        }
    }

    /// Syncs, or waits for who does.
    fn wait_for_sync<'a>(&'a self, mut inner: Guard<'a>) -> Guard<'a> {
        if inner.syncing {
            return self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        let Some(file) = inner.log.active.as_ref().map(|active| Arc::clone(&active.file)) else {
            // Never with a task unsynced: a segment is left only after a sync.
            inner.fail_unsynced(&io::Error::other("no segment is open"));
            return inner;
        };
        let upto = inner.unsynced.back().map_or(0, |entry| entry.id);
        inner.syncing = true;
        drop(inner);
        let synced = file.sync();
        let mut inner = self.lock();
        inner.syncing = false;
        match synced {
            Ok(()) => inner.publish(upto),
            Err(error) => inner.fail_unsynced(&error),
        }
        self.changed.notify_all();
        inner
    }

    /// Sees that `bytes` fit in the active segment.
    pub(super) fn make_room<'a>(&'a self, mut inner: Guard<'a>, bytes: usize) -> (Guard<'a>, io::Result<()>) {
        while inner.log.must_rotate(bytes) {
            if inner.syncing {
                inner = self.wait_for_sync(inner);
                continue;
            }
            let rotated = inner.rotate();
            self.changed.notify_all();
            if let Err(error) = rotated {
                return (inner, Err(error));
            }
        }
        (inner, Ok(()))
    }

    /// Brings all that was written to the disk.
    pub(super) fn sync<'a>(&'a self, mut inner: Guard<'a>) -> (Guard<'a>, io::Result<()>) {
        while inner.syncing {
            inner = self.wait_for_sync(inner);
        }
        let synced = inner.sync();
        self.changed.notify_all();
        (inner, synced)
    }

    /// Waits until a task may be due (of `kind`, if that matters), at most for `longest`, and less when something is
    /// pushed or retried.
    pub fn wait(&self, kind: Option<Kind>, longest: Duration) {
        let mut inner = self.lock();
        let due = inner.next_due(kind, Now::read());
        let longest = due.map_or(longest, |due| due.min(longest));
        if !longest.is_zero() {
            inner = self.changed.wait_timeout(inner, longest).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(inner);
    }

    /// Ends every [`Queue::wait`] that goes on.
    pub fn wake(&self) {
        self.changed.notify_all();
    }

    pub(super) fn lock(&self) -> Guard<'_> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // What does not get to the disk is done again, no worse.
        let mut inner = self.lock();
        if !inner.log.backlog.is_empty() && (!inner.log.must_rotate(0) || inner.rotate().is_ok()) {
            let _ = inner.log.append_backlog();
        }
        let _ = inner.sync();
    }
}

impl Inner {
    fn check(&self, task: &NewTask) -> Result<(), Refused> {
        let too_long = |key: &Option<String>| key.as_ref().is_some_and(|key| key.len() > LONGEST_KEY);
        if task.body.len() > self.limits.max_body_bytes as usize {
            Err(Refused::TooLong("body", self.limits.max_body_bytes as usize))
        } else if too_long(&task.order_key) {
            Err(Refused::TooLong("order key", LONGEST_KEY))
        } else if too_long(&task.idempotency_key) {
            Err(Refused::TooLong("idempotency key", LONGEST_KEY))
        } else {
            Ok(())
        }
    }

    /// Writes a task and what gives way for it; its id, and theirs.
    fn write(
        &mut self,
        task: &NewTask,
        key: Option<super::keys::Fingerprint>,
        now: Now,
    ) -> Result<(u64, Vec<u64>), Refused> {
        let id = self.next_id;
        if id >= IDS_END {
            return Err(Refused::because(&io::Error::other("no id is left for a task")));
        }
        let order = task.order_key.as_deref().unwrap_or_default();
        let generated = format!("{:016x}-{id}", random());
        let record = Task {
            id,
            kind: task.kind,
            generated_key: key.is_none(),
            pushed_ms: unix_ms(now.wall),
            deadline_ms: task.deadline.map_or(0, |deadline| unix_ms(deadline).max(1)),
            order,
            key: task.idempotency_key.as_deref().unwrap_or(&generated),
        };
        let mut batch = Batch::default();
        let length = HEAD + 28 + order.len() + record.key.len() + task.body.len();
        let dropped = self.giving_way(length as u64)?;
        for &id in &dropped {
            batch.add(Record::Gone { id }, &[]);
        }
        batch.add(Record::Task(record), &task.body);
        let (start, length) = batch.last();
        let (segment, offset) = self.log.append(&mut batch).map_err(|error| Refused::because(&error))?;
        self.next_id += 1;
        for &id in &dropped {
            self.forget(id);
        }
        self.counters.dropped += dropped.len() as u64;
        let place = Place { segment, offset: offset + start, length };
        let order = if order.is_empty() { 0 } else { self.orders.hash_one(order).max(1) };
        let deadline = task.deadline.map_or(0, |deadline| {
            let left = deadline.duration_since(now.wall).unwrap_or_default();
            self.ticks.at(now).saturating_add(u64::try_from(left.as_millis()).unwrap_or(u64::MAX))
        });
        if let Some(key) = key {
            self.index.claim(key, id);
        }
        let key = key.map_or(0, |key| key.hash);
        self.unsynced.push_back(Entry::new(id, task.kind, place, order, key, deadline));
        Ok((id, dropped))
    }

    /// Who must go so that `length` more bytes fit.
    fn giving_way(&mut self, length: u64) -> Result<Vec<u64>, Refused> {
        let waiting: u64 = self.unsynced.iter().map(|entry| u64::from(entry.place.length)).sum();
        let mut bytes = self.index.bytes + waiting + length;
        let mut tasks = self.index.len() + self.unsynced.len() + 1;
        let (mut dropped, mut dead, mut idle) = (Vec::new(), 0, 0);
        while bytes > self.limits.max_bytes || tasks > self.limits.max_tasks as usize {
            let next_dead = self.index.dead.range(dead + 1..).next().map(|(id, _)| *id);
            let next = if let Some(id) = next_dead {
                dead = id;
                self.index.get(id).map(|entry| (id, entry.place.length))
            } else if self.limits.when_full == WhenFull::DropOldest {
                self.index.oldest_idle(idle).inspect(|(id, _)| idle = *id)
            } else {
                None
            };
            let Some((id, length)) = next else { return Err(Refused::Full) };
            dropped.push(id);
            bytes -= u64::from(length);
            tasks -= 1;
        }
        Ok(dropped)
    }

    /// Takes a task out whose end is written.
    pub(super) fn forget(&mut self, id: u64) {
        if let Some(entry) = self.index.remove(id, false) {
            self.log.count(entry.place.segment, -1);
        }
    }

    /// Pushes come in the order of their ids, and so do syncs.
    fn is_unsynced(&self, id: u64) -> bool {
        self.unsynced.front().is_some_and(|first| first.id <= id)
    }

    /// Tasks up to `upto` are on disk.
    fn publish(&mut self, upto: u64) {
        while let Some(entry) = self.unsynced.pop_front_if(|entry| entry.id <= upto) {
            self.log.count(entry.place.segment, 1);
            self.index.append(entry);
            self.index.enqueue(entry.id);
        }
    }

    /// After a failed sync nobody knows what is on disk, and another sync would not tell: none of it counts, and nothing
    /// more goes to that segment.
    pub(super) fn fail_unsynced(&mut self, error: &io::Error) {
        if let Some(active) = &mut self.log.active {
            active.broken = true;
        }
        for entry in std::mem::take(&mut self.unsynced) {
            self.index.keys.forget(entry.key, entry.id);
            self.log.defer(Record::Gone { id: entry.id });
            self.failed.insert(entry.id, Refused::because(error));
        }
    }

    /// Brings all that was written to the disk, while nobody else does.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        let Some(file) = self.log.active.as_ref().map(|active| Arc::clone(&active.file)) else {
            return Ok(());
        };
        let synced = file.sync();
        match &synced {
            Ok(()) => self.publish(u64::MAX),
            Err(error) => self.fail_unsynced(error),
        }
        synced
    }

    /// Goes on in a new segment, while nobody syncs the old one.
    pub(super) fn rotate(&mut self) -> io::Result<()> {
        // A failure is told to those who wait for it; the new segment is another matter.
        let _ = self.sync();
        self.log.start_segment(self.next_id)
    }
}

/// A number that nobody foresees.
pub(super) fn random() -> u64 {
    RandomState::new().hash_one(Instant::now())
}
