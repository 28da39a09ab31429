//! SW-FORMAT: ELF where ELF is wanted, PE where PE is.

use crate::rule::{Check, Judgement, Rule, format_name, format_of};
use crate::{Policy, Subject};

pub(crate) const RULE: Rule = Rule {
    id: "SW-FORMAT",
    summary: "ELF where ELF is wanted, PE where PE is",
    why: "A program in another system's format does not start at all.",
    fix: "check which target the file was built for; the path may be another target's",
    references: &["ELF gABI, ELF Identification: EI_MAG0", "PE/COFF specification, Signature"],
    check: Check::Always(check),
};

fn check(subject: &Subject, policy: &Policy) -> Judgement {
    let format = format_of(&subject.facts.binary);
    Judgement::require(format == policy.format, format_name(format), format_name(policy.format))
}

#[cfg(test)]
mod tests {
    use artifact::{Outcome, Target};

    use super::*;
    use crate::testing::*;

    #[test]
    fn the_other_format_fails_here_and_is_nobody_elses_business() {
        let (facts, policy) = (pe_facts(), Policy::for_target(Target::Aarch64Linux));
        assert_ends(&judge(&RULE, &facts, b"", &policy), Outcome::Fail, "a PE file");
        let other = judge(&super::super::machine::RULE, &facts, b"", &policy);
        assert_ends(&other, Outcome::NotApplicable, "SW-FORMAT");
    }
}
