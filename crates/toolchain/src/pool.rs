//! The pool: every `.deb` file that images are made of, on this machine. It is the archive, since Debian's mirrors keep no
//! version that another has replaced: copy it to keep it.

use std::fs;
use std::path::{Path, PathBuf};

use artifact::{Digest, Event, Events};

use crate::error::Faults as _;
use crate::lock::Package;
use crate::turn::take_turn;
use crate::{Context, Error, ErrorKind, debian};

/// How many files an error names before it only counts them.
const NAMED: usize = 20;

/// The folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pool {
    folder: PathBuf,
}

/// How a package stands in the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Good,
    Missing,
    /// There, with another content.
    Other(Digest),
}

impl Pool {
    /// The pool below the cache.
    pub(crate) fn of(context: &Context) -> Pool {
        Pool { folder: context.cache_dir.join("pool") }
    }

    /// The file of `package`: its name says what it is, and its digest which of that name.
    pub(crate) fn file(&self, package: &Package) -> PathBuf {
        let Package { name, version, architecture, sha256, .. } = package;
        let version = version.replace(':', "%3a");
        self.folder.join(format!("{name}_{version}_{architecture}.{}.deb", sha256.short()))
    }

    fn state(&self, package: &Package) -> Result<State, Error> {
        let path = self.file(package);
        match Digest::of_file(&path) {
            Ok((digest, _)) if digest == package.sha256 => Ok(State::Good),
            Ok((digest, _)) => Ok(State::Other(digest)),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(State::Missing),
            Err(cause) => Err(Error::io(&path, cause)),
        }
    }

    /// Sees that every file of `packages` is there and is what is locked, byte for byte; gets what is missing. A file with
    /// another content is refused, and with `mend` fetched again.
    pub(crate) fn fill(
        &self,
        packages: &[Package],
        mend: bool,
        offline: bool,
        events: Events<'_>,
    ) -> Result<(), Error> {
        let mut missing = Vec::new();
        for package in packages {
            match self.state(package)? {
                State::Good => {}
                State::Other(digest) if !mend || offline => return Err(self.changed(package, digest)),
                State::Missing | State::Other(_) => missing.push(package),
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        if offline {
            let message = format!(
                "not in the pool {}, and the network is off:\n{}",
                self.folder.display(),
                rows(&missing)
            );
            return Err(Error::new(ErrorKind::Offline, message).with_hint(
                "run `cargo xtask toolchain pool` with the network on, or copy another machine's pool there",
            ));
        }
        let size: u64 = missing.iter().map(|package| package.size).sum();
        let step = format!("get {} Debian packages ({} MB)", missing.len(), size / 1_000_000);
        events(Event::Started { step: step.clone() });
        self.get(&missing, &mut |line| {
            events(Event::Output { step: step.clone(), line: line.to_owned() });
        })?;
        events(Event::Finished { step, result: String::new() });
        Ok(())
    }

    /// Into private names first: what is in the pool was whole when it came there. What a killed run left there goes away, as
    /// nobody else has the turn.
    fn get(&self, missing: &[&Package], on_line: &mut dyn FnMut(&str)) -> Result<(), Error> {
        const PREFIX: &str = "private-";
        let failed = |cause| Error::io(&self.folder, cause);
        let _only_one = take_turn(&self.folder)?;
        for entry in fs::read_dir(&self.folder).map_err(failed)?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(PREFIX) {
                fs::remove_dir_all(entry.path()).map_err(failed)?;
            }
        }
        // Another job may have got some meanwhile.
        let mut still = Vec::new();
        for package in missing {
            if self.state(package)? != State::Good {
                still.push(*package);
            }
        }
        let private = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&self.folder).map_err(failed)?;
        let places: Vec<_> = still
            .iter()
            .map(|package| (*package, private.path().join(format!("{}.deb", package.sha256))))
            .collect();
        debian::download(&places, on_line)?;
        let mut gone = Vec::new();
        for (package, place) in places {
            match Digest::of_file(&place) {
                Ok((digest, _)) if digest == package.sha256 => {
                    let path = self.file(package);
                    fs::rename(&place, &path).map_err(|cause| Error::io(&path, cause))?;
                }
                _ => gone.push(package),
            }
        }
        if gone.is_empty() {
            return Ok(());
        }
        let message = format!("the Debian mirror does not have what is locked:\n{}", rows(&gone));
        Err(Error::new(ErrorKind::DownloadFailed, message).with_hint(format!(
            "mirrors keep no version that was replaced; the pool is the archive: copy {} from a machine that has these, \
             or run `cargo xtask toolchain lock --update` and review what changes (if the network is down, check it first)",
            self.folder.display()
        )))
    }

