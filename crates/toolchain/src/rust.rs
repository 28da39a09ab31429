//! The Rust toolchain that is in force in the workspace: who it is, and what it can build for.

use std::fs;
use std::path::{Path, PathBuf};

use artifact::{Digest, Event, Events, Target};

use crate::command::Program;
use crate::error::Faults as _;
use crate::image::VerifiedTool;
use crate::lock::{Component, Lock};
use crate::turn::take_turn;
use crate::{Context, Error, ErrorKind};

/// A Rust toolchain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rust {
    /// Its folder (`rustc --print sysroot`), without links.
    pub(crate) sysroot: PathBuf,
    /// `rustc -vV`, release, such as `1.95.0`.
    pub(crate) release: String,
    /// `rustc -vV`, commit-hash.
    pub(crate) commit: String,
    /// Both, such as `1.95.0 (59807616e…)`.
    pub(crate) identity: String,
}

/// The machines that the tools run on, by the triple of their Rust.
const HOSTS: &[&str] = &["aarch64-unknown-linux-gnu", "x86_64-unknown-linux-gnu"];
/// The linker of static programs, as an identity says it.
pub(crate) const RUST_LLD: &str = "rust-lld of the Rust toolchain";
/// What of Rust runs in a build.
const PROGRAMS: &[&str] = &["cargo", "rustc"];
/// What of Rust is linked into programs.
const LIBRARIES: &str = "rust-std";
/// rustup's copy of the release's channel manifest.
const MANIFEST: &str = "lib/rustlib/multirust-channel-manifest.toml";

impl Rust {
    /// The toolchain that `rust-toolchain.toml` of the workspace selects.
    pub(crate) fn of(workspace_root: &Path) -> Result<Rust, Error> {
        let rustc = Program::new("rustc").folder(workspace_root);
        let printed = rustc.clone().args(["--print", "sysroot"]).read(ErrorKind::MissingTool)?;
        let sysroot = Path::new(&printed);
        let sysroot = fs::canonicalize(sysroot).map_err(|cause| Error::io(sysroot, cause))?;
        let told = rustc.args(["--version", "--verbose"]).read(ErrorKind::MissingTool)?;
        let (release, commit) = identity(&told).ok_or_else(|| {
            Error::new(
                ErrorKind::MissingTool,
                format!("`rustc -vV` does not say its release and commit: {told}"),
            )
        })?;
        Ok(Rust { sysroot, identity: format!("{release} ({commit})"), release, commit })
    }

    /// The components that builds use, for every machine the tools run on and every target, by rustup's channel manifest.
    pub(crate) fn components(&self) -> Result<Vec<Component>, Error> {
        let manifest = self.manifest()?;
        let programs = PROGRAMS.iter().flat_map(|name| HOSTS.iter().map(move |host| (*name, *host)));
        let mut triples: Vec<_> =
            Target::all().map(|target| target.triple()).chain(HOSTS.iter().copied()).collect();
        triples.sort_unstable();
        triples.dedup();
        let libraries = triples.into_iter().map(|triple| (LIBRARIES, triple));
        let mut components = Vec::new();
        for (name, target) in programs.chain(libraries) {
            let sha256 = archive_digest(&manifest, name, target).ok_or_else(|| {
                let message = format!("{} has no {name} for {target}", self.sysroot.join(MANIFEST).display());
                Error::new(ErrorKind::LockInvalid, message)
            })?;
            components.push(Component { name: name.to_owned(), target: target.to_owned(), sha256 });
        }
        components.sort();
        Ok(components)
    }

