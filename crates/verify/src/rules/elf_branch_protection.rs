//! SW-ELF-BRANCH-PROTECTION: on AArch64, indirect jumps and returns are checked by the processor.

use inspect::facts::Elf;

use crate::policy::ControlFlow;
use crate::rule::{Check, Judgement, Rule, listed};
use crate::{Policy, Subject};

const EM_AARCH64: u16 = 183;

pub(crate) const RULE: Rule = Rule {
    id: "SW-ELF-BRANCH-PROTECTION",
    summary: "on AArch64, indirect jumps and returns are checked by the processor",
    why: "One object without BTI makes the linker drop the property, and the loader then maps all code unguarded.",
    fix: "compile every object with `-mbranch-protection=standard`; `-z force-bti` names those without BTI",
    references: &[
        "ELF for the Arm 64-bit Architecture (AAELF64): GNU_PROPERTY_AARCH64_FEATURE_1_AND",
        "Linux Extensions to gABI: .note.gnu.property",
    ],
    check: Check::Elf(check),
};

fn check(elf: &Elf, _: &Subject, policy: &Policy) -> Judgement {
    if elf.machine != EM_AARCH64 {
        return Judgement::not_applicable("a protection of AArch64");
    }
    let known = [(ControlFlow::Bti, "BTI"), (ControlFlow::Pac, "PAC"), (ControlFlow::Gcs, "GCS")];
    announced(elf, policy, &known)
}

/// Whether the GNU property announces each protection of `known` that the policy wants.
pub(super) fn announced(elf: &Elf, policy: &Policy, known: &[(ControlFlow, &str)]) -> Judgement {
    let wanted = known.iter().filter(|(protection, _)| policy.control_flow.contains(protection));
    let wanted: Vec<_> = wanted.map(|(_, name)| *name).collect();
    if wanted.is_empty() {
        return Judgement::not_applicable("the policy asks for none of them");
    }
    let missing = wanted.iter().filter(|name| !elf.marks.has_feature(name));
    let missing: Vec<_> = missing.map(|name| format!("no {name}")).collect();
    let expected = format!("the GNU property announces {}", wanted.join(", "));
    if missing.is_empty() {
        return Judgement::pass(wanted.join(", "), expected);
    }
    let without = if elf.marks.properties.is_empty() { "; no GNU property at all" } else { "" };
    Judgement::fail(format!("{}{without}", listed(&missing)), expected)
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;
    use inspect::facts::GnuProperty;

    use super::*;
    use crate::testing::*;

    fn with(bits: &[&str]) -> Judgement {
        judge_elf(&RULE, |elf, policy| {
            policy.control_flow = vec![ControlFlow::Bti, ControlFlow::Pac, ControlFlow::Ibt];
            elf.marks.properties = vec![GnuProperty {
                kind: GnuProperty::FEATURE_1_AND,
                value: Some(0),
                size: 4,
                name: "AArch64 feature".to_owned(),
                meaning: bits.iter().map(|bit| (*bit).to_owned()).collect(),
            }];
        })
    }

    #[test]
    fn each_protection_the_policy_names_must_be_announced() {
        assert_ends(&with(&["BTI", "PAC"]), Outcome::Pass, "BTI, PAC");
        assert_ends(&with(&["BTI"]), Outcome::Fail, "no PAC");
        let none = judge_elf(&RULE, |_, policy| policy.control_flow = vec![ControlFlow::Gcs]);
        assert_ends(&none, Outcome::Fail, "no GCS; no GNU property");
    }

    #[test]
    fn it_needs_the_processor_and_the_policy() {
        assert_ends(&judge_elf(&RULE, |elf, _| elf.machine = 62), Outcome::NotApplicable, "AArch64");
        assert_ends(&judge_elf(&RULE, |_, _| ()), Outcome::NotApplicable, "policy");
    }
}
