//! A program with everything that is known to make builds differ, released, and made again with everything else different:
//! the whole SHA256SUMS must be the same. (tests/reproduce.rs has one that is not, and is refused.)
//!
//! One target with docker and the other with zig. With `SEAWORTHY_REPRODUCIBLE=all` both with both, each variation by itself, and
//! the profiles; with `SEAWORTHY_REPRODUCIBLE=podman` the same with podman in docker's place.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::Value;
use support::{Product, read, repository};

const TARGETS: [&str; 2] = ["aarch64-unknown-linux-gnu", "x86_64-pc-windows-gnu"];
const VARIATIONS: [&str; 6] = ["target-directory", "cargo-home", "jobs", "locale", "umask", "hostname"];

/// The fixture as somebody's repository, changed by `change`.
fn everything(change: impl FnOnce(&Path)) -> Product {
    let product = Product::new("everything");
    fs::remove_file(product.path().join("Cargo.lock")).unwrap();
    let from = repository().join("tests/fixtures/reproducible/.");
    read(product.path(), &["cp", "-r", from.to_str().unwrap(), "."]);
    change(product.path());
    product.commit("everything");
    let day = "GIT_COMMITTER_DATE=2024-02-29T12:00:00Z";
    read(product.path(), &["env", day, "git", "commit", "--quiet", "--amend", "--no-edit"]);
    product
}

fn release(product: &Product, builder: &str, targets: &[&str]) -> PathBuf {
    let targets = targets.iter().flat_map(|target| ["--target", *target]);
    let args: Vec<_> = ["release", "--builder", builder].into_iter().chain(targets).collect();
    let released = product.json(&args);
    PathBuf::from(released["folder"].as_str().unwrap())
}

/// Builds `release` again with `varied` different, and holds the two to be the same.
fn same_again(product: &Product, release: &Path, varied: &str) {
    let out = tempfile::tempdir().unwrap();
    let folder = out.path().to_str().unwrap();
    let args =
        ["reproduce", release.to_str().unwrap(), "--vary", varied, "--out", folder, "--format", "json"];
    let ended = product.run(&args);
    let told = format!("{}{}", ended.stdout, ended.stderr);
    assert_eq!(ended.code, Some(0), "{varied}: {told}");
    let statement: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(statement["predicate"]["verdict"], "identical", "{varied}: {told}");
    let sums = |folder: &Path| fs::read_to_string(folder.join("SHA256SUMS")).unwrap();
    assert_eq!(sums(out.path()), sums(release), "{varied}: {told}");
}

#[test]
fn the_program_has_everything() {
    let folder = repository().join("tests/fixtures/reproducible");
    for target in TARGETS {
        let args =
            ["cargo", "tree", "--locked", "--target", target, "--edges", "normal,build", "--prefix", "none"];
        let tree = read(&folder, &args);
        let crates: BTreeSet<_> = tree.lines().map(|line| line.trim_end_matches(" (*)")).collect();
        assert!(crates.len() >= 50, "{target}: {} crates", crates.len());
        for name in ["cc ", "maker ", "parts "] {
            assert!(crates.iter().any(|one| one.starts_with(name)), "{name} for {target}");
        }
    }
}

#[test]
fn with_an_engine_it_is_the_same_whatever_is_different() {
    let engine = if asked("podman") { "podman" } else { "docker" };
    holds(engine, &["x86_64-windows"]);
}

#[test]
fn with_zig_it_is_the_same_whatever_is_different() {
    holds("zig", &["aarch64-linux"]);
}

fn holds(builder: &str, targets: &[&str]) {
    let all = asked("all") || asked("podman");
    let targets = if all { &["aarch64-linux", "x86_64-windows"] } else { targets };
    let product = everything(|_| {});
    let folder = release(&product, builder, targets);
    // C says the day of the commit, not today.
    let archive = folder.join("everything-1.0.0-aarch64-linux.tar.gz");
    let has_archive = targets.contains(&"aarch64-linux");
    let script = format!("tar -xzOf {} | grep -ac 'Feb 29 2024 12:00:00'", archive.display());
    assert!(!has_archive || read(product.path(), &["sh", "-c", &script]).trim() == "1", "{script}");
    same_again(&product, &folder, &VARIATIONS.join(","));
    if all {
        for variation in VARIATIONS {
            let begun = Instant::now();
            same_again(&product, &folder, variation);
            told(&format!("{builder:<7} {variation:<17} identical {:>4} s", begun.elapsed().as_secs()));
        }
        for lto in ["fat", "thin", "off"] {
            for units in ["1", "16"] {
                let begun = Instant::now();
                let product = everything(|folder| {
                    let path = folder.join("Cargo.toml");
                    let text = fs::read_to_string(&path).unwrap();
                    let profile = format!(
                        "[profile.release]\ndebug = \"line-tables-only\"\nlto = \"{lto}\"\ncodegen-units = {units}\n"
                    );
                    let text = text.split("[profile.release]").next().unwrap();
                    fs::write(path, format!("{text}{profile}")).unwrap();
                });
                let folder = release(&product, builder, targets);
                same_again(&product, &folder, "umask");
                let row = format!("lto {lto}, {units} units");
                told(&format!("{builder:<7} {row:<17} identical {:>4} s", begun.elapsed().as_secs()));
            }
        }
    }
}

fn asked(what: &str) -> bool {
    std::env::var("SEAWORTHY_REPRODUCIBLE").is_ok_and(|asked| asked == what)
}

/// A row for whoever runs the whole suite.
#[expect(clippy::print_stderr, reason = "the suite's table is what it is run for")]
fn told(row: &str) {
    eprintln!("{row}");
}
