//! `docker/toolchain.lock`: what every builder is made of.
//!
//! The file is written whole by [`Lock::render`], comments included, so that an update changes only what changed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use artifact::{Digest, contract};
use serde::{Deserialize, Serialize};

use crate::error::Faults as _;
use crate::zig::ZigLock;
use crate::{Error, ErrorKind};

/// The version of the file's form that this program reads and writes.
const SCHEMA: u32 = 2;

/// The whole file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lock {
    schema: u32,
    /// The Rust toolchain.
    pub(crate) rust: RustLock,
    /// What a build finds in its environment.
    pub(crate) environment: EnvironmentLock,
    /// SHA-256 of the scripts that stand in front of tools.
    pub(crate) shims: BTreeMap<String, Digest>,
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
    /// What rustup installs.
    pub(crate) components: Vec<Component>,
}

/// One entry of `rust.components`: an archive of the release's channel manifest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Component {
    /// `rustc`, `cargo` or `rust-std`.
    pub(crate) name: String,
    /// The triple of the machine it runs on, or is linked into programs for.
    pub(crate) target: String,
    /// Its digest (`xz_hash` of the channel manifest).
    pub(crate) sha256: Digest,
}

/// `[environment]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EnvironmentLock {
    /// Variables that always have these values.
    pub(crate) fixed: BTreeMap<String, String>,
    /// Variables whose values follow from what is built; `<triple>` stands for the target triple.
    pub(crate) computed: Vec<String>,
}

/// `[images.<name>]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImageLock {
    /// Digest over the files of the image's folder.
    pub(crate) recipe: Digest,
    /// Digest over `recipe` and `packages`: what the image below was made of.
    pub(crate) inputs: Digest,
    /// sha256 of its one layer, a tar file.
    pub(crate) layer: Digest,
    /// sha256 of its configuration: the image ID, the same in every engine.
    pub(crate) image: Digest,
    /// Where the same image is in the team's registry (`host/name@sha256:…`), if it is anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reference: Option<String>,
    /// What in it makes programs, by what it is for.
    pub(crate) tools: BTreeMap<String, ToolLock>,
    /// Every Debian package in it, by name.
    pub(crate) packages: Vec<Package>,
}

/// One program in an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToolLock {
    /// Its file, without links.
    pub(crate) path: String,
    /// The first line of `--version`.
    pub(crate) version: String,
    /// The file's digest.
    pub(crate) sha256: Digest,
}

/// One Debian package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Package {
    /// Its name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// `amd64` or `all`.
    pub(crate) architecture: String,
    /// The `.deb` file's digest.
    pub(crate) sha256: Digest,
    /// The `.deb` file's size in bytes.
    pub(crate) size: u64,
    /// The `.deb` file below a mirror.
    pub(crate) path: String,
}

impl Package {
    /// `name=version:architecture`, as dpkg-query can print it.
    pub(crate) fn identity(&self) -> String {
        format!("{}={}:{}", self.name, self.version, self.architecture)
    }
}

impl ImageLock {
    /// What `inputs` must be.
    pub(crate) fn inputs(recipe: Digest, packages: &[Package]) -> Digest {
        let mut text = format!("recipe {recipe}\n");
        for package in packages {
            text.push_str(&format!("{} {}\n", package.sha256, package.identity()));
        }
        Digest::of(text.as_bytes())
    }

    /// What is wrong with the package rows of the image called `name`, if anything is.
    fn wrong_package(&self, name: &str) -> Option<String> {
        let words = self.packages.iter().flat_map(|row| [&row.name, &row.version, &row.architecture]);
        if let Some(word) = words.into_iter().find(|word| !is_plain(word)) {
            return Some(format!(
                "images.{name}: `{word}` is no name, version or architecture of a Debian package"
            ));
        }
        let unsorted = self.packages.windows(2).find(|pair| pair[0].name >= pair[1].name)?;
        Some(format!("images.{name}: package `{}` is named twice or out of order", unsorted[1].name))
    }

    /// The image ID as engines write it.
    pub(crate) fn id(&self) -> String {
        format!("sha256:{}", self.image)
    }

    /// The version line of the tool for `role`, empty where none is locked.
    pub(crate) fn version(&self, role: &str) -> &str {
        self.tools.get(role).map_or("", |tool| tool.version.as_str())
    }
}

impl EnvironmentLock {
    /// What this program's builds find.
    pub(crate) fn built_in() -> EnvironmentLock {
        let fixed = contract::FIXED_VARIABLES.iter().map(|(name, value)| (*name, *value));
        EnvironmentLock {
            fixed: fixed.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            computed: contract::COMPUTED_VARIABLES.iter().map(|name| (*name).to_owned()).collect(),
        }
    }
}

