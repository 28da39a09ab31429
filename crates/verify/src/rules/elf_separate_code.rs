//! SW-ELF-SEPARATE-CODE: what is executable is code alone.

use inspect::facts::{Elf, ElfSegment};

use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject};

const PT_LOAD: u32 = 1;
const PF_X: u32 = 1;
const SHT_NOBITS: u32 = 8;
const SHF_ALLOC: u64 = 2;
const SHF_EXECINSTR: u64 = 4;
/// Files are mapped by pages; no system has smaller ones.
const PAGE: u64 = 4096;
/// Parts that are data whatever sections say: dynamic entries, interpreter, notes, unwind tables.
const DATA: [(u32, &str); 4] =
    [(2, "PT_DYNAMIC"), (3, "PT_INTERP"), (4, "PT_NOTE"), (0x6474_e550, "PT_GNU_EH_FRAME")];

pub(crate) const RULE: Rule = Rule {
    id: "SW-ELF-SEPARATE-CODE",
    summary: "what is executable is code alone",
    why: "Tables and strings in an executable segment are bytes an attacker can jump into.",
    fix: "link with `-z separate-code` (GNU ld does so by itself for x86 only, lld for none)",
    references: &["GNU binutils, ld -z separate-code", "CWE-693: Protection Mechanism Failure"],
    check: Check::Elf(check),
};

fn check(elf: &Elf, subject: &Subject, policy: &Policy) -> Judgement {
    if !policy.separate_code {
        return Judgement::not_applicable("the policy lets data lie among code");
    }
    let expected = "no data in an executable segment";
    let code: Vec<_> =
        elf.segments.iter().filter(|segment| segment.kind == PT_LOAD && segment.flags & PF_X != 0).collect();
    if code.is_empty() {
        return Judgement::cannot_tell("no executable segment", expected);
    }
    // What shares a page with code is mapped beside it, and as executable.
    let among_code = |address: u64, offset: u64, has_bytes: bool| {
        let holds =
            |start: u64, size: u64, place: u64| place.checked_sub(start).is_some_and(|inside| inside < size);
        let inside = |segment: &&&ElfSegment| {
            let page = segment.offset / PAGE * PAGE;
            let pages = segment.offset.saturating_add(segment.file_size).div_ceil(PAGE).saturating_mul(PAGE);
            holds(segment.virtual_address, segment.memory_size, address)
                || has_bytes && segment.file_size > 0 && holds(page, pages - page, offset)
        };
        code.iter().any(|segment| inside(&segment))
    };
    let mut wrong = Vec::new();
    let mut places = Vec::new();
    if code.iter().any(|segment| segment.offset < PAGE && segment.file_size > 0) {
        wrong.push("the ELF header".to_owned());
        places.push((0, 16));
    }
    let sections = elf.sections.iter().filter(|section| {
        section.flags & (SHF_ALLOC | SHF_EXECINSTR) == SHF_ALLOC
            && section.size > 0
            && among_code(section.address, section.offset, section.kind != SHT_NOBITS)
    });
    for section in sections {
        wrong.push(format!("`{}`", section.name));
        places.push((section.offset, section.size.min(16)));
    }
    if elf.sections.is_empty() {
        for (kind, name) in DATA {
            let part = elf.segments.iter().find(|segment| segment.kind == kind && segment.file_size > 0);
            if let Some(part) = part.filter(|part| among_code(part.virtual_address, part.offset, true)) {
                wrong.push(name.to_owned());
                places.push((part.offset, part.file_size.min(16)));
            }
        }
    }
    let judgement = Judgement::none_wrong(&wrong, "code alone", expected);
    places.into_iter().fold(judgement, |judgement, (offset, size)| judgement.at(subject.bytes, offset, size))
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;
    use inspect::facts::Elf;

    use super::*;
    use crate::testing::*;

    fn judge_separate(change: impl FnOnce(&mut Elf)) -> Judgement {
        judge_elf(&RULE, |elf, policy| {
            policy.separate_code = true;
            change(elf);
        })
    }

    #[test]
    fn a_table_or_the_header_among_code_fails() {
        assert_ends(&judge_separate(|_| ()), Outcome::Pass, "code alone");
        let header = judge_separate(|elf| elf.segments[0].flags = 5);
        assert_ends(&header, Outcome::Fail, "the ELF header");
        let table = judge_separate(|elf| elf.sections.push(section(".rodata", 1, 2, 0x1100, 0x1100, 16)));
        assert_ends(&table, Outcome::Fail, "`.rodata`");
        assert_ends(&judge_separate(|elf| elf.segments.clear()), Outcome::CannotTell, "no executable");
    }

    #[test]
    fn what_is_empty_or_right_behind_the_code_is_not_among_it() {
        let with = |address, size| {
            judge_separate(|elf| elf.sections.push(section(".rodata", 1, 2, address, 0x1100, size)))
        };
        assert_ends(&with(0x1100, 0), Outcome::Pass, "");
        assert_ends(&with(0x1100, 1), Outcome::Fail, "`.rodata`");
        let end = |elf: &Elf| elf.segments[1].virtual_address + elf.segments[1].memory_size;
        let file_end = |elf: &Elf| elf.segments[1].offset + elf.segments[1].file_size;
        let behind = |offset: fn(u64) -> u64| {
            judge_separate(|elf| {
                let (address, offset) = (end(elf), offset(file_end(elf)));
                elf.sections.push(section(".rodata", 1, 2, address, offset, 16));
            })
        };
        assert_ends(&behind(|end| end.next_multiple_of(PAGE)), Outcome::Pass, "");
        // In one page of the file with code, it is mapped with it.
        assert_ends(&behind(|end| end.next_multiple_of(PAGE) - 16), Outcome::Fail, "`.rodata`");
        let header = judge_separate(|elf| elf.segments[1].offset = 0x750);
        assert_ends(&header, Outcome::Fail, "the ELF header");
        let empty = judge_separate(|elf| {
            elf.segments[0].flags = 5;
            elf.segments[0].file_size = 0;
        });
        assert_ends(&empty, Outcome::Pass, "");
        let empty = judge_separate(|elf| {
            elf.sections.clear();
            elf.segments[2].flags = 5;
            elf.segments.iter_mut().filter(|segment| segment.kind == 2).for_each(|part| part.file_size = 0);
        });
        assert!(!empty.observed.contains("PT_DYNAMIC"), "{empty:?}");
    }

    #[test]
    fn what_lies_before_code_in_its_page_is_among_it() {
        let before = |offset, code: Option<u64>| {
            judge_separate(|elf| {
                let segment = &mut elf.segments[1];
                segment.offset = 0x5800;
                segment.file_size = code.unwrap_or(segment.file_size);
                elf.sections = vec![section(".rodata", 1, 2, 0x100, offset, 16)];
            })
        };
        assert_ends(&before(0x5000, None), Outcome::Fail, "`.rodata`");
        assert_ends(&before(0x4ff0, None), Outcome::Pass, "");
        // No byte of the file is code.
        assert_ends(&before(0x5000, Some(0)), Outcome::Pass, "");
    }

    #[test]
    fn without_sections_the_segments_tell() {
        let dynamic = judge_separate(|elf| {
            elf.sections.clear();
            elf.segments[2].flags = 5;
        });
        assert_ends(&dynamic, Outcome::Fail, "PT_DYNAMIC");
    }

    #[test]
    fn it_is_asked_for_by_the_policy() {
        assert_ends(&judge_elf(&RULE, |elf, _| elf.segments[0].flags = 5), Outcome::NotApplicable, "policy");
    }
}
