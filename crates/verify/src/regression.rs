//! A file beside its older version: what it lost and what it gained, each a rule of its own.

use std::collections::BTreeSet;

use artifact::Finding;

use crate::Policy;
use crate::rule::{Check, Judgement, Rule, listed};
use crate::sighting::Sighting;
use crate::version::Version;

/// What there is of a file's older version.
#[derive(Clone, Copy, Debug)]
pub enum Before<'s> {
    /// Nothing.
    None,
    /// One file.
    One(&'s Sighting),
    /// Several files that may be it.
    Several,
}

/// One finding for each regression rule about `new`, beside `old`.
pub fn regressions(old: Before<'_>, new: &Sighting, policy: &Policy) -> Vec<Finding> {
    let judged = |rule: &Rule| {
        let judgement = match (old, rule.check) {
            _ if policy.rules_off.iter().any(|off| off == rule.id) => {
                Judgement::not_applicable("the policy does not ask (`rules-off`)")
            }
            (Before::None, _) => Judgement::not_applicable("no older version of this file to compare with"),
            (Before::Several, _) => Judgement::cannot_tell(
                "several older files have this name, in other folders",
                "one older version of this file: name the two folders that lie side by side",
            ),
            // What was not read of either cannot be missed.
            (Before::One(old), _) if !old.whole || !new.whole => Judgement::cannot_tell(
                "one of the two could not be read whole, see SW-READABLE",
                "two files that can be read",
            ),
            (Before::One(old), Check::Against(check)) => check(old, new, policy),
            (Before::One(_), _) => Judgement::not_applicable("not about two versions"),
        };
        rule.found(judgement)
    };
    regression_rules().iter().map(judged).collect()
}

/// The rules about a file beside its older version, in the order of a report.
pub fn regression_rules() -> &'static [Rule] {
    RULES
}

const RULES: &[Rule] = &[
    Rule {
        id: "SW-REGRESSION-HARDENING",
        summary: "every mitigation of the older version is still there",
        why: "A mitigation that is lost between two releases is lost by accident, and nobody looks for it again.",
        fix: "compare the linker's flags and version of the two builds, and bring back what the finding names",
        references: &["CWE-693: Protection Mechanism Failure", "rpminspect, inspection elf: lost RELRO"],
        check: Check::Against(hardening),
    },
    Rule {
        id: "SW-REGRESSION-LIBRARIES",
        summary: "no library is needed that the older version did not need",
        why: "A device that is updated has what the old release needed, and not what the new one brought up.",
        fix: "link the library statically, or ship it and waive this once",
        references: &[
            "ELF gABI, Shared Object Dependencies: DT_NEEDED",
            "PE/COFF specification, The .idata Section",
        ],
        check: Check::Against(libraries),
    },
    Rule {
        id: "SW-REGRESSION-FLOOR",
        summary: "no newer version of a library is needed than before",
        why: "An update that asks for a newer library stops where its predecessor ran.",
        fix: "build in the older system, or avoid the symbols that SW-ELF-GLIBC-FLOOR names",
        references: &["LSB Core, Symbol Versioning: .gnu.version_r"],
        check: Check::Against(floors),
    },
    Rule {
        id: "SW-REGRESSION-SECTIONS",
        summary: "no section appeared that the older version did not have",
        why: "A new section is a new kind of content: debug data, an embedded file, another linker's leftovers.",
        fix: "drop it with `finish.drop-sections`, or waive this once where it is meant",
        references: &["ELF gABI, Special Sections", "PE/COFF specification, Special Sections"],
        check: Check::Against(sections),
    },
    Rule {
        id: "SW-REGRESSION-SIZE",
        summary: "the file did not grow by more than the policy allows",
        why: "A jump in size is a dependency, a debug section or an asset that nobody meant to ship.",
        fix: "find what grew (`inspect` both), or raise `policy.growth-percent`",
        references: &["rpminspect, inspection filesize"],
        check: Check::Against(size),
    },
    Rule {
        id: "SW-REGRESSION-EXPORTS",
        summary: "every symbol that the older version exported is still exported",
        why: "What was built against the older version does not load with this one.",
        fix: "bring the symbols back, or change the SONAME and the name of the file",
        references: &["ELF gABI, Symbol Table", "PE/COFF specification, The .edata Section"],
        check: Check::Against(exports),
    },
    Rule {
        id: "SW-REGRESSION-SONAME",
        summary: "the library gives itself the name that it had",
        why: "What was linked to the older version asks for it by that name, and does not find this one.",
        fix: "keep the SONAME; for a library that breaks with the older one ship both, and waive this once",
        references: &["ELF gABI, Shared Object Dependencies: DT_SONAME"],
        check: Check::Against(soname),
    },
    Rule {
        id: "SW-REGRESSION-INTERPRETER",
        summary: "the loader is the one of the older version",
        why: "A device that has the old loader need not have the new one.",
        fix: "link for the same C library and loader as before",
        references: &["ELF gABI, Program Interpreter: PT_INTERP"],
        check: Check::Against(interpreter),
    },
];

