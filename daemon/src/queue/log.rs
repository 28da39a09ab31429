//! The segments on disk: records are appended to the last one, and the oldest is removed.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use super::disk::{Disk, DiskFile};
use super::index::Place;
use super::record::{self, Batch, HEAD, LONGEST_PREFIX, Record, Seal};
use super::scan::{HEADER, Header};

/// No more waits in memory for a disk that refuses; what is beyond would be done again after a crash. Bytes.
const LARGEST_BACKLOG: usize = 32 << 20;

/// The name of a segment's file.
pub(super) fn segment_name(number: u32) -> String {
    format!("{number:010}.segment")
}

/// One file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) number: u32,
    pub(super) bytes: u64,
    /// How many tasks of the queue have their record in it.
    pub(super) live: u32,
}

/// The segment that grows.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) number: u32,
    /// Where the next record goes. Bytes.
    pub(super) end: u32,
    /// Something went wrong with it: nothing more is appended.
    pub(super) broken: bool,
}

/// All segments.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) salt: u64,
    pub(super) segment_bytes: u32,
    /// By number, ascending; the last may be the active one.
    pub(super) segments: VecDeque<Segment>,
    pub(super) active: Option<Active>,
    pub(super) next_number: u32,
    /// Records that the disk refused, and that matter.
    pub(super) backlog: Batch,
    /// Bytes appended since the queue was opened.
    pub(super) appended: u64,
    /// The file read last.
    pub(super) reader: Option<(u32, Arc<dyn DiskFile>)>,
}

impl Log {
    /// All files together. Bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// The oldest segment, unless it is the newest too: that one tells the next start which ids were used.
    pub(super) fn oldest(&self) -> Option<Segment> {
        if self.segments.len() > 1 { self.segments.front().copied() } else { None }
    }

    /// Counts a task that came to (`+1`) or left (`-1`) a segment.
    pub(super) fn count(&mut self, segment: u32, change: i32) {
        if let Ok(at) = self.segments.binary_search_by_key(&segment, |segment| segment.number) {
            self.segments[at].live = self.segments[at].live.saturating_add_signed(change);
        }
    }

    /// Whether a new segment is needed before `bytes` more.
    pub(super) fn must_rotate(&self, bytes: usize) -> bool {
        self.active.as_ref().is_none_or(|active| {
            let is_new = active.end as usize <= HEADER;
            active.broken || (!is_new && active.end as usize + bytes > self.segment_bytes as usize)
        })
    }

    /// Makes the next segment and its name durable. The one before is synced already, or given up.
    pub(super) fn start_segment(&mut self, next_id: u64) -> io::Result<()> {
        self.active = None;
        let number = self.next_number;
        // Even if this fails the name may exist now.
        self.next_number =
            number.checked_add(1).ok_or_else(|| io::Error::other("no number is left for a segment"))?;
        let name = segment_name(number);
        let file = self.disk.create(&name)?;
        let header = Header { segment: number, salt: self.salt, next_id }.bytes();
        let made = file.write_at(&header, 0).and_then(|()| file.sync()).and_then(|()| self.disk.sync());
        if let Err(error) = made {
            let _ = self.disk.remove(&name);
            return Err(error);
        }
        self.segments.push_back(Segment { number, bytes: HEADER as u64, live: 0 });
        self.active = Some(Active { file, number, end: HEADER as u32, broken: false });
        Ok(())
    }

    /// Appends records, after those of the backlog; the segment and the offset of the first. Nothing of them stays if it
    /// fails.
    pub(super) fn append(&mut self, batch: &mut Batch) -> io::Result<(u32, u32)> {
        self.append_backlog()?;
        self.write(batch)
    }

    /// Appends what the disk refused before.
    pub(super) fn append_backlog(&mut self) -> io::Result<()> {
        if self.backlog.is_empty() {
            return Ok(());
        }
        let mut backlog = std::mem::take(&mut self.backlog);
        let written = self.write(&mut backlog);
        if written.is_err() {
            self.backlog = backlog;
        }
        written.map(drop)
    }

