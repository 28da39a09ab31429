//! A lock as rows, and what two locks differ in: what can change the bytes of a program comes first.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use artifact::Digest;
use serde::Serialize;

use crate::command::Program;
use crate::error::Faults as _;
use crate::lock::Lock;
use crate::recipe::LIST;
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

/// Everything that is locked: `toolchain.lock`, and each image's packages.
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
        let folder = context.docker_dir.as_path();
        Locked::read(&|name| {
            fs::read_to_string(folder.join(name)).map_err(|cause| Error::io(&folder.join(name), cause))
        })
    }

    /// What `source` names: a folder with a `toolchain.lock`, or a revision of git in whose `docker/` there is one.
    pub fn named(source: &str, workspace: &Path) -> Result<Locked, Error> {
        let folder = Path::new(source);
        if folder.join(LOCK).is_file() {
            let context = Context { docker_dir: folder.to_owned(), ..Context::of_workspace(workspace) };
            return Locked::of(&context);
        }
        let git = |name: &str| {
            let object = format!("{source}:./docker/{name}");
            let shown = Program::new("git").folder(workspace).args(["show", "--end-of-options", &object]);
            shown.read(ErrorKind::LockInvalid).map(|text| text + "\n").map_err(|error| {
                let message =
                    format!("`{source}` is neither a folder with a {LOCK} nor a revision with docker/{name}");
                Error::new(ErrorKind::LockInvalid, message)
                    .with_hint("name a folder such as docker, or a commit, tag or branch")
                    .with_source(error)
            })
        };
        Locked::read(&git)
    }

    fn read(file: &dyn Fn(&str) -> Result<String, Error>) -> Result<Locked, Error> {
        let lock = Lock::of_text(&file(LOCK)?, Path::new(LOCK))?;
        let mut rows = BTreeMap::from([
            ("rust.release".to_owned(), lock.rust.release.clone()),
            ("rust.commit".to_owned(), lock.rust.commit.clone()),
            ("zig.version".to_owned(), lock.zig.version.clone()),
        ]);
        for wheel in &lock.zig.wheels {
            rows.insert(format!("zig.wheels.{}", wheel.host), wheel.sha256.to_string());
        }
        for (suite, base) in &lock.bases {
            rows.insert(format!("bases.{suite}.layer"), base.layer.to_string());
        }
        for (name, image) in &lock.images {
            rows.insert(format!("images.{name}.compiler"), image.compiler.clone());
            rows.insert(format!("images.{name}.recipe"), image.recipe.to_string());
            for line in file(&format!("{name}/{LIST}"))?.lines() {
                if let Some((package, version)) = line.split_once('=') {
                    rows.insert(format!("images.{name}/{package}"), version.to_owned());
                }
            }
        }
        Ok(Locked { id: lock.id(), rows })
    }

    /// The toolchain's identity: SHA-256 of the lock in its canonical form, which covers the package lists by their digests.
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

/// Whether a row can change the bytes of a program. A base or recipe is told by the packages that come of it.
fn changes_programs(row: &str) -> bool {
    match row.split_once('/') {
        Some((_, package)) => MAKERS.iter().any(|maker| package.starts_with(maker)),
        None => row.starts_with("rust.") || row.starts_with("zig.") || row.ends_with(".compiler"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn committed(change: impl Fn(&str, String) -> String) -> Locked {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docker");
        let file = |name: &str| {
            let text = fs::read_to_string(folder.join(name)).map_err(|cause| Error::io(&folder, cause))?;
            Ok(change(name, text))
        };
        Locked::read(&file).unwrap()
    }

    #[test]
    fn equal_locks_differ_in_nothing_and_have_one_id() {
        let (one, other) = (committed(|_, text| text), committed(|_, text| text));
        assert_eq!((one.differences(&other), one.id()), (vec![], other.id()));
        assert!(one.rows.len() > 500, "only {} rows", one.rows.len());
    }

    #[test]
    fn what_can_change_programs_comes_first() {
        let one = committed(|_, text| text);
        let other = committed(|name, text| match name {
            "toolchain.lock" => text.replace("release = \"1.", "release = \"9."),
            "x86_64-windows/packages.txt" => {
                let lines = text.lines().filter(|line| !line.starts_with("bash="));
                let bent = lines.map(|line| match line.split_once('=') {
                    Some((name @ ("apt" | "gcc-mingw-w64-x86-64"), version)) => {
                        format!("{name}=9{version}\n")
                    }
                    _ => format!("{line}\n"),
                });
                bent.collect()
            }
            _ => text,
        });
        let told: Vec<_> =
            one.differences(&other).into_iter().map(|one| (one.row, one.changes_programs)).collect();
        let image = "images.x86_64-windows/";
        let expected = [
            (format!("{image}gcc-mingw-w64-x86-64"), true),
            ("rust.release".to_owned(), true),
            (format!("{image}apt"), false),
            (format!("{image}bash"), false),
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
