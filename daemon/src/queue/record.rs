//! The records of a segment. All numbers are little-endian:
//!
//! | Bytes | What |
//! |---|---|
//! | 4 | magic |
//! | 4 | length of the payload |
//! | 4 | CRC-32 of the payload |
//! | 4 | CRC-32 of the folder's salt, the segment's number, the record's offset and the 12 bytes before |
//! | … | the payload: a byte that says which, the task's id (8 bytes), and what [`Record`] lists |
//!
//! The head has a checksum of its own so that a record with a damaged payload can be stepped over. That the salt and the
//! place are in it keeps a task's body from being taken for records when its own head is damaged: a body is foreign text,
//! and whoever pushes it knows neither.

use std::str;

use super::Kind;
use super::limits::LONGEST_KEY;

const MAGIC: [u8; 4] = *b"\xD5SWQ";
/// Bytes before the payload.
pub(super) const HEAD: usize = 16;
/// A task's payload before its body is no longer than this, nor is any other payload. Bytes.
pub(super) const LONGEST_PREFIX: usize = 28 + 2 * LONGEST_KEY;
/// The longest reason that is kept. Bytes.
pub(super) const LONGEST_REASON: usize = 200;
/// Ids are below; a larger one is damage.
pub(super) const IDS_END: u64 = 1 << 62;

const TASK: u8 = 1;
const STATE: u8 = 2;
const DONE: u8 = 3;
const GONE: u8 = 4;
const DEAD: u8 = 5;
const KEY: u8 = 6;

const COMMAND: u8 = 1;
const GENERATED: u8 = 2;

const LIFTED: u8 = 1;
const REVIVED: u8 = 2;

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Record<'a> {
    Task(Task<'a>),
    /// A task's attempts changed.
    State(State),
    /// A task is done; its idempotency key is remembered.
    Done {
        id: u64,
    },
    /// A task was dropped or discarded, or its push failed; its idempotency key is forgotten.
    Gone {
        id: u64,
    },
    /// A task is dead, since this many milliseconds after 1970.
    Dead {
        id: u64,
        at_ms: u64,
        failures: u8,
        reason: &'a str,
    },
    /// The idempotency key of a task that is done and no longer in the log.
    Key {
        id: u64,
        key: &'a str,
    },
}

impl Record<'_> {
    /// Whose it is.
    pub(super) fn id(&self) -> u64 {
        match self {
            Record::Task(Task { id, .. })
            | Record::State(State { id, .. })
            | Record::Done { id }
            | Record::Gone { id }
            | Record::Dead { id, .. }
            | Record::Key { id, .. } => *id,
        }
    }
}

/// A task, without its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Task<'a> {
    pub(super) id: u64,
    pub(super) kind: Kind,
    /// The key was made up here, because the pusher gave none.
    pub(super) generated_key: bool,
    /// Milliseconds since 1970.
    pub(super) pushed_ms: u64,
    /// Milliseconds since 1970; 0 for none.
    pub(super) deadline_ms: u64,
    /// Empty for none.
    pub(super) order: &'a str,
    pub(super) key: &'a str,
}

/// A task's attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) id: u64,
    /// Attempts that count towards the task's death.
    pub(super) failures: u8,
    /// Attempts that count towards the next pause.
    pub(super) steps: u8,
    /// When it is to be tried again. Milliseconds since 1970; 0 for at once.
    pub(super) due_ms: u64,
    /// Its deadline no longer holds.
    pub(super) lifted: bool,
    /// It is dead no more.
    pub(super) revived: bool,
}

/// What the checksum of a head starts with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seal {
    pub(super) salt: u64,
    pub(super) segment: u32,
}

impl Seal {
    fn of_head(self, offset: u32, head: &[u8; HEAD]) -> u32 {
        let mut bytes = [0; 28];
        bytes[..8].copy_from_slice(&self.salt.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.segment.to_le_bytes());
        bytes[12..16].copy_from_slice(&offset.to_le_bytes());
        bytes[16..].copy_from_slice(&head[..12]);
        crc32fast::hash(&bytes)
    }

