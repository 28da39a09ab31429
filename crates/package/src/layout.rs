//! What archives are called and what goes into them beside the programs.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use artifact::{BinaryFormat, Source, Target};
use serde::Serialize;

use crate::error::io_error;
use crate::formats::Entry;
use crate::{Error, ErrorKind};

/// How a release is laid out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Layout {
    /// What is released.
    pub source: Source,
    /// The folder in which the release folder appears.
    pub out_dir: PathBuf,
    /// What goes into the archives beside the programs.
    pub bundle: Vec<BundleFile>,
}

/// One file that is packed as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BundleFile {
    /// Where it is.
    pub from: PathBuf,
    /// Its path below the archive's top folder, with `/`.
    pub to: String,
    /// The targets whose archives it goes into; none named: all.
    pub targets: Vec<Target>,
}

impl Layout {
    /// The release folder's name: `<product>-<version>`.
    pub fn release_name(&self) -> String {
        format!("{}-{}", self.source.product, self.source.version)
    }

    /// The top folder in `target`'s archive, and the archive's name without its suffix.
    pub(crate) fn top_folder(&self, target: Target) -> String {
        format!("{}-{target}", self.release_name())
    }

    /// The bundle files for `target`, read and with checked places.
    pub(crate) fn bundled(&self, target: Target) -> Result<Vec<Entry>, Error> {
        let wanted = |file: &&BundleFile| file.targets.is_empty() || file.targets.contains(&target);
        let mut entries = Vec::new();
        for file in self.bundle.iter().filter(wanted) {
            let inside = !file.to.is_empty()
                && !file.to.contains(['\\', ':'])
                && file.to.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
            if !inside {
                let message = format!("package.files: `{}` is no place inside an archive", file.to);
                return Err(Error::new(ErrorKind::BadBundle, message)
                    .with_hint("write `to` in release.toml as a relative path without `..`"));
            }
            let bytes = fs::read(&file.from).map_err(|error| {
                let refused = io_error("read", &file.from, error);
                Error::new(ErrorKind::BadBundle, format!("package.files: {refused}"))
                    .with_hint("correct `from` in release.toml, or add the file")
                    .with_source(refused)
            })?;
            // A bundled script or helper must stay startable; nothing else of the file's mode is the release's business.
            let executable = inputs::looks_like_a_program(&bytes) || bytes.starts_with(b"#!");
            entries.push(Entry {
                path: file.to.clone(),
                mode: if executable { 0o755 } else { 0o644 },
                bytes,
            });
        }
        Ok(entries)
    }
}

/// Refuses two entries at one place; Windows takes names that differ only in case for the same.
pub(crate) fn refuse_duplicates(entries: &[Entry], target: Target) -> Result<(), Error> {
    let mut places = BTreeSet::new();
    for entry in entries {
        let place = match target.row().format {
            BinaryFormat::Elf => entry.path.clone(),
            BinaryFormat::Pe => entry.path.to_lowercase(),
        };
        if !places.insert(place) {
            let message = format!("two files would be `{}` in the archive for {target}", entry.path);
            return Err(Error::new(ErrorKind::BadBundle, message)
                .with_hint("give one of them another `to` under package.files in release.toml"));
        }
    }
    Ok(())
}
