//! What verification found: data, never an error.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Digest, Target};

/// How a rule ended for one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The file is as the policy wants it.
    Pass,
    /// The file is not as the policy wants it.
    Fail,
    /// The rule says nothing about such a file; `observed` says why.
    NotApplicable,
    /// The bytes do not tell. In a gate this counts as a failure.
    CannotTell,
}

impl Outcome {
    /// Whether a file with such a finding must not leave.
    pub fn refuses(self) -> bool {
        matches!(self, Outcome::Fail | Outcome::CannotTell)
    }
}

/// What one rule has to say about one file.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Finding {
    /// The rule's lasting ID, such as `SW-ELF-RELRO`.
    pub rule: Cow<'static, str>,
    /// How it ended.
    pub outcome: Outcome,
    /// What the file says, with offset or name where there is one.
    pub observed: Cow<'static, str>,
    /// What the policy wants.
    pub expected: Cow<'static, str>,
    /// One sentence: what goes wrong in the field otherwise. Empty where nothing refuses the file.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub why: Cow<'static, str>,
    /// What to change so that it passes. Empty where nothing refuses the file.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub fix: Cow<'static, str>,
    /// Where in the file this was seen; empty where it is about the file as a whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// Who said that it may leave all the same; only ever with an outcome that refuses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waived: Option<Box<Waiver>>,
}

/// The one rule that nobody can waive: about what cannot be read, nothing else that is said is worth anything.
pub const READABLE: &str = "SW-READABLE";

impl Finding {
    /// Whether a file with this finding must not leave: it refuses, and nobody waived that.
    pub fn refuses(&self) -> bool {
        self.outcome.refuses() && (self.waived.is_none() || self.rule == READABLE)
    }
}

/// A person's word that one rule's refusal is known and accepted for a time.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiver {
    /// The rule's ID.
    pub rule: String,
    /// Which files: the end of a path, whole components; `*` is any text in one of them, `**` any text.
    pub path: String,
    /// Which target's files; `None`: of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// Why it is accepted.
    pub reason: String,
    /// Where it is tracked.
    pub ticket: String,
    /// The last day on which it holds, as `YYYY-MM-DD`.
    pub expires: String,
}

/// A place in a file, and what is there.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Evidence {
    /// Offset in the file, in bytes.
    pub offset: u64,
    /// The bytes there, at most 64, in hexadecimal.
    pub bytes: String,
}

/// Every finding about one file's bytes.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(extend("x-source" = "Seaworthy, docs/rules.md"))]
pub struct Report {
    /// The digest of the bytes that were looked at; `None` where nobody asked for it. A gate accepts only with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Digest>,
    /// Where they were: a path, or `archive!member`.
    pub path: String,
    /// One finding a rule, in rule order.
    pub findings: Vec<Finding>,
}

impl Report {
    /// The findings that refuse the file, without those that were waived.
    pub fn refusals(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.refuses())
    }

    /// Whether the file may leave: at least one rule passed, and none refuses that nobody waived.
    pub fn passed(&self) -> bool {
        self.findings.iter().any(|finding| finding.outcome == Outcome::Pass)
            && self.refusals().next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(rule: &'static str, outcome: Outcome, waived: bool) -> Finding {
        let waiver = Waiver {
            rule: rule.to_owned(),
            path: "ship".to_owned(),
            target: None,
            reason: "known".to_owned(),
            ticket: "7".to_owned(),
            expires: "2030-01-01".to_owned(),
        };
        Finding {
            rule: rule.into(),
            outcome,
            observed: "".into(),
            expected: "".into(),
            why: "".into(),
            fix: "".into(),
            evidence: Vec::new(),
            waived: waived.then(|| Box::new(waiver)),
        }
    }

    fn report(findings: Vec<Finding>) -> Report {
        Report { subject: None, path: "ship".to_owned(), findings }
    }

    #[test]
    fn a_waived_refusal_refuses_no_more_but_an_unreadable_file_stays_refused() {
        let pass = finding("SW-CLASS", Outcome::Pass, false);
        for (rule, outcome, waived, passes) in [
            ("SW-ELF-RELRO", Outcome::Fail, false, false),
            ("SW-ELF-RELRO", Outcome::Fail, true, true),
            ("SW-ELF-PIE", Outcome::CannotTell, true, true),
            (READABLE, Outcome::CannotTell, true, false),
            (READABLE, Outcome::Fail, true, false),
        ] {
            let report = report(vec![pass.clone(), finding(rule, outcome, waived)]);
            assert_eq!(report.passed(), passes, "{rule} {outcome:?} {waived}");
        }
        assert!(!report(vec![finding("SW-ELF-RELRO", Outcome::Fail, true)]).passed(), "no rule passed");
    }
}
