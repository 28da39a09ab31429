//! What is compared of one version of a file: what loaders, others and attackers would notice of it.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use artifact::{BinaryFormat, Outcome};
use inspect::facts::{Binary, Elf, Pe};

use crate::policy::{ControlFlow, Requirement};
use crate::rules::loaded_otherwise;
use crate::version::Version;
use crate::{Policy, Subject, rules};

/// Rules about mitigations: one that held for the older version must hold for the newer one, whatever else is asked.
const MITIGATIONS: &[&str] = &[
    "SW-ELF-PIE",
    "SW-ELF-SELF-RELOCATION",
    "SW-ELF-NX-STACK",
    "SW-ELF-RELRO",
    "SW-ELF-BIND-NOW",
    "SW-ELF-TEXTREL",
    "SW-ELF-WX-SEGMENTS",
    "SW-ELF-SEPARATE-CODE",
    "SW-ELF-STACK-PROTECTOR",
    "SW-ELF-FORTIFY",
    "SW-ELF-RPATH",
    "SW-PE-DYNAMIC-BASE",
    "SW-PE-HIGH-ENTROPY",
    "SW-PE-RELOCATIONS",
    "SW-PE-NX",
    "SW-PE-SHARED-SECTIONS",
    "SW-PE-CFG",
    "SW-PE-CET",
    "SW-PE-IMAGE-BASE",
    "SW-PE-ALIGNMENT",
    "SW-PE-EXECUTABLE-IMPORTS",
    "SW-PE-SAFESEH",
    "SW-PE-STACK-PROTECTOR",
    "SW-WX-SECTIONS",
];

/// Rules about protections of which a policy may ask any: each is a mitigation of its own.
const CONTROL_FLOW: &[(&str, ControlFlow, &str)] = &[
    ("SW-ELF-CET", ControlFlow::Ibt, "SW-ELF-CET (IBT)"),
    ("SW-ELF-CET", ControlFlow::Shstk, "SW-ELF-CET (SHSTK)"),
    ("SW-ELF-BRANCH-PROTECTION", ControlFlow::Bti, "SW-ELF-BRANCH-PROTECTION (BTI)"),
    ("SW-ELF-BRANCH-PROTECTION", ControlFlow::Pac, "SW-ELF-BRANCH-PROTECTION (PAC)"),
    ("SW-ELF-BRANCH-PROTECTION", ControlFlow::Gcs, "SW-ELF-BRANCH-PROTECTION (GCS)"),
];

/// What is compared of one version of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Format, `EI_CLASS` or the optional header's, and machine.
    pub(crate) place: (BinaryFormat, u16, u16),
    pub(crate) size: u64,
    pub(crate) interpreter: Option<String>,
    /// `DT_SONAME`.
    pub(crate) soname: Option<String>,
    /// In lower case where Windows compares them so.
    pub(crate) libraries: BTreeSet<String>,
    /// The highest version by the beginning of its name (`GLIBC_`); names without a number stand for themselves.
    pub(crate) floors: BTreeMap<String, Option<Version>>,
    pub(crate) sections: BTreeSet<String>,
    pub(crate) exports: Exports,
    /// Rules about mitigations that it passes, and those that it does not.
    pub(crate) mitigations: BTreeSet<&'static str>,
    pub(crate) refused: BTreeSet<&'static str>,
    pub(crate) whole: bool,
}

/// What others bind to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Exports {
    /// ELF: `name@VERSION`, or the name where it has no version; PE: the name, or `#ORDINAL` where it has none.
    pub(crate) promised: BTreeSet<String>,
    /// What a request finds besides: a name of which a version is the default, the ordinal of what has a name.
    found: BTreeSet<String>,
    /// Whether symbols have versions: a file without any answers requests for all of them.
    versioned: bool,
}

impl Exports {
    pub(crate) fn answers(&self, request: &str) -> bool {
        let name = request.split_once('@').map_or(request, |(name, _)| name);
        self.promised.contains(request)
            || self.found.contains(request)
            || !self.versioned && self.promised.contains(name)
    }

