//! The JSON that `inspect` and `verify` really write, held against the committed schemas by a validator that is not ours.

use std::fs;

use serde_json::{Value, json};
use support::{Checkout, repository};

const FIXTURES: &str = "crates/verify/tests/fixtures";

fn committed(name: &str) -> Value {
    let path = repository().join("docs/schema").join(name);
    let text = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap()
}

/// The same schema, which takes no field that it does not describe: ours may gain some, but each with its description.
fn closed(mut schema: Value) -> Value {
    if let Value::Object(parts) = &mut schema {
        if parts.contains_key("properties") && !parts.contains_key("additionalProperties") {
            parts.insert("additionalProperties".to_owned(), false.into());
        }
        parts.values_mut().for_each(|part| *part = closed(part.take()));
    } else if let Value::Array(parts) = &mut schema {
        parts.iter_mut().for_each(|part| *part = closed(part.take()));
    }
    schema
}

#[track_caller]
fn assert_valid(schema: &Value, document: &Value) {
    let validator = jsonschema::draft202012::new(&closed(schema.clone())).unwrap();
    let errors: Vec<_> =
        validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{:#?}", &errors[..errors.len().min(5)]);
    assert!(document.as_array().is_some_and(|entries| !entries.is_empty()), "something is in it");
}

#[test]
fn what_inspect_writes_follows_its_schema() {
    let checkout = Checkout::of_head("inspect-schema");
    let schema = committed("inspect.json");
    assert_eq!(checkout.json(&["schema", "inspect"]), schema);
    let all = checkout.json(&["inspect", FIXTURES, "/bin/true", "/bin/bash"]);
    assert_valid(&schema, &all);
    assert!(all.as_array().unwrap().len() > 10);
    let root = format!("{FIXTURES}/aarch64-root");
    for program in ["aarch64-glibc", "x86_64-console.exe"] {
        let found = checkout.json(&["inspect", "--sysroot", &root, &format!("{FIXTURES}/{program}")]);
        assert!(found[0].get("closure").is_some());
        assert_valid(&schema, &found);
    }
    let mut wrong = all;
    wrong[0]["facts"]["size"] = json!("large");
    assert!(!jsonschema::draft202012::new(&schema).unwrap().is_valid(&wrong), "the schema can refuse");
}

#[test]
fn what_verify_writes_follows_its_schema() {
    let checkout = Checkout::of_head("verify-schema");
    let schema = committed("verify.json");
    assert_eq!(checkout.json(&["schema", "verify"]), schema);
    let waiver = "[[waiver]]\nrule = 'SW-ELF-GLIBC-FLOOR'\npath = 'aarch64-glibc'\ntarget = 'aarch64-linux'\n\
        reason = 'Debian 12 it is'\nticket = 'SHIP-7'\nexpires = '2999-12-31'\n";
    checkout.write("policy.toml", waiver);
    let run = checkout.run(&["--format", "json", "verify", "--policy", "policy.toml", FIXTURES]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    let reports: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_valid(&schema, &reports);
    for (key, what) in [("waived", "a waiver"), ("evidence", "evidence"), ("why", "a reason")] {
        let findings =
            reports.as_array().unwrap().iter().flat_map(|report| report["findings"].as_array().unwrap());
        assert!(findings.into_iter().any(|finding| finding.get(key).is_some()), "{what} is among them");
    }
    let mut wrong = reports;
    wrong[0]["findings"][0]["outcome"] = json!("maybe");
    assert!(!jsonschema::draft202012::new(&schema).unwrap().is_valid(&wrong), "the schema can refuse");
}

#[test]
fn a_field_explains_itself_and_an_unknown_one_names_its_neighbours() {
    let checkout = Checkout::of_head("fields");
    let told = checkout.run(&["inspect", "--explain", "elf.entry", "dll_characteristics"]);
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    for words in
        ["facts.binary.elf.entry", "`e_entry`", "ELF gABI", "PE/COFF specification", "control flow guard"]
    {
        assert!(told.stdout.contains(words), "`{words}` is not in {}", told.stdout);
    }
    let unknown = checkout.run(&["inspect", "--explain", "entri"]);
    assert_eq!(unknown.code, Some(3), "{}", unknown.stderr);
    assert!(unknown.stderr.contains("did you mean `entry`"), "{}", unknown.stderr);
    let all = checkout.json(&["inspect", "--fields"]);
    assert!(all.as_array().unwrap().len() > 100);
    assert_eq!(checkout.json(&["inspect", "--explain"]), all);
    assert_ne!(checkout.run(&["inspect"]).code, Some(0), "a path is asked for");
}
