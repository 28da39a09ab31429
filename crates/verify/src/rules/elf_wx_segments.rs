//! SW-ELF-WX-SEGMENTS: nothing is loaded writable and executable.

use inspect::facts::Elf;

use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject};

const PT_GNU_STACK: u32 = 0x6474_e551;
/// `PF_W | PF_X`
const WRITE_EXECUTE: u32 = 2 | 1;

pub(crate) const RULE: Rule = Rule {
    id: "SW-ELF-WX-SEGMENTS",
    summary: "nothing is loaded writable and executable",
    why: "Memory that is writable and executable turns any write through a wild pointer into code.",
    fix: "drop `-N`, `--omagic` and linker scripts that put code and data together; link with `-z separate-code`",
    references: &[
        "ELF gABI, Program Header: Segment Permissions",
        "Linux, fs/binfmt_elf.c: make_prot",
        "CWE-693: Protection Mechanism Failure",
    ],
    check: Check::Elf(check),
};

fn check(elf: &Elf, _: &Subject, _: &Policy) -> Judgement {
    let expected = "no segment both writable and executable";
    if elf.segments.is_empty() {
        return Judgement::cannot_tell("no program headers", expected);
    }
    // The stack's header loads nothing and has a rule of its own.
    let segments = elf.segments.iter().enumerate().filter(|(_, segment)| segment.kind != PT_GNU_STACK);
    let both = segments.filter(|(_, segment)| segment.flags & WRITE_EXECUTE == WRITE_EXECUTE);
    let wrong: Vec<_> = both
        .map(|(index, segment)| {
            format!("segment {index} at {:#x}, p_flags {:#x}", segment.virtual_address, segment.flags)
        })
        .collect();
    Judgement::none_wrong(&wrong, "none", expected)
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;

    use super::*;
    use crate::testing::*;

    #[test]
    fn a_writable_and_executable_segment_fails_but_the_stack_is_another_rules() {
        assert_ends(&judge_elf(&RULE, |_, _| ()), Outcome::Pass, "none");
        let code = judge_elf(&RULE, |elf, _| elf.segments[1].flags = 7);
        assert_ends(&code, Outcome::Fail, "segment 1 at 0x1000, p_flags 0x7");
        assert_ends(&judge_elf(&RULE, |elf, _| elf.segments[4].flags = 7), Outcome::Pass, "none");
        assert_ends(
            &judge_elf(&RULE, |elf, _| elf.segments.clear()),
            Outcome::CannotTell,
            "no program headers",
        );
    }
}
