//! A target's archives, from nothing but verified programs and the bundle.

use std::fs;
use std::path::{Path, PathBuf};

use artifact::{Artifact, BinaryFormat, Digest, Target, Verified};
use manifest::{File, FileKind, Member};

use crate::error::io_error;
use crate::formats::{self, Entry};
use crate::layout::refuse_duplicates;
use crate::staging::write_synced;
use crate::{Error, ErrorKind, Layout, Staging};

/// An archive on disk and what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// Where it is.
    pub path: PathBuf,
    /// What the manifest says of it.
    pub record: File,
}

/// Writes the archive and the symbols archive of `target` into `staging`: zip for Windows, tar.gz elsewhere.
pub fn pack(
    target: Target,
    programs: &[&Artifact<Verified>],
    layout: &Layout,
    staging: &Staging,
) -> Result<Vec<Archive>, Error> {
    let suffix = target.row().executable_suffix;
    let mut entries = layout.bundled(target)?;
    let mut symbols = Vec::new();
    for program in programs {
        let bytes = read_unchanged(program)?;
        entries.push(Entry { path: format!("{}{suffix}", program.binary()), mode: 0o755, bytes });
        if let Some(path) = &program.stage().finished().symbols {
            let bytes = fs::read(path).map_err(|error| io_error("read", path, error))?;
            symbols.push(Entry { path: format!("{}{suffix}.debug", program.binary()), mode: 0o644, bytes });
        }
    }
    let mut archives = vec![write(target, FileKind::Archive, entries, layout, staging.folder())?];
    if !symbols.is_empty() {
        archives.push(write(target, FileKind::Symbols, symbols, layout, staging.folder())?);
    }
    Ok(archives)
}

/// The program's bytes, which must still be those that were verified.
fn read_unchanged(program: &Artifact<Verified>) -> Result<Vec<u8>, Error> {
    let bytes = fs::read(program.path()).map_err(|error| io_error("read", program.path(), error))?;
    if Digest::of(&bytes) != program.digest() {
        let message = format!("{} changed after it was verified", program.path().display());
        return Err(Error::new(ErrorKind::Damaged, message)
            .with_hint("release again, and let nothing else write there"));
    }
    Ok(bytes)
}

fn write(
    target: Target,
    kind: FileKind,
    mut entries: Vec<Entry>,
    layout: &Layout,
    folder: &Path,
) -> Result<Archive, Error> {
    refuse_duplicates(&entries, target)?;
    let top = layout.top_folder(target);
    for entry in &mut entries {
        entry.path = format!("{top}/{}", entry.path);
    }
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    let what = match kind {
        FileKind::Archive => "",
        FileKind::Symbols => "-symbols",
    };
    let time = layout.source.commit_time;
    let (name, packed) = match target.row().format {
        BinaryFormat::Elf => (format!("{top}{what}.tar.gz"), formats::tar_gz(&entries, time)),
        BinaryFormat::Pe => (format!("{top}{what}.zip"), formats::zip(&entries, time)),
    };
    let path = folder.join(&name);
    let bytes = packed.map_err(|error| io_error("pack", &path, error))?;
    write_synced(&path, &bytes)?;
    let member = |entry: &Entry| Member {
        path: entry.path.clone(),
        size: entry.bytes.len() as u64,
        sha256: Digest::of(&entry.bytes),
        mode: format!("{:04o}", entry.mode),
    };
    let members = entries.iter().map(member).collect();
    let record = File { name, kind, target, size: bytes.len() as u64, sha256: Digest::of(&bytes), members };
    Ok(Archive { path, record })
}
