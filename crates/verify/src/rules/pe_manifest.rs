//! SW-PE-MANIFEST: what Windows is told about the program.

use inspect::facts::{ManifestSetting, Pe, ResourceName};

use crate::rule::{Check, Judgement, Rule, listed, listed_or_none};
use crate::{Policy, Subject};

pub(crate) const RULE: Rule = Rule {
    id: "SW-PE-MANIFEST",
    summary: "the manifest that Windows reads says what the policy asks",
    why: "Without a manifest Windows guesses: it virtualizes files, scales windows, cuts paths at 260 characters and asks for an administrator by the file name. It reads the manifest of number 1 of a program, of 2 or 3 of a DLL, and no other.",
    fix: "link a manifest that says it (`RT_MANIFEST`, number 1 in a program and 2 in a DLL), or change `policy.manifest`",
    references: &[
        "Windows, SbsCs: Application manifests",
        "Windows, SbsCs: Using side-by-side assemblies as a resource",
        "Windows, Menus and Other Resources: RT_MANIFEST",
    ],
    check: Check::Pe(check),
};

fn check(pe: &Pe, _: &Subject, policy: &Policy) -> Judgement {
    if policy.manifest.is_empty() {
        return Judgement::not_applicable("the policy asks for nothing in it");
    }
    let asked: Vec<_> = policy.manifest.iter().map(|(name, value)| format!("{name} {value}")).collect();
    let expected = format!("a manifest with {}", listed(&asked));
    let manifests = pe.resources.as_ref().map(|resources| resources.manifests.as_slice()).unwrap_or_default();
    let numbers = if pe.is_library() { [2, 3].as_slice() } else { &[1] };
    let (read, others): (Vec<_>, Vec<_>) = manifests.iter().partition(
        |manifest| matches!(manifest.name, Some(ResourceName::Number(number)) if numbers.contains(&number)),
    );
    if read.is_empty() {
        let names = others.iter().flat_map(|manifest| &manifest.name).map(ResourceName::to_string);
        let names = names.collect::<Vec<_>>();
        let told = match names.as_slice() {
            [] => "no manifest".to_owned(),
            names => format!("no manifest that Windows reads, only {}", listed(names)),
        };
        return Judgement::fail(told, expected);
    }
    let mut wrong = Vec::new();
    for (name, value) in &policy.manifest {
        // Which of several is taken depends on the system's language, so each must say it, and none anything else.
        for manifest in &read {
            let (said, unread): (Vec<_>, Vec<_>) = manifest
                .settings
                .iter()
                .filter(|setting| setting.name == *name)
                .partition(|setting| setting.is_read);
            let values = |settings: &[&ManifestSetting]| {
                settings.iter().map(|setting| setting.value.clone()).collect::<Vec<_>>()
            };
            if said.is_empty() || !said.iter().all(|said| said.value.eq_ignore_ascii_case(value)) {
                let mut told = format!("{name} {}", listed_or_none(&values(&said)));
                if !unread.is_empty() {
                    told += &format!(" (and {} where Windows does not read it)", listed(&values(&unread)));
                }
                wrong.push(told);
            }
        }
    }
    Judgement::none_wrong(&wrong, listed(&asked), expected)
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;
    use inspect::facts::{Manifest, Resources};

    use super::*;
    use crate::testing::*;

    fn manifest(number: u32, settings: Vec<ManifestSetting>) -> Manifest {
        Manifest { name: Some(ResourceName::Number(number)), text: String::new(), settings }
    }

    /// Asked for `asInvoker`.
    fn judge_manifests(characteristics: u16, manifests: Vec<Manifest>) -> Judgement {
        judge_pe(&RULE, |pe, policy| {
            pe.characteristics |= characteristics;
            pe.resources = Some(Resources { manifests, ..Resources::default() });
            policy.manifest.insert("requestedExecutionLevel".to_owned(), "asInvoker".to_owned());
        })
    }

    fn judge_settings(settings: &[(&str, &str)]) -> Judgement {
        let setting = |(name, value): &(&str, &str)| ManifestSetting {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
            is_read: true,
        };
        judge_manifests(0, vec![manifest(1, settings.iter().map(setting).collect())])
    }

    fn levels(values: &[&str]) -> Vec<ManifestSetting> {
        let level = |value: &&str| ManifestSetting {
            name: "requestedExecutionLevel".to_owned(),
            value: (*value).to_owned(),
            is_read: true,
        };
        values.iter().map(level).collect()
    }

    #[test]
    fn a_program_goes_by_number_1_and_a_library_by_2_or_3() {
        let judged = |characteristics: u16, manifests: &[(u32, &str)]| {
            let manifests = manifests.iter().map(|(number, level)| manifest(*number, levels(&[level])));
            judge_manifests(characteristics, manifests.collect())
        };
        const AS_INVOKER: &str = "requestedExecutionLevel asInvoker";
        let program = |manifests: &[(u32, &str)]| judged(0, manifests);
        let none = "no manifest that Windows reads, only 2, 24";
        assert_ends(&program(&[(2, "asInvoker"), (24, "asInvoker")]), Outcome::Fail, none);
        assert_ends(&program(&[(1, "asInvoker"), (2, "requireAdministrator")]), Outcome::Pass, AS_INVOKER);
        let wrong = program(&[(1, "requireAdministrator"), (2, "asInvoker")]);
        assert_ends(&wrong, Outcome::Fail, "requestedExecutionLevel requireAdministrator");

        let library = |manifests: &[(u32, &str)]| judged(IMAGE_FILE_DLL, manifests);
        for number in [2, 3] {
            let beside = [(1, "requireAdministrator"), (number, "asInvoker"), (4, "requireAdministrator")];
            assert_ends(&library(&beside), Outcome::Pass, AS_INVOKER);
        }
        assert_ends(&library(&[(1, "asInvoker")]), Outcome::Fail, "only 1");
    }

    #[test]
    fn all_that_a_system_may_read_must_say_it() {
        let judged = |manifests: &[&[&str]]| {
            judge_manifests(0, manifests.iter().map(|values| manifest(1, levels(values))).collect())
        };
        assert_ends(&judged(&[&["asInvoker"], &["AsInvoker"]]), Outcome::Pass, "asInvoker");
        assert_ends(
            &judged(&[&["asInvoker"], &["requireAdministrator"]]),
            Outcome::Fail,
            "requireAdministrator",
        );
        assert_ends(
            &judged(&[&["asInvoker", "requireAdministrator"]]),
            Outcome::Fail,
            "requireAdministrator",
        );
        assert_ends(&judged(&[&["asInvoker"], &[]]), Outcome::Fail, "none");
    }

    #[test]
    fn what_windows_does_not_read_says_nothing() {
        let judged = |read: &[bool]| {
            judge_pe(&RULE, |pe, policy| {
                let setting = |is_read: &bool| ManifestSetting {
                    name: "longPathAware".to_owned(),
                    value: if *is_read { "true" } else { "false" }.to_owned(),
                    is_read: *is_read,
                };
                let manifests = vec![manifest(1, read.iter().map(setting).collect())];
                pe.resources = Some(Resources { manifests, ..Resources::default() });
                policy.manifest.insert("longPathAware".to_owned(), "true".to_owned());
            })
        };
        let unread = judged(&[false]);
        assert_ends(&unread, Outcome::Fail, "longPathAware none (and false where Windows does not read it)");
        assert_ends(&judged(&[true, false]), Outcome::Pass, "longPathAware true");
    }

    #[test]
    fn each_setting_asked_for_must_have_the_value() {
        assert_ends(&judge_settings(&[("requestedExecutionLevel", "asInvoker")]), Outcome::Pass, "asInvoker");
        let other = judge_settings(&[("requestedExecutionLevel", "requireAdministrator")]);
        assert_ends(&other, Outcome::Fail, "requestedExecutionLevel requireAdministrator");
        assert_ends(&judge_settings(&[("uiAccess", "asInvoker")]), Outcome::Fail, "none");
        assert_ends(&judge_pe(&RULE, |_, _| ()), Outcome::NotApplicable, "policy");
        let missing = judge_pe(&RULE, |_, policy| {
            policy.manifest.insert("longPathAware".to_owned(), "true".to_owned());
        });
        assert_ends(&missing, Outcome::Fail, "no manifest");
    }
}
