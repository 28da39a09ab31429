//! What is accepted: a threshold, and waivers that a person signs for a time. The words are those of `release.toml`.

use artifact::{Date, matching};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind};

/// Below this part of known facts two places are not compared.
const COVERAGE: f64 = 0.9;

/// How much two places may differ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DriftPolicy {
    /// A drift rate above this is refused; 0 to 100.
    pub threshold: f64,
    /// The part of facts that must be known on both sides, by weight; 0 to 1.
    pub coverage: f64,
    /// Differences that are accepted.
    pub waiver: Vec<DriftWaiver>,
}

/// One difference, or several by their keys' beginning, that a person accepts for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DriftWaiver {
    /// `class/key`, or its beginning with `*` behind it: `inventory/tzdata`, `config//etc/motd*`.
    pub key: String,
    /// Why it is accepted.
    pub reason: String,
    /// Where it is tracked.
    pub ticket: String,
    /// The last day on which it holds, as `YYYY-MM-DD`.
    pub expires: String,
}

impl Default for DriftPolicy {
    fn default() -> DriftPolicy {
        DriftPolicy { threshold: 0.0, coverage: COVERAGE, waiver: Vec::new() }
    }
}

impl DriftPolicy {
    /// Reads a policy's TOML text; `name` is its file, `today` the day on which waivers must hold.
    ///
    /// # Errors
    /// [`ErrorKind::BadPolicy`] for unknown keys, numbers out of range, and waivers that cannot be meant.
    pub fn parse(name: &str, text: &str, today: Date) -> Result<DriftPolicy, Error> {
        let bad = |what: String, hint: &str| {
            Error::new(ErrorKind::BadPolicy, format!("{name}: {what}")).with_hint(hint.to_owned())
        };
        let policy: DriftPolicy = toml::from_str(text).map_err(|error| {
            bad(error.message().to_owned(), "see docs/drift.md for the keys").with_source(error)
        })?;
        if !(0.0..=100.0).contains(&policy.threshold) || !(0.0..=1.0).contains(&policy.coverage) {
            let what =
                format!("threshold {} or coverage {} is out of range", policy.threshold, policy.coverage);
            return Err(bad(what, "a threshold is 0 to 100, a coverage 0 to 1"));
        }
        for (index, waiver) in policy.waiver.iter().enumerate() {
            let of = format!("the waiver of `{}` ({})", waiver.key, waiver.ticket);
            let empty = [("key", &waiver.key), ("reason", &waiver.reason), ("ticket", &waiver.ticket)];
            if let Some((field, _)) = empty.iter().find(|(_, value)| value.trim().is_empty()) {
                return Err(bad(
                    format!("{of} has an empty `{field}`"),
                    "say what, why, and where that is tracked",
                ));
            }
            if policy.waiver[..index].iter().any(|other| other.key == waiver.key) {
                return Err(bad(format!("{of} is there twice"), "keep the one that is meant"));
            }
            let Some(last) = Date::parse(&waiver.expires) else {
                return Err(bad(
                    format!("{of} expires on `{}`, which is no day", waiver.expires),
                    "write YYYY-MM-DD",
                ));
            };
            if today > last {
                return Err(bad(
                    format!("{of} expired on {last}; today is {today}"),
                    "mend it, or decide again",
                ));
            }
        }
        Ok(policy)
    }

    /// The waiver of a difference, by its index.
    pub(crate) fn waiver_of(&self, key: &str) -> Option<usize> {
        self.waiver.iter().position(|waiver| matching::matches(&waiver.key, key))
    }
}
