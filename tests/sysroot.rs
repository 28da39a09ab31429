//! `--sysroot` through the real program: the tree of `inspect`, the rule of `verify`, and the exit codes.
#![expect(clippy::disallowed_methods, reason = "the tests start the real program and watch how it ends")]

use std::fs;
use std::process::Command;

use serde_json::Value;
use support::{Ended, ended, repository, xtask};

const FIXTURES: &str = "crates/verify/tests/fixtures";

fn run(args: &[&str]) -> Ended {
    ended(Command::new(xtask()).args(args).current_dir(repository()))
}

#[test]
fn inspect_shows_what_is_found_as_a_tree_and_as_json() {
    let (root, program) = (format!("{FIXTURES}/aarch64-root"), format!("{FIXTURES}/aarch64-glibc"));
    let text = run(&["inspect", "--sysroot", &root, &program]);
    assert_eq!(text.code, Some(0), "{}", text.stderr);
    for line in [
        "  interpreter /lib/ld-linux-aarch64.so.1 => /lib/ld-linux-aarch64.so.1\n",
        "  libgcc_s.so.1 (GCC_3.3) => /lib/libgcc_s.so.1\n",
        "  libc.so.6 (GLIBC_2.34) => /lib/libc.so.6\n",
    ] {
        assert!(text.stdout.contains(line), "{line}{}", text.stdout);
    }
    let json = run(&["inspect", "--format", "json", "--sysroot", &root, &program]);
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    let closure = &json[0]["closure"];
    assert_eq!(closure["libraries"][2]["real"], "/lib/libc.so.6");
    assert_eq!(closure["problems"].as_array().map(Vec::len), Some(0));
    let write = closure["bindings"].as_array().unwrap().iter().find(|binding| binding["symbol"] == "write");
    assert_eq!(write.unwrap()["supplier"], 2);

    let windows = run(&["inspect", "--sysroot", &root, &format!("{FIXTURES}/x86_64-console.exe")]);
    assert!(windows.stdout.contains("  KERNEL32.dll => Windows\n"), "{}", windows.stdout);
}

#[test]
fn a_windows_program_finds_what_lies_beside_it_in_the_sysroot() {
    let root = tempfile::tempdir().unwrap();
    let program = "x86_64-hardened.exe";
    let fixture = |name: &str| repository().join(FIXTURES).join(name);
    for folder in ["app", "other"] {
        fs::create_dir(root.path().join(folder)).unwrap();
        fs::copy(fixture(program), root.path().join(folder).join(program)).unwrap();
    }
    // Any program exports too little, but is found.
    fs::copy(fixture("x86_64-console.exe"), root.path().join("app/libssp-0.dll")).unwrap();
    let inspected = |folder: &str| {
        let path = root.path().join(folder).join(program);
        run(&["inspect", "--sysroot", root.path().to_str().unwrap(), path.to_str().unwrap()]).stdout
    };
    let (beside, alone) = (inspected("app"), inspected("other"));
    assert!(beside.contains("  libssp-0.dll => libssp-0.dll\n"), "{beside}");
    assert!(!alone.contains("libssp-0.dll => libssp-0.dll"), "{alone}");
    assert!(alone.contains("missing: libssp-0.dll"), "{alone}");
}

#[test]
fn verify_refuses_what_the_sysroot_lacks_and_a_sysroot_that_is_none_is_a_usage_error() {
    let empty = tempfile::tempdir().unwrap();
    fs::create_dir(empty.path().join("lib")).unwrap();
    let (empty, program) = (empty.path().to_str().unwrap(), format!("{FIXTURES}/aarch64-glibc"));
    let refused = run(&["verify", "--sysroot", empty, &program]);
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    for part in [
        "SW-ELF-CLOSURE",
        "the interpreter /lib/ld-linux-aarch64.so.1 is not in the sysroot",
        "libc.so.6, needed by",
    ] {
        assert!(refused.stdout.contains(part), "{part}: {}", refused.stdout);
    }
    let whole = run(&["verify", "--sysroot", &format!("{FIXTURES}/aarch64-root"), &program]);
    assert!(!whole.stdout.contains("SW-ELF-CLOSURE"), "{}", whole.stdout);
    for command in ["verify", "inspect"] {
        let nowhere = run(&[command, "--sysroot", "/nowhere", &program]);
        assert_eq!(nowhere.code, Some(3), "{}", nowhere.stderr);
        assert!(nowhere.stderr.contains("cannot read the sysroot /nowhere"), "{}", nowhere.stderr);
    }
}
