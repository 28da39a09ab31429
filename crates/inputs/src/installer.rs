//! Windows Installer databases (.msi, .msm, .msp): a compound file (MS-CFB) whose streams hold cabinets and programs.

use std::io::{Read, Seek};

use cfb::CompoundFile;

use crate::Error;
use crate::error::from_io;
use crate::limits::Metered;
use crate::visit::{Names, Visit};

/// Whether a compound file's root has the class of an installer's database, patch, merge module or transform. One that is
/// cut off before its root could be one.
pub(crate) fn is_one(bytes: &[u8]) -> bool {
    let Some(header) = bytes.first_chunk::<512>() else { return true };
    let shift = u32::from(u16::from_le_bytes([header[30], header[31]]));
    let sector = u64::from(u32::from_le_bytes([header[48], header[49], header[50], header[51]]));
    let root = 1_u64.checked_shl(shift).and_then(|size| size.checked_mul(sector + 1));
    let root =
        root.and_then(|root| usize::try_from(root).ok()).and_then(|root| bytes.get(root..)?.get(..128));
    // {000C1082-0000-0000-C000-000000000046} to {000C1086-…}, 80 bytes into the root's entry (MS-CFB 2.6.1).
    root.is_none_or(|root| {
        (0x82..=0x86).contains(&root[80]) && root[81..96] == *b"\x10\x0c\0\0\0\0\0\xc0\0\0\0\0\0\0\x46"
    })
}

/// Visits the programs in the streams, and in the cabinets among them. A cabinet's files are called by their keys in the
/// database's File table.
pub(crate) fn read(visit: &mut Visit<'_>, archive: &str, reader: impl Read + Seek) -> Result<(), Error> {
    let failed = |error| from_io(archive, error);
    let mut file = CompoundFile::open(reader).map_err(failed)?;
    let streams: Vec<_> =
        file.walk().filter(cfb::Entry::is_stream).map(|entry| entry.path().to_owned()).collect();
    let mut names = Names::default();
    for path in streams {
        if visit.ended() {
            return Ok(());
        }
        let name: String =
            path.to_string_lossy().trim_start_matches('/').chars().flat_map(plain).flatten().collect();
        match file.open_stream(&path) {
            Ok(stream) => {
                let mut reader = Metered { reader: stream, budget: visit.budget };
                visit.member(archive, &name, None, &mut names, &mut reader);
            }
            Err(error) => visit.unreadable(&format!("{archive}!{name}"), failed(error)),
        }
    }
    Ok(())
}

/// Windows Installer packs two characters of a stream's name into one, from 0x3800 on, or one from 0x4800 on; tables have
/// 0x4840 before their name.
fn plain(character: char) -> [Option<char>; 2] {
    const DIGITS: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._";
    let digit = |value: u32| Some(char::from(DIGITS[value as usize & 63]));
    match u32::from(character) {
        packed @ 0x3800..0x4800 => [digit(packed - 0x3800), digit((packed - 0x3800) >> 6)],
        packed @ 0x4800..0x4840 => [digit(packed - 0x4800), None],
        0x4840 => [Some('!'), None],
        _ => [Some(character), None],
    }
}
