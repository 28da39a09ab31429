//! What is known of every task while its body stays on disk: 64 bytes each, in the order of their ids.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use super::Kind;
use super::keys::{Fingerprint, Keys};

/// What a task waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum State {
    /// To be taken.
    Ready,
    /// Its order key's turn.
    Blocked,
    /// Its next attempt's time.
    Delayed,
    /// Whoever took it.
    InFlight,
    /// An operator.
    Dead,
    /// Nothing; it is no longer in the queue.
    Gone,
}

/// Where a task's record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) segment: u32,
    pub(super) offset: u32,
    /// With its head. Bytes.
    pub(super) length: u32,
}

/// One task.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) id: u64,
    /// Fingerprint of the order key, 0 for none. Two keys of one fingerprint would only wait for each other.
    pub(super) order: u64,
    /// The task that follows in the order key's chain, 0 for none.
    next: u64,
    /// Of the idempotency key, 0 for none.
    pub(super) key: u64,
    /// Ticks when a delayed task is due.
    pub(super) due: u64,
    /// Ticks, 0 for none.
    pub(super) deadline: u64,
    pub(super) place: Place,
    pub(super) failures: u8,
    pub(super) steps: u8,
    pub(super) marks: Marks,
    pub(super) state: State,
}

/// Two facts about a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Marks {
    Deliver,
    /// A delivery whose record names a deadline that no longer holds.
    DeliverLifted,
    Command,
    CommandLifted,
}

impl Marks {
    fn of(kind: Kind) -> Self {
        match kind {
            Kind::Deliver => Self::Deliver,
            Kind::Command => Self::Command,
        }
    }

    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Deliver | Self::DeliverLifted => Kind::Deliver,
            Self::Command | Self::CommandLifted => Kind::Command,
        }
    }

    /// Whether the record names a deadline that no longer holds.
    pub(super) fn is_lifted(self) -> bool {
        matches!(self, Self::DeliverLifted | Self::CommandLifted)
    }

    pub(super) fn lifted(self) -> Self {
        match self.kind() {
            Kind::Deliver => Self::DeliverLifted,
            Kind::Command => Self::CommandLifted,
        }
    }
}

const _: () = assert!(size_of::<Entry>() == 64);

impl Entry {
    pub(super) fn new(id: u64, kind: Kind, place: Place, order: u64, key: u64, deadline: u64) -> Self {
        let (next, due, failures, steps, marks) = (0, 0, 0, 0, Marks::of(kind));
        Self { id, order, next, key, due, deadline, place, failures, steps, marks, state: State::Ready }
    }
}

/// Why and since when a task is dead.
#[derive(Clone, Debug)]
pub(super) struct Note {
    /// Milliseconds since 1970.
    pub(super) at_ms: u64,
    pub(super) reason: Box<str>,
}

/// All tasks that are on disk.
#[derive(Debug, Default)]
pub(super) struct Index {
    entries: VecDeque<Entry>,
    /// How many of `entries` are gone.
    gone: usize,
    /// By kind.
    ready: [BTreeSet<u64>; 2],
    delayed: BTreeSet<(u64, u64)>,
    /// The first and last task of each order key.
    chains: HashMap<u64, (u64, u64)>,
    pub(super) dead: BTreeMap<u64, Note>,
    pub(super) keys: Keys,
    pub(super) in_flight: usize,
    /// No task below this id may be dropped to make room.
    oldest: u64,
    /// Records of all tasks. Bytes.
    pub(super) bytes: u64,
}

impl Index {
    pub(super) fn new(keys: Keys) -> Self {
        Self { keys, ..Self::default() }
    }

