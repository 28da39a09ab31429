//! SW-ELF-LIBGCC-FLOOR: the unwinder of every distribution is new enough.

use inspect::facts::Elf;

use crate::rule::{Check, Judgement, Rule};
use crate::symbol_floor::Family;
use crate::{Policy, Subject};

pub(crate) const RULE: Rule = Rule {
    id: "SW-ELF-LIBGCC-FLOOR",
    summary: "the unwinder of every distribution is new enough",
    why: "A libgcc_s symbol newer than the device's unwinder stops the program before its first line.",
    fix: "avoid the named symbols, link them in with `-static-libgcc`, or raise `policy.libgcc-floor`",
    references: &["LSB Core, Symbol Versioning: .gnu.version_r", "GCC, libgcc/libgcc-std.ver.in"],
    check: Check::Elf(check),
};

fn check(elf: &Elf, _: &Subject, policy: &Policy) -> Judgement {
    LIBGCC.judge(elf, policy.libgcc_floor.as_deref(), &policy.floor_exceptions)
}

const LIBGCC: Family = Family { prefix: "GCC_", without_number: |_| None };

#[cfg(test)]
mod tests {
    use artifact::Outcome;

    use super::*;
    use crate::testing::*;

    fn with_version(name: &str) -> Judgement {
        judge_elf(&RULE, |elf, _| {
            elf.versions_needed[0].versions[0].name = name.to_owned();
            elf.imports[0].version = Some(name.into());
        })
    }

    #[test]
    fn a_newer_unwinder_fails_by_number_and_names_the_symbols() {
        assert_ends(&with_version("GCC_3.3"), Outcome::Pass, "GCC_3.3");
        assert_ends(&with_version("GCC_4.2.0"), Outcome::Pass, "GCC_4.2");
        assert_ends(&with_version("GCC_14.0.0"), Outcome::Fail, "GCC_14.0.0 (_Unwind_Backtrace)");
        assert_ends(&with_version("GCC_NEXT"), Outcome::CannotTell, "GCC_NEXT");
    }

    #[test]
    fn a_static_program_asks_for_none() {
        assert_ends(&judge_static(&RULE, |_, _| ()), Outcome::Pass, "none");
    }
}
