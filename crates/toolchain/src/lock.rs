//! `docker/toolchain.lock`: what every builder is made of.
//!
//! The file is written whole by [`Lock::render`], comments included, so that an update changes only what changed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use artifact::Digest;
use serde::{Deserialize, Serialize};

use crate::error::Faults as _;
use crate::zig::ZigLock;
use crate::{Error, ErrorKind};

/// The version of the file's form that this program reads and writes.
const SCHEMA: u32 = 1;

/// The whole file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lock {
    schema: u32,
    /// The Rust toolchain.
    pub(crate) rust: RustLock,
    /// Base images by Debian suite.
    pub(crate) bases: BTreeMap<String, BaseLock>,
    /// Images by their folder's name.
    pub(crate) images: BTreeMap<String, ImageLock>,
    /// The embedded default.
    pub(crate) zig: ZigLock,
}

/// `[rust]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RustLock {
    /// `rustc -vV`, release.
    pub(crate) release: String,
    /// `rustc -vV`, commit-hash.
    pub(crate) commit: String,
}

/// `[bases.<suite>]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BaseLock {
    /// `SOURCE_DATE_EPOCH` for mmdebstrap, in seconds since 1970.
    pub(crate) epoch: u64,
    /// sha256 of mmdebstrap's tar file, which is the image's one layer.
    pub(crate) layer: Digest,
    /// sha256 of the image's configuration: the image ID that engines show.
    pub(crate) image: Digest,
    /// Where the same base is in the team's registry (`host/name@sha256:…`), if it is anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reference: Option<String>,
}

/// `[images.<name>]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImageLock {
    /// The suite of its base.
    pub(crate) base: String,
    /// The compiler driver for its targets, asked for its version once the image is made.
    pub(crate) compiler: String,
    /// Digest over the files of the image's folder and its base.
    pub(crate) recipe: Digest,
    /// What the Dockerfile installs by name, `package=version`, in its order.
    pub(crate) packages: Vec<String>,
    /// Digest of `packages.txt`: every package in the image.
    pub(crate) closure: Digest,
}

impl Lock {
    /// Reads and checks the file.
    pub(crate) fn read(path: &Path) -> Result<Lock, Error> {
        let text = fs::read_to_string(path).map_err(|cause| Error::io(path, cause))?;
        Lock::of_text(&text, path)
    }

    /// Checks the text of the file at `path`.
    pub(crate) fn of_text(text: &str, path: &Path) -> Result<Lock, Error> {
        Lock::parse(text).map_err(|why| {
            Error::new(ErrorKind::LockInvalid, format!("{}: {why}", path.display())).with_hint(
                "restore the committed file, or run `cargo xtask toolchain image --bootstrap --update`",
            )
        })
    }

    fn parse(text: &str) -> Result<Lock, String> {
        let lock: Lock = toml::from_str(text).map_err(|error| error.to_string())?;
        if lock.schema != SCHEMA {
            return Err(format!("schema {} is not {SCHEMA}, the one this program knows", lock.schema));
        }
        match lock.images.iter().find(|(_, image)| !lock.bases.contains_key(&image.base)) {
            Some((name, image)) => Err(format!("images.{name}: there is no base `{}`", image.base)),
            None => Ok(lock),
        }
    }

    /// The image's row.
    pub(crate) fn image(&self, name: &str) -> Result<&ImageLock, Error> {
        self.images.get(name).ok_or_else(|| {
            Error::new(ErrorKind::LockInvalid, format!("docker/toolchain.lock has no row [images.{name}]"))
                .with_hint("add it with the same keys as the others, then pass `--update`")
        })
    }

    /// The base of an image of this lock.
    pub(crate) fn base_of(&self, image: &ImageLock) -> &BaseLock {
        self.bases.get(&image.base).expect("every image's base is there, see parse")
    }

    /// `release (commit)`, as a toolchain's identity says it.
    pub(crate) fn rust_identity(&self) -> String {
        format!("{} ({})", self.rust.release, self.rust.commit)
    }

