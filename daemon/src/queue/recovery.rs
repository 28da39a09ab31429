//! Opens a folder of segments, whatever happened to it: what is whole is kept, what is not is set aside and named.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::disk::{Disk, DiskFile};
use super::index::{Entry, Index, Note, Place, State};
use super::keys::Keys;
use super::limits::Limits;
use super::log::{Active, Log, Segment, segment_name};
use super::record::{Batch, Record, Seal};
use super::scan::{HEADER, Header, Scan, scan};

/// A task whose id is further than this from those before its segment is damage, or forged: believed, it could leave no id
/// for others.
pub(super) const FARTHEST_ID: u64 = 1 << 40;
/// The file that holds the salt once more: a segment whose header is damaged is still readable.
const SALT: &str = "salt";
/// All that is set aside together. Bytes.
const MOST_SET_ASIDE: u64 = 64 << 20;

/// What was found when a queue was opened.
#[derive(Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// Tasks in the queue, dead ones not among them.
    pub tasks: usize,
    /// Dead tasks.
    pub dead: usize,
    /// Places that hold no record, found for the first time; at most a thousand of each segment.
    pub damage: Vec<Damage>,
    /// All places that hold no record, those that an earlier start reported among them.
    pub damaged_places: u64,
    /// Dead tasks that gave way, because fewer may be kept than there were.
    pub evicted: Vec<u64>,
}

/// Bytes of a segment that are no record: after a crash the end of the last segment, else damage.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// The segment's file name.
    pub segment: String,
    /// Where they start. Bytes.
    pub offset: u64,
    /// How many.
    pub bytes: u64,
    /// They were the end of the last segment: a record that was never acknowledged, as a rule. They are cut off once they
    /// are set aside.
    pub is_tail: bool,
    /// The file beside that they were copied to; none if there was no room.
    pub set_aside: Option<String>,
}

/// What a queue starts with.
pub(super) struct Recovered {
    pub(super) index: Index,
    pub(super) log: Log,
    pub(super) next_id: u64,
    pub(super) recovery: Recovery,
}

/// Reads all of it, at the wall clock's `now_ms`. An error comes with the name of the file.
pub(super) fn recover(
    disk: Arc<dyn Disk>,
    limits: &Limits,
    orders: &dyn Fn(&str) -> u64,
    now_ms: u64,
) -> Result<Recovered, (String, io::Error)> {
    let files = list(&*disk).map_err(|error| (String::new(), error))?;
    let known = files.segments.iter().find_map(|&number| {
        let file = disk.open(&segment_name(number)).ok()?;
        header(&*file, number).map(|header| header.salt)
    });
    let salt = salt(&*disk, known);
    let log = Log {
        disk: Arc::clone(&disk),
        salt,
        segment_bytes: limits.segment_bytes,
        segments: Default::default(),
        active: None,
        next_number: 1,
        backlog: Batch::default(),
        appended: 0,
        reader: None,
    };
    let index = Index::new(Keys::new());
    let recovery = Recovery::default();
    let mut reading =
        Reading { index, late: BTreeMap::new(), next_id: 1, limits, orders, now_ms, log, recovery, files };
    for at in 0..reading.files.segments.len() {
        let number = reading.files.segments[at];
        let is_last = at + 1 == reading.files.segments.len();
        reading.segment(number, is_last).map_err(|error| (segment_name(number), error))?;
    }
    Ok(reading.finish())
}

/// What lies in a folder.
struct Files {
    /// Numbers, ascending.
    segments: Vec<u32>,
    /// What was set aside before, with lengths.
    set_aside: HashMap<String, u64>,
}

fn list(disk: &dyn Disk) -> io::Result<Files> {
    let mut files = Files { segments: Vec::new(), set_aside: HashMap::new() };
    for name in disk.list()? {
        let number = name.strip_suffix(".segment").and_then(|digits| digits.parse().ok());
        if let Some(number) = number.filter(|number| segment_name(*number) == name) {
            files.segments.push(number);
        } else if name.starts_with("damaged-") {
            let length = disk.open(&name).and_then(|file| file.len()).unwrap_or(0);
            files.set_aside.insert(name, length);
        }
    }
    files.segments.sort_unstable();
    Ok(files)
}

/// A segment's header; what cannot be read is a damaged one.
fn header(file: &dyn DiskFile, number: u32) -> Option<Header> {
    let mut bytes = [0; HEADER];
    let read = file.read_at(&mut bytes, 0).unwrap_or(0);
    Header::parse(&bytes[..read], number)
}

