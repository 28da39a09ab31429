//! Zip archives (PKWARE's APPNOTE): also wheels, jars and NuGet packages.

use std::io::Cursor;

use ::zip::ZipArchive;
use ::zip::result::ZipError;

use crate::error::{damaged, from_io};
use crate::limits::Metered;
use crate::visit::{Names, Visit, shown};
use crate::{Error, ErrorKind};

/// Visits the files of `archive`, in the order of its central directory.
pub(crate) fn read(visit: &mut Visit<'_>, archive: &str, bytes: &[u8]) -> Result<(), Error> {
    refuse_too_many(archive, bytes, visit.budget.limits.members)?;
    let failed = |error| from_zip(archive, error);
    let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(failed)?;
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

/// The crate keeps a record of each member in memory, so they are counted before it is asked: in the end record, which
/// lies in the last 64 KiB, and for zip64 in the record that its locator points to.
fn refuse_too_many(archive: &str, bytes: &[u8], most: u64) -> Result<(), Error> {
    let tail = &bytes[bytes.len().saturating_sub(22 + 0xffff)..];
    let ends = tail.windows(22).enumerate().filter(|(_, window)| window.starts_with(b"PK\x05\x06"));
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    let mut declared = 0;
    for (at, end) in ends {
        declared = declared.max(number(&end[10..12]));
        let locator = at.checked_sub(20).and_then(|at| tail.get(at..at + 20));
        if let Some(locator) = locator.filter(|locator| locator.starts_with(b"PK\x06\x07")) {
            let record =
                usize::try_from(number(&locator[8..16])).ok().and_then(|at| bytes.get(at..)?.get(..56));
            declared = declared.max(record.map_or(0, |record| number(&record[32..40])));
        }
    }
    if declared > most {
        let message = format!("{archive} has {declared} members, which is more than {most}");
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    Ok(())
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