fn hardening(old: &Sighting, new: &Sighting, _: &Policy) -> Judgement {
    // What is not asked of such a file is not lost.
    let lost: Vec<_> = old.mitigations.intersection(&new.refused).collect();
    let expected = "every mitigation rule that held for the older version";
    if lost.is_empty() {
        return Judgement::pass(format!("{} mitigation rules hold", new.mitigations.len()), expected);
    }
    Judgement::fail(format!("no more: {}", listed(&lost)), expected)
}

fn libraries(old: &Sighting, new: &Sighting, _: &Policy) -> Judgement {
    nothing_added(&old.libraries, &new.libraries, "libraries")
}

fn sections(old: &Sighting, new: &Sighting, _: &Policy) -> Judgement {
    nothing_added(&old.sections, &new.sections, "sections")
}

fn nothing_added(old: &BTreeSet<String>, new: &BTreeSet<String>, what: &str) -> Judgement {
    let added: Vec<_> = new.difference(old).collect();
    let expected = format!("no {what} beyond the older version's {}", old.len());
    if added.is_empty() {
        return Judgement::pass(format!("no new {what}"), expected);
    }
    Judgement::fail(format!("new: {}", listed(&added)), expected)
}

fn exports(old: &Sighting, new: &Sighting, _: &Policy) -> Judgement {
    let removed: Vec<_> =
        old.exports.promised.iter().filter(|request| !new.exports.answers(request)).collect();
    let expected = format!("all of the older version's {} exports", old.exports.promised.len());
    if removed.is_empty() {
        return Judgement::pass("none removed", expected);
    }
    Judgement::fail(format!("removed: {}", listed(&removed)), expected)
}

fn floors(old: &Sighting, new: &Sighting, _: &Policy) -> Judgement {
    let rose = new
        .floors
        .iter()
        .filter(|(family, version)| old.floors.get(*family).is_none_or(|before| *version > before));
    let shown = |version: &Option<Version>| version.as_ref().map(Version::to_string).unwrap_or_default();
    let rose: Vec<_> = rose
        .map(|(family, version)| match old.floors.get(family) {
            Some(before) => format!("{family}{} (was {})", shown(version), shown(before)),
            None => format!("{family}{} (was not needed)", shown(version)),
        })
        .collect();
    let expected = "no newer version than the older file needs";
    if rose.is_empty() {
        return Judgement::pass("no version rose", expected);
    }
    Judgement::fail(listed(&rose), expected)
}

fn size(old: &Sighting, new: &Sighting, policy: &Policy) -> Judgement {
    let percent = policy.growth_percent;
    // In 128 bits no size overflows, however large.
    let right = u128::from(new.size) * 100 <= u128::from(old.size) * (100 + u128::from(percent));
    let observed = format!("{} bytes, was {}", new.size, old.size);
    Judgement::require(right, observed, format!("at most {percent} % more bytes"))
}

