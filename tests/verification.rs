//! `verify` as it is called: presets, policy files, waivers, older versions, and the exit code of each outcome.

use std::fs;

use support::{Checkout, Ended, ended};

const FILE: &str = "crates/verify/tests/fixtures/aarch64-glibc";
const PE: &str = "crates/verify/tests/fixtures/x86_64-console.exe";

fn refused(ended: &Ended, code: i32, texts: &[&str]) {
    assert_eq!(ended.code, Some(code), "{}{}", ended.stdout, ended.stderr);
    for text in texts {
        let told = format!("{}{}", ended.stdout, ended.stderr);
        assert!(told.contains(text), "`{text}` is not in: {told}");
    }
}

fn waiver(path: &str, expires: &str) -> String {
    format!(
        "[[waiver]]\nrule = 'SW-ELF-GLIBC-FLOOR'\npath = '{path}'\nreason = 'Debian 12 it is'\n\
         ticket = 'SHIP-7'\nexpires = '{expires}'\n"
    )
}

#[test]
fn a_policy_file_decides_and_what_it_waives_is_told() {
    let checkout = Checkout::of_head("policy-file");
    refused(&checkout.run(&["verify", "--preset", "daemon", FILE]), 1, &["SW-ELF-GLIBC-FLOOR"]);

    checkout.write("floor.toml", "[target.aarch64-linux.policy]\nglibc-floor = '2.34'\n");
    refused(&checkout.run(&["verify", "--policy", "floor.toml", FILE]), 0, &[]);

    checkout.write("waived.toml", &waiver("fixtures/aarch64-*", "2999-12-31"));
    let waived = checkout.run(&["verify", "--policy", "waived.toml", FILE]);
    refused(&waived, 0, &["SW-ELF-GLIBC-FLOOR", "waived", "SHIP-7", "Debian 12 it is"]);
    let report = &checkout.json(&["verify", "--policy", "waived.toml", FILE])[0];
    let findings = report["findings"].as_array().unwrap();
    let finding = findings.iter().find(|finding| finding["rule"] == "SW-ELF-GLIBC-FLOOR").unwrap();
    assert_eq!((&finding["outcome"], &finding["waived"]["ticket"]), (&"fail".into(), &"SHIP-7".into()));
}

#[test]
fn a_policy_that_cannot_be_meant_is_a_usage_error() {
    let checkout = Checkout::of_head("bad-policy");
    for (text, told) in [
        (waiver("other", "2999-12-31").as_str(), "waived nothing"),
        (waiver("**", "2020-02-29").as_str(), "expired on 2020-02-29"),
        (waiver("**", "2999-12-31").repeat(2).as_str(), "twice"),
        ("[policy]\nglibc-flor = '2.31'", "did you mean `glibc-floor`?"),
        ("[policy]\nrules-off = ['SW-ELF-PAI']", "did you mean `SW-ELF-PIE`?"),
        ("[policy]\nglibc-floor = 'bullseye'", "`bullseye`"),
        ("[policy]\ndenied-libraries = ['libm.so.6']", "`denied-libraries`"),
        ("[target.aarch64-linus.policy]", "did you mean `aarch64-linux`?"),
    ] {
        checkout.write("policy.toml", text);
        refused(&checkout.run(&["verify", "--policy", "policy.toml", FILE]), 3, &[told, "next:"]);
    }
    checkout.write("policy.toml", "[policy]\npreset = 'distro'");
    let both = ["verify", "--preset", "strict", "--policy", "policy.toml", FILE];
    refused(&checkout.run(&both), 3, &["two presets"]);
    refused(&checkout.run(&["verify", "--preset", "distor", FILE]), 3, &["distro"]);
    refused(&checkout.run(&["verify", "--policy", "not-there.toml", FILE]), 3, &["not-there.toml"]);
}

