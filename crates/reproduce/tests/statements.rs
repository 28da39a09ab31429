//! What rebuilders say: signed, read back, weighed; and what is refused.
#![expect(clippy::disallowed_methods, reason = "keys are made by ssh-keygen, and its verdict is asked for")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use artifact::{BuilderKind, Digest, Target};
use manifest::{Builder, File, FileKind, Manifest, SCHEMA_VERSION};
use reproduce::{
    ErrorKind, FileComparison, Rebuilder, Signers, Statement, Sworn, Verdict, challenge, compare, sign,
    verify_signature,
};

const TARGET: Target = Target::Aarch64Linux;

fn published() -> Manifest {
    let file = File {
        name: "daemon-1.0.tar.gz".to_owned(),
        kind: FileKind::Archive,
        target: TARGET,
        size: 3,
        sha256: Digest::of(b"one"),
        members: Vec::new(),
    };
    Manifest {
        schema_version: SCHEMA_VERSION,
        product: "daemon".to_owned(),
        version: "1.0".to_owned(),
        commit: "0123456789abcdef0123456789abcdef01234567".to_owned(),
        commit_time: 1_700_000_000,
        dirty: false,
        builders: BTreeMap::new(),
        artifacts: Vec::new(),
        files: vec![file],
    }
}

/// What a rebuilder says who got `content`, built with gcc of `version`.
fn statement(name: &str, content: &[u8], version: &str) -> Statement {
    let published = published();
    let builder = Builder {
        kind: BuilderKind::Docker,
        why: "asked for".to_owned(),
        rustc: "1.95.0".to_owned(),
        lock: None,
        parts: BTreeMap::from([("compiler".to_owned(), version.to_owned())]),
    };
    let rebuilt = Manifest { builders: BTreeMap::from([(TARGET, builder)]), ..published.clone() };
    let file = FileComparison {
        file: compare(&published.files[0].name, b"one", content),
        published_sha256: Digest::of(b"one"),
        rebuilt_sha256: Some(Digest::of(content)),
        members: Vec::new(),
    };
    let rebuilder = Rebuilder { name: name.to_owned(), tool: "seaworthy 0.1.0".to_owned() };
    Statement::new(&published, &rebuilt, rebuilder, BTreeSet::from(["umask".to_owned()]), vec![file])
}

fn sworn(name: &str, content: &[u8], version: &str) -> Sworn {
    Sworn { by: name.to_owned(), statement: statement(name, content, version) }
}

#[test]
fn a_statement_is_read_as_it_was_written() {
    let statement = statement("alice", b"other", "gcc 10");
    let bytes = statement.to_bytes();
    assert_eq!(Statement::read(&bytes).unwrap(), statement);
    let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(value["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(value["subject"][0]["digest"]["sha256"], Digest::of(b"one").to_string());
}

#[test]
fn a_statement_that_contradicts_itself_is_refused() {
    let text = String::from_utf8(statement("alice", b"other", "gcc 10").to_bytes()).unwrap();
    for (from, to, told) in [
        ("https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v2", "version 1"),
        ("urn:seaworthy:rebuild:1", "urn:seaworthy:rebuild:2", "version 1"),
        (
            "\"verdict\": \"different\",\n    \"files\"",
            "\"verdict\": \"identical\",\n    \"files\"",
            "do not",
        ),
        ("\"verdict\": \"different\"", "\"verdict\": \"identical\"", "contradicts itself"),
        ("\"varied\"", "\"waried\"", "waried"),
    ] {
        let bent = text.replace(from, to);
        assert_ne!(bent, text, "{from} is in there");
        let error = Statement::read(bent.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotAStatement);
        assert!(error.to_string().contains(told), "{told}: {error}");
    }
    for length in 0..text.len() - 1 {
        assert!(Statement::read(&text.as_bytes()[..length]).is_err(), "cut to {length} bytes");
    }
}

#[test]
fn enough_who_agree_are_enough_and_who_does_not_is_named_with_what_is_different_there() {
    let all = [
        sworn("alice", b"one", "gcc 10"),
        sworn("bob", b"one", "gcc 10"),
        sworn("mallory", b"two", "gcc 12"),
    ];
    let two_of_three = challenge(&all, 2).unwrap();
    assert!(two_of_three.holds());
    let file = &two_of_three.files[0];
    assert_eq!(file.agree, ["alice", "bob"]);
    let dissent = &file.dissent[0];
    assert_eq!((dissent.by.as_str(), dissent.verdict), ("mallory", Verdict::Different));
    assert_eq!(dissent.sha256, Some(Digest::of(b"two")));
    assert_eq!(dissent.inputs, ["aarch64-linux: compiler is gcc 12, theirs gcc 10"]);
    assert!(!challenge(&all, 3).unwrap().holds());
    assert!(!challenge(&all[2..], 0).unwrap().holds(), "nobody is never enough");

    let twice = [all[0].clone(), all[0].clone()];
    let mut other = all[1].clone();
    other.statement.subject[0].digest.insert("sha256".to_owned(), Digest::of(b"three"));
    for (sworn, told) in [
        (&twice[..], "`alice` speaks twice"),
        (&[all[0].clone(), other][..], "different releases"),
        (&[], "no statement"),
    ] {
        let error = challenge(sworn, 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotOneRelease);
        assert!(error.to_string().contains(told), "{error}");
    }
}

fn ssh_keygen(words: &[&str]) -> bool {
    let status = Command::new("ssh-keygen").args(words).output();
    status.expect("apt-get install openssh-client").status.success()
}

fn key(folder: &Path, name: &str) -> (PathBuf, String) {
    let path = folder.join(name);
    assert!(ssh_keygen(&["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path.to_str().unwrap()]));
    let public = fs::read_to_string(path.with_extension("pub")).unwrap();
    (path, public)
}

#[test]
fn signatures_are_openssh_s_and_hold_for_these_bytes_and_this_purpose_alone() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    let (alice, public) = key(place, "alice");
    let (mallory, _) = key(place, "mallory");
    fs::write(place.join("signers"), format!("alice@example {public}")).unwrap();
    let signers = Signers::open(&place.join("signers")).unwrap();
    let file = place.join("rebuild.json");
    fs::write(&file, statement("alice", b"one", "gcc 10").to_bytes()).unwrap();

    let error = verify_signature(&file, &signers).unwrap_err();
    assert!(error.to_string().contains("no signature"), "{error}");
    let signature = sign(&file, &alice).unwrap();
    assert_eq!(verify_signature(&file, &signers).unwrap(), "alice@example");
    let first = fs::read(&signature).unwrap();
    sign(&file, &alice).unwrap();
    assert_eq!(fs::read(&signature).unwrap(), first, "the same bytes and key, the same signature");

    let refused = |told: &str| {
        let error = verify_signature(&file, &signers).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadSignature, "{error}");
        assert!(error.to_string().contains(told), "{told}: {error}");
    };
    sign(&file, &mallory).unwrap();
    refused("nobody in");
    fs::write(&signature, &first).unwrap();
    let mut bytes = fs::read(&file).unwrap();
    bytes[9] ^= 1;
    fs::write(&file, bytes).unwrap();
    refused("rebuild.json");
    // Made with the right key, for another purpose.
    fs::remove_file(&signature).unwrap();
    let words = ["-q", "-Y", "sign", "-n", "git", "-f", alice.to_str().unwrap(), file.to_str().unwrap()];
    assert!(ssh_keygen(&words));
    refused("rebuild.json");
    let error = sign(&file, &place.join("no-such-key")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadKey);
}
