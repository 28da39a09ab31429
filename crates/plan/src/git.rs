//! What git says of the work tree: the one place of this crate that starts a program.

use std::path::Path;

use xshell::{Shell, cmd};

use crate::{Error, ErrorKind};

/// The commit a release is made from.
pub(crate) struct Head {
    /// The full object name.
    pub(crate) commit: String,
    /// The object name of the commit's tree.
    pub(crate) tree: String,
    /// Committer time, seconds since 1970-01-01 UTC.
    pub(crate) time: i64,
    /// Files that differ from it, as `git status --porcelain` lists them.
    pub(crate) changes: Vec<String>,
}

/// Asks git about the work tree at `root`.
pub(crate) fn head(root: &Path) -> Result<Head, Error> {
    let shell = Shell::new().map_err(|error| failed(root).with_source(error))?;
    shell.change_dir(root);
    let line = cmd!(shell, "git log -1 --format=%H%n%T%n%ct HEAD")
        .quiet()
        .read()
        .map_err(|error| failed(root).with_source(error))?;
    let mut lines = line.lines();
    let mut next = || lines.next().map(str::to_owned).ok_or_else(|| failed(root));
    let (commit, tree, time) = (next()?, next()?, next()?);
    let time = time.parse().map_err(|error| failed(root).with_source(error))?;
    let status = cmd!(shell, "git status --porcelain --untracked-files=normal")
        .quiet()
        .read()
        .map_err(|error| failed(root).with_source(error))?;
    Ok(Head { commit, tree, time, changes: status.lines().map(str::to_owned).collect() })
}

fn failed(root: &Path) -> Error {
    Error::new(ErrorKind::Git, format!("git cannot tell the commit of {}", root.display()))
        .with_hint("a release names its commit: install git, `git init`, and commit what is to be released")
}
