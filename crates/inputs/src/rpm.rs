//! RPM packages (Linux Standard Base 5.0, chapter 25): lead, signature, header, and a compressed cpio archive.

use std::io::{self, Cursor, Read};

use crate::error::{damaged, from_io};
use crate::format::{Format, HEAD};
use crate::limits::{Exact, RECORD, drain};
use crate::visit::Visit;
use crate::{Error, cpio, unpack};

/// Visits the files of the package.
pub(crate) fn read(visit: &mut Visit<'_>, archive: &str, reader: &mut dyn Read) -> Result<(), Error> {
    let failed = |error| from_io(archive, error);
    drain(&mut Exact { reader: &mut *reader, left: 96 }).map_err(failed)?;
    let signature = skip_header(reader).map_err(failed)?;
    drain(&mut Exact { reader: &mut *reader, left: signature.wrapping_neg() % 8 }).map_err(failed)?;
    skip_header(reader).map_err(failed)?;

    let mut head = Vec::new();
    reader.take(HEAD).read_to_end(&mut head).map_err(failed)?;
    let mut payload = Cursor::new(&head).chain(reader);
    let budget = visit.budget;
    match Format::of(&head) {
        Some(format @ (Format::Gzip | Format::Xz | Format::Bzip2 | Format::Zstd)) => {
            cpio::read(visit, archive, &mut unpack::reader(archive, format, &mut payload, budget)?)
        }
        // LZMA's properties byte and the low half of its dictionary's size, as every packer writes them.
        _ if head.starts_with(&[0x5d, 0, 0]) => {
            cpio::read(visit, archive, &mut unpack::lzma(archive, &mut payload, budget)?)
        }
        _ if head.starts_with(b"07070") => cpio::read(visit, archive, &mut payload),
        _ => Err(damaged(archive, "its payload is packed in an unknown way")),
    }
}

/// Reads over a header structure and gives its size in bytes: magic, counts, an index of 16 bytes an entry, a store.
fn skip_header(reader: &mut dyn Read) -> io::Result<u64> {
    let mut intro = [0; 16];
    reader.read_exact(&mut intro)?;
    if intro[..4] != [0x8e, 0xad, 0xe8, 1] {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a header has no magic bytes"));
    }
    let number =
        |at: usize| u64::from(u32::from_be_bytes([intro[at], intro[at + 1], intro[at + 2], intro[at + 3]]));
    let size = 16 * number(8) + number(12);
    if size > 16 * RECORD {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a header of {size} bytes")));
    }
    drain(&mut Exact { reader, left: size })?;
    Ok(16 + size)
}
