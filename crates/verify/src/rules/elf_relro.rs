//! SW-ELF-RELRO: what the loader has filled in becomes read-only, all of it.

use inspect::facts::{Elf, ElfSection, ElfSegment, ElfShape};

use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject};

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
/// `PF_W`
const WRITE: u32 = 2;
const PT_GNU_RELRO: u32 = 0x6474_e552;
const DT_PLTGOT: i64 = 3;
/// `SHF_WRITE | SHF_ALLOC`
const WRITE_ALLOC: u64 = 3;
/// The loader protects whole pages; this is the smallest page of our targets.
const PAGE: u64 = 4096;
/// What is written only while loading.
const COVERED: [&str; 7] =
    [".got", ".got.plt", ".dynamic", ".data.rel.ro", ".init_array", ".fini_array", ".preinit_array"];
/// Where lazily bound functions are entered while the program runs; on processors whose linkers make one table of both,
/// [`GOT`].
const LAZY_TABLE: &str = ".got.plt";
const GOT: &str = ".got";

pub(crate) const RULE: Rule = Rule {
    id: "SW-ELF-RELRO",
    summary: "what the loader has filled in becomes read-only, all of it",
    why: "A function table that stays writable after loading is where an attacker's write becomes a call.",
    fix: "link with `-C relro-level=full` (`-z relro -z now`), and drop any `-z norelro`",
    references: &[
        "glibc, elf/dl-reloc.c: _dl_protect_relro",
        "GNU binutils, ld -z relro",
        "CWE-693: Protection Mechanism Failure",
    ],
    check: Check::Elf(check),
};

fn check(elf: &Elf, _: &Subject, policy: &Policy) -> Judgement {
    let expected = if policy.bind_now {
        "PT_GNU_RELRO over the GOT and all else that only the loader writes"
    } else {
        "PT_GNU_RELRO over all that only the loader writes, the table of lazy binding apart"
    };
    let headers: Vec<_> = elf.segments.iter().filter(|segment| segment.kind == PT_GNU_RELRO).collect();
    let relro = match headers.as_slice() {
        [] => return Judgement::fail("no PT_GNU_RELRO", expected),
        [relro] => relro,
        several => {
            return Judgement::cannot_tell(format!("{} PT_GNU_RELRO headers", several.len()), expected);
        }
    };
    let Some(end) = relro.virtual_address.checked_add(relro.memory_size) else {
        return Judgement::cannot_tell("PT_GNU_RELRO ends beyond 2^64", expected);
    };
    // Both ends are rounded down to a page, as the loader does: a part of a page at the end stays writable.
    let covered = page(relro.virtual_address)..page(end);
    let mut wrong = Vec::new();
    for (name, address, size) in written_while_loading(elf, policy) {
        let end = address.checked_add(size);
        if address < covered.start || end.is_none_or(|end| end > covered.end) {
            wrong.push(format!("{name} at {address:#x}, {size:#x} bytes"));
        }
    }
    let range = format!("{:#x}..{:#x}", covered.start, covered.end);
    if wrong.is_empty() {
        // Such a program has no loader. glibc's start code protects it (csu/, elf/dl-support.c), musl's does not.
        let by_itself = match elf.shape() {
            ElfShape::StaticPositionIndependent => {
                ", where its own start code asks for that: glibc's does, musl's does not"
            }
            _ => "",
        };
        Judgement::pass(format!("{range} read-only after loading{by_itself}"), expected)
    } else {
        Judgement::fail(format!("outside of {range}: {}", crate::rule::listed(&wrong)), expected)
    }
}

fn page(address: u64) -> u64 {
    address & !(PAGE - 1)
}

/// Name, address and size of each part: from sections, where there are some, program headers and relocations.
fn written_while_loading(elf: &Elf, policy: &Policy) -> Vec<(String, u64, u64)> {
    let sections = elf.sections.iter().filter(|section| {
        section.flags & WRITE_ALLOC == WRITE_ALLOC
            && section.size > 0
            && COVERED.contains(&section.name.as_str())
            && (policy.bind_now || !is_bound_lazily(elf, section))
    });
    let mut parts: Vec<_> =
        sections.map(|section| (section.name.clone(), section.address, section.size)).collect();
    // MIPS has it where nothing can be written anyway.
    let dynamic = elf
        .segments
        .iter()
        .filter(|segment| segment.kind == PT_DYNAMIC && is_writable(elf, segment.virtual_address));
    parts.extend(dynamic.map(|ElfSegment { virtual_address, memory_size, .. }| {
        ("PT_DYNAMIC".to_owned(), *virtual_address, *memory_size)
    }));
    // Three reserved words begin the table that DT_PLTGOT points to.
    let table = elf.dynamic.iter().filter(|entry| entry.tag == DT_PLTGOT && policy.bind_now);
    let word = u64::from(elf.class / 8);
    parts.extend(table.map(|entry| ("DT_PLTGOT".to_owned(), entry.value, 3 * word)));
    // Whatever sections are called, this is what the loader fills.
    let functions = elf.relocations.function_slots.filter(|_| policy.bind_now);
    let slots = [("R_…_GLOB_DAT", elf.relocations.data_slots), ("R_…_JUMP_SLOT", functions)];
    parts.extend(slots.into_iter().filter_map(|(name, slots)| {
        let (lowest, highest) = slots?;
        Some((format!("slots of {name}"), lowest, (highest - lowest).saturating_add(word)))
    }));
    parts
}

