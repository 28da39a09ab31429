//! What a file lost or gained beside its older version: rules about two files, whatever the policy allows each alone.

use std::collections::{BTreeMap, BTreeSet};

use artifact::{Finding, Outcome, Report};
use inspect::facts::{Binary, Facts};

use crate::Policy;
use crate::rule::{Check, Judgement, Rule, listed};
use crate::version::Version;

/// A file that was looked at: what it says, and what the rules said.
#[derive(Clone, Copy, Debug)]
pub struct Sighting<'a> {
    /// What `inspect` read from it.
    pub facts: &'a Facts,
    /// Its report, under the same policy as the other's.
    pub report: &'a Report,
}

/// One finding for each of [`regression_rules()`] about `new` beside `old`.
pub fn regressions(old: &Sighting<'_>, new: &Sighting<'_>, policy: &Policy) -> Vec<Finding> {
    let judged = RULES.iter().map(|rule| match rule.check {
        Check::Against(check) => rule.found(check(old, new, policy)),
        _ => rule.found(Judgement::cannot_tell("not a rule about two files", "")),
    });
    judged.collect()
}

/// The rules about a file beside its older version.
pub fn regression_rules() -> &'static [Rule] {
    RULES
}

const REFERENCE: &[&str] = &[
    "rpminspect, inspections elf, runpath and abidiff: a change between two builds is a finding of its own",
];

const RULES: &[Rule] = &[
    Rule {
        id: "SW-REGRESSION-MITIGATION",
        summary: "every mitigation of the older version is still there",
        why: "A mitigation that was there is relied upon, and nobody notices when a new compiler or flag takes it away.",
        fix: "the finding of the rule that is named says what to do",
        references: REFERENCE,
        check: Check::Against(mitigation),
    },
    Rule {
        id: "SW-REGRESSION-LIBRARY",
        summary: "no library is needed that was not needed before",
        why: "Devices that ran the older version may not have the new library, and then do not start the program.",
        fix: "link it statically, or make sure that every device has it before the update",
        references: REFERENCE,
        check: Check::Against(library),
    },
    Rule {
        id: "SW-REGRESSION-FLOOR",
        summary: "no newer version of a library is needed",
        why: "A build machine that was updated raises the floor unseen, and older devices refuse the program.",
        fix: "build in the image of the older version, or say goodbye to those devices in the release notes",
        references: REFERENCE,
        check: Check::Against(floor),
    },
    Rule {
        id: "SW-REGRESSION-SECTION",
        summary: "no section appeared",
        why: "A new section is new content: debug data that was stripped before, a packer, or another linker.",
        fix: "find what writes it; `finish.drop-sections` drops what nobody needs",
        references: REFERENCE,
        check: Check::Against(section),
    },
    Rule {
        id: "SW-REGRESSION-SIZE",
        summary: "the file is hardly larger",
        why: "Updates over slow links and small flash are planned by the size of the last one.",
        fix: "find what grew (`cargo bloat`), or raise `policy.growth-percent`",
        references: REFERENCE,
        check: Check::Against(size),
    },
    Rule {
        id: "SW-REGRESSION-EXPORT",
        summary: "everything exported before still is",
        why: "Programs linked with the older version do not start without a symbol they were linked with.",
        fix: "keep the symbol, or give the library a new name (DT_SONAME)",
        references: REFERENCE,
        check: Check::Against(export),
    },
    Rule {
        id: "SW-REGRESSION-LOADER",
        summary: "the same loader or subsystem starts it",
        why: "With another loader a device says `not found`; with another subsystem a window opens or output is lost.",
        fix: "check the target and `finish.subsystem`",
        references: REFERENCE,
        check: Check::Against(loader),
    },
];

/// Rules that are about mitigations.
const MITIGATIONS: &[&str] = &[
    "SW-ELF-PIE",
    "SW-ELF-SELF-RELOCATION",
    "SW-ELF-NX-STACK",
    "SW-ELF-RELRO",
    "SW-ELF-BIND-NOW",
    "SW-ELF-TEXTREL",
    "SW-ELF-WX-SEGMENTS",
    "SW-ELF-CET",
    "SW-ELF-BRANCH-PROTECTION",
    "SW-ELF-STACK-PROTECTOR",
    "SW-ELF-FORTIFY",
    "SW-ELF-SEPARATE-CODE",
    "SW-WX-SECTIONS",
    "SW-PE-DYNAMIC-BASE",
    "SW-PE-HIGH-ENTROPY",
    "SW-PE-RELOCATIONS",
    "SW-PE-NX",
    "SW-PE-SHARED-SECTIONS",
    "SW-PE-CFG",
    "SW-PE-CET",
    "SW-PE-STACK-PROTECTOR",
];

