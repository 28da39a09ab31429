//! zig's linker for Windows writes a PDB whether asked or not, and that PDB's ID into the program. The ID is a digest of
//! the PDB, which names rustc's temporary folders: other bytes each time. Here it becomes a digest of the program.

use std::fs::{self, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;

use artifact::Digest;

use crate::error::Faults as _;
use crate::{Error, ErrorKind};

/// Length of the ID in bytes: a GUID.
const LENGTH: usize = 16;

/// Rewrites the ID in place, where there is one. Doing so again changes nothing.
pub(crate) fn make_steady(program: &Path) -> Result<(), Error> {
    let bytes = fs::read(program).map_err(|cause| Error::io(program, cause))?;
    let Some(found) = find(&bytes) else {
        let message =
            format!("{}: zig's linker made no PE whose debug directory can be read", program.display());
        return Err(Error::new(ErrorKind::NoExecutable, message));
    };
    let Some(offset) = found else { return Ok(()) };
    let id = steady_id(&bytes, offset);
    if bytes[offset..offset + LENGTH] == id {
        return Ok(());
    }
    // In place, since cargo keeps two links to the file.
    let written = OpenOptions::new().write(true).open(program).and_then(|mut file| {
        file.seek(SeekFrom::Start(offset as u64))?;
        file.write_all(&id)
    });
    written.map_err(|cause| Error::io(program, cause))
}

/// The first bytes of the digest of everything but the ID.
fn steady_id(bytes: &[u8], offset: usize) -> [u8; LENGTH] {
    let mut rest = bytes.to_vec();
    rest[offset..offset + LENGTH].fill(0);
    let digest = Digest::of(&rest).to_string();
    std::array::from_fn(|index| {
        u8::from_str_radix(&digest[2 * index..2 * index + 2], 16).expect("a digest is hexadecimal")
    })
}

/// The file offset of the ID: `Some(None)` where the program has none, `None` where it cannot be told.
///
/// PE format: the PE header's offset is at 0x3c; the debug directory is data directory 6; its entries are 28 bytes with
/// the type at 12 (2 is CodeView) and the data's file offset at 24; CodeView data are `RSDS`, the GUID, the age.
fn find(bytes: &[u8]) -> Option<Option<usize>> {
    let pe = number(bytes, 0x3c, 4)?;
    if bytes.get(pe..pe.checked_add(4)?)? != b"PE\0\0" {
        return None;
    }
    let (sections, optional_size) = (number(bytes, pe + 6, 2)?, number(bytes, pe + 20, 2)?);
    let optional = pe + 24;
    // Only PE32+ (0x20b) is made here; its data directories start at 112.
    if number(bytes, optional, 2)? != 0x20b || optional_size < 112 + 7 * 8 {
        return None;
    }
    let (address, size) = (number(bytes, optional + 112 + 48, 4)?, number(bytes, optional + 112 + 52, 4)?);
    if size == 0 {
        return Some(None);
    }
    let directory = file_offset(bytes, optional + optional_size, sections, address)?;
    for entry in (0..size / 28).map(|index| directory + index * 28) {
        if number(bytes, entry + 12, 4)? == 2 {
            let data = number(bytes, entry + 24, 4)?;
            let record = bytes.get(data..data.checked_add(4 + LENGTH)?)?;
            return record.starts_with(b"RSDS").then_some(Some(data + 4));
        }
    }
    Some(None)
}

/// Where the byte at `address` (relative to the image) is in the file: section headers are 40 bytes, with the
/// address at 12, the size in the file at 16 and the file offset at 20.
fn file_offset(bytes: &[u8], table: usize, sections: usize, address: usize) -> Option<usize> {
    for header in (0..sections).map(|index| table + index * 40) {
        let start = number(bytes, header + 12, 4)?;
        let (size, offset) = (number(bytes, header + 16, 4)?, number(bytes, header + 20, 4)?);
        if let Some(inside) = address.checked_sub(start).filter(|inside| *inside < size) {
            return offset.checked_add(inside);
        }
    }
    None
}

/// A little-endian number of `length` bytes at `offset`.
fn number(bytes: &[u8], offset: usize, length: usize) -> Option<usize> {
    let digits = bytes.get(offset..offset.checked_add(length)?)?;
    Some(digits.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The least PE32+ with one section that holds a debug directory and a CodeView record.
    fn program(id: u8) -> Vec<u8> {
        let mut bytes = vec![0; 0x300];
        let mut put = |offset: usize, what: &[u8]| bytes[offset..offset + what.len()].copy_from_slice(what);
        put(0x3c, &[0x40]);
        put(0x40, b"PE\0\0");
        put(0x46, &[1, 0]); // one section
        put(0x54, &[240, 0]); // the optional header's size
        put(0x58, &[0x0b, 0x02]);
        put(0x58 + 160, &[0x00, 0x10, 0, 0, 28]); // the debug directory at 0x1000, one entry
        put(0x148 + 12, &[0x00, 0x10, 0, 0, 0x00, 0x01, 0, 0, 0x00, 0x02]); // 0x100 bytes at file offset 0x200
        put(0x200 + 12, &[2]);
        put(0x200 + 24, &[0x40, 0x02]);
        put(0x240, b"RSDS");
        put(0x244, &[id; LENGTH]);
        bytes
    }

    fn steady(bytes: &[u8]) -> Vec<u8> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), bytes).unwrap();
        make_steady(file.path()).unwrap();
        fs::read(file.path()).unwrap()
    }

    #[test]
    fn programs_that_differ_in_the_id_alone_become_equal_and_stay_so() {
        let once = steady(&program(1));
        assert_eq!(once, steady(&program(2)));
        assert_eq!(once, steady(&once));
        assert_ne!(once, program(1));
    }

    #[test]
    fn another_program_gets_another_id() {
        let mut other = program(1);
        other[0x2f0] = 1;
        assert_ne!(steady(&program(1))[0x244..0x254], steady(&other)[0x244..0x254]);
    }

    #[test]
    fn a_program_without_debug_directory_stays_as_it_is() {
        let mut bytes = program(1);
        bytes[0x58 + 164] = 0;
        assert_eq!(steady(&bytes), bytes);
    }

    #[test]
    fn cut_bytes_are_an_error_and_never_a_panic() {
        let bytes = program(1);
        for length in 0..bytes.len() {
            let _ = find(&bytes[..length]);
        }
        assert_eq!(find(&bytes[..0x250]), None);
    }
}