/// Whether functions are entered into the section when they are first called: it is the table `DT_PLTGOT` points to, in
/// a file without a `.got.plt`.
fn is_bound_lazily(elf: &Elf, section: &ElfSection) -> bool {
    if section.name != GOT || elf.sections.iter().any(|section| section.name == LAZY_TABLE) {
        return section.name == LAZY_TABLE;
    }
    let holds = |address: u64| address.checked_sub(section.address).is_some_and(|from| from < section.size);
    let pointed_to = elf.dynamic.iter().any(|entry| entry.tag == DT_PLTGOT && holds(entry.value));
    pointed_to && super::elf_bind_now::tags(elf).is_empty()
}

/// Whether the address is loaded writable. What is in no segment is held to be: this must not hide anything.
fn is_writable(elf: &Elf, address: u64) -> bool {
    let mut loaded = elf.segments.iter().filter(|segment| {
        let from = address.checked_sub(segment.virtual_address);
        segment.kind == PT_LOAD && from.is_some_and(|from| from < segment.memory_size)
    });
    loaded.all(|segment| segment.flags & WRITE != 0)
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;

    use super::*;
    use crate::testing::*;

    #[test]
    fn no_header_fails_whatever_the_flags_say() {
        assert_ends(&judge_elf(&RULE, |_, _| ()), Outcome::Pass, "0x12000..0x13000");
        assert_ends(&judge_elf(&RULE, |elf, _| elf.segments[5].kind = 0), Outcome::Fail, "no PT_GNU_RELRO");
        let second = judge_elf(&RULE, |elf, _| elf.segments.push(elf.segments[5]));
        assert_ends(&second, Outcome::CannotTell, "2 PT_GNU_RELRO");
    }

    #[test]
    fn who_has_no_loader_may_go_on_unprotected() {
        assert_ends(&judge_static(&RULE, |_, _| ()), Outcome::Pass, "where its own start code asks for that");
        let loaded = judge_elf(&RULE, |_, _| ());
        assert!(loaded.observed.ends_with("read-only after loading"), "{loaded:?}");
    }

    #[test]
    fn a_header_that_leaves_the_table_writable_fails() {
        let short = judge_elf(&RULE, |elf, _| elf.segments[5].memory_size = 0xff8);
        assert_ends(&short, Outcome::Fail, "outside of 0x12000..0x12000: .got at 0x12000");
        let table = judge_elf(&RULE, |elf, _| elf.sections[2].name = ".got.plt".to_owned());
        assert_ends(&table, Outcome::Pass, "");
        let beyond = judge_elf(&RULE, |elf, _| elf.sections[2].size = 0x1001);
        assert_ends(&beyond, Outcome::Fail, ".got at 0x12000, 0x1001 bytes");
    }

    #[test]
    fn what_relocations_fill_counts_whatever_sections_are_called() {
        let slots = |data, functions, bind_now| {
            judge_elf(&RULE, |elf, policy| {
                elf.relocations.data_slots = data;
                elf.relocations.function_slots = functions;
                policy.bind_now = bind_now;
            })
        };
        let inside = Some((0x12000, 0x12ff8));
        assert_ends(&slots(inside, inside, true), Outcome::Pass, "");
        for outside in [(0x12000, 0x12ff9), (0x13000, 0x13000), (0x11ff8, 0x12000), (0, u64::MAX)] {
            let data = slots(Some(outside), inside, false);
            assert_ends(&data, Outcome::Fail, "slots of R_…_GLOB_DAT at 0x");
            let functions = slots(inside, Some(outside), true);
            assert_ends(&functions, Outcome::Fail, "slots of R_…_JUMP_SLOT at 0x");
            assert_ends(&slots(inside, Some(outside), false), Outcome::Pass, "");
        }
    }

    #[test]
    fn where_lazy_binding_is_allowed_its_table_stays_writable_and_nothing_else() {
        let writable = |name: &str, bind_now| {
            judge_elf(&RULE, |elf, policy| {
                elf.sections.push(section(name, 1, 3, 0x13000, 0x3000, 0x20));
                elf.dynamic.push(dynamic(DT_PLTGOT, 0x13000));
                policy.bind_now = bind_now;
            })
        };
        assert_ends(&writable(".got.plt", true), Outcome::Fail, ".got.plt at 0x13000");
        assert_ends(&writable(".got.plt", false), Outcome::Pass, "");
        assert_ends(&writable(".dynamic", false), Outcome::Fail, ".dynamic at 0x13000");
    }

    #[test]
    fn one_table_of_both_kinds_stays_writable_as_long_as_functions_are_bound_into_it() {
        let arm = |change: fn(&mut Elf)| {
            judge_elf(&RULE, |elf, policy| {
                elf.sections.push(section(".got", 1, 3, 0x13000, 0x3000, 0x174));
                elf.dynamic.retain(|entry| ![DT_PLTGOT, 24, 30, 0x6fff_fffb].contains(&entry.tag));
                elf.dynamic.push(dynamic(DT_PLTGOT, 0x13000));
                policy.bind_now = false;
                change(elf);
            })
        };
        let fails = |judgement| assert_ends(&judgement, Outcome::Fail, ".got at 0x13000");
        assert_ends(&arm(|_| ()), Outcome::Pass, "");
        fails(arm(|elf| elf.dynamic.push(dynamic(24, 0))));
        fails(arm(|elf| elf.dynamic.push(dynamic(30, 8))));
        fails(arm(|elf| elf.dynamic.retain(|entry| entry.tag != DT_PLTGOT)));
        fails(arm(|elf| elf.sections.push(section(".got.plt", 1, 3, 0x13174, 0x3174, 8))));
    }

    #[test]
    fn only_what_is_written_and_loaded_and_there_must_be_covered() {
        let with = |flags, size| {
            judge_elf(&RULE, |elf, _| elf.sections.push(section(".init_array", 1, flags, 0x19000, 0, size)))
        };
        assert_ends(&with(3, 8), Outcome::Fail, ".init_array at 0x19000");
        for (flags, size) in [(3, 0), (1, 8), (2, 8), (4, 8)] {
            assert_ends(&with(flags, size), Outcome::Pass, "");
        }
        let table = |address| {
            judge_elf(&RULE, |elf, _| {
                elf.sections.clear();
                elf.dynamic.retain(|entry| entry.tag != DT_PLTGOT);
                elf.dynamic.push(dynamic(DT_PLTGOT, address));
            })
        };
        assert_ends(&table(0x12000 + 0x1000 - 24), Outcome::Pass, "");
        assert_ends(&table(0x12000 + 0x1000 - 23), Outcome::Fail, "DT_PLTGOT at 0x12fe9, 0x18 bytes");
    }

    #[test]
    fn what_ends_where_the_table_begins_does_not_hold_it() {
        let judged = |address| {
            judge_elf(&RULE, |elf, policy| {
                elf.sections.push(section(".got", 1, 3, 0x13000, 0x3000, 0x100));
                elf.dynamic = vec![dynamic(DT_PLTGOT, address)];
                policy.bind_now = false;
            })
        };
        assert_ends(&judged(0x130ff), Outcome::Pass, "");
        assert_ends(&judged(0x13100), Outcome::Fail, ".got at 0x13000");
        assert_ends(&judged(0x12fff), Outcome::Fail, ".got at 0x13000");
        let behind = judge_elf(&RULE, |elf, _| {
            let dynamic = elf.segments.iter_mut().find(|segment| segment.kind == PT_DYNAMIC).unwrap();
            dynamic.virtual_address = 0x40_1000;
            elf.segments.push(segment(PT_LOAD, 4, 0, 0x40_0000, 0x1000));
        });
        assert_ends(&behind, Outcome::Fail, "PT_DYNAMIC at 0x401000");
    }

    #[test]
    fn a_dynamic_section_that_is_never_writable_needs_no_protection() {
        let moved = |flags| {
            judge_elf(&RULE, |elf, _| {
                let dynamic = elf.segments.iter_mut().find(|segment| segment.kind == PT_DYNAMIC).unwrap();
                dynamic.virtual_address = 0x40_0350;
                elf.segments.push(segment(PT_LOAD, flags, 0, 0x40_0000, 0x1000));
            })
        };
        assert_ends(&moved(4), Outcome::Pass, "");
        assert_ends(&moved(6), Outcome::Fail, "PT_DYNAMIC at 0x400350");
        let nowhere = judge_elf(&RULE, |elf, _| {
            let dynamic = elf.segments.iter_mut().find(|segment| segment.kind == PT_DYNAMIC).unwrap();
            dynamic.virtual_address = 0x40_0350;
        });
        assert_ends(&nowhere, Outcome::Fail, "PT_DYNAMIC at 0x400350");
    }

    #[test]
    fn without_section_headers_the_segments_tell() {
        let whole = judge_elf(&RULE, |elf, _| elf.sections.clear());
        assert_ends(&whole, Outcome::Pass, "");
        let short = judge_elf(&RULE, |elf, _| {
            elf.sections.clear();
            elf.segments[5].memory_size = 8;
        });
        assert_ends(&short, Outcome::Fail, "DT_PLTGOT at 0x12100");
    }

    #[test]
    fn a_sum_that_overflows_cannot_be_told() {
        let judgement = judge_elf(&RULE, |elf, _| elf.segments[5].memory_size = u64::MAX);
        assert_ends(&judgement, Outcome::CannotTell, "beyond");
    }
}