    /// Compares what is installed here and used for `target` with the lock; gives what was found alike.
    pub(crate) fn check(&self, lock: &Lock, target: Target) -> Result<Vec<VerifiedTool>, Error> {
        const HINT: &str = "let rust-toolchain.toml select the locked release, or run `cargo xtask toolchain lock --update` and review what changes";
        let locked = lock.rust_identity();
        if self.identity != locked {
            let message = format!("Rust here is {}, docker/toolchain.lock says {locked}", self.identity);
            return Err(Error::new(ErrorKind::LockInvalid, message).with_hint(HINT));
        }
        let manifest = self.manifest()?;
        let host =
            HOSTS.iter().find(|host| host.starts_with(std::env::consts::ARCH)).copied().unwrap_or_default();
        let used = [("cargo", host), ("rustc", host), (LIBRARIES, host), (LIBRARIES, target.triple())];
        let (mut rows, mut verified) = (Vec::new(), Vec::new());
        for (name, triple) in used {
            let locked = lock.rust.components.iter().find(|row| row.name == name && row.target == triple);
            let here = archive_digest(&manifest, name, triple);
            match (locked, here) {
                (Some(locked), Some(here)) if locked.sha256 == here => verified.push(VerifiedTool {
                    row: format!("rust.components.{name}.{triple}"),
                    version: self.release.clone(),
                    how: "archive's sha256 in rustup's channel manifest".to_owned(),
                }),
                (locked, here) => {
                    let told = |digest: Option<Digest>| {
                        digest.map_or("nothing".to_owned(), |digest| digest.to_string())
                    };
                    let locked = told(locked.map(|row| row.sha256));
                    rows.push(format!(
                        "  rust.components.{name}.{triple}: locked {locked}, here {}",
                        told(here)
                    ));
                }
            }
        }
        if rows.is_empty() {
            return Ok(verified);
        }
        let message = format!("Rust here is off docker/toolchain.lock:\n{}", rows.join("\n"));
        Err(Error::new(ErrorKind::LockInvalid, message).with_hint(HINT))
    }

    fn manifest(&self) -> Result<String, Error> {
        let path = self.sysroot.join(MANIFEST);
        fs::read_to_string(&path).map_err(|cause| {
            let message = format!("{}: {cause}; so nothing tells which Rust this is", path.display());
            Error::new(ErrorKind::LockInvalid, message)
                .with_hint("install Rust with rustup, or pass `--builder host`, which nothing locks")
                .with_source(cause)
        })
    }

    /// Whether the standard library for `target` is installed.
    pub(crate) fn builds_for(&self, target: Target) -> bool {
        let libraries = self.sysroot.join("lib/rustlib").join(target.triple()).join("lib");
        fs::read_dir(libraries).is_ok_and(|mut entries| entries.next().is_some())
    }

    /// Installs the standard library for `target` with rustup where it is not there.
    pub(crate) fn ensure_target(
        &self,
        context: &Context,
        target: Target,
        events: Events<'_>,
    ) -> Result<(), Error> {
        if self.builds_for(target) {
            return Ok(());
        }
        let triple = target.triple();
        if context.offline {
            let message =
                format!("the Rust standard library for {triple} is not installed, and the network is off");
            return Err(Error::new(ErrorKind::Offline, message)
                .with_hint(format!("run `rustup target add {triple}` with the network on")));
        }
        // Two rustups at once forget what one of them installed, and then refuse to install it again.
        let _turn = take_turn(&context.cache_dir.join("rustup"))?;
        if self.builds_for(target) {
            return Ok(());
        }
        let step = format!("add Rust target {triple}");
        events(Event::Started { step: step.clone() });
        let hint = "check the network, or install the Rust target by other means";
        let rustup = Program::new("rustup").args(["target", "add", triple]).folder(&context.workspace_root);
        let told = rustup.follow(ErrorKind::RustTargetMissing, &mut |line| {
            events(Event::Output { step: step.clone(), line: line.to_owned() });
        });
        told.map_err(|error| error.with_hint(hint))?;
        // rustup's word is not enough: it may have changed another toolchain than the one in force.
        if !self.builds_for(target) {
            let message =
                format!("`rustup target add {triple}` did not add it to {}", self.sysroot.display());
            return Err(Error::new(ErrorKind::RustTargetMissing, message).with_hint(hint));
        }
        events(Event::Finished { step, result: String::new() });
        Ok(())
    }
}

