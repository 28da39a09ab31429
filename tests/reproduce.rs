//! A small product of somebody else's, released, then built again: the same, or told why not.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use support::{Ended, Product, repository};

/// Prints its version and, where the build script wrote one, a text.
const MAIN: &str = r#"
fn main() {
    println!("product {} {}", env!("CARGO_PKG_VERSION"), include_str!(concat!(env!("OUT_DIR"), "/text")));
}
"#;
/// Writes `text`, an expression, where the program includes it.
fn build_script(text: &str) -> String {
    format!(
        "fn main() {{\n    let text = {text};\n    let folder = std::env::var(\"OUT_DIR\").unwrap();\n    \
         std::fs::write(format!(\"{{folder}}/text\"), text).unwrap();\n}}\n"
    )
}

const SECONDS: &str =
    "format!(\"{}\", std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs())";

fn product(text: &str) -> Product {
    let product = Product::new("product");
    product.write("src/main.rs", MAIN);
    product.write("build.rs", &build_script(text));
    product.write(
        "release.toml",
        "[product]\npackage = \"product\"\ntargets = [\"x86_64-linux\"]\n\n[build]\nbuilder = \"host\"\n\n[target.x86_64-linux]\nglibc-floor = \"2.36\"\n",
    );
    product.commit("first");
    product
}

fn release(product: &Product, more: &[&str]) -> PathBuf {
    let released = product.json(&[&["release"], more].concat());
    PathBuf::from(released["folder"].as_str().unwrap())
}

fn ended(ended: Ended, code: i32, texts: &[&str]) -> Value {
    assert_eq!(ended.code, Some(code), "{}{}", ended.stdout, ended.stderr);
    for text in texts {
        assert!(ended.stdout.contains(text), "`{text}` is not in: {}{}", ended.stdout, ended.stderr);
    }
    serde_json::from_str(&ended.stdout).unwrap_or_default()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_sound_release_is_built_again_the_same_whatever_varies() {
    let product = product("\"steady\"");
    let folder = release(&product, &["--prove"]);
    let out = product.path().join("target/again");
    let all = "target-directory,cargo-home,jobs,locale,umask,hostname";
    let args =
        ["reproduce", text(&folder), "--vary", all, "--out", text(&out), "--as", "alice", "--format", "json"];
    let statement = ended(product.run(&args), 0, &[]);
    assert_eq!(statement["predicate"]["verdict"], "identical");
    let schema = fs::read_to_string(repository().join("docs/schema/rebuild.json")).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    assert_eq!(product.json(&["schema", "rebuild"]), schema);
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    assert!(validator.is_valid(&statement), "{statement:#}");
    assert_eq!(statement["predicate"]["varied"].as_array().unwrap().len(), 7, "{statement:#}");
    assert_eq!(statement["subject"].as_array().unwrap().len(), 2);
    let kept: Value = serde_json::from_slice(&fs::read(out.join("rebuild.json")).unwrap()).unwrap();
    assert_eq!(kept, statement);
    for file in statement["subject"].as_array().unwrap() {
        let name = file["name"].as_str().unwrap();
        assert_eq!(fs::read(folder.join(name)).unwrap(), fs::read(out.join(name)).unwrap(), "{name}");
    }
    let challenge = ["reproduce", "--challenge", text(&out), "--need", "1"];
    ended(product.run(&challenge), 0, &["accepted", "alice"]);
    ended(product.run(&["reproduce", text(&folder), "--against", text(&folder)]), 0, &["identical"]);
}

#[test]
fn a_faulty_build_script_is_named_and_proof_keeps_it_from_being_published() {
    let product = product(SECONDS);
    let ended_so = product.run(&["release", "--prove"]);
    assert_eq!(ended_so.code, Some(13), "{}{}", ended_so.stdout, ended_so.stderr);
    for told in ["date-string", "SOURCE_DATE_EPOCH", "not published"] {
        assert!(ended_so.stderr.contains(told), "`{told}` is not in: {}", ended_so.stderr);
    }
    assert!(!product.path().join("dist/product-1.2.3").exists());

    let folder = release(&product, &[]);
    let args = ["reproduce", text(&folder)];
    ended(product.run(&args), 13, &["explained", "date-string", "cure:", "0 of 2 files are the same"]);

    // Without the archive its manifest still tells that it is another one, and not why.
    fs::remove_file(folder.join("product-1.2.3-x86_64-linux.tar.gz")).unwrap();
    ended(
        product.run(&args),
        14,
        &["cannot", "missing:", "these members differ", "product-1.2.3-x86_64-linux/product)"],
    );
}

#[test]
fn what_is_missing_is_said_and_nothing_is_guessed() {
    let product = product("\"steady\"");
    let folder = release(&product, &[]);
    let manifest = fs::read_to_string(folder.join("manifest.json")).unwrap();
    let with = |from: &str, to: &str| {
        let bent = manifest.replace(from, to);
        assert_ne!(bent, manifest);
        fs::write(folder.join("manifest.json"), bent).unwrap();
    };
    let args = ["reproduce", text(&folder), "--offline"];

    let commit = product.git(&["rev-parse", "HEAD"]);
    with(&commit, &"5eaf00d5".repeat(5));
    ended(product.run(&args), 14, &["cannot", "the commit 5eaf00d5", "is not in the repository"]);
    with(&commit, "HEAD; echo");
    ended(product.run(&args), 14, &["cannot", "the commit HEAD; echo"]);
    with("\"dirty\": false", "\"dirty\": true");
    ended(product.run(&args), 14, &["cannot", "the work tree differed"]);
    with("\"schema_version\": 1", "\"schema_version\": 2");
    let other = product.run(&args);
    assert_eq!(other.code, Some(2), "{}", other.stderr);
    assert!(other.stderr.contains("manifest schema version 2 is not 1"), "{}", other.stderr);
    fs::write(folder.join("manifest.json"), &manifest).unwrap();
    let nowhere = product.run(&["reproduce", text(product.path())]);
    assert_eq!(nowhere.code, Some(2), "{}", nowhere.stderr);
    assert!(nowhere.stderr.contains("manifest.json"), "{}", nowhere.stderr);

    // A commit that no branch leads to any more is still there.
    product.git(&["checkout", "--quiet", "--orphan", "other"]);
    product.git(&["commit", "--quiet", "--allow-empty", "--message", "other"]);
    product.git(&["branch", "--quiet", "-D", "main"]);
    ended(product.run(&args), 0, &["2 of 2 files are the same"]);
}
