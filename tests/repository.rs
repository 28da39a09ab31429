//! The house itself: which way imports point, and what every file owes its reader.

use std::fs;
use std::path::{Path, PathBuf};

use support::{read, repository};

const NOUNS: &[&str] = &["artifact", "provenance", "inputs", "inspect", "closure", "manifest"];
const VERBS: &[&str] =
    &["toolchain", "compile", "finish", "verify", "smoke", "package", "reproduce", "environment"];

#[test]
fn imports_point_one_way() {
    for verb in VERBS {
        for ours in dependencies(verb) {
            assert!(NOUNS.contains(&ours.as_str()), "verbs do not import each other: {verb} imports {ours}");
        }
    }
    for noun in ["inputs", "inspect", "manifest"] {
        assert_eq!(dependencies(noun), ["artifact"], "{noun} imports artifact alone");
    }
    assert_eq!(dependencies("closure"), ["artifact", "inspect"], "closure builds upon what inspect reads");
    for noun in ["artifact", "provenance"] {
        assert!(dependencies(noun).is_empty(), "{noun} imports nothing of ours");
    }
}

#[test]
fn every_source_file_says_what_it_is_and_leaves_nothing_open() {
    let mut seen = 0;
    for path in source_files() {
        seen += 1;
        let text = fs::read_to_string(repository().join(&path)).unwrap();
        assert!(
            text.starts_with("//!") || text.starts_with("#!"),
            "{} opens with what it is for",
            path.display()
        );
        for mark in [concat!("to", "do!("), concat!("unimple", "mented!("), concat!("#[ig", "nore")] {
            assert!(!text.contains(mark), "{} holds {mark}", path.display());
        }
    }
    assert!(seen > 100, "only {seen} source files were found");
}

#[test]
fn the_changelog_knows_the_version() {
    let cargo: toml::Table = fs::read_to_string(repository().join("Cargo.toml")).unwrap().parse().unwrap();
    let version = cargo["workspace"]["package"]["version"].as_str().unwrap();
    let changelog = fs::read_to_string(repository().join("CHANGELOG.md")).unwrap();
    assert!(changelog.contains(version), "CHANGELOG.md does not name {version}");
}

#[test]
fn every_dependency_may_be_shipped_under_our_licences() {
    let allowed = [
        "MIT",
        "MIT-0",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "ISC",
        "Zlib",
        "Unicode-3.0",
        "CC0-1.0",
        "0BSD",
        "Unlicense",
        "BSL-1.0",
        "LLVM-exception",
        "bzip2-1.0.6",
        "MPL-2.0",
    ];
    let metadata = read(repository(), &["cargo", "metadata", "--locked", "--format-version", "1"]);
    let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 50);
    for package in packages {
        let licence = package["license"].as_str().unwrap_or_default().replace('/', " OR ");
        // Of alternatives one suffices; of what is joined by AND or WITH, each part is needed.
        let suffices = |part: &str| {
            let names = part.split([' ', '(', ')']).filter(|word| !matches!(*word, "" | "AND" | "WITH"));
            let names: Vec<_> = names.collect();
            !names.is_empty() && names.iter().all(|name| allowed.contains(name))
        };
        assert!(licence.split(" OR ").any(suffices), "{}: licence `{licence}`", package["name"]);
    }
}

/// What `crate` imports of ours in its normal dependencies.
fn dependencies(name: &str) -> Vec<String> {
    let path = repository().join("crates").join(name).join("Cargo.toml");
    let manifest: toml::Table = fs::read_to_string(path).unwrap().parse().unwrap();
    let names = manifest["dependencies"].as_table().unwrap().keys().cloned();
    names.filter(|name| repository().join("crates").join(name).is_dir()).collect()
}

fn source_files() -> Vec<PathBuf> {
    let listed = read(repository(), &["git", "ls-files", "*.rs"]);
    listed
        .lines()
        .map(|line| Path::new(line).to_owned())
        .filter(|path| repository().join(path).exists())
        .collect()
}
