//! SW-ELF-EXPORTS: no symbol is offered that was not promised.

use inspect::facts::Elf;

use crate::rule::{Check, Judgement, Rule, listed, listed_or_none};
use crate::{Policy, Subject};
use artifact::matching::matches;

pub(crate) const RULE: Rule = Rule {
    id: "SW-ELF-EXPORTS",
    summary: "no symbol is offered that was not promised",
    why: "A symbol exported by accident takes the place of another library's of the same name, and others begin to rely on it.",
    fix: "link with a version script or `-Wl,--exclude-libs,ALL`, or name the symbol in `policy.exported-symbols`",
    references: &[
        "gABI, Dynamic Linking: Symbol binding and search order",
        "GNU binutils, ld --version-script",
    ],
    check: Check::Elf(check),
};

fn check(elf: &Elf, subject: &Subject, policy: &Policy) -> Judgement {
    let Some(promised) = &policy.exported_symbols else {
        return Judgement::not_applicable("the policy names no exported symbols");
    };
    let known = |name: &&str| promised.iter().any(|pattern| matches(pattern, name));
    let expected = format!("nothing but {}", listed_or_none(promised));
    let Some(exports) = subject.exports(elf) else {
        return Judgement::cannot_tell("the symbols cannot be read", expected);
    };
    let wrong: Vec<_> = exports.iter().filter(|name| !known(name)).collect();
    if wrong.is_empty() {
        Judgement::pass(format!("{} symbols, all promised", exports.len()), expected)
    } else {
        Judgement::fail(listed(&wrong), expected)
    }
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;

    use super::*;
    use crate::testing::*;

    #[test]
    fn what_was_not_promised_fails() {
        let with = |promised: &[&str]| {
            judge_elf(&RULE, |elf, policy| {
                elf.exports = Some(["example_open", "helper"].into_iter().collect());
                policy.exported_symbols = Some(promised.iter().map(|name| (*name).to_owned()).collect());
            })
        };
        assert_ends(&with(&["example_*", "helper"]), Outcome::Pass, "2 symbols");
        assert_ends(&with(&["example_*"]), Outcome::Fail, "helper");
        assert_ends(&with(&[]), Outcome::Fail, "example_open, helper");
        assert_ends(&judge_elf(&RULE, |_, _| ()), Outcome::NotApplicable, "policy");
    }
}
