//! One source, read in one pass: what is a program is given whole, what is an archive is opened, the rest flows by.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::BuildHasher;
use std::io::{BufReader, Cursor, Read, Seek};
use std::path::Path;

use crate::error::{damaged, from_io};
use crate::format::{Format, HEAD, is_tar, looks_like_a_program};
use crate::limits::{Budget, CHECKED, PROBLEMS, drain, only_zeros};
use crate::{Bytes, Error, ErrorKind, Input, Item};
use crate::{cabinet, deb, installer, rpm, tar, unpack, zip};

/// The pass over one source.
pub(crate) struct Visit<'a> {
    pub(crate) budget: &'a Budget,
    /// Give every member and open none of them, instead of looking for programs.
    pub(crate) members: bool,
    give: &'a mut dyn FnMut(Item),
    nesting: usize,
    problems: usize,
    /// How many archives were opened so far, those of nothing but zeros among them: an empty tar.
    pub(crate) opened: usize,
}

impl<'a> Visit<'a> {
    pub(crate) fn new(budget: &'a Budget, give: &'a mut dyn FnMut(Item)) -> Visit<'a> {
        Visit { budget, members: false, give, nesting: 0, problems: 0, opened: 0 }
    }

    /// Whether there is no use in reading on.
    pub(crate) fn ended(&self) -> bool {
        self.budget.spent() || self.problems > PROBLEMS
    }

    /// Says that `name` cannot be looked at. Once a limit of the whole source is hit, everything after it fails for that
    /// one reason, which is said once.
    pub(crate) fn unreadable(&mut self, name: &str, error: Error) {
        if self.problems > PROBLEMS {
            return;
        }
        self.problems += 1;
        if self.budget.spent() {
            self.problems = PROBLEMS + 1;
        }
        let error = if self.problems == PROBLEMS {
            self.problems = PROBLEMS + 1;
            let message = format!("not read further: {PROBLEMS} of its parts cannot be read");
            Error::new(ErrorKind::TooLarge, message)
        } else {
            error
        };
        (self.give)(Item::Unreadable { name: name.to_owned(), error });
    }

    pub(crate) fn give(&mut self, name: &str, bytes: Bytes, mode: Option<u32>) {
        (self.give)(Item::File(Input { name: name.to_owned(), bytes, mode }));
    }

    /// The file called `name`, whose `bytes` are also at `path` where it has one. A file that was `asked` for by its own
    /// name is given, whatever it is.
    pub(crate) fn file(
        &mut self,
        name: &str,
        path: Option<&Path>,
        bytes: Bytes,
        mode: Option<u32>,
        asked: bool,
    ) {
        self.budget.found(bytes.len() as u64);
        let head = &bytes[..bytes.len().min(HEAD as usize)];
        let format =
            Format::of(head).filter(|format| *format != Format::Installer || installer::is_one(&bytes));
        let opened = match (format, Format::promised(name)) {
            (Some(Format::Program), _) => self.program(name, bytes, mode, asked),
            (None, None) => {
                if asked {
                    self.give(name, bytes, mode);
                }
                return;
            }
            // An empty tar is zeros alone, and lzma has no magic bytes.
            (None, Some(promised @ (Format::Tar | Format::Lzma))) if !bytes.is_empty() => {
                self.open_file(name, promised, path, &bytes)
            }
            (None, Some(promised)) => Err(is_none(name, promised)),
            (Some(format), _) => self.open_file(name, format, path, &bytes),
        };
        if let Err(error) = opened {
            self.unreadable(name, error);
        }
    }

    /// What begins as a program, all of it. A tar archive does when its first name begins so.
    fn program(&mut self, name: &str, bytes: Bytes, mode: Option<u32>, asked: bool) -> Result<(), Error> {
        let file_bytes = self.budget.limits.file_bytes;
        match (looks_like_a_program(&bytes), is_tar(&bytes)) {
            (true, true) => Err(damaged(name, "it is a program and a tar archive at once")),
            (false, true) => self.open_stream(name, Format::Tar, &mut &bytes[..]),
            (true, false) if bytes.len() as u64 > file_bytes => Err(Error::new(
                ErrorKind::TooLarge,
                format!("{name} has {} bytes, which is more than {file_bytes}", bytes.len()),
            )),
            (false, false) if !asked => {
                Format::promised(name).map_or(Ok(()), |promised| Err(is_none(name, promised)))
            }
            _ => {
                self.give(name, bytes, mode);
                Ok(())
            }
        }
    }

    /// A member of `archive` that is read from a stream. An error in it ends neither the archive nor this pass.
    pub(crate) fn member(
        &mut self,
        archive: &str,
        member: &str,
        mode: Option<u32>,
        names: &mut Names,
        reader: &mut dyn Read,
    ) {
        let name = format!("{archive}!{}", shown(member));
        let admitted = self.budget.member().and_then(|()| names.admit(&name, member));
        let looked = admitted.and_then(|()| self.look(&name, mode, reader));
        // Also after an error the archive's reader must come to the next member.
        let drained = drain(reader).map_err(|error| from_io(&name, error));
        if let Err(error) = looked.and(drained.map(drop)) {
            self.unreadable(&name, error);
        }
    }

    fn look(&mut self, name: &str, mode: Option<u32>, reader: &mut dyn Read) -> Result<(), Error> {
        let file_bytes = self.budget.limits.file_bytes;
        if self.members {
            let bytes = Bytes::of_reader(name, reader, file_bytes)?;
            self.give(name, bytes, mode);
            return Ok(());
        }
        let mut head = Vec::new();
        reader.take(HEAD).read_to_end(&mut head).map_err(|error| from_io(name, error))?;
        let format = match (Format::of(&head), Format::promised(name)) {
            (Some(format), _) => format,
            (None, Some(promised @ (Format::Tar | Format::Lzma))) if !head.is_empty() => promised,
            (None, Some(promised)) => return Err(is_none(name, promised)),
            (None, None) if head.iter().all(|byte| *byte == 0) => {
                let empty = only_zeros(&mut reader.take(CHECKED)).map_err(|error| from_io(name, error))?;
                self.opened += usize::from(empty);
                return Ok(());
            }
            (None, None) => return Ok(()),
        };
        let mut whole = Cursor::new(head).chain(reader);
        if format == Format::Program {
            let bytes = Bytes::of_reader(name, &mut whole, file_bytes)?;
            return self.program(name, bytes, mode, false);
        }
        self.open_stream(name, format, &mut whole)
    }

    /// Opens the archive at `path`. It is read through a small buffer: the pages of a map stay in memory.
    fn open_file(
        &mut self,
        name: &str,
        format: Format,
        path: Option<&Path>,
        bytes: &[u8],
    ) -> Result<(), Error> {
        // Read again and not out of the map: an archive may be larger than memory, and a map's pages count as used.
        match path.filter(|_| format != Format::Cabinet) {
            None => self.open_bytes(name, format, Cursor::new(bytes), bytes),
            Some(path) => {
                let file = File::open(path).map_err(|error| from_io(name, error))?;
                self.open_bytes(name, format, BufReader::with_capacity(64 << 10, file), bytes)
            }
        }
    }

    fn open_bytes(
        &mut self,
        name: &str,
        format: Format,
        mut reader: impl Read + Seek,
        bytes: &[u8],
    ) -> Result<(), Error> {
        match format {
            Format::Zip | Format::Installer | Format::Cabinet => self.open_whole(name, format, reader, bytes),
            _ => self.open_stream(name, format, &mut reader),
        }
    }

    /// Opens an archive whose parts are looked up by their places: `reader` is over the same `bytes`.
    fn open_whole(
        &mut self,
        name: &str,
        format: Format,
        reader: impl Read + Seek,
        bytes: &[u8],
    ) -> Result<(), Error> {
        self.deeper(name, |visit| match format {
            Format::Zip => zip::read(visit, name, reader),
            Format::Installer => installer::read(visit, name, reader),
            _ => cabinet::read(visit, name, bytes),
        })
    }

    /// Opens what lies in `reader`, which need not be read to its end afterwards.
    pub(crate) fn open_stream(
        &mut self,
        name: &str,
        format: Format,
        reader: &mut dyn Read,
    ) -> Result<(), Error> {
        let file_bytes = self.budget.limits.file_bytes;
        match format {
            Format::Zip | Format::Cabinet | Format::Installer => {
                let bytes = Bytes::of_reader(name, reader, file_bytes)?;
                if format == Format::Installer && !installer::is_one(&bytes) {
                    return Ok(());
                }
                self.open_whole(name, format, Cursor::new(&bytes[..]), &bytes)
            }
            Format::Tar => self.deeper(name, |visit| tar::read(visit, name, reader)),
            Format::Deb => self.deeper(name, |visit| deb::read(visit, name, reader)),
            Format::Rpm => self.deeper(name, |visit| rpm::read(visit, name, reader)),
            Format::Gzip | Format::Xz | Format::Bzip2 | Format::Zstd | Format::Lzma => {
                let budget = self.budget;
                let mut reader = unpack::reader(name, format, reader, budget)?;
                self.unpacked(name, &mut reader)
            }
            Format::Program => Ok(()),
            Format::Foreign(what) => {
                let message = format!("{name} is a {what}, which is not opened here");
                Err(Error::new(ErrorKind::Unsupported, message).with_hint("unpack it and name the folder"))
            }
        }
    }

    /// What was packed as one file: an archive, which keeps its name, or a program, or nothing of interest.
    fn unpacked(&mut self, name: &str, reader: &mut dyn Read) -> Result<(), Error> {
        let mut head = Vec::new();
        reader.take(HEAD).read_to_end(&mut head).map_err(|error| from_io(name, error))?;
        let is_archive = Format::promises_tar(name);
        let format = Format::of(&head).or((is_archive && !head.is_empty()).then_some(Format::Tar));
        let mut whole = Cursor::new(head).chain(reader);
        match format {
            None if is_archive => Err(damaged(name, "there is no archive in it")),
            // Damage shows as bytes of no format, until a checksum comes: at the end, or in bzip2 after each block.
            None => {
                let empty = only_zeros(&mut whole.take(CHECKED)).map_err(|error| from_io(name, error))?;
                self.opened += usize::from(empty);
                Ok(())
            }
            Some(Format::Program) => {
                let inner = format!("{name}!{}", stem(name));
                let bytes = Bytes::of_reader(&inner, &mut whole, self.budget.limits.file_bytes)?;
                self.program(&inner, bytes, None, false)
            }
            Some(Format::Tar) => {
                self.open_stream(name, Format::Tar, &mut whole)?;
                drain(&mut whole).map(drop).map_err(|error| from_io(name, error))
            }
            Some(format) => self.deeper(name, |visit| {
                visit.open_stream(&format!("{name}!{}", stem(name)), format, &mut whole)
            }),
        }
    }

    fn deeper(
        &mut self,
        name: &str,
        open: impl FnOnce(&mut Visit<'a>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let most = self.budget.limits.nesting;
        if self.nesting == most {
            let message = format!("{name} lies more than {most} archives deep");
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        self.nesting += 1;
        self.opened += 1;
        let opened = open(self);
        self.nesting -= 1;
        opened
    }
}

/// The names in one archive: each once, and none that leads out of the archive's own folder.
#[derive(Default)]
pub(crate) struct Names {
    seen: HashSet<u64>,
    hasher: RandomState,
}

impl Names {
    fn admit(&mut self, name: &str, member: &str) -> Result<(), Error> {
        let drive = matches!(member.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
        if member.starts_with(['/', '\\']) || drive || member.split(['/', '\\']).any(|part| part == "..") {
            let message = format!("{name} would be unpacked outside of the archive's folder");
            return Err(Error::new(ErrorKind::Unreadable, message).with_hint("do not unpack this archive"));
        }
        let plain = member.strip_prefix("./").unwrap_or(member);
        if !self.seen.insert(self.hasher.hash_one(plain)) {
            let message = format!("{name} is there twice: which one is meant depends on who unpacks it");
            return Err(Error::new(ErrorKind::Unreadable, message));
        }
        Ok(())
    }
}

fn is_none(name: &str, promised: Format) -> Error {
    damaged(name, format!("it does not begin as a {}", promised.name()))
}

/// A member's name as it is shown: without what would move a terminal's cursor.
pub(crate) fn shown(member: &str) -> String {
    let clean = |character: char| !character.is_control();
    if member.chars().all(clean) { member.to_owned() } else { member.escape_debug().to_string() }
}

/// The file name without its folder and last suffix.
fn stem(name: &str) -> &str {
    let file = name.rsplit(['/', '!']).next().unwrap_or(name);
    file.rsplit_once('.').map_or(file, |(stem, _)| stem)
}
