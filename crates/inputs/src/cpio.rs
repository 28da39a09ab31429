//! The cpio archives that RPM packages carry: "new ASCII" (cpio(5)), and RPM's own with numbers in the place of names.

use std::io::{self, Read};

use crate::Error;
use crate::error::from_io;
use crate::limits::{Exact, NAME, drain, record};
use crate::visit::{Names, Visit};

/// The name that ends the archive.
const TRAILER: &[u8] = b"TRAILER!!!\0";
/// The file type bits of a mode, and a regular file's.
const TYPE: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;

/// What a header says of a file, here or in the package's own list.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    pub(crate) mode: u32,
    pub(crate) size: u64,
    pub(crate) name: String,
}

/// Visits the files of `archive`. `listed` are the package's files, for an archive that only numbers them.
pub(crate) fn read(
    visit: &mut Visit<'_>,
    archive: &str,
    listed: &[Header],
    reader: &mut dyn Read,
) -> Result<(), Error> {
    let failed = |error| from_io(archive, error);
    let mut names = Names::default();
    while let Some(header) = header(reader, listed).map_err(failed)? {
        if visit.ended() {
            return Ok(());
        }
        let mut bytes = Exact { reader: &mut *reader, left: header.size };
        // Of several names of one file only the last has bytes; the others are empty here. What has bytes is looked at,
        // whatever this header calls it: rpm goes by the package's.
        if header.mode & TYPE != REGULAR && header.size == 0 {
            visit.budget.member()?;
        } else {
            visit.member(archive, &header.name, Some(header.mode & 0o7777), &mut names, &mut bytes);
        }
        drain(&mut bytes).map_err(failed)?;
        pad(reader, header.size).map_err(failed)?;
    }
    drain(reader).map_err(failed).map(drop)
}

/// The next header; `None` at the trailer.
fn header(reader: &mut dyn Read, listed: &[Header]) -> io::Result<Option<Header>> {
    let mut fixed = [0; 110];
    let cut = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => io::Error::new(error.kind(), "its payload ends before its trailer"),
        _ => error,
    };
    reader.read_exact(&mut fixed[..14]).map_err(cut)?;
    if fixed.starts_with(b"07070X") {
        let text = str::from_utf8(&fixed[6..14]).unwrap_or_default();
        let number = usize::from_str_radix(text, 16).map_err(|_| invalid("a file's number is none"))?;
        pad(reader, 14)?;
        let known = listed.get(number).cloned();
        return known
            .map(Some)
            .ok_or_else(|| invalid("its payload has a file that its header does not list"));
    }
    reader.read_exact(&mut fixed[14..]).map_err(cut)?;
    if !fixed.starts_with(b"070701") && !fixed.starts_with(b"070702") {
        return Err(invalid("its payload is not a cpio archive"));
    }
    let field = |index: usize| {
        let text = str::from_utf8(&fixed[6 + 8 * index..14 + 8 * index]).unwrap_or_default();
        u32::from_str_radix(text, 16).map_err(|_| invalid("a number in a cpio header is none"))
    };
    let (mode, size, name_size) = (field(1)?, field(6)?, field(11)?);
    let mut name = record(reader, name_size.into(), NAME, "a name")?;
    pad(reader, 110 + u64::from(name_size))?;
    if name == TRAILER {
        return Ok(None);
    }
    if name.pop() != Some(0) {
        return Err(invalid("a cpio name does not end"));
    }
    Ok(Some(Header { mode, size: size.into(), name: String::from_utf8_lossy(&name).into_owned() }))
}

/// Names and files end at multiples of four.
fn pad(reader: &mut dyn Read, size: u64) -> io::Result<()> {
    drain(&mut Exact { reader, left: size.wrapping_neg() % 4 }).map(drop)
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