fn interpreter(old: &Sighting, new: &Sighting, _: &Policy) -> Judgement {
    let shown = |path: &Option<String>| path.clone().unwrap_or_else(|| "no interpreter".to_owned());
    Judgement::require(old.interpreter == new.interpreter, shown(&new.interpreter), shown(&old.interpreter))
}

fn soname(old: &Sighting, new: &Sighting, _: &Policy) -> Judgement {
    let Some(name) = &old.soname else {
        return Judgement::not_applicable("nobody asks for the older version by a SONAME");
    };
    let observed = new.soname.as_deref().unwrap_or("no SONAME");
    Judgement::require(observed == name, observed.to_owned(), name.clone())
}

#[cfg(test)]
mod tests {
    use artifact::{Outcome, Target};
    use inspect::facts::{Elf, Facts, GnuProperty, Language, LanguageMark, Pe};

    use super::*;
    use crate::Subject;
    use crate::testing::*;

    fn sighting(facts: &Facts, target: Target) -> Sighting {
        Sighting::of(&Subject::new("test", b"", facts), &Policy::for_target(target))
    }

    /// Which rules refuse the changed file beside the unchanged one, and what they say.
    fn refused(
        facts: fn() -> Facts,
        target: Target,
        change: impl FnOnce(&mut Facts),
    ) -> Vec<(String, String)> {
        let (old, mut changed) = (facts(), facts());
        change(&mut changed);
        let policy = Policy::for_target(target);
        let findings =
            regressions(Before::One(&sighting(&old, target)), &sighting(&changed, target), &policy);
        assert_eq!(findings.len(), RULES.len());
        let refusing = findings.into_iter().filter(Finding::refuses);
        refusing.map(|finding| (finding.rule.into_owned(), finding.observed.into_owned())).collect()
    }

    #[track_caller]
    fn elf(rule: &str, observed: &str, change: impl FnOnce(&mut Elf)) {
        let refused = refused(elf_facts, Target::Aarch64Linux, |facts| change(elf_of(facts)));
        assert!(refused.len() == 1 && refused[0].0 == rule && refused[0].1.contains(observed), "{refused:?}");
    }

    #[track_caller]
    fn pe(rule: &str, observed: &str, change: impl FnOnce(&mut Pe)) {
        let refused = refused(pe_facts, Target::X86_64Windows, |facts| change(pe_of(facts)));
        assert!(refused.len() == 1 && refused[0].0 == rule && refused[0].1.contains(observed), "{refused:?}");
    }

    #[test]
    fn the_same_file_is_no_regression() {
        assert_eq!(refused(elf_facts, Target::Aarch64Linux, |_| ()), []);
        assert_eq!(refused(pe_facts, Target::X86_64Windows, |_| ()), []);
    }

    #[test]
    fn a_lost_mitigation_is_named() {
        elf("SW-REGRESSION-HARDENING", "SW-ELF-NX-STACK", |elf| elf.segments[4].flags |= 1);
        elf("SW-REGRESSION-HARDENING", "SW-ELF-RELRO", |elf| elf.segments[5].kind = 0);
        elf("SW-REGRESSION-HARDENING", "SW-ELF-BIND-NOW", |elf| {
            (elf.dynamic[0].value, elf.dynamic[1].value) = (0, 0x0800_0000);
        });
        pe("SW-REGRESSION-HARDENING", "SW-PE-NX", |pe| pe.dll_characteristics &= !0x100);
    }

    #[test]
    fn a_mitigation_that_the_policy_does_not_ask_is_missed_all_the_same() {
        let mut policy = Policy::for_target(Target::Aarch64Linux);
        (policy.bind_now, policy.rules_off) = (false, vec!["SW-ELF-PIE".to_owned()]);
        let seen = |facts: &Facts| Sighting::of(&Subject::new("test", b"", facts), &policy);
        let (old, mut lazy) = (elf_facts(), elf_facts());
        elf_of(&mut lazy).dynamic.iter_mut().take(2).for_each(|flags| flags.value = 0);
        let findings = regressions(Before::One(&seen(&old)), &seen(&lazy), &policy);
        assert!(findings[0].outcome == Outcome::Fail, "{:?}", findings[0]);
        assert!(findings[0].observed.contains("SW-ELF-BIND-NOW, SW-ELF-PIE"), "{}", findings[0].observed);
    }

