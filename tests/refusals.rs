//! Bad input, and what it gets: one error that names file, cause and next step, and its own exit code.

use std::fs;
use std::path::PathBuf;

use support::{Checkout, Ended, ended, read};

fn refused(ended: &Ended, code: i32, texts: &[&str]) {
    assert_eq!(ended.code, Some(code), "{}{}", ended.stdout, ended.stderr);
    for text in texts {
        assert!(ended.stderr.contains(text), "`{text}` is not in: {}", ended.stderr);
    }
}

#[test]
fn what_is_asked_wrong_is_refused_before_anything_runs() {
    let checkout = Checkout::of_head("asked-wrong");
    refused(
        &checkout.run(&["release", "--target", "aarch64-linus"]),
        3,
        &["aarch64-linus", "did you mean `aarch64-linux`"],
    );
    refused(&checkout.run(&["release", "--nonsense"]), 3, &["--nonsense"]);
    refused(&checkout.run(&["ci", "nonsense"]), 3, &["unknown job `nonsense`", "format"]);

    let plan = checkout.json(&["release", "--dry-run", "--builder", "zig"]);
    assert_eq!(plan["source"]["commit"], checkout.git(&["rev-parse", "HEAD"]));
    assert!(!checkout.path().join("dist").exists() && !checkout.path().join("target").exists());

    checkout.write("README.md", "changed");
    refused(&checkout.run(&["release", "--builder", "zig"]), 4, &["README.md", "--allow-dirty"]);
    let plan = checkout.json(&["plan", "--builder", "zig", "--allow-dirty"]);
    assert_eq!(plan["source"]["dirty"], true);

    checkout.write("release.toml", "[product]\nbinarys = ['seaworthyd']\n");
    refused(
        &checkout.run(&["plan", "--builder", "zig"]),
        3,
        &["release.toml", "binarys", "did you mean `binaries`"],
    );
}

#[test]
fn an_engine_that_does_not_answer_is_not_replaced() {
    let checkout = Checkout::of_head("no-engine");
    let mut command = checkout.command(&["release", "--builder", "docker"]);
    refused(&ended(command.env("DOCKER_HOST", "unix:///nonexistent.sock")), 5, &["docker", "next:"]);
}

#[test]
fn a_second_release_at_once_is_told_who_holds_the_lock() {
    let checkout = Checkout::of_head("busy");
    let out = checkout.path().join("target/out");
    fs::create_dir_all(&out).unwrap();
    let lock = fs::File::create(out.join(".lock")).unwrap();
    lock.lock().unwrap();
    let run = checkout.run(&["release", "--builder", "zig", "--out", out.to_str().unwrap()]);
    refused(&run, 10, &["another release", ".lock", "next:"]);
}

#[test]
fn a_build_that_cannot_be_names_its_cause_and_loses_nothing() {
    let checkout = Checkout::of_head("cannot-build");
    let args = ["release", "--builder", "zig", "--target", "aarch64-linux"];
    let released = checkout.json(&args);
    let folder = PathBuf::from(released["folder"].as_str().unwrap());
    let sums = fs::read(folder.join("SHA256SUMS")).unwrap();
    let still_whole = || {
        assert_eq!(fs::read(folder.join("SHA256SUMS")).unwrap(), sums);
        read(&folder, &["sha256sum", "--check", "--quiet", "SHA256SUMS"]);
    };

    let configuration = fs::read_to_string(checkout.path().join("release.toml")).unwrap();
    checkout
        .write("release.toml", &format!("{configuration}\n[target.aarch64-linux]\nglibc-floor = '2.99'\n"));
    checkout.commit("ask for a glibc that is not there");
    refused(&checkout.run(&args), 6, &["2.99"]);
    still_whole();

    // A helper of another machine under a right name.
    fs::copy("/bin/true", checkout.path().join("helper")).unwrap();
    let with_helper = configuration.replace("files = [", "files = [\n  { from = \"helper\" },");
    checkout.write("release.toml", &with_helper);
    checkout.commit("bundle a helper");
    refused(&checkout.run(&args), 1, &["helper", "SW-MACHINE"]);
    still_whole();

    checkout.write("release.toml", &configuration);
    let main = checkout.path().join("daemon/src/main.rs");
    fs::write(&main, format!("{}\nconst BROKEN: u32 = \"text\";\n", fs::read_to_string(&main).unwrap()))
        .unwrap();
    checkout.commit("break the program");
    refused(&checkout.run(&args), 6, &["aarch64-linux", "mismatched types"]);
    still_whole();

    let manifest = checkout.path().join("daemon/Cargo.toml");
    let changed =
        fs::read_to_string(&manifest).unwrap().replace("serde_json.workspace = true", "serde_json = \"0.9\"");
    fs::write(&manifest, changed).unwrap();
    checkout.commit("leave Cargo.lock behind");
    refused(&checkout.run(&args), 6, &["Cargo.lock"]);
    still_whole();
}

