//! SW-ELF-OS-ABI: the header names our operating system.

use inspect::facts::Elf;

use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject};

pub(crate) const RULE: Rule = Rule {
    id: "SW-ELF-OS-ABI",
    summary: "the header names our operating system",
    why: "The loader refuses a file whose header names another system, or a GNU extension it does not know.",
    fix: "check the linker and its target; 0 (System V) is what a Linux linker writes",
    references: &["ELF gABI, ELF Identification: EI_OSABI", "glibc, elf/dl-load.c: open_verify"],
    check: Check::ElfHeader(check),
};

fn check(elf: &Elf, _: &Subject, policy: &Policy) -> Judgement {
    let right = policy.os_abi.contains(&elf.os_abi) && elf.abi_version == 0;
    let observed = format!("EI_OSABI {}, EI_ABIVERSION {}", elf.os_abi, elf.abi_version);
    Judgement::require(right, observed, format!("EI_OSABI one of {:?}, EI_ABIVERSION 0", policy.os_abi))
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;

    use super::*;
    use crate::testing::*;

    #[test]
    fn another_system_fails() {
        assert_ends(&judge_elf(&RULE, |_, _| ()), Outcome::Pass, "EI_OSABI 0");
        assert_ends(&judge_elf(&RULE, |elf, _| elf.os_abi = 9), Outcome::Fail, "EI_OSABI 9");
        assert_ends(&judge_elf(&RULE, |elf, _| elf.abi_version = 1), Outcome::Fail, "EI_ABIVERSION 1");
        assert_ends(&judge_static(&RULE, |elf, _| elf.os_abi = 6), Outcome::Fail, "EI_OSABI 6");
    }
}
