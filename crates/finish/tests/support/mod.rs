//! Programs to finish, built by the real compilers, and the tools that judge the result.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use artifact::{Artifact, BuilderKind, Built, Finished, Source, Target, ToolchainIdentity};
use seaworthy_finish::{Error, FinishOptions, FinishRequest, finish};
use xshell::{Shell, cmd};

/// The commit's time that every stamp must show.
pub(crate) const COMMIT_TIME: i64 = 1_700_000_000;

pub(crate) const C_PROGRAM: &str = "#include <stdio.h>\n\
    __attribute__((noinline)) int work(int x) {\n  return x * 3 + 1;\n}\n\
    int main(int count, char **words) {\n  (void)words;\n  printf(\"worked %d\\n\", work(count));\n  return 0;\n}\n";

const RUST_PROGRAM: &str = "use std::collections::BTreeMap;\n\
    #[inline(never)]\nfn work(words: &[String]) -> BTreeMap<String, usize> {\n    \
    words.iter().map(|word| (word.clone(), word.len())).collect()\n}\n\
    fn main() {\n    let words: Vec<String> = std::env::args().skip(1).collect();\n    \
    println!(\"worked {:?}\", work(&words));\n}\n";

pub(crate) fn shell() -> Shell {
    Shell::new().expect("a current directory")
}

/// Fails the test with the command that installs what is missing.
pub(crate) fn needs(program: &str, packages: &str) {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    assert!(found, "this test needs `{program}`: apt-get install -y {packages}");
}

/// A C program for `target`, built in `folder`.
pub(crate) fn c_program(target: Target, folder: &Path, flags: &[&str]) -> PathBuf {
    c_program_from(C_PROGRAM, target, folder, flags)
}

/// The program of this C text.
pub(crate) fn c_program_from(text: &str, target: Target, folder: &Path, flags: &[&str]) -> PathBuf {
    let (compiler, packages) = match target {
        Target::Aarch64Linux => ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu libc6-dev-arm64-cross"),
        Target::X86_64Linux => ("gcc", "gcc libc6-dev"),
        Target::X86_64Windows => ("x86_64-w64-mingw32-gcc", "gcc-mingw-w64-x86-64"),
        other => panic!("no C compiler is set up for {other}"),
    };
    needs(compiler, packages);
    let (source, program) = (folder.join("program.c"), folder.join("built.exe"));
    fs::write(&source, text).expect("a writable folder");
    let shell = shell();
    // `.exe` for every target: mingw's linker appends it anyway.
    let mut build = cmd!(shell, "{compiler} -g -O1 -o {program} {source}").args(flags);
    if target != Target::X86_64Windows {
        build = build.arg("-Wl,--build-id=sha1");
    }
    build.run().expect("the compiler works");
    program
}

/// A Rust program for `target`, with the flags of the workspace's release profile.
pub(crate) fn rust_program(target: Target, folder: &Path) -> PathBuf {
    let (source, program) = (folder.join("program.rs"), folder.join("built.exe"));
    fs::write(&source, RUST_PROGRAM).expect("a writable folder");
    let shell = shell();
    let triple = target.triple();
    let mut build =
        cmd!(shell, "rustc --edition 2024 -Copt-level=3 -Clto=fat -Ccodegen-units=1 --target {triple}")
            .args(["-Cdebuginfo=line-tables-only", "-Cstrip=none", "--crate-name", "program"])
            .arg("-o")
            .arg(&program)
            .arg(&source);
    match target {
        Target::Aarch64Linux => {
            needs("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu libc6-dev-arm64-cross");
            build = build.args(["-Clinker=aarch64-linux-gnu-gcc", "-Clink-arg=-Wl,--build-id=sha1"]);
        }
        Target::X86_64Windows => needs("x86_64-w64-mingw32-gcc", "gcc-mingw-w64-x86-64"),
        _ => {}
    }
    build.run().unwrap_or_else(|error| panic!("{error}; is the target there? `rustup target add {triple}`"));
    program
}

pub(crate) fn built(target: Target, program: &Path) -> Artifact<Built> {
    let identity = ToolchainIdentity {
        builder: BuilderKind::Host,
        rustc: "1.95.0".to_owned(),
        lock: None,
        parts: BTreeMap::new(),
    };
    Artifact::built(target, "prog", program.to_owned(), identity).expect("the program was built")
}

pub(crate) fn request(options: FinishOptions, out_dir: &Path) -> FinishRequest {
    let source = Source {
        product: "yard".to_owned(),
        version: "1.2.3".to_owned(),
        commit: "0123456789abcdef0123456789abcdef01234567".to_owned(),
        commit_time: COMMIT_TIME,
        dirty: false,
    };
    FinishRequest { options, source, build_key: "b17d".to_owned(), out_dir: out_dir.to_owned() }
}

/// Finishes with `options` and checks what holds for every finished file.
pub(crate) fn finished(
    target: Target,
    program: &Path,
    out_dir: &Path,
    options: FinishOptions,
) -> Artifact<Finished> {
    let before = fs::read(program).expect("the program was built");
    let finished = finish_into(target, program, out_dir, options).expect("finishes");
    assert_eq!(fs::read(program).expect("still there"), before, "the built file is untouched");
    let saved: i64 = finished.stage().edits.iter().map(|edit| edit.bytes_saved).sum();
    assert_eq!(saved, before.len() as i64 - finished.size() as i64, "{:?}", finished.stage().edits);
    finished
}

pub(crate) fn finish_into(
    target: Target,
    program: &Path,
    out_dir: &Path,
    options: FinishOptions,
) -> Result<Artifact<Finished>, Error> {
    finish(built(target, program), &request(options, out_dir))
}

/// The address of a function, from the unstripped file.
pub(crate) fn address_of(nm: &str, program: &Path, function: &str) -> String {
    let shell = shell();
    let symbols = cmd!(shell, "{nm} {program}").read().expect("it has symbols");
    let mangled = format!("{}{function}", function.len());
    let is_it = |name: &str| name == function || name.contains(&mangled);
    let line = symbols.lines().find(|line| line.split(' ').nth(2).is_some_and(is_it));
    line.and_then(|line| line.split(' ').next()).expect("the function is there").to_owned()
}
