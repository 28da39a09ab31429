//! zig, the embedded default: the wheel that the lock names, checked, unpacked into the cache.

use std::collections::BTreeMap;
use std::env::consts::{ARCH, OS};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use artifact::{BuilderKind, Digest, Event, Events, Launcher, Linkage, Target, Toolchain, ToolchainIdentity};
use serde::{Deserialize, Serialize};
use zip::ZipArchive;

use crate::command::Program;
use crate::error::Faults as _;
use crate::lock::Lock;
use crate::rust::{RUST_LLD, Rust};
use crate::turn::take_turn;
use crate::{Context, Error, ErrorKind, lock_for};

/// A wheel that unpacks to more than this many bytes is refused; zig 0.15.2 takes 370 million.
const UNPACKED_LIMIT: u64 = 2 << 30;

/// `[zig]` of docker/toolchain.lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ZigLock {
    /// The version of the `ziglang` package, which is zig's.
    pub(crate) version: String,
    /// One wheel for each system the tools run on.
    pub(crate) wheels: Vec<Wheel>,
}

/// One entry of `[[zig.wheels]]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wheel {
    /// The system it runs on, such as `x86_64-linux`.
    pub(crate) host: String,
    /// Its file name, as the package index has it.
    pub(crate) file: String,
    /// Its digest.
    pub(crate) sha256: Digest,
}

/// zig as the builder for `target`, downloaded on first use.
pub(crate) fn provision(
    target: Target,
    rust: &Rust,
    context: &Context,
    events: Events<'_>,
) -> Result<Toolchain, Error> {
    let lock = &lock_for(target, rust, context)?.zig;
    let wheel = lock.wheel_for(&format!("{ARCH}-{OS}"))?;
    let zig = installed(lock, wheel, &context.cache_dir, context.offline, events)?;
    let linker = match target.row().linkage {
        Linkage::StaticPie => RUST_LLD.to_owned(),
        Linkage::Dynamic => format!("zig {}", lock.version),
    };
    let parts = [("linker", linker), ("wheel", wheel.file.clone()), ("zig", lock.version.clone())];
    Ok(Toolchain {
        target,
        identity: ToolchainIdentity {
            builder: BuilderKind::Zig,
            rustc: rust.identity.clone(),
            lock: Some(wheel.sha256),
            parts: BTreeMap::from(parts.map(|(name, value)| (name.to_owned(), value))),
        },
        // zig carries it.
        linker: Some("LLD".to_owned()),
        launcher: Launcher::Zig { zig },
    })
}

/// Gets this machine's wheel, where it is not there.
pub(crate) fn fetch(context: &Context, events: Events<'_>) -> Result<(), Error> {
    let lock = &Lock::read(&context.lock_path)?.zig;
    let wheel = lock.wheel_for(&format!("{ARCH}-{OS}"))?;
    installed(lock, wheel, &context.cache_dir, context.offline, events).map(drop)
}

/// Where the program is once it is installed; there only if it is whole, since its folder appears by one rename.
pub(crate) fn program(wheel: &Wheel, cache_dir: &Path) -> PathBuf {
    cache_dir.join("zig").join(wheel.sha256.to_string()).join("ziglang/zig")
}

impl ZigLock {
    /// The wheel that runs on `host`.
    pub(crate) fn wheel_for(&self, host: &str) -> Result<&Wheel, Error> {
        self.wheels.iter().find(|wheel| wheel.host == host).ok_or_else(|| {
            Error::new(ErrorKind::LockInvalid, format!("docker/toolchain.lock has no zig wheel for {host}"))
                .with_hint("add it under [[zig.wheels]], or pass `--builder docker` or `--builder host`")
        })
    }
}

/// The program of `wheel`, provisioned by one process at a time.
fn installed(
    lock: &ZigLock,
    wheel: &Wheel,
    cache_dir: &Path,
    offline: bool,
    events: Events<'_>,
) -> Result<PathBuf, Error> {
    let zig = program(wheel, cache_dir);
    if zig.is_file() {
        return Ok(zig);
    }
    if offline {
        let message = format!(
            "zig {} is not in the cache {}, and the network is off",
            lock.version,
            cache_dir.display()
        );
        return Err(
            Error::new(ErrorKind::Offline, message).with_hint("run the same command once without --offline")
        );
    }
    let store = cache_dir.join("zig");
    let _only_one = take_turn(&store)?;
    if zig.is_file() {
        return Ok(zig);
    }
    let private = private_folder(&store)?;
    let file = download(lock, wheel, private.path(), events)?;
    install(lock, wheel, &file, private.path(), &store, events)?;
    Ok(zig)
}

/// A new folder beside the place; what a killed run left there goes away, as nobody else has the turn.
fn private_folder(store: &Path) -> Result<tempfile::TempDir, Error> {
    const PREFIX: &str = "private-";
    let failed = |cause| Error::io(store, cause);
    for entry in fs::read_dir(store).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            fs::remove_dir_all(entry.path()).map_err(failed)?;
        }
    }
    tempfile::Builder::new().prefix(PREFIX).tempdir_in(store).map_err(failed)
}

