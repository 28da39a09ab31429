//! SW-ELF-INTERPRETER: the loader's path is the one every such system has.

use inspect::facts::Elf;

use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject};

pub(crate) const RULE: Rule = Rule {
    id: "SW-ELF-INTERPRETER",
    summary: "the loader's path is the one every such system has",
    why: "A loader path from the build machine gives `No such file or directory` on a device, for a file that is there.",
    fix: "do not set `-dynamic-linker`; build a static target without it (`--no-dynamic-linker`)",
    references: &["ELF gABI, Program Interpreter: PT_INTERP", "Linux, fs/binfmt_elf.c: load_elf_binary"],
    check: Check::Elf(check),
};

fn check(elf: &Elf, subject: &Subject, policy: &Policy) -> Judgement {
    if let Some(why) = policy.library(&subject.facts.binary) {
        return Judgement::not_applicable(format!("no program ({why}), see SW-KIND"));
    }
    let shown = |path: &Option<String>| path.clone().unwrap_or_else(|| "no interpreter".to_owned());
    let right = elf.interpreter == policy.interpreter;
    Judgement::require(right, shown(&elf.interpreter), shown(&policy.interpreter))
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;

    use super::*;
    use crate::testing::*;

    #[test]
    fn another_path_or_none_fails_and_so_does_one_in_a_static_file() {
        assert_ends(&judge_elf(&RULE, |_, _| ()), Outcome::Pass, "/lib/ld-linux-aarch64.so.1");
        let other = Some("/nix/store/ld.so".to_owned());
        assert_ends(&judge_elf(&RULE, |elf, _| elf.interpreter = other.clone()), Outcome::Fail, "/nix/store");
        assert_ends(&judge_elf(&RULE, |elf, _| elf.interpreter = None), Outcome::Fail, "no interpreter");
        assert_ends(&judge_static(&RULE, |_, _| ()), Outcome::Pass, "no interpreter");
        assert_ends(&judge_static(&RULE, |elf, _| elf.interpreter = other), Outcome::Fail, "/nix/store");
    }
}
