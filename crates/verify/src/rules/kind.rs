//! SW-KIND: a program where a program is meant, a library where a library is.

use crate::policy::{ApparentKind, Kind, KindPolicy};
use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject};

pub(crate) const RULE: Rule = Rule {
    id: "SW-KIND",
    summary: "a program where a program is meant, a library where a library is",
    why: "A library under a program's name cannot be started, and a program under a library's name cannot be loaded.",
    fix: "ship the other file, or set `policy.kind` to `program`, `library` or `auto`",
    references: &[
        "ELF gABI, ELF Header: e_type",
        "glibc, elf/elf.h: DF_1_PIE",
        "PE/COFF specification, Characteristics: IMAGE_FILE_DLL",
    ],
    check: Check::Either(check),
};

fn check(subject: &Subject, policy: &Policy) -> Judgement {
    let ApparentKind { kind, why, certain } = ApparentKind::of(&subject.facts.binary);
    let observed = format!("{} ({why})", kind.name());
    let wanted = match policy.kind {
        KindPolicy::Auto => return Judgement::pass(observed, "a program or a library"),
        KindPolicy::Program => Kind::Program,
        KindPolicy::Library => Kind::Library,
    };
    match kind {
        _ if kind == wanted => Judgement::pass(observed, wanted.name()),
        // Old linkers leave no mark that tells; the policy's word stands against no evidence.
        _ if !certain => Judgement::pass(format!("{}, by the policy's word", wanted.name()), wanted.name()),
        _ => Judgement::fail(observed, wanted.name()),
    }
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;

    use super::*;
    use crate::testing::{IMAGE_FILE_DLL, assert_ends, judge_elf, judge_pe, judge_static};

    #[test]
    fn the_files_own_word_is_held_against_the_policy() {
        assert_ends(&judge_elf(&RULE, |_, _| ()), Outcome::Pass, "a program (DF_1_PIE)");
        assert_ends(&judge_static(&RULE, |_, _| ()), Outcome::Pass, "a program (DF_1_PIE)");
        let library = judge_elf(&RULE, |elf, _| {
            elf.dynamic.clear();
            elf.soname = Some("libship.so.1".to_owned());
        });
        assert_ends(&library, Outcome::Fail, "a shared library (DT_SONAME)");
        let program = judge_elf(&RULE, |_, policy| policy.kind = KindPolicy::Library);
        assert_ends(&program, Outcome::Fail, "a program (DF_1_PIE)");
        assert_ends(&judge_pe(&RULE, |pe, _| pe.characteristics |= 0x2000), Outcome::Fail, "IMAGE_FILE_DLL");
        let object = judge_elf(&RULE, |elf, _| elf.file_type = 1);
        assert_ends(&object, Outcome::Fail, "an object file (ET_REL)");
    }

    #[test]
    fn auto_takes_each_file_as_it_is_and_says_why() {
        let auto = judge_pe(&RULE, |pe, policy| {
            pe.characteristics |= IMAGE_FILE_DLL;
            policy.kind = KindPolicy::Auto;
        });
        assert_ends(&auto, Outcome::Pass, "a shared library (IMAGE_FILE_DLL)");
    }

    #[test]
    fn a_file_without_a_mark_is_what_the_policy_says() {
        for kind in [KindPolicy::Program, KindPolicy::Library] {
            let judgement = judge_static(&RULE, |elf, policy| {
                elf.dynamic.clear();
                policy.kind = kind;
            });
            assert_eq!(judgement.outcome, Outcome::Pass, "{judgement:?}");
        }
    }
}