/// The wheel's file, as pip gets it: from where the user's own settings of pip say.
fn download(lock: &ZigLock, wheel: &Wheel, folder: &Path, events: Events<'_>) -> Result<PathBuf, Error> {
    let step = format!("download zig {}", lock.version);
    events(Event::Started { step: step.clone() });
    let package = format!("ziglang=={}", lock.version);
    let pip = Program::new("python3")
        .args([
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--only-binary=:all:",
            "--progress-bar=off",
            "--dest",
            ".",
        ])
        .arg(package)
        .folder(folder);
    let told = pip.follow(ErrorKind::DownloadFailed, &mut |line| {
        events(Event::Output { step: step.clone(), line: line.to_owned() });
    });
    told.map_err(|error| {
        let without_pip =
            error.kind() == ErrorKind::MissingTool || error.to_string().contains("No module named pip");
        error.with_hint(if without_pip {
            "apt-get install python3-pip"
        } else {
            "check the network and pip's settings, or pass `--builder docker` or `--builder host`"
        })
    })?;
    let file = folder.join(&wheel.file);
    if !file.is_file() {
        let message =
            format!("pip brought another file than {}, which docker/toolchain.lock names", wheel.file);
        return Err(Error::new(ErrorKind::LockInvalid, message)
            .with_hint("correct [[zig.wheels]] in docker/toolchain.lock"));
    }
    events(Event::Finished { step, result: String::new() });
    Ok(file)
}

/// Checks `file` against the lock, unpacks it in `private` and puts it into `store` by one rename.
fn install(
    lock: &ZigLock,
    wheel: &Wheel,
    file: &Path,
    private: &Path,
    store: &Path,
    events: Events<'_>,
) -> Result<(), Error> {
    let (found, _) = Digest::of_file(file).map_err(|cause| Error::io(file, cause))?;
    if found != wheel.sha256 {
        let message = format!(
            "{} is not the wheel of docker/toolchain.lock: its sha256 is {found}, the lock says {}",
            wheel.file, wheel.sha256
        );
        return Err(Error::new(ErrorKind::DigestMismatch, message)
            .with_hint("do not use it; find out who changed it before you change the lock"));
    }
    let step = format!("unpack zig {}", lock.version);
    events(Event::Started { step: step.clone() });
    let unpacked = private.join("unpacked");
    unpack(file, &unpacked, &step, events)?;
    let zig = unpacked.join("ziglang/zig");
    fs::set_permissions(&zig, fs::Permissions::from_mode(0o755)).map_err(|cause| Error::io(&zig, cause))?;
    check_version(lock, &zig)?;
    let place = store.join(wheel.sha256.to_string());
    fs::rename(&unpacked, &place).map_err(|cause| Error::io(&place, cause))?;
    events(Event::Finished { step, result: place.display().to_string() });
    Ok(())
}

/// Unpacks the regular files of a wheel (a zip archive); no path of it leaves `folder`.
fn unpack(file: &Path, folder: &Path, step: &str, events: Events<'_>) -> Result<(), Error> {
    let refused = |what: String| Error::new(ErrorKind::LockInvalid, format!("{}: {what}", file.display()));
    let opened = File::open(file).map_err(|cause| Error::io(file, cause))?;
    let mut archive = ZipArchive::new(io::BufReader::new(opened))
        .map_err(|cause| refused("this wheel is not a zip archive".to_owned()).with_source(cause))?;
    let total = archive.len() as u64;
    let mut room = UNPACKED_LIMIT;
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(|cause| refused(format!("entry {index}: {cause}")))?;
        let Some(inside) = entry.enclosed_name().filter(|_| !entry.is_symlink()) else {
            let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
            return Err(refused(format!("its entry `{name}` would leave the folder")));
        };
        let path = folder.join(inside);
        if entry.is_dir() {
            fs::create_dir_all(&path).map_err(|cause| Error::io(&path, cause))?;
        } else {
            let mut bounded = entry.take(room + 1);
            let written = write_file(&path, &mut bounded).map_err(|cause| Error::io(&path, cause))?;
            room = room
                .checked_sub(written)
                .ok_or_else(|| refused("it unpacks to too many bytes".to_owned()))?;
        }
        if index % 512 == 0 {
            events(Event::Advanced { step: step.to_owned(), done: index as u64, total });
        }
    }
    Ok(())
}

fn write_file(path: &Path, from: &mut impl Read) -> io::Result<u64> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    io::copy(from, &mut File::create_new(path)?)
}

