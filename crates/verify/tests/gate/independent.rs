//! What a mutation changed is also what `readelf` and `objdump` see: the rules and the edits do not share one mistake.

use std::fs;

use crate::support::*;
use xshell::{Shell, cmd};

/// What the tool says about `bytes`.
fn told(tool: &str, arguments: &[&str], bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("file");
    fs::write(&path, bytes).expect("the file can be written");
    let shell = Shell::new().expect("the current folder exists");
    let told = cmd!(shell, "{tool} {arguments...} {path}").env("LC_ALL", "C").ignore_stderr().read();
    told.unwrap_or_else(|error| panic!("{error}; apt-get install binutils binutils-mingw-w64-x86-64"))
}

fn readelf(bytes: &[u8]) -> String {
    told("readelf", &["--wide", "--file-header", "--program-headers", "--sections", "--dynamic"], bytes)
}

fn objdump(bytes: &[u8]) -> String {
    told("x86_64-w64-mingw32-objdump", &["--private-headers", "--section-headers"], bytes)
}

/// The lines with `words`, without the numbers that other edits move.
#[track_caller]
fn assert_says(told: &str, words: &str, says: bool) {
    let squeezed: Vec<_> =
        told.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(squeezed.iter().any(|line| line.contains(words)), says, "`{words}` in\n{told}");
}

/// `words` are told before the edit and not after it (`gone`), or the other way round.
#[track_caller]
fn assert_turns(
    fixture: Fixture,
    told: fn(&[u8]) -> String,
    words: &str,
    gone: bool,
    edit: fn(&mut Vec<u8>),
) {
    let mut bytes = fixture.bytes();
    assert_says(&told(&bytes), words, gone);
    edit(&mut bytes);
    assert_says(&told(&bytes), words, !gone);
}

#[test]
fn readelf_sees_the_same_edits() {
    let turns = |words, gone, edit| assert_turns(Fixture::Glibc, readelf, words, gone, edit);
    turns("GNU_RELRO", true, |bytes| {
        let header = segment(bytes, PT_GNU_RELRO);
        put(bytes, header, 4, 0);
    });
    turns("Type: EXEC", false, |bytes| put(bytes, E_TYPE, 2, 2));
    turns("Machine: Advanced Micro Devices X86-64", false, |bytes| put(bytes, E_MACHINE, 2, 62));
    turns("OS/ABI: UNIX - FreeBSD", false, |bytes| bytes[EI_OSABI] = 9);
    turns("RWE 0x10", false, |bytes| {
        let flags = segment(bytes, PT_GNU_STACK) + P_FLAGS;
        put(bytes, flags, 4, 7);
    });
    turns("(FLAGS) BIND_NOW", true, |bytes| {
        let flags = dynamic(bytes, 30);
        change(bytes, flags, 8, |flags| flags & !8);
    });
    turns("TEXTREL", false, |bytes| {
        let flags = dynamic(bytes, 30);
        change(bytes, flags, 8, |flags| flags | 4);
    });
    turns("(RUNPATH)", false, |bytes| {
        let value = dynamic(bytes, 21);
        put(bytes, value - 8, 8, 29);
    });
    turns("Flags: NOW PIE", true, |bytes| {
        let flags = dynamic(bytes, 0x6fff_fffb);
        change(bytes, flags, 8, |flags| flags & !0x0800_0000);
    });
    turns("WAX", false, |bytes| {
        let flags = section(bytes, ".text") + SH_FLAGS;
        change(bytes, flags, 8, |flags| flags | 1);
    });
}

#[test]
fn objdump_sees_the_same_edits() {
    let turns = |words, gone, edit| assert_turns(Fixture::Console, objdump, words, gone, edit);
    turns("(Windows GUI)", false, |bytes| {
        let field = pe(bytes, SUBSYSTEM);
        put(bytes, field, 2, 2);
    });
    turns("DYNAMIC_BASE", true, |bytes| {
        let field = pe(bytes, DLL_CHARACTERISTICS);
        change(bytes, field, 2, |flags| flags & !0x40);
    });
    turns("HIGH_ENTROPY_VA", true, |bytes| {
        let field = pe(bytes, DLL_CHARACTERISTICS);
        change(bytes, field, 2, |flags| flags & !0x20);
    });
    turns("NX_COMPAT", true, |bytes| {
        let field = pe(bytes, DLL_CHARACTERISTICS);
        change(bytes, field, 2, |flags| flags & !0x100);
    });
    turns("GUARD_CF", false, |bytes| {
        let field = pe(bytes, DLL_CHARACTERISTICS);
        change(bytes, field, 2, |flags| flags | 0x4000);
    });
    turns("SectionAlignment 00000200", false, |bytes| {
        let field = pe(bytes, SECTION_ALIGNMENT);
        put(bytes, field, 4, 0x200);
    });
    turns("ImageBase 0000000000400000", false, |bytes| {
        let field = pe(bytes, IMAGE_BASE);
        put(bytes, field, 8, 0x40_0000);
    });
    turns("relocations stripped", false, |bytes| {
        let field = pe(bytes, CHARACTERISTICS);
        change(bytes, field, 2, |flags| flags | 1);
    });
    turns("DLL Name: KERNEL99.dll", false, |bytes| overwrite(bytes, "KERNEL32.dll", "KERNEL99.dll"));
}

#[test]
fn objdump_sees_the_same_edits_of_what_only_lld_makes() {
    let turns = |words, gone, edit| assert_turns(Fixture::Hardened, objdump, words, gone, edit);
    turns("hardened_entry", true, |bytes| overwrite(bytes, "hardened_entry", "hardened_other"));
    turns("pdb hardened.pdb", true, |bytes| overwrite(bytes, "hardened.pdb", "hard\\ned.pdb"));
    turns("__stack_chk_fail", true, |bytes| overwrite(bytes, "__stack_chk_fail", "__stack_chk_pass"));
}

#[test]
fn the_linker_wrote_the_checksum_that_the_edits_write() {
    let linked = Fixture::Console.bytes();
    let mut again = linked.clone();
    put_checksum(&mut again);
    assert!(linked == again);
}
