//! Archives and release folders: the same bytes each time, and nothing damaged or half-made passes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use artifact::{
    Artifact, BuilderKind, Finding, Outcome, Report, Source, Target, ToolchainIdentity, Verified,
};
use manifest::Manifest;
use package::{Archive, BundleFile, ErrorKind, Layout, Staging, pack, read_back, read_release};
use xshell::{Shell, cmd};

fn program(folder: &Path, target: Target) -> Artifact<Verified> {
    let path = folder.join("program");
    fs::write(&path, b"\x7fELF as far as this test goes").unwrap();
    fs::write(folder.join("program.debug"), b"symbols").unwrap();
    let toolchain = ToolchainIdentity {
        builder: BuilderKind::Host,
        rustc: String::new(),
        lock: None,
        parts: BTreeMap::new(),
    };
    let built = Artifact::built(target, "program", path.clone(), toolchain).unwrap();
    let finished = built.finished(path, Vec::new(), Some(folder.join("program.debug"))).unwrap();
    let finding = Finding {
        rule: "SW-TEST".into(),
        outcome: Outcome::Pass,
        observed: "".into(),
        expected: "".into(),
        why: "".into(),
        fix: "".into(),
        evidence: Vec::new(),
        waived: None,
    };
    let report = Report { subject: Some(finished.digest()), path: String::new(), findings: vec![finding] };
    finished.accept(report).unwrap()
}

fn layout(folder: &Path, bundle: &[(&str, &str)]) -> Layout {
    fs::write(folder.join("README"), "read me").unwrap();
    let source = Source {
        product: "ship".to_owned(),
        version: "1.2.3".to_owned(),
        commit: "abc".to_owned(),
        commit_time: 1_700_000_000,
        dirty: false,
    };
    let file = |(from, to): &(&str, &str)| BundleFile {
        from: folder.join(from),
        to: (*to).to_owned(),
        targets: Vec::new(),
    };
    Layout { source, out_dir: folder.join("dist"), bundle: bundle.iter().map(file).collect() }
}

fn packed(folder: &Path, target: Target) -> (Staging, Layout, Vec<Archive>) {
    let layout = layout(folder, &[("README", "docs/README")]);
    let staging = Staging::begin(&layout).unwrap();
    let archives = pack(target, &[&program(folder, target)], &layout, &staging).unwrap();
    (staging, layout, archives)
}

fn publish(staging: Staging, layout: &Layout, archives: &[Archive]) -> std::path::PathBuf {
    let mut manifest = Manifest::new(&layout.source);
    manifest.files = archives.iter().map(|archive| archive.record.clone()).collect();
    staging.publish(&manifest).unwrap()
}

#[test]
fn two_folders_give_the_same_bytes_and_others_tools_read_them() {
    let shell = Shell::new().unwrap();
    for target in [Target::Aarch64Linux, Target::X86_64Windows] {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (staging, layout, archives) = packed(one.path(), target);
        let (_other, _, again) = packed(two.path(), target);
        assert_eq!(archives.len(), 2, "programs and symbols");
        for (a, b) in archives.iter().zip(&again) {
            assert_eq!(a.record, b.record);
        }
        let folder = publish(staging, &layout, &archives);
        shell.change_dir(&folder);
        cmd!(shell, "sha256sum --check --strict --quiet SHA256SUMS").quiet().run().unwrap();
        let name = &archives[0].record.name;
        let listed = if target == Target::X86_64Windows {
            cmd!(shell, "unzip -Z {name}").quiet().read().expect("unzip runs: apt-get install unzip")
        } else {
            cmd!(shell, "tar --utc --full-time -tvzf {name}").quiet().read().unwrap()
        };
        let program = listed.lines().find(|line| line.contains("/program")).unwrap_or_default();
        let readme = listed.lines().find(|line| line.contains("/docs/README")).unwrap_or_default();
        assert!(program.starts_with("-rwxr-xr-x") && readme.starts_with("-rw-r--r--"), "{listed}");
        assert!(listed.contains("2023-11-14 22:13:20") || listed.contains("23-Nov-14 22:13"), "{listed}");
    }
}

