//! The files that verification is measured on: the same ones on every machine of the same system.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Message};

/// Files of one kind, in order of their paths.
pub(super) struct Corpus {
    pub(super) files: Vec<PathBuf>,
    /// In bytes, all together.
    pub(super) size: u64,
}

/// How many of each format.
const FILES: usize = 300;
/// Where Debian keeps programs and libraries.
const ELF_FOLDERS: [&str; 2] = ["/usr/bin", "/usr/lib/x86_64-linux-gnu"];
/// Where Debian's `libwine` keeps its modules, and where it may be unpacked instead of installed.
const PE_FOLDER: &str = "usr/lib/x86_64-linux-gnu/wine/x86_64-windows";
/// How to have the PE files.
pub(super) const GET_PE_FILES: &str =
    "apt-get download libwine && dpkg -x libwine_*.deb ~/.cache/seaworthy/bench/wine";

/// 150 programs and 150 shared libraries of this system, evenly from all there are.
pub(super) fn elf() -> Result<Corpus, Failure> {
    let mut files = Vec::new();
    for folder in ELF_FOLDERS {
        let all = regular_files(Path::new(folder), is_elf_program);
        files.extend(evenly(&all, FILES / ELF_FOLDERS.len()));
    }
    if files.is_empty() {
        let sentence = format!("there are no ELF files in {}", ELF_FOLDERS.join(" and "));
        return Err(Failure::Usage(Message::new(sentence, "measure on Debian for x86-64")));
    }
    Ok(Corpus::of(files))
}

/// 300 DLLs of Wine, evenly from all there are; `None` where Wine is not here.
pub(super) fn pe(cache: &Path) -> Option<Corpus> {
    let is_dll = |path: &Path| path.extension().is_some_and(|extension| extension == "dll");
    let folders = [Path::new("/").join(PE_FOLDER), cache.join("wine").join(PE_FOLDER)];
    let all = folders.iter().map(|folder| regular_files(folder, is_dll)).find(|files| !files.is_empty())?;
    Some(Corpus::of(evenly(&all, FILES)))
}

impl Corpus {
    fn of(files: Vec<PathBuf>) -> Corpus {
        let size = files.iter().filter_map(|path| path.metadata().ok()).map(|metadata| metadata.len()).sum();
        Corpus { files, size }
    }

    /// The paths, a line each, for what takes a list.
    pub(super) fn list(&self) -> String {
        self.files.iter().map(|path| format!("{}\n", path.display())).collect()
    }
}

/// `count` of `all`, at even distances; all of them where there are fewer.
fn evenly(all: &[PathBuf], count: usize) -> Vec<PathBuf> {
    let count = count.min(all.len());
    (0..count).map(|index| all[index * all.len() / count].clone()).collect()
}

/// The files of `folder` that are neither links nor folders and that `wanted` takes, sorted by path.
fn regular_files(folder: &Path, wanted: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let regular = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    let mut files: Vec<_> = regular.map(|entry| entry.path()).filter(|path| wanted(path)).collect();
    files.sort_unstable();
    files
}

/// Whether the file is ELF, `ET_EXEC` or `ET_DYN`, in this machine's byte order.
fn is_elf_program(path: &Path) -> bool {
    let mut header = [0; 18];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut header));
    read.is_ok() && header.starts_with(b"\x7fELF") && matches!(header[16..18], [2 | 3, 0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_taken_at_even_distances() {
        let all: Vec<_> = (0..10).map(|number| PathBuf::from(number.to_string())).collect();
        let names =
            |files: Vec<PathBuf>| files.iter().map(|file| file.display().to_string()).collect::<String>();
        assert_eq!(names(evenly(&all, 3)), "036");
        assert_eq!(names(evenly(&all, 10)), "0123456789");
        assert_eq!(names(evenly(&all, 99)), "0123456789");
        assert_eq!(names(evenly(&[], 3)), "");
    }

    #[test]
    fn a_script_or_an_object_file_is_no_program() {
        let folder = tempfile::tempdir().unwrap();
        let header = |kind: u8| [b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".as_slice(), &[kind, 0]].concat();
        for (name, bytes) in
            [("a", header(3)), ("b", header(1)), ("c", b"#!/bin/sh".to_vec()), ("d", header(2))]
        {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        let files = regular_files(folder.path(), is_elf_program);
        assert_eq!(files, [folder.path().join("a"), folder.path().join("d")]);
    }
}
