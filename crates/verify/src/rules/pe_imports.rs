//! SW-PE-IMPORTS: only DLLs that every Windows has.

use inspect::facts::{Pe, PeImport};

use crate::rule::{Check, Judgement, Rule, listed, listed_or_none};
use crate::{Policy, Subject};
use artifact::matching::matches_ignoring_case;

pub(crate) const RULE: Rule = Rule {
    id: "SW-PE-IMPORTS",
    summary: "only DLLs that every Windows has",
    why: "A DLL that only the build machine has ends the program at start; a missing one beside it can be planted.",
    fix: "link it statically (`-static-libgcc`, `-static`), or name it in `policy.imported-dlls`",
    references: &[
        "PE/COFF specification, The .idata Section and Delay-Load Import Tables",
        "Windows, Dynamic-link library search order",
        "CWE-427: Uncontrolled Search Path Element",
    ],
    check: Check::Pe(check),
};

fn check(pe: &Pe, _: &Subject, policy: &Policy) -> Judgement {
    let in_list =
        |list: &[String], library: &str| list.iter().any(|pattern| matches_ignoring_case(pattern, library));
    let known = |library: &str| {
        in_list(&policy.imported_dlls, library) && !in_list(&policy.denied_libraries, library)
    };
    // What is loaded at first use is SW-PE-DELAY-IMPORTS' subject.
    let imports = pe.imports.iter().filter(|import| !import.delayed);
    let wrong: Vec<_> = imports.clone().filter(|import| !known(&import.library)).map(shown).collect();
    let expected = "DLLs named in the policy only";
    if wrong.is_empty() {
        Judgement::pass(listed_or_none(&imports.map(shown).collect::<Vec<_>>()), expected)
    } else {
        Judgement::fail(format!("unexpected: {}", listed(&wrong)), expected)
    }
}

fn shown(import: &PeImport) -> String {
    format!("`{}`", import.library)
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;

    use super::*;
    use crate::testing::*;

    fn importing(library: &str, delayed: bool) -> Judgement {
        let import =
            PeImport { library: library.to_owned(), delayed, address_table: 0, functions: Vec::new() };
        judge_pe(&RULE, |pe, _| pe.imports.push(import))
    }

    #[test]
    fn a_linkers_leftover_fails_where_it_is_loaded_at_start() {
        assert_ends(&importing("libgcc_s_seh-1.dll", false), Outcome::Fail, "`libgcc_s_seh-1.dll`");
        assert_ends(&importing("evil.dll", true), Outcome::Pass, "KERNEL32");
        assert_ends(&importing("", false), Outcome::Fail, "``");
    }

    #[test]
    fn a_denied_dll_fails_though_a_prefix_allows_it() {
        let judgement = judge_pe(&RULE, |pe, policy| {
            let library = "API-MS-Win-Core-Debug-l1-1-0.dll".to_owned();
            pe.imports.push(PeImport { library, delayed: false, address_table: 0, functions: Vec::new() });
            policy.denied_libraries = vec!["api-ms-win-core-debug-*".to_owned()];
        });
        assert_ends(&judgement, Outcome::Fail, "Core-Debug");
    }

    #[test]
    fn what_rust_imports_passes_in_any_case() {
        let libraries = ["kernel32.DLL", "ntdll.dll", "USERENV.dll", "WS2_32.dll", "msvcrt.dll"];
        let more =
            ["bcryptprimitives.dll", "api-ms-win-core-synch-l1-2-0.dll", "API-MS-WIN-CRT-HEAP-L1-1-0.dll"];
        for library in libraries.into_iter().chain(more) {
            assert_ends(&importing(library, false), Outcome::Pass, library);
        }
    }
}