    fn write(&mut self, batch: &mut Batch) -> io::Result<(u32, u32)> {
        let salt = self.salt;
        let active = self
            .active
            .as_mut()
            .filter(|active| !active.broken)
            .ok_or_else(|| io::Error::other("no segment can be written"))?;
        let (number, offset) = (active.number, active.end);
        let end = u32::try_from(batch.len()).ok().and_then(|length| offset.checked_add(length));
        let end = end.ok_or_else(|| io::Error::other("a segment would be too long"))?;
        let bytes = batch.sealed(Seal { salt, segment: number }, offset);
        if let Err(error) = active.file.write_at(bytes, offset.into()) {
            // A part of it may be there, and would look like damage to the next that opens it.
            active.broken = active.file.set_len(offset.into()).is_err();
            return Err(error);
        }
        active.end = end;
        self.appended += batch.len() as u64;
        if let Some(segment) = self.segments.back_mut() {
            segment.bytes = segment.bytes.max(end.into());
        }
        Ok((number, offset))
    }

    /// Keeps a record for later.
    pub(super) fn defer(&mut self, record: Record<'_>) {
        if self.backlog.len() < LARGEST_BACKLOG {
            self.backlog.add(record, &[]);
        }
    }

    /// The payload of the record at `place`.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] where it is damaged, or what the system says.
    pub(super) fn read(&mut self, place: Place) -> io::Result<Vec<u8>> {
        let (mut bytes, crc) = self.read_checked(place, place.length as usize)?;
        bytes.drain(..HEAD);
        if !record::are_equal(crc32fast::hash(&bytes), crc) {
            return Err(damaged());
        }
        Ok(bytes)
    }

    /// The start of the payload of the record at `place`, without its body and unchecked.
    pub(super) fn read_prefix(&mut self, place: Place) -> io::Result<Vec<u8>> {
        let (mut bytes, _) = self.read_checked(place, (place.length as usize).min(HEAD + LONGEST_PREFIX))?;
        bytes.drain(..HEAD);
        Ok(bytes)
    }

    fn read_checked(&mut self, place: Place, length: usize) -> io::Result<(Vec<u8>, u32)> {
        let file = self.open(place.segment)?;
        let mut bytes = vec![0; length];
        let read = file.read_at(&mut bytes, place.offset.into())?;
        let seal = Seal { salt: self.salt, segment: place.segment };
        match seal.open(place.offset, &bytes) {
            Some((payload, crc)) if read == length && payload as usize + HEAD == place.length as usize => {
                Ok((bytes, crc))
            }
            _ => Err(damaged()),
        }
    }

    /// The file of a segment.
    pub(super) fn open(&mut self, number: u32) -> io::Result<Arc<dyn DiskFile>> {
        if let Some(active) = self.active.as_ref().filter(|active| active.number == number) {
            return Ok(Arc::clone(&active.file));
        }
        if let Some((_, file)) = self.reader.as_ref().filter(|(read, _)| *read == number) {
            return Ok(Arc::clone(file));
        }
        let file = self.disk.open(&segment_name(number))?;
        self.reader = Some((number, Arc::clone(&file)));
        Ok(file)
    }

    /// Removes the oldest segment.
    pub(super) fn remove_oldest(&mut self) -> io::Result<()> {
        let Some(oldest) = self.oldest() else { return Ok(()) };
        // Windows removes a file only when nobody has it open.
        self.reader = None;
        match self.disk.remove(&segment_name(oldest.number)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => {
                self.segments.pop_front();
                // Were a younger one gone for good and this one back, what it holds would be back too.
                self.disk.sync()
            }
        }
    }
}

/// The task of a payload, and where its body starts.
pub(super) fn task_of(payload: &[u8], id: u64) -> io::Result<(record::Task<'_>, usize)> {
    match record::parse(payload) {
        Some((Record::Task(task), body)) if task.id == id => Ok((task, body)),
        _ => Err(damaged()),
    }
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the record is damaged")
}