    fn changed(&self, package: &Package, digest: Digest) -> Error {
        let path = self.file(package);
        let message = format!(
            "{} is not the locked {}: sha256:{digest}, locked sha256:{}",
            path.display(),
            package.identity(),
            package.sha256
        );
        Error::new(ErrorKind::DigestMismatch, message)
            .with_hint("run `cargo xtask toolchain pool`, which gets it again, or restore the file")
    }

    /// Puts the files of `packages` into `folder` as a repository that apt reads (`copy:` and `./`).
    pub(crate) fn repository(&self, packages: &[Package], folder: &Path) -> Result<(), Error> {
        let mut index = String::new();
        for package in packages {
            let (from, name) = (self.file(package), format!("{}.deb", package.sha256));
            let to = folder.join(&name);
            fs::hard_link(&from, &to)
                .or_else(|_| fs::copy(&from, &to).map(drop))
                .map_err(|cause| Error::io(&to, cause))?;
            let control = crate::command::Program::new("dpkg-deb").args(["--field", &from.to_string_lossy()]);
            let control = control.read(ErrorKind::ImageNotMade)?;
            index.push_str(&format!(
                "{}\nFilename: ./{name}\nSize: {}\nSHA256: {}\n\n",
                control.trim(),
                package.size,
                package.sha256
            ));
        }
        let path = folder.join("Packages");
        fs::write(&path, index).map_err(|cause| Error::io(&path, cause))
    }
}

fn rows(packages: &[&Package]) -> String {
    let mut lines: Vec<_> = packages
        .iter()
        .take(NAMED)
        .map(|package| format!("  {} sha256:{} ({})", package.identity(), package.sha256, package.path))
        .collect();
    if packages.len() > NAMED {
        lines.push(format!("  and {} more", packages.len() - NAMED));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(bytes: &[u8]) -> Package {
        Package {
            name: "hello".to_owned(),
            version: "2:1.0-1".to_owned(),
            architecture: "amd64".to_owned(),
            sha256: Digest::of(bytes),
            size: bytes.len() as u64,
            path: "pool/main/h/hello/hello_1.0-1_amd64.deb".to_owned(),
        }
    }

    #[test]
    fn one_changed_bit_is_refused_by_the_files_name() {
        let folder = tempfile::tempdir().unwrap();
        let (pool, package) = (Pool { folder: folder.path().to_owned() }, package(b"the package"));
        let path = pool.file(&package);
        assert!(path.to_string_lossy().contains("hello_2%3a1.0-1_amd64."), "{}", path.display());
        fs::write(&path, b"the package").unwrap();
        pool.fill(std::slice::from_ref(&package), false, true, &artifact::ignore_events).unwrap();
        fs::write(&path, b"the packagd").unwrap();
        // Even where it may be mended, it cannot be without the network.
        for mend in [false, true] {
            let error =
                pool.fill(std::slice::from_ref(&package), mend, true, &artifact::ignore_events).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::DigestMismatch);
            assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        }
    }

    #[test]
    fn what_is_missing_without_the_network_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let pool = Pool { folder: folder.path().to_owned() };
        let many: Vec<_> = (0..30_u8).map(|number| package(&[number])).collect();
        let error = pool.fill(&many, false, true, &artifact::ignore_events).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Offline);
        assert!(
            error.to_string().contains("hello=2:1.0-1:amd64") && error.to_string().contains("and 10 more"),
            "{error}"
        );
        assert!(error.hint().unwrap().contains("toolchain pool"));
    }
}
