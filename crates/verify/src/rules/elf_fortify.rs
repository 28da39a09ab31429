//! SW-ELF-FORTIFY: C and C++ call glibc's checked functions.

use inspect::facts::Elf;

use super::elf_stack_protector::no_c_of_its_own;
use crate::rule::{Check, Judgement, Rule, listed};
use crate::{Policy, Subject};

pub(crate) const RULE: Rule = Rule {
    id: "SW-ELF-FORTIFY",
    summary: "C and C++ call glibc's checked functions",
    why: "`memcpy` and its like write as much as they are told to; the checked ones end the program at a buffer's end.",
    fix: "compile C and C++ with `-O2 -D_FORTIFY_SOURCE=2` (or 3), which does nothing without optimization",
    references: &[
        "glibc manual, Source Fortification",
        "CWE-120: Buffer Copy without Checking Size of Input",
    ],
    check: Check::Elf(check),
};

fn check(elf: &Elf, subject: &Subject, policy: &Policy) -> Judgement {
    if !policy.fortify {
        return Judgement::not_applicable("the policy does not ask for it");
    }
    let expected = "a checked variant of at least one function that has one";
    let (checked, plain) = (&elf.marks.fortified, &elf.marks.fortifiable);
    let all = checked.len() + plain.len();
    if !checked.is_empty() {
        // A plain call stays where the compiler sees that it fits, or cannot see the buffer at all.
        return Judgement::pass(format!("{} of {all}: {}", checked.len(), listed(checked)), expected);
    }
    if let Some(reason) = no_c_of_its_own(elf, subject) {
        return Judgement::not_applicable(reason);
    }
    if elf.imports.is_empty() {
        return Judgement::cannot_tell("static: what it calls is inside, without a name", expected);
    }
    if plain.is_empty() {
        return Judgement::not_applicable("it imports no function that has a checked variant");
    }
    Judgement::fail(format!("none of {all}: {}", listed(plain)), expected)
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;
    use inspect::facts::{Language, LanguageMark};

    use super::*;
    use crate::testing::*;

    fn with(checked: &[&str], plain: &[&str], change: impl FnOnce(&mut Elf)) -> Judgement {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        judge_elf(&RULE, |elf, policy| {
            policy.fortify = true;
            elf.marks.fortified = owned(checked);
            elf.marks.fortifiable = owned(plain);
            change(elf);
        })
    }

    #[test]
    fn one_checked_function_is_enough_and_none_of_several_fails() {
        assert_ends(&with(&["__memcpy_chk"], &["read"], |_| ()), Outcome::Pass, "1 of 2: __memcpy_chk");
        assert_ends(&with(&[], &["read", "memcpy"], |_| ()), Outcome::Fail, "none of 2: read, memcpy");
        assert_ends(&with(&[], &[], |_| ()), Outcome::NotApplicable, "no function");
    }

    #[test]
    fn rust_is_never_red_and_a_static_program_cannot_tell() {
        let rust = with(&[], &["memcpy"], |elf| {
            let evidence = "rustc version 1.95.0".to_owned();
            elf.marks.languages = vec![LanguageMark { language: Language::Rust, evidence }];
        });
        assert_ends(&rust, Outcome::NotApplicable, "Rust");
        assert_ends(&with(&[], &[], |elf| elf.imports.clear()), Outcome::CannotTell, "static");
        assert_ends(&judge_elf(&RULE, |_, _| ()), Outcome::NotApplicable, "policy");
    }
}