#[test]
fn damaged_and_foreign_files_are_refused_by_verify_and_inspect() {
    let checkout = Checkout::of_head("damaged");
    let whole = fs::read("/bin/true").unwrap();
    checkout.write("text", "not a program");
    fs::write(checkout.path().join("header"), &whole[..20]).unwrap();
    fs::write(checkout.path().join("half"), &whole[..whole.len() / 2]).unwrap();
    refused(&checkout.run(&["inspect", "text"]), 2, &["text", "neither an ELF nor a PE file"]);
    refused(&checkout.run(&["verify", "header"]), 2, &["header", "ends inside its ELF header"]);
    let half = checkout.run(&["verify", "half"]);
    refused(&half, 2, &["half", "SW-READABLE"]);
    let foreign = checkout.run(&["verify", "--target", "aarch64-linux", "/bin/true"]);
    assert_eq!(foreign.code, Some(1), "{}", foreign.stderr);
    assert!(foreign.stdout.contains("SW-MACHINE"), "{}", foreign.stdout);
}

#[test]
fn what_cannot_be_looked_at_is_told_in_its_place_and_the_rest_is_looked_at() {
    let checkout = Checkout::of_head("places");
    let folder = checkout.path().join("files");
    fs::create_dir(&folder).unwrap();
    fs::copy("/bin/true", folder.join("a-program")).unwrap();
    fs::write(folder.join("b.zip"), "PK\x03\x04 and nothing else").unwrap();
    fs::copy("/bin/true", folder.join("c-program")).unwrap();
    fs::write(folder.join("d-text"), "passed over").unwrap();
    for jobs in ["1", "2"] {
        let verified = checkout.run(&["--format", "json", "verify", "-j", jobs, "files"]);
        assert_eq!(verified.code, Some(1), "{}", verified.stderr);
        let documents = serde_json::Deserializer::from_str(&verified.stdout).into_iter::<serde_json::Value>();
        let reports = documents.map(Result::unwrap).next().unwrap();
        let told: Vec<_> =
            reports.as_array().unwrap().iter().map(|report| report["path"].as_str().unwrap()).collect();
        assert_eq!(told, ["files/a-program", "files/b.zip", "files/c-program"]);
        assert_eq!(reports[1]["findings"][0]["rule"], "SW-READABLE");
        assert_eq!(reports[1]["findings"][0]["outcome"], "cannot-tell");
    }
    refused(&checkout.run(&["verify", "files/b.zip"]), 2, &["files/b.zip"]);
    refused(&checkout.run(&["verify", "files/d-text"]), 2, &["neither an ELF nor a PE file"]);
    let inspected = checkout.run(&["inspect", "files"]);
    refused(&inspected, 2, &["files/b.zip"]);
    assert!(inspected.stdout.contains("files/a-program") && inspected.stdout.contains("files/c-program"));
    refused(&checkout.run(&["verify", "docs-that-are-not-there"]), 2, &["docs-that-are-not-there"]);
}
