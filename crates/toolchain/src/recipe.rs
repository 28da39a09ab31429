//! One folder of `docker/`: what a person asks an image to be. `docker/toolchain.lock` says what came of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use artifact::Digest;
use serde::Deserialize;

use crate::error::Faults as _;
use crate::{Error, ErrorKind};

/// The description in an image's folder.
const DESCRIPTION: &str = "image.toml";
/// The script that is run inside at last, where there is one.
pub(crate) const SETUP: &str = "setup";
/// How images are made of packages, as far as it shows in them: another way would need another number.
const METHOD: &str = "mmdebstrap from a pool, 1";

/// `image.toml`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Description {
    /// The Debian suite whose packages it is made of.
    pub(crate) suite: String,
    /// `SOURCE_DATE_EPOCH`, in seconds since 1970.
    pub(crate) epoch: u64,
    /// The packages that are asked for by name; the lock has all that they bring along.
    pub(crate) packages: Vec<String>,
    /// Programs that make programs, by what they are for.
    pub(crate) tools: Tools,
    /// Files of the folder and their places in the image.
    #[serde(default)]
    files: BTreeMap<String, String>,
}

/// `[tools]`: names on PATH. The linker is the one that the compiler starts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tools {
    /// The compiler driver for the image's targets.
    pub(crate) compiler: String,
    /// What makes import libraries of Windows.
    pub(crate) dlltool: Option<String>,
}

/// The folder, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recipe {
    /// What is asked for.
    pub(crate) description: Description,
    /// Every file of the folder by its name.
    files: BTreeMap<String, Vec<u8>>,
}

impl Recipe {
    /// Reads `folder`.
    pub(crate) fn read(folder: &Path) -> Result<Recipe, Error> {
        let failed = |cause| Error::io(folder, cause);
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            files.insert(name, fs::read(&path).map_err(|cause| Error::io(&path, cause))?);
        }
        let path = folder.join(DESCRIPTION);
        let refused = |why: String| Error::new(ErrorKind::LockInvalid, format!("{}: {why}", path.display()));
        let text = files.get(DESCRIPTION).ok_or_else(|| refused("there is no such file".to_owned()))?;
        let text = String::from_utf8_lossy(text);
        let description: Description = toml::from_str(&text).map_err(|error| refused(error.to_string()))?;
        let recipe = Recipe { description, files };
        recipe.check().map_err(refused)?;
        Ok(recipe)
    }

    /// What goes to mmdebstrap, apt and a shell must be what it looks like.
    fn check(&self) -> Result<(), String> {
        let Description { suite, packages, tools, files, .. } = &self.description;
        let names = packages.iter().chain([suite, &tools.compiler]).chain(&tools.dlltool);
        if let Some(name) = names.into_iter().find(|name| !is_name(name)) {
            return Err(format!("`{name}` is no name of a suite, package or program"));
        }
        if let Some(file) = files.keys().find(|file| !self.files.contains_key(*file)) {
            return Err(format!("[files] names `{file}`, which is not beside it"));
        }
        match files.values().find(|place| !is_place(place)) {
            Some(place) => Err(format!("[files]: `{place}` is no absolute path")),
            None => Ok(()),
        }
    }

    /// Digest over how images are made, and every file's name and bytes.
    pub(crate) fn digest(&self) -> Digest {
        let mut text = format!("{METHOD}\n");
        for (name, bytes) in &self.files {
            text.push_str(&format!("{} {name}\n", Digest::of(bytes)));
        }
        Digest::of(text.as_bytes())
    }

    /// The files that go into the image: their places and bytes.
    pub(crate) fn placed(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.description.files.iter().map(|(name, place)| (place.as_str(), self.files[name].as_slice()))
    }

    /// The script that is run inside at last.
    pub(crate) fn setup(&self) -> Option<&[u8]> {
        self.files.get(SETUP).map(Vec::as_slice)
    }
}

/// A name of Debian's, or a program's: nothing that a shell or apt takes for more.
fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "+-._".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(plain)
}

/// An absolute path without anything that leads elsewhere.
fn is_place(text: &str) -> bool {
    text.strip_prefix('/').is_some_and(|rest| {
        rest.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
            && rest.chars().all(|c| c.is_ascii_alphanumeric() || "/+-._".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "suite = \"trixie\"\nepoch = 1\npackages = [\"gcc\"]\n[tools]\ncompiler = \"gcc\"\n\
                        [files]\nhelper = \"/usr/local/bin/helper\"\n";

    fn folder(description: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(DESCRIPTION), description).unwrap();
        fs::write(folder.path().join("helper"), "#!/bin/sh\n").unwrap();
        folder
    }

    #[test]
    fn every_byte_of_the_folder_is_in_its_digest() {
        let folder = folder(GOOD);
        let digest = || Recipe::read(folder.path()).unwrap().digest();
        let first = digest();
        assert_eq!(digest(), first);
        fs::write(folder.path().join("helper"), "#!/bin/sh\ntrue\n").unwrap();
        let second = digest();
        assert_ne!(second, first);
        fs::write(folder.path().join(SETUP), "true").unwrap();
        assert_ne!(digest(), second);
        let recipe = Recipe::read(folder.path()).unwrap();
        assert_eq!(recipe.setup(), Some(b"true".as_slice()));
        let placed: Vec<_> = recipe.placed().collect();
        assert_eq!(placed, [("/usr/local/bin/helper", b"#!/bin/sh\ntrue\n".as_slice())]);
    }

    #[test]
    fn what_is_not_meant_is_refused_by_name() {
        for (from, to, told) in [
            ("epoch", "epoche", "epoche"),
            ("\"gcc\"]", "\"gcc; rm\"]", "`gcc; rm`"),
            ("\"gcc\"]", "\"--no\"]", "`--no`"),
            ("\"trixie\"", "\"../x\"", "`../x`"),
            ("helper =", "nowhere =", "`nowhere`"),
            ("/usr/local/bin", "/usr/../..", "`/usr/../../helper`"),
            ("\"/usr", "\"usr", "`usr/local/bin/helper`"),
        ] {
            let changed = GOOD.replacen(from, to, 1);
            assert_ne!(changed, GOOD);
            let error = Recipe::read(folder(&changed).path()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::LockInvalid);
            assert!(error.to_string().contains(told), "`{told}` is not in: {error}");
        }
    }
}
