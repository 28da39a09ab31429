//! What `rustc` really makes for our targets, held to the default policies.

use std::fs;
use std::path::{Path, PathBuf};

use artifact::{Report, Target};
use seaworthy_verify::{Policy, Subject, verify};
use tempfile::TempDir;
use xshell::{Shell, cmd};

/// A little of everything: hashing, threads, sockets, environment, processes.
const SOURCE: &str = r#"
use std::collections::HashMap;
fn main() {
    let mut map = HashMap::new();
    map.insert("folder", std::env::current_dir().unwrap());
    let thread = std::thread::spawn(|| std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr());
    println!("{map:?} {:?}", thread.join().unwrap());
    if std::env::args().count() > 3 {
        let child = std::process::Command::new("x").spawn();
        println!("{child:?} {:?}", std::env::home_dir());
    }
}
"#;

const APT: &str = "apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross gcc-mingw-w64-x86-64; \
                   rustup target add aarch64-unknown-linux-gnu aarch64-unknown-linux-musl x86_64-pc-windows-gnu";

struct Workshop {
    shell: Shell,
    folder: TempDir,
}

impl Workshop {
    fn open() -> Workshop {
        let shell = Shell::new().expect("the current folder exists");
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        fs::write(folder.path().join("main.rs"), SOURCE).expect("the source can be written");
        Workshop { shell, folder }
    }

    /// What the policy says of the program that `rustc` makes for `target` with these options.
    fn report(&self, target: Target, policy: &Policy, options: &[String]) -> Report {
        let folder = self.folder.path();
        let out = folder.join(format!("program{}", target.row().executable_suffix));
        let (triple, source) = (target.triple(), folder.join("main.rs"));
        let remap = format!("--remap-path-prefix={}=/src", folder.display());
        let shell = &self.shell;
        let fixed = ["--edition=2024", "-O", "-Cstrip=symbols", &remap];
        let made =
            cmd!(shell, "rustc {fixed...} --target {triple} {options...} {source} -o {out}").quiet().run();
        made.unwrap_or_else(|error| panic!("{error}; {APT}"));
        let bytes = fs::read(&out).expect("rustc made the file");
        let facts = inspect::inspect_without_exports(&bytes).expect("rustc's files can be read");
        let policy = policy.clone().with_build_paths([folder.display().to_string()]);
        verify(&Subject::new(triple, &bytes, &facts), &policy)
    }

    /// The folder of the start files that come with Rust's musl targets.
    fn start_files(&self, target: Target) -> PathBuf {
        let shell = &self.shell;
        let sysroot = cmd!(shell, "rustc --print sysroot").quiet().read().expect("rustc knows its sysroot");
        Path::new(&sysroot).join("lib/rustlib").join(target.triple()).join("lib/self-contained")
    }
}

fn options(words: &str) -> Vec<String> {
    words.split_whitespace().map(str::to_owned).collect()
}

fn refusals(report: &Report) -> Vec<(&str, &str)> {
    report.refusals().map(|finding| (&*finding.rule, &*finding.observed)).collect()
}

#[test]
fn a_program_for_glibc_passes_where_its_floor_is_declared() {
    let target = Target::Aarch64Linux;
    let mut policy = Policy::for_target(target);
    // Debian 12's cross compiler links against glibc 2.36, whose newest symbol in a Rust program is of 2.34.
    policy.glibc_floor = Some("2.34".to_owned());
    let workshop = Workshop::open();
    let report = workshop.report(target, &policy, &options("-Clinker=aarch64-linux-gnu-gcc"));
    assert!(report.passed(), "{:#?}", refusals(&report));

    policy.glibc_floor = Some("2.31".to_owned());
    let report = workshop.report(target, &policy, &options("-Clinker=aarch64-linux-gnu-gcc"));
    let refused = refusals(&report);
    assert!(
        matches!(refused[..], [("SW-ELF-GLIBC-FLOOR", what)] if what.contains("GLIBC_2.34 (")),
        "{refused:#?}"
    );
}

#[test]
fn a_program_for_windows_passes() {
    let target = Target::X86_64Windows;
    let wanted = "-Clinker=x86_64-w64-mingw32-gcc -Clink-arg=-Wl,--no-insert-timestamp";
    let report = Workshop::open().report(target, &Policy::for_target(target), &options(wanted));
    assert!(report.passed(), "{:#?}", refusals(&report));
}

#[test]
fn the_three_ways_to_link_a_static_aarch64_program_are_told_apart() {
    let workshop = Workshop::open();
    let target = Target::Aarch64LinuxMusl;
    let policy = Policy::for_target(target);
    let id = "-Clinker=rust-lld -Clink-arg=--build-id=sha1";

    // What rustc does by itself: a fixed address.
    let report = workshop.report(target, &policy, &options(id));
    let rules: Vec<_> = refusals(&report).into_iter().map(|(rule, _)| rule).collect();
    assert!(rules.contains(&"SW-ELF-PIE") && !rules.contains(&"SW-ELF-SELF-RELOCATION"), "{rules:?}");

    // What the flag alone does: every header of a static PIE, and a crash at start.
    let report = workshop.report(target, &policy, &options(&format!("{id} -Clink-arg=-pie")));
    let rules: Vec<_> = refusals(&report).into_iter().map(|(rule, _)| rule).collect();
    assert_eq!(rules, ["SW-ELF-SELF-RELOCATION"]);

    // What runs.
    let folder = workshop.start_files(target);
    let folder = folder.display();
    let objects: Vec<_> = ["rcrt1.o", "crti.o", "crtbeginS.o"]
        .into_iter()
        .chain(["crtendS.o", "crtn.o"])
        .map(|name| format!("-Clink-arg={folder}/{name}"))
        .collect();
    let moved =
        "-Crelocation-model=pie -Clink-self-contained=no -Clink-arg=-pie -Clink-arg=--no-dynamic-linker";
    let report = workshop.report(
        target,
        &policy,
        &options(&format!("{id} {moved} -Clink-arg=-ztext -Clink-arg=-L{folder} {}", objects.join(" "))),
    );
    assert!(report.passed(), "{:#?}", refusals(&report));
}
