//! SW-ELF-STACK-PROTECTOR: C and C++ notice an overrun of the stack.

use inspect::facts::{Elf, Language};
use memchr::memmem;

use crate::rule::{Check, Judgement, Rule, listed};
use crate::{Policy, Subject};

pub(crate) const RULE: Rule = Rule {
    id: "SW-ELF-STACK-PROTECTOR",
    summary: "C and C++ notice an overrun of the stack",
    why: "Without a canary a write past an array's end goes on to the return address, and nothing stops it.",
    fix: "compile C and C++ with `-fstack-protector-strong`",
    references: &[
        "GCC manual, Instrumentation Options: -fstack-protector-strong",
        "CWE-121: Stack-based Buffer Overflow",
    ],
    check: Check::Elf(check),
};

/// What the protector calls and compares with, of the C library.
const OFFERED: [&str; 2] = ["__stack_chk_fail", "__stack_chk_guard"];

fn check(elf: &Elf, subject: &Subject, policy: &Policy) -> Judgement {
    if !policy.stack_protector {
        return Judgement::not_applicable("the policy asks for none");
    }
    let expected = "`__stack_chk_fail` or `__stack_chk_guard` is used";
    let found = &elf.marks.stack_protector;
    if !found.is_empty() && !elf.imports.is_empty() {
        return Judgement::pass(listed(found), expected);
    }
    // The C library offers it to others whether or not it was compiled with it, and calls its own without an import.
    let exports = subject.exports(elf).unwrap_or_default();
    if let Some(name) = exports.iter().find(|name| OFFERED.contains(name)) {
        let what = format!("exports `{name}` itself, so no import could show whether it uses it");
        return Judgement::cannot_tell(what, expected);
    }
    if let Some(reason) = no_c_of_its_own(elf, subject) {
        return Judgement::not_applicable(reason);
    }
    // A static program has no import that could show it, only its own symbol table, in which the C library's objects are.
    if let [name, ..] = found.as_slice() {
        let what = format!("static: the C library brings `{name}` along, whoever calls it");
        return Judgement::cannot_tell(what, expected);
    }
    match (elf.imports.is_empty(), elf.symbol_count) {
        (true, 0) => {
            Judgement::cannot_tell("static and stripped: no symbol is left that could show it", expected)
        }
        (true, count) => Judgement::fail(format!("none of {count} symbols is the protector's"), expected),
        (false, _) => {
            let what = "no such import: compiled without a protector, or no function has an array to protect";
            Judgement::fail(what, expected)
        }
    }
}

/// Why no C or C++ is known to be inside, where that is so. The C library's start files leave GCC's mark in every Rust
/// program, so that mark alone does not prove any.
pub(super) fn no_c_of_its_own(elf: &Elf, subject: &Subject) -> Option<String> {
    let marks = &elf.marks;
    if marks.speaks(Language::Cxx) {
        return None;
    }
    if let Some(mark) =
        marks.languages.iter().find(|mark| matches!(mark.language, Language::Rust | Language::Go))
    {
        let start =
            if marks.speaks(Language::CFamily) { "; GCC's own mark is also the start files'" } else { "" };
        return Some(format!(
            "{:?}, which has none and checks bounds itself: {}{start}",
            mark.language, mark.evidence
        ));
    }
    // Only rustc writes such paths, and they survive where comments were taken out.
    let path = memmem::find(subject.bytes, b"/rustc/").filter(|_| !marks.speaks(Language::CFamily));
    path.map(|offset| {
        format!("Rust, which has none and checks bounds itself: `/rustc/` at offset {offset:#x}")
    })
}

#[cfg(test)]
mod tests {
    use artifact::{Outcome, Target};
    use inspect::facts::LanguageMark;

    use super::*;
    use crate::testing::*;

    fn with(languages: &[Language], change: impl FnOnce(&mut Elf)) -> Judgement {
        judge_elf(&RULE, |elf, policy| {
            policy.stack_protector = true;
            let mark =
                |language: &Language| LanguageMark { language: *language, evidence: "told".to_owned() };
            elf.marks.languages = languages.iter().map(mark).collect();
            change(elf);
        })
    }

    #[test]
    fn c_without_the_symbol_fails_and_with_it_passes_in_any_language() {
        let symbol = |elf: &mut Elf| elf.marks.stack_protector = vec!["__stack_chk_fail".to_owned()];
        assert_ends(&with(&[Language::CFamily], |_| ()), Outcome::Fail, "no such import");
        assert_ends(&with(&[Language::CFamily], symbol), Outcome::Pass, "__stack_chk_fail");
        assert_ends(&with(&[Language::Rust, Language::CFamily], symbol), Outcome::Pass, "__stack_chk_fail");
        assert_ends(&with(&[Language::Rust, Language::Cxx], |_| ()), Outcome::Fail, "no such import");
    }

    #[test]
    fn the_c_library_cannot_tell() {
        let offers =
            |name: &str| with(&[Language::CFamily], |elf| elf.exports = Some([name].into_iter().collect()));
        assert_ends(&offers("__stack_chk_fail"), Outcome::CannotTell, "exports `__stack_chk_fail` itself");
        assert_ends(&offers("__stack_chk_guard"), Outcome::CannotTell, "`__stack_chk_guard`");
        assert_ends(&offers("__stack_chk_fail_logger"), Outcome::Fail, "no such import");
    }

    #[test]
    fn rust_and_go_are_never_red() {
        assert_ends(&with(&[Language::Rust], |_| ()), Outcome::NotApplicable, "Rust");
        assert_ends(
            &with(&[Language::Rust, Language::CFamily], |_| ()),
            Outcome::NotApplicable,
            "start files",
        );
        assert_ends(&with(&[Language::Go], |_| ()), Outcome::NotApplicable, "Go");
        let mut policy = Policy::for_target(Target::Aarch64Linux);
        policy.stack_protector = true;
        let silent = judge(&RULE, &elf_facts(), b"../rustc/1234/library", &policy);
        assert_ends(&silent, Outcome::NotApplicable, "`/rustc/` at offset 0x2");
    }

    #[test]
    fn a_static_program_tells_by_its_symbol_table_or_not_at_all() {
        let stripped = with(&[Language::CFamily], |elf| elf.imports.clear());
        assert_ends(&stripped, Outcome::CannotTell, "static and stripped");
        let symbols = with(&[Language::CFamily], |elf| {
            elf.imports.clear();
            elf.symbol_count = 7;
        });
        assert_ends(&symbols, Outcome::Fail, "none of 7 symbols");
        // glibc's own objects, which were compiled with it, are in every static program.
        let brought = |language| {
            with(&[language], |elf| {
                elf.imports.clear();
                elf.symbol_count = 7;
                elf.marks.stack_protector = vec!["__stack_chk_fail".to_owned()];
            })
        };
        assert_ends(&brought(Language::CFamily), Outcome::CannotTell, "brings `__stack_chk_fail` along");
        assert_ends(&brought(Language::Rust), Outcome::NotApplicable, "Rust");
    }

    #[test]
    fn the_policy_asks_for_it() {
        assert_ends(&judge_elf(&RULE, |_, _| ()), Outcome::NotApplicable, "policy");
    }
}
