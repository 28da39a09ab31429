//! `DT_RELR`: which C library applies it, and what happens to a program where none does.

mod support;

use std::fs;

use closure::{NotApplied, Problem, Sysroot, Weight, tree};
use support::{Root, sentences, table};

const RELR: [&str; 1] = ["-Wl,-z,pack-relative-relocs"];

#[test]
fn packed_relocations_are_known_to_the_c_library_and_announced() {
    const DT_VERNEED: i64 = 0x6fff_fffe;
    let root = Root::new();
    let pointers = "static int a, b; int *c[] = {&a, &b, &a}; int start(void) { return *c[1]; }";
    let versions = "GLIBC_2.2.5 { global: start; local: *; };";
    let libc = root.versioned_library("/lib/libc.so.6", "int start(void) { return 1; }", versions);
    // The linker asks for the version only where the C library's are needed.
    let library = root.library_with("/lib/libx.so.1", pointers, &[], &RELR);
    root.program("/bin/app", "void _start(void) {}", &[&library, &libc], &[]);
    let told = sentences(&root.close("/bin/app"));
    assert_eq!(
        told,
        "/lib/libx.so.1 has packed relocations (DT_RELR), which /lib/libc.so.6 does not know: it lacks GLIBC_ABI_DT_RELR\n"
    );
    root.library("/lib/libx.so.1", pointers, &[]);
    assert!(root.close("/bin/app").is_complete(), "without them");

    // This machine's C library knows them, and what ld.so says of a program is what is told here.
    root.library_with("/lib/libx.so.1", pointers, &[], &RELR);
    let source =
        "int start(void); static int a; int *volatile c[] = {&a, &a, &a}; int main() { return *c[1]; }";
    let program = root.hosted_program("gcc", "/here", source, &RELR);
    let here = Sysroot::open("/".as_ref()).unwrap();
    let close = |bytes: &[u8]| closure::resolve(&inspect::elf_linkage(bytes).unwrap(), None, &here);
    let mut bytes = fs::read(&program).unwrap();
    assert!(close(&bytes).is_complete(), "{}", tree(&close(&bytes)));
    assert_eq!(root.starts(&program), Ok(()));
    // The versions asked of libc.so.6, 16 bytes each behind the 16 of the file's: hash at 0 and name at 8.
    let first = table(&bytes, DT_VERNEED) + 16;
    let inspect::facts::Binary::Elf(elf) = inspect::inspect(&bytes).unwrap().binary else {
        panic!("not ELF")
    };
    let asked = &elf.versions_needed[0].versions;
    let announced = asked.iter().position(|version| version.name == "GLIBC_ABI_DT_RELR").unwrap();
    let other = first + 16 * usize::from(announced == 0);
    let announced = first + 16 * announced;
    for field in [0, 8] {
        bytes.copy_within(other + field..other + field + 4, announced + field);
    }
    fs::write(&program, &bytes).unwrap();
    let refused = root.starts(&program).unwrap_err();
    assert!(refused.contains("DT_RELR without GLIBC_ABI_DT_RELR dependency"), "{refused}");
    let told = sentences(&close(&bytes));
    assert!(told.contains("libc.so.6 refuses them without the version GLIBC_ABI_DT_RELR"), "{told}");
}

const MUSL: &str = "/lib/ld-musl-x86_64.so.1";

/// This machine's musl, which may be of either sort, is the witness.
#[test]
fn a_musl_that_does_not_know_packed_relocations_is_told_by_its_version() {
    let root = Root::new();
    // The address of `a` is 0 in the file, plus what nobody adds.
    let source = "static int a; int *volatile c[] = {&a, &a, &a}; int main() { return *c[1]; }";
    let here = Sysroot::open("/".as_ref()).unwrap();
    for flags in [&RELR[..], &[]] {
        let program = root.hosted_program("musl-gcc", "/here", source, flags);
        let linkage = inspect::elf_linkage(&fs::read(&program).unwrap()).unwrap();
        assert_eq!(linkage.packed_relocations, !flags.is_empty());
        let closure = closure::resolve(&linkage, None, &here);
        assert_eq!(closure.is_complete(), root.starts(&program).is_ok(), "{}", tree(&closure));
        assert!(closure.is_complete() || !flags.is_empty());
    }
}

#[test]
fn a_musl_without_its_version_is_no_answer() {
    let root = Root::new();
    let pointers =
        "static int a, b; int *c[] = {&a, &b, &a}; int start(void); int x(void) { return start(); }";
    let interpreter = format!("-Wl,--dynamic-linker={MUSL}");
    let told = |version: &str, flags: &[&str]| {
        let source = format!("const char version[] = \"{version}\"; int start(void) {{ return 1; }}");
        let libc = root.library_with(MUSL, &source, &[], &["-Wl,-soname,libc.so"]);
        let library = root.library_with("/lib/libx.so.1", pointers, &[&libc], flags);
        root.program(
            "/bin/app",
            "int x(void); void _start(void) { x(); }",
            &[&library, &libc],
            &[&interpreter],
        );
        let closure = root.close("/bin/app");
        let because = closure.problems.iter().map(|problem| match problem {
            Problem::PackedRelocations { because, .. } => (because.clone(), problem.weight()),
            other => panic!("{other:?}"),
        });
        (because.collect::<Vec<_>>(), sentences(&closure))
    };
    let old = NotApplied::OldMusl { version: "1.2.3".to_owned() };
    let (because, said) = told("1.2.3", &RELR);
    assert_eq!(because, [(old, Weight::Breaks)]);
    assert_eq!(
        said,
        format!(
            "/lib/libx.so.1 has packed relocations (DT_RELR), which {MUSL} does not know: it is musl 1.2.3, and 1.2.4 is the first that does\n"
        )
    );
    let (because, said) = told("one", &RELR);
    assert_eq!(because, [(NotApplied::MuslOfUnknownVersion, Weight::Unknown)]);
    assert!(said.contains("knows from musl 1.2.4 on, and which musl it is cannot be told"), "{said}");
    for (version, flags) in [("1.2.4", &RELR[..]), ("1.2.3", &[]), ("one", &[])] {
        assert_eq!(told(version, flags).0, [], "{version}");
    }
}
