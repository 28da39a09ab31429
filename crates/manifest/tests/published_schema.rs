//! The types, the committed schema and an independent validator must tell the same story.

use artifact::{
    BuilderKind, Digest, Edit, Finding, Outcome, Report, Source, Target, ToolchainIdentity, Verified, Waiver,
};
use manifest::{ErrorKind, Manifest, Smoke};
use seaworthy_manifest as manifest;
use serde_json::{Value, json};

const PUBLISHED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/manifest-v1.json");

#[test]
fn the_committed_schema_is_the_one_the_types_make() {
    let made = manifest::schema();
    if std::env::var_os("SEAWORTHY_BLESS").is_some_and(|value| value == "1") {
        let text = serde_json::to_string_pretty(&made).unwrap() + "\n";
        std::fs::write(PUBLISHED, text).unwrap();
    }
    let committed: Value = serde_json::from_slice(&std::fs::read(PUBLISHED).unwrap()).unwrap();
    assert_eq!(committed, made, "run this test once with SEAWORTHY_BLESS=1 and look at the difference");
    assert!(made.get("$id").is_none());
}

#[test]
fn a_sample_follows_the_schema_and_comes_back_equal() {
    let sample = sample();
    let bytes = sample.to_bytes();
    assert!(validates(&serde_json::from_slice(&bytes).unwrap()));
    let again = Manifest::read(&bytes).unwrap();
    assert_eq!(again.to_bytes(), bytes);
    assert_eq!(bytes.last(), Some(&b'\n'));
}

#[test]
fn what_the_schema_refuses_the_reader_refuses_too() {
    let mutations: &[(&str, Value)] = &[
        ("/schema_version", json!(2)),
        ("/schema_version", json!("1")),
        ("/unknown", json!(true)),
        ("/dirty", json!("no")),
        ("/commit_time", json!("today")),
        ("/builders/aarch64-linus", json!({})),
        ("/builders/aarch64-linux/kind", json!("cross")),
        ("/builders/aarch64-linux/lock", json!("abc")),
        ("/builders/aarch64-linux/unknown", json!(1)),
        ("/artifacts/0/target", json!("aarch64-linus")),
        ("/artifacts/0/sha256", json!("xyz")),
        ("/artifacts/0/size", json!(-1)),
        ("/artifacts/0/unknown", json!(1)),
        ("/artifacts/0/edits/0/bytes_saved", json!(0.5)),
        ("/artifacts/0/rules/0/outcome", json!("maybe")),
        ("/artifacts/0/rules/0/unknown", json!(1)),
        ("/artifacts/0/rules/2/waived/unknown", json!(1)),
        ("/artifacts/0/rules/2/waived/expires", json!(7)),
        ("/artifacts/0/rules/0", json!(["SW-ELF-RELRO", "pass", "a list for an object"])),
        ("/artifacts/0/smoke/result", json!("failed")),
        ("/artifacts/0/smoke/unknown", json!(1)),
        ("/files/0/kind", json!("installer")),
        ("/files/0/members/0/mode", json!(755)),
        ("/files/0/members/0/unknown", json!(1)),
    ];
    for (pointer, value) in mutations {
        let mut document = document();
        set(&mut document, pointer, value.clone());
        assert!(!validates(&document), "the schema took {pointer} = {value}");
        assert!(Manifest::read(&serde_json::to_vec(&document).unwrap()).is_err(), "{pointer} = {value}");
    }
}

#[test]
fn no_required_field_may_be_missing() {
    let fields = [
        ("", "schema_version"),
        ("", "product"),
        ("", "commit"),
        ("", "dirty"),
        ("", "builders"),
        ("", "artifacts"),
        ("", "files"),
        ("/builders/aarch64-linux", "lock"),
        ("/artifacts/0", "smoke"),
        ("/artifacts/1/smoke", "why"),
        ("/files/0/members/0", "mode"),
    ];
    for (parent, field) in fields {
        let mut document = document();
        let parent = document.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        assert!(parent.remove(field).is_some(), "{field}");
        assert!(!validates(&document), "{field}");
        assert!(Manifest::read(&serde_json::to_vec(&document).unwrap()).is_err(), "{field}");
    }
}

#[test]
fn errors_name_what_is_wrong() {
    let read = |document: &Value| Manifest::read(&serde_json::to_vec(document).unwrap()).unwrap_err();

    let mut other = document();
    set(&mut other, "/schema_version", json!(2));
    let error = read(&other);
    assert_eq!(error.kind(), ErrorKind::OtherSchemaVersion);
    assert!(error.to_string().contains("version 2"), "{error}");

    let mut unknown = document();
    set(&mut unknown, "/comit", json!("x"));
    let error = read(&unknown);
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(error.to_string().contains("`comit`"), "{error}");

    for bytes in [b"".as_slice(), b"{}", b"\xff\xfe", &[b'['; 100_000]] {
        assert_eq!(Manifest::read(bytes).unwrap_err().kind(), ErrorKind::NotAManifest);
    }
}

