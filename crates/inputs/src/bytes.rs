//! Bytes in memory or mapped from a file, so that a large file costs only the pages that are looked at.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::Deref;
use std::path::Path;

use memmap2::Mmap;

use crate::error::from_io;
use crate::limits::IN_MEMORY;
use crate::{Error, ErrorKind};

/// Below this many bytes a read is cheaper than a map.
const MAPPED_FROM: u64 = 64 << 10;

/// The bytes of a file or a member.
pub struct Bytes(Kept);

enum Kept {
    Owned(Vec<u8>),
    Mapped(Mmap),
}

impl Bytes {
    /// The bytes of the regular file at `path`, and its Unix permission bits.
    pub(crate) fn of_file(path: &Path, most: u64) -> Result<(Bytes, Option<u32>), Error> {
        let name = path.display().to_string();
        let failed = |error| from_io(&name, error);
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(Error::new(ErrorKind::Unreadable, format!("{name} is not a regular file any more")));
        }
        let size = metadata.len();
        if size > most {
            let message = format!("{name} has {size} bytes, which is more than {most}");
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let bytes = if size >= MAPPED_FROM {
            Bytes(Kept::Mapped(map(&file).map_err(failed)?))
        } else {
            let mut bytes = Vec::with_capacity(size as usize + 1);
            // Files below /proc and /sys say that they have no bytes.
            (&file).take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
            if bytes.len() as u64 > most {
                let message = format!("{name} has more than {most} bytes");
                return Err(Error::new(ErrorKind::TooLarge, message));
            }
            Bytes(Kept::Owned(bytes))
        };
        Ok((bytes, mode_of(&metadata)))
    }

    /// All that `reader` gives, `most` bytes at most. What is too large to be kept in memory goes to a file without a
    /// name, and is mapped from there.
    pub(crate) fn of_reader(name: &str, reader: &mut dyn Read, most: u64) -> Result<Bytes, Error> {
        let failed = |error| from_io(name, error);
        let mut bytes = Vec::new();
        let first = most.min(IN_MEMORY as u64);
        reader.take(first).read_to_end(&mut bytes).map_err(failed)?;
        if (bytes.len() as u64) < first {
            return Ok(Bytes(Kept::Owned(bytes)));
        }
        let left = most - first;
        let mut file = tempfile::tempfile().map_err(|error| {
            Error::new(ErrorKind::Unreadable, format!("no place to unpack {name} to: {error}"))
                .with_hint("set TMPDIR to a folder that can be written to")
        })?;
        file.write_all(&bytes).map_err(failed)?;
        drop(bytes);
        let copied = io::copy(&mut reader.take(left.saturating_add(1)), &mut file).map_err(failed)?;
        if copied > left {
            let message = format!("{name} has more than {most} bytes");
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        Ok(Bytes(Kept::Mapped(map(&file).map_err(failed)?)))
    }
}

#[expect(unsafe_code, reason = "a file can only be mapped this way")]
fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: the map is private and read-only, and nothing here keeps a reference beyond it. Another process that writes
    // to the file meanwhile changes bytes that every reader checks at each access; one that cuts it off ends this
    // process with SIGBUS, which a gate sees as a failure.
    unsafe { Mmap::map(file) }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Kept::Owned(bytes) => bytes,
            Kept::Mapped(map) => map,
        }
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Bytes {
        Bytes(Kept::Owned(bytes))
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} bytes", self.len())
    }
}

#[cfg(unix)]
fn mode_of(metadata: &std::fs::Metadata) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    Some(metadata.permissions().mode() & 0o7777)
}

#[cfg(not(unix))]
fn mode_of(_: &std::fs::Metadata) -> Option<u32> {
    None
}
