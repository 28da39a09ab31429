//! SW-ELF-EXPORTS: no symbol is offered that was not promised.

use std::collections::HashSet;

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
    // A linker writes a symbol for each version that it defines.
    let versions: HashSet<_> = elf.versions_defined.iter().map(|version| version.name.as_str()).collect();
    let Some(exports) = subject.exports(elf) else {
        return Judgement::cannot_tell("the symbols cannot be read", expected);
    };
    let wrong: Vec<_> = exports.iter().filter(|name| !known(name) && !versions.contains(name)).collect();
    if wrong.is_empty() {
        Judgement::pass(format!("{} symbols, all promised", exports.len()), expected)
    } else {
        Judgement::fail(listed(&wrong), expected)
    }
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;
    use inspect::facts::VersionDefinition;

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
        // What a linker writes for a version that the file defines.
        let versioned = |name: &str| {
            judge_elf(&RULE, |elf, policy| {
                elf.exports = Some(["example_open", name].into_iter().collect());
                elf.versions_defined =
                    vec![VersionDefinition { name: "EXAMPLE_1".to_owned(), flags: 0, index: 2 }];
                policy.exported_symbols = Some(vec!["example_*".to_owned()]);
            })
        };
        assert_ends(&versioned("EXAMPLE_1"), Outcome::Pass, "");
        assert_ends(&versioned("EXAMPLE_2"), Outcome::Fail, "EXAMPLE_2");
    }
}
