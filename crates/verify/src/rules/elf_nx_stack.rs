//! SW-ELF-NX-STACK: the stack is not executable, and the file says so.

use inspect::facts::Elf;

use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject};

const PT_GNU_STACK: u32 = 0x6474_e551;
const PF_X: u32 = 1;

pub(crate) const RULE: Rule = Rule {
    id: "SW-ELF-NX-STACK",
    summary: "the stack is not executable, and the file says so",
    why: "With an executable stack a buffer overrun runs its own bytes; without the header, glibc gives every thread one.",
    fix: "find the assembler file without `.note.GNU-stack`; link with `-Wl,-z,noexecstack`",
    references: &[
        "Linux, fs/binfmt_elf.c: PT_GNU_STACK",
        "glibc, elf/dl-support.c: _dl_stack_flags",
        "CWE-693: Protection Mechanism Failure",
    ],
    check: Check::Elf(check),
};

fn check(elf: &Elf, _: &Subject, _: &Policy) -> Judgement {
    let expected = "PT_GNU_STACK without PF_X";
    let stacks: Vec<_> = elf.segments.iter().filter(|segment| segment.kind == PT_GNU_STACK).collect();
    match stacks.as_slice() {
        [] => Judgement::fail("no PT_GNU_STACK", expected),
        [stack] => {
            let observed = format!("PT_GNU_STACK with p_flags {:#x}", stack.flags);
            Judgement::require(stack.flags & PF_X == 0, observed, expected)
        }
        several => Judgement::cannot_tell(format!("{} PT_GNU_STACK headers", several.len()), expected),
    }
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;

    use super::*;
    use crate::testing::*;

    #[test]
    fn an_executable_a_missing_and_a_second_header_are_refused() {
        assert_ends(&judge_elf(&RULE, |_, _| ()), Outcome::Pass, "p_flags 0x6");
        assert_ends(&judge_elf(&RULE, |elf, _| elf.segments[4].flags = 7), Outcome::Fail, "p_flags 0x7");
        assert_ends(&judge_elf(&RULE, |elf, _| elf.segments[4].kind = 0), Outcome::Fail, "no PT_GNU_STACK");
        assert_ends(
            &judge_elf(&RULE, |elf, _| elf.segments.push(elf.segments[4])),
            Outcome::CannotTell,
            "2 PT",
        );
    }
}
