//! The Rust toolchain that is in force in the workspace: who it is, and what it can build for.

use std::fs;
use std::path::{Path, PathBuf};

use artifact::{Event, Events, Target};

use crate::command::Program;
use crate::error::Faults as _;
use crate::turn::take_turn;
use crate::{Context, Error, ErrorKind};

/// A Rust toolchain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rust {
    /// Its folder (`rustc --print sysroot`), without links.
    pub(crate) sysroot: PathBuf,
    /// Release and commit, such as `1.95.0 (59807616e…)`, from `rustc -vV`.
    pub(crate) identity: String,
}

impl Rust {
    /// The toolchain that `rust-toolchain.toml` of the workspace selects.
    pub(crate) fn of(workspace_root: &Path) -> Result<Rust, Error> {
        let rustc = Program::new("rustc").folder(workspace_root);
        let printed = rustc.clone().args(["--print", "sysroot"]).read(ErrorKind::MissingTool)?;
        let sysroot = Path::new(&printed);
        let sysroot = fs::canonicalize(sysroot).map_err(|cause| Error::io(sysroot, cause))?;
        let told = rustc.args(["--version", "--verbose"]).read(ErrorKind::MissingTool)?;
        let identity = identity(&told).ok_or_else(|| {
            Error::new(
                ErrorKind::MissingTool,
                format!("`rustc -vV` does not say its release and commit: {told}"),
            )
        })?;
        Ok(Rust { sysroot, identity })
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

fn identity(told: &str) -> Option<String> {
    let field = |name: &str| told.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    Some(format!("{} ({})", field("release:")?, field("commit-hash:")?))
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
        let (release, commit) = rust.identity.split_once(' ').unwrap();
        assert!(release.starts_with("1."), "{release}");
        assert_eq!(commit.len(), 42, "{commit}");
        assert!(rust.sysroot.join("bin/cargo").is_file());
    }

    #[test]
    fn a_missing_target_is_not_installed_offline() {
        let folder = tempfile::tempdir().unwrap();
        let bare = Rust { sysroot: folder.path().to_owned(), identity: String::new() };
        let ignore = &artifact::ignore_events;
        let context = Context {
            workspace_root: here().to_owned(),
            docker_dir: folder.path().to_owned(),
            lock_path: folder.path().join("toolchain.lock"),
            cache_dir: folder.path().join("cache"),
            offline: true,
            bootstrap_images: false,
        };
        let error = bare.ensure_target(&context, Target::X86_64Windows, ignore).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Offline);
        assert!(error.hint().unwrap().contains("rustup target add x86_64-pc-windows-gnu"), "{error}");
    }

    #[test]
    fn an_identity_needs_release_and_commit() {
        let told = "rustc 1.2.3\nrelease: 1.2.3\ncommit-hash: abc\n";
        assert_eq!(identity(told).unwrap(), "1.2.3 (abc)");
        assert_eq!(identity("release: 1.2.3\n"), None);
    }
}
