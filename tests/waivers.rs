//! Waivers of `release.toml`: what they let pass is written down, and those that are of no use are errors.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use support::{Checkout, Ended};

const FILE: &str = "crates/verify/tests/fixtures/aarch64-glibc";
const PLAN: [&str; 3] = ["plan", "--builder", "zig"];

fn refused(ended: &Ended, code: i32, texts: &[&str]) {
    assert_eq!(ended.code, Some(code), "{}{}", ended.stdout, ended.stderr);
    for text in texts {
        let told = format!("{}{}", ended.stdout, ended.stderr);
        assert!(told.contains(text), "`{text}` is not in: {told}");
    }
}

fn waiver(rule: &str, path: &str, expires: &str) -> String {
    format!(
        "[[waiver]]\nrule = '{rule}'\npath = '{path}'\nreason = 'it is known'\nticket = 'SHIP-7'\n\
         expires = '{expires}'\n"
    )
}

/// Puts `more` below what release.toml says already, and commits it.
fn configure(checkout: &Checkout, original: &str, more: &str) {
    checkout.write("release.toml", &format!("{original}\n{more}"));
    checkout.commit("configure");
}

#[test]
fn a_release_writes_down_what_was_waived_and_refuses_what_waives_nothing() {
    let checkout = Checkout::of_head("waived");
    let original = fs::read_to_string(checkout.path().join("release.toml")).unwrap();
    let args = ["release", "--builder", "zig", "--target", "aarch64-linux"];
    let small = "[policy]\nsize-budget = 1000\n";
    configure(&checkout, &original, small);
    refused(&checkout.run(&args), 1, &["SW-SIZE-BUDGET"]);

    configure(
        &checkout,
        &original,
        &format!("{small}{}", waiver("SW-SIZE-BUDGET", "seaworthyd", "2999-12-31")),
    );
    refused(&checkout.run(&PLAN), 0, &["waived", "SW-SIZE-BUDGET", "SHIP-7"]);
    let released = checkout.json(&args);
    let folder = PathBuf::from(released["folder"].as_str().unwrap());
    let manifest: Value = serde_json::from_slice(&fs::read(folder.join("manifest.json")).unwrap()).unwrap();
    let rules = manifest["artifacts"][0]["rules"].as_array().unwrap();
    let told: Vec<_> = rules.iter().filter(|rule| rule["outcome"] == "fail").collect();
    assert_eq!(told.len(), 1, "{told:?}");
    let archive = folder.join("seaworthyd-0.1.0-aarch64-linux.tar.gz");
    let waived = &told[0]["waived"];
    assert_eq!((&told[0]["rule"], &waived["ticket"]), (&"SW-SIZE-BUDGET".into(), &"SHIP-7".into()));
    assert_eq!(waived["reason"], "it is known");
    refused(&checkout.run(&["verify", archive.to_str().unwrap()]), 0, &["waived", "SHIP-7"]);

    // The budget is kept again: the waiver has outlived what it was for.
    let sums = fs::read(folder.join("SHA256SUMS")).unwrap();
    configure(&checkout, &original, &waiver("SW-SIZE-BUDGET", "seaworthyd", "2999-12-31"));
    refused(&checkout.run(&args), 3, &["SW-SIZE-BUDGET", "waived nothing", "next:"]);
    assert_eq!(fs::read(folder.join("SHA256SUMS")).unwrap(), sums, "the last good release is still there");
}

#[test]
fn a_waiver_that_cannot_be_meant_is_refused_before_anything_runs() {
    let checkout = Checkout::of_head("bad-waivers");
    let original = fs::read_to_string(checkout.path().join("release.toml")).unwrap();
    for (text, told) in [
        (waiver("SW-SIZE-BUDGET", "seaworthyd", "2020-02-29"), "expired on 2020-02-29"),
        (waiver("SW-SIZE-BUGDET", "seaworthyd", "2999-12-31"), "did you mean `SW-SIZE-BUDGET`?"),
        (waiver("SW-READABLE", "seaworthyd", "2999-12-31"), "nobody can waive"),
        (waiver("SW-SIZE-BUDGET", "seaworthyd", "2999-12-31").repeat(2), "twice"),
        (waiver("SW-SIZE-BUDGET", "x", "2999-12-31").replace("ticket", "tiket"), "did you mean `ticket`?"),
    ] {
        configure(&checkout, &original, &text);
        refused(&checkout.run(&PLAN), 3, &["release.toml", told, "next:"]);
        refused(&checkout.run(&["verify", FILE]), 3, &["release.toml", told, "next:"]);
    }
}

#[test]
fn verify_alone_puts_up_with_waivers_of_files_that_it_was_not_asked_about() {
    let checkout = Checkout::of_head("verify-waived");
    let original = fs::read_to_string(checkout.path().join("release.toml")).unwrap();
    refused(&checkout.run(&["verify", FILE]), 1, &["SW-ELF-GLIBC-FLOOR"]);
    let other = waiver("SW-SIZE-BUDGET", "seaworthyd", "2999-12-31");
    let floor = waiver("SW-ELF-GLIBC-FLOOR", "fixtures/aarch64-*", "2999-12-31");
    configure(&checkout, &original, &format!("{other}{floor}"));
    refused(&checkout.run(&["verify", FILE]), 0, &["waived", "SHIP-7", "it is known"]);
    configure(&checkout, &original, &waiver("SW-ELF-PIE", "fixtures/aarch64-*", "2999-12-31"));
    refused(&checkout.run(&["verify", FILE]), 3, &["SW-ELF-PIE", "waived nothing"]);
    // A preset or a policy file stands in release.toml's place, waivers and all.
    refused(&checkout.run(&["verify", "--preset", "distro", FILE]), 0, &[]);
}
