//! SW-ELF-RPATH: libraries come from the system's folders.

use inspect::facts::Elf;

use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject};

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

fn check(elf: &Elf, _: &Subject, _: &Policy) -> Judgement {
    let mut found = Vec::new();
    for (tag, name, text) in [(DT_RPATH, "DT_RPATH", &elf.rpath), (DT_RUNPATH, "DT_RUNPATH", &elf.runpath)] {
        // The entry counts also where its text cannot be read.
        if text.is_some() || elf.dynamic.iter().any(|entry| entry.tag == tag) {
            found.push(format!("{name} `{}`", text.as_deref().unwrap_or_default()));
        }
    }
    Judgement::none_wrong(&found, "none", "neither DT_RPATH nor DT_RUNPATH")
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
            "DT_RUNPATH ``",
        );
        assert_ends(
            &judge_elf(&RULE, |elf, _| elf.dynamic.push(dynamic(29, 0))),
            Outcome::Fail,
            "DT_RUNPATH",
        );
    }
}
