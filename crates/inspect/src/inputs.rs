//! Where bytes come from: files, folders, and archives, all bounded, no name in them ever used as a path to write to.

use std::fs::{self, File};
use std::io::{Cursor, Read};
use std::path::Path;

use flate2::read::GzDecoder;

use crate::{Error, ErrorKind};

/// One file's bytes and where they were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// A path, or `archive!member`.
    pub name: String,
    /// All its bytes.
    pub bytes: Vec<u8>,
    /// Unix permission bits, where the place it was found in has them.
    pub mode: Option<u32>,
}

/// How much is read at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputLimits {
    /// Bytes of one file, unpacked.
    pub file_bytes: u64,
    /// Bytes of all members of one archive, unpacked.
    pub archive_bytes: u64,
    /// Members of one archive.
    pub members: usize,
    /// How deep folders are walked.
    pub depth: usize,
}

impl Default for InputLimits {
    fn default() -> InputLimits {
        InputLimits { file_bytes: 2 << 30, archive_bytes: 4 << 30, members: 100_000, depth: 64 }
    }
}

/// Whether the bytes begin as an ELF or a PE file does.
pub fn looks_like_a_program(bytes: &[u8]) -> bool {
    if bytes.starts_with(b"\x7fELF") {
        return true;
    }
    // Every DOS program begins with MZ; only a PE file has its signature where the DOS header points to.
    let Some(pointer) = bytes.starts_with(b"MZ").then(|| bytes.get(0x3c..0x40)).flatten() else {
        return false;
    };
    let pointer = u32::from_le_bytes([pointer[0], pointer[1], pointer[2], pointer[3]]) as usize;
    bytes.get(pointer..).is_some_and(|rest| rest.starts_with(b"PE\0\0"))
}

/// Visits the file at `path`; the files of a folder in order of their names; the members of a `.zip`, `.tar.gz`,
/// `.tgz` or `.tar` in order. Links inside folders are not followed; links inside archives have no bytes of their own.
pub fn open(path: &Path, limits: &InputLimits, visit: &mut dyn FnMut(Input)) -> Result<(), Error> {
    let metadata = fs::metadata(path).map_err(|error| unreadable(path.display(), error))?;
    if metadata.is_dir() {
        return open_folder(path, limits, 0, visit);
    }
    if !metadata.is_file() {
        return Err(Error::new(ErrorKind::Unreadable, format!("{} is not a regular file", path.display()))
            .with_hint("name files, folders and archives"));
    }
    open_file(path, limits, visit)
}

fn open_folder(
    path: &Path,
    limits: &InputLimits,
    depth: usize,
    visit: &mut dyn FnMut(Input),
) -> Result<(), Error> {
    if depth > limits.depth {
        let message = format!("{} lies more than {} folders deep", path.display(), limits.depth);
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    let entries = fs::read_dir(path).map_err(|error| unreadable(path.display(), error))?;
    let mut entries: Vec<_> =
        entries.collect::<Result<_, _>>().map_err(|error| unreadable(path.display(), error))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type().map_err(|error| unreadable(entry.path().display(), error))?;
        if kind.is_dir() {
            open_folder(&entry.path(), limits, depth + 1, visit)?;
        } else if kind.is_file() {
            open_file(&entry.path(), limits, visit)?;
        }
    }
    Ok(())
}

fn open_file(path: &Path, limits: &InputLimits, visit: &mut dyn FnMut(Input)) -> Result<(), Error> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| unreadable(&name, error))?;
    let mode = mode_of(&file);
    let bytes = read_bounded(file, limits.file_bytes, &name)?;
    if name.ends_with(".zip") {
        zip_members(&name, &bytes, limits, visit)
    } else if name.ends_with(".tar.gz") || name.ends_with(".tgz") {
        tar_members(&name, GzDecoder::new(&bytes[..]), limits, visit)
    } else if name.ends_with(".tar") {
        tar_members(&name, &bytes[..], limits, visit)
    } else {
        visit(Input { name, bytes, mode });
        Ok(())
    }
}

