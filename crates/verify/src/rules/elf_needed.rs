//! SW-ELF-NEEDED: only libraries that every such system has.

use inspect::facts::Elf;

use crate::rule::{Check, Judgement, Rule, listed, listed_or_none};
use crate::{Policy, Subject};
use artifact::matching::matches;

pub(crate) const RULE: Rule = Rule {
    id: "SW-ELF-NEEDED",
    summary: "only libraries that every such system has",
    why: "A library that only the build machine has stops the program before its first line.",
    fix: "link the library statically, or name it in `policy.needed-libraries` when every device has it",
    references: &[
        "ELF gABI, Shared Object Dependencies: DT_NEEDED",
        "glibc, elf/dl-deps.c: _dl_map_object_deps",
    ],
    check: Check::Elf(check),
};

fn check(elf: &Elf, _: &Subject, policy: &Policy) -> Judgement {
    let in_list = |list: &[String], library: &str| list.iter().any(|pattern| matches(pattern, library));
    let known = |library: &str| {
        in_list(&policy.needed_libraries, library) && !in_list(&policy.denied_libraries, library)
    };
    let wrong: Vec<_> = elf.needed.iter().filter(|library| !known(library)).map(String::as_str).collect();
    let expected = format!("nothing but {}", listed_or_none(&policy.needed_libraries));
    if wrong.is_empty() {
        Judgement::pass(listed_or_none(&elf.needed), expected)
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
    fn an_unknown_library_fails_and_any_fails_a_static_program() {
        assert_ends(&judge_elf(&RULE, |_, _| ()), Outcome::Pass, "libc.so.6");
        assert_ends(
            &judge_elf(&RULE, |elf, _| elf.needed.push("libssl.so.3".into())),
            Outcome::Fail,
            "libssl.so.3",
        );
        assert_ends(&judge_static(&RULE, |_, _| ()), Outcome::Pass, "none");
        assert_ends(
            &judge_static(&RULE, |elf, _| elf.needed.push("libc.so".into())),
            Outcome::Fail,
            "libc.so",
        );
    }

    #[test]
    fn a_denied_library_fails_though_the_list_allows_it() {
        let judgement = judge_elf(&RULE, |_, policy| {
            policy.needed_libraries = vec!["lib*".to_owned()];
            policy.denied_libraries = vec!["libgcc_s*".to_owned()];
        });
        assert_ends(&judgement, Outcome::Fail, "libgcc_s.so.1");
    }
}