    /// SHA-256 of the file's canonical text, comments included: they change with the form alone.
    pub(crate) fn id(&self) -> Digest {
        Digest::of(self.render().as_bytes())
    }

    /// The file's text.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        self.write(&mut text).expect("writing to a String cannot fail");
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        out.push_str(HEAD);
        writeln!(out, "schema = {SCHEMA}\n\n{RUST}[rust]")?;
        writeln!(out, "release = {:?}\ncommit = {:?}\n\n{BASES}", self.rust.release, self.rust.commit)?;
        for (suite, base) in &self.bases {
            writeln!(out, "[bases.{suite}]\nepoch = {}", base.epoch)?;
            writeln!(out, "layer = \"{}\"\nimage = \"{}\"", base.layer, base.image)?;
            if let Some(reference) = &base.reference {
                writeln!(out, "reference = {reference:?}")?;
            }
            out.push('\n');
        }
        out.push_str(IMAGES);
        for (name, image) in &self.images {
            writeln!(out, "\n[images.{name}]\nbase = {:?}\ncompiler = {:?}", image.base, image.compiler)?;
            writeln!(out, "recipe = \"{}\"\npackages = [", image.recipe)?;
            image.packages.iter().try_for_each(|package| writeln!(out, "  {package:?},"))?;
            writeln!(out, "]\nclosure = \"{}\"", image.closure)?;
        }
        writeln!(out, "\n{ZIG}[zig]\nversion = {:?}", self.zig.version)?;
        for wheel in &self.zig.wheels {
            writeln!(out, "\n[[zig.wheels]]\nhost = {:?}\nfile = {:?}", wheel.host, wheel.file)?;
            writeln!(out, "sha256 = \"{}\"", wheel.sha256)?;
        }
        Ok(())
    }
}

const HEAD: &str = "\
# What every builder is made of. A build whose parts differ from this file is refused.
#
# `cargo xtask toolchain image --bootstrap --update` writes the rows of bases and images anew, the versions in the
# Dockerfiles and each packages.txt with them. Read the difference before you commit it.
";
const RUST: &str = "# The toolchain of rust-toolchain.toml; containers mount it read-only.\n";
const BASES: &str = "\
# Bases: Debian's minimal system, only the suite itself (no updates or security suite), so that it moves with point
# releases alone. layer: sha256 of mmdebstrap's tar file, made with SOURCE_DATE_EPOCH = epoch. image: the image ID, which
# is the same in every engine. reference (optional): where the team's registry has it, host/name@sha256:….
";
const IMAGES: &str = "\
# Images. recipe: digest over the base and the image's folder, packages.txt excepted. packages: what its Dockerfile
# installs by name. closure: sha256 of packages.txt, which lists every package inside (dpkg-query, sorted).
";
const ZIG: &str =
    "# The embedded default: wheels of the Python package `ziglang`, checked before they are unpacked.\n";

#[cfg(test)]
mod tests {
    use super::*;

    fn committed() -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docker/toolchain.lock");
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn the_committed_file_is_what_would_be_written() {
        let text = committed();
        assert_eq!(Lock::parse(&text).unwrap().render(), text);
    }

    #[test]
    fn what_it_does_not_know_is_refused_by_name() {
        let text = committed();
        let unknown = Lock::parse(&text.replace("\ncompiler", "\ncompeller")).unwrap_err();
        assert!(unknown.contains("compeller"), "{unknown}");
        let newer = Lock::parse(&text.replace("schema = 1", "schema = 2")).unwrap_err();
        assert!(newer.contains("schema 2"), "{newer}");
        let baseless = Lock::parse(&text.replace("base = \"bullseye\"", "base = \"potato\"")).unwrap_err();
        assert!(baseless.contains("potato"), "{baseless}");
    }

    #[test]
    fn every_target_has_an_image() {
        let lock = Lock::parse(&committed()).unwrap();
        for target in artifact::Target::all() {
            assert!(lock.image(target.row().image).is_ok(), "{target}");
        }
    }
}
