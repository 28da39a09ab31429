//! The gate: one finding for every rule about a file; what the bytes do not tell refuses the file.
//!
//! [`verify`] asks every rule of [`rules()`] about one [`Subject`] under a [`Policy`]. Rules live one a file under
//! `rules/`, each with its lasting ID; policies are data, with a commented default in `default-policy.toml`.

mod authenticode;

mod error;

mod page;
mod pe_kind;
mod policy;
mod regression;
mod rule;
mod rules;
mod start_code;
mod symbol_floor;
mod sysroot;
#[cfg(test)]
mod testing;
mod version;
mod waivers;

use artifact::Report;
use inspect::facts::Facts;

pub use artifact::Date;
pub use error::{Error, ErrorKind};
pub use page::{OUTCOMES, all_rules, known_rule, rules_page};
pub use policy::{
    ApparentKind, ControlFlow, DEFAULT_POLICY, Kind, KindPolicy, PRESETS, Policy, PolicyFile,
    PolicyOverrides, Preset, Requirement, Secret, SubsystemPolicy, sound,
};
pub use regression::{Sighting, regression_rules, regressions};
pub use rule::Rule;
pub use sysroot::SysrootPolicy;
pub use waivers::{Unused, Waivers};

/// One file, as bytes and as what was read from them.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Where it is: a path, or `archive!member`.
    pub path: &'a str,
    /// All its bytes.
    pub bytes: &'a [u8],
    /// What `inspect` read from exactly these bytes.
    pub facts: &'a Facts,
}

/// Asks every rule about `subject`: one finding a rule, in rule order.
///
/// The report names no digest: hashing costs more than all rules. Who needs one, to `accept` a program, sets it.
pub fn verify(subject: &Subject<'_>, policy: &Policy) -> Report {
    let findings = rules().iter().map(|rule| rule.finding(subject, policy)).collect();
    Report { subject: None, path: subject.path.to_owned(), findings }
}

/// Every rule, in the order of a report.
pub fn rules() -> &'static [Rule] {
    rules::ALL
}
