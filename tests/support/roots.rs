//! Root file systems of Debian 12 that nobody installed: made once by mmdebstrap, shared by all tests, never written to.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use xshell::{Shell, cmd};

/// A minimal system for this machine's processor.
pub fn native() -> PathBuf {
    made("bookworm-minbase", "--variant=minbase")
}

/// Programs and their libraries for 64-bit ARM, unpacked and not set up.
pub fn arm64() -> PathBuf {
    let packages = "apt,bash,coreutils,curl,git,gnupg,python3-minimal";
    made("bookworm-arm64", &format!("--variant=extract --architectures=arm64 --include={packages}"))
}

fn made(name: &str, options: &str) -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().expect("making a root does not panic halfway");
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| crate::repository().join("target"), PathBuf::from);
    let folder = target.join("roots");
    let place = folder.join(name);
    if !place.exists() {
        fs::create_dir_all(&folder).expect("the target folder can be written");
        let partial =
            tempfile::Builder::new().prefix("partial-").tempdir_in(&folder).expect("there is a place for it");
        let (root, tar) = (partial.path().join("root"), partial.path().join("root.tar"));
        let (root_name, tar) = (root.display(), tar.display());
        shell(&format!(
            "mmdebstrap {options} bookworm {tar} && mkdir {root_name} && tar -C {root_name} --exclude=./dev/* -xf {tar}"
        ));
        fs::rename(root, &place).expect("the root takes its place");
    }
    place
}

/// What a line of shell prints; it must succeed.
pub fn shell(script: &str) -> String {
    let shell = Shell::new().expect("there is a current folder");
    let output = cmd!(shell, "sh -c {script}").quiet().ignore_status().output().expect("there is a shell");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ci/setup installs what the tests need: {script}: {told}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A copy of the folders `parts` of a root, to be changed.
pub fn copy_of(root: &Path, parts: &str) -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("there is a place for it");
    shell(&format!("cd {} && cp -a --parents {parts} {}", root.display(), copy.path().display()));
    copy
}