    #[test]
    fn whatever_a_policy_may_ask_is_missed_and_what_is_not_asked_of_a_file_is_not() {
        let marked = |protector: &[&str], features: &[&str]| {
            let mut facts = elf_facts();
            let marks = &mut elf_of(&mut facts).marks;
            let language = LanguageMark { language: Language::CFamily, evidence: "told".to_owned() };
            marks.languages = vec![language];
            marks.stack_protector = protector.iter().map(|name| (*name).to_owned()).collect();
            marks.properties = vec![GnuProperty {
                kind: GnuProperty::FEATURE_1_AND,
                value: Some(0),
                size: 4,
                name: "AArch64 feature".to_owned(),
                meaning: features.iter().map(|name| (*name).to_owned()).collect(),
            }];
            facts
        };
        let seen = |facts: &Facts| sighting(facts, Target::Aarch64Linux);
        let old = seen(&marked(&["__stack_chk_fail"], &["BTI", "PAC"]));
        let hardening = |new: &Facts| {
            let policy = Policy::for_target(Target::Aarch64Linux);
            regressions(Before::One(&old), &seen(new), &policy).remove(0)
        };
        let lost = hardening(&marked(&[], &["PAC"]));
        assert_eq!(lost.observed, "no more: SW-ELF-BRANCH-PROTECTION (BTI), SW-ELF-STACK-PROTECTOR");
        let mut rust = marked(&[], &["BTI", "PAC"]);
        elf_of(&mut rust).marks.languages[0].language = Language::Rust;
        assert_eq!(hardening(&rust).outcome, Outcome::Pass, "what Rust has none of");
    }

    #[test]
    fn a_rule_of_two_versions_that_is_off_asks_nothing() {
        let policy = |off: &str| Policy {
            rules_off: vec![off.to_owned()],
            ..Policy::for_target(Target::Aarch64Linux)
        };
        let (old, mut new) = (elf_facts(), elf_facts());
        elf_of(&mut new).segments[4].flags |= 1;
        let (old, new) = (sighting(&old, Target::Aarch64Linux), sighting(&new, Target::Aarch64Linux));
        let outcomes = |off: &str| {
            let findings = regressions(Before::One(&old), &new, &policy(off));
            findings.into_iter().map(|finding| finding.outcome).collect::<Vec<_>>()
        };
        let (off, other) = (outcomes("SW-REGRESSION-HARDENING"), outcomes("SW-REGRESSION-LIBRARIES"));
        assert_eq!(off[..2], [Outcome::NotApplicable, Outcome::Pass]);
        assert_eq!(other[..2], [Outcome::Fail, Outcome::NotApplicable]);
        assert_eq!(off[2..], other[2..]);
    }

    #[test]
    fn what_was_added_is_named() {
        elf("SW-REGRESSION-LIBRARIES", "libm.so.6", |elf| elf.needed.push("libm.so.6".to_owned()));
        pe("SW-REGRESSION-LIBRARIES", "ws2_32.dll", |pe| {
            let library = "WS2_32.dll".to_owned();
            let import = &pe.imports[0];
            pe.imports.push(inspect::facts::PeImport { library, ..import.clone() });
        });
        elf("SW-REGRESSION-SECTIONS", ".payload", |elf| {
            elf.sections.push(section(".payload", 1, 0, 0, 0x3030, 4));
        });
        pe("SW-REGRESSION-SECTIONS", ".UPX0", |pe| {
            pe.sections.push(pe_section(".UPX0", 0x4000, 0x4000_0040))
        });
    }

