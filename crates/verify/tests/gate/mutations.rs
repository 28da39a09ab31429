//! For every rule, a file in which one field was changed: that rule refuses it, and no other does.

use std::collections::BTreeSet;

use crate::support::*;
use artifact::{Outcome, Report};
use seaworthy_verify::{Policy, Subject, rules, verify};

/// One change and the rule that must notice it.
struct Mutation {
    rule: &'static str,
    from: Fixture,
    what: &'static str,
    edit: fn(&mut Vec<u8>),
}

const fn mutation(rule: &'static str, from: Fixture, what: &'static str, edit: fn(&mut Vec<u8>)) -> Mutation {
    Mutation { rule, from, what, edit }
}

const MUTATIONS: &[Mutation] = &[
    mutation("SW-READABLE", Fixture::Glibc, "a section reaches beyond the end of the file", |bytes| {
        let header = section(bytes, ".comment");
        put(bytes, header + 32, 8, 0x10_0000);
    }),
    mutation("SW-FORMAT", Fixture::Glibc, "a Windows program under a Linux name", |bytes| {
        *bytes = Fixture::Console.bytes();
    }),
    mutation("SW-FORMAT", Fixture::Console, "a Linux program under a Windows name", |bytes| {
        *bytes = Fixture::Glibc.bytes();
    }),
    mutation("SW-MACHINE", Fixture::Glibc, "e_machine is x86-64's", |bytes| put(bytes, E_MACHINE, 2, 62)),
    mutation("SW-MACHINE", Fixture::Console, "Machine is RISC-V's", |bytes| {
        let field = pe(bytes, 4);
        put(bytes, field, 2, 0x5064);
    }),
    mutation("SW-KIND", Fixture::Console, "IMAGE_FILE_DLL set", |bytes| {
        let field = pe(bytes, CHARACTERISTICS);
        change(bytes, field, 2, |flags| flags | 0x2000);
    }),
    mutation("SW-LINKER", Fixture::Protected, "the compiler's comment became mold's", |bytes| {
        replace(bytes, b"GCC: (Debian ", b"mold 2.30.0 (");
    }),
    mutation("SW-LINKER", Fixture::Musl, "another version of LLD", |bytes| {
        replace(bytes, b"LLD 22.1.2", b"LLD 22.9.2");
    }),
    mutation("SW-LINKER", Fixture::Musl, "LLD's comment is gone", |bytes| {
        replace(bytes, b"Linker: LLD", b"Linker  LLD");
    }),
    mutation("SW-LINKER", Fixture::Console, "MajorLinkerVersion and Minor are LLD's", |bytes| {
        let field = pe(bytes, 24 + 2);
        put(bytes, field, 2, 14);
    }),
    mutation("SW-CLASS", Fixture::Freestanding, "built for x32: the same machine, 32-bit", |bytes| {
        *bytes = read("x86_64-freestanding-x32");
    }),
    mutation("SW-ELF-OS-ABI", Fixture::Glibc, "EI_OSABI is FreeBSD's", |bytes| bytes[EI_OSABI] = 9),
    mutation("SW-ELF-INTERPRETER", Fixture::Glibc, "another loader", |bytes| {
        overwrite(bytes, "/lib/ld-linux-aarch64.so.1", "/opt/ld-linux-aarch64.so.1");
    }),
    mutation("SW-ELF-GLIBC-FLOOR", Fixture::Glibc, "a version that is still to come", |bytes| {
        rename_version(bytes, "GLIBC_2.34", "GLIBC_2.99");
    }),
    mutation("SW-ELF-LIBGCC-FLOOR", Fixture::Glibc, "a newer unwinder", |bytes| {
        rename_version(bytes, "GCC_3.3", "GCC_9.3");
    }),
    mutation("SW-ELF-NEEDED", Fixture::Glibc, "another library", |bytes| {
        overwrite(bytes, "libgcc_s.so.1", "libgcc_z.so.1");
    }),
    mutation("SW-ELF-RPATH", Fixture::Glibc, "DT_DEBUG became an empty DT_RUNPATH", |bytes| {
        let value = dynamic(bytes, 21);
        put(bytes, value - 8, 8, 29);
    }),
    mutation("SW-ELF-ABI-FLAGS", Fixture::Glibc, "a flag", |bytes| put(bytes, E_FLAGS, 4, 1)),
    mutation("SW-ELF-CXX-FLOOR", Fixture::Glibc, "a version of libstdc++", |bytes| {
        rename_version(bytes, "GLIBC_2.17", "CXXABI_9.9");
    }),
    mutation("SW-ELF-KERNEL-MINIMUM", Fixture::Glibc, "Linux 9", |bytes| {
        // Note header and name, system, then the kernel's major version.
        let major = number(bytes, section(bytes, ".note.ABI-tag") + SH_OFFSET, 8) as usize + 20;
        put(bytes, major, 4, 9);
    }),
    mutation("SW-ELF-BRANCH-PROTECTION", Fixture::Protected, "BTI taken from the property", |bytes| {
        let note = number(bytes, section(bytes, ".note.gnu.property") + SH_OFFSET, 8) as usize;
        put(bytes, note + PROPERTY_BITS, 4, 2);
    }),
    mutation("SW-ELF-CET", Fixture::ControlFlow, "IBT taken from the property", |bytes| {
        let note = number(bytes, section(bytes, ".note.gnu.property") + SH_OFFSET, 8) as usize;
        put(bytes, note + PROPERTY_BITS, 4, 2);
    }),
    mutation("SW-ELF-EXPORTS", Fixture::Protected, "the last dynamic symbol is defined", |bytes| {
        let table = section(bytes, ".dynsym");
        let end = number(bytes, table + SH_OFFSET, 8) + number(bytes, table + SH_OFFSET + 8, 8);
        put(bytes, end as usize - 24 + 6, 2, 12);
    }),
    mutation("SW-ELF-FORTIFY", Fixture::Protected, "memcpy unchecked", |bytes| {
        overwrite(bytes, "__memcpy_chk", "memcpy\0_____");
    }),
    mutation(
        "SW-ELF-STACK-PROTECTOR",
        Fixture::Protected,
        "names that only begin like the protector's",
        |bytes| {
            overwrite(bytes, "__stack_chk_fail", "__stack_chk_fair");
            overwrite(bytes, "__stack_chk_guard", "__stack_chk_guarX");
        },
    ),
    mutation("SW-ELF-PACKER", Fixture::Protected, "UPX's sign at the end", |bytes| {
        bytes.extend(b"UPX!\0\0\0\0")
    }),
    mutation("SW-ELF-SECTION-MAP", Fixture::Protected, "SHF_WRITE on .eh_frame", |bytes| {
        let flags = section(bytes, ".eh_frame") + SH_FLAGS;
        change(bytes, flags, 8, |flags| flags | 1);
    }),
    mutation("SW-ELF-SEPARATE-CODE", Fixture::Protected, "PF_X on the headers", |bytes| {
        let flags = segment(bytes, PT_LOAD) + P_FLAGS;
        put(bytes, flags, 4, 5);
    }),
    mutation("SW-ELF-UNDEFINED", Fixture::Protected, "both DT_NEEDED became tags of nobody", |bytes| {
        for _ in 0..2 {
            let value = dynamic(bytes, 1);
            put(bytes, value - 8, 8, 0x6000_0010);
        }
    }),
    mutation("SW-SECRETS", Fixture::Protected, "an access key", |bytes| {
        overwrite(bytes, "/src/fixture-of-no-mac", "AKIAFIXTUREOFNOMACHN\0\0");
    }),
    mutation("SW-SIZE-BUDGET", Fixture::Protected, "4,000 bytes more", |bytes| bytes.extend([7; 4000])),
    mutation("SW-ELF-CLOSURE", Fixture::InRoot, "a symbol that nobody has", |bytes| {
        overwrite(bytes, "\0abort\0", "\0abode\0");
    }),
    mutation("SW-PE-CLOSURE", Fixture::InFolder, "a DLL that is nowhere", |bytes| {
        overwrite(bytes, "msvcrt.dll", "msvcrx.dll");
    }),
    mutation("SW-ELF-PIE", Fixture::Glibc, "ET_EXEC", |bytes| put(bytes, E_TYPE, 2, 2)),
    mutation("SW-ELF-PIE", Fixture::Musl, "ET_EXEC", |bytes| put(bytes, E_TYPE, 2, 2)),
    mutation("SW-ELF-PIE", Fixture::Musl, "DF_1_PIE cleared", |bytes| {
        let flags = dynamic(bytes, 0x6fff_fffb);
        change(bytes, flags, 8, |flags| flags & !0x0800_0000);
    }),
    // musl's `_start` has seven instructions; right behind them stands what runs after the relocation.
    mutation("SW-ELF-SELF-RELOCATION", Fixture::Musl, "the entry point is behind the relocation", |bytes| {
        change(bytes, E_ENTRY, 8, |entry| entry + 0x1c);
    }),
    mutation(
        "SW-ELF-SELF-RELOCATION",
        Fixture::Musl,
        "linked with the start files of a fixed address",
        |bytes| {
            *bytes = read("aarch64-musl-wrong-start-files");
        },
    ),
    mutation(
        "SW-ELF-SELF-RELOCATION",
        Fixture::MuslX86,
        "linked with the start files of a fixed address",
        |bytes| {
            *bytes = read("x86_64-musl-wrong-start-files");
        },
    ),
    mutation("SW-ELF-NX-STACK", Fixture::Glibc, "PF_X on the stack", |bytes| {
        let flags = segment(bytes, PT_GNU_STACK) + P_FLAGS;
        put(bytes, flags, 4, 7);
    }),
    mutation("SW-ELF-RELRO", Fixture::Glibc, "no PT_GNU_RELRO", |bytes| {
        let header = segment(bytes, PT_GNU_RELRO);
        put(bytes, header, 4, 0);
    }),
    mutation("SW-ELF-RELRO", Fixture::Musl, "PT_GNU_RELRO a byte too short", |bytes| {
        let size = segment(bytes, PT_GNU_RELRO) + P_MEMSZ;
        change(bytes, size, 8, |size| size - 1);
    }),
    mutation("SW-ELF-BIND-NOW", Fixture::Glibc, "DF_BIND_NOW and DF_1_NOW cleared", |bytes| {
        let flags = dynamic(bytes, 30);
        change(bytes, flags, 8, |flags| flags & !8);
        let flags = dynamic(bytes, 0x6fff_fffb);
        change(bytes, flags, 8, |flags| flags & !1);
    }),
    mutation("SW-ELF-TEXTREL", Fixture::Glibc, "DF_TEXTREL set", |bytes| {
        let flags = dynamic(bytes, 30);
        change(bytes, flags, 8, |flags| flags | 4);
    }),
    mutation("SW-ELF-TEXTREL", Fixture::Glibc, "a relocation writes to the start of the code", |bytes| {
        let code = number(bytes, code_segment(bytes) + P_VADDR, 8);
        // DT_RELA: what is in the first segment lies at the same place in the file.
        let relocation = number(bytes, dynamic(bytes, 7), 8);
        put(bytes, relocation as usize, 8, code);
    }),
    mutation("SW-ELF-WX-SEGMENTS", Fixture::Glibc, "PF_W on the code", |bytes| {
        let flags = code_segment(bytes) + P_FLAGS;
        put(bytes, flags, 4, 7);
    }),
    mutation("SW-WX-SECTIONS", Fixture::Glibc, "SHF_WRITE on .text", |bytes| {
        let flags = section(bytes, ".text") + SH_FLAGS;
        change(bytes, flags, 8, |flags| flags | 1);
    }),
    mutation("SW-WX-SECTIONS", Fixture::Console, "IMAGE_SCN_MEM_WRITE on .text", |bytes| {
        let flags = pe_section(bytes, ".text") + SECTION_CHARACTERISTICS;
        change(bytes, flags, 4, |flags| flags | 0x8000_0000);
    }),
    mutation("SW-SECTIONS", Fixture::Glibc, "a section of another name", |bytes| {
        overwrite(bytes, ".comment", ".payload");
    }),
    mutation("SW-SECTIONS", Fixture::Console, "a section of another name", |bytes| {
        let name = pe_section(bytes, ".CRT");
        bytes[name..name + 4].copy_from_slice(b"PAY0");
    }),
    mutation("SW-STRIPPED", Fixture::Glibc, "a debug section", |bytes| {
        overwrite(bytes, ".comment", ".debug_x");
    }),
    mutation("SW-STRIPPED", Fixture::Console, "a debug section", |bytes| {
        let name = pe_section(bytes, ".buildid");
        bytes[name..name + 8].copy_from_slice(b".debug_x");
    }),
    mutation("SW-BUILD-PATHS", Fixture::Glibc, "a home folder", |bytes| home_folder(bytes)),
    mutation("SW-BUILD-PATHS", Fixture::Console, "a home folder", |bytes| home_folder(bytes)),
    mutation("SW-BUILD-ID", Fixture::Glibc, "the note is of another type", |bytes| {
        let note = number(bytes, segment(bytes, PT_NOTE) + 8, 8) as usize;
        // Name size, description size, type.
        assert_eq!(number(bytes, note + 8, 4), 3, "the build-id comes first");
        put(bytes, note + 8, 4, 99);
    }),
    mutation("SW-TRAILING-BYTES", Fixture::Glibc, "sixteen bytes more", |bytes| bytes.extend([7; 16])),
    mutation("SW-TRAILING-BYTES", Fixture::Console, "sixteen bytes more", |bytes| bytes.extend([7; 16])),
    mutation("SW-PE-IMPORTS", Fixture::Console, "another library", |bytes| {
        overwrite(bytes, "KERNEL32.dll", "KERNEL99.dll");
    }),
    mutation("SW-PE-SUBSYSTEM", Fixture::Console, "GUI", |bytes| {
        let field = pe(bytes, SUBSYSTEM);
        put(bytes, field, 2, 2);
    }),
    mutation("SW-PE-DYNAMIC-BASE", Fixture::Console, "DYNAMIC_BASE cleared", |bytes| {
        let field = pe(bytes, DLL_CHARACTERISTICS);
        change(bytes, field, 2, |flags| flags & !0x40);
    }),
    mutation("SW-PE-HIGH-ENTROPY", Fixture::Console, "HIGH_ENTROPY_VA cleared", |bytes| {
        let field = pe(bytes, DLL_CHARACTERISTICS);
        change(bytes, field, 2, |flags| flags & !0x20);
    }),
    mutation("SW-PE-RELOCATIONS", Fixture::Console, "RELOCS_STRIPPED set", |bytes| {
        let field = pe(bytes, CHARACTERISTICS);
        change(bytes, field, 2, |flags| flags | 1);
    }),
    mutation("SW-PE-RELOCATIONS", Fixture::Console, "the relocation directory is empty", |bytes| {
        let directory = pe(bytes, BASE_RELOCATION_DIRECTORY);
        put(bytes, directory, 8, 0);
    }),
    mutation("SW-PE-RELOCATIONS", Fixture::Console, "the TLS index's entry is made padding", |bytes| {
        let tls = number(bytes, pe(bytes, directory(9)), 4);
        unrelocate(bytes, tls + 16);
    }),
    mutation("SW-PE-RELOCATIONS", Fixture::Hardened, "the stack cookie's entry is made padding", |bytes| {
        let load_config = number(bytes, pe(bytes, directory(10)), 4);
        unrelocate(bytes, load_config + 88);
    }),
    mutation("SW-PE-NX", Fixture::Console, "NX_COMPAT cleared", |bytes| {
        let field = pe(bytes, DLL_CHARACTERISTICS);
        change(bytes, field, 2, |flags| flags & !0x100);
    }),
    mutation("SW-PE-SHARED-SECTIONS", Fixture::Console, "IMAGE_SCN_MEM_SHARED on .data", |bytes| {
        let flags = pe_section(bytes, ".data") + SECTION_CHARACTERISTICS;
        change(bytes, flags, 4, |flags| flags | 0x1000_0000);
    }),
    mutation("SW-PE-TIMESTAMPS", Fixture::Console, "a clock", |bytes| {
        let field = pe(bytes, TIME_DATE_STAMP);
        put(bytes, field, 4, 1_700_000_000);
    }),
    mutation("SW-PE-DELAY-IMPORTS", Fixture::Hardened, "another library", |bytes| {
        overwrite(bytes, "user32.dll", "user99.dll");
    }),
    mutation("SW-PE-EXPORTS", Fixture::Hardened, "another function", |bytes| {
        overwrite(bytes, "hardened_entry", "hardened_other");
    }),
    mutation("SW-PE-IMAGE-BASE", Fixture::Console, "below 4 GiB, without thread-local storage", |bytes| {
        let field = pe(bytes, IMAGE_BASE);
        put(bytes, field, 8, 0x40_0000);
        // Its addresses are absolute.
        let field = pe(bytes, directory(9));
        put(bytes, field, 8, 0);
    }),
    mutation("SW-PE-CFG", Fixture::Console, "GUARD_CF set", |bytes| {
        let field = pe(bytes, DLL_CHARACTERISTICS);
        change(bytes, field, 2, |flags| flags | 0x4000);
    }),
    mutation("SW-PE-CFG", Fixture::Hardened, "GUARD_CF cleared where it is required", |bytes| {
        let field = pe(bytes, DLL_CHARACTERISTICS);
        change(bytes, field, 2, |flags| flags & !0x4000);
    }),
    mutation("SW-PE-CFG", Fixture::Hardened, "no functions in the table", |bytes| {
        let config = pe_offset(bytes, number(bytes, pe(bytes, directory(10)), 4));
        put(bytes, config + 136, 8, 0);
    }),
    mutation("SW-PE-CET", Fixture::Hardened, "the flag cleared", |bytes| {
        // The second entry of the debug directory; its last field is the offset of its data.
        let entry = pe_offset(bytes, number(bytes, pe(bytes, directory(6)), 4)) + 28;
        assert_eq!(number(bytes, entry + 12, 4), 20, "extended DLL characteristics come second");
        let flags = number(bytes, entry + 24, 4) as usize;
        put(bytes, flags, 4, 0);
    }),
    mutation("SW-PE-STACK-PROTECTOR", Fixture::Hardened, "another function", |bytes| {
        overwrite(bytes, "__stack_chk_fail", "__stack_chk_pass");
    }),
    mutation("SW-PE-ALIGNMENT", Fixture::Console, "512 bytes", |bytes| {
        let field = pe(bytes, SECTION_ALIGNMENT);
        put(bytes, field, 4, 0x200);
    }),
    mutation("SW-PE-EXECUTABLE-IMPORTS", Fixture::Hardened, "IMAGE_SCN_MEM_EXECUTE on .rdata", |bytes| {
        let flags = pe_section(bytes, ".rdata") + SECTION_CHARACTERISTICS;
        change(bytes, flags, 4, |flags| flags | 0x2000_0000);
    }),
    mutation("SW-PE-TLS-CALLBACKS", Fixture::Console, "a callback in .data", |bytes| {
        let base = number(bytes, pe(bytes, IMAGE_BASE), 8);
        let storage = pe_offset(bytes, number(bytes, pe(bytes, directory(9)), 4));
        let callbacks = pe_offset(bytes, number(bytes, storage + 24, 8) - base);
        let data = number(bytes, pe_section(bytes, ".data") + 12, 4);
        put(bytes, callbacks, 8, base + data);
    }),
    mutation("SW-PE-PDB-PATH", Fixture::Hardened, "a folder", |bytes| {
        overwrite(bytes, "hardened.pdb", "hard\\ned.pdb");
    }),
    mutation("SW-PE-PACKER", Fixture::Console, ".bss is executable, not writable", |bytes| {
        let flags = pe_section(bytes, ".bss") + SECTION_CHARACTERISTICS;
        change(bytes, flags, 4, |flags| flags & !0x8000_0000 | 0x2000_0000);
    }),
    mutation("SW-PE-VERSION-RESOURCE", Fixture::Hardened, "another line", |bytes| {
        overwrite(bytes, &wide("ProductVersion"), &wide("ProductPersion"));
    }),
    mutation("SW-PE-VERSION-RESOURCE", Fixture::Hardened, "number 7", |bytes| {
        let entry = resource_name(bytes, 16);
        put(bytes, entry, 4, 7);
    }),
    mutation("SW-PE-MANIFEST", Fixture::Hardened, "another level", |bytes| {
        overwrite(bytes, "asInvoker", "asDefined");
    }),
    mutation("SW-PE-MANIFEST", Fixture::Hardened, "number 2, a library's", |bytes| {
        let entry = resource_name(bytes, 24);
        put(bytes, entry, 4, 2);
    }),
    mutation("SW-PE-SIGNATURE-PRESENT", Fixture::Signed, "the certificate table cut off", |bytes| {
        let field = pe(bytes, directory(4));
        let table = number(bytes, field, 4) as usize;
        put(bytes, field, 8, 0);
        bytes.truncate(table);
    }),
    mutation("SW-PE-SIGNATURE-DIGEST", Fixture::Signed, "other words in the DOS program", |bytes| {
        overwrite(bytes, "DOS mode", "DOS code");
    }),
    mutation("SW-PE-SIGNATURE-CHAIN", Fixture::Signed, "another statement among what was signed", |bytes| {
        // SPC_INDIVIDUAL_SP_KEY_PURPOSE became SPC_COMMERCIAL_SP_KEY_PURPOSE.
        overwrite_bytes(bytes, &[0x82, 0x37, 2, 1, 21], &[0x82, 0x37, 2, 1, 22]);
    }),
    mutation("SW-PE-SIGNATURE-TIMESTAMP", Fixture::Signed, "an attribute that nobody knows", |bytes| {
        // 1.3.6.1.4.1.311.3.3.1 is the timestamp's.
        overwrite_bytes(bytes, &[0x82, 0x37, 3, 3, 1], &[0x82, 0x37, 3, 3, 9]);
    }),
    mutation("SW-PE-CHECKSUM", Fixture::Console, "one more", |bytes| {
        let field = pe(bytes, CHECKSUM);
        change(bytes, field, 4, |sum| sum + 1);
    }),
];

