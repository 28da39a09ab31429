//! SW-ELF-GLIBC-FLOOR: starts on the oldest glibc that was promised.

use inspect::facts::Elf;

use crate::rule::{Check, Judgement, Rule};
use crate::symbol_floor::{Family, Meaning, demands};
use crate::version::Version;
use crate::{Policy, Subject};

pub(crate) const RULE: Rule = Rule {
    id: "SW-ELF-GLIBC-FLOOR",
    summary: "starts on the oldest glibc that was promised",
    why: "On an older glibc the loader refuses the program: ``version `GLIBC_2.34' not found``.",
    fix: "build against an older glibc (builder docker or zig), avoid the named symbols, or raise `glibc-floor`",
    references: &[
        "LSB Core, Symbol Versioning: .gnu.version_r",
        "glibc, elf/dl-version.c: _dl_check_map_versions (and DT_RELR)",
    ],
    check: Check::Elf(check),
};

const DT_RELR: i64 = 36;

fn check(elf: &Elf, _: &Subject, policy: &Policy) -> Judgement {
    let needs_libc = elf.needed.iter().any(|library| library == "libc.so.6");
    let asks = |version: &str| {
        elf.versions_needed.iter().any(|need| need.versions.iter().any(|asked| asked.name == version))
    };
    if policy.glibc_floor.is_some()
        && needs_libc
        && elf.dynamic.iter().any(|entry| entry.tag == DT_RELR)
        && !asks("GLIBC_ABI_DT_RELR")
    {
        let what = "DT_RELR without the version GLIBC_ABI_DT_RELR: glibc before 2.36 passes over such relocations, later ones refuse the file";
        return Judgement::fail(
            what,
            "a loader that relocates it: GNU ld 2.38 or LLD 15, or no `-z pack-relative-relocs`",
        );
    }
    if policy.glibc_floor.is_some() && needs_libc && demands(elf, GLIBC.prefix).is_empty() {
        return Judgement::cannot_tell("needs libc.so.6 without naming any version", "a version of glibc");
    }
    GLIBC.judge(elf, policy.glibc_floor.as_deref(), &policy.floor_exceptions)
}

const GLIBC: Family = Family { prefix: "GLIBC_", without_number };

/// Markers without a number: the glibc that first defines each.
fn without_number(name: &str) -> Option<Meaning> {
    let since = |version| Version::parse(version).map(Meaning::Since);
    match name {
        "GLIBC_ABI_DT_RELR" => since("2.36"),
        "GLIBC_ABI_GNU2_TLS" => since("2.42"),
        "GLIBC_PRIVATE" => Some(Meaning::Never),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;
    use inspect::facts::DynamicEntry;

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
    fn packed_relocations_need_the_version_that_announces_them() {
        let packed = |announced: &str, library: &str| {
            judge_elf(&RULE, |elf, policy| {
                policy.glibc_floor = Some("2.36".to_owned());
                elf.needed = vec![library.to_owned()];
                elf.versions_needed[1].versions[0].name = announced.to_owned();
                elf.dynamic.push(DynamicEntry { tag: DT_RELR, value: 0x1000, text: None });
            })
        };
        assert_ends(
            &packed("GLIBC_2.17", "libc.so.6"),
            Outcome::Fail,
            "without the version GLIBC_ABI_DT_RELR",
        );
        assert_ends(&packed("GLIBC_ABI_DT_RELR", "libc.so.6"), Outcome::Pass, "");
        assert_ends(&packed("GLIBC_2.17", "libship.so"), Outcome::Pass, "");
    }

    #[test]
    fn a_need_without_a_version_cannot_be_told_and_without_a_need_there_is_none() {
        let needing = |library: &str| {
            judge_elf(&RULE, |elf, _| {
                elf.needed = vec![library.to_owned()];
                elf.versions_needed.clear();
                elf.imports.clear();
            })
        };
        assert_ends(&needing("libc.so.6"), Outcome::CannotTell, "without naming any version");
        assert_ends(&needing("libgcc_s.so.1"), Outcome::Pass, "no version");
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
    fn a_version_that_two_libraries_must_have_is_weak_where_both_needs_are() {
        let with = |first: u16, second: u16| {
            judge_elf(&RULE, |elf, _| {
                let need = &mut elf.versions_needed[1];
                need.versions[0].name = "GLIBC_2.34".to_owned();
                need.versions[0].flags = first;
                let mut other = need.clone();
                other.library = "libother.so.1".to_owned();
                other.versions[0].flags = second;
                elf.versions_needed.push(other);
            })
        };
        assert_ends(&with(2, 2), Outcome::Pass, "weakly also GLIBC_2.34");
        for (first, second) in [(2, 0), (0, 2), (0, 0)] {
            assert_ends(&with(first, second), Outcome::Fail, "GLIBC_2.34");
        }
    }

    #[test]
    fn a_weak_version_is_no_floor_and_is_said() {
        let weak = judge_elf(&RULE, |elf, _| {
            elf.versions_needed[1].versions[0].flags = 2;
            elf.versions_needed[1].versions[0].name = "GLIBC_2.34".to_owned();
        });
        assert_ends(&weak, Outcome::Pass, "weakly also GLIBC_2.34");
        let with = |flags, weak| {
            judge_elf(&RULE, |elf, _| {
                elf.versions_needed[1].versions[0].name = "GLIBC_2.34".to_owned();
                elf.versions_needed[1].versions[0].flags = flags;
                elf.imports[1].version = Some("GLIBC_2.34".into());
                elf.imports[1].weak = weak;
            })
        };
        assert_ends(&with(2, true), Outcome::Pass, "weakly also GLIBC_2.34");
        assert_ends(&with(2, false), Outcome::Fail, "GLIBC_2.34 (write)");
        assert_ends(&with(0, true), Outcome::Fail, "hard although each symbol is weak");
        for strong in [with(2, false), with(0, false)] {
            assert_eq!(strong.observed, "GLIBC_2.34 (write)", "what is not weak is hard without a word");
        }
    }

    #[test]
    fn an_exception_names_the_symbol_or_the_version_without_one() {
        let judge = |name: &str, exception: &str| {
            judge_elf(&RULE, |elf, policy| {
                elf.versions_needed[1].versions[0].name = name.to_owned();
                if !name.contains("ABI") {
                    elf.imports[1].version = Some(name.into());
                }
                policy.floor_exceptions = vec![exception.to_owned()];
            })
        };
        assert_ends(&judge("GLIBC_2.34", "write"), Outcome::Pass, "exception also GLIBC_2.34 (write)");
        assert_ends(&judge("GLIBC_2.34", "write@GLIBC_2.34"), Outcome::Pass, "exception");
        assert_ends(&judge("GLIBC_2.34", "write@GLIBC_2.33"), Outcome::Fail, "GLIBC_2.34 (write)");
        assert_ends(&judge("GLIBC_2.34", "read"), Outcome::Fail, "GLIBC_2.34 (write)");
        assert_ends(&judge("GLIBC_ABI_DT_RELR", "@GLIBC_ABI_DT_RELR"), Outcome::Pass, "exception");
        assert_ends(&judge("GLIBC_ABI_DT_RELR", "write"), Outcome::Fail, "DT_RELR");
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