#[test]
fn the_order_in_which_lists_were_filled_does_not_show() {
    let straight = sample();
    let mut shuffled = sample();
    shuffled.artifacts.reverse();
    shuffled.files.reverse();
    for artifact in &mut shuffled.artifacts {
        artifact.rules.reverse();
    }
    for file in &mut shuffled.files {
        file.members.reverse();
    }
    assert_ne!(straight, shuffled);
    assert_eq!(straight.to_bytes(), shuffled.to_bytes());
}

fn validates(document: &Value) -> bool {
    jsonschema::draft202012::new(&manifest::schema()).unwrap().is_valid(document)
}

fn document() -> Value {
    serde_json::from_slice(&sample().to_bytes()).unwrap()
}

fn set(document: &mut Value, pointer: &str, value: Value) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = document.pointer_mut(parent).unwrap();
    match parent {
        Value::Array(parent) => parent[key.parse::<usize>().unwrap()] = value,
        parent => drop(parent.as_object_mut().unwrap().insert(key.to_owned(), value)),
    }
}

fn sample() -> Manifest {
    let source = Source {
        product: "ship".to_owned(),
        version: "1.2.3".to_owned(),
        commit: "0123456789abcdef0123456789abcdef01234567".to_owned(),
        commit_time: 1_700_000_000,
        dirty: false,
    };
    let mut sample = Manifest::new(&source);
    let smokes = [
        Smoke::Ran { runner: "qemu-aarch64-static".to_owned(), output: "ship 1.2.3\n".to_owned() },
        Smoke::NotRun { why: "wine 8.0 lacks bcryptprimitives.dll".to_owned() },
    ];
    for (target, smoke) in [Target::Aarch64Linux, Target::X86_64Windows].into_iter().zip(smokes) {
        let verified = verified(target);
        let builder = manifest::Builder::new(&verified.stage().finished().toolchain, "asked for by name");
        sample.builders.insert(target, builder);
        sample.artifacts.push(manifest::Artifact::new(&verified, smoke));
        for kind in [manifest::FileKind::Archive, manifest::FileKind::Symbols] {
            sample.files.push(file(target, kind));
        }
    }
    sample
}

fn file(target: Target, kind: manifest::FileKind) -> manifest::File {
    let member = |path: &str| manifest::Member {
        path: path.to_owned(),
        size: 3,
        sha256: Digest::of(path.as_bytes()),
        mode: "0644".to_owned(),
    };
    manifest::File {
        name: format!("ship-1.2.3-{target}-{kind:?}.zip"),
        kind,
        target,
        size: 100,
        sha256: Digest::of(target.name().as_bytes()),
        members: vec![member("ship/README.md"), member("ship/LICENSE")],
    }
}

fn verified(target: Target) -> artifact::Artifact<Verified> {
    let identity = ToolchainIdentity {
        builder: BuilderKind::Zig,
        rustc: "1.95.0 (59807616e)".to_owned(),
        lock: Some(Digest::of(b"lock")),
        parts: [("zig".to_owned(), "0.13.0".to_owned())].into(),
    };
    let program = std::env::current_exe().expect("a test has an executable");
    let edits =
        vec![Edit { name: "strip-symbols".to_owned(), detail: "3 sections".to_owned(), bytes_saved: 7 }];
    let built = artifact::Artifact::built(target, "ship", program.clone(), identity).unwrap();
    let finished = built.finished(program, edits, None).unwrap();
    let finding = |rule: &str, outcome| Finding {
        rule: rule.to_owned().into(),
        outcome,
        observed: "observed".into(),
        expected: "".into(),
        why: "".into(),
        fix: "".into(),
        evidence: Vec::new(),
        waived: None,
    };
    let waiver = Waiver {
        rule: "SW-STRIPPED".to_owned(),
        path: "ship*".to_owned(),
        target: None,
        reason: "the field asked for symbols".to_owned(),
        ticket: "SHIP-7".to_owned(),
        expires: "2999-12-31".to_owned(),
    };
    let waived = Finding { waived: Some(Box::new(waiver)), ..finding("SW-STRIPPED", Outcome::Fail) };
    let findings = vec![
        finding("SW-ELF-RELRO", Outcome::Pass),
        finding("SW-ELF-BUILD-ID", Outcome::NotApplicable),
        waived,
    ];
    let report = Report { subject: Some(finished.digest()), path: "ship".to_owned(), findings };
    finished.accept(report).unwrap()
}
