//! SW-SECTIONS: only sections that the policy knows.

use std::collections::BTreeSet;

use inspect::facts::Binary;

use crate::rule::{Check, Judgement, Rule, listed};
use crate::{Policy, Subject};
use artifact::matching::matches;

pub(crate) const RULE: Rule = Rule {
    id: "SW-SECTIONS",
    summary: "only sections that the policy knows",
    why: "A section nobody expected carries data nobody looked at: a packer's stub, a build's leftovers, a payload.",
    fix: "drop it with `finish.drop-sections`, or name it in `policy.sections` when it is meant to be there",
    references: &["ELF gABI, Special Sections", "PE/COFF specification, Special Sections"],
    check: Check::Either(check),
};

fn check(subject: &Subject, policy: &Policy) -> Judgement {
    let names: BTreeSet<&str> = match &subject.facts.binary {
        // The first header is reserved and has no name.
        Binary::Elf(elf) => elf.sections.iter().skip(1).map(|section| section.name.as_str()).collect(),
        Binary::Pe(pe) => pe.sections.iter().map(|section| section.name.as_str()).collect(),
    };
    let expected = "sections named in the policy only";
    if names.is_empty() {
        return Judgement::cannot_tell("no section headers", expected);
    }
    let known = |name: &str| policy.sections.iter().any(|pattern| matches(pattern, name));
    let wrong: Vec<_> = names.iter().filter(|name| !known(name)).map(|name| format!("`{name}`")).collect();
    if wrong.is_empty() {
        Judgement::pass(format!("{} names, all known", names.len()), expected)
    } else {
        Judgement::fail(format!("unexpected: {}", listed(&wrong)), expected)
    }
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;

    use super::*;
    use crate::testing::*;

    #[test]
    fn an_unknown_or_nameless_section_fails() {
        assert_ends(&judge_elf(&RULE, |_, _| ()), Outcome::Pass, "all known");
        let judgement = judge_elf(&RULE, |elf, _| elf.sections.push(section(".upx", 1, 2, 0, 0, 0)));
        assert_ends(&judgement, Outcome::Fail, "`.upx`");
        assert_ends(&judge_elf(&RULE, |elf, _| elf.sections[1].name.clear()), Outcome::Fail, "``");
        assert_ends(&judge_pe(&RULE, |pe, _| pe.sections[0].name = "UPX0".into()), Outcome::Fail, "`UPX0`");
    }

    #[test]
    fn our_own_sections_are_expected() {
        for name in [".note.package", ".gnu_debuglink"] {
            let judgement = judge_elf(&RULE, |elf, _| elf.sections[1].name = name.to_owned());
            assert_ends(&judgement, Outcome::Pass, "");
        }
        for name in [".xprov", ".buildid", ".gnu_debuglink"] {
            assert_ends(&judge_pe(&RULE, |pe, _| pe.sections[0].name = name.into()), Outcome::Pass, "");
        }
    }

    #[test]
    fn without_section_headers_nothing_can_be_told() {
        assert_ends(
            &judge_elf(&RULE, |elf, _| elf.sections.clear()),
            Outcome::CannotTell,
            "no section headers",
        );
    }
}
