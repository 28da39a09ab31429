//! SW-TRAILING-BYTES: the file ends where its headers say.

use inspect::facts::{Binary, Elf};

use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject};

/// Sections without bytes in the file: `SHT_NULL` and `SHT_NOBITS`.
const WITHOUT_BYTES: [u32; 2] = [0, 8];
/// A segment that is none.
const PT_NULL: u32 = 0;

pub(crate) const RULE: Rule = Rule {
    id: "SW-TRAILING-BYTES",
    summary: "the file ends where its headers say",
    why: "Bytes behind the program are loaded by nobody and checked by nobody: an installer's payload or a copy gone wrong.",
    fix: "build the file again; where a payload is meant to follow, raise `policy.trailing-bytes`",
    references: &[
        "ELF gABI, Object Files: File Format",
        "PE/COFF specification, Attribute Certificate Table",
        "CWE-349: Acceptance of Extraneous Untrusted Data With Trusted Data",
    ],
    check: Check::Either(check),
};

fn check(subject: &Subject, policy: &Policy) -> Judgement {
    let expected = format!("at most {} bytes after the last part the headers name", policy.trailing_bytes);
    let (start, trailing) = match &subject.facts.binary {
        Binary::Elf(elf) => match end(elf) {
            Some(end) => (end, subject.facts.size.saturating_sub(end)),
            None => return Judgement::cannot_tell("a header names a part beyond 2^64 bytes", expected),
        },
        // Before the certificates of a signed file, or behind all.
        Binary::Pe(pe) => (pe.overlay_offset, pe.overlay_size),
    };
    let judgement =
        Judgement::require(trailing <= policy.trailing_bytes, format!("{trailing} bytes"), expected);
    if trailing == 0 { judgement } else { judgement.at(subject.bytes, start, trailing) }
}

/// Where the last part named by the headers ends, as an offset in bytes; `None` where a sum overflows.
fn end(elf: &Elf) -> Option<u64> {
    let table = |offset: u64, entry: u16, count: usize| offset.checked_add(u64::from(entry) * count as u64);
    let mut end = u64::from(elf.header_size)
        .max(table(elf.program_header_offset, elf.program_header_entry_size, elf.segments.len())?)
        .max(table(elf.section_header_offset, elf.section_header_entry_size, elf.sections.len())?);
    for segment in elf.segments.iter().filter(|segment| segment.kind != PT_NULL) {
        end = end.max(segment.offset.checked_add(segment.file_size)?);
    }
    for section in elf.sections.iter().filter(|section| !WITHOUT_BYTES.contains(&section.kind)) {
        end = end.max(section.offset.checked_add(section.size)?);
    }
    Some(end)
}

#[cfg(test)]
mod tests {
    use artifact::{Outcome, Target};

    use super::*;
    use crate::testing::*;

    #[test]
    fn a_byte_too_many_fails_unless_the_policy_allows_it() {
        let mut facts = elf_facts();
        let mut policy = Policy::for_target(Target::Aarch64Linux);
        assert_ends(&judge(&RULE, &facts, b"", &policy), Outcome::Pass, "0 bytes");
        facts.size += 5;
        assert_ends(&judge(&RULE, &facts, b"", &policy), Outcome::Fail, "5 bytes");
        policy.trailing_bytes = 5;
        assert_ends(&judge(&RULE, &facts, b"", &policy), Outcome::Pass, "5 bytes");
        assert_ends(&judge_pe(&RULE, |pe, _| pe.overlay_size = 9), Outcome::Fail, "9 bytes");
    }

    #[test]
    fn a_sum_that_overflows_cannot_be_told() {
        let judgement = judge_elf(&RULE, |elf, _| elf.sections[1].offset = u64::MAX);
        assert_ends(&judgement, Outcome::CannotTell, "beyond");
    }

    #[test]
    fn what_has_no_bytes_does_not_hide_a_tail() {
        let policy = Policy::for_target(Target::Aarch64Linux);
        for kind in WITHOUT_BYTES {
            let mut facts = elf_facts();
            facts.size += 5;
            elf_of(&mut facts).sections.push(section(".bss", kind, 3, 0x14000, 0x3020, 0x10_0000));
            elf_of(&mut facts).section_header_offset -= 64;
            assert_ends(&judge(&RULE, &facts, b"", &policy), Outcome::Fail, "5 bytes");
        }
        let mut facts = elf_facts();
        facts.size += 5;
        let mut segment = elf_of(&mut facts).segments[0];
        (segment.kind, segment.file_size) = (PT_NULL, 0x10_0000);
        elf_of(&mut facts).segments.push(segment);
        elf_of(&mut facts).program_header_offset -= 56;
        assert_ends(&judge(&RULE, &facts, b"", &policy), Outcome::Fail, "5 bytes");
    }
}
