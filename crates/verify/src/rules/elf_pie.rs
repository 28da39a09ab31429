//! SW-ELF-PIE: position independent, so that the system can load it anywhere.

use inspect::facts::Elf;

use crate::policy::{ApparentKind, Kind};
use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject};

const ET_EXEC: u16 = 2;
const ET_DYN: u16 = 3;
const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
/// Linkers align to 64 KiB at most, and to 2 MiB for large pages. The kernel takes no address but a multiple of the largest
/// alignment (Linux, fs/binfmt_elf.c: maximum_alignment), so each bit of it is one that nobody need guess.
const MOST_ALIGNMENT: u64 = 16 << 20;
const DT_FLAGS_1: i64 = 0x6fff_fffb;
const DF_1_PIE: u64 = 0x0800_0000;

pub(crate) const RULE: Rule = Rule {
    id: "SW-ELF-PIE",
    summary: "position independent, so that the system can load it anywhere",
    why: "A program at a fixed address gives an attacker every address in it; ASLR has nothing to move.",
    fix: "build with `-C relocation-model=pie`; for aarch64 musl this needs the start files of a static PIE (`rcrt1.o`)",
    references: &[
        "ELF gABI, ELF Header: e_type",
        "glibc, elf/elf.h: DF_1_PIE",
        "Linux, fs/binfmt_elf.c: ET_DYN",
        "CWE-693: Protection Mechanism Failure",
    ],
    check: Check::Elf(check),
};

fn check(elf: &Elf, subject: &Subject, policy: &Policy) -> Judgement {
    if let Some(why) = policy.library(&subject.facts.binary) {
        return Judgement::not_applicable(format!("no program ({why}), see SW-KIND"));
    }
    let expected = "ET_DYN with DF_1_PIE: a position-independent executable";
    match elf.file_type {
        ET_DYN => {}
        ET_EXEC => return Judgement::fail("ET_EXEC: loaded at a fixed address", expected),
        other => return Judgement::fail(format!("e_type {other}: not an executable"), expected),
    }
    if !elf.segments.iter().any(|segment| segment.kind == PT_DYNAMIC) {
        return Judgement::fail("ET_DYN without PT_DYNAMIC: nothing says how to move it", expected);
    }
    let alignments = elf.segments.iter().filter(|part| part.kind == PT_LOAD).map(|part| part.alignment);
    if let Some(alignment) = alignments.max().filter(|alignment| *alignment > MOST_ALIGNMENT) {
        let observed =
            format!("a segment aligned to {alignment:#x} bytes: few addresses are left to choose from");
        return Judgement::fail(observed, expected);
    }
    let apparent = ApparentKind::of(&subject.facts.binary);
    // Linkers from before 2014 set no flag, and then nothing tells an executable from a library.
    let pie = elf.dynamic.iter().any(|entry| entry.tag == DT_FLAGS_1 && entry.value & DF_1_PIE != 0);
    if pie {
        Judgement::pass("ET_DYN, DF_1_PIE", expected)
    } else if let ApparentKind { kind: Kind::Program, why, certain: true } = apparent {
        Judgement::pass(format!("ET_DYN, {why}: linked before there was DF_1_PIE"), expected)
    } else if apparent.certain {
        Judgement::not_applicable(format!("{} ({}), see SW-KIND", apparent.kind.name(), apparent.why))
    } else {
        Judgement::cannot_tell("ET_DYN without DF_1_PIE: an executable or a library", expected)
    }
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;

    use super::*;
    use crate::KindPolicy;
    use crate::testing::*;

    #[test]
    fn each_sign_counts_by_itself() {
        let unmoved = judge_elf(&RULE, |elf, _| {
            elf.segments
                .iter_mut()
                .filter(|segment| segment.kind == PT_DYNAMIC)
                .for_each(|part| part.kind = 7);
        });
        assert_ends(&unmoved, Outcome::Fail, "without PT_DYNAMIC");
        let other_tag = judge_elf(&RULE, |elf, _| elf.dynamic = vec![dynamic(30, DF_1_PIE)]);
        assert_ends(&other_tag, Outcome::CannotTell, "without DF_1_PIE");
    }

    #[test]
    fn an_alignment_that_leaves_no_choice_fails() {
        let aligned = |alignment| {
            judge_elf(&RULE, |elf, _| {
                let segment = elf.segments.iter_mut().find(|segment| segment.kind == PT_LOAD);
                segment.expect("it is loaded").alignment = alignment;
            })
        };
        assert_ends(&aligned(MOST_ALIGNMENT), Outcome::Pass, "DF_1_PIE");
        assert_ends(&aligned(1 << 44), Outcome::Fail, "aligned to 0x100000000000 bytes");
    }

    #[test]
    fn a_fixed_address_a_library_and_an_unmarked_file_are_refused() {
        assert_ends(&judge_elf(&RULE, |_, _| ()), Outcome::Pass, "DF_1_PIE");
        assert_ends(&judge_static(&RULE, |_, _| ()), Outcome::Pass, "DF_1_PIE");
        assert_ends(&judge_elf(&RULE, |elf, _| elf.file_type = 2), Outcome::Fail, "ET_EXEC");
        assert_ends(&judge_elf(&RULE, |elf, _| elf.file_type = 4), Outcome::Fail, "e_type 4");
        assert_ends(
            &judge_elf(&RULE, |elf, _| {
                elf.dynamic.clear();
                elf.soname = Some("libx.so".into());
            }),
            Outcome::NotApplicable,
            "a shared library (DT_SONAME), see SW-KIND",
        );
        assert_ends(
            &judge_elf(&RULE, |elf, _| elf.dynamic = vec![dynamic(21, 0)]),
            Outcome::Pass,
            "PT_INTERP and DT_DEBUG",
        );
        assert_ends(
            &judge_elf(&RULE, |_, policy| policy.kind = KindPolicy::Library),
            Outcome::NotApplicable,
            "no program",
        );
        assert_ends(
            &judge_elf(&RULE, |elf, _| elf.dynamic[1].value = 1),
            Outcome::CannotTell,
            "without DF_1_PIE",
        );
        assert_ends(&judge_elf(&RULE, |elf, _| elf.segments.clear()), Outcome::Fail, "without PT_DYNAMIC");
    }
}
