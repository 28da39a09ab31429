//! Gives the room of ended tasks back: what the oldest segment still holds is copied to the end, then its file is removed.
//!
//! Only the oldest, because the record that ends a task is in the same segment as the task or in a later one: were a later
//! one removed first, the task would be back at the next start.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::clock::{Now, from_unix_ms, unix_ms};
use super::index::{Entry, Place, State};
use super::queue::{Guard, Inner, Queue};
use super::record::{self, Batch, HEAD, IDS_END, Record, Seal};
use super::scan::scan;

/// How much is copied with one write. Bytes.
const PORTION: usize = 256 << 10;

impl Queue {
    /// Collects while it is worth it.
    pub(super) fn collect(&self, mut inner: Guard<'_>) {
        while inner.is_collection_due() {
            if inner.syncing {
                // Whoever syncs comes by here afterwards.
                return;
            }
            if inner.collect_oldest().is_err() {
                inner.collect_after = inner.log.appended + u64::from(inner.limits.segment_bytes);
            }
            self.wake();
        }
    }
}

impl Inner {
    fn is_collection_due(&self) -> bool {
        let Some(oldest) = self.log.oldest() else { return false };
        let worth = 2 * (self.index.bytes + self.index.keys.bytes + u64::from(self.limits.segment_bytes));
        self.log.appended >= self.collect_after && (oldest.live == 0 || self.log.bytes() > worth)
    }

    fn collect_oldest(&mut self) -> io::Result<()> {
        let Some(oldest) = self.log.oldest() else { return Ok(()) };
        let before = self.log.appended;
        let file = self.log.open(oldest.number)?;
        let seal = Seal { salt: self.log.salt, segment: oldest.number };
        let mut copy =
            Copy { batch: Batch::default(), moves: Vec::new(), moved: Vec::new(), has_written: false };
        let mut result = Ok(());
        scan(Arc::clone(&file), seal, 1..IDS_END, &mut |offset, length, record| {
            if result.is_ok() {
                let place = Place { segment: oldest.number, offset, length };
                result = self.keep(&mut copy, place, record, &|payload| {
                    file.read_at(payload, u64::from(offset) + HEAD as u64)
                });
            }
        })?;
        result?;
        self.flush(&mut copy)?;
        if copy.has_written {
            self.sync()?;
        }
        for (id, place) in copy.moved {
            let Some(entry) = self.index.get_mut(id) else { continue };
            let before = std::mem::replace(&mut entry.place, place);
            self.log.count(before.segment, -1);
            self.log.count(place.segment, 1);
        }
        // As much must be new before the next copy, so that copies of copies come to an end.
        self.collect_after = self.log.appended + (self.log.appended - before);
        self.log.remove_oldest()
    }

    fn keep(
        &mut self,
        copy: &mut Copy,
        place: Place,
        record: Record<'_>,
        read: &dyn Fn(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<()> {
        match record {
            Record::Task(task) => match self.index.get(task.id).copied() {
                Some(entry) if entry.place == place => {
                    let mut payload = vec![0; place.length as usize - HEAD];
                    read(&mut payload)?;
                    if !matches!(record::parse(&payload), Some((Record::Task(read), _)) if read.id == task.id)
                    {
                        return Err(io::ErrorKind::InvalidData.into());
                    }
                    copy.batch.add_payload(&payload);
                    copy.moves.push((task.id, copy.batch.last()));
                    self.add_state(&mut copy.batch, entry);
                }
                Some(_) => {}
                None => {
                    self.keep_key(&mut copy.batch, task.id, if task.generated_key { "" } else { task.key })
                }
            },
            Record::Key { id, key } => self.keep_key(&mut copy.batch, id, key),
            _ => {}
        }
        if copy.batch.len() > PORTION.min(self.limits.segment_bytes as usize / 2) {
            self.flush(copy)
        } else {
            Ok(())
        }
    }

    fn keep_key(&self, batch: &mut Batch, id: u64, key: &str) {
        if !key.is_empty() && self.index.keys.is_remembered(self.index.keys.fingerprint(key), id) {
            batch.add(Record::Key { id, key }, &[]);
        }
    }

    /// What is not in the task's own record.
    fn add_state(&self, batch: &mut Batch, entry: Entry) {
        let id = entry.id;
        // Should the process die now, this attempt counts.
        let failures = entry.failures.saturating_add(u8::from(entry.state == State::InFlight));
        let due_ms = if entry.state == State::Delayed {
            let now = Now::read();
            unix_ms(now.wall).saturating_add(entry.due.saturating_sub(self.ticks.at(now)))
        } else {
            0
        };
        let state = record::State {
            id,
            failures,
            steps: entry.steps,
            due_ms,
            lifted: entry.marks.is_lifted(),
            revived: false,
        };
        if failures > 0 || entry.steps > 0 || entry.marks.is_lifted() {
            batch.add(Record::State(state), &[]);
        }
        if let Some(note) = self.index.dead.get(&id) {
            batch.add(Record::Dead { id, at_ms: note.at_ms, failures, reason: &note.reason }, &[]);
        }
    }

    fn flush(&mut self, copy: &mut Copy) -> io::Result<()> {
        if copy.batch.is_empty() {
            return Ok(());
        }
        if self.log.must_rotate(copy.batch.len()) {
            self.rotate()?;
        }
        let (segment, base) = self.log.append(&mut copy.batch)?;
        copy.has_written = true;
        for (id, (start, length)) in copy.moves.drain(..) {
            copy.moved.push((id, Place { segment, offset: base + start, length }));
        }
        copy.batch.clear();
        Ok(())
    }
}

struct Copy {
    batch: Batch,
    /// Tasks in the batch.
    moves: Vec<(u64, (u32, u32))>,
    /// Tasks that were written.
    moved: Vec<(u64, Place)>,
    has_written: bool,
}

impl Inner {
    /// How long ago the oldest task was pushed.
    pub(super) fn oldest_age(&mut self, now: Now) -> Option<Duration> {
        let oldest = *self.index.oldest()?;
        let payload = self.log.read_prefix(oldest.place).ok()?;
        let (task, _) = super::log::task_of(&payload, oldest.id).ok()?;
        Some(now.wall.duration_since(from_unix_ms(task.pushed_ms)).unwrap_or_default())
    }
}
