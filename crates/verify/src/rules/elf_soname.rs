//! SW-ELF-SONAME: a library is called what those who link with it will ask for.

use inspect::facts::Elf;

use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject};
use artifact::matching::matches;

pub(crate) const RULE: Rule = Rule {
    id: "SW-ELF-SONAME",
    summary: "a library is called what those who link with it will ask for",
    why: "Programs keep the DT_SONAME of the library they were linked with; with another one they do not start.",
    fix: "link with `-Wl,-soname,NAME`, or correct `policy.soname`",
    references: &["gABI, Dynamic Section: DT_SONAME"],
    check: Check::Elf(check),
};

fn check(elf: &Elf, _: &Subject, policy: &Policy) -> Judgement {
    let Some(wanted) = &policy.soname else {
        return Judgement::not_applicable("the policy names no DT_SONAME");
    };
    let observed = elf.soname.as_ref().map_or("none".to_owned(), |name| format!("`{name}`"));
    let right = elf.soname.as_ref().is_some_and(|name| matches(wanted, name));
    Judgement::require(right, observed, format!("DT_SONAME `{wanted}`"))
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;

    use super::*;
    use crate::testing::*;

    #[test]
    fn another_name_or_none_fails_where_the_policy_names_one() {
        let with = |name: Option<&str>| {
            judge_elf(&RULE, |elf, policy| {
                elf.soname = name.map(str::to_owned);
                policy.soname = Some("libx.so.1*".to_owned());
            })
        };
        assert_ends(&with(Some("libx.so.1.2")), Outcome::Pass, "libx.so.1.2");
        assert_ends(&with(Some("libx.so.2")), Outcome::Fail, "libx.so.2");
        assert_ends(&with(None), Outcome::Fail, "none");
        assert_ends(&judge_elf(&RULE, |_, _| ()), Outcome::NotApplicable, "policy");
    }
}
