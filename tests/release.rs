//! Whole releases, each way to build, looked at with other people's tools.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use support::{Checkout, read};

const ALL: &[&str] =
    &["aarch64-linux", "aarch64-linux-musl", "x86_64-linux", "x86_64-linux-musl", "x86_64-windows"];

#[test]
fn a_release_in_the_pinned_images_holds_and_is_the_same_from_another_folder() {
    release_holds_and_repeats("docker", "aarch64-linux");
}

#[test]
fn a_release_with_the_embedded_zig_holds_and_is_the_same_from_another_folder() {
    release_holds_and_repeats("zig", "x86_64-windows");
}

/// Releases for [`ALL`], and for `repeated` once more: the builders' other pairs with a default target are rebuilt by
/// `reproducible.rs`, under every variation.
fn release_holds_and_repeats(builder: &str, repeated: &str) {
    let first = Checkout::of_head("first");
    let mut args = vec!["release", "--strict", "--builder", builder];
    for target in ALL {
        args.extend(["--target", target]);
    }
    let released = first.json(&args);
    let folder = PathBuf::from(released["folder"].as_str().unwrap());
    holds(&first, &folder, &released["manifest"], builder);

    let second = Checkout::of_head("second-with-a-longer-name");
    let again = second.json(&["release", "--strict", "--builder", builder, "--target", repeated]);
    let (one, mut other) = (sums(&folder), sums(Path::new(again["folder"].as_str().unwrap())));
    assert_eq!(
        one.len(),
        2 * ALL.len() + 1,
        "an archive and its symbols a target, and the manifest: {one:?}"
    );
    // The manifest lists what was released, which differs.
    other.retain(|name, _| name.contains(repeated));
    assert_eq!(other.len(), 2, "an archive and its symbols: {other:?}");
    for (name, digest) in &other {
        assert_eq!(one.get(name), Some(digest), "two folders, two of {name}");
    }
}

fn holds(checkout: &Checkout, folder: &Path, manifest: &Value, builder: &str) {
    read(folder, &["sha256sum", "--check", "--strict", "SHA256SUMS"]);
    assert_eq!(manifest["commit"], checkout.git(&["rev-parse", "HEAD"]));
    assert_eq!(manifest["artifacts"].as_array().unwrap().len(), ALL.len());
    for program in manifest["artifacts"].as_array().unwrap() {
        assert_eq!(program["smoke"]["result"], "ran", "{program}");
        assert!(program["smoke"]["output"].as_str().unwrap().contains(manifest["commit"].as_str().unwrap()));
        let (built, ships) = (program["built_size"].as_f64().unwrap(), program["size"].as_f64().unwrap());
        assert!(ships < 0.7 * built, "{ships} of {built} bytes: less than 30 % smaller");
    }
    let unpacked = tempfile::tempdir().unwrap();
    for target in ALL {
        let name = format!("seaworthyd-0.1.0-{target}");
        let (archive, program) = if *target == "x86_64-windows" {
            let archive = folder.join(format!("{name}.zip"));
            read(unpacked.path(), &["unzip", "-q", archive.to_str().unwrap()]);
            (archive, "seaworthyd.exe")
        } else {
            let archive = folder.join(format!("{name}.tar.gz"));
            read(unpacked.path(), &["tar", "xzf", archive.to_str().unwrap()]);
            (archive, "seaworthyd")
        };
        is_for(target, &unpacked.path().join(&name).join(program), builder);
        let verified = checkout.run(&["verify", archive.to_str().unwrap()]);
        assert_eq!(verified.code, Some(0), "{}{}", verified.stdout, verified.stderr);
    }
}

/// What `file`, `readelf` and `objdump` say of the program.
fn is_for(target: &str, program: &Path, builder: &str) {
    let path = program.to_str().unwrap();
    let (here, kind) = (Path::new("/"), read(Path::new("/"), &["file", "--brief", path]));
    let expected: &[&str] = match target {
        "aarch64-linux" => {
            &["ELF 64-bit LSB pie executable, ARM aarch64", "ld-linux-aarch64.so.1", ", stripped"]
        }
        "aarch64-linux-musl" => {
            &["ELF 64-bit LSB pie executable, ARM aarch64", "static-pie linked", ", stripped"]
        }
        "x86_64-linux" => &["ELF 64-bit LSB pie executable, x86-64", "ld-linux-x86-64.so.2", ", stripped"],
        "x86_64-linux-musl" => &["ELF 64-bit LSB pie executable, x86-64", "static-pie linked", ", stripped"],
        _ => &["PE32+ executable (GUI) x86-64"],
    };
    for text in expected {
        assert!(kind.contains(text), "{target} with {builder}: `{text}` is not in {kind}");
    }
    if target == "x86_64-windows" {
        let header = read(here, &["x86_64-w64-mingw32-objdump", "-p", path]);
        for text in ["HIGH_ENTROPY_VA", "DYNAMIC_BASE", "NX_COMPAT"] {
            assert!(header.contains(text), "{target} with {builder}: no {text}");
        }
        return;
    }
    let segments = read(here, &["readelf", "-lW", path]);
    assert!(
        segments.contains("GNU_RELRO") && !segments.contains("RWE"),
        "{target} with {builder}: {segments}"
    );
    let versions = read(here, &["readelf", "-VW", path]);
    let minors = versions.split("GLIBC_2.").skip(1).filter_map(|rest| {
        rest.split(|letter: char| !letter.is_ascii_digit()).next().and_then(|minor| minor.parse::<u32>().ok())
    });
    assert!(
        minors.max().is_none_or(|newest| newest <= 31),
        "{target} with {builder} needs a newer glibc: {versions}"
    );
}

fn sums(folder: &Path) -> BTreeMap<String, String> {
    let text = fs::read_to_string(folder.join("SHA256SUMS")).unwrap();
    let lines = text.lines().filter_map(|line| line.split_once("  "));
    lines.map(|(digest, name)| (name.to_owned(), digest.to_owned())).collect()
}
