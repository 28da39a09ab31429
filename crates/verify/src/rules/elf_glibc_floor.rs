//! SW-ELF-GLIBC-FLOOR: starts on the oldest glibc that was promised.

use inspect::facts::Elf;

use super::elf_libgcc_floor::{Demand, demands};
use crate::rule::{Check, Judgement, Rule, listed, listed_or_none};
use crate::version::Version;
use crate::{Policy, Subject};

pub(crate) const RULE: Rule = Rule {
    id: "SW-ELF-GLIBC-FLOOR",
    summary: "starts on the oldest glibc that was promised",
    why: "On an older glibc the loader refuses the program: ``version `GLIBC_2.34' not found``.",
    fix: "build against an older glibc (builder docker or zig), avoid the named symbols, or raise `glibc-floor`",
    references: &[
        "LSB Core, Symbol Versioning: .gnu.version_r",
        "glibc, elf/dl-version.c: _dl_check_map_versions",
    ],
    check: Check::Elf(check),
};

fn check(elf: &Elf, _: &Subject, policy: &Policy) -> Judgement {
    let demands = demands(elf, "GLIBC_");
    let Some(floor) = &policy.glibc_floor else {
        let asked: Vec<_> = demands.iter().map(Demand::to_string).collect();
        return Judgement::require(demands.is_empty(), listed_or_none(&asked), "no glibc symbol");
    };
    let expected = format!("nothing newer than GLIBC_{floor}");
    let Some(limit) = Version::parse(floor) else {
        return Judgement::cannot_tell(
            "not looked at",
            format!("a floor like 2.31; the policy says `{floor}`"),
        );
    };
    if demands.is_empty() && elf.needed.iter().any(|library| library == "libc.so.6") {
        return Judgement::cannot_tell("needs libc.so.6 without naming any version", expected);
    }
    let (mut highest, mut above, mut unclear) = (None, Vec::new(), Vec::new());
    for demand in &demands {
        match meaning(demand.version) {
            Meaning::Since(_) if demand.weak => {}
            Meaning::Since(version) => {
                if version > limit {
                    above.push(demand.to_string());
                }
                highest = highest.max(Some(version));
            }
            Meaning::Never => above.push(demand.to_string()),
            Meaning::Unknown => unclear.push(demand.to_string()),
        }
    }
    if !above.is_empty() {
        return Judgement::fail(listed(&above), expected);
    }
    if !unclear.is_empty() {
        return Judgement::cannot_tell(format!("unknown version {}", listed(&unclear)), expected);
    }
    let highest = highest.map_or("no version".to_owned(), |version| format!("GLIBC_{version}"));
    let weak: Vec<_> = demands.iter().filter(|demand| demand.weak).map(|demand| demand.version).collect();
    let weak = if weak.is_empty() { String::new() } else { format!("; weakly also {}", listed(&weak)) };
    Judgement::pass(format!("{highest}{weak}"), expected)
}

enum Meaning {
    /// In every glibc since this one.
    Since(Version),
    /// Private to one build of glibc.
    Never,
    Unknown,
}

fn meaning(name: &str) -> Meaning {
    match name {
        // Markers without a number: the glibc that first defines each.
        "GLIBC_ABI_DT_RELR" => Meaning::Since(Version::parse("2.36").expect("digits and a dot")),
        "GLIBC_ABI_GNU2_TLS" => Meaning::Since(Version::parse("2.42").expect("digits and a dot")),
        "GLIBC_PRIVATE" => Meaning::Never,
        _ => name.strip_prefix("GLIBC_").and_then(Version::parse).map_or(Meaning::Unknown, Meaning::Since),
    }
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;

    use super::*;
    use crate::testing::*;

    fn with_version(name: &str) -> Judgement {
        judge_elf(&RULE, |elf, _| {
            elf.versions_needed[1].versions[0].name = name.to_owned();
            elf.imports[1].version = Some(name.into());
        })
    }

    #[test]
    fn versions_are_compared_as_numbers_and_the_symbols_are_named() {
        assert_ends(&with_version("GLIBC_2.4"), Outcome::Pass, "GLIBC_2.4");
        assert_ends(&with_version("GLIBC_2.31"), Outcome::Pass, "GLIBC_2.31");
        assert_ends(&with_version("GLIBC_2.34"), Outcome::Fail, "GLIBC_2.34 (write)");
    }

    #[test]
    fn markers_without_a_number_are_known_or_cannot_be_told() {
        assert_ends(&with_version("GLIBC_ABI_DT_RELR"), Outcome::Fail, "DT_RELR");
        assert_ends(&with_version("GLIBC_ABI_GNU2_TLS"), Outcome::Fail, "GNU2_TLS");
        assert_ends(&with_version("GLIBC_PRIVATE"), Outcome::Fail, "PRIVATE");
        assert_ends(&with_version("GLIBC_ABI_NEW"), Outcome::CannotTell, "ABI_NEW");
        let newer = judge_elf(&RULE, |elf, policy| {
            policy.glibc_floor = Some("2.36".to_owned());
            elf.versions_needed[1].versions[0].name = "GLIBC_ABI_DT_RELR".to_owned();
        });
        assert_ends(&newer, Outcome::Pass, "GLIBC_2.36");
    }

    #[test]
    fn a_weak_version_is_no_floor_and_is_said() {
        let weak = judge_elf(&RULE, |elf, _| {
            elf.versions_needed[1].versions[0].flags = 2;
            elf.versions_needed[1].versions[0].name = "GLIBC_2.34".to_owned();
        });
        assert_ends(&weak, Outcome::Pass, "weakly also GLIBC_2.34");
    }

    #[test]
    fn no_version_at_all_and_a_floor_that_is_none_cannot_be_told() {
        let judgement = judge_elf(&RULE, |elf, _| elf.versions_needed.clear());
        assert_ends(&judgement, Outcome::CannotTell, "without naming");
        let judgement = judge_elf(&RULE, |_, policy| policy.glibc_floor = Some("bullseye".to_owned()));
        assert_ends(&judgement, Outcome::CannotTell, "not looked at");
    }

    #[test]
    fn a_static_program_asks_for_none() {
        assert_ends(&judge_static(&RULE, |_, _| ()), Outcome::Pass, "none");
        let judgement = judge_static(&RULE, |elf, _| {
            elf.versions_needed = elf_of(&mut elf_facts()).versions_needed.clone();
        });
        assert_ends(&judgement, Outcome::Fail, "GLIBC_2.17");
    }
}
