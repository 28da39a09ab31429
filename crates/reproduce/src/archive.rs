//! An archive's members as its own directory tells them: order, times, permissions, owners, compression.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use zip::ZipArchive;

use crate::error::cannot_read;
use crate::{Cause, CauseKind, Error, ErrorKind};

/// Signature of a zip's first local file header (APPNOTE 4.3.7).
const ZIP: &[u8] = b"PK\x03\x04";
/// `ID1`, `ID2` (RFC 1952).
const GZIP: &[u8] = &[0x1f, 0x8b];
/// More members are not listed.
const MOST: usize = 100_000;
/// A tar archive that unpacks to more bytes is not read to its end.
const UNPACKED: u64 = 16 << 30;

/// What an archive says of one member, its content apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Listed {
    pub(crate) path: String,
    pub(crate) modified: String,
    pub(crate) mode: Option<u32>,
    pub(crate) owner: String,
}

/// The members of the zip, tar or tar.gz at `path`, in the archive's order.
pub(crate) fn list(path: &Path) -> Result<Vec<Listed>, Error> {
    let file = File::open(path).map_err(|cause| cannot_read(path, cause))?;
    let mut reader = BufReader::new(file);
    match reader.fill_buf().map_err(|cause| cannot_read(path, cause))? {
        head if head.starts_with(ZIP) => list_zip(path, reader),
        head if head.starts_with(GZIP) => list_tar(path, MultiGzDecoder::new(reader)),
        _ => list_tar(path, reader),
    }
}

/// Whether bytes begin as one of the archives that are listed here.
pub(crate) fn is_one(bytes: &[u8]) -> bool {
    let is_tar = bytes.get(257..262).is_some_and(|mark| mark == b"ustar");
    bytes.starts_with(ZIP) || bytes.starts_with(GZIP) || is_tar
}

fn damaged(path: &Path, cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Io, format!("{} cannot be read as an archive: {cause}", path.display()))
        .with_source(cause)
}

fn list_zip(path: &Path, reader: BufReader<File>) -> Result<Vec<Listed>, Error> {
    let mut zip = ZipArchive::new(reader).map_err(|cause| damaged(path, cause))?;
    let mut listed = Vec::new();
    for index in 0..zip.len().min(MOST) {
        let member = zip.by_index_raw(index).map_err(|cause| damaged(path, cause))?;
        listed.push(Listed {
            path: String::from_utf8_lossy(member.name_raw()).into_owned(),
            modified: member.last_modified().map_or(String::new(), |time| time.to_string()),
            mode: member.unix_mode(),
            owner: String::new(),
        });
    }
    Ok(listed)
}

fn list_tar(path: &Path, reader: impl Read) -> Result<Vec<Listed>, Error> {
    let mut tar = tar::Archive::new(reader.take(UNPACKED));
    let mut listed = Vec::new();
    for entry in tar.entries().map_err(|cause| damaged(path, cause))?.take(MOST) {
        let entry = entry.map_err(|cause| damaged(path, cause))?;
        let header = entry.header();
        listed.push(Listed {
            path: String::from_utf8_lossy(&entry.path_bytes()).into_owned(),
            modified: header.mtime().map_or(String::new(), |time| time.to_string()),
            mode: header.mode().ok(),
            owner: format!("{}:{}", header.uid().unwrap_or(0), header.gid().unwrap_or(0)),
        });
    }
    Ok(listed)
}

/// What differs between two archives of the same contents.
pub(crate) fn causes(published: &[Listed], rebuilt: &[Listed]) -> Vec<Cause> {
    let mut causes = Vec::new();
    let (mut ours, mut theirs) = (published.to_vec(), rebuilt.to_vec());
    ours.sort();
    theirs.sort();
    let paths = |listed: &[Listed]| listed.iter().map(|one| one.path.clone()).collect::<Vec<_>>();
    if paths(published) != paths(rebuilt) && paths(&ours) == paths(&theirs) {
        let first = published.iter().zip(rebuilt).find(|(one, other)| one.path != other.path);
        let detail = first.map_or(String::new(), |(one, other)| {
            format!("`{}` stands where the archive built again has `{}`", one.path, other.path)
        });
        causes.push(Cause::new(CauseKind::OrderOnly, detail));
    }
    let mut details = Vec::new();
    for (one, other) in ours.iter().zip(&theirs).filter(|(one, other)| one.path == other.path) {
        let mode =
            |listed: &Listed| listed.mode.map_or("none".to_owned(), |mode| format!("{:04o}", mode & 0o7777));
        for (what, one_says, other_says) in [
            ("changed at", one.modified.clone(), other.modified.clone()),
            ("permissions", mode(one), mode(other)),
            ("owner", one.owner.clone(), other.owner.clone()),
        ] {
            if one_says != other_says {
                details.push(format!("{}: {what} {one_says}, built again {other_says}", one.path));
            }
        }
    }
    if !details.is_empty() {
        let more = details.len().saturating_sub(3);
        details.truncate(3);
        let more = if more == 0 { String::new() } else { format!("; and {more} more") };
        causes.push(Cause::new(CauseKind::ArchiveMetadata, details.join("; ") + &more));
    }
    causes
}