/// What Debian's policy allows in names and versions: no path, and no option, can be made of it.
fn is_plain(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphanumeric())
        && word.chars().all(|c| c.is_ascii_alphanumeric() || "+-.:~_".contains(c))
}

/// The digests of this program's shims.
pub(crate) fn built_in_shims() -> BTreeMap<String, Digest> {
    let shims = contract::SHIMS.iter();
    shims.map(|(name, text)| ((*name).to_owned(), Digest::of(text.as_bytes()))).collect()
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
                "restore the committed file, or run `cargo xtask toolchain lock --update` and review what changes",
            )
        })
    }

    fn parse(text: &str) -> Result<Lock, String> {
        // Another form has other keys, which are not what is wrong with it.
        #[derive(Deserialize)]
        struct Form {
            schema: u32,
        }
        let Form { schema } = toml::from_str(text).map_err(|error| error.to_string())?;
        if schema != SCHEMA {
            let of = "use the Seaworthy of the same commit";
            return Err(format!("schema {schema} is not {SCHEMA}, the one this program knows; {of}"));
        }
        let lock: Lock = toml::from_str(text).map_err(|error| error.to_string())?;
        match lock.images.iter().find_map(|(name, image)| image.wrong_package(name)) {
            Some(why) => Err(why),
            None => Ok(lock),
        }
    }

    /// What a builder is surrounded by must be what this program does: its variables and its shims.
    pub(crate) fn check_contract(&self) -> Result<(), Error> {
        let built_in = EnvironmentLock::built_in();
        let differing = |kind: &str, here: &BTreeMap<String, String>, locked: &BTreeMap<String, String>| {
            let names = here.keys().chain(locked.keys().filter(|name| !here.contains_key(*name)));
            let rows = names.filter(|name| here.get(*name) != locked.get(*name)).map(|name| {
                let told =
                    |value: Option<&String>| value.map_or("nothing".to_owned(), |value| format!("`{value}`"));
                format!("  {kind}.{name}: locked {}, here {}", told(locked.get(name)), told(here.get(name)))
            });
            rows.collect::<Vec<_>>()
        };
        let digests = |shims: &BTreeMap<String, Digest>| {
            shims.iter().map(|(name, digest)| (name.clone(), digest.to_string())).collect()
        };
        let listed =
            |names: &[String]| names.iter().map(|name| (name.clone(), "computed".to_owned())).collect();
        let mut rows = differing("environment.fixed", &built_in.fixed, &self.environment.fixed);
        rows.extend(differing(
            "environment.computed",
            &listed(&built_in.computed),
            &listed(&self.environment.computed),
        ));
        rows.extend(differing("shims", &digests(&built_in_shims()), &digests(&self.shims)));
        if rows.is_empty() {
            return Ok(());
        }
        let message =
            format!("docker/toolchain.lock names other surroundings of a build:\n{}", rows.join("\n"));
        Err(Error::new(ErrorKind::LockInvalid, message).with_hint(
            "restore the committed file, or run `cargo xtask toolchain lock --update` and review what changes",
        ))
    }

    /// The image's row.
    pub(crate) fn image(&self, name: &str) -> Result<&ImageLock, Error> {
        self.images.get(name).ok_or_else(|| {
            Error::new(ErrorKind::LockInvalid, format!("docker/toolchain.lock has no row [images.{name}]"))
                .with_hint("run `cargo xtask toolchain lock --update`")
        })
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
        writeln!(out, "{HEAD}schema = {SCHEMA}\n\n{RUST}[rust]")?;
        writeln!(out, "release = {:?}\ncommit = {:?}\ncomponents = [", self.rust.release, self.rust.commit)?;
        for Component { name, target, sha256 } in &self.rust.components {
            writeln!(out, "  {{ name = {name:?}, target = {target:?}, sha256 = \"{sha256}\" }},")?;
        }
        writeln!(out, "]\n\n{ENVIRONMENT}[environment]\ncomputed = [")?;
        self.environment.computed.iter().try_for_each(|name| writeln!(out, "  {name:?},"))?;
        writeln!(out, "]\n\n[environment.fixed]")?;
        for (name, value) in &self.environment.fixed {
            writeln!(out, "{name} = {value:?}")?;
        }
        writeln!(out, "\n{SHIMS}[shims]")?;
        for (name, digest) in &self.shims {
            writeln!(out, "{name} = \"{digest}\"")?;
        }
        writeln!(out, "\n{ZIG}[zig]\nversion = {:?}", self.zig.version)?;
        for wheel in &self.zig.wheels {
            writeln!(out, "\n[[zig.wheels]]\nhost = {:?}\nfile = {:?}", wheel.host, wheel.file)?;
            writeln!(out, "sha256 = \"{}\"", wheel.sha256)?;
        }
        write!(out, "\n{IMAGES}")?;
        for (name, image) in &self.images {
            image.write(name, out)?;
        }
        Ok(())
    }
}