/// As a resource holds it; every character of these is one of UTF-8, too.
fn wide(text: &str) -> String {
    text.chars().flat_map(|letter| [letter, '\0']).collect()
}

/// Rules with tests of their own: no program has the name of a library (below), no target of ours is 32-bit x86
/// (`cases_pe.rs`), and what the second opinion compares is not in the bytes alone (below).
const ELSEWHERE: [&str; 3] = ["SW-ELF-SONAME", "SW-PE-SAFESEH", "SW-SECOND-OPINION"];

fn home_folder(bytes: &mut [u8]) {
    overwrite(bytes, "/src/fixture-of-no-machine/", "/home/fixture-of-a-machine/");
}

impl Mutation {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.from.bytes();
        (self.edit)(&mut bytes);
        // Whoever changes a Windows file writes its checksum anew; only that rule's own mutation is about it.
        if bytes.starts_with(b"MZ") && self.rule != "SW-PE-CHECKSUM" {
            put_checksum(&mut bytes);
        }
        bytes
    }
}

fn report(bytes: &[u8], policy: &Policy) -> Report {
    let facts = inspect::inspect_without_exports(bytes).expect("the headers can be read");
    verify(&Subject::new("fixture", bytes, &facts), policy)
}

fn refusals(report: &Report) -> Vec<String> {
    let shown = |finding: &artifact::Finding| {
        format!("{} {:?}: {}, expected {}", finding.rule, finding.outcome, finding.observed, finding.expected)
    };
    report.refusals().map(shown).collect()
}

