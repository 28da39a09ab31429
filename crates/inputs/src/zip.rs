//! Zip archives (PKWARE's APPNOTE): also wheels, jars and NuGet packages.

use std::io::{self, Read, Seek, SeekFrom};

use ::zip::ZipArchive;
use ::zip::result::ZipError;

use crate::error::{damaged, from_io};
use crate::limits::{Exact, Metered, drain};
use crate::visit::{Names, Visit, shown};
use crate::{Error, ErrorKind};

/// Visits the files of `archive`, in the order of its central directory.
pub(crate) fn read(visit: &mut Visit<'_>, archive: &str, mut reader: impl Read + Seek) -> Result<(), Error> {
    let most = visit.budget.limits.members;
    let listed = listed_members(&mut reader, most).map_err(|error| from_io(archive, error))?;
    if listed > most {
        let message = format!("{archive} has more than {most} members");
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    let failed = |error| from_zip(archive, error);
    let mut zip = ZipArchive::new(reader).map_err(failed)?;
    if zip.has_overlapping_entries().map_err(failed)? {
        return Err(damaged(archive, "its members share bytes, as in a zip bomb"));
    }
    if zip.has_duplicate_names() {
        // The crate keeps the last of each name; the others cannot be looked at.
        let twice = "two members have one name: which one is meant depends on who unpacks it";
        visit.unreadable(archive, damaged(archive, twice));
    } else if let Err(error) = zip.validate_header_consistency() {
        // Who unpacks it as a stream sees other members than who reads the directory, or other bytes.
        visit.unreadable(archive, from_zip(archive, error));
    }
    let mut names = Names::default();
    for index in 0..zip.len() {
        if visit.ended() {
            return Ok(());
        }
        let called = zip.name_for_index(index).and_then(Result::ok).map(|name| name.into_owned());
        match zip.by_index(index) {
            // A link's bytes are its target; who knows no links makes a file of them.
            Ok(file) if !file.is_file() && file.size() == 0 => {}
            Ok(file) => {
                let called = called.unwrap_or_else(|| String::from_utf8_lossy(file.name_raw()).into_owned());
                let mode = file.unix_mode().map(|mode| mode & 0o7777);
                let mut reader = Metered { reader: file, budget: visit.budget };
                visit.member(archive, &called, mode, &mut names, &mut reader);
            }
            Err(error) => {
                let called = called.unwrap_or_else(|| format!("member {index}"));
                let name = format!("{archive}!{}", shown(&called));
                let error = from_zip(&name, error);
                visit.unreadable(&name, error);
            }
        }
    }
    Ok(())
}

/// How many members the central directory lists; more than `most` are not counted further.
///
/// The crate keeps a record of each in memory, so they are counted before it is asked. It also looks for a directory that
/// fits, where others take the one that the end record tells: here the directory must lie right before the end record, and
/// that at the file's end, so that there is one reading alone (APPNOTE 4.3.6).
fn listed_members(reader: &mut (impl Read + Seek), most: u64) -> io::Result<u64> {
    let end = EndRecord::read(reader)?;
    reader.seek(SeekFrom::Start(end.directory))?;
    let mut directory = Exact { reader: &mut *reader, left: end.size };
    let mut listed = 0;
    while directory.left > 0 && listed <= most {
        let mut record = [0; 46];
        directory.read_exact(&mut record)?;
        if !record.starts_with(b"PK\x01\x02") {
            return Err(invalid("its central directory holds something else than members"));
        }
        let rest = [28, 30, 32].map(|at| number(&record[at..at + 2])).iter().sum();
        if rest > directory.left {
            return Err(invalid("its central directory's last record is cut off"));
        }
        drain(&mut Exact { reader: &mut directory, left: rest })?;
        listed += 1;
    }
    // Old writers counted in 16 bits.
    let counted = if end.is_long { listed } else { listed & 0xffff };
    if directory.left == 0 && counted != end.members {
        return Err(invalid("its central directory has another number of members than its end record says"));
    }
    reader.rewind()?;
    Ok(listed)
}

/// What the end record says of the central directory.
struct EndRecord {
    directory: u64,
    size: u64,
    members: u64,
    /// Whether it is of zip64.
    is_long: bool,
}

impl EndRecord {
    fn read(reader: &mut (impl Read + Seek)) -> io::Result<EndRecord> {
        let size = reader.seek(SeekFrom::End(0))?;
        // The record, and a comment of 64 KiB at most.
        let start = size.saturating_sub(22 + 0xffff);
        reader.seek(SeekFrom::Start(start))?;
        let mut tail = Vec::new();
        reader.by_ref().take(22 + 0xffff).read_to_end(&mut tail)?;
        let ends = |at: &usize| {
            tail[*at..].starts_with(b"PK\x05\x06")
                && *at as u64 + 22 + number(&tail[at + 20..at + 22]) == tail.len() as u64
        };
        let mut places = (0..tail.len().saturating_sub(21)).filter(ends);
        let at =
            places.next().ok_or_else(|| invalid("it does not end with the end record of a zip archive"))?;
        if places.next().is_some() {
            return Err(invalid("it has two end records"));
        }
        let record = &tail[at..];
        let short = EndRecord {
            directory: number(&record[16..20]),
            size: number(&record[12..16]),
            members: number(&record[10..12]),
            is_long: false,
        };
        let locator = at.checked_sub(20).map(|at| &tail[at..at + 20]);
        let (record, place) = match locator.filter(|locator| locator.starts_with(b"PK\x06\x07")) {
            None => (short, start + at as u64),
            Some(locator) => {
                let place = number(&locator[8..16]);
                reader.seek(SeekFrom::Start(place))?;
                let mut record = [0; 56];
                reader.read_exact(&mut record)?;
                if !record.starts_with(b"PK\x06\x06") {
                    return Err(invalid("its zip64 end record is not where its locator says"));
                }
                let [members, size, directory] = [32, 40, 48].map(|at| number(&record[at..at + 8]));
                (EndRecord { directory, size, members, is_long: true }, place)
            }
        };
        if record.directory.checked_add(record.size) != Some(place) {
            return Err(invalid("its central directory does not end where its end record begins"));
        }
        Ok(record)
    }
}

/// A number as zip archives have it: the lowest byte first.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn from_zip(name: &str, error: ZipError) -> Error {
    match error {
        ZipError::Io(error) => from_io(name, error),
        ZipError::UnsupportedArchive(what) => Error::new(
            ErrorKind::Unsupported,
            format!("{name} is packed in a way that is not read here: {what}"),
        ),
        other => damaged(name, other),
    }
}
