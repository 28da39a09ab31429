//! SW-PE-VERSION-RESOURCE: the file says who it is.

use inspect::facts::{Pe, ResourceName};

use crate::rule::{Check, Judgement, Rule, listed};
use crate::{Policy, Subject};

pub(crate) const RULE: Rule = Rule {
    id: "SW-PE-VERSION-RESOURCE",
    summary: "the version resource says what the policy asks",
    why: "Without a version resource Windows' file properties, inventories and crash reports cannot tell one release from another. They look for number 1 alone.",
    fix: "add the lines to the resource script (`1 VERSIONINFO`), or take them out of `policy.version-resource`",
    references: &[
        "Windows, Menus and Other Resources: VERSIONINFO resource",
        "Windows, Menus and Other Resources: StringFileInfo structure",
    ],
    check: Check::Pe(check),
};

fn check(pe: &Pe, _: &Subject, policy: &Policy) -> Judgement {
    if policy.version_resource.is_empty() {
        return Judgement::not_applicable("the policy asks for no line of it");
    }
    let expected = format!("a version resource with {}", listed(&policy.version_resource));
    let Some(version) = pe.resources.as_ref().and_then(|resources| resources.version.as_ref()) else {
        return Judgement::fail("no version resource", expected);
    };
    if version.name != Some(ResourceName::Number(1)) {
        let name = version.name.as_ref().map_or("one without a name".to_owned(), ResourceName::to_string);
        return Judgement::fail(format!("no version resource of number 1, only {name}"), expected);
    }
    let said =
        |key: &str| version.strings.iter().any(|line| line.key == key && !line.value.trim().is_empty());
    let wrong = policy.version_resource.iter().filter(|key| !said(key)).map(|key| format!("no `{key}`"));
    let fine: Vec<_> = version.strings.iter().map(|line| format!("{}: {}", line.key, line.value)).collect();
    Judgement::none_wrong(&wrong.collect::<Vec<_>>(), listed(&fine), expected)
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;
    use inspect::facts::{Resources, VersionInfo, VersionString};

    use super::*;
    use crate::testing::*;

    fn judge_named(name: Option<ResourceName>, lines: &[(&str, &str)], asked: &[&str]) -> Judgement {
        let line = |(key, value): &(&str, &str)| VersionString {
            language: "040904b0".to_owned(),
            key: (*key).to_owned(),
            value: (*value).to_owned(),
        };
        let strings = lines.iter().map(line).collect();
        let version = VersionInfo { name, strings, ..VersionInfo::default() };
        judge_pe(&RULE, |pe, policy| {
            pe.resources = Some(Resources { version: Some(version), ..Resources::default() });
            policy.version_resource = asked.iter().map(|key| (*key).to_owned()).collect();
        })
    }

    #[test]
    fn each_line_asked_for_must_say_something() {
        let judge_lines = |lines: &[_], asked: &[_]| judge_named(Some(ResourceName::Number(1)), lines, asked);
        let lines = [("ProductVersion", "1.2.3"), ("CompanyName", " ")];
        assert_ends(&judge_lines(&lines, &["ProductVersion"]), Outcome::Pass, "ProductVersion: 1.2.3");
        assert_ends(&judge_lines(&lines, &["CompanyName"]), Outcome::Fail, "no `CompanyName`");
        assert_ends(&judge_lines(&lines, &["FileVersion"]), Outcome::Fail, "no `FileVersion`");
        assert_ends(&judge_lines(&[], &[]), Outcome::NotApplicable, "policy");
        let none = judge_pe(&RULE, |_, policy| policy.version_resource.push("FileVersion".to_owned()));
        assert_ends(&none, Outcome::Fail, "no version resource");
    }

    #[test]
    fn windows_looks_for_number_1_alone() {
        let judged = |name| judge_named(name, &[("ProductVersion", "1.2.3")], &["ProductVersion"]);
        let told = "no version resource of number 1, only ";
        assert_ends(&judged(Some(ResourceName::Number(102))), Outcome::Fail, &format!("{told}102"));
        let text = ResourceName::Text("VS_VERSION_INFO".into());
        assert_ends(&judged(Some(text)), Outcome::Fail, &format!("{told}VS_VERSION_INFO"));
        assert_ends(&judged(None), Outcome::Fail, &format!("{told}one without a name"));
    }
}
