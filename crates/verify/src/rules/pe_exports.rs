//! SW-PE-EXPORTS: a program is not a library.

use inspect::facts::Pe;

use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject};
use artifact::matching::matches;

pub(crate) const RULE: Rule = Rule {
    id: "SW-PE-EXPORTS",
    summary: "a program exports nothing but what the policy names",
    why: "What a program exports is a promise nobody meant: whole run-time libraries slip in, and other code begins to call them.",
    fix: "link without `--export-all-symbols` and `__declspec(dllexport)`, or name it in `policy.exported-functions`",
    references: &[
        "PE/COFF specification, The .edata Section",
        "GNU ld manual, Options specific to i386 PE targets: --exclude-all-symbols",
    ],
    check: Check::Pe(check),
};

fn check(pe: &Pe, _: &Subject, policy: &Policy) -> Judgement {
    if pe.is_library() {
        return Judgement::not_applicable("a library, which is there to export");
    }
    let known = |name: &str| policy.exported_functions.iter().any(|pattern| matches(pattern, name));
    let named = pe.exports.iter().filter(|name| !known(name)).map(|name| format!("`{name}`"));
    let mut wrong: Vec<_> = named.collect();
    if pe.exports_by_ordinal > 0 {
        wrong.push(format!("{} by ordinal alone", pe.exports_by_ordinal));
    }
    let fine =
        if pe.exports.is_empty() { "none".to_owned() } else { format!("{}, all named", pe.exports.len()) };
    Judgement::none_wrong(&wrong, fine, "no exports but those named in the policy")
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;

    use super::*;
    use crate::testing::*;

    fn exporting(names: &[&str], by_ordinal: u32, allowed: &[&str]) -> Judgement {
        judge_pe(&RULE, |pe, policy| {
            pe.exports = names.iter().collect();
            pe.exports_by_ordinal = by_ordinal;
            policy.exported_functions = allowed.iter().map(|name| (*name).to_owned()).collect();
        })
    }

    #[test]
    fn an_export_without_permission_fails() {
        assert_ends(&judge_pe(&RULE, |_, _| ()), Outcome::Pass, "none");
        assert_ends(&exporting(&["answer"], 0, &[]), Outcome::Fail, "`answer`");
        assert_ends(&exporting(&["NvOptimusEnablement"], 0, &["NvOptimus*"]), Outcome::Pass, "1, all named");
        assert_ends(&exporting(&["answer"], 2, &["answer"]), Outcome::Fail, "2 by ordinal");
        let library = judge_pe(&RULE, |pe, _| {
            pe.characteristics |= IMAGE_FILE_DLL;
            pe.exports.push("answer");
        });
        assert_ends(&library, Outcome::NotApplicable, "library");
    }
}