fn zip_members(
    archive: &str,
    bytes: &[u8],
    limits: &InputLimits,
    visit: &mut dyn FnMut(Input),
) -> Result<(), Error> {
    let damaged = |error: zip::result::ZipError| unreadable(archive, error);
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    let mut total = Total::new(archive, limits);
    for index in 0..zip.len() {
        let member = zip.by_index(index).map_err(damaged)?;
        let name = member_name(archive, &member.name().map_err(damaged)?)?;
        if !member.is_file() {
            continue;
        }
        let mode = member.unix_mode().map(|mode| mode & 0o7777);
        let bytes = total.read(member, &name)?;
        visit(Input { name, bytes, mode });
    }
    Ok(())
}

fn tar_members(
    archive: &str,
    reader: impl Read,
    limits: &InputLimits,
    visit: &mut dyn FnMut(Input),
) -> Result<(), Error> {
    let damaged = |error: std::io::Error| unreadable(archive, error);
    let mut tar = tar::Archive::new(reader);
    let mut total = Total::new(archive, limits);
    for member in tar.entries().map_err(damaged)? {
        let member = member.map_err(damaged)?;
        let name = member_name(archive, &String::from_utf8_lossy(&member.path_bytes()))?;
        if !member.header().entry_type().is_file() {
            continue;
        }
        let mode = member.header().mode().ok().map(|mode| mode & 0o7777);
        let bytes = total.read(member, &name)?;
        visit(Input { name, bytes, mode });
    }
    // A tar ends with two blocks of zeros; what was cut off before them has also lost gzip's checksum.
    let mut rest = tar.into_inner();
    std::io::copy(&mut (&mut rest).take(1 << 20), &mut std::io::sink()).map_err(damaged)?;
    Ok(())
}

/// `archive!member`, for a member that stays inside the archive's own folder.
fn member_name(archive: &str, member: &str) -> Result<String, Error> {
    let outside = member.starts_with(['/', '\\'])
        || member.contains(':')
        || member.split(['/', '\\']).any(|part| part == "..");
    if outside {
        let message = format!(
            "{archive}: the member `{}` would be unpacked outside of the archive's folder",
            member.escape_debug()
        );
        return Err(Error::new(ErrorKind::Unreadable, message).with_hint("do not unpack this archive"));
    }
    Ok(format!("{archive}!{member}"))
}

/// What is still allowed of one archive.
struct Total<'a> {
    archive: &'a str,
    limits: &'a InputLimits,
    members: usize,
    bytes: u64,
}

impl<'a> Total<'a> {
    fn new(archive: &'a str, limits: &'a InputLimits) -> Total<'a> {
        Total { archive, limits, members: 0, bytes: 0 }
    }

    fn read(&mut self, member: impl Read, name: &str) -> Result<Vec<u8>, Error> {
        self.members += 1;
        if self.members > self.limits.members {
            let message = format!("{} has more than {} members", self.archive, self.limits.members);
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let left = self.limits.archive_bytes.saturating_sub(self.bytes);
        let bytes = read_bounded(member, left.min(self.limits.file_bytes), name)?;
        self.bytes += bytes.len() as u64;
        Ok(bytes)
    }
}

fn read_bounded(reader: impl Read, most: u64, name: &str) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let read = reader.take(most.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|error| unreadable(name, error))?;
    if bytes.len() as u64 > most {
        return Err(Error::new(ErrorKind::TooLarge, format!("{name} has more than {most} bytes")));
    }
    Ok(bytes)
}

fn unreadable(name: impl std::fmt::Display, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Unreadable, format!("cannot read {name}")).with_source(error)
}

#[cfg(unix)]
fn mode_of(file: &File) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().ok().map(|metadata| metadata.permissions().mode() & 0o7777)
}

#[cfg(not(unix))]
fn mode_of(_: &File) -> Option<u32> {
    None
}
