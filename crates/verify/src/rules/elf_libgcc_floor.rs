//! SW-ELF-LIBGCC-FLOOR: the unwinder of every distribution is new enough.

use std::fmt;

use inspect::facts::{Elf, ElfImport};

use crate::rule::{Check, Judgement, Rule, listed, listed_or_none};
use crate::version::Version;
use crate::{Policy, Subject};

/// `VER_FLG_WEAK`: the loader does not mind when the version is missing.
const WEAK: u16 = 2;

pub(crate) const RULE: Rule = Rule {
    id: "SW-ELF-LIBGCC-FLOOR",
    summary: "the unwinder of every distribution is new enough",
    why: "A libgcc_s symbol newer than the device's unwinder stops the program before its first line.",
    fix: "avoid the named symbols, link them in with `-static-libgcc`, or raise `policy.libgcc-floor`",
    references: &["LSB Core, Symbol Versioning: .gnu.version_r", "GCC, libgcc/libgcc-std.ver.in"],
    check: Check::Elf(check),
};

fn check(elf: &Elf, _: &Subject, policy: &Policy) -> Judgement {
    let demands = demands(elf, "GCC_");
    let Some(floor) = &policy.libgcc_floor else {
        let asked: Vec<_> = demands.iter().map(Demand::to_string).collect();
        return Judgement::require(demands.is_empty(), listed_or_none(&asked), "no libgcc_s symbol");
    };
    let expected = format!("nothing newer than GCC_{floor}");
    let Some(limit) = Version::parse(floor) else {
        return Judgement::cannot_tell(
            "not looked at",
            format!("a floor like 4.2.0; the policy says `{floor}`"),
        );
    };
    let parsed = |demand: &Demand| demand.version.strip_prefix("GCC_").and_then(Version::parse);
    let hard: Vec<_> = demands.iter().filter(|demand| !demand.weak).collect();
    let named = |wrong: Vec<&&Demand>| wrong.iter().map(|demand| demand.to_string()).collect::<Vec<_>>();
    let above =
        named(hard.iter().filter(|demand| parsed(demand).is_some_and(|asked| asked > limit)).collect());
    if !above.is_empty() {
        return Judgement::fail(listed(&above), expected);
    }
    let unclear = named(hard.iter().filter(|demand| parsed(demand).is_none()).collect());
    if !unclear.is_empty() {
        return Judgement::cannot_tell(format!("unknown version {}", listed(&unclear)), expected);
    }
    let highest = hard.iter().filter_map(|demand| parsed(demand)).max();
    Judgement::pass(highest.map_or("no version".to_owned(), |version| format!("GCC_{version}")), expected)
}

/// One version that a file asks of a library, and who in the file asks.
pub(super) struct Demand<'a> {
    pub(super) version: &'a str,
    pub(super) weak: bool,
    symbols: Vec<&'a str>,
}

/// Every version needed whose name begins with `family`, from whatever library.
pub(super) fn demands<'a>(elf: &'a Elf, family: &str) -> Vec<Demand<'a>> {
    let needs = elf.versions_needed.iter().flat_map(|need| &need.versions);
    let of_family = needs.filter(|need| need.name.starts_with(family));
    of_family
        .map(|need| {
            let bound = |import: &&ElfImport| import.version.as_deref() == Some(need.name.as_str());
            let imports = elf.imports.iter().filter(bound);
            let symbols = imports.map(|import| import.name.as_str()).take(11).collect();
            Demand { version: &need.name, weak: need.flags & WEAK != 0, symbols }
        })
        .collect()
}

impl fmt::Display for Demand<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.symbols.is_empty() {
            true => formatter.write_str(self.version),
            false => write!(formatter, "{} ({})", self.version, listed(&self.symbols)),
        }
    }
}

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
