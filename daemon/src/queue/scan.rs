//! Reads a segment from end to end in a bounded buffer: every record that is whole, and where bytes are that are none.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::disk::DiskFile;
use super::limits::LARGEST_SEGMENT;
use super::record::{self, FIRST_BYTE, HEAD, LONGEST_PREFIX, Record, Seal};

/// Bytes of a segment's header: see [`Header`].
pub(super) const HEADER: usize = 32;
const MAGIC: [u8; 8] = *b"SWQUEUE1";
/// How much is read at once. Bytes.
const BUFFER: usize = 256 << 10;
/// How much is given up where the disk cannot read. Bytes.
const SECTOR: usize = 4096;
/// More damaged places are counted, not listed.
const MOST_DAMAGE: usize = 1000;

/// The first bytes of a segment: magic (8 bytes), number (4), salt (8), the next id when it was made (8), CRC-32 (4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) segment: u32,
    pub(super) salt: u64,
    pub(super) next_id: u64,
}

impl Header {
    pub(super) fn bytes(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&self.segment.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.salt.to_le_bytes());
        bytes[20..28].copy_from_slice(&self.next_id.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..28]);
        bytes[28..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// `None` where it is damaged, or the header of another segment.
    pub(super) fn parse(bytes: &[u8], segment: u32) -> Option<Self> {
        let bytes: &[u8; HEADER] = bytes.first_chunk()?;
        let number = |at: usize| bytes[at..].first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
        let header = Self { segment, salt: number(12)?, next_id: number(20)?.min(1 << 61) };
        (header.bytes() == *bytes).then_some(header)
    }
}

/// What is in a segment beside its records.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Scan {
    /// Where the last record ends. Bytes.
    pub(super) end: u64,
    /// Places that hold no record, the first thousand of them; the last may be the torn tail, which ends where the file does.
    pub(super) damage: Vec<Range<u64>>,
    /// How many places hold no record.
    pub(super) damaged_places: u64,
}

impl Scan {
    fn damaged(&mut self, place: Range<u64>) {
        self.damaged_places += 1;
        if self.damage.len() < MOST_DAMAGE {
            self.damage.push(place);
        }
    }
}

/// Calls `visit` with every record of a task in `ids`, its offset and its length with its head. Time and memory are bounded by the file's
/// length and [`LARGEST_SEGMENT`], whatever the bytes are.
pub(super) fn scan(
    file: Arc<dyn DiskFile>,
    seal: Seal,
    ids: Range<u64>,
    visit: &mut dyn FnMut(u32, u32, Record<'_>),
) -> io::Result<Scan> {
    let length = file.len()?;
    let mut reader = Reader::new(file, length.min(LARGEST_SEGMENT));
    let mut scan = Scan { end: HEADER as u64, ..Scan::default() };
    let mut offset = HEADER as u64;
    let mut damaged_from = None;
    while offset < reader.length {
        let head = seal.open(offset as u32, reader.bytes(offset, HEAD));
        let Some((payload_length, crc)) = head else {
            damaged_from.get_or_insert(offset);
            offset = reader.find(offset + 1, FIRST_BYTE);
            continue;
        };
        let payload = offset + HEAD as u64;
        let end = payload + u64::from(payload_length);
        if end > reader.length {
            damaged_from.get_or_insert(offset);
            break;
        }
        if !record::are_equal(reader.crc(payload..end), crc) {
            damaged_from.get_or_insert(offset);
            offset = end;
            continue;
        }
        let prefix = reader.bytes(payload, LONGEST_PREFIX.min(payload_length as usize));
        match record::parse(prefix) {
            Some((record, used))
                if ids.contains(&record.id())
                    && (used == payload_length as usize || matches!(record, Record::Task(_))) =>
            {
                if let Some(from) = damaged_from.take() {
                    scan.damaged(from..offset);
                }
                visit(offset as u32, (end - offset) as u32, record);
                scan.end = end;
            }
            _ => {
                damaged_from.get_or_insert(offset);
            }
        }
        offset = end;
    }
    let tail = damaged_from.unwrap_or(offset.min(length))..length;
    // Zeros are room that was made and not used, or a file system's own after a loss of power.
    if reader.has_content(tail.start) || length > reader.length {
        scan.damaged(tail);
    }
    Ok(scan)
}

/// A window over a file.
struct Reader {
    file: Arc<dyn DiskFile>,
    length: u64,
    buffer: Vec<u8>,
    start: u64,
}

impl Reader {
    fn new(file: Arc<dyn DiskFile>, length: u64) -> Self {
        Self { file, length, buffer: Vec::new(), start: 0 }
    }

    /// The bytes from `offset` on, up to `wanted` of them or to the end.
    fn bytes(&mut self, offset: u64, wanted: usize) -> &[u8] {
        let left = usize::try_from(self.length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = wanted.min(left);
        let held = self.start..self.start + self.buffer.len() as u64;
        if offset < held.start || offset + wanted as u64 > held.end {
            self.fill(offset, left.min(BUFFER));
        }
        let from = (offset - self.start) as usize;
        &self.buffer[from..from + wanted]
    }

    fn fill(&mut self, offset: u64, length: usize) {
        self.start = offset;
        self.buffer.clear();
        self.buffer.resize(length, 0);
        if self.file.read_at(&mut self.buffer, offset).is_ok() {
            return;
        }
        // What a dying disk does not give reads as zeros, which no record is.
        for (index, sector) in self.buffer.chunks_mut(SECTOR).enumerate() {
            if self.file.read_at(sector, offset + (index * SECTOR) as u64).is_err() {
                sector.fill(0);
            }
        }
    }

    /// All that the window can show from `offset` on, at least one byte before the end.
    fn rest(&mut self, offset: u64) -> &[u8] {
        let held = self.start..self.start + self.buffer.len() as u64;
        if held.contains(&offset) {
            return &self.buffer[(offset - self.start) as usize..];
        }
        self.bytes(offset, BUFFER)
    }

    fn crc(&mut self, range: Range<u64>) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        let mut offset = range.start;
        while offset < range.end {
            let wanted = usize::try_from(range.end - offset).unwrap_or(usize::MAX);
            let rest = self.rest(offset);
            let part = &rest[..rest.len().min(wanted)];
            hasher.update(part);
            offset += part.len() as u64;
        }
        hasher.finalize()
    }

    /// Where `byte` is next, or the end.
    fn find(&mut self, mut offset: u64, byte: u8) -> u64 {
        while offset < self.length {
            let rest = self.rest(offset);
            if let Some(at) = rest.iter().position(|found| *found == byte) {
                return offset + at as u64;
            }
            offset += rest.len() as u64;
        }
        self.length
    }

    /// Whether anything but zeros is from `offset` on.
    fn has_content(&mut self, mut offset: u64) -> bool {
        while offset < self.length {
            let rest = self.rest(offset);
            if rest.iter().any(|byte| *byte != 0) {
                return true;
            }
            offset += rest.len() as u64;
        }
        false
    }
}
