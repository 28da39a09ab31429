//! The gate: one finding for every rule about a file; what the bytes do not tell refuses the file.
//!
//! [`verify`] asks every rule of [`rules()`] about one [`Subject`] under a [`Policy`]. Rules live one a file under
//! `rules/`, each with its lasting ID; policies are data, with a commented default in `default-policy.toml`.

mod authenticode;
mod code_table;

mod error;

mod page;
mod pe_kind;
mod policy;
mod regression;
mod rule;
mod rules;
mod search;
mod sighting;
mod start_code;
mod symbol_floor;
mod sysroot;
#[cfg(test)]
mod testing;
mod version;
mod waivers;

use std::borrow::Cow;
use std::fmt;
use std::io;

use artifact::{Pieces, Report};
use inspect::facts::{Elf, Facts, Names};

pub use artifact::Date;
pub use error::{Error, ErrorKind};
pub use page::{OUTCOMES, all_rules, known_rule, rules_page};
pub use policy::{
    ApparentKind, ControlFlow, DEFAULT_POLICY, Kind, KindPolicy, PRESETS, Policy, PolicyFile,
    PolicyOverrides, Preset, Requirement, Secret, SubsystemPolicy, sound,
};
pub use regression::{Before, regression_rules, regressions};
pub use rule::Rule;
pub use sighting::Sighting;
pub use sysroot::SysrootPolicy;
pub use waivers::{Unused, Waivers};

/// One file, as bytes and as what was read from them.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// Where it is: a path, or `archive!member`.
    pub path: &'a str,
    /// All its bytes.
    pub bytes: &'a [u8],
    /// What `inspect` read from exactly these bytes.
    pub facts: &'a Facts,
    /// The same bytes, for rules that go through all of them; `None`: they are in memory anyway.
    pub pieces: Option<&'a dyn Pieces>,
}

impl<'a> Subject<'a> {
    /// The file at `path`, whose bytes are in memory.
    pub fn new(path: &'a str, bytes: &'a [u8], facts: &'a Facts) -> Subject<'a> {
        Subject { path, bytes, facts, pieces: None }
    }

    /// The same file, whose bytes can be gone through without keeping them.
    #[must_use]
    pub fn in_pieces(self, pieces: &'a dyn Pieces) -> Subject<'a> {
        Subject { pieces: Some(pieces), ..self }
    }

    /// The names that `elf`, which is this file, exports: read now where they were left out.
    pub(crate) fn exports<'e>(&self, elf: &'e Elf) -> Option<Cow<'e, Names>> {
        elf.exports.as_ref().map(Cow::Borrowed).or_else(|| inspect::elf_exports(self.bytes).map(Cow::Owned))
    }

    /// All bytes of the file, as [`Pieces`] gives them; in one piece where they are in memory anyway.
    pub(crate) fn each_piece(&self, overlap: usize, take: &mut dyn FnMut(usize, &[u8])) -> io::Result<()> {
        match self.pieces {
            Some(pieces) => pieces.each_piece(overlap, take),
            None => {
                take(0, self.bytes);
                Ok(())
            }
        }
    }
}

impl fmt::Debug for Subject<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Subject").field("path", &self.path).finish_non_exhaustive()
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_shows_its_path_in_debug_output_and_not_its_bytes() {
        let facts = testing::elf_facts();
        let shown = format!("{:?}", Subject::new("lib.a!one.o", b"bytes", &facts));
        assert!(shown.contains("lib.a!one.o") && !shown.contains("bytes"), "{shown}");
    }
}