#[test]
fn a_release_holds_waivers_against_the_commits_day_and_verify_against_today() {
    let checkout = Checkout::of_head("epoch");
    let config = fs::read_to_string(checkout.path().join("release.toml")).unwrap();
    let text = waiver("**", "2001-09-09");
    checkout.write("policy.toml", &text);
    checkout.write("release.toml", &(config + &text));
    let run = |words: &[&str], epoch: &str| {
        let mut command = checkout.command(words);
        ended(command.env("SOURCE_DATE_EPOCH", epoch))
    };
    let plan = ["plan", "--allow-dirty", "--builder", "host"];
    refused(&run(&plan, "1000000000"), 0, &[]);
    refused(&run(&plan, "1000086400"), 3, &["expired on 2001-09-09; today is 2001-09-10"]);
    refused(&run(&plan, "yesterday"), 3, &["SOURCE_DATE_EPOCH"]);
    for words in [&["verify", "--policy", "policy.toml", FILE][..], &["verify", FILE]] {
        refused(&run(words, "1000000000"), 3, &["expired on 2001-09-09"]);
    }
}

#[test]
fn a_result_that_cannot_be_written_is_a_failure() {
    let checkout = Checkout::of_head("full");
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = checkout.command(&["verify", "--preset", "distro", "/bin/true"]);
    let run = command.stdout(full).output().unwrap();
    assert_eq!(run.status.code(), Some(9), "{}", String::from_utf8_lossy(&run.stderr));
    assert!(String::from_utf8_lossy(&run.stderr).contains("cannot write the result: No space left"));
}

#[test]
fn a_denied_library_is_refused_by_a_preset_that_allows_any() {
    let checkout = Checkout::of_head("denied");
    checkout.write("policy.toml", "[policy]\npreset = 'distro'\ndenied-libraries = ['libc.*']");
    let policy = ["verify", "--policy", "policy.toml", "/bin/true"];
    refused(&checkout.run(&policy), 1, &["SW-ELF-NEEDED", "libc.so.6"]);
}

#[test]
#[cfg(unix)]
fn a_manifest_beside_a_program_that_is_no_file_holds_nobody_up() {
    let checkout = Checkout::of_head("manifest");
    let folder = checkout.path().join("found");
    fs::create_dir(&folder).unwrap();
    fs::copy(checkout.path().join(PE), folder.join("ship.exe")).unwrap();
    let refused_as = |run: Ended| refused(&run, 1, &["ship.exe"]);
    refused_as(checkout.run(&["verify", "found/ship.exe"]));
    let manifest = folder.join("manifest.json");
    std::os::unix::fs::symlink("/dev/zero", &manifest).unwrap();
    refused_as(checkout.run(&["verify", "found/ship.exe"]));
    fs::remove_file(&manifest).unwrap();
    let shell = xshell::Shell::new().unwrap();
    xshell::cmd!(shell, "mkfifo {manifest}").quiet().run().unwrap();
    refused_as(checkout.run(&["verify", "found"]));
}

#[test]
fn a_distributions_programs_and_libraries_pass_its_preset() {
    let checkout = Checkout::of_head("distro");
    let loader = "/lib64/ld-linux-x86-64.so.2";
    let run = checkout.run(&["verify", "--preset", "distro", "-v", "/bin/true", loader]);
    refused(&run, 0, &["a shared library (DT_SONAME)", "a program (DF_1_PIE)", "rules-off"]);
    refused(&checkout.run(&["verify", "--preset", "library", "/bin/true"]), 1, &["SW-KIND"]);
}

