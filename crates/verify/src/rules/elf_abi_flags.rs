//! SW-ELF-ABI-FLAGS: `e_flags` names no variant of the processor's ABI.

use inspect::facts::Elf;

use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject};

/// Where `e_flags` is in a 64-bit header.
const E_FLAGS: u64 = 48;

pub(crate) const RULE: Rule = Rule {
    id: "SW-ELF-ABI-FLAGS",
    summary: "`e_flags` names no variant of the processor's ABI",
    why: "Flags choose between calling conventions (soft and hard float, word sizes) that cannot be mixed in one process.",
    fix: "check the target triple; nothing may set `e_flags` for x86-64 and AArch64, so find what edited the header",
    references: &[
        "ELF for the Arm 64-bit Architecture (AAELF64), ELF header: e_flags",
        "System V ABI, AMD64 supplement, ELF header",
    ],
    check: Check::ElfHeader(check),
};

/// Both processors a policy can ask for define no flag, so any bit is a mistake.
fn check(elf: &Elf, subject: &Subject, policy: &Policy) -> Judgement {
    if elf.machine != super::machine::number(policy.format, policy.machine) {
        return Judgement::not_applicable("another processor has flags of its own, see SW-MACHINE");
    }
    let judgement = Judgement::require(
        elf.flags == 0,
        format!("e_flags {:#x}", elf.flags),
        "e_flags 0, as the psABI has it",
    );
    if elf.flags == 0 { judgement } else { judgement.at(subject.bytes, E_FLAGS, 4) }
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;

    use super::*;
    use crate::testing::*;

    #[test]
    fn any_flag_fails() {
        assert_ends(&judge_elf(&RULE, |_, _| ()), Outcome::Pass, "0x0");
        assert_ends(&judge_elf(&RULE, |elf, _| elf.flags = 0x500_0400), Outcome::Fail, "0x5000400");
        assert!(judge_elf(&RULE, |_, _| ()).evidence.is_empty());
        assert_eq!(judge_elf(&RULE, |elf, _| elf.flags = 1).evidence[0].offset, E_FLAGS);
        let arm = judge_elf(&RULE, |elf, _| (elf.machine, elf.flags) = (40, 0x500_0400));
        assert_ends(&arm, Outcome::NotApplicable, "another processor");
    }
}
