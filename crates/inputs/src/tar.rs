//! Tar archives (POSIX.1-2001 ustar and pax, GNU's extensions), as a stream. Headers are decoded by the `tar` crate; the
//! loop is ours, because the crate's keeps names of any length in memory.

use std::io::{self, Read};

use tar::{EntryType, Header, PaxExtensions};

use crate::error::{damaged, from_io};
use crate::format::is_tar_header;
use crate::image::Image;
use crate::limits::{Exact, NAME, RECORD, drain, record};
use crate::visit::{Names, Visit};
use crate::{Error, ErrorKind};

/// Visits the files of `archive`, which is opened already.
pub(crate) fn read(visit: &mut Visit<'_>, archive: &str, reader: &mut dyn Read) -> Result<(), Error> {
    let mut tar = Tar { archive, reader, names: Names::default(), image: Image::default() };
    let failed = |error| from_io(archive, error);
    while let Some(member) = tar.next(visit).map_err(failed)? {
        if visit.ended() {
            return Ok(());
        }
        tar.file(visit, &member).map_err(failed)?;
    }
    // What was cut off after the end mark has also lost the checksum of its compression.
    if tar.rest().map_err(failed)? {
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
    mode: Option<u32>,
    kind: EntryType,
    size: u64,
    sparse: bool,
}

/// Records that pax headers and GNU's long names give to the next header.
#[derive(Default)]
struct Ahead {
    name: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
}

impl Tar<'_> {
    /// The next header that stands for a member; `None` at the end mark.
    fn next(&mut self, visit: &mut Visit<'_>) -> io::Result<Option<Member>> {
        let mut ahead = Ahead::default();
        loop {
            let block = self.block()?;
            if block.iter().all(|byte| *byte == 0) {
                return Ok(None);
            }
            if !is_tar_header(&block) {
                return Err(invalid("a header's checksum is wrong"));
            }
            visit.budget.member().map_err(io::Error::other)?;
            let header = Header::from_byte_slice(&block);
            let size = header.entry_size()?;
            match header.entry_type() {
                EntryType::GNULongName => {
                    let mut name = self.record(size, NAME, "a name")?;
                    name.truncate(name.iter().position(|byte| *byte == 0).unwrap_or(name.len()));
                    ahead.name = Some(name);
                }
                EntryType::GNULongLink => drop(self.record(size, NAME, "a link's name")?),
                EntryType::XGlobalHeader => drop(self.record(size, RECORD, "a global pax header")?),
                EntryType::XHeader => ahead.read(&self.record(size, RECORD, "a pax header")?)?,
                kind => {
                    // Old GNU sparse files list their pieces in blocks of their own.
                    let mut extended = header.as_gnu().is_some_and(|header| header.is_extended())
                        && kind == EntryType::GNUSparse;
                    while extended {
                        extended = self.block()?[504] == 1;
                    }
                    let name = ahead.name.unwrap_or_else(|| header.path_bytes().into_owned());
                    return Ok(Some(Member {
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
        if member.sparse {
            let name = format!("{}!{}", self.archive, member.name);
            let message = format!("{name} is stored with its holes left out, which is not read here");
            visit.unreadable(&name, Error::new(ErrorKind::Unsupported, message));
        } else if is_file(member.kind) && !member.name.ends_with('/') {
            if let Some(watched) = self.image.watch(&member.name) {
                watched.member(visit, self.archive, &member.name, member.mode, &mut self.names, &mut bytes);
            } else {
                visit.member(self.archive, &member.name, member.mode, &mut self.names, &mut bytes);
            }
        } else if member.kind.is_symlink() || member.kind.is_hard_link() {
            self.image.link(&member.name);
        }
        drain(&mut bytes)?;
        self.pad(member.size)
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

    /// Whether anything but zeros follows the end mark.
    fn rest(&mut self) -> io::Result<bool> {
        let mut piece = vec![0; 16 << 10];
        let mut something = false;
        loop {
            let read = self.reader.read(&mut piece)?;
            if read == 0 {
                return Ok(something);
            }
            something |= piece[..read].iter().any(|byte| *byte != 0);
        }
    }
}

impl Ahead {
    /// A pax header's records: `path` and `size` replace what the header says.
    fn read(&mut self, bytes: &[u8]) -> io::Result<()> {
        for extension in PaxExtensions::new(bytes) {
            let extension = extension?;
            match extension.key_bytes() {
                b"path" => self.name = Some(extension.value_bytes().to_vec()),
                b"size" => {
                    let text = str::from_utf8(extension.value_bytes()).unwrap_or_default();
                    self.size = Some(text.parse().map_err(|_| invalid("a pax size is no number"))?);
                }
                key => self.sparse |= key.starts_with(b"GNU.sparse."),
            }
        }
        Ok(())
    }
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
