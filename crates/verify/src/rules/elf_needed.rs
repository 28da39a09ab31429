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
        "glibc, elf/dl-deps.c: _dl_map_object_deps; elf/rtld.c: load_audit_modules",
    ],
    check: Check::Elf(check),
};

fn check(elf: &Elf, _: &Subject, policy: &Policy) -> Judgement {
    let in_list = |list: &[String], library: &str| list.iter().any(|pattern| matches(pattern, library));
    let known = |library: &str| {
        in_list(&policy.needed_libraries, library) && !in_list(&policy.denied_libraries, library)
    };
    let needed = elf.needed.iter().map(|library| (library.as_str(), None));
    let loaded: Vec<_> = needed.chain(loaded_otherwise(elf)).collect();
    let named = |(library, tag): &(&str, Option<&str>)| match tag {
        None => (*library).to_owned(),
        Some(tag) => format!("{library} ({tag})"),
    };
    let wrong: Vec<_> = loaded.iter().filter(|(library, _)| !known(library)).map(named).collect();
    let expected = format!("nothing but {}", listed_or_none(&policy.needed_libraries));
    if wrong.is_empty() {
        Judgement::pass(listed_or_none(&loaded.iter().map(named).collect::<Vec<_>>()), expected)
    } else {
        Judgement::fail(listed(&wrong), expected)
    }
}

/// Libraries that are loaded as well, and by which tag: auditors, a list with colons, and what a filter stands before.
pub(crate) fn loaded_otherwise(elf: &Elf) -> impl Iterator<Item = (&str, Option<&'static str>)> {
    elf.dynamic.iter().flat_map(|entry| {
        let tag = TAGS.iter().find(|(tag, _)| *tag == entry.tag).map(|(_, name)| *name);
        let text = tag.and(entry.text.as_deref()).unwrap_or_default();
        text.split(':').filter(|library| !library.is_empty()).map(move |library| (library, tag))
    })
}

const TAGS: [(i64, &str); 4] = [
    (0x6fff_fefb, "DT_DEPAUDIT"),
    (0x6fff_fefc, "DT_AUDIT"),
    (0x7fff_fffd, "DT_AUXILIARY"),
    (0x7fff_ffff, "DT_FILTER"),
];

#[cfg(test)]
mod tests {
    use artifact::Outcome;
    use inspect::facts::DynamicEntry;

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
    fn a_library_that_another_tag_loads_counts_as_needed() {
        for (tag, name) in TAGS {
            let entry = |text: &str| DynamicEntry { text: Some(text.to_owned()), ..dynamic(tag, 1) };
            let judgement = judge_elf(&RULE, |elf, _| elf.dynamic.push(entry("libc.so.6:/x/liba.so")));
            assert_ends(&judgement, Outcome::Fail, &format!("/x/liba.so ({name})"));
            let judgement = judge_elf(&RULE, |elf, _| elf.dynamic.push(entry("libc.so.6")));
            assert_ends(&judgement, Outcome::Pass, &format!("libc.so.6 ({name})"));
        }
        let other = judge_elf(&RULE, |elf, _| {
            elf.dynamic.push(DynamicEntry { text: Some("liba.so".to_owned()), ..dynamic(14, 1) });
        });
        assert_ends(&other, Outcome::Pass, "libc.so.6");
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
