//! A root file system out of a tar archive: only what facts are read from, and nothing outside of its folder.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

use flate2::read::MultiGzDecoder;
use tar::EntryType;

use crate::error::io as unreadable;
use crate::{Error, ErrorKind};

/// More members are not read.
const MEMBERS: usize = 2_000_000;
/// An archive is read up to so many bytes, unpacked.
const STREAM: u64 = 64 << 30;
/// So many bytes are kept on disk.
const KEPT: u64 = 4 << 30;
/// A member of more bytes is not kept.
const LARGEST: u64 = 512 << 20;
/// How many members that cannot be unpacked are told.
const TOLD: usize = 100;
/// `ID1`, `ID2` (RFC 1952).
const GZIP: &[u8] = &[0x1f, 0x8b];

/// Unpacks into the empty folder `to`. Gives what was passed over although facts may be in it, and why.
///
/// Links are made last: while files are written no link stands in the folder, so none can lead out of it.
pub(crate) fn unpack(name: &str, stream: impl Read, to: &Path) -> Result<Vec<(String, String)>, Error> {
    let mut stream = BufReader::new(stream);
    let head = stream.fill_buf().map_err(|error| unreadable(&format!("cannot read {name}"), error))?;
    if head.starts_with(b"\x28\xb5\x2f\xfd") || head.starts_with(b"\xfd7zXZ") {
        return Err(Error::new(ErrorKind::Unreadable, format!("{name} is packed with zstd or xz"))
            .with_hint("unpack it on the way: `zstd -dc FILE | cargo xtask env capture -`"));
    }
    if head.starts_with(GZIP) {
        return unpack_tar(name, MultiGzDecoder::new(stream), to);
    }
    unpack_tar(name, stream, to)
}

fn unpack_tar(name: &str, stream: impl Read, to: &Path) -> Result<Vec<(String, String)>, Error> {
    let damaged = |error: io::Error| {
        unreadable(&format!("{name} cannot be read as a tar archive"), error)
            .with_hint("make it anew, for example with `tar -C ROOT -cf FILE .` or `docker export`")
    };
    let mut archive = tar::Archive::new(stream.take(STREAM));
    let mut state = Unpacked { to: to.to_owned(), kept: 0, links: Vec::new(), passed_over: Vec::new() };
    for (count, entry) in archive.entries().map_err(damaged)?.enumerate() {
        if count == MEMBERS {
            state.pass_over("further members", &format!("there are more than {MEMBERS}"));
            break;
        }
        let mut entry = entry.map_err(damaged)?;
        let member = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let Some(path) = safe(&member) else {
            state.pass_over(&member, "its name leads out of the archive");
            continue;
        };
        if !has_facts(&path) {
            continue;
        }
        let target = entry.link_name_bytes().map(|target| String::from_utf8_lossy(&target).into_owned());
        match entry.header().entry_type() {
            EntryType::Directory => state.folder(&path),
            EntryType::Regular | EntryType::Continuous => state.file(&path, entry.size(), &mut entry)?,
            EntryType::Symlink => state.links.push((path, target.unwrap_or_default())),
            EntryType::Link => state.hard_link(&path, &target.unwrap_or_default()),
            _ => {} // devices and pipes have no facts
        }
    }
    if state.kept == 0 && state.links.is_empty() {
        let message = format!("{name} has no root file system: neither /etc nor /usr/lib");
        return Err(Error::new(ErrorKind::Unreadable, message)
            .with_hint("name an archive of a whole root, such as `docker export` writes"));
    }
    state.make_links();
    Ok(state.passed_over)
}

/// The member's path below the folder; `None` where it would lead out.
fn safe(member: &str) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    for component in Path::new(member).components() {
        match component {
            Component::Normal(part) => path.push(part),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    (!member.contains('\0')).then_some(path)
}

/// Whether facts are read from a path: settings, package databases, and libraries.
fn has_facts(path: &Path) -> bool {
    let text = path.to_string_lossy();
    const WHOLE: &[&str] = &["etc", "var/lib/dpkg", "lib/apk/db", "var/lib/rpm", "usr/lib/sysimage/rpm"];
    if WHOLE.iter().any(|folder| path.starts_with(folder) || Path::new(folder).starts_with(path)) {
        return true;
    }
    const LIBRARIES: &[&str] = &["lib", "lib64", "lib32", "usr", "opt", "bin", "sbin"];
    let is_library = text.contains(".so") || text.contains("/ld-") || text.ends_with("os-release");
    let is_place = path.components().count() <= 3;
    LIBRARIES.iter().any(|folder| path.starts_with(folder)) && (is_library || is_place)
}

struct Unpacked {
    to: PathBuf,
    kept: u64,
    links: Vec<(PathBuf, String)>,
    passed_over: Vec<(String, String)>,
}

impl Unpacked {
    fn pass_over(&mut self, member: &str, why: &str) {
        if self.passed_over.len() < TOLD {
            self.passed_over.push((member.to_owned(), why.to_owned()));
        }
    }

    fn folder(&mut self, path: &Path) {
        if let Err(error) = fs::create_dir_all(self.to.join(path)) {
            self.pass_over(&path.display().to_string(), &error.to_string());
        }
    }

    /// Only a full disk is an error; a member that cannot be written is passed over.
    fn file(&mut self, path: &Path, size: u64, content: &mut dyn Read) -> Result<(), Error> {
        let to = self.to.join(path);
        let is_program = path.components().count() <= 3
            && !path.starts_with("etc")
            && !path.to_string_lossy().contains(".so")
            && !path.to_string_lossy().ends_with("os-release");
        if is_program {
            return Ok(());
        }
        if size > LARGEST || self.kept.saturating_add(size) > KEPT {
            self.pass_over(&path.display().to_string(), "it is too large to be looked at");
            return Ok(());
        }
        self.kept += size.max(1);
        let made = to.parent().map_or(Ok(()), fs::create_dir_all);
        let written = made.and_then(|()| io::copy(content, &mut File::create(&to)?));
        match written {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                Err(unreadable(&format!("cannot unpack into {}", self.to.display()), error)
                    .with_hint("free some space, or name another folder in TMPDIR"))
            }
            Err(error) => {
                self.pass_over(&path.display().to_string(), &error.to_string());
                Ok(())
            }
        }
    }

    fn hard_link(&mut self, path: &Path, target: &str) {
        let Some(from) = safe(target) else {
            return self.pass_over(&path.display().to_string(), "its link leads out of the archive");
        };
        if self.to.join(&from).is_file() {
            self.folder(path.parent().unwrap_or(path));
            if let Err(error) = fs::hard_link(self.to.join(from), self.to.join(path)) {
                self.pass_over(&path.display().to_string(), &error.to_string());
            }
        }
    }

    /// Links are text; who reads the folder follows them inside of it.
    fn make_links(&mut self) {
        for (path, target) in std::mem::take(&mut self.links) {
            let to = self.to.join(&path);
            if fs::symlink_metadata(&to).is_ok() {
                continue; // a folder of files that other members put there
            }
            // A link that was made a moment ago must not be walked through.
            let parent = path.parent().unwrap_or(Path::new(""));
            if parent.ancestors().any(|part| self.to.join(part).is_symlink()) {
                continue;
            }
            let made = fs::create_dir_all(self.to.join(parent)).and_then(|()| symlink(&target, &to));
            if let Err(error) = made {
                self.pass_over(&path.display().to_string(), &error.to_string());
            }
        }
    }
}