fn mitigation(old: &Sighting<'_>, new: &Sighting<'_>, _: &Policy) -> Judgement {
    let passed = |report: &Report| -> BTreeSet<String> {
        let findings = report.findings.iter().filter(|finding| finding.outcome == Outcome::Pass);
        let rules = findings.map(|finding| finding.rule.to_string());
        rules.filter(|rule| MITIGATIONS.contains(&rule.as_str())).collect()
    };
    let (before, after) = (passed(old.report), passed(new.report));
    let lost: Vec<_> = before.difference(&after).map(|rule| format!("no more: {rule}")).collect();
    Judgement::none_wrong(&lost, format!("{} before, {} now", before.len(), after.len()), "none lost")
}

fn library(old: &Sighting<'_>, new: &Sighting<'_>, _: &Policy) -> Judgement {
    gained(&libraries(old.facts), &libraries(new.facts), "no new library")
}

fn libraries(facts: &Facts) -> BTreeSet<String> {
    match &facts.binary {
        Binary::Elf(elf) => elf.needed.iter().cloned().collect(),
        Binary::Pe(pe) => pe.imports.iter().map(|import| import.library.to_ascii_lowercase()).collect(),
    }
}

fn floor(old: &Sighting<'_>, new: &Sighting<'_>, _: &Policy) -> Judgement {
    let (before, after) = (floors(old.facts), floors(new.facts));
    let risen = after.iter().filter_map(|(family, version)| match before.get(family) {
        Some(known) if version > known => Some(format!("{family}_{version}, was {family}_{known}")),
        _ => None,
    });
    let risen: Vec<_> = risen.collect();
    let now: Vec<_> = after.iter().map(|(family, version)| format!("{family}_{version}")).collect();
    Judgement::none_wrong(&risen, crate::rule::listed_or_none(&now), "nothing newer than before")
}

/// The newest version of each family, such as `GLIBC`: what stands before the last underscore.
fn floors(facts: &Facts) -> BTreeMap<String, Version> {
    let mut newest: BTreeMap<String, Version> = BTreeMap::new();
    let Binary::Elf(elf) = &facts.binary else { return newest };
    for version in elf.versions_needed.iter().flat_map(|need| &need.versions) {
        let Some((family, number)) = version.name.rsplit_once('_') else { continue };
        let Some(number) = Version::parse(number) else { continue };
        match newest.get_mut(family) {
            Some(known) if *known >= number => {}
            Some(known) => *known = number,
            None => drop(newest.insert(family.to_owned(), number)),
        }
    }
    newest
}

fn section(old: &Sighting<'_>, new: &Sighting<'_>, _: &Policy) -> Judgement {
    gained(&sections(old.facts), &sections(new.facts), "no new section")
}

fn sections(facts: &Facts) -> BTreeSet<String> {
    match &facts.binary {
        Binary::Elf(elf) => elf.sections.iter().map(|section| section.name.clone()).collect(),
        Binary::Pe(pe) => pe.sections.iter().map(|section| section.name.clone()).collect(),
    }
}

fn gained(before: &BTreeSet<String>, after: &BTreeSet<String>, expected: &'static str) -> Judgement {
    let new: Vec<_> = after.difference(before).map(|name| format!("new: {name}")).collect();
    Judgement::none_wrong(&new, format!("{} before, {} now", before.len(), after.len()), expected)
}

fn size(old: &Sighting<'_>, new: &Sighting<'_>, policy: &Policy) -> Judgement {
    let (before, after) = (old.facts.size, new.facts.size);
    let most = u128::from(before) * (100 + u128::from(policy.growth_percent)) / 100;
    let observed = format!("{before} -> {after} bytes");
    Judgement::require(u128::from(after) <= most, observed, format!("at most {most} bytes"))
}

fn export(old: &Sighting<'_>, new: &Sighting<'_>, _: &Policy) -> Judgement {
    let exports = |facts: &Facts| -> BTreeSet<String> {
        match &facts.binary {
            Binary::Elf(elf) => elf.exports.iter().map(str::to_owned).collect(),
            Binary::Pe(pe) => pe.exports.iter().map(ToString::to_string).collect(),
        }
    };
    let (before, after) = (exports(old.facts), exports(new.facts));
    let gone: Vec<_> = before.difference(&after).map(|name| format!("gone: {name}")).collect();
    Judgement::none_wrong(&gone, format!("all {}", before.len()), "every one of before")
}

fn loader(old: &Sighting<'_>, new: &Sighting<'_>, _: &Policy) -> Judgement {
    let told = |facts: &Facts| match &facts.binary {
        Binary::Elf(elf) => elf.interpreter.clone().unwrap_or_else(|| "no loader".to_owned()),
        Binary::Pe(pe) => format!("subsystem {}", pe.subsystem),
    };
    let (before, after) = (told(old.facts), told(new.facts));
    let right = before == after;
    let observed = if right { after } else { listed(&[format!("{after}, was {before}")]) };
    Judgement::require(right, observed, "as before")
}

