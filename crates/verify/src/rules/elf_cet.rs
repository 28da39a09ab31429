//! SW-ELF-CET: on x86, indirect jumps and returns are checked by the processor.

use inspect::facts::Elf;

use super::elf_branch_protection::announced;
use crate::policy::ControlFlow;
use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject};

/// `EM_386` and `EM_X86_64`
const X86: [u16; 2] = [3, 62];

pub(crate) const RULE: Rule = Rule {
    id: "SW-ELF-CET",
    summary: "on x86, indirect jumps and returns are checked by the processor",
    why: "One object without IBT or SHSTK makes the linker drop the property, and the whole process then runs unprotected.",
    fix: "compile every object with `-fcf-protection=full`; `-z cet-report=error` names those without",
    references: &[
        "System V ABI, AMD64 supplement: GNU_PROPERTY_X86_FEATURE_1_AND",
        "Linux Extensions to gABI: .note.gnu.property",
    ],
    check: Check::Elf(check),
};

fn check(elf: &Elf, _: &Subject, policy: &Policy) -> Judgement {
    if !X86.contains(&elf.machine) {
        return Judgement::not_applicable("a protection of x86");
    }
    announced(elf, policy, &[(ControlFlow::Ibt, "IBT"), (ControlFlow::Shstk, "SHSTK")])
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;
    use inspect::facts::GnuProperty;

    use super::*;
    use crate::testing::*;

    fn with(bits: &[&str]) -> Judgement {
        judge_elf(&RULE, |elf, policy| {
            elf.machine = 62;
            policy.control_flow = vec![ControlFlow::Ibt, ControlFlow::Shstk];
            elf.marks.properties = vec![GnuProperty {
                kind: GnuProperty::X86_FEATURE_1_AND,
                value: Some(0),
                size: 4,
                name: "x86 feature".to_owned(),
                meaning: bits.iter().map(|bit| (*bit).to_owned()).collect(),
            }];
        })
    }

    #[test]
    fn each_protection_the_policy_names_must_be_announced() {
        assert_ends(&with(&["IBT", "SHSTK"]), Outcome::Pass, "IBT, SHSTK");
        assert_ends(&with(&["IBT"]), Outcome::Fail, "no SHSTK");
        assert_ends(&with(&[]), Outcome::Fail, "no IBT, no SHSTK");
    }

    #[test]
    fn it_needs_the_processor_and_the_policy() {
        assert_ends(&judge_elf(&RULE, |_, _| ()), Outcome::NotApplicable, "x86");
        assert_ends(&judge_elf(&RULE, |elf, _| elf.machine = 62), Outcome::NotApplicable, "policy");
    }
}
