//! SW-PE-VERSION-RESOURCE: the file says who it is.

use inspect::facts::Pe;

use crate::rule::{Check, Judgement, Rule, listed};
use crate::{Policy, Subject};

pub(crate) const RULE: Rule = Rule {
    id: "SW-PE-VERSION-RESOURCE",
    summary: "the version resource says what the policy asks",
    why: "Without a version resource Windows' file properties, inventories and crash reports cannot tell one release from another.",
    fix: "add the lines to the resource script, or take them out of `policy.version-resource`",
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

    fn judge_lines(lines: &[(&str, &str)], asked: &[&str]) -> Judgement {
        let line = |(key, value): &(&str, &str)| VersionString {
            language: "040904b0".to_owned(),
            key: (*key).to_owned(),
            value: (*value).to_owned(),
        };
        let version = VersionInfo { strings: lines.iter().map(line).collect(), ..VersionInfo::default() };
        judge_pe(&RULE, |pe, policy| {
            pe.resources = Some(Resources { version: Some(version), ..Resources::default() });
            policy.version_resource = asked.iter().map(|key| (*key).to_owned()).collect();
        })
    }

    #[test]
    fn each_line_asked_for_must_say_something() {
        let lines = [("ProductVersion", "1.2.3"), ("CompanyName", " ")];
        assert_ends(&judge_lines(&lines, &["ProductVersion"]), Outcome::Pass, "ProductVersion: 1.2.3");
        assert_ends(&judge_lines(&lines, &["CompanyName"]), Outcome::Fail, "no `CompanyName`");
        assert_ends(&judge_lines(&lines, &["FileVersion"]), Outcome::Fail, "no `FileVersion`");
        assert_ends(&judge_lines(&[], &[]), Outcome::NotApplicable, "policy");
        let none = judge_pe(&RULE, |_, policy| policy.version_resource.push("FileVersion".to_owned()));
        assert_ends(&none, Outcome::Fail, "no version resource");
    }
}
