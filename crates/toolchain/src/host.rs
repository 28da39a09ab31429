//! Cross compilers on PATH: recorded as unlocked, since nothing says which ones they should be.

use std::collections::BTreeMap;

use artifact::{BuilderKind, Launcher, Target, Toolchain, ToolchainIdentity};

use crate::command::Program;
use crate::rust::{RUST_LLD, Rust};
use crate::{Error, ErrorKind};

/// The compiler for `target` by its Debian name, if it is there.
pub(crate) fn provision(target: Target, rust: &Rust) -> Result<Toolchain, Error> {
    let (linker, version) = match driver(target) {
        Some((program, package)) => (Some(program), version(program, package)?),
        None => (None, RUST_LLD.to_owned()),
    };
    Ok(Toolchain {
        target,
        identity: ToolchainIdentity {
            builder: BuilderKind::Host,
            rustc: rust.identity.clone(),
            lock: None,
            parts: BTreeMap::from([("linker".to_owned(), version)]),
        },
        linker: None,
        launcher: Launcher::Host { linker: linker.map(str::to_owned) },
    })
}

/// The compiler driver that links for `target`, and the Debian package it is in; none where the Rust toolchain's own
/// linker and C library do.
fn driver(target: Target) -> Option<(&'static str, &'static str)> {
    match target {
        Target::Aarch64Linux => {
            Some(("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu libc6-dev-arm64-cross"))
        }
        Target::X86_64Linux => Some(("cc", "gcc libc6-dev")),
        Target::X86_64Windows => Some(("x86_64-w64-mingw32-gcc", "gcc-mingw-w64-x86-64")),
        Target::Aarch64LinuxMusl | Target::X86_64LinuxMusl => None,
    }
}

fn version(program: &str, package: &str) -> Result<String, Error> {
    let install = format!("apt-get install {package}, or pass `--builder zig`");
    let printed = Program::new(program).arg("--version").read(ErrorKind::MissingTool).map_err(|cause| {
        let message = format!("`{program}` is not on PATH or does not work");
        Error::new(ErrorKind::MissingTool, message).with_hint(&install).with_source(cause)
    })?;
    match printed.lines().next() {
        Some(line) if !line.trim().is_empty() => Ok(line.trim().to_owned()),
        _ => Err(Error::new(ErrorKind::MissingTool, format!("`{program} --version` prints nothing"))
            .with_hint(install)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_compiler_names_the_package() {
        let error = version("no-such-gcc", "gcc-of-that-name").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::MissingTool);
        assert!(error.hint().unwrap().contains("apt-get install gcc-of-that-name"));
    }

    #[test]
    fn every_target_says_what_links_it_and_nothing_is_locked() {
        let rust = Rust {
            sysroot: "/rust".into(),
            release: "1.2.3".to_owned(),
            commit: "abc".to_owned(),
            identity: "1.2.3 (abc)".to_owned(),
        };
        for target in Target::all() {
            let found = provision(target, &rust)
                .expect("apt-get install gcc gcc-aarch64-linux-gnu gcc-mingw-w64-x86-64");
            assert_eq!(found.identity.lock, None);
            assert!(!found.identity.parts["linker"].is_empty(), "{target}");
        }
    }
}