    /// The payload's length and checksum, if these bytes at `offset` are the head of a record.
    pub(super) fn open(self, offset: u32, bytes: &[u8]) -> Option<(u32, u32)> {
        let head: &[u8; HEAD] = bytes.first_chunk()?;
        let is_head = head[..4] == MAGIC && are_equal(self.of_head(offset, head), u32_at(head, 12));
        is_head.then(|| (u32_at(head, 4), u32_at(head, 8)))
    }
}

/// Whether two checksums are equal. A fuzzer would not get past them, so for it all are.
pub(super) fn are_equal(one: u32, other: u32) -> bool {
    one == other || cfg!(fuzzing)
}

/// The first byte of every record.
pub(super) const FIRST_BYTE: u8 = MAGIC[0];

/// Records that are written together.
#[derive(Clone, Debug, Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    starts: Vec<usize>,
}

impl Batch {
    pub(super) fn of(record: Record<'_>) -> Self {
        let mut batch = Self::default();
        batch.add(record, &[]);
        batch
    }

    /// Where the last record starts, from the batch's start on, and its length with its head. Bytes.
    pub(super) fn last(&self) -> (u32, u32) {
        let start = self.starts.last().copied().unwrap_or_default();
        (start as u32, (self.bytes.len() - start) as u32)
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.starts.clear();
    }

    /// Adds a record; only a task has a body.
    pub(super) fn add(&mut self, record: Record<'_>, body: &[u8]) {
        let start = self.begin();
        let out = &mut self.bytes;
        let put = |out: &mut Vec<u8>, which: u8, id: u64| {
            out.push(which);
            out.extend_from_slice(&id.to_le_bytes());
        };
        let text = |out: &mut Vec<u8>, text: &str| {
            out.push(text.len() as u8);
            out.extend_from_slice(text.as_bytes());
        };
        match record {
            Record::Task(task) => {
                put(out, TASK, task.id);
                out.extend_from_slice(&task.pushed_ms.to_le_bytes());
                out.extend_from_slice(&task.deadline_ms.to_le_bytes());
                out.push(
                    (u8::from(task.kind == Kind::Command) * COMMAND)
                        | (u8::from(task.generated_key) * GENERATED),
                );
                text(out, task.order);
                text(out, task.key);
                out.extend_from_slice(body);
            }
            Record::State(state) => {
                put(out, STATE, state.id);
                out.extend_from_slice(&[state.failures, state.steps]);
                out.extend_from_slice(&state.due_ms.to_le_bytes());
                out.push((u8::from(state.lifted) * LIFTED) | (u8::from(state.revived) * REVIVED));
            }
            Record::Done { id } => put(out, DONE, id),
            Record::Gone { id } => put(out, GONE, id),
            Record::Dead { id, at_ms, failures, reason } => {
                put(out, DEAD, id);
                out.extend_from_slice(&at_ms.to_le_bytes());
                out.push(failures);
                text(out, reason);
            }
            Record::Key { id, key } => {
                put(out, KEY, id);
                text(out, key);
            }
        }
        self.end(start);
    }

    /// Adds a payload that was read from another place.
    pub(super) fn add_payload(&mut self, payload: &[u8]) {
        let start = self.begin();
        self.bytes.extend_from_slice(payload);
        self.end(start);
    }

    fn begin(&mut self) -> usize {
        self.starts.push(self.bytes.len());
        self.bytes.extend_from_slice(&MAGIC);
        self.bytes.extend_from_slice(&[0; HEAD - 4]);
        self.bytes.len()
    }

    fn end(&mut self, payload: usize) {
        let (length, crc) = ((self.bytes.len() - payload) as u32, crc32fast::hash(&self.bytes[payload..]));
        let head = &mut self.bytes[payload - HEAD..payload];
        head[4..8].copy_from_slice(&length.to_le_bytes());
        head[8..12].copy_from_slice(&crc.to_le_bytes());
    }

    /// The bytes to write at `offset` of a segment.
    pub(super) fn sealed(&mut self, seal: Seal, offset: u32) -> &[u8] {
        for &start in &self.starts {
            let head: &mut [u8; HEAD] = self.bytes[start..].first_chunk_mut().expect("each start has a head");
            let crc = seal.of_head(offset + start as u32, head);
            head[12..].copy_from_slice(&crc.to_le_bytes());
        }
        &self.bytes
    }
}

