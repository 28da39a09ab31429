//! SW-PE-DELAY-IMPORTS: a missing DLL ends the program later, too.

use inspect::facts::Pe;

use crate::rule::{Check, Judgement, Rule, listed_or_none};
use crate::{Policy, Subject};
use artifact::matching::matches_ignoring_case;

pub(crate) const RULE: Rule = Rule {
    id: "SW-PE-DELAY-IMPORTS",
    summary: "DLLs loaded at first use are named in the policy",
    why: "A DLL that is looked for at first use is missing in front of the user, long after the start that every test sees.",
    fix: "link it statically, or name it in `policy.delay-loaded-dlls`",
    references: &[
        "PE/COFF specification, Delay-Load Import Tables",
        "MSVC linker, /DELAYLOAD",
        "CWE-427: Uncontrolled Search Path Element",
    ],
    check: Check::Pe(check),
};

fn check(pe: &Pe, _: &Subject, policy: &Policy) -> Judgement {
    let list = policy.delay_loaded_dlls.as_ref().unwrap_or(&policy.imported_dlls);
    let known = |library: &str| list.iter().any(|pattern| matches_ignoring_case(pattern, library));
    let delayed = pe.imports.iter().filter(|import| import.delayed);
    let wrong: Vec<_> = delayed
        .clone()
        .filter(|import| !known(&import.library))
        .map(|import| format!("`{}`", import.library))
        .collect();
    let all: Vec<_> = delayed.map(|import| format!("`{}`", import.library)).collect();
    Judgement::none_wrong(&wrong, listed_or_none(&all), "delay-loaded DLLs named in the policy only")
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;
    use inspect::facts::PeImport;

    use super::*;
    use crate::testing::*;

    fn delaying(library: &str, allowed: Option<&[&str]>) -> Judgement {
        let import =
            PeImport { library: library.to_owned(), delayed: true, address_table: 0, functions: Vec::new() };
        judge_pe(&RULE, |pe, policy| {
            pe.imports.push(import);
            policy.delay_loaded_dlls =
                allowed.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        })
    }

    #[test]
    fn a_list_of_its_own_or_that_of_the_imports_decides() {
        assert_ends(&delaying("evil.dll", None), Outcome::Fail, "`evil.dll`");
        assert_ends(&delaying("User32.DLL", None), Outcome::Pass, "`User32.DLL`");
        assert_ends(&delaying("ext-ms-win-ntuser-window-l1-1-0.dll", None), Outcome::Pass, "ext-ms");
        assert_ends(&delaying("user32.dll", Some(&[])), Outcome::Fail, "`user32.dll`");
        assert_ends(&delaying("plugin1.dll", Some(&["plugin*"])), Outcome::Pass, "plugin1");
        assert_ends(&judge_pe(&RULE, |_, _| ()), Outcome::Pass, "none");
    }

    #[test]
    fn what_is_imported_at_start_is_not_its_subject() {
        let judgement = judge_pe(&RULE, |pe, _| pe.imports[0].library = "evil.dll".to_owned());
        assert_ends(&judgement, Outcome::Pass, "none");
    }
}