    fn of_elf(elf: &Elf, subject: &Subject<'_>) -> Exports {
        let mut exports = Exports::default();
        // A linker writes a symbol for each version that it defines.
        let versions: HashSet<_> = elf.versions_defined.iter().map(|version| version.name.as_str()).collect();
        let is_version = |name: &str| versions.contains(name);
        match inspect::elf_linkage(subject.bytes) {
            Ok(linkage) if linkage.anomalies.is_empty() => {
                exports.versioned = linkage.versioned && !linkage.versions_defined.is_empty();
                // A definition of another library's version is a copy of that library's data.
                for export in linkage.exports.into_iter().filter(|export| export.library.is_none()) {
                    match export.version {
                        None if is_version(&export.name) => {}
                        None => drop(exports.promised.insert(export.name)),
                        Some(version) if *version == *export.name => {}
                        Some(version) => {
                            exports.promised.insert(format!("{}@{version}", export.name));
                            if !export.hidden {
                                exports.found.insert(export.name);
                            }
                        }
                    }
                }
            }
            // Of a file with more symbols than are kept with their versions the names are kept.
            _ => {
                let names = subject.exports(elf).unwrap_or_default();
                exports.promised.extend(names.iter().filter(|name| !is_version(name)).map(str::to_owned));
            }
        }
        exports
    }

    fn of_pe(pe: &Pe, subject: &Subject<'_>) -> Exports {
        // An `@` there is a part of the name, and what is behind it no version that could be left out.
        let mut exports = Exports { versioned: true, ..Exports::default() };
        exports.promised.extend(pe.exports.iter().map(str::to_owned));
        for export in inspect::pe_linkage(subject.bytes).map(|linkage| linkage.exports).unwrap_or_default() {
            let of_kind = if export.name.is_some() { &mut exports.found } else { &mut exports.promised };
            of_kind.insert(format!("#{}", export.ordinal));
        }
        exports
    }
}

impl Sighting {
    /// What is compared of `subject`, seen under `policy`.
    pub fn of(subject: &Subject<'_>, policy: &Policy) -> Sighting {
        let (mut mitigations, mut refused) = (BTreeSet::new(), BTreeSet::new());
        for (name, outcome) in judged_mitigations(subject, policy) {
            if outcome == Outcome::Pass {
                mitigations.insert(name);
            } else if outcome.refuses() {
                refused.insert(name);
            }
        }
        let (mut libraries, mut sections) = (BTreeSet::new(), BTreeSet::new());
        let (mut floors, mut interpreter, mut soname) = (BTreeMap::new(), None, None);
        let exports = match &subject.facts.binary {
            Binary::Elf(elf) => Exports::of_elf(elf, subject),
            Binary::Pe(pe) => Exports::of_pe(pe, subject),
        };
        match &subject.facts.binary {
            Binary::Elf(elf) => {
                libraries.extend(elf.needed.iter().cloned());
                libraries.extend(loaded_otherwise(elf).map(|(library, _)| library.to_owned()));
                sections.extend(elf.sections.iter().map(|section| section.name.clone()));
                interpreter.clone_from(&elf.interpreter);
                soname.clone_from(&elf.soname);
                for name in elf.versions_needed.iter().flat_map(|need| &need.versions) {
                    let (family, version) = parsed(&name.name);
                    let highest = floors.entry(family).or_insert(None);
                    *highest = (*highest).clone().max(version);
                }
            }
            Binary::Pe(pe) => {
                libraries.extend(pe.imports.iter().map(|import| import.library.to_ascii_lowercase()));
                sections.extend(pe.sections.iter().map(|section| section.name.clone()));
            }
        }
        let place = match &subject.facts.binary {
            Binary::Elf(elf) => (BinaryFormat::Elf, elf.class.into(), elf.machine),
            Binary::Pe(pe) => (BinaryFormat::Pe, pe.magic, pe.machine),
        };
        let (size, whole) = (subject.facts.size, subject.facts.anomalies.is_empty());
        Sighting {
            place,
            size,
            interpreter,
            soname,
            libraries,
            floors,
            sections,
            exports,
            mitigations,
            refused,
            whole,
        }
    }
}

impl Sighting {
    /// Whether the two files are of one format and for one machine.
    pub fn is_for_the_same_as(&self, other: &Sighting) -> bool {
        self.place == other.place
    }
}

