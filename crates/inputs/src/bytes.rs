//! Bytes in memory or mapped from a file, so that a large file costs only the pages that are looked at.

use std::cell::Cell;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::ops::Deref;
use std::path::Path;

use artifact::Pieces;
use memmap2::Mmap;

use crate::error::from_io;
use crate::limits::IN_MEMORY;
use crate::{Error, ErrorKind};

/// How many new bytes a piece has: they stay in a core's own cache while they are searched.
const PIECE: usize = 256 << 10;
/// Below this many bytes a read is cheaper than a map.
const MAPPED_FROM: u64 = 64 << 10;

/// The bytes of a file or a member.
pub struct Bytes(Kept);

enum Kept {
    Owned(Vec<u8>),
    Mapped(Mmap, File),
}

impl Bytes {
    /// The bytes of the regular file at `path`, and its Unix permission bits.
    pub(crate) fn of_file(path: &Path, most: u64) -> Result<(Bytes, Option<u32>), Error> {
        let name = path.display().to_string();
        let failed = |error| from_io(&name, error);
        let file = open(path).map_err(failed)?;
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
            Bytes(Kept::Mapped(map(&file).map_err(failed)?, file))
        } else {
            let mut bytes = Vec::with_capacity(size as usize + 1);
            // Files below /proc and /sys say that they have no bytes, and some have no end.
            let most = most.min(IN_MEMORY as u64);
            // Those of numbers give none but whole ones, so a page more is asked for and not a byte.
            (&file).take(most.saturating_add(4096)).read_to_end(&mut bytes).map_err(failed)?;
            if bytes.len() as u64 > most {
                let message = format!("{name} has more than {most} bytes, and says that it has {size}");
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
        Ok(Bytes(Kept::Mapped(map(&file).map_err(failed)?, file)))
    }
}

/// Opens a file, and waits for nobody who would write to it: a pipe in its place, or the kernel's log.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    }
    options.open(path)
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
            Kept::Mapped(map, _) => map,
        }
    }
}

impl Pieces for Bytes {
    fn each_piece(&self, overlap: usize, take: &mut dyn FnMut(usize, &[u8])) -> io::Result<()> {
        match &self.0 {
            Kept::Owned(bytes) if bytes.is_empty() => Ok(()),
            Kept::Owned(bytes) => {
                take(0, bytes);
                Ok(())
            }
            Kept::Mapped(map, file) => read_pieces(file, map.len(), overlap, take),
        }
    }
}

/// Reads `size` bytes of the file into a buffer that each thread has once: no page of it is mapped.
fn read_pieces(
    file: &File,
    size: usize,
    overlap: usize,
    take: &mut dyn FnMut(usize, &[u8]),
) -> io::Result<()> {
    thread_local! {
        static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    }
    let mut buffer = BUFFER.take();
    buffer.resize(buffer.len().max(PIECE + overlap), 0);
    let (mut offset, mut kept) = (0, 0);
    let read = loop {
        let wanted = PIECE.min(size - offset - kept);
        if let Err(error) = read_exact_at(file, &mut buffer[kept..kept + wanted], (offset + kept) as u64) {
            break Err(error);
        }
        let filled = kept + wanted;
        take(offset, &buffer[..filled]);
        if offset + filled == size {
            break Ok(());
        }
        let again = overlap.min(filled);
        buffer.copy_within(filled - again..filled, 0);
        (offset, kept) = (offset + filled - again, again);
    };
    BUFFER.set(buffer);
    read
}

#[cfg(unix)]
fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    use std::os::unix::fs::FileExt;
    file.read_exact_at(buffer, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    use std::os::windows::fs::FileExt;
    let mut read = 0;
    while read < buffer.len() {
        match file.seek_read(&mut buffer[read..], offset + read as u64)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            more => read += more,
        }
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use artifact::Digest;

    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_file_that_waits_or_has_no_end_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let shell = xshell::Shell::new().unwrap();
        xshell::cmd!(shell, "mkfifo {pipe}").quiet().run().unwrap();
        let told = |path: &Path| Bytes::of_file(path, u64::MAX).err().unwrap().to_string();
        assert!(told(&pipe).contains("is not a regular file any more"), "{}", told(&pipe));
        // 8 bytes for each page of the address space.
        let endless = told(Path::new("/proc/self/pagemap"));
        assert!(endless.contains("has more than 8388608 bytes, and says that it has 0"), "{endless}");
        let (version, _) = Bytes::of_file(Path::new("/proc/version"), u64::MAX).unwrap();
        assert!(version.starts_with(b"Linux"));
    }

    /// What pieces are put together to.
    fn together(bytes: &Bytes, overlap: usize) -> Vec<u8> {
        let mut all = Vec::new();
        bytes
            .each_piece(overlap, &mut |offset, piece| {
                let again = all.len() - offset;
                assert!(again <= overlap && all[offset..] == piece[..again], "at {offset}");
                all.extend_from_slice(&piece[again..]);
            })
            .unwrap();
        all
    }

    #[test]
    fn pieces_of_a_mapped_file_are_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let sizes = [0, 1, MAPPED_FROM as usize, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 3 * PIECE + 77];
        for size in sizes {
            let text: Vec<u8> = (0..size).map(|at| (at * 31 + at / 257) as u8).collect();
            std::fs::write(&path, &text).unwrap();
            let bytes = Bytes::of_file(&path, u64::MAX).unwrap().0;
            assert_eq!(matches!(bytes.0, Kept::Mapped(..)), size as u64 >= MAPPED_FROM);
            assert_eq!(Digest::of_pieces(&bytes).unwrap(), Digest::of(&text), "{size} bytes");
            for overlap in [0, 1, 300, PIECE, 2 * PIECE] {
                assert!(together(&bytes, overlap) == text, "{size} bytes, {overlap} again");
            }
        }
    }

    #[test]
    fn a_file_that_became_shorter_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, vec![7; 2 * PIECE]).unwrap();
        let bytes = Bytes::of_file(&path, u64::MAX).unwrap().0;
        File::options().write(true).open(&path).unwrap().set_len(PIECE as u64).unwrap();
        assert!(bytes.each_piece(16, &mut |_, _| ()).is_err());
    }
}
