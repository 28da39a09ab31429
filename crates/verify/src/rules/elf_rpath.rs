//! SW-ELF-RPATH: libraries come from the system's folders.

use inspect::facts::Elf;

use crate::rule::{Check, Judgement, Rule, listed, listed_or_none};
use crate::{Policy, Subject};
use artifact::matching::matches;

const DT_RPATH: i64 = 15;
const DT_RUNPATH: i64 = 29;

pub(crate) const RULE: Rule = Rule {
    id: "SW-ELF-RPATH",
    summary: "libraries come from the system's folders",
    why: "A search path of its own lets whoever can write to that folder (an empty one is the current) run code in the program.",
    fix: "drop `-rpath` from the link arguments, or take the entry out with `patchelf --remove-rpath`",
    references: &[
        "ELF gABI, Shared Object Dependencies: DT_RPATH, DT_RUNPATH",
        "glibc, elf/dl-load.c: decompose_rpath",
        "CWE-426: Untrusted Search Path",
        "CWE-427: Uncontrolled Search Path Element",
    ],
    check: Check::Elf(check),
};

fn check(elf: &Elf, _: &Subject, policy: &Policy) -> Judgement {
    let (mut found, mut wrong) = (Vec::new(), Vec::new());
    for (tag, name, text) in [(DT_RPATH, "DT_RPATH", &elf.rpath), (DT_RUNPATH, "DT_RUNPATH", &elf.runpath)] {
        // The entry counts also where its text cannot be read.
        if text.is_none() && elf.dynamic.iter().all(|entry| entry.tag != tag) {
            continue;
        }
        let text = text.as_deref().unwrap_or_default();
        found.push(format!("{name} `{text}`"));
        if text.is_empty() {
            wrong.push(format!("{name} is empty: glibc passes over it, and nothing needs it"));
            continue;
        }
        for folder in text.split(':') {
            if folder.is_empty() {
                wrong.push(format!("{name} `{text}`: an empty element is the current folder"));
            } else if !allowed(folder, &policy.rpath) {
                wrong.push(format!("{name} `{folder}`"));
            }
        }
    }
    if found.len() == 2 {
        wrong.push("both tags, of which loaders take one: DT_RUNPATH".to_owned());
    }
    let expected = match policy.rpath.as_slice() {
        [] => "neither DT_RPATH nor DT_RUNPATH".to_owned(),
        folders => format!("one tag, and in it nothing but {}", listed(folders)),
    };
    Judgement::none_wrong(&wrong, listed_or_none(&found), expected)
}

/// Whether the policy names the folder. `${ORIGIN}` and `$ORIGIN` are the same; what a pattern's star stands for must not
/// climb out of the folder before it.
fn allowed(folder: &str, patterns: &[String]) -> bool {
    let folder = folder.replace("${ORIGIN}", "$ORIGIN");
    let folder = folder.trim_end_matches('/');
    patterns.iter().any(|pattern| {
        let climbs = pattern.strip_suffix('*').is_some_and(|start| {
            folder.strip_prefix(start).is_some_and(|rest| rest.split('/').any(|part| part == ".."))
        });
        matches(pattern.trim_end_matches('/'), folder) && !climbs
    })
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;

    use super::*;
    use crate::testing::*;

    #[test]
    fn either_tag_fails_even_when_empty() {
        assert_ends(&judge_elf(&RULE, |_, _| ()), Outcome::Pass, "none");
        let rpath = judge_elf(&RULE, |elf, _| elf.rpath = Some("/opt/lib".to_owned()));
        assert_ends(&rpath, Outcome::Fail, "DT_RPATH `/opt/lib`");
        assert_ends(
            &judge_elf(&RULE, |elf, _| elf.runpath = Some(String::new())),
            Outcome::Fail,
            "DT_RUNPATH is empty",
        );
        assert_ends(
            &judge_elf(&RULE, |elf, _| elf.dynamic.push(dynamic(29, 0))),
            Outcome::Fail,
            "DT_RUNPATH",
        );
    }

    #[test]
    fn the_policy_names_folders_one_by_one() {
        let with = |runpath: &str| {
            judge_elf(&RULE, |elf, policy| {
                elf.runpath = Some(runpath.to_owned());
                policy.rpath = vec!["$ORIGIN".to_owned(), "$ORIGIN/../lib".to_owned(), "/opt/x/*".to_owned()];
            })
        };
        for fine in ["$ORIGIN", "${ORIGIN}/../lib/", "/opt/x/lib", "$ORIGIN:/opt/x/lib"] {
            assert_ends(&with(fine), Outcome::Pass, fine);
        }
        for wrong in ["$ORIGIN/..", "/opt/x/../../tmp", "lib", "/tmp"] {
            assert_ends(&with(wrong), Outcome::Fail, wrong);
        }
        assert_ends(&with(""), Outcome::Fail, "DT_RUNPATH is empty: glibc passes over it");
        for empty in [":$ORIGIN", "$ORIGIN:", "$ORIGIN::/opt/x/lib"] {
            assert_ends(&with(empty), Outcome::Fail, "an empty element is the current folder");
        }
    }

    #[test]
    fn both_tags_fail_whatever_they_name() {
        let both = judge_elf(&RULE, |elf, policy| {
            policy.rpath = vec!["$ORIGIN".to_owned()];
            elf.runpath = Some("$ORIGIN".to_owned());
            elf.rpath = Some("$ORIGIN".to_owned());
        });
        assert_ends(&both, Outcome::Fail, "both tags");
    }
}