    /// Tasks, dead ones included.
    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.gone
    }

    pub(super) fn delayed(&self) -> usize {
        self.delayed.len()
    }

    pub(super) fn ready(&self) -> usize {
        self.ready.iter().map(BTreeSet::len).sum()
    }

    /// Whether a task may be taken; of `kind`, if that matters.
    pub(super) fn has_ready(&self, kind: Option<Kind>) -> bool {
        self.first_ready(kind).is_some()
    }

    fn first_ready(&self, kind: Option<Kind>) -> Option<u64> {
        let of = |kind: Kind| self.ready[kind as usize].first().copied();
        match kind {
            Some(kind) => of(kind),
            None => of(Kind::Deliver).into_iter().chain(of(Kind::Command)).min(),
        }
    }

    pub(super) fn get(&self, id: u64) -> Option<&Entry> {
        let at = self.position(id)?;
        self.entries.get(at).filter(|entry| entry.state != State::Gone)
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut Entry> {
        let at = self.position(id)?;
        self.entries.get_mut(at).filter(|entry| entry.state != State::Gone)
    }

    fn position(&self, id: u64) -> Option<usize> {
        self.entries.binary_search_by_key(&id, |entry| entry.id).ok()
    }

    /// Whether the task was here and is not yet forgotten.
    pub(super) fn is_gone(&self, id: u64) -> bool {
        self.position(id).is_some_and(|at| self.entries[at].state == State::Gone)
    }

    /// Sums up the records anew.
    pub(super) fn recount(&mut self) {
        self.bytes = self.iter().map(|entry| u64::from(entry.place.length)).sum();
    }

    pub(super) fn last_id(&self) -> u64 {
        self.entries.back().map_or(0, |entry| entry.id)
    }

    /// Every task, in the order of their ids.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.state != State::Gone)
    }

    /// Adds a task whose id is the highest, without giving it a turn yet.
    pub(super) fn append(&mut self, entry: Entry) {
        self.bytes += u64::from(entry.place.length);
        self.entries.push_back(entry);
    }

    /// Adds tasks whose ids are anywhere.
    pub(super) fn merge(&mut self, late: BTreeMap<u64, Entry>) {
        if late.is_empty() {
            return;
        }
        self.entries.extend(late.into_values());
        self.entries.make_contiguous().sort_unstable_by_key(|entry| entry.id);
    }

    /// Gives a task its turn: ready, or behind the others of its order key.
    pub(super) fn enqueue(&mut self, id: u64) {
        let Some(order) = self.get(id).map(|entry| entry.order) else { return };
        let state = if self.join_chain(id, order) { State::Ready } else { State::Blocked };
        self.oldest = self.oldest.min(id);
        self.set(id, state);
    }

    /// Gives every task that is not dead its turn; at `due` ticks where it waits for its next attempt.
    pub(super) fn enqueue_all(&mut self) {
        let mut ready = [Vec::new(), Vec::new()];
        for at in 0..self.entries.len() {
            let Entry { id, order, due, state, marks, .. } = self.entries[at];
            if matches!(state, State::Dead | State::Gone) {
                continue;
            }
            self.entries[at].state = if !self.join_chain(id, order) {
                State::Blocked
            } else if due > 0 {
                self.delayed.insert((due, id));
                State::Delayed
            } else {
                ready[marks.kind() as usize].push(id);
                State::Ready
            };
        }
        self.ready = ready.map(|ids| ids.into_iter().collect());
    }

    /// Changes what a task waits for, keeping the sets.
    fn set(&mut self, id: u64, state: State) {
        let Some(entry) = self.get_mut(id) else { return };
        let (before, due) = (std::mem::replace(&mut entry.state, state), entry.due);
        let ready = entry.marks.kind() as usize;
        match before {
            State::Ready => drop(self.ready[ready].remove(&id)),
            State::Delayed => drop(self.delayed.remove(&(due, id))),
            State::InFlight => self.in_flight -= 1,
            State::Blocked | State::Dead | State::Gone => {}
        }
        match state {
            State::Ready => drop(self.ready[ready].insert(id)),
            State::Delayed => drop(self.delayed.insert((due, id))),
            State::InFlight => self.in_flight += 1,
            State::Blocked | State::Dead | State::Gone => {}
        }
    }

    /// The first task that may be taken at `now` ticks; of `kind`, if that matters.
    pub(super) fn next_ready(&mut self, kind: Option<Kind>, now: u64) -> Option<u64> {
        while let Some(&(due, id)) = self.delayed.first()
            && due <= now
        {
            self.set(id, State::Ready);
        }
        self.first_ready(kind)
    }

    /// Ticks when the next delayed task is due.
    pub(super) fn next_due(&self) -> Option<u64> {
        self.delayed.first().map(|(due, _)| *due)
    }

    pub(super) fn take(&mut self, id: u64) {
        self.set(id, State::InFlight);
    }

    /// The task in flight is to be tried again at `due` ticks.
    pub(super) fn delay(&mut self, id: u64, due: u64) {
        let Some(entry) = self.get_mut(id) else { return };
        entry.due = due;
        self.oldest = self.oldest.min(id);
        self.set(id, State::Delayed);
    }

    /// Every delayed task of `kind` is ready, and its pauses start anew; whether there was any.
    pub(super) fn hurry(&mut self, kind: Kind) -> bool {
        let before = self.delayed.len();
        for (due, id) in std::mem::take(&mut self.delayed) {
            let Some(entry) = self.get_mut(id) else { continue };
            if entry.marks.kind() == kind {
                (entry.state, entry.steps) = (State::Ready, 0);
                self.ready[kind as usize].insert(id);
            } else {
                self.delayed.insert((due, id));
            }
        }
        self.delayed.len() < before
    }

    pub(super) fn die(&mut self, id: u64, note: Note) {
        let Some(order) = self.get(id).map(|entry| entry.order) else { return };
        self.set(id, State::Dead);
        self.leave_chain(id, order);
        self.dead.insert(id, note);
    }

    /// A dead task has its turn again, without deadline and as if never tried.
    pub(super) fn revive(&mut self, id: u64) {
        self.dead.remove(&id);
        if let Some(entry) = self.get_mut(id) {
            (entry.failures, entry.steps, entry.due, entry.deadline) = (0, 0, 0, 0);
            entry.marks = entry.marks.lifted();
        }
        self.enqueue(id);
    }

    /// Takes a task out; its key is remembered if it was `done`.
    pub(super) fn remove(&mut self, id: u64, done: bool) -> Option<Entry> {
        let entry = *self.get(id)?;
        if entry.state == State::Dead {
            self.dead.remove(&id);
        }
        self.set(id, State::Gone);
        if entry.state != State::Dead {
            self.leave_chain(id, entry.order);
        }
        self.gone += 1;
        self.bytes = self.bytes.saturating_sub(entry.place.length.into());
        if done {
            self.keys.remember(entry.key, id);
        } else {
            self.keys.forget(entry.key, id);
        }
        self.tidy();
        Some(entry)
    }

    fn tidy(&mut self) {
        while self.entries.front().is_some_and(|entry| entry.state == State::Gone) {
            self.entries.pop_front();
            self.gone -= 1;
        }
        if self.gone > 1024 && self.gone > self.entries.len() / 2 {
            self.entries.retain(|entry| entry.state != State::Gone);
            self.gone = 0;
        }
        if self.entries.capacity() > 4096 && self.entries.len() < self.entries.capacity() / 4 {
            self.entries.shrink_to(self.entries.len() * 2);
        }
    }

    /// The oldest task that nobody works at and that is not dead, and its record's length; after `after`.
    pub(super) fn oldest_idle(&mut self, after: u64) -> Option<(u64, u32)> {
        let from = self.oldest.max(after + 1);
        let at = self.entries.partition_point(|entry| entry.id < from);
        let is_idle = |entry: &&Entry| matches!(entry.state, State::Ready | State::Blocked | State::Delayed);
        let found = self.entries.range(at..).find(is_idle).map(|entry| (entry.id, entry.place.length));
        if after == 0 {
            self.oldest = found.map_or(u64::MAX, |(id, _)| id);
        }
        found
    }

    /// The oldest task that is not dead.
    pub(super) fn oldest(&self) -> Option<&Entry> {
        self.iter().find(|entry| entry.state != State::Dead)
    }

    /// Appends to the order key's chain; whether the task is first in it.
    fn join_chain(&mut self, id: u64, order: u64) -> bool {
        if order == 0 {
            return true;
        }
        let Some(&(first, last)) = self.chains.get(&order) else {
            self.chains.insert(order, (id, id));
            return true;
        };
        // A revived task comes in between, where its id says, but not before the first: that may be in flight.
        let mut before = if last < id { last } else { first };
        while let Some(next) = self.get(before).map(|entry| entry.next)
            && next != 0
            && next < id
        {
            before = next;
        }
        let next = self.get_mut(before).map_or(0, |entry| std::mem::replace(&mut entry.next, id));
        if let Some(entry) = self.get_mut(id) {
            entry.next = next;
        }
        if next == 0 {
            self.chains.insert(order, (first, id));
        }
        false
    }

    fn leave_chain(&mut self, id: u64, order: u64) {
        let Some(&(first, last)) = self.chains.get(&order).filter(|_| order != 0) else { return };
        // The entry may be gone already, and is still where it was.
        let next = self.position(id).map_or(0, |at| std::mem::take(&mut self.entries[at].next));
        if first == id && next == 0 {
            self.chains.remove(&order);
        } else if first == id {
            self.chains.insert(order, (next, last));
            self.set(next, State::Ready);
        } else {
            // Only the oldest idle task leaves from within: it is near the first.
            let mut before = first;
            while let Some(follower) = self.get(before).map(|entry| entry.next)
                && follower != id
                && follower != 0
            {
                before = follower;
            }
            if let Some(entry) = self.get_mut(before) {
                entry.next = next;
            }
            if last == id {
                self.chains.insert(order, (first, before));
            }
        }
    }

    /// Takes `key` for the task `id`.
    pub(super) fn claim(&mut self, key: Fingerprint, id: u64) {
        self.keys.claim(key, id);
    }
}