#[test]
fn every_fixture_passes_every_rule() {
    for fixture in Fixture::ALL {
        let report = report(&fixture.bytes(), &fixture.policy());
        assert_eq!(report.findings.len(), rules().len());
        assert!(report.passed(), "{fixture:?}: {:#?}", refusals(&report));
    }
}

#[test]
fn every_rule_but_the_other_formats_applies_to_a_fixture() {
    let reports: Vec<_> = Fixture::ALL.map(|fixture| report(&fixture.bytes(), &fixture.policy())).into();
    for (index, rule) in rules().iter().enumerate() {
        let applies = |report: &Report| report.findings[index].outcome == Outcome::Pass;
        let alone = ELSEWHERE.contains(&rule.id) && rule.id != "SW-SECOND-OPINION";
        assert!(alone || reports.iter().any(applies), "{} never passes", rule.id);
    }
}

#[test]
fn every_mutation_is_refused_by_its_rule_and_no_other() {
    let mut wrong = Vec::new();
    for mutation in MUTATIONS {
        let report = report(&mutation.bytes(), &mutation.from.policy());
        let rules: Vec<_> = report.refusals().map(|finding| &*finding.rule).collect();
        if rules != [mutation.rule] {
            let (name, what) = (mutation.from.name(), mutation.what);
            wrong.push(format!("{}, {name}, {what}: {:#?}", mutation.rule, refusals(&report)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn facts_that_the_second_reader_does_not_see_are_refused_by_that_rule_alone() {
    // The first reader's mistake is played by facts of a file with one other field.
    for (fixture, field, size, value) in [(Fixture::Glibc, E_MACHINE, 2, 62), (Fixture::Musl, E_TYPE, 2, 2)] {
        let original = fixture.bytes();
        let facts = inspect::inspect_without_exports(&original).expect("the headers can be read");
        let mut bytes = original.clone();
        put(&mut bytes, field, size, value);
        let report = verify(&Subject::new("fixture", &bytes, &facts), &fixture.policy());
        let rules: Vec<_> = report.refusals().map(|finding| &*finding.rule).collect();
        assert_eq!(rules, ["SW-SECOND-OPINION"], "{:#?}", refusals(&report));
    }
}

#[test]
fn no_rule_is_without_its_mutation() {
    let mutated: BTreeSet<_> = MUTATIONS.iter().map(|mutation| mutation.rule).collect();
    let all: BTreeSet<_> = rules().iter().map(|rule| rule.id).collect();
    let missing: Vec<_> = all.difference(&mutated).copied().collect();
    assert_eq!(missing, ELSEWHERE);
    assert!(mutated.is_subset(&all));
}

#[test]
fn a_library_of_another_name_is_refused_by_that_rule() {
    let policy = Policy { soname: Some("libc.so.6".to_owned()), ..Fixture::Glibc.policy() };
    let outcome = |bytes: &[u8]| {
        let report = report(bytes, &policy);
        report.findings.iter().find(|finding| finding.rule == "SW-ELF-SONAME").expect("asked").outcome
    };
    let mut library = read("aarch64-root/lib/libc.so.6");
    assert_eq!(outcome(&library), Outcome::Pass);
    overwrite(&mut library, "libc.so.6", "libc.so.7");
    assert_eq!(outcome(&library), Outcome::Fail);
}

#[test]
fn one_of_the_three_ways_to_say_bind_now_is_enough() {
    for (tag, bit) in [(30, 8), (0x6fff_fffb, 1)] {
        let mut bytes = Fixture::Glibc.bytes();
        let flags = dynamic(&bytes, tag);
        change(&mut bytes, flags, 8, |flags| flags & !bit);
        let report = report(&bytes, &Fixture::Glibc.policy());
        assert!(report.passed(), "{:#?}", refusals(&report));
    }
}

#[test]
fn section_headers_taken_away_change_no_answer_about_what_is_loaded() {
    let mut bytes = Fixture::Glibc.bytes();
    let whole = report(&bytes, &Fixture::Glibc.policy());
    // e_shoff, then e_shnum and e_shstrndx; the headers' bytes stay and become a tail nobody names.
    put(&mut bytes, 40, 8, 0);
    put(&mut bytes, 60, 4, 0);
    let without = report(&bytes, &Fixture::Glibc.policy());
    for (before, after) in whole.findings.iter().zip(&without.findings) {
        if before.rule.starts_with("SW-ELF-") && before.rule != "SW-ELF-SECTION-MAP" {
            assert_eq!(before.outcome, after.outcome, "{after:?}");
        }
    }
}
