//! The log file and its rotation.
//!
//! Rotated files are named as logrotate names them: `log.1` is the newest, `log.2` older. Rotation moves files up to the
//! first free place, oldest first: a kill between two moves leaves a free place behind, which the next rotation fills,
//! and no file but the one too many is ever replaced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::event::Event;
use super::record::{Record, Value};
use super::time::from_rfc3339;

/// After a rotation that failed.
const NEXT_TRY: Duration = Duration::from_secs(60);
/// What a record's line starts with; the time follows.
const LINE_START: &[u8] = b"{\"time\":\"";
const TIME_LENGTH: usize = 24;

/// When the file is rotated and how many old ones are kept.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rotation {
    /// 0: never for its size.
    pub(super) max_bytes: u64,
    /// Since the file's first record.
    pub(super) max_age: Option<Duration>,
    pub(super) keep: u32,
}

/// The open log file.
pub(super) struct LogFile {
    path: PathBuf,
    rotation: Rotation,
    file: File,
    /// Pipes and devices are not rotated.
    is_regular: bool,
    /// What was written and what was found; less than this if someone has cut the file since. Bytes.
    size: u64,
    /// The time of its first record.
    since: Option<SystemTime>,
    /// Its last line has no end.
    torn: bool,
    /// Records that could not be written, and why.
    lost: u64,
    why: String,
    no_rotation_before: Option<Instant>,
    marker: String,
}

impl LogFile {
    /// Appends to `path`. A line without end, which a kill or a full disk left there, is ended first.
    pub(super) fn open(path: &Path, rotation: Rotation) -> io::Result<Self> {
        let file = open(path)?;
        let mut log = Self {
            path: path.to_owned(),
            rotation,
            file,
            is_regular: false,
            size: 0,
            since: None,
            torn: false,
            lost: 0,
            why: String::new(),
            no_rotation_before: None,
            marker: String::new(),
        };
        log.look();
        Ok(log)
    }

    /// Writes the record, whose line is `line`. What goes wrong is counted, and told in the file when it works again.
    pub(super) fn write(&mut self, record: &Record<'_>, line: &str) {
        if self.is_due(record.time, line.len()) {
            self.try_to_rotate(record);
        }
        if self.lost > 0 && !self.tell_lost(record) {
            self.lost += 1;
            return;
        }
        match self.append(line.as_bytes()) {
            Ok(()) => _ = self.since.get_or_insert(record.time),
            Err(error) => self.count_lost(&error),
        }
    }

    /// Opens the path again, after someone has moved the file away; on an error the old file goes on.
    pub(super) fn reopen(&mut self) -> (String, io::Result<()>) {
        let result = open(&self.path).map(|file| {
            self.file = file;
            self.look();
        });
        (self.path.display().to_string(), result)
    }

    /// Brings it to the disk.
    pub(super) fn sync(&self) {
        // A disk that refuses has refused the records themselves, and nobody is left to tell.
        let _ = self.file.sync_data();
    }

    fn is_due(&mut self, now: SystemTime, length: usize) -> bool {
        if !self.is_regular
            || self.size == 0
            || self.no_rotation_before.is_some_and(|time| Instant::now() < time)
        {
            return false;
        }
        let is_old = || {
            let age = now.duration_since(self.since?).ok()?;
            Some(age >= self.rotation.max_age?)
        };
        if is_old() == Some(true) {
            return true;
        }
        let is_large =
            |size: u64| self.rotation.max_bytes > 0 && size + length as u64 > self.rotation.max_bytes;
        if !is_large(self.size) {
            return false;
        }
        // logrotate's copytruncate makes it shorter than we know.
        let size = self.file.metadata().map_or(self.size, |metadata| metadata.len());
        let due = size > 0 && is_large(size);
        self.size = size;
        due
    }

    fn try_to_rotate(&mut self, record: &Record<'_>) {
        self.no_rotation_before = None;
        let Err(error) = self.rotate() else { return };
        self.no_rotation_before = Some(Instant::now() + NEXT_TRY);
        let fields = [
            ("path", Value::text(self.path.display().to_string())),
            ("error", Value::text(error.to_string())),
        ];
        let (event, message) = (Event::LogRotationFailed, "the log file cannot be rotated");
        if let Err(error) = self.mark(&Record { event, message, fields: &fields, ..*record }) {
            self.count_lost(&error);
        }
    }

