//! SW-PE-MANIFEST: what Windows is told about the program.

use inspect::facts::{ManifestSetting, Pe};

use crate::rule::{Check, Judgement, Rule, listed, listed_or_none};
use crate::{Policy, Subject};

pub(crate) const RULE: Rule = Rule {
    id: "SW-PE-MANIFEST",
    summary: "the manifest says what the policy asks",
    why: "Without a manifest Windows guesses: it virtualizes files, scales windows, cuts paths at 260 characters and asks for an administrator by the file name.",
    fix: "link a manifest that says it (`RT_MANIFEST`, number 1), or change `policy.manifest`",
    references: &["Windows, SbsCs: Application manifests", "Windows, Menus and Other Resources: RT_MANIFEST"],
    check: Check::Pe(check),
};

fn check(pe: &Pe, _: &Subject, policy: &Policy) -> Judgement {
    if policy.manifest.is_empty() {
        return Judgement::not_applicable("the policy asks for nothing in it");
    }
    let asked: Vec<_> = policy.manifest.iter().map(|(name, value)| format!("{name} {value}")).collect();
    let expected = format!("a manifest with {}", listed(&asked));
    let manifests = pe.resources.as_ref().map(|resources| resources.manifests.as_slice()).unwrap_or_default();
    if manifests.is_empty() {
        return Judgement::fail("no manifest", expected);
    }
    let mut wrong = Vec::new();
    for (name, value) in &policy.manifest {
        // Which of several is taken depends on the system's language, so each must say it, and none anything else.
        for manifest in manifests {
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
    use inspect::facts::{Manifest, ManifestSetting, Resources};

    use super::*;
    use crate::testing::*;

    fn judge_settings(settings: &[(&str, &str)]) -> Judgement {
        let setting = |(name, value): &(&str, &str)| ManifestSetting {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
            is_read: true,
        };
        let settings = settings.iter().map(setting).collect();
        judge_pe(&RULE, |pe, policy| {
            let manifests = vec![Manifest { text: String::new(), settings }];
            pe.resources = Some(Resources { manifests, ..Resources::default() });
            policy.manifest.insert("requestedExecutionLevel".to_owned(), "asInvoker".to_owned());
        })
    }

    #[test]
    fn all_that_a_system_may_read_must_say_it() {
        let level = |value: &str| ManifestSetting {
            name: "requestedExecutionLevel".to_owned(),
            value: value.to_owned(),
            is_read: true,
        };
        let judged = |manifests: &[&[&str]]| {
            let manifest = |values: &&[&str]| Manifest {
                text: String::new(),
                settings: values.iter().map(|value| level(value)).collect(),
            };
            judge_pe(&RULE, |pe, policy| {
                let manifests = manifests.iter().map(manifest).collect();
                pe.resources = Some(Resources { manifests, ..Resources::default() });
                policy.manifest.insert("requestedExecutionLevel".to_owned(), "asInvoker".to_owned());
            })
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
                let manifests =
                    vec![Manifest { text: String::new(), settings: read.iter().map(setting).collect() }];
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