/// How each rule about a mitigation ends where all are asked for.
fn judged_mitigations(subject: &Subject<'_>, policy: &Policy) -> Vec<(&'static str, Outcome)> {
    let asked = Policy {
        bind_now: true,
        stack_protector: true,
        fortify: true,
        separate_code: true,
        control_flow_guard: Requirement::Required,
        cet_compat: true,
        stack_cookies: true,
        high_image_base: true,
        rules_off: Vec::new(),
        ..policy.clone()
    };
    let of_rules = rules().iter().filter(|rule| MITIGATIONS.contains(&rule.id));
    let of_rules = of_rules.map(|rule| (rule.id, rule.judge(subject, &asked).outcome));
    let of_control_flow = CONTROL_FLOW.iter().filter_map(|(id, protection, name)| {
        let rule = rules().iter().find(|rule| rule.id == *id)?;
        let asked = Policy { control_flow: vec![*protection], ..asked.clone() };
        Some((*name, rule.judge(subject, &asked).outcome))
    });
    of_rules.chain(of_control_flow).collect()
}

/// The family of a version node and its number: `GLIBC_2.17` is `GLIBC_` and 2.17, `GLIBC_PRIVATE` stands alone.
fn parsed(name: &str) -> (String, Option<Version>) {
    let split = name.rsplit_once('_').and_then(|(family, text)| Some((family, Version::parse(text)?)));
    match split {
        Some((family, version)) => (format!("{family}_"), Some(version)),
        None => (name.to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use artifact::Target;
    use inspect::facts::{Facts, Language, LanguageMark};
    use xshell::{Shell, cmd};

    use super::*;
    use crate::testing::*;

    #[test]
    fn a_request_is_answered_by_its_version_a_default_one_or_a_file_without_any() {
        let exports = |promised: &[&str], found: &[&str], versioned| Exports {
            promised: promised.iter().map(|name| (*name).to_owned()).collect(),
            found: found.iter().map(|name| (*name).to_owned()).collect(),
            versioned,
        };
        let new = exports(&["foo@V2", "old@V1"], &["foo"], true);
        for (request, answered) in
            [("foo@V2", true), ("foo", true), ("foo@V1", false), ("old@V1", true), ("old", false)]
        {
            assert_eq!(new.answers(request), answered, "{request}");
        }
        assert!(exports(&["foo"], &[], false).answers("foo@V1"));
        let stdcall = |name: &str| {
            let mut facts = pe_facts();
            pe_of(&mut facts).exports = [name].into_iter().collect();
            Exports::of_pe(pe_of(&mut facts), &Subject::new("test", b"", &pe_facts()))
        };
        assert!(stdcall("_foo@4").answers("_foo@4") && !stdcall("_foo").answers("_foo@4"));
        assert!(!exports(&["foo"], &["#2"], false).answers("#1"));
        assert!(exports(&["foo"], &["#2"], false).answers("#2"));
    }

    /// What a library promises that gcc links of a function `given`, changed before it is read.
    fn linked(flags: &[&str], change: impl FnOnce(&mut Vec<u8>, &Elf)) -> Exports {
        let folder = tempfile::tempdir().unwrap();
        let [library, source, script] =
            ["library.so", "library.c", "map"].map(|name| folder.path().join(name));
        let code = "#ifdef HOSTED\nint rand(void);\n#else\n#define rand() 1\n#endif\nint given(void) { return rand(); }\n";
        fs::write(&source, code).unwrap();
        fs::write(&script, "FIRST_1.0 { global: given; local: *; };\n").unwrap();
        let shell = Shell::new().unwrap();
        shell.change_dir(folder.path());
        cmd!(shell, "gcc -shared -fPIC -o {library} {source} {flags...}")
            .quiet()
            .run()
            .expect("gcc links: apt-get install gcc libc6-dev");
        let mut bytes = fs::read(library).unwrap();
        let mut facts = inspect::inspect(&bytes).unwrap();
        change(&mut bytes, elf_of(&mut facts));
        let mut facts = inspect::inspect(&bytes).unwrap();
        let elf = elf_of(&mut facts).clone();
        Exports::of_elf(&elf, &Subject::new("library.so", &bytes, &facts))
    }

    /// Where the dynamic entry points to, which in such a library is the offset in the file.
    fn table(elf: &Elf, tag: i64) -> usize {
        elf.dynamic.iter().find(|entry| entry.tag == tag).unwrap().value as usize
    }

    #[test]
    fn a_library_promises_its_symbols_with_versions_and_not_the_versions() {
        const DT_VERSYM: i64 = 0x6fff_fff0;
        const DT_VERDEF: i64 = 0x6fff_fffc;
        let versioned = ["-Wl,--version-script=map", "-nostdlib"];
        let only = |name: &str| BTreeSet::from([name.to_owned()]);
        let exports = linked(&versioned, |_, _| ());
        assert!(exports.versioned && exports.answers("given") && !exports.answers("given@FIRST_2.0"));
        assert_eq!(exports.promised, only("given@FIRST_1.0"));

        // Some linkers give the symbol that stands for a version none itself. Of the two symbols it is the one of type absolute,
        // whichever comes first.
        for symbol in [1, 2] {
            let exports = linked(&versioned, |bytes, elf| {
                bytes[table(elf, DT_VERSYM) + 2 * symbol] = 1;
            });
            let promised = exports.promised.iter().map(String::as_str).collect::<Vec<_>>();
            assert!(promised == ["given@FIRST_1.0"] || promised == ["given"], "{promised:?}");
        }

        // Versions that cannot be read: names alone.
        let exports = linked(&versioned, |bytes, elf| bytes[table(elf, DT_VERDEF)] ^= 2);
        assert!(exports.promised.contains("given") && !exports.versioned, "{exports:?}");

        // Versions of others are none of its own, also where all symbols have an entry in the table of versions.
        let exports = linked(&["-DHOSTED"], |bytes, elf| assert!(bytes.len() > table(elf, DT_VERSYM)));
        assert!(!exports.versioned && exports.answers("given@ANY"), "{exports:?}");
        assert_eq!(exports.promised, only("given"));
    }

    #[test]
    fn files_are_of_one_kind_where_format_class_and_machine_are() {
        let seen = |facts: &Facts| {
            Sighting::of(&Subject::new("test", b"", facts), &Policy::for_target(Target::Aarch64Linux))
        };
        let (elf, mut other) = (elf_facts(), elf_facts());
        elf_of(&mut other).machine = 62;
        let elf = seen(&elf);
        assert!(elf.is_for_the_same_as(&elf));
        assert!(!elf.is_for_the_same_as(&seen(&other)));
        assert!(!elf.is_for_the_same_as(&seen(&pe_facts())));
    }

    #[test]
    fn every_mitigation_is_asked_for_whatever_the_policy_leaves_out() {
        let policy = |target| Policy {
            bind_now: false,
            stack_protector: false,
            fortify: false,
            separate_code: false,
            control_flow_guard: Requirement::Ignore,
            cet_compat: false,
            stack_cookies: false,
            high_image_base: false,
            control_flow: Vec::new(),
            ..Policy::for_target(target)
        };
        let asked = |facts: &Facts, target| {
            let judged = judged_mitigations(&Subject::new("test", b"", facts), &policy(target));
            let asked = judged.into_iter().filter(|(_, outcome)| *outcome != Outcome::NotApplicable);
            asked.map(|(name, _)| name).collect::<BTreeSet<_>>()
        };
        let mut facts = elf_facts();
        let marks = &mut elf_of(&mut facts).marks;
        marks.languages = vec![LanguageMark { language: Language::CFamily, evidence: "told".to_owned() }];
        marks.fortifiable = vec!["memcpy".to_owned()];
        let elf = asked(&facts, Target::Aarch64Linux);
        for rule in ["SW-ELF-BIND-NOW", "SW-ELF-STACK-PROTECTOR", "SW-ELF-FORTIFY", "SW-ELF-SEPARATE-CODE"] {
            assert!(elf.contains(rule), "{rule}: {elf:?}");
        }
        let pe = asked(&pe_facts(), Target::X86_64Windows);
        for rule in ["SW-PE-CFG", "SW-PE-CET", "SW-PE-STACK-PROTECTOR", "SW-PE-IMAGE-BASE"] {
            assert!(pe.contains(rule), "{rule}: {pe:?}");
        }
    }

    #[test]
    fn every_mitigation_is_a_rule() {
        for id in MITIGATIONS.iter().chain(CONTROL_FLOW.iter().map(|(id, ..)| id)) {
            assert!(rules().iter().any(|rule| rule.id == *id), "{id}");
        }
    }
}
