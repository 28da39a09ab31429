//! SW-LINKER: linked by the linker that was asked for.

use inspect::LinkerMark;

use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject};

pub(crate) const RULE: Rule = Rule {
    id: "SW-LINKER",
    summary: "linked by the linker that the builder is locked to",
    why: "Compiler drivers ignore `-fuse-ld` without a word, and a variable in somebody's environment replaces a linker; another \
          linker makes other bytes, and other mistakes.",
    fix: "see what replaced it: `linker` and `rustflags` in cargo's configuration, or a driver built `--with-ld`; or lock the one that is meant",
    references: &[
        "rustc, Codegen Options: linker, link-arg",
        "PE/COFF specification, Optional Header Standard Fields: MajorLinkerVersion",
        "LLD and mold, their lines in .comment",
    ],
    check: Check::Either(check),
};

fn check(subject: &Subject, policy: &Policy) -> Judgement {
    let Some(expected) = &policy.linker else {
        return Judgement::not_applicable("the policy names no linker");
    };
    match inspect::linker(&subject.facts.binary) {
        None => Judgement::cannot_tell("no linker's mark is left in the file", expected.clone()),
        Some(mark) => Judgement::require(is(&mark, expected), mark.to_string(), expected.clone()),
    }
}

/// Whether `expected`, a name and perhaps a version behind it, is the linker of `mark`. Versions are compared as far as
/// both go: a PE file has room for two numbers, and GNU ld leaves none in ELF.
fn is(mark: &LinkerMark, expected: &str) -> bool {
    let Some(rest) = expected.strip_prefix(mark.name) else { return false };
    let numbers = |version: &str| version.split('.').map(str::to_owned).collect::<Vec<_>>();
    match (rest.strip_prefix(' '), &mark.version) {
        (Some(expected), Some(found)) => {
            numbers(expected).iter().zip(numbers(found)).all(|(one, other)| *one == other)
        }
        (Some(_), None) => true,
        (None, _) => rest.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;

    use super::*;
    use crate::testing::*;

    fn of_elf(comments: &[&str], expected: Option<&str>) -> Judgement {
        judge_elf(&RULE, |elf, policy| {
            elf.comments = comments.iter().map(|comment| (*comment).to_owned()).collect();
            policy.linker = expected.map(str::to_owned);
        })
    }

    #[test]
    fn another_linker_fails_whatever_was_asked_of_the_driver() {
        let gcc = "GCC: (Debian 12.2.0-14) 12.2.0";
        let lld = "Linker: LLD 22.1.2 (/checkout/src/llvm-project/llvm 05918363)";
        assert_ends(&of_elf(&[gcc], Some("GNU ld 2.35.2")), Outcome::Pass, "GNU ld");
        assert_ends(&of_elf(&[gcc, lld], Some("GNU ld 2.35.2")), Outcome::Fail, "LLD 22.1.2");
        assert_ends(&of_elf(&[lld], Some("LLD 22.1")), Outcome::Pass, "LLD 22.1.2");
        assert_ends(&of_elf(&[lld], Some("LLD")), Outcome::Pass, "LLD 22.1.2");
        assert_ends(&of_elf(&[lld], Some("LLD 21.1.2")), Outcome::Fail, "LLD 22.1.2");
        assert_ends(&of_elf(&["Linker: Debian LLD 14.0.6"], Some("LLD 14")), Outcome::Pass, "LLD 14.0.6");
        assert_ends(
            &of_elf(&["mold 2.30.0 (compatible with GNU ld)"], Some("GNU ld")),
            Outcome::Fail,
            "mold 2.30.0",
        );
    }

    #[test]
    fn without_a_mark_nothing_tells_and_without_a_policy_nobody_asks() {
        assert_ends(&of_elf(&[], Some("GNU ld")), Outcome::CannotTell, "no linker's mark");
        assert_ends(&of_elf(&["Linker: LLD 1"], None), Outcome::NotApplicable, "names no linker");
    }

    #[test]
    fn a_pe_file_names_two_numbers() {
        let of_pe = |version: (u8, u8), expected: &str| {
            judge_pe(&RULE, |pe, policy| {
                pe.linker_version = version;
                policy.linker = Some(expected.to_owned());
            })
        };
        assert_ends(&of_pe((2, 44), "GNU ld 2.44"), Outcome::Pass, "GNU ld 2.44");
        assert_ends(&of_pe((2, 44), "GNU ld 2.44.1"), Outcome::Pass, "GNU ld 2.44");
        assert_ends(&of_pe((2, 40), "GNU ld 2.44"), Outcome::Fail, "GNU ld 2.40");
        assert_ends(&of_pe((14, 0), "GNU ld 2.44"), Outcome::Fail, "LLD");
        assert_ends(&of_pe((14, 0), "LLD"), Outcome::Pass, "LLD");
        assert_ends(&of_pe((14, 44), "LLD"), Outcome::Fail, "Microsoft link 14.44");
        assert_ends(&of_pe((9, 0), "LLD"), Outcome::CannotTell, "no linker's mark");
    }
}