/// The program must be what the lock calls it.
fn check_version(lock: &ZigLock, zig: &Path) -> Result<(), Error> {
    let told = Program::new(zig.to_string_lossy()).arg("version").read(ErrorKind::LockInvalid)?;
    if told == lock.version {
        return Ok(());
    }
    let message = format!("the wheel of zig {} holds zig {told}", lock.version);
    Err(Error::new(ErrorKind::LockInvalid, message).with_hint("correct [zig] in docker/toolchain.lock"))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use artifact::ignore_events;
    use zip::write::{SimpleFileOptions, ZipWriter};

    use super::*;

    const FILE: &str = "ziglang-1.2.3-py3-none-any.whl";

    /// A wheel with these entries in `folder`, and a lock that fits it.
    fn wheel(folder: &Path, entries: &[(&str, &str)]) -> ZigLock {
        let path = folder.join(FILE);
        let mut archive = ZipWriter::new(File::create(&path).unwrap());
        for (name, text) in entries {
            archive.start_file(*name, SimpleFileOptions::default()).unwrap();
            archive.write_all(text.as_bytes()).unwrap();
        }
        archive.finish().unwrap();
        let (sha256, _) = Digest::of_file(&path).unwrap();
        let wheels = vec![Wheel { host: "x86_64-linux".to_owned(), file: FILE.to_owned(), sha256 }];
        ZigLock { version: "1.2.3".to_owned(), wheels }
    }

    const ZIG: (&str, &str) = ("ziglang/zig", "#!/bin/sh\necho 1.2.3\n");

    /// Installs the wheel of `lock` from `folder` into a store below it.
    fn install_from(folder: &Path, lock: &ZigLock) -> Result<PathBuf, Error> {
        let store = folder.join("zig");
        fs::create_dir_all(&store).unwrap();
        let private = private_folder(&store)?;
        let wheel = lock.wheel_for("x86_64-linux")?;
        install(lock, wheel, &folder.join(FILE), private.path(), &store, &ignore_events)?;
        Ok(program(wheel, folder))
    }

    #[test]
    fn a_wheel_on_its_lock_becomes_a_program() {
        let folder = tempfile::tempdir().unwrap();
        let lock = wheel(folder.path(), &[ZIG, ("ziglang/lib/file", "text")]);
        let zig = install_from(folder.path(), &lock).unwrap();
        assert_eq!(Program::new(zig.to_string_lossy()).read(ErrorKind::Io).unwrap(), "1.2.3");
        assert_eq!(fs::read(zig.with_file_name("lib").join("file")).unwrap(), b"text");
        let left: Vec<_> = fs::read_dir(folder.path().join("zig")).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[test]
    fn a_flipped_byte_is_refused_with_both_digests_and_nothing_is_installed() {
        let folder = tempfile::tempdir().unwrap();
        let lock = wheel(folder.path(), &[ZIG]);
        let path = folder.path().join(FILE);
        let mut bytes = fs::read(&path).unwrap();
        bytes[40] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let error = install_from(folder.path(), &lock).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DigestMismatch);
        let message = error.to_string();
        assert!(message.contains(&lock.wheels[0].sha256.to_string()), "{message}");
        assert!(message.contains(&Digest::of(&bytes).to_string()), "{message}");
        assert_eq!(fs::read_dir(folder.path().join("zig")).unwrap().count(), 0);
    }

    #[test]
    fn entries_that_leave_the_folder_are_refused() {
        for name in ["../outside", "ziglang/../../outside"] {
            let folder = tempfile::tempdir().unwrap();
            let lock = wheel(folder.path(), &[ZIG, (name, "text")]);
            let refused = install_from(folder.path(), &lock);
            assert!(refused.is_err_and(|error| error.kind() == ErrorKind::LockInvalid), "{name}");
            assert!(!folder.path().join("outside").exists());
        }
    }

    #[test]
    fn another_version_than_the_locked_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let lock = wheel(folder.path(), &[("ziglang/zig", "#!/bin/sh\necho 1.2.4\n")]);
        let error = install_from(folder.path(), &lock).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LockInvalid);
        assert!(error.to_string().contains("1.2.4"), "{error}");
    }

    #[test]
    fn without_network_and_cache_there_is_no_zig() {
        let folder = tempfile::tempdir().unwrap();
        let lock = wheel(folder.path(), &[ZIG]);
        let error = installed(&lock, &lock.wheels[0], folder.path(), true, &ignore_events).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Offline);
        install_from(folder.path(), &lock).unwrap();
        assert!(installed(&lock, &lock.wheels[0], folder.path(), true, &ignore_events).is_ok());
    }

    #[test]
    fn what_a_killed_run_left_goes_away() {
        let folder = tempfile::tempdir().unwrap();
        let left = folder.path().join("private-left");
        fs::create_dir(&left).unwrap();
        let private = private_folder(folder.path()).unwrap();
        assert!(!left.exists() && private.path().exists());
    }

    #[test]
    fn a_system_without_wheel_is_told_what_else_there_is() {
        let folder = tempfile::tempdir().unwrap();
        let error = wheel(folder.path(), &[ZIG]).wheel_for("riscv64-plan9").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LockInvalid);
        assert!(error.to_string().contains("riscv64-plan9"));
    }
}
