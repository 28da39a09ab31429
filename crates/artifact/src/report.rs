//! What verification found: data, never an error.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::Digest;

/// How a rule ended for one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
}

/// A place in a file, and what is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Offset in the file, in bytes.
    pub offset: u64,
    /// The bytes there, at most 64, in hexadecimal.
    pub bytes: String,
}

/// Every finding about one file's bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The findings that refuse the file.
    pub fn refusals(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.outcome.refuses())
    }

    /// Whether the file may leave: at least one rule looked and none refused.
    pub fn passed(&self) -> bool {
        self.findings.iter().any(|finding| finding.outcome == Outcome::Pass)
            && self.refusals().next().is_none()
    }
}
