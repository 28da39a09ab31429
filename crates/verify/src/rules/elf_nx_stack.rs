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

fn check(elf: &Elf, subject: &Subject, _: &Policy) -> Judgement {
    let expected = "PT_GNU_STACK without PF_X";
    let stacks = elf.segments.iter().enumerate().filter(|(_, segment)| segment.kind == PT_GNU_STACK);
    match stacks.collect::<Vec<_>>().as_slice() {
        [] => Judgement::fail(format!("no PT_GNU_STACK: {}", without_header(elf.machine)), expected),
        [(index, stack)] => {
            let observed = format!("PT_GNU_STACK with p_flags {:#x}", stack.flags);
            if stack.flags & PF_X == 0 {
                return Judgement::pass(observed, expected);
            }
            let size = u64::from(elf.program_header_entry_size);
            let header = elf.program_header_offset.saturating_add(*index as u64 * size);
            Judgement::fail(observed, expected).at(subject.bytes, header, size)
        }
        several => Judgement::cannot_tell(format!("{} PT_GNU_STACK headers", several.len()), expected),
    }
}

/// What a system does where no header says anything: the kernel for the first stack and, on some processors, for all that
/// can be read (`elf_read_implies_exec`), glibc for the stacks of threads (`DEFAULT_STACK_PERMS`).
fn without_header(machine: u16) -> &'static str {
    match machine {
        // EM_X86_64
        62 => {
            "the first stack is not executable since Linux 5.8, glibc makes every thread's stack executable"
        }
        // EM_AARCH64
        183 => "before Linux 5.8 all that can be read is executable; since then, and in glibc, no stack is",
        // EM_386, EM_ARM
        3 | 40 => "Linux makes all that can be read executable, glibc every thread's stack",
        // EM_PPC64
        21 => "the first stack is the kernel's choice, glibc makes no stack executable",
        _ => "glibc makes the stacks executable on most processors",
    }
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;

    use super::*;
    use crate::testing::*;

    #[test]
    fn an_object_file_has_no_stack_yet() {
        let object = judge_elf(&RULE, |elf, _| {
            elf.file_type = 1;
            elf.segments.clear();
        });
        assert_ends(&object, Outcome::NotApplicable, "an object file");
    }

    #[test]
    fn a_missing_header_says_what_the_system_then_does() {
        for (machine, what) in [
            (62, "since Linux 5.8"),
            (183, "before Linux 5.8"),
            (3, "Linux makes all that can be read executable"),
            (40, "Linux makes all that can be read executable"),
            (21, "the kernel's choice"),
            (8, "most processors"),
        ] {
            let judgement = judge_elf(&RULE, |elf, _| {
                elf.machine = machine;
                elf.segments[4].kind = 0;
            });
            assert_ends(&judgement, Outcome::Fail, what);
        }
    }

    #[test]
    fn the_evidence_is_the_program_header() {
        let judgement = judge_elf(&RULE, |elf, _| elf.segments[4].flags = 7);
        assert_eq!(
            judgement.evidence[0].offset,
            64 + 4 * 56,
            "the fifth header of 56 bytes behind the ELF header"
        );
    }

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
