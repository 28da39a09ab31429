//! Places through the real program: what is printed, what the exit codes say, and that the JSON follows its schemas.

use std::fs;
use std::path::Path;

use serde_json::Value;
use support::{Checkout, Ended, Product, ended, repository, xtask};

#[expect(clippy::disallowed_methods, reason = "the tests start the real program")]
fn run(args: &[&str]) -> Ended {
    ended(std::process::Command::new(xtask()).args(args))
}

#[track_caller]
fn told(args: &[&str], code: i32, texts: &[&str]) -> Ended {
    let ended = run(args);
    assert_eq!(ended.code, Some(code), "{args:?}: {}{}", ended.stdout, ended.stderr);
    for text in texts {
        let all = format!("{}{}", ended.stdout, ended.stderr);
        assert!(all.contains(text), "`{text}` is not in: {all}");
    }
    ended
}

#[track_caller]
fn follows(schema: &str, document: &str) -> Value {
    let committed = fs::read_to_string(repository().join(format!("docs/schema/{schema}.json"))).unwrap();
    let committed: Value = serde_json::from_str(&committed).unwrap();
    let printed: Value = serde_json::from_str(&run(&["schema", schema]).stdout).unwrap();
    assert_eq!(printed, committed, "cargo xtask schema {schema} > docs/schema/{schema}.json");
    let document: Value = serde_json::from_str(document).unwrap();
    let errors: Vec<_> = jsonschema::draft202012::new(&committed)
        .unwrap()
        .iter_errors(&document)
        .map(|error| error.to_string())
        .collect();
    assert!(errors.is_empty(), "{errors:?}");
    document
}

/// A root with a few settings and no packages.
fn root(folder: &Path, name: &str, motd: &str) -> String {
    let root = folder.join(name);
    fs::create_dir_all(root.join("etc")).unwrap();
    fs::create_dir_all(root.join("var/lib/dpkg")).unwrap();
    fs::write(root.join("etc/motd"), motd).unwrap();
    fs::write(root.join("etc/os-release"), "PRETTY_NAME=\"Test 1\"\nID=test\n").unwrap();
    let package = "Package: leaf\nStatus: install ok installed\nArchitecture: all\nVersion: 1.0-1\n";
    fs::write(root.join("var/lib/dpkg/status"), package).unwrap();
    root.to_str().unwrap().to_owned()
}

#[test]
fn places_are_captured_compared_and_followed_over_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (a, b) = (root(folder.path(), "a", "hello"), root(folder.path(), "b", "goodbye"));
    let captured = told(&["env", "capture", &a, "--name", "golden"], 0, &["golden"]);
    follows("capture", &captured.stdout);
    told(&["env", "diff", &a, &a], 0, &["within", "drift rate 0.0 of 100"]);
    told(
        &["env", "diff", &a, &b],
        11,
        &["DRIFTED", "/etc/motd is another one in B", "fix:", "copy /etc/motd from A"],
    );
    let drift = told(&["env", "diff", &a, &b, "--format", "json"], 11, &[]);
    assert_eq!(follows("drift", &drift.stdout)["differences"][0]["key"], "/etc/motd");

    let policy = path("drift.toml");
    let waiver = "[[waiver]]\nkey = \"config//etc/motd\"\nreason = \"r\"\nticket = \"OPS-1\"\nexpires = \"2999-12-31\"\n";
    fs::write(&policy, waiver).unwrap();
    told(&["env", "diff", &a, &b, "--policy", &policy], 0, &["within", "waived", "OPS-1"]);
    told(&["env", "diff", &a, &a, "--policy", &policy], 3, &["waives nothing", "next:"]);
    fs::write(&policy, waiver.replace("2999", "2001")).unwrap();
    told(&["env", "diff", &a, &b, "--policy", &policy], 3, &["expired on 2001-12-31"]);

    let history = path("history");
    fs::create_dir(&history).unwrap();
    for (place, day) in [(&a, "2026-11-01"), (&b, "2026-11-02")] {
        let out = format!("{history}/{day}.json");
        told(&["env", "capture", place, "--at", day, "--name", "host", "--out", &out], 0, &["Test 1"]);
    }
    told(
        &["env", "trend", &a, &history],
        11,
        &["2026-11-01", "+ config//etc/motd", "from the first to the last"],
    );
    let trend = told(&["env", "trend", &a, &history, "--format", "json"], 11, &[]);
    assert_eq!(follows("trend", &trend.stdout)["points"][1]["appeared"][0], "config//etc/motd");
    let fleet = told(&["env", "diff", &a, &history, "--format", "json"], 11, &[]);
    assert_eq!(follows("fleet", &fleet.stdout)["prevalence"], 0.5);
    told(&["env", "diff", &a, &history], 11, &["50.0 % of 2 places", "config//etc/motd"]);

    told(&["env", "capture", &a, "--at", "yesterday"], 3, &["is no day"]);
    told(&["env", "capture", "/no/such/place"], 2, &["/no/such/place", "next:"]);
    fs::write(path("key"), "short").unwrap();
    told(&["env", "capture", &a, "--key", &path("key")], 3, &["fewer than 16 bytes"]);
    fs::write(path("other.json"), "{\"schema_version\": 7}").unwrap();
    told(&["env", "diff", &a, &path("other.json")], 2, &["version 7, not 1"]);
}

#[test]
fn a_release_is_asked_whether_it_runs_there() {
    let product: Product = Checkout::new("product");
    product.write("src/main.rs", "fn main() { println!(\"product {}\", env!(\"CARGO_PKG_VERSION\")); }\n");
    product.write(
        "release.toml",
        "[product]\npackage = \"product\"\ntargets = [\"x86_64-linux\"]\n\n[build]\nbuilder = \"host\"\n\n[target.x86_64-linux]\nglibc-floor = \"2.36\"\n",
    );
    product.commit("first");
    let released = product.json(&["release"]);
    let release = released["folder"].as_str().unwrap();
    told(&["env", "check", "--release", release, "--target", "/"], 0, &["runs", "product (x86_64-linux)"]);
    let cross = told(&["env", "check", "--release", release, "--target", "/usr/aarch64-linux-gnu"], 1, &[]);
    assert!(cross.stdout.contains("no program for aarch64"), "{}", cross.stdout);
    let folder = tempfile::tempdir().unwrap();
    let empty = root(folder.path(), "empty", "x");
    let args = ["env", "check", "--release", release, "--target", &empty];
    told(&args, 1, &["FAILS", "the loader /lib64/ld-linux-x86-64.so.2 is absent", "library libc.so.6"]);
    let json = run(&[&args[..], &["--format", "json"]].concat());
    let checked = follows("check", &json.stdout);
    assert_eq!(checked["programs"][0]["name"], "product");
}
