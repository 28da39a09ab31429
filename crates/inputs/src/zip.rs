//! Zip archives (PKWARE's APPNOTE): also wheels, jars and NuGet packages.

use std::io::{self, Read, Seek, SeekFrom};

use ::zip::ZipArchive;
use ::zip::result::ZipError;

use crate::error::{damaged, from_io};
use crate::limits::Metered;
use crate::visit::{Names, Visit, shown};
use crate::{Error, ErrorKind};

/// Visits the files of `archive`, in the order of its central directory.
pub(crate) fn read(visit: &mut Visit<'_>, archive: &str, mut reader: impl Read + Seek) -> Result<(), Error> {
    let declared = declared_members(&mut reader).map_err(|error| from_io(archive, error))?;
    let most = visit.budget.limits.members;
    if declared > most {
        let message = format!("{archive} has {declared} members, which is more than {most}");
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
    }
    let mut names = Names::default();
    for index in 0..zip.len() {
        if visit.ended() {
            return Ok(());
        }
        let called = zip.name_for_index(index).and_then(Result::ok).map(|name| name.into_owned());
        match zip.by_index(index) {
            Ok(file) if !file.is_file() => {}
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

/// How many members the archive says it has. The crate keeps a record of each in memory, so they are counted before it is
/// asked: in the end record, which lies in the last 64 KiB, and for zip64 in the record that its locator points to.
fn declared_members(reader: &mut (impl Read + Seek)) -> io::Result<u64> {
    let size = reader.seek(SeekFrom::End(0))?;
    reader.seek(SeekFrom::Start(size.saturating_sub(22 + 0xffff)))?;
    let mut tail = Vec::new();
    reader.by_ref().take(22 + 0xffff).read_to_end(&mut tail)?;
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    let mut declared = 0;
    for (at, end) in tail.windows(22).enumerate().filter(|(_, window)| window.starts_with(b"PK\x05\x06")) {
        declared = declared.max(number(&end[10..12]));
        let locator = at.checked_sub(20).and_then(|at| tail.get(at..at + 20));
        if let Some(locator) = locator.filter(|locator| locator.starts_with(b"PK\x06\x07")) {
            reader.seek(SeekFrom::Start(number(&locator[8..16])))?;
            let mut record = Vec::new();
            reader.by_ref().take(56).read_to_end(&mut record)?;
            declared = declared.max(record.get(32..40).map_or(0, number));
        }
    }
    reader.rewind()?;
    Ok(declared)
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
