//! Tar archives (POSIX.1-2001 ustar and pax, GNU's extensions), as a stream. Headers are decoded by the `tar` crate; the
//! loop is ours, because the crate's keeps names of any length in memory.

use std::borrow::Cow;
use std::io::{self, Read};

use tar::{EntryType, Header};

use crate::error::{damaged, from_io};
use crate::format::is_tar_header;
use crate::image::Image;
use crate::limits::{Exact, NAME, RECORD, drain, only_zeros, record};
use crate::visit::{Names, Visit, shown};
use crate::{Error, ErrorKind};

/// Visits the files of `archive`, which is opened already.
pub(crate) fn read(visit: &mut Visit<'_>, archive: &str, reader: &mut dyn Read) -> Result<(), Error> {
    let mut tar = Tar { archive, reader, names: Names::default(), image: Image::default() };
    let failed = |error| from_io(archive, error);
    while let Some(member) = tar.next().map_err(failed)? {
        if visit.ended() {
            return Ok(());
        }
        tar.file(visit, &member).map_err(failed)?;
    }
    // What was cut off after the end mark has also lost the checksum of its compression.
    if !only_zeros(tar.reader).map_err(failed)? {
        visit.unreadable(archive, damaged(archive, "something follows the archive's end mark"));
    }
    let Tar { image, .. } = tar;
    for missing in image.missing() {
        visit.unreadable(archive, damaged(archive, missing));
    }
    Ok(())
}

struct Tar<'t> {
    archive: &'t str,
    reader: &'t mut dyn Read,
    names: Names,
    image: Image,
}

/// A header with all that came before it to say more about it.
struct Member {
    name: String,
    /// What it is a link to.
    link: String,
    mode: Option<u32>,
    kind: EntryType,
    size: u64,
    sparse: bool,
}

/// Records that pax headers and GNU's long names give to the next header.
#[derive(Default, PartialEq)]
struct Ahead {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
}

