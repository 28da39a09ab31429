//! SW-SIZE-BUDGET: no larger than was agreed.

use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject};

pub(crate) const RULE: Rule = Rule {
    id: "SW-SIZE-BUDGET",
    summary: "no larger than was agreed",
    why: "A download that grows unseen fills the device's partition or its radio budget one release too late to notice.",
    fix: "find what grew with `cargo xtask inspect` of the old and new file, or raise `policy.size-budget`",
    references: &["seaworthy, crates/verify/src/default-policy.toml: size-budget"],
    check: Check::Either(check),
};

fn check(subject: &Subject, policy: &Policy) -> Judgement {
    let Some(budget) = policy.size_budget else {
        return Judgement::not_applicable("the policy sets no budget");
    };
    let size = subject.facts.size;
    Judgement::require(size <= budget, format!("{size} bytes"), format!("at most {budget} bytes"))
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;

    use super::*;
    use crate::testing::*;

    #[test]
    fn a_byte_more_fails_in_either_format() {
        let size = elf_facts().size;
        let with = |budget| judge_elf(&RULE, |_, policy| policy.size_budget = budget);
        assert_ends(&with(Some(size)), Outcome::Pass, &format!("{size} bytes"));
        assert_ends(&with(Some(size - 1)), Outcome::Fail, &format!("{size} bytes"));
        assert_ends(&with(None), Outcome::NotApplicable, "no budget");
        assert_ends(&judge_pe(&RULE, |_, policy| policy.size_budget = Some(1)), Outcome::Fail, "4096 bytes");
    }
}
