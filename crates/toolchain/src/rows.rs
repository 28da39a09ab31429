//! A lock as rows, and what two locks differ in: what can change the bytes of a program comes first.

use std::collections::BTreeMap;
use std::path::Path;

use artifact::Digest;
use serde::Serialize;

use crate::command::Program;
use crate::lock::{Component, Lock};
use crate::{Context, Error, ErrorKind};

/// The lock's own file in its folder.
const LOCK: &str = "toolchain.lock";
/// How names of packages begin whose files are in programs, or make them: compilers, linkers, C libraries, headers.
const MAKERS: &[&str] = &[
    "binutils",
    "cpp",
    "g++",
    "gcc",
    "libc6",
    "libcc1",
    "libctf",
    "libgcc",
    "libgmp",
    "libisl",
    "libmpc",
    "libmpfr",
    "libstdc++",
    "linux-libc-dev",
    "mingw-w64",
];

/// Everything that is locked, a row each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locked {
    id: Digest,
    rows: BTreeMap<String, String>,
}

/// A row that two locks do not have alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RowDifference {
    /// Its place and name: `rust.release`, `images.x86_64-windows/gcc-mingw-w64-x86-64`.
    pub row: String,
    /// What the first lock says; `None` where it does not have it.
    pub a: Option<String>,
    /// What the second lock says.
    pub b: Option<String>,
    /// Whether it can change the bytes of a program.
    pub changes_programs: bool,
}

impl Locked {
    /// What is locked in the folder of `context`.
    pub fn of(context: &Context) -> Result<Locked, Error> {
        Ok(Locked::of_lock(&Lock::read(&context.lock_path)?))
    }

    /// What `source` names: a folder with a `toolchain.lock`, or a revision of git in whose `docker/` there is one.
    pub fn named(source: &str, workspace: &Path) -> Result<Locked, Error> {
        let path = Path::new(source).join(LOCK);
        if path.is_file() {
            return Ok(Locked::of_lock(&Lock::read(&path)?));
        }
        let object = format!("{source}:./docker/{LOCK}");
        let shown = Program::new("git").folder(workspace).args(["show", "--end-of-options", &object]);
        let text = shown.read(ErrorKind::LockInvalid).map_err(|error| {
            let message =
                format!("`{source}` is neither a folder with a {LOCK} nor a revision with docker/{LOCK}");
            Error::new(ErrorKind::LockInvalid, message)
                .with_hint("name a folder such as docker, or a commit, tag or branch")
                .with_source(error)
        })?;
        let shown = format!("{source}:docker/{LOCK}");
        Ok(Locked::of_lock(&Lock::of_text(&text, Path::new(&shown))?))
    }

    pub(crate) fn of_lock(lock: &Lock) -> Locked {
        let mut rows = BTreeMap::from([
            ("rust.release".to_owned(), lock.rust.release.clone()),
            ("rust.commit".to_owned(), lock.rust.commit.clone()),
            ("zig.version".to_owned(), lock.zig.version.clone()),
        ]);
        let mut add = |row: String, value: String| rows.insert(row, value);
        for Component { name, target, sha256 } in &lock.rust.components {
            add(format!("rust.components.{name}.{target}"), sha256.to_string());
        }
        for (name, value) in &lock.environment.fixed {
            add(format!("environment.fixed.{name}"), value.clone());
        }
        for name in &lock.environment.computed {
            add(format!("environment.computed.{name}"), String::new());
        }
        for (name, digest) in &lock.shims {
            add(format!("shims.{name}"), digest.to_string());
        }
        for wheel in &lock.zig.wheels {
            add(format!("zig.wheels.{}", wheel.host), wheel.sha256.to_string());
        }
        for (name, image) in &lock.images {
            add(format!("images.{name}.recipe"), image.recipe.to_string());
            for (role, tool) in &image.tools {
                add(
                    format!("images.{name}.tools.{role}"),
                    format!("{} sha256:{}", tool.version, tool.sha256),
                );
            }
            for package in &image.packages {
                let value = format!("{} {} sha256:{}", package.version, package.architecture, package.sha256);
                add(format!("images.{name}/{}", package.name), value);
            }
        }
        Locked { id: lock.id(), rows }
    }

