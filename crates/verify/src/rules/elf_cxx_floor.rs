//! SW-ELF-CXX-FLOOR: starts with the oldest libstdc++ that was promised.

use artifact::Outcome;
use inspect::facts::Elf;

use crate::rule::{Check, Judgement, Rule};
use crate::symbol_floor::{Family, Meaning};
use crate::version::Version;
use crate::{Policy, Subject};

pub(crate) const RULE: Rule = Rule {
    id: "SW-ELF-CXX-FLOOR",
    summary: "starts with the oldest libstdc++ that was promised",
    why: "With an older libstdc++ the loader refuses the program: ``version `GLIBCXX_3.4.32' not found``.",
    fix: "build with an older GCC, link with `-static-libstdc++`, or set `policy.glibcxx-floor` and `policy.cxxabi-floor`",
    references: &[
        "libstdc++ manual, ABI Policy and Guidelines: Versioning",
        "LSB Core, Symbol Versioning: .gnu.version_r",
    ],
    check: Check::Elf(check),
};

const FAMILIES: [Family; 2] =
    [Family { prefix: "GLIBCXX_", without_number: |_| None }, Family { prefix: "CXXABI_", without_number }];

/// `CXXABI_TM_1` (transactional memory) came with GCC 4.7, whose other node is `CXXABI_1.3.6`.
fn without_number(name: &str) -> Option<Meaning> {
    (name == "CXXABI_TM_1").then(|| Version::parse("1.3.6").map(Meaning::Since)).flatten()
}

fn check(elf: &Elf, _: &Subject, policy: &Policy) -> Judgement {
    let [library, language] = FAMILIES;
    let library = library.judge(elf, policy.glibcxx_floor.as_deref(), &policy.floor_exceptions);
    let language = language.judge(elf, policy.cxxabi_floor.as_deref(), &policy.floor_exceptions);
    // The worse of the two decides, and both are said.
    let outcome = match (library.outcome, language.outcome) {
        (Outcome::Fail, _) | (_, Outcome::Fail) => Outcome::Fail,
        (Outcome::CannotTell, _) | (_, Outcome::CannotTell) => Outcome::CannotTell,
        _ => Outcome::Pass,
    };
    let observed = format!("{}; {}", library.observed, language.observed);
    let expected = format!("{}; {}", library.expected, language.expected);
    Judgement { outcome, observed: observed.into(), expected: expected.into(), evidence: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;

    fn with(name: &str, floors: [Option<&str>; 2]) -> Judgement {
        judge_elf(&RULE, |elf, policy| {
            elf.versions_needed[1].versions[0].name = name.to_owned();
            elf.imports[1].version = Some(name.into());
            policy.glibcxx_floor = floors[0].map(str::to_owned);
            policy.cxxabi_floor = floors[1].map(str::to_owned);
        })
    }

    #[test]
    fn without_a_floor_no_symbol_of_the_runtime_may_be_asked_for() {
        assert_ends(&judge_elf(&RULE, |_, _| ()), Outcome::Pass, "none; none");
        assert_ends(&with("GLIBCXX_3.4", [None, None]), Outcome::Fail, "GLIBCXX_3.4 (write)");
        assert_ends(&with("CXXABI_1.3", [None, None]), Outcome::Fail, "CXXABI_1.3 (write)");
    }

    #[test]
    fn each_family_has_its_floor_compared_as_numbers() {
        let floors = [Some("3.4.28"), Some("1.3.12")];
        assert_ends(&with("GLIBCXX_3.4.9", floors), Outcome::Pass, "GLIBCXX_3.4.9");
        assert_ends(&with("GLIBCXX_3.4.30", floors), Outcome::Fail, "GLIBCXX_3.4.30 (write)");
        assert_ends(&with("CXXABI_1.3.13", floors), Outcome::Fail, "CXXABI_1.3.13 (write)");
        assert_ends(&with("CXXABI_TM_1", floors), Outcome::Pass, "CXXABI_1.3.6");
        assert_ends(&with("CXXABI_FLOAT128", floors), Outcome::CannotTell, "unknown version CXXABI_FLOAT128");
    }
}