    fn rotate(&mut self) -> io::Result<()> {
        // Else someone has moved it away already: only open it again.
        let in_place = self.is_in_place()?;
        if in_place {
            let free = (1..self.rotation.keep).find(|number| !exists(&self.numbered(*number)));
            for number in (1..free.unwrap_or(self.rotation.keep)).rev() {
                // Only the last place is not free: its file is the one too many.
                fs::rename(self.numbered(number), self.numbered(number + 1))?;
            }
            match fs::rename(&self.path, self.numbered(1)) {
                // Someone was faster.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                result => result?,
            }
        }
        match open(&self.path) {
            Ok(file) => self.file = file,
            Err(error) => {
                if in_place {
                    // The open file goes on, under its old name if that can be had.
                    let _ = fs::rename(self.numbered(1), &self.path);
                }
                return Err(error);
            }
        }
        self.look();
        Ok(())
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }

    /// Whether the path still leads to the open file.
    #[cfg(unix)]
    fn is_in_place(&self) -> io::Result<bool> {
        use std::os::unix::fs::MetadataExt;

        let ours = self.file.metadata()?;
        match fs::metadata(&self.path) {
            Ok(there) => Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether there is a file at the path: nothing of the kind of logrotate works there.
    #[cfg(windows)]
    fn is_in_place(&self) -> io::Result<bool> {
        fs::exists(&self.path)
    }

    /// Learns size, age and whether the last line has its end.
    fn look(&mut self) {
        (self.is_regular, self.size, self.since, self.torn) = (false, 0, None, false);
        let Ok(metadata) = self.file.metadata() else { return };
        if metadata.is_file() {
            self.is_regular = true;
            self.size = metadata.len();
            // A file that can be written but not read: its age counts from now.
            let _ = self.read_edges();
        }
    }

    fn read_edges(&mut self) -> io::Result<()> {
        if self.size == 0 {
            return Ok(());
        }
        let mut file = File::open(&self.path)?;
        let mut start = Vec::new();
        (&mut file).take((LINE_START.len() + TIME_LENGTH) as u64).read_to_end(&mut start)?;
        self.since = start
            .strip_prefix(LINE_START)
            .and_then(|time| from_rfc3339(std::str::from_utf8(time).ok()?))
            .or(Some(SystemTime::now()));
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        self.torn = last != *b"\n";
        Ok(())
    }

    fn count_lost(&mut self, error: &io::Error) {
        self.lost += 1;
        self.why = error.to_string();
    }

    /// Tells the number of lost records; `false` if that cannot be written either.
    fn tell_lost(&mut self, record: &Record<'_>) -> bool {
        let fields = [
            ("sink", Value::text("file")),
            ("records", Value::number(self.lost)),
            ("error", Value::text(&self.why)),
        ];
        let (event, message) =
            (Event::LogRecordsLost, "records are missing here: the file could not be written");
        let told = self.mark(&Record { event, message, fields: &fields, ..*record }).is_ok();
        if told {
            self.lost = 0;
        }
        told
    }

    /// Writes a record of our own.
    fn mark(&mut self, record: &Record<'_>) -> io::Result<()> {
        let mut line = std::mem::take(&mut self.marker);
        line.clear();
        record.write_line(&mut line);
        let result = self.append(line.as_bytes());
        self.marker = line;
        result
    }

    /// Writes the line whole or, as far as the system lets us, not at all.
    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        if self.torn {
            self.file.write_all(b"\n")?;
            self.size += 1;
            self.torn = false;
        }
        let mut written = 0;
        while written < line.len() {
            match self.file.write(&line[written..]) {
                Ok(0) => return self.undo(written, io::ErrorKind::WriteZero.into()),
                Ok(more) => written += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.undo(written, error),
            }
        }
        self.size += written as u64;
        Ok(())
    }

    /// Takes the start of a line back that could not be written to its end.
    fn undo(&mut self, written: usize, error: io::Error) -> io::Result<()> {
        if written > 0 {
            let whole = self.file.metadata().map(|metadata| metadata.len().saturating_sub(written as u64));
            if whole.and_then(|length| self.file.set_len(length)).is_err() {
                self.torn = true;
                self.size += written as u64;
            }
        }
        Err(error)
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    // What workloads print is not for everyone.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o640);
    options.open(path)
}

/// A dangling link is in the way too.
fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

#[cfg(test)]
mod tests;