fn identity(told: &str) -> Option<(String, String)> {
    let field =
        |name: &str| told.lines().find_map(|line| line.strip_prefix(name)).map(|word| word.trim().to_owned());
    Some((field("release:")?, field("commit-hash:")?))
}

/// `xz_hash` of `[pkg.<name>.target.<target>]`. The manifest has 50,000 lines in rustup's own hand, so lines are looked for.
fn archive_digest(manifest: &str, name: &str, target: &str) -> Option<Digest> {
    let head = format!("[pkg.{name}.target.{target}]\n");
    let section = &manifest[manifest.find(&head)? + head.len()..];
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    lines.into_iter().find_map(|line| line.strip_prefix("xz_hash = \"")?.strip_suffix('"')?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR"))
    }

    #[test]
    fn this_workspace_has_a_toolchain_with_a_commit() {
        let rust = Rust::of(here()).unwrap();
        assert!(rust.release.starts_with("1."), "{}", rust.release);
        assert_eq!(rust.commit.len(), 40, "{}", rust.commit);
        assert!(rust.sysroot.join("bin/cargo").is_file());
    }

    #[test]
    fn another_archive_of_rust_is_refused_by_its_row() {
        let lock = here().join("../../docker/toolchain.lock");
        let lock = Lock::read(&lock).unwrap();
        let rust = Rust::of(here()).unwrap();
        for target in Target::all() {
            assert_eq!(rust.check(&lock, target).unwrap().len(), 4, "{target}");
        }
        let mut bent = lock.clone();
        bent.rust.components.retain(|row| row.name != "cargo");
        for row in &mut bent.rust.components {
            row.sha256 = Digest::of(b"another archive");
        }
        let told = rust.check(&bent, Target::X86_64Windows).unwrap_err().to_string();
        for row in ["rust.components.rust-std.x86_64-pc-windows-gnu: locked", "rust.components.cargo."] {
            assert!(told.contains(row), "`{row}` is not in: {told}");
        }
        let bare = Rust { sysroot: "/nowhere".into(), ..rust };
        assert!(
            bare.check(&lock, Target::X86_64Windows)
                .unwrap_err()
                .to_string()
                .contains("multirust-channel-manifest")
        );
    }

    #[test]
    fn a_section_of_the_manifest_ends_where_the_next_begins() {
        let digest = Digest::of(b"x");
        let manifest = format!(
            "[pkg.rustc.target.a]\navailable = false\n\n[pkg.rustc.target.b]\nhash = \"x\"\nxz_hash = \"{digest}\"\n"
        );
        assert_eq!(archive_digest(&manifest, "rustc", "b"), Some(digest));
        assert_eq!(archive_digest(&manifest, "rustc", "a"), None);
        assert_eq!(archive_digest(&manifest, "cargo", "b"), None);
    }

    #[test]
    fn a_missing_target_is_not_installed_offline() {
        let folder = tempfile::tempdir().unwrap();
        let bare = Rust {
            sysroot: folder.path().to_owned(),
            release: String::new(),
            commit: String::new(),
            identity: String::new(),
        };
        let ignore = &artifact::ignore_events;
        let context = Context {
            workspace_root: here().to_owned(),
            docker_dir: folder.path().to_owned(),
            lock_path: folder.path().join("toolchain.lock"),
            cache_dir: folder.path().join("cache"),
            offline: true,
            makes_images: false,
            locks_rust: true,
        };
        let error = bare.ensure_target(&context, Target::X86_64Windows, ignore).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Offline);
        assert!(error.hint().unwrap().contains("rustup target add x86_64-pc-windows-gnu"), "{error}");
    }

    #[test]
    fn an_identity_needs_release_and_commit() {
        let told = "rustc 1.2.3\nrelease: 1.2.3\ncommit-hash: abc\n";
        assert_eq!(identity(told).unwrap(), ("1.2.3".to_owned(), "abc".to_owned()));
        assert_eq!(identity("release: 1.2.3\n"), None);
    }
}
