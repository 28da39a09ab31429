//! RPM packages (Linux Standard Base 5.0, chapter 25; rpm.org's format V4 and V6): lead, signature, header, and a compressed
//! cpio archive.

use std::collections::HashMap;
use std::io::{self, Cursor, Read};

use crate::cpio::{self, Header};
use crate::error::{damaged, from_io};
use crate::format::{Format, HEAD};
use crate::limits::{Exact, RECORD, drain, record};
use crate::visit::Visit;
use crate::{Error, unpack};

/// Tags of the header's lists, one entry a file (rpmtag.h).
const FILE_SIZES: u32 = 1028;
const FILE_MODES: u32 = 1030;
const FILE_DEVICES: u32 = 1095;
const FILE_INODES: u32 = 1096;
const DIRECTORY_INDEXES: u32 = 1116;
const BASE_NAMES: u32 = 1117;
const DIRECTORY_NAMES: u32 = 1118;
const LONG_FILE_SIZES: u32 = 5008;

/// Visits the files of the package.
pub(crate) fn read(visit: &mut Visit<'_>, archive: &str, reader: &mut dyn Read) -> Result<(), Error> {
    let failed = |error| from_io(archive, error);
    drain(&mut Exact { reader: &mut *reader, left: 96 }).map_err(failed)?;
    let signature = header(reader).map_err(failed)?;
    let padding = (signature.len() as u64).wrapping_neg() % 8;
    drain(&mut Exact { reader: &mut *reader, left: padding }).map_err(failed)?;
    let files = Tags(header(reader).map_err(failed)?).files();

    let mut head = Vec::new();
    reader.take(HEAD).read_to_end(&mut head).map_err(failed)?;
    let mut payload = Cursor::new(&head).chain(reader);
    let budget = visit.budget;
    match Format::of(&head) {
        Some(format @ (Format::Gzip | Format::Xz | Format::Bzip2 | Format::Zstd)) => {
            cpio::read(visit, archive, &files, &mut unpack::reader(archive, format, &mut payload, budget)?)
        }
        // LZMA's properties byte and the low half of its dictionary's size, as every packer writes them.
        _ if head.starts_with(&[0x5d, 0, 0]) => cpio::read(
            visit,
            archive,
            &files,
            &mut unpack::reader(archive, Format::Lzma, &mut payload, budget)?,
        ),
        _ if head.starts_with(b"07070") => cpio::read(visit, archive, &files, &mut payload),
        _ => Err(damaged(archive, "its payload is packed in an unknown way")),
    }
}

/// A header structure: magic, counts, an index of 16 bytes an entry, a store.
fn header(reader: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut intro = [0; 16];
    reader.read_exact(&mut intro)?;
    if intro[..4] != [0x8e, 0xad, 0xe8, 1] {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a header has no magic bytes"));
    }
    let size = 16 * u64::from(number(&intro[8..12])) + u64::from(number(&intro[12..16]));
    let mut bytes = intro.to_vec();
    bytes.append(&mut record(reader, size, RECORD, "a header")?);
    Ok(bytes)
}

/// The main header. What is not in it, or not whole, is an empty list: then the payload's numbers name no file.
struct Tags(Vec<u8>);

impl Tags {
    /// The package's files, each with the size that it has in the payload: of several names of one file only the last
    /// brings the bytes.
    fn files(&self) -> Vec<Header> {
        let (names, folders) = (self.texts(BASE_NAMES), self.texts(DIRECTORY_NAMES));
        let folder_of = self.numbers(DIRECTORY_INDEXES, 4);
        let modes = self.numbers(FILE_MODES, 2);
        let long = self.numbers(LONG_FILE_SIZES, 8);
        let sizes = if long.is_empty() { self.numbers(FILE_SIZES, 4) } else { long };
        let (devices, inodes) = (self.numbers(FILE_DEVICES, 4), self.numbers(FILE_INODES, 4));
        let same = |index: usize| Some((devices.get(index)?, inodes.get(index)?));
        let last: HashMap<_, _> = (0..names.len()).filter_map(|index| Some((same(index)?, index))).collect();
        let file = |(index, name): (usize, &String)| {
            let folder = folders.get(usize::try_from(*folder_of.get(index)?).ok()?)?;
            let brings = same(index).is_none_or(|same| last.get(&same) == Some(&index));
            Some(Header {
                mode: *modes.get(index)? as u32,
                size: if brings { *sizes.get(index)? } else { 0 },
                // As the archive with names writes them.
                name: format!(".{folder}{name}"),
            })
        };
        names.iter().enumerate().map_while(file).collect()
    }

    fn numbers(&self, tag: u32, width: usize) -> Vec<u64> {
        let Some((data, count)) = self.find(tag) else { return Vec::new() };
        let bytes = data.get(..count.saturating_mul(width)).unwrap_or_default();
        let value = |bytes: &[u8]| bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
        bytes.chunks_exact(width).map(value).collect()
    }

    fn texts(&self, tag: u32) -> Vec<String> {
        let Some((data, count)) = self.find(tag) else { return Vec::new() };
        let texts = data.split(|byte| *byte == 0).take(count);
        texts.map(|text| String::from_utf8_lossy(text).into_owned()).collect()
    }

    /// The store from where a tag's values begin, and how many there are.
    fn find(&self, tag: u32) -> Option<(&[u8], usize)> {
        let entries = number(self.0.get(8..12)?) as usize;
        let index = self.0.get(16..)?;
        let (index, store) = index.split_at_checked(entries.checked_mul(16)?)?;
        let entry = index.chunks_exact(16).find(|entry| number(&entry[..4]) == tag)?;
        Some((store.get(number(&entry[8..12]) as usize..)?, number(&entry[12..]) as usize))
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |value, byte| value << 8 | u32::from(*byte))
}
