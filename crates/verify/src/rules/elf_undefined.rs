//! SW-ELF-UNDEFINED: a file without libraries leaves no symbol to them.

use inspect::facts::Elf;

use crate::rule::{Check, Judgement, Rule, listed_or_none};
use crate::{Policy, Subject};
use artifact::matching::matches;

pub(crate) const RULE: Rule = Rule {
    id: "SW-ELF-UNDEFINED",
    summary: "a file without libraries leaves no symbol to them",
    why: "A symbol that nobody defines ends the program when it is loaded, or with lazy binding at its first call.",
    fix: "link the library that defines it, link with `-z defs`, or name it in `policy.undefined-symbols` for a plug-in",
    references: &["gABI, Dynamic Linking: Shared Object Dependencies", "GNU binutils, ld -z defs"],
    check: Check::Elf(check),
};

fn check(elf: &Elf, _: &Subject, policy: &Policy) -> Judgement {
    if !elf.needed.is_empty() {
        return Judgement::not_applicable("its libraries may define them");
    }
    let expected = format!("nothing undefined but {}", listed_or_none(&policy.undefined_symbols));
    let known = |name: &str| policy.undefined_symbols.iter().any(|pattern| matches(pattern, name));
    let strong = elf.imports.iter().filter(|import| !import.weak && !known(&import.name));
    let names: Vec<_> = strong.map(|import| import.name.clone()).collect();
    let weak = elf.imports.iter().filter(|import| import.weak).count();
    let fine = if weak == 0 { "none".to_owned() } else { format!("none but {weak} weak ones") };
    Judgement::none_wrong(&names, fine, expected)
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;

    use super::*;
    use crate::testing::*;

    #[test]
    fn a_strong_symbol_fails_and_a_weak_one_does_not() {
        let with = |weak| {
            judge_static(&RULE, |elf, _| {
                elf.imports = elf_of(&mut elf_facts()).imports.clone();
                elf.imports.iter_mut().for_each(|import| import.weak = weak);
            })
        };
        assert_ends(&judge_static(&RULE, |_, _| ()), Outcome::Pass, "none");
        assert_ends(&with(false), Outcome::Fail, "_Unwind_Backtrace, write");
        assert_ends(&with(true), Outcome::Pass, "none but 2 weak ones");
    }

    #[test]
    fn libraries_or_the_policy_may_bring_it() {
        assert_ends(&judge_elf(&RULE, |_, _| ()), Outcome::NotApplicable, "libraries");
        let plugin = judge_static(&RULE, |elf, policy| {
            elf.imports = elf_of(&mut elf_facts()).imports.clone();
            policy.undefined_symbols = vec!["_Unwind_*".to_owned(), "write".to_owned()];
        });
        assert_ends(&plugin, Outcome::Pass, "none");
    }
}
