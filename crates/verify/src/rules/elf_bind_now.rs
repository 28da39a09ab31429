//! SW-ELF-BIND-NOW: every function is looked up at start, so that the table can become read-only.

use inspect::facts::Elf;

use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject};

const DT_BIND_NOW: i64 = 24;
const DT_FLAGS: i64 = 30;
const DF_BIND_NOW: u64 = 8;
const DT_FLAGS_1: i64 = 0x6fff_fffb;
const DF_1_NOW: u64 = 1;

pub(crate) const RULE: Rule = Rule {
    id: "SW-ELF-BIND-NOW",
    summary: "every function is looked up at start, so that the table can become read-only",
    why: "With lazy binding the function table stays writable while the program runs, whatever RELRO promises.",
    fix: "link with `-C relro-level=full` (`-z now`)",
    references: &[
        "ELF gABI, Dynamic Section: DT_BIND_NOW, DF_BIND_NOW",
        "glibc, elf/get-dynamic-info.h: DF_1_NOW",
        "CWE-693: Protection Mechanism Failure",
    ],
    check: Check::Elf(check),
};

fn check(elf: &Elf, _: &Subject, policy: &Policy) -> Judgement {
    if !policy.bind_now {
        return Judgement::not_applicable("the policy allows lazy binding");
    }
    let expected = "DT_BIND_NOW, DF_BIND_NOW or DF_1_NOW";
    if elf.dynamic.is_empty() {
        return Judgement::not_applicable("no dynamic section: nothing is bound");
    }
    let tags = tags(elf);
    Judgement::require(!tags.is_empty(), crate::rule::listed_or_none(&tags), expected)
}

/// What asks for every function at start. The loader takes any of the three, in any entry.
pub(super) fn tags(elf: &Elf) -> Vec<&'static str> {
    let tags = elf.dynamic.iter().filter_map(|entry| match entry.tag {
        DT_BIND_NOW => Some("DT_BIND_NOW"),
        DT_FLAGS if entry.value & DF_BIND_NOW != 0 => Some("DF_BIND_NOW"),
        DT_FLAGS_1 if entry.value & DF_1_NOW != 0 => Some("DF_1_NOW"),
        _ => None,
    });
    tags.collect()
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;

    use super::*;
    use crate::testing::*;

    #[test]
    fn any_of_three_tags_is_enough_and_none_fails() {
        let with = |tag, value| judge_elf(&RULE, |elf, _| elf.dynamic = vec![dynamic(tag, value)]);
        assert_ends(&with(DT_BIND_NOW, 0), Outcome::Pass, "DT_BIND_NOW");
        assert_ends(&with(DT_FLAGS, 8), Outcome::Pass, "DF_BIND_NOW");
        assert_ends(&with(DT_FLAGS_1, 0x0800_0001), Outcome::Pass, "DF_1_NOW");
        assert_ends(&with(DT_FLAGS_1, 0x0800_0000), Outcome::Fail, "none");
        assert_ends(&judge_elf(&RULE, |elf, _| elf.dynamic.clear()), Outcome::NotApplicable, "no dynamic");
        let lazy = judge_elf(&RULE, |elf, policy| {
            elf.dynamic = vec![dynamic(DT_FLAGS, 0)];
            policy.bind_now = false;
        });
        assert_ends(&lazy, Outcome::NotApplicable, "the policy allows lazy binding");
    }
}