impl ImageLock {
    fn write(&self, name: &str, out: &mut String) -> std::fmt::Result {
        writeln!(out, "\n[images.{name}]\nrecipe = \"{}\"\ninputs = \"{}\"", self.recipe, self.inputs)?;
        writeln!(out, "layer = \"{}\"\nimage = \"{}\"", self.layer, self.image)?;
        if let Some(reference) = &self.reference {
            writeln!(out, "reference = {reference:?}")?;
        }
        writeln!(out, "packages = [")?;
        for Package { name, version, architecture, sha256, size, path } in &self.packages {
            writeln!(
                out,
                "  {{ name = {name:?}, version = {version:?}, architecture = {architecture:?}, sha256 = \"{sha256}\", \
                 size = {size}, path = {path:?} }},"
            )?;
        }
        writeln!(out, "]")?;
        for (role, tool) in &self.tools {
            writeln!(out, "\n[images.{name}.tools.{role}]\npath = {:?}", tool.path)?;
            writeln!(out, "version = {:?}\nsha256 = \"{}\"", tool.version, tool.sha256)?;
        }
        Ok(())
    }
}

const HEAD: &str = "\
# What every builder is made of. A build whose parts differ from this file is refused.
#
# `cargo xtask toolchain lock` says what Debian has newer, those rows first that can change programs; with `--update` it
# writes this file anew. Read the difference before you commit it. `cargo xtask toolchain id` is this file's SHA-256.
";
const RUST: &str = "\
# The toolchain of rust-toolchain.toml; containers mount it read-only. components: archives of the release's channel
# manifest (xz_hash), which rustup checked when it installed them.
";
const ENVIRONMENT: &str = "# All variables that a build has; none of the caller's is among them.\n";
const SHIMS: &str = "# Scripts in front of tools, SHA-256 (crates/artifact/src/shims).\n";
const ZIG: &str =
    "# The embedded default: wheels of the Python package `ziglang`, checked before they are unpacked.\n";
const IMAGES: &str = "\
# Images, made of Debian packages alone, with the network off, from the pool that `cargo xtask toolchain pool` fills.
# recipe: digest over the image's folder. inputs: digest over recipe and packages. layer: sha256 of the image's one layer.
# image: the image ID, which is the same in every engine. reference (optional): where the team's registry has it,
# host/name@sha256:…. packages: all that is inside. tools: what makes programs, as it is inside.
";

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
    fn the_committed_file_names_what_images_were_made_of() {
        for (name, image) in Lock::parse(&committed()).unwrap().images {
            assert_eq!(ImageLock::inputs(image.recipe, &image.packages), image.inputs, "{name}");
            assert!(image.packages.len() > 100, "{name}");
        }
    }

    #[test]
    fn what_it_does_not_know_is_refused_by_name() {
        let text = committed();
        let refused = |from: &str, to: &str| {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text, "{from}");
            Lock::of_text(&changed, Path::new("toolchain.lock")).unwrap_err().to_string()
        };
        assert!(refused("\nlayer", "\nlayers").contains("layers"));
        assert!(refused("architecture =", "arch =").contains("arch"));
        assert!(refused("schema = 2", "schema = 3").contains("schema 3"));
        let older = Lock::of_text("schema = 1\n[bases.trixie]\nepoch = 1\n", Path::new("toolchain.lock"));
        assert!(older.unwrap_err().to_string().contains("schema 1 is not 2"));
        assert!(refused("sha256 = \"", "sha256 = \"x").contains("sha256"));
        assert!(refused("name = \"apt\"", "name = \"zz\"").contains("out of order"));
        assert!(refused("name = \"apt\"", "name = \"../apt\"").contains("`../apt`"));
    }

    #[test]
    fn other_surroundings_are_refused_by_name() {
        let lock = Lock::parse(&committed()).unwrap();
        lock.check_contract().unwrap();
        let mut bent = lock.clone();
        bent.environment.fixed.insert("TZ".to_owned(), "CET".to_owned());
        bent.environment.computed.push("RUSTFLAGS".to_owned());
        bent.shims.insert("dlltool".to_owned(), Digest::of(b""));
        let told = bent.check_contract().unwrap_err().to_string();
        for row in [
            "environment.fixed.TZ: locked `CET`, here `UTC`",
            "environment.computed.RUSTFLAGS",
            "shims.dlltool",
        ] {
            assert!(told.contains(row), "`{row}` is not in: {told}");
        }
        assert_eq!(told.lines().count(), 4, "{told}");
    }
}