#[cfg(test)]
mod tests {
    use artifact::Target;

    use super::*;
    use crate::testing::{elf_facts, elf_of, pe_facts, pe_of, section as elf_section};
    use crate::{Subject, rules, verify};

    /// The rules that refuse what became of `old` by `change`.
    fn refused(old: Facts, change: impl FnOnce(&mut Facts)) -> Vec<String> {
        let target =
            if matches!(old.binary, Binary::Elf(_)) { Target::Aarch64Linux } else { Target::X86_64Windows };
        let policy = Policy::for_target(target);
        let mut new = old.clone();
        change(&mut new);
        let report = |facts: &Facts| verify(&Subject { path: "ship", bytes: &[], facts }, &policy);
        let (before, after) = (report(&old), report(&new));
        let old = Sighting { facts: &old, report: &before };
        let findings = regressions(&old, &Sighting { facts: &new, report: &after }, &policy);
        assert_eq!(findings.len(), regression_rules().len());
        let refusals = findings.iter().filter(|finding| finding.outcome.refuses());
        refusals.map(|finding| format!("{} {}", finding.rule, finding.observed)).collect()
    }

    #[track_caller]
    fn only(refused: &[String], text: &str) {
        assert!(refused.len() == 1 && refused[0].starts_with(text), "{refused:?}");
    }

    #[test]
    fn the_same_file_has_lost_nothing() {
        assert_eq!(refused(elf_facts(), |_| ()), [""; 0]);
        assert_eq!(refused(pe_facts(), |_| ()), [""; 0]);
    }

    #[test]
    fn each_loss_of_an_elf_file_is_said_by_its_rule_alone() {
        let no_relro = refused(elf_facts(), |facts| elf_of(facts).segments[5].kind = 0);
        only(&no_relro, "SW-REGRESSION-MITIGATION no more: SW-ELF-RELRO");
        let library = refused(elf_facts(), |facts| elf_of(facts).needed.push("libz.so.1".to_owned()));
        only(&library, "SW-REGRESSION-LIBRARY new: libz.so.1");
        let floor = refused(elf_facts(), |facts| {
            elf_of(facts).versions_needed[1].versions[0].name = "GLIBC_2.30".to_owned();
        });
        only(&floor, "SW-REGRESSION-FLOOR GLIBC_2.30, was GLIBC_2.17");
        let lower = refused(elf_facts(), |facts| {
            elf_of(facts).versions_needed[1].versions[0].name = "GLIBC_2.4".to_owned();
        });
        assert_eq!(lower, [""; 0], "2.4 is older than 2.17");
        let section = refused(elf_facts(), |facts| {
            elf_of(facts).sections.push(elf_section(".debug_x", 1, 0, 0, 0x3040, 8));
        });
        only(&section, "SW-REGRESSION-SECTION new: .debug_x");
        let mut large = elf_facts();
        large.size = 1000;
        assert_eq!(refused(large.clone(), |facts| facts.size = 1100), [""; 0]);
        only(&refused(large, |facts| facts.size = 1101), "SW-REGRESSION-SIZE 1000 -> 1101 bytes");
        let loader =
            refused(elf_facts(), |facts| elf_of(facts).interpreter = Some("/lib/ld-musl.so.1".to_owned()));
        only(&loader, "SW-REGRESSION-LOADER /lib/ld-musl.so.1, was /lib/ld-linux-aarch64.so.1");
    }

    #[test]
    fn each_loss_of_a_pe_file_is_said_by_its_rule_alone() {
        let no_nx = refused(pe_facts(), |facts| pe_of(facts).dll_characteristics &= !0x100);
        only(&no_nx, "SW-REGRESSION-MITIGATION no more: SW-PE-NX");
        let library = refused(pe_facts(), |facts| {
            let mut import = pe_of(facts).imports[0].clone();
            import.library = "evil.dll".to_owned();
            pe_of(facts).imports.push(import);
        });
        only(&library, "SW-REGRESSION-LIBRARY new: evil.dll");
        only(&refused(pe_facts(), |facts| pe_of(facts).subsystem = 2), "SW-REGRESSION-LOADER subsystem 2");
    }

    #[test]
    fn a_symbol_that_is_gone_is_named() {
        let mut old = elf_facts();
        elf_of(&mut old).exports = ["kept", "gone"].into_iter().collect();
        let refused = refused(old, |facts| elf_of(facts).exports = std::iter::once("kept").collect());
        only(&refused, "SW-REGRESSION-EXPORT gone: gone");
    }

    #[test]
    fn every_mitigation_is_a_rule() {
        for id in MITIGATIONS {
            assert!(rules().iter().any(|rule| rule.id == *id), "{id}");
        }
    }
}