/// What a payload says, and where a task's body starts in it; of a task, the first [`LONGEST_PREFIX`] bytes are enough.
/// `None` where it is not a record of this version.
pub(super) fn parse(payload: &[u8]) -> Option<(Record<'_>, usize)> {
    let mut rest = payload;
    let which = byte(&mut rest)?;
    let id = number(&mut rest).filter(|id| (1..IDS_END).contains(id))?;
    let record = match which {
        TASK => {
            let (pushed_ms, deadline_ms) = (number(&mut rest)?, number(&mut rest)?);
            let flags = byte(&mut rest).filter(|flags| *flags <= COMMAND | GENERATED)?;
            let (order, key) = (text(&mut rest)?, text(&mut rest)?);
            let kind = if flags & COMMAND != 0 { Kind::Command } else { Kind::Deliver };
            let generated_key = flags & GENERATED != 0;
            let task = Task { id, kind, generated_key, pushed_ms, deadline_ms, order, key };
            return Some((Record::Task(task), payload.len() - rest.len()));
        }
        STATE => {
            let (failures, steps, due_ms) = (byte(&mut rest)?, byte(&mut rest)?, number(&mut rest)?);
            let flags = byte(&mut rest).filter(|flags| *flags <= LIFTED | REVIVED)?;
            let (lifted, revived) = (flags & LIFTED != 0, flags & REVIVED != 0);
            Record::State(State { id, failures, steps, due_ms, lifted, revived })
        }
        DONE => Record::Done { id },
        GONE => Record::Gone { id },
        DEAD => {
            let (at_ms, failures) = (number(&mut rest)?, byte(&mut rest)?);
            Record::Dead { id, at_ms, failures, reason: text(&mut rest)? }
        }
        KEY => Record::Key { id, key: text(&mut rest)? },
        _ => return None,
    };
    rest.is_empty().then_some((record, payload.len()))
}

fn byte(rest: &mut &[u8]) -> Option<u8> {
    let (first, after) = rest.split_first()?;
    *rest = after;
    Some(*first)
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    let (bytes, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u64::from_le_bytes(*bytes))
}

fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let length = byte(rest)?;
    let (bytes, after) = rest.split_at_checked(length.into())?;
    *rest = after;
    str::from_utf8(bytes).ok()
}

fn u32_at(bytes: &[u8; HEAD], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEAL: Seal = Seal { salt: 7, segment: 3 };

    #[test]
    fn each_record_reads_as_it_was_written() {
        let task = Task {
            id: 1,
            kind: Kind::Command,
            generated_key: false,
            pushed_ms: 2,
            deadline_ms: 3,
            order: "o",
            key: "k",
        };
        let state = State { id: 9, failures: 1, steps: 2, due_ms: 3, lifted: true, revived: false };
        let records = [
            Record::Task(task),
            Record::State(state),
            Record::Done { id: 4 },
            Record::Gone { id: 5 },
            Record::Dead { id: 6, at_ms: 7, failures: 8, reason: "why" },
            Record::Key { id: IDS_END - 1, key: "k" },
        ];
        for record in records {
            let mut batch = Batch::of(record);
            let bytes = batch.sealed(SEAL, 32).to_vec();
            let (length, crc) = SEAL.open(32, &bytes).expect("a head");
            let payload = &bytes[HEAD..];
            assert_eq!((length as usize, crc), (payload.len(), crc32fast::hash(payload)));
            assert_eq!(parse(payload), Some((record, payload.len())));
            assert_eq!(parse(&payload[..payload.len() - 1]), None, "cut short");
            if !matches!(record, Record::Task(_)) {
                assert_eq!(parse(&[payload, &[0]].concat()), None, "too long");
            }
        }
    }

    #[test]
    fn a_record_is_valid_only_where_it_was_written() {
        let bytes = Batch::of(Record::Done { id: 1 }).sealed(SEAL, 32).to_vec();
        assert!(SEAL.open(32, &bytes).is_some());
        assert_eq!(SEAL.open(33, &bytes), None);
        assert_eq!(Seal { segment: 4, ..SEAL }.open(32, &bytes), None);
        assert_eq!(Seal { salt: 8, ..SEAL }.open(32, &bytes), None);
    }
}