    #[test]
    fn a_floor_that_rose_is_named_with_what_it_was() {
        elf("SW-REGRESSION-FLOOR", "GLIBC_2.34 (was 2.17)", |elf| {
            elf.versions_needed[1].versions[0].name = "GLIBC_2.34".into();
        });
        elf("SW-REGRESSION-FLOOR", "GLIBC_ABI_DT_RELR (was not needed)", |elf| {
            let mut node = elf.versions_needed[1].versions[0].clone();
            node.name = "GLIBC_ABI_DT_RELR".into();
            elf.versions_needed[1].versions.push(node);
        });
        let lower = |facts: &mut Facts| {
            elf_of(facts).versions_needed[1].versions[0].name = "GLIBC_2.4".into();
        };
        assert_eq!(refused(elf_facts, Target::Aarch64Linux, lower), [], "2.4 is older than 2.17");
    }

    #[test]
    fn growth_is_allowed_up_to_the_percentage() {
        let grown = |percent: u64| {
            refused(elf_facts, Target::Aarch64Linux, |facts| facts.size = facts.size * percent / 100)
        };
        assert_eq!(grown(110), []);
        assert_eq!(grown(20), []);
        let jumped = grown(112);
        assert!(jumped.len() == 1 && jumped[0].0 == "SW-REGRESSION-SIZE", "{jumped:?}");
        let policy = Policy::for_target(Target::Aarch64Linux);
        let huge = Sighting { size: u64::MAX, ..sighting(&elf_facts(), Target::Aarch64Linux) };
        assert_eq!(size(&huge, &huge, &policy).outcome, Outcome::Pass);
    }

    #[test]
    fn removed_exports_and_another_loader_are_named() {
        let exporting = || {
            let mut facts = elf_facts();
            elf_of(&mut facts).exports = Some(["ship_start", "ship_stop"].into_iter().collect());
            facts
        };
        let removed = refused(exporting, Target::Aarch64Linux, |facts| {
            elf_of(facts).exports = Some(["ship_start"].into_iter().collect());
        });
        assert_eq!(removed, [("SW-REGRESSION-EXPORTS".to_owned(), "removed: ship_stop".to_owned())]);
        elf("SW-REGRESSION-INTERPRETER", "/lib/ld-musl", |elf| {
            elf.interpreter = Some("/lib/ld-musl-aarch64.so.1".to_owned());
        });
    }

    #[test]
    fn another_soname_is_named_and_a_first_one_is_none() {
        let named = |name: Option<&str>| {
            let mut facts = elf_facts();
            elf_of(&mut facts).soname = name.map(str::to_owned);
            sighting(&facts, Target::Aarch64Linux)
        };
        let judged = |old, new| {
            let policy = Policy::for_target(Target::Aarch64Linux);
            let judgement = soname(&named(old), &named(new), &policy);
            (judgement.outcome, judgement.observed)
        };
        let first = Some("libship.so.1");
        for (new, observed) in [(Some("libship.so.2"), "libship.so.2"), (None, "no SONAME")] {
            let (outcome, told) = judged(first, new);
            assert!(outcome == Outcome::Fail && told == observed, "{told}");
        }
        assert_eq!(judged(first, first).0, Outcome::Pass);
        assert_eq!(judged(None, first).0, Outcome::NotApplicable);
    }

    #[test]
    fn nothing_older_is_not_applicable_and_a_damaged_one_cannot_be_told() {
        let target = Target::Aarch64Linux;
        let (policy, whole) = (Policy::for_target(target), sighting(&elf_facts(), target));
        let outcomes = |old: Before<'_>, outcome| {
            regressions(old, &whole, &policy).iter().all(|finding| finding.outcome == outcome)
        };
        assert!(outcomes(Before::None, Outcome::NotApplicable));
        assert!(outcomes(Before::Several, Outcome::CannotTell));
        let damaged = Sighting { whole: false, ..whole.clone() };
        assert!(outcomes(Before::One(&damaged), Outcome::CannotTell));
    }
}