#[test]
fn a_flipped_byte_a_missing_member_and_a_lying_record_are_refused() {
    for target in [Target::Aarch64Linux, Target::X86_64Windows] {
        let folder = tempfile::tempdir().unwrap();
        let (_staging, _, archives) = packed(folder.path(), target);
        read_back(&archives[0], &mut |_| {}).unwrap();

        let mut lying = archives[0].clone();
        lying.record.members[0].sha256 = artifact::Digest::of(b"other");
        assert_eq!(read_back(&lying, &mut |_| {}).unwrap_err().kind(), ErrorKind::Damaged);
        let mut short = archives[0].clone();
        short.record.members.pop();
        assert_eq!(
            read_back(&short, &mut |_| panic!("nothing is shown of it")).unwrap_err().kind(),
            ErrorKind::Damaged
        );

        let mut bytes = fs::read(&archives[0].path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&archives[0].path, bytes).unwrap();
        assert_eq!(read_back(&archives[0], &mut |_| {}).unwrap_err().kind(), ErrorKind::Damaged);
    }
}

#[test]
fn a_bundle_file_that_is_missing_outside_or_twice_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let verified = program(folder.path(), Target::X86_64Windows);
    for bundle in [
        &[("missing", "missing")][..],
        &[("README", "../README")],
        &[("README", "/README")],
        &[("README", "C:README")],
        &[("README", "a"), ("README", "A")],
        &[("README", "Program.EXE")],
    ] {
        let layout = layout(folder.path(), bundle);
        let staging = Staging::begin(&layout).unwrap();
        let error = pack(Target::X86_64Windows, &[&verified], &layout, &staging).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadBundle, "{bundle:?}: {error}");
    }
}

#[test]
fn a_program_that_changed_after_it_was_verified_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let layout = layout(folder.path(), &[]);
    let verified = program(folder.path(), Target::Aarch64Linux);
    fs::write(verified.path(), "something else").unwrap();
    let staging = Staging::begin(&layout).unwrap();
    let error = pack(Target::Aarch64Linux, &[&verified], &layout, &staging).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged);
}

#[test]
fn a_newer_release_takes_the_place_of_the_older_and_leavings_are_swept() {
    let folder = tempfile::tempdir().unwrap();
    let (staging, layout, archives) = packed(folder.path(), Target::Aarch64Linux);
    assert_eq!(Staging::begin(&layout).unwrap_err().kind(), ErrorKind::Busy);
    let place = publish(staging, &layout, &archives);
    fs::write(place.join("older"), "").unwrap();
    fs::create_dir(layout.out_dir.join(".partial-of-a-killed-run")).unwrap();

    let (staging, layout, archives) = packed(folder.path(), Target::Aarch64Linux);
    assert!(place.join("older").exists(), "until the new one is whole, the old one stands");
    publish(staging, &layout, &archives);
    assert!(!place.join("older").exists());
    let mut left: Vec<_> =
        fs::read_dir(&layout.out_dir).unwrap().flatten().map(|entry| entry.file_name()).collect();
    left.sort();
    assert_eq!(left, [".lock", "ship-1.2.3"]);
    assert_eq!(read_release(&place).unwrap().1.len(), 2);
}

#[test]
fn a_full_disk_is_named_and_the_last_release_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (staging, layout, archives) = packed(folder.path(), Target::Aarch64Linux);
    let place = publish(staging, &layout, &archives);
    // Writing to /dev/full fails as a full disk does, whoever runs the test.
    let staging = Staging::begin(&layout).unwrap();
    let name = &archives[0].record.name;
    std::os::unix::fs::symlink("/dev/full", staging.folder().join(name)).unwrap();
    let error =
        pack(Target::Aarch64Linux, &[&program(folder.path(), Target::Aarch64Linux)], &layout, &staging)
            .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSpace, "{error:?}");
    assert!(error.to_string().contains(name.as_str()) && error.hint().is_some());
    drop(staging);
    read_release(&place).unwrap();
}
