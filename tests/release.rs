//! Whole releases, each way to build, looked at with other people's tools.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use support::{Checkout, Product, read};

const ALL: &[&str] =
    &["aarch64-linux", "aarch64-linux-musl", "x86_64-linux", "x86_64-linux-musl", "x86_64-windows"];

#[test]
fn a_release_in_the_pinned_images_holds_and_is_the_same_from_another_folder() {
    release_holds_and_repeats("docker", ["aarch64-linux", "x86_64-windows"], "aarch64-linux");
}

#[test]
fn a_release_with_the_embedded_zig_holds_and_is_the_same_from_another_folder() {
    release_holds_and_repeats("zig", ["x86_64-linux-musl", "x86_64-windows"], "x86_64-windows");
}

/// Releases the daemon for `targets`, and for `repeated` once more: the builders' other pairs with a default target are
/// rebuilt by `reproducible.rs`, under every variation.
fn release_holds_and_repeats(builder: &str, targets: [&str; 2], repeated: &str) {
    let first = Checkout::of_head("first");
    let released = first.json(&release(builder, &targets));
    let folder = PathBuf::from(released["folder"].as_str().unwrap());
    holds(&first, &folder, &released["manifest"], &targets, builder);

    let second = Checkout::of_head("second-with-a-longer-name");
    let again = second.json(&release(builder, &[repeated]));
    let (one, mut other) = (sums(&folder), sums(Path::new(again["folder"].as_str().unwrap())));
    assert_eq!(
        one.len(),
        2 * targets.len() + 1,
        "an archive and its symbols a target, and the manifest: {one:?}"
    );
    // The manifest lists what was released, which differs.
    other.retain(|name, _| name.contains(repeated));
    assert_eq!(other.len(), 2, "an archive and its symbols: {other:?}");
    for (name, digest) in &other {
        assert_eq!(one.get(name), Some(digest), "two folders, two of {name}");
    }
}

/// A program of one line, which takes seconds a pair where the daemon takes minutes.
#[test]
fn every_builder_builds_for_every_target() {
    let product = Product::slow("everywhere");
    for builder in ["docker", "zig"] {
        let released = product.json(&release(builder, ALL));
        let folder = PathBuf::from(released["folder"].as_str().unwrap());
        let unpacked = tempfile::tempdir().unwrap();
        for target in ALL {
            let (_, program) = unpack(&folder, "everywhere", "1.2.3", target, unpacked.path());
            is_for(target, &program, builder);
        }
    }
}

fn release<'a>(builder: &'a str, targets: &[&'a str]) -> Vec<&'a str> {
    let targets = targets.iter().flat_map(|target| ["--target", *target]);
    ["release", "--strict", "--builder", builder].into_iter().chain(targets).collect()
}

fn holds(checkout: &Checkout, folder: &Path, manifest: &Value, targets: &[&str], builder: &str) {
    read(folder, &["sha256sum", "--check", "--strict", "SHA256SUMS"]);
    assert_eq!(manifest["commit"], checkout.git(&["rev-parse", "HEAD"]));
    assert_eq!(manifest["artifacts"].as_array().unwrap().len(), targets.len());
    for program in manifest["artifacts"].as_array().unwrap() {
        assert_eq!(program["smoke"]["result"], "ran", "{program}");
        assert!(program["smoke"]["output"].as_str().unwrap().contains(manifest["commit"].as_str().unwrap()));
        let (built, ships) = (program["built_size"].as_f64().unwrap(), program["size"].as_f64().unwrap());
        assert!(ships < 0.7 * built, "{ships} of {built} bytes: less than 30 % smaller");
    }
    let unpacked = tempfile::tempdir().unwrap();
    for target in targets {
        let (archive, program) = unpack(folder, "seaworthyd", "0.1.0", target, unpacked.path());
        is_for(target, &program, builder);
        if *target == "x86_64-windows" {
            let kind = read(folder, &["file", "--brief", program.to_str().unwrap()]);
            assert!(kind.contains("PE32+ executable (GUI) x86-64"), "{kind}");
        }
        let verified = checkout.run(&["verify", archive.to_str().unwrap()]);
        assert_eq!(verified.code, Some(0), "{}{}", verified.stdout, verified.stderr);
    }
}

/// Unpacks a release's archive; its path, and the program's.
fn unpack(folder: &Path, name: &str, version: &str, target: &str, into: &Path) -> (PathBuf, PathBuf) {
    let stem = format!("{name}-{version}-{target}");
    let (archive, program) = if target == "x86_64-windows" {
        let archive = folder.join(format!("{stem}.zip"));
        read(into, &["unzip", "-q", archive.to_str().unwrap()]);
        (archive, format!("{name}.exe"))
    } else {
        let archive = folder.join(format!("{stem}.tar.gz"));
        read(into, &["tar", "xzf", archive.to_str().unwrap()]);
        (archive, name.to_owned())
    };
    (archive, into.join(stem).join(program))
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
        _ => &["PE32+ executable", "x86-64"],
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