#[test]
fn what_an_update_lost_is_told_beside_what_it_was() {
    let checkout = Checkout::of_head("against");
    let whole = fs::read(checkout.path().join(FILE)).unwrap();
    for folder in ["old", "new"] {
        fs::create_dir(checkout.path().join(folder)).unwrap();
    }
    fs::write(checkout.path().join("old/ship-1.0.0"), &whole).unwrap();
    fs::write(checkout.path().join("new/ship-1.1.0"), [&whole[..], &vec![0; whole.len()]].concat()).unwrap();
    let run = checkout.run(&["verify", "--preset", "distro", "new", "--against", "old"]);
    refused(&run, 1, &["SW-REGRESSION-SIZE", "was "]);
    let same = checkout.run(&["verify", "--preset", "distro", "old/ship-1.0.0", "--against", FILE]);
    refused(&same, 0, &[]);
    refused(&checkout.run(&["verify", FILE, "--against", "nothing"]), 2, &["nothing"]);

    // Releases of which each has its version in its folder's name, and two files of one name.
    let release = |version: &str, files: &[(&str, &[u8])]| {
        let folder = checkout.path().join(version).join(format!("ship-{version}"));
        for (name, bytes) in files {
            fs::create_dir_all(folder.join(name).parent().unwrap()).unwrap();
            fs::write(folder.join(name), bytes).unwrap();
        }
    };
    let large = [&whole[..], &vec![0; whole.len()]].concat();
    release("1.0", &[("bin/ship", &whole), ("lib/ship", &large), ("gone", &whole)]);
    release("1.1", &[("bin/ship", &whole), ("lib/ship", &large), ("come", &whole)]);
    let run = checkout.run(&["verify", "--preset", "distro", "1.1", "--against", "1.0"]);
    refused(&run, 0, &["1 without an older version: 1.1/ship-1.1/come", "not there any more: ship-1.0/gone"]);
    release("1.2", &[("bin/ship", &large), ("lib/ship", &large), ("more/ship", &whole)]);
    let run = checkout.run(&["verify", "--preset", "distro", "1.2", "--against", "1.0"]);
    refused(&run, 1, &["1.2/ship-1.2/bin/ship", "SW-REGRESSION-SIZE", "several older files have this name"]);
    release("2.0", &[("other", &whole)]);
    let run = checkout.run(&["verify", "--preset", "distro", "2.0", "--against", "1.0"]);
    refused(&run, 3, &["none of the files has an older version in 1.0", "next:"]);
}

/// What `finish.merge-sections` costs is named: constants, and the tables that calls go through, become executable.
#[test]
fn constants_that_were_merged_into_code_are_named() {
    let checkout = Checkout::of_head("merged");
    let config = fs::read_to_string(checkout.path().join("release.toml")).unwrap();
    checkout
        .write("release.toml", &format!("{config}\n[finish]\nmerge-sections = {{ '.rdata' = '.text' }}\n"));
    checkout.commit("merge sections");
    // Linked by lld-link, whose `.rdata` lies right behind `.text` and holds the imports.
    let name = "x86_64-hardened.exe";
    let program = format!("crates/verify/tests/fixtures/{name}");
    let finish = ["finish", "-t", "x86_64-windows", "--out", "merged", &program];
    refused(&checkout.run(&finish), 0, &["merge-sections", ".rdata into .text"]);
    let merged = format!("merged/{name}");
    let told =
        ["SW-PE-EXECUTABLE-IMPORTS", "imports in `.text`", "import addresses in `.text`", "merge-sections"];
    refused(&checkout.run(&["verify", "--preset", "distro", &merged]), 1, &told);
    refused(&checkout.run(&["verify", "--preset", "distro", &program]), 0, &[]);
}

#[test]
fn a_rule_explains_itself_and_an_unknown_one_names_its_neighbour() {
    let checkout = Checkout::of_head("explain");
    let told = checkout.run(&["verify", "--explain", "SW-ELF-RELRO", "SW-REGRESSION-SIZE"]);
    refused(&told, 0, &["SW-ELF-RELRO", "CWE-693", "cannot-tell", "policy.growth-percent"]);
    refused(&checkout.run(&["verify", "--explain", "SW-ELF-RERLO"]), 3, &["did you mean `SW-ELF-RELRO`?"]);
    let page = checkout.run(&["verify", "--rules-page"]);
    let committed = fs::read_to_string(support::repository().join("docs/rules.md")).unwrap();
    assert_eq!(page.stdout, committed);
}
