//! The systemd unit, as systemd's own tool rates it.
#![cfg(target_os = "linux")]
#![expect(clippy::disallowed_methods, reason = "the tests run systemd's tool")]

use std::path::Path;
use std::process::{Command, Output};

/// The most exposure that the unit may have, in tenths (systemd-analyze(1), "security"; 100 is none of its protections).
const MOST_EXPOSURE: &str = "20";

fn rate(unit: &Path) -> Output {
    Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager", &format!("--threshold={MOST_EXPOSURE}")])
        .arg(unit)
        .output()
        .unwrap_or_else(|error| panic!("systemd-analyze: {error}; install Debian's package systemd"))
}

#[test]
fn the_unit_is_hardly_exposed() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/seaworthyd.service");
    let output = rate(&unit);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("Overall exposure level for seaworthyd.service"), "{text}");
    assert!(output.status.success(), "{text}");

    // Without what hardens it the same check fails.
    let folder = tempfile::tempdir().expect("a folder");
    let bare = folder.path().join("seaworthyd.service");
    std::fs::write(&bare, "[Service]\nExecStart=/bin/true\n").expect("written");
    assert!(!rate(&bare).status.success());
}
