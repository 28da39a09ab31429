//! SW-ELF-SECTION-MAP: each section is loaded with the permissions it asks for.

use inspect::facts::{Elf, ElfSection, ElfSegment};

use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject};

const PT_LOAD: u32 = 1;
const PF_X: u32 = 1;
const PF_W: u32 = 2;
const SHT_NOBITS: u32 = 8;
const SHF_WRITE: u64 = 1;
const SHF_ALLOC: u64 = 2;
const SHF_EXECINSTR: u64 = 4;
const SHF_TLS: u64 = 0x400;

pub(crate) const RULE: Rule = Rule {
    id: "SW-ELF-SECTION-MAP",
    summary: "each section is loaded with the permissions it asks for",
    why: "The loader goes by segments: code outside of an executable one, or data outside of a writable one, crashes when used.",
    fix: "link again without tools that edit headers afterwards; check the linker script's `PHDRS`",
    references: &["gABI, Program Header: Segment Permissions", "gABI, Sections: sh_flags"],
    check: Check::Elf(check),
};

fn check(elf: &Elf, subject: &Subject, _: &Policy) -> Judgement {
    if elf.sections.is_empty() {
        return Judgement::not_applicable("no section headers: only the segments say what is what");
    }
    let mut wrong = Vec::new();
    let mut places = Vec::new();
    for section in elf.sections.iter().filter(|section| takes_memory(section)) {
        let end = section.address.checked_add(section.size);
        let holds = |segment: &&ElfSegment| {
            segment.kind == PT_LOAD
                && section.address >= segment.virtual_address
                && end
                    .zip(segment.virtual_address.checked_add(segment.memory_size))
                    .is_some_and(|(end, limit)| end <= limit)
        };
        let what = match elf.segments.iter().find(holds) {
            None => "is in no loaded segment",
            Some(segment) if section.flags & SHF_WRITE != 0 && segment.flags & PF_W == 0 => {
                "is writable, its segment is not"
            }
            Some(segment) if section.flags & SHF_EXECINSTR != 0 && segment.flags & PF_X == 0 => {
                "is code, its segment is not executable"
            }
            Some(segment) if section.kind != SHT_NOBITS && is_elsewhere(section, segment) => {
                "is loaded from another place in the file"
            }
            Some(_) => continue,
        };
        wrong.push(format!("`{}` at {:#x} {what}", section.name, section.address));
        places.push(section);
    }
    let judgement =
        Judgement::none_wrong(&wrong, "as asked for", "each section in a segment with its permissions");
    places.into_iter().fold(judgement, |judgement, section| {
        judgement.at(subject.bytes, section.offset, section.size.min(16))
    })
}

fn is_elsewhere(section: &ElfSection, segment: &ElfSegment) -> bool {
    let into_file = section.offset.wrapping_sub(segment.offset);
    into_file != section.address.wrapping_sub(segment.virtual_address)
}

/// Zeroes of thread-local storage have an address and take no memory there: each thread gets its own.
fn takes_memory(section: &ElfSection) -> bool {
    let zeroes_of_threads = section.kind == SHT_NOBITS && section.flags & SHF_TLS != 0;
    // A section that asks for both is SW-WX-SECTIONS's.
    let both = SHF_WRITE | SHF_EXECINSTR;
    section.flags & SHF_ALLOC != 0 && section.flags & both != both && section.size > 0 && !zeroes_of_threads
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;

    use super::*;
    use crate::testing::*;

    #[test]
    fn a_section_outside_of_its_permissions_fails() {
        assert_ends(&judge_elf(&RULE, |_, _| ()), Outcome::Pass, "as asked");
        assert_ends(
            &judge_elf(&RULE, |elf, _| elf.segments[1].flags = 4),
            Outcome::Fail,
            "`.text` at 0x1000 is code",
        );
        assert_ends(
            &judge_elf(&RULE, |elf, _| elf.segments[2].flags = 4),
            Outcome::Fail,
            "`.got` at 0x12000 is writable",
        );
        assert_ends(
            &judge_elf(&RULE, |elf, _| elf.sections[1].address = 0x9000),
            Outcome::Fail,
            "no loaded segment",
        );
        assert_ends(
            &judge_elf(&RULE, |elf, _| elf.sections[1].size = u64::MAX),
            Outcome::Fail,
            "no loaded segment",
        );
    }

    #[test]
    fn a_section_that_is_loaded_from_elsewhere_fails() {
        let moved = judge_elf(&RULE, |elf, _| elf.segments[1].offset += 0x1000);
        assert_ends(&moved, Outcome::Fail, "`.text` at 0x1000 is loaded from another place in the file");
        let zeroes = judge_elf(&RULE, |elf, _| {
            let address = elf.segments[2].virtual_address;
            elf.sections.push(section(".bss", SHT_NOBITS, SHF_ALLOC | SHF_WRITE, address, 0, 8));
        });
        assert_ends(&zeroes, Outcome::Pass, "");
    }

    #[test]
    fn what_takes_no_memory_or_asks_for_too_much_is_not_looked_at() {
        let with = |kind, flags, size| {
            judge_elf(&RULE, |elf, _| elf.sections.push(section(".x", kind, flags, 0x90_0000, 0, size)))
        };
        let fails = |judgement: Judgement| assert_ends(&judgement, Outcome::Fail, "`.x` at 0x900000");
        fails(with(1, SHF_ALLOC, 1));
        fails(with(1, SHF_ALLOC | SHF_WRITE, 1));
        fails(with(1, SHF_ALLOC | SHF_EXECINSTR, 1));
        fails(with(1, SHF_ALLOC | SHF_WRITE | SHF_TLS, 1));
        fails(with(SHT_NOBITS, SHF_ALLOC | SHF_WRITE, 1));
        for (kind, flags, size) in [
            (1, SHF_ALLOC, 0),
            (1, 0, 1),
            (1, SHF_WRITE, 1),
            (1, SHF_EXECINSTR, 1),
            (1, SHF_ALLOC | SHF_WRITE | SHF_EXECINSTR, 1),
            (SHT_NOBITS, SHF_ALLOC | SHF_WRITE | SHF_TLS, 1),
        ] {
            assert_ends(&with(kind, flags, size), Outcome::Pass, "");
        }
    }

    #[test]
    fn zeroes_of_threads_have_no_place_and_no_headers_no_answer() {
        let zeroes = judge_elf(&RULE, |elf, _| {
            elf.sections.push(section(".tbss", SHT_NOBITS, SHF_ALLOC | SHF_WRITE | SHF_TLS, 0x9000, 0, 64));
        });
        assert_ends(&zeroes, Outcome::Pass, "");
        assert_ends(
            &judge_elf(&RULE, |elf, _| elf.sections.clear()),
            Outcome::NotApplicable,
            "no section headers",
        );
    }
}