impl Tar<'_> {
    /// The next header that stands for a member; `None` at the end mark.
    fn next(&mut self) -> io::Result<Option<Member>> {
        let mut ahead = Ahead::default();
        loop {
            let block = self.block()?;
            if block.iter().all(|byte| *byte == 0) {
                return Ok(None);
            }
            if !is_tar_header(&block) {
                return Err(invalid("a header's checksum is wrong"));
            }
            let header = Header::from_byte_slice(&block);
            let size = header.entry_size()?;
            match header.entry_type() {
                EntryType::GNULongName => ahead.name = Some(self.name(size, "a name")?),
                EntryType::GNULongLink => ahead.link = Some(self.name(size, "a link's name")?),
                EntryType::XGlobalHeader => {
                    let mut all = Ahead::default();
                    all.read(&self.record(size, RECORD, "a global pax header")?)?;
                    if !all.is_empty() {
                        return Err(invalid(
                            "a global pax header says what all members are called or how large they are, \
                            which some unpackers obey",
                        ));
                    }
                }
                // Solaris wrote `X` before POSIX settled on `x`; all unpackers take them for the same.
                kind if kind == EntryType::XHeader || kind.as_byte() == b'X' => {
                    ahead.read(&self.record(size, RECORD, "a pax header")?)?;
                }
                kind => {
                    // Old GNU sparse files list their pieces in blocks of their own.
                    let mut extended = header.as_gnu().is_some_and(|header| header.is_extended())
                        && kind == EntryType::GNUSparse;
                    while extended {
                        extended = self.block()?[504] == 1;
                    }
                    let name = ahead.name.unwrap_or_else(|| header.path_bytes().into_owned());
                    let link = ahead.link.or_else(|| header.link_name_bytes().map(Cow::into_owned));
                    return Ok(Some(Member {
                        link: String::from_utf8_lossy(&link.unwrap_or_default()).into_owned(),
                        name: String::from_utf8_lossy(&name).into_owned(),
                        mode: header.mode().ok().map(|mode| mode & 0o7777),
                        kind,
                        size: ahead.size.unwrap_or(size),
                        sparse: ahead.sparse || kind == EntryType::GNUSparse,
                    }));
                }
            }
        }
    }

    /// Shows the bytes behind a header, and goes to the next one.
    fn file(&mut self, visit: &mut Visit<'_>, member: &Member) -> io::Result<()> {
        let mut bytes = Exact { reader: &mut *self.reader, left: member.size };
        let name = || format!("{}!{}", self.archive, shown(&member.name));
        let refused = if member.sparse {
            let message = format!("{} is stored with its holes left out, which is not read here", name());
            Some(Error::new(ErrorKind::Unsupported, message))
        } else if !is_file(member.kind) && member.size > 0 {
            // Some unpackers pass over these bytes, others take them for the next members.
            Some(damaged(&name(), "it is no file and has bytes"))
        } else {
            None
        };
        if let Some(error) = refused {
            visit.budget.member().map_err(io::Error::other)?;
            visit.unreadable(&name(), error);
        } else if is_file(member.kind) && (member.size > 0 || !member.name.ends_with('/')) {
            if let Some(watched) = self.image.watch(&member.name) {
                watched.member(visit, self.archive, &member.name, member.mode, &mut self.names, &mut bytes);
            } else {
                visit.member(self.archive, &member.name, member.mode, &mut self.names, &mut bytes);
            }
        } else {
            visit.budget.member().map_err(io::Error::other)?;
            match member.kind {
                EntryType::Symlink => self.image.link(&member.name, &beside(&member.name, &member.link)),
                EntryType::Link => self.image.link(&member.name, &member.link),
                _ => {}
            }
        }
        drain(&mut bytes)?;
        self.pad(member.size)
    }

    /// A record that is a name, and ends at its first zero.
    fn name(&mut self, size: u64, what: &str) -> io::Result<Vec<u8>> {
        let mut name = self.record(size, NAME, what)?;
        name.truncate(name.iter().position(|byte| *byte == 0).unwrap_or(name.len()));
        Ok(name)
    }

    fn record(&mut self, size: u64, most: u64, what: &str) -> io::Result<Vec<u8>> {
        let bytes = record(self.reader, size, most, what)?;
        self.pad(size)?;
        Ok(bytes)
    }

    /// Members end at a block's end.
    fn pad(&mut self, size: u64) -> io::Result<()> {
        let padding = size.wrapping_neg() % 512;
        drain(&mut Exact { reader: &mut *self.reader, left: padding }).map(drop)
    }

    fn block(&mut self) -> io::Result<[u8; 512]> {
        let mut block = [0; 512];
        match self.reader.read_exact(&mut block) {
            Ok(()) => Ok(block),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(io::Error::new(error.kind(), "it ends before its end mark"))
            }
            Err(error) => Err(error),
        }
    }
}

impl Ahead {
    fn is_empty(&self) -> bool {
        *self == Ahead::default()
    }

    /// A pax header's records (POSIX.1-2024, pax): `path`, `linkpath` and `size` replace what the header says. Each begins
    /// with its own length, for a value may hold any byte.
    fn read(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        // Some writers fill the header up.
        while bytes.first().is_some_and(|byte| *byte != 0) {
            let (key, value, rest) = pax_record(bytes).ok_or_else(|| invalid("a pax record is malformed"))?;
            bytes = rest;
            match key {
                b"path" => self.name = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"size" => {
                    let text = str::from_utf8(value).unwrap_or_default();
                    self.size = Some(text.parse().map_err(|_| invalid("a pax size is no number"))?);
                }
                key => self.sparse |= key.starts_with(b"GNU.sparse."),
            }
        }
        Ok(())
    }
}

/// The first of pax records: its key, its value, and what follows. `LENGTH KEY=VALUE\n`, the length counting all of it.
fn pax_record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().take(20).position(|byte| *byte == b' ')?;
    let length: usize = str::from_utf8(&bytes[..space]).ok()?.parse().ok()?;
    let (record, rest) = bytes.split_at_checked(length)?;
    let record = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    Some((&record[..equals], &record[equals + 1..], rest))
}

/// What a symbolic link called `name` leads to, seen from the archive's folder.
fn beside(name: &str, target: &str) -> String {
    let mut parts: Vec<_> = name.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Whether bytes follow that are a file's. A type that POSIX does not know is to be read as a regular file.
fn is_file(kind: EntryType) -> bool {
    !(kind.is_dir()
        || kind.is_symlink()
        || kind.is_hard_link()
        || kind.is_character_special()
        || kind.is_block_special()
        || kind.is_fifo())
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
