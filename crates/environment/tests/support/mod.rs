//! A Debian root file system, made once, and copies of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tempfile::TempDir;
use xshell::{Shell, cmd};

/// What a line of shell prints; it must succeed.
pub(crate) fn shell(script: &str) -> String {
    let shell = Shell::new().expect("there is a current folder");
    cmd!(shell, "sh -c {script}")
        .quiet()
        .ignore_stderr()
        .read()
        .expect("ci/setup installs what the tests need")
}

/// Debian 12's minimal system, made by mmdebstrap where no test made it before. Nobody writes into it.
pub(crate) fn debian() -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap();
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bookworm-minbase");
    if !place.exists() {
        let partial =
            tempfile::Builder::new().prefix("partial-").tempdir_in(place.parent().unwrap()).unwrap();
        let (root, tar) = (partial.path().join("root"), partial.path().join("root.tar"));
        let (root, tar) = (root.display(), tar.display());
        shell(&format!(
            "mmdebstrap --variant=minbase bookworm {tar} && mkdir {root} && tar -C {root} --exclude=./dev/* -xf {tar}"
        ));
        fs::rename(partial.path().join("root"), &place).unwrap();
    }
    place
}

/// A copy of what facts are read from, to be bent.
pub(crate) fn copy_of(root: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    let (from, to) = (root.display(), copy.path().display());
    shell(&format!(
        "cd {from} && cp -a --parents etc var/lib/dpkg usr/lib usr/lib64 bin lib lib64 sbin {to}"
    ));
    copy
}

/// Changes a text file.
pub(crate) fn edit(path: &Path, change: impl FnOnce(&mut String)) {
    let before = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut after = before.clone();
    change(&mut after);
    assert_ne!(before, after, "{} was to be changed", path.display());
    fs::write(path, after).unwrap();
}