/// The folder's salt: from its file, else from a segment, else a new one.
fn salt(disk: &dyn Disk, known: Option<u64>) -> u64 {
    let mut bytes = [0; HEADER];
    let read = disk.open(SALT).and_then(|file| file.read_at(&mut bytes, 0));
    let filed = read.ok().and_then(|_| Header::parse(&bytes, 0)).map(|header| header.salt);
    let salt = filed.or(known).unwrap_or_else(super::queue::random);
    if filed != Some(salt) {
        // A second copy that cannot be made now is made at another start.
        let _ = disk.remove(SALT);
        let header = Header { segment: 0, salt, next_id: 0 }.bytes();
        let _ = disk.create(SALT).and_then(|file| file.write_at(&header, 0).and_then(|()| file.sync()));
    }
    salt
}

struct Reading<'a> {
    index: Index,
    /// Tasks that come after others of higher ids, because they were copied.
    late: BTreeMap<u64, Entry>,
    next_id: u64,
    limits: &'a Limits,
    orders: &'a dyn Fn(&str) -> u64,
    now_ms: u64,
    log: Log,
    recovery: Recovery,
    files: Files,
}

impl Reading<'_> {
    fn segment(&mut self, number: u32, is_last: bool) -> io::Result<()> {
        let file = self.log.disk.open(&segment_name(number))?;
        // A segment from another folder does not count, its records less than its header.
        let header = header(&*file, number).filter(|header| header.salt == self.log.salt);
        let seal = Seal { salt: self.log.salt, segment: number };
        let length = file.len()?;
        self.next_id = self.next_id.max(header.map_or(1, |header| header.next_id));
        let ids = 1..self.next_id.saturating_add(FARTHEST_ID);
        let mut found = scan(Arc::clone(&file), seal, ids, &mut |offset, length, record| {
            self.record(Place { segment: number, offset, length }, record);
        })?;
        let is_empty = length <= HEADER as u64 && header.is_none();
        if header.is_none() && length > 0 {
            found.damage.insert(0, 0..length.min(HEADER as u64));
            found.damaged_places += 1;
        }
        let is_whole = self.set_aside(number, &file, length, is_last, &found);
        if is_empty && is_whole && self.log.disk.remove(&segment_name(number)).is_ok() {
            return Ok(());
        }
        // The next ids must be near enough to what its header says; else a new segment, whose header says them, takes them.
        let is_near = header.is_some_and(|header| self.next_id - header.next_id < FARTHEST_ID / 2);
        let is_open = is_last && is_whole && is_near;
        let bytes = if is_open { found.end } else { length };
        self.log.segments.push_back(Segment { number, bytes, live: 0 });
        if is_open && bytes < u64::from(self.limits.segment_bytes) {
            self.log.active = Some(Active { file, number, end: bytes as u32, broken: false });
        }
        Ok(())
    }

    /// Copies damaged places beside; whether all that follows the last record of the last segment is gone.
    fn set_aside(
        &mut self,
        number: u32,
        file: &Arc<dyn DiskFile>,
        length: u64,
        is_last: bool,
        found: &Scan,
    ) -> bool {
        self.recovery.damaged_places += found.damaged_places;
        let mut is_whole = true;
        for place in &found.damage {
            let is_tail = place.end == length && (is_last || length <= HEADER as u64);
            let name = format!("damaged-{number:010}-{:010}-{}", place.start, place.end - place.start);
            let is_known = self.files.set_aside.get(&name) == Some(&(place.end - place.start));
            let set_aside =
                (is_known || self.copy(file, place.clone(), &name, is_tail).is_ok()).then_some(name);
            if is_tail {
                is_whole = set_aside.is_some() && (place.start == 0 || file.set_len(place.start).is_ok());
            }
            if !is_known || is_tail {
                self.recovery.damage.push(Damage {
                    segment: segment_name(number),
                    offset: place.start,
                    bytes: place.end - place.start,
                    is_tail,
                    set_aside,
                });
            }
        }
        is_whole
    }

    fn copy(
        &mut self,
        file: &Arc<dyn DiskFile>,
        place: Range<u64>,
        name: &str,
        must_last: bool,
    ) -> io::Result<()> {
        let length = place.end - place.start;
        if self.files.set_aside.values().sum::<u64>() + length > MOST_SET_ASIDE {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if self.files.set_aside.contains_key(name) {
            self.log.disk.remove(name)?;
        }
        let copy = self.log.disk.create(name)?;
        let copied = (|| {
            let mut at = place.start;
            while at < place.end {
                let mut part = vec![0; (place.end - at).min(64 << 10) as usize];
                // What cannot be read is kept as zeros.
                let _ = file.read_at(&mut part, at);
                copy.write_at(&part, at - place.start)?;
                at += part.len() as u64;
            }
            // What stays where it is too needs no haste.
            if must_last { copy.sync().and_then(|()| self.log.disk.sync()) } else { Ok(()) }
        })();
        match copied {
            Ok(()) => drop(self.files.set_aside.insert(name.to_owned(), length)),
            Err(_) => drop(self.log.disk.remove(name)),
        }
        copied
    }

    fn record(&mut self, place: Place, record: Record<'_>) {
        match record {
            Record::Task(task) => self.task(place, task),
            Record::State(state) => {
                let due = match state.due_ms {
                    0 => 0,
                    due => due.saturating_sub(self.now_ms).min(self.limits.longest_pause_ms) + 1,
                };
                if let Some(entry) = self.entry(state.id) {
                    (entry.failures, entry.steps, entry.due) = (state.failures, state.steps, due);
                    if state.lifted {
                        (entry.marks, entry.deadline) = (entry.marks.lifted(), 0);
                    }
                    if state.revived && entry.state == State::Dead {
                        entry.state = State::Ready;
                    }
                    if entry.state != State::Dead {
                        self.index.dead.remove(&state.id);
                    }
                }
            }
            Record::Done { id } => self.remove(id, true),
            Record::Gone { id } => self.remove(id, false),
            Record::Dead { id, at_ms, failures, reason } => {
                if let Some(entry) = self.entry(id) {
                    (entry.state, entry.failures) = (State::Dead, failures);
                    self.index.dead.insert(id, Note { at_ms, reason: reason.into() });
                }
            }
            Record::Key { id, key } => {
                let key = self.index.keys.fingerprint(key);
                if self.index.keys.owner(key) != Some(id) {
                    self.index.claim(key, id);
                    self.index.keys.remember(key.hash, id);
                }
            }
        }
        self.next_id = self.next_id.max(record.id() + 1);
    }

    fn task(&mut self, place: Place, task: super::record::Task<'_>) {
        // Most tasks are the newest so far, and not looked for.
        let is_newest = self.late.is_empty() && task.id > self.index.last_id();
        if !is_newest && let Some(entry) = self.entry(task.id) {
            entry.place = place;
            return;
        }
        let order = if task.order.is_empty() { 0 } else { (self.orders)(task.order) };
        let has_key = !task.generated_key && !task.key.is_empty();
        let key = has_key.then(|| self.index.keys.fingerprint(task.key));
        if let Some(key) = key {
            self.index.claim(key, task.id);
        }
        // Set back, the clock must not make a deadline later than it was when the task was pushed.
        let deadline = match task.deadline_ms {
            0 => 0,
            at => at.saturating_sub(self.now_ms).min(at.saturating_sub(task.pushed_ms)) + 1,
        };
        let entry = Entry::new(task.id, task.kind, place, order, key.map_or(0, |key| key.hash), deadline);
        if task.id > self.index.last_id() {
            self.index.append(entry);
        } else if !self.index.is_gone(task.id) {
            self.late.insert(task.id, entry);
        }
    }

    fn entry(&mut self, id: u64) -> Option<&mut Entry> {
        // In this order, because only few are late.
        match self.late.get_mut(&id) {
            Some(entry) => Some(entry),
            None => self.index.get_mut(id),
        }
    }

    fn remove(&mut self, id: u64, done: bool) {
        match self.late.remove(&id) {
            Some(entry) => {
                self.index.dead.remove(&id);
                if done {
                    self.index.keys.remember(entry.key, id);
                } else {
                    self.index.keys.forget(entry.key, id);
                }
            }
            None => drop(self.index.remove(id, done)),
        }
    }

    fn finish(mut self) -> Recovered {
        self.log.next_number = self.log.segments.back().map_or(1, |last| last.number.saturating_add(1));
        self.index.merge(self.late);
        self.index.recount();
        self.index.keys.bound(self.limits.remembered_keys);
        let excess = self.index.dead.len().saturating_sub(self.limits.max_dead as usize);
        let evicted: Vec<u64> = self.index.dead.keys().copied().take(excess).collect();
        for &id in &evicted {
            self.index.remove(id, false);
            self.log.defer(Record::Gone { id });
        }
        self.recovery.evicted = evicted;
        for entry in self.index.iter() {
            self.log.count(entry.place.segment, 1);
        }
        self.index.enqueue_all();
        self.recovery.dead = self.index.dead.len();
        self.recovery.tasks = self.index.len() - self.recovery.dead;
        Recovered { index: self.index, log: self.log, next_id: self.next_id, recovery: self.recovery }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_valid_in_its_own_segment_only() {
        let header = Header { segment: 3, salt: 5, next_id: 7 };
        assert_eq!(Header::parse(&header.bytes(), 3), Some(header));
        assert_eq!(Header::parse(&header.bytes(), 4), None);
        assert_eq!(Header::parse(&header.bytes()[..31], 3), None);
    }
}