    /// The toolchain's identity: SHA-256 of the lock in its canonical form.
    pub fn id(&self) -> Digest {
        self.id
    }

    /// The rows in which `other` differs; those that can change programs first, each in order.
    pub fn differences(&self, other: &Locked) -> Vec<RowDifference> {
        let names = self.rows.keys().chain(other.rows.keys().filter(|row| !self.rows.contains_key(*row)));
        let mut differences: Vec<_> = names
            .filter(|row| self.rows.get(*row) != other.rows.get(*row))
            .map(|row| RowDifference {
                row: row.clone(),
                a: self.rows.get(row).cloned(),
                b: other.rows.get(row).cloned(),
                changes_programs: changes_programs(row),
            })
            .collect();
        differences.sort_by(|one, other| {
            (!one.changes_programs, &one.row).cmp(&(!other.changes_programs, &other.row))
        });
        differences
    }
}

/// Whether a row can change the bytes of a program. A recipe is told by the packages and tools that come of it.
fn changes_programs(row: &str) -> bool {
    match row.split_once('/') {
        Some((_, package)) => MAKERS.iter().any(|maker| package.starts_with(maker)),
        None => {
            ["rust.", "zig.", "shims.", "environment."].iter().any(|kind| row.starts_with(kind))
                || row.contains(".tools.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn committed(change: impl Fn(&mut Lock)) -> Locked {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docker").join(LOCK);
        let mut lock = Lock::read(&path).unwrap();
        change(&mut lock);
        Locked::of_lock(&lock)
    }

    #[test]
    fn equal_locks_differ_in_nothing_and_have_one_id() {
        let (one, other) = (committed(|_| {}), committed(|_| {}));
        assert_eq!((one.differences(&other), one.id()), (vec![], other.id()));
        assert!(one.rows.len() > 500, "only {} rows", one.rows.len());
    }

    #[test]
    fn what_can_change_programs_comes_first() {
        let one = committed(|_| {});
        let other = committed(|lock| {
            lock.rust.release = "9.9.9".to_owned();
            lock.shims.insert("dlltool".to_owned(), Digest::of(b"another"));
            let image = lock.images.get_mut("x86_64-windows").unwrap();
            image.packages.retain(|package| package.name != "bash");
            for package in &mut image.packages {
                if ["apt", "gcc-mingw-w64-x86-64"].contains(&package.name.as_str()) {
                    package.version = format!("9{}", package.version);
                }
            }
            image.tools.get_mut("linker").unwrap().version = "LLD 99".to_owned();
        });
        let told: Vec<_> =
            one.differences(&other).into_iter().map(|one| (one.row, one.changes_programs)).collect();
        let image = "images.x86_64-windows";
        let expected = [
            (format!("{image}.tools.linker"), true),
            (format!("{image}/gcc-mingw-w64-x86-64"), true),
            ("rust.release".to_owned(), true),
            ("shims.dlltool".to_owned(), true),
            (format!("{image}/apt"), false),
            (format!("{image}/bash"), false),
        ];
        assert_eq!(told, expected);
        assert_ne!(one.id(), other.id());
        let gone = one.differences(&other).pop().unwrap();
        assert!(gone.a.is_some() && gone.b.is_none());
    }

    #[test]
    fn what_names_no_lock_is_told() {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for nothing in ["no-such-revision", "/no/such/folder", "--help"] {
            let error = Locked::named(nothing, &workspace).unwrap_err();
            assert!(error.kind() == ErrorKind::LockInvalid && error.hint().is_some(), "{error}");
        }
    }
}
