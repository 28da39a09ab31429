//! The slot survives every linker and is read when the program runs, not when it is compiled: optimised programs
//! (the workspace's release profile: fat link-time optimisation) are patched as `finish` does and started.

use std::fs;
use std::path::{Path, PathBuf};

use object::{Object, ObjectSection};
use seaworthy_provenance::{ELF_SECTION, PE_SECTION, Provenance, decode, encode, offsets};
use xshell::{Shell, cmd};

#[test]
fn a_patched_native_program_says_what_was_written() {
    let program = build("x86_64-unknown-linux-gnu", &[], "");
    says_what_was_written(&program, ELF_SECTION, |shell, program| cmd!(shell, "{program}").read());
}

#[test]
fn a_patched_aarch64_program_says_what_was_written() {
    let linker = "aarch64-linux-gnu-gcc";
    needs(linker, "gcc-aarch64-linux-gnu libc6-dev-arm64-cross");
    needs("qemu-aarch64-static", "qemu-user-static");
    let program =
        build("aarch64-unknown-linux-gnu", &[("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", linker)], "");
    says_what_was_written(&program, ELF_SECTION, |shell, program| {
        cmd!(shell, "qemu-aarch64-static -L /usr/aarch64-linux-gnu {program}").read()
    });
}

/// musl targets link with rust-lld, which collects garbage by other rules than GNU ld.
#[test]
fn a_patched_program_linked_by_lld_says_what_was_written() {
    needs("qemu-aarch64-static", "qemu-user-static");
    let program = build(
        "aarch64-unknown-linux-musl",
        &[("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER", "rust-lld")],
        "",
    );
    says_what_was_written(&program, ELF_SECTION, |shell, program| {
        cmd!(shell, "qemu-aarch64-static {program}").read()
    });
}

#[test]
fn the_slot_survives_in_a_windows_program() {
    needs("x86_64-w64-mingw32-gcc", "gcc-mingw-w64-x86-64");
    let program = build("x86_64-pc-windows-gnu", &[], ".exe");
    let (bytes, at) = slot_in(&program, PE_SECTION);
    assert_eq!(decode(&bytes[at..at + seaworthy_provenance::SLOT_SIZE]), Ok(None));
}

/// Starts the program as it was built and as it is after patching.
fn says_what_was_written(
    program: &Path,
    section: &str,
    start: impl Fn(&Shell, &Path) -> xshell::Result<String>,
) {
    let shell = Shell::new().expect("a current directory");
    assert_eq!(start(&shell, program).expect("the built program starts"), "not released");
    let (mut bytes, at) = slot_in(program, section);
    let written = encode(&provenance()).expect("fits");
    bytes[at..at + written.len()].copy_from_slice(&written);
    let patched = program.with_extension("patched");
    fs::copy(program, &patched).expect("copied with its mode");
    fs::write(&patched, bytes).expect("written");
    assert_eq!(start(&shell, &patched).expect("the patched program starts"), "yard 1.2.3 0123abcd b17d");
}

fn provenance() -> Provenance {
    Provenance {
        product: "yard".to_owned(),
        version: "1.2.3".to_owned(),
        commit: "0123abcd".to_owned(),
        dirty: false,
        commit_time: 1_700_000_000,
        target: "x86_64-linux".to_owned(),
        build: "b17d".to_owned(),
    }
}

/// The file's bytes and the file offset of its one slot.
fn slot_in(program: &Path, section: &str) -> (Vec<u8>, usize) {
    let bytes = fs::read(program).expect("the program was built");
    let file = object::File::parse(&*bytes).expect("the linker writes valid files");
    let section = file.section_by_name(section).expect("the slot's section survived");
    let (start, _) = section.file_range().expect("it has bytes in the file");
    let found = offsets(section.data().expect("its bytes are in the file"));
    assert_eq!(found.len(), 1, "one slot");
    let at = usize::try_from(start).expect("a small file") + found[0];
    (bytes, at)
}

/// Builds the example `whoami` as a release would; the target folder is the test's own, so no lock is shared.
fn build(triple: &str, environment: &[(&str, &str)], suffix: &str) -> PathBuf {
    let shell = Shell::new().expect("a current directory");
    let target_dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("whoami");
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    cmd!(shell, "cargo build --quiet --release --locked --manifest-path {manifest} --example whoami")
        .args(["--target", triple])
        .arg("--target-dir")
        .arg(&target_dir)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTFLAGS")
        .envs(environment.iter().copied())
        .run()
        .unwrap_or_else(|error| panic!("{error}; is the target there? `rustup target add {triple}`"));
    target_dir.join(triple).join("release/examples").join(format!("whoami{suffix}"))
}

fn needs(program: &str, packages: &str) {
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .any(|folder| folder.join(program).is_file());
    assert!(found, "this test needs `{program}`: apt-get install -y {packages}");
}
