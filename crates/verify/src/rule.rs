//! What a rule is, and what it says about one file.

use std::borrow::Cow;
use std::fmt::{self, Write};

use artifact::{BinaryFormat, Evidence, Finding, Outcome};
use inspect::facts::{Binary, Elf, Pe};

use crate::sighting::Sighting;
use crate::{Policy, Subject};

/// One rule: asked of every file, answered by one finding.
#[derive(Clone, Copy)]
pub struct Rule {
    /// Its lasting ID, such as `SW-ELF-RELRO`. Never used again for anything else.
    pub id: &'static str,
    /// What is true of a file that passes, in a few words.
    pub summary: &'static str,
    /// One sentence: what goes wrong in the field otherwise.
    pub why: &'static str,
    /// What to change so that a file passes.
    pub fix: &'static str,
    /// Where it is written that this matters: a section of a format's specification, the loader's source, a CWE.
    pub references: &'static [&'static str],
    pub(crate) check: Check,
}

/// What a rule looks at.
#[derive(Clone, Copy)]
pub(crate) enum Check {
    /// Any file, also one of a format the policy does not want.
    Always(fn(&Subject, &Policy) -> Judgement),
    /// A file of the policy's format, whichever it is.
    Either(fn(&Subject, &Policy) -> Judgement),
    /// What the header of an ELF file says, where the policy wants one.
    ElfHeader(fn(&Elf, &Subject, &Policy) -> Judgement),
    /// An ELF file that a system can load, where the policy wants one: an object file has yet to be linked.
    Elf(fn(&Elf, &Subject, &Policy) -> Judgement),
    /// A PE file, where the policy wants one.
    Pe(fn(&Pe, &Subject, &Policy) -> Judgement),
    /// A file beside its older version, which comes first.
    Against(fn(&Sighting, &Sighting, &Policy) -> Judgement),
}

impl Rule {
    /// The format the rule is about; `None`: both.
    pub fn format(&self) -> Option<BinaryFormat> {
        match self.check {
            Check::Always(_) | Check::Either(_) | Check::Against(_) => None,
            Check::ElfHeader(_) | Check::Elf(_) => Some(BinaryFormat::Elf),
            Check::Pe(_) => Some(BinaryFormat::Pe),
        }
    }

    /// Which files the rule looks at, for people.
    pub fn looks_at(&self) -> &'static str {
        match self.check {
            Check::Always(_) => "every file",
            Check::Either(_) => "every file of the policy's format",
            Check::ElfHeader(_) => "ELF files, where the policy wants ELF",
            Check::Elf(_) => "ELF files that can be loaded, where the policy wants ELF",
            Check::Pe(_) => "PE files, where the policy wants PE",
            Check::Against(_) => "a file beside its older version (`--against`)",
        }
    }

    pub(crate) fn finding(&self, subject: &Subject, policy: &Policy) -> Finding {
        self.found(self.judge(subject, policy))
    }

    /// The finding that a judgement of this rule is.
    pub(crate) fn found(&self, judgement: Judgement) -> Finding {
        let Judgement { outcome, observed, expected, evidence } = judgement;
        // Most findings are passes by the thousand: what nobody has to act on need not be said with each.
        let (why, fix) = if outcome.refuses() { (self.why, self.fix) } else { ("", "") };
        let (rule, why, fix) = (self.id.into(), why.into(), fix.into());
        Finding { rule, outcome, observed, expected, why, fix, evidence, waived: None }
    }

    pub(crate) fn judge(&self, subject: &Subject, policy: &Policy) -> Judgement {
        let binary = &subject.facts.binary;
        if policy.rules_off.iter().any(|off| off == self.id) {
            return Judgement::not_applicable("the policy does not ask (`rules-off`)");
        }
        if let Check::Always(check) = self.check {
            return check(subject, policy);
        }
        // Held to the rules of another format, a file would only repeat in thirty ways that it is of the wrong one.
        if format_of(binary) != policy.format {
            return Judgement::not_applicable(format!("{}, see SW-FORMAT", format_name(format_of(binary))));
        }
        match (self.check, binary) {
            (Check::Always(check) | Check::Either(check), _) => check(subject, policy),
            (Check::Elf(_), Binary::Elf(elf)) if elf.file_type == ET_REL => {
                Judgement::not_applicable("an object file, which has yet to be linked, see SW-KIND")
            }
            (Check::ElfHeader(check) | Check::Elf(check), Binary::Elf(elf)) => check(elf, subject, policy),
            (Check::Pe(check), Binary::Pe(pe)) => check(pe, subject, policy),
            (Check::ElfHeader(_) | Check::Elf(_), Binary::Pe(_)) | (Check::Pe(_), Binary::Elf(_)) => {
                Judgement::not_applicable(format_name(format_of(binary)))
            }
            (Check::Against(_), _) => Judgement::not_applicable("no older version to compare with"),
        }
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Rule").field("id", &self.id).finish_non_exhaustive()
    }
}

/// An object file's type (gABI, ELF Header).
const ET_REL: u16 = 1;

/// How a rule ended, with its evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Judgement {
    pub(crate) outcome: Outcome,
    pub(crate) observed: Cow<'static, str>,
    pub(crate) expected: Cow<'static, str>,
    pub(crate) evidence: Vec<Evidence>,
}

impl Judgement {
    fn new(
        outcome: Outcome,
        observed: impl Into<Cow<'static, str>>,
        expected: impl Into<Cow<'static, str>>,
    ) -> Judgement {
        Judgement { outcome, observed: observed.into(), expected: expected.into(), evidence: Vec::new() }
    }

    pub(crate) fn pass(
        observed: impl Into<Cow<'static, str>>,
        expected: impl Into<Cow<'static, str>>,
    ) -> Judgement {
        Judgement::new(Outcome::Pass, observed, expected)
    }

    pub(crate) fn fail(
        observed: impl Into<Cow<'static, str>>,
        expected: impl Into<Cow<'static, str>>,
    ) -> Judgement {
        Judgement::new(Outcome::Fail, observed, expected)
    }

    pub(crate) fn cannot_tell(
        observed: impl Into<Cow<'static, str>>,
        expected: impl Into<Cow<'static, str>>,
    ) -> Judgement {
        Judgement::new(Outcome::CannotTell, observed, expected)
    }

    pub(crate) fn not_applicable(observed: impl Into<Cow<'static, str>>) -> Judgement {
        Judgement::new(Outcome::NotApplicable, observed, "")
    }

    /// With one more place in the file where it was seen: `size` bytes at `offset`, cut to what is there.
    #[must_use]
    pub(crate) fn at(mut self, file: &[u8], offset: u64, size: u64) -> Judgement {
        const PLACES: usize = 10;
        const BYTES: u64 = 64;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(file.len());
        let bytes = &file[start..];
        let bytes = &bytes[..bytes.len().min(size.min(BYTES) as usize)];
        if self.evidence.len() < PLACES {
            let hexadecimal = bytes.iter().fold(String::new(), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            });
            self.evidence.push(Evidence { offset, bytes: hexadecimal });
        }
        self
    }

    /// A pass where `right`, else a failure.
    pub(crate) fn require(
        right: bool,
        observed: impl Into<Cow<'static, str>>,
        expected: impl Into<Cow<'static, str>>,
    ) -> Judgement {
        if right { Judgement::pass(observed, expected) } else { Judgement::fail(observed, expected) }
    }

    /// A pass with `fine` where nothing is `wrong`, else a failure that lists it.
    pub(crate) fn none_wrong(
        wrong: &[String],
        fine: impl Into<Cow<'static, str>>,
        expected: impl Into<Cow<'static, str>>,
    ) -> Judgement {
        if wrong.is_empty() {
            Judgement::pass(fine, expected)
        } else {
            Judgement::fail(listed(wrong), expected)
        }
    }
}

/// The format of what was read.
pub(crate) fn format_of(binary: &Binary) -> BinaryFormat {
    match binary {
        Binary::Elf(_) => BinaryFormat::Elf,
        Binary::Pe(_) => BinaryFormat::Pe,
    }
}

/// As a reader of a report says it.
pub(crate) fn format_name(format: BinaryFormat) -> &'static str {
    match format {
        BinaryFormat::Elf => "an ELF file",
        BinaryFormat::Pe => "a PE file",
    }
}

/// The first ten, and how many more: a hostile file has a million.
pub(crate) fn listed<S: AsRef<str>>(items: &[S]) -> String {
    const SHOWN: usize = 10;
    let shown: Vec<_> = items.iter().take(SHOWN).map(AsRef::as_ref).collect();
    let shown = shown.join(", ");
    match items.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// `none` for an empty list, which a report would otherwise show as nothing at all.
pub(crate) fn listed_or_none<S: AsRef<str>>(items: &[S]) -> String {
    if items.is_empty() { "none".to_owned() } else { listed(items) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::judge_elf;

    #[test]
    fn evidence_is_cut_to_ten_places_of_64_bytes_inside_of_the_file() {
        let file = [0xab; 100];
        let judgement = Judgement::fail("", "").at(&file, 0, 1000).at(&file, 98, 4).at(&file, u64::MAX, 4);
        let lengths: Vec<_> = judgement.evidence.iter().map(|place| place.bytes.len() / 2).collect();
        assert_eq!(lengths, [64, 2, 0]);
        let crowded = (0..20).fold(judgement, |judgement, at| judgement.at(&file, at, 1));
        assert_eq!(crowded.evidence.len(), 10);
        assert_eq!(crowded.evidence[9].offset, 6);
    }

    #[test]
    fn a_rule_says_which_format_it_is_about_and_its_id_in_debug_output() {
        let rule = |id: &str| *crate::rules().iter().find(|rule| rule.id == id).unwrap();
        assert_eq!(rule("SW-ELF-RELRO").format(), Some(BinaryFormat::Elf));
        assert_eq!(rule("SW-PE-NX").format(), Some(BinaryFormat::Pe));
        assert_eq!(rule("SW-MACHINE").format(), None);
        assert!(format!("{:?}", rule("SW-PE-NX")).contains("SW-PE-NX"));
    }

    #[test]
    fn a_rule_that_is_off_asks_nothing_and_every_other_asks_as_before() {
        let judged = |off: &[&str]| {
            let judge = |rule: &Rule| {
                judge_elf(rule, |_, policy| {
                    policy.rules_off = off.iter().map(|id| (*id).to_owned()).collect()
                })
            };
            crate::rules().iter().map(|rule| (rule.id, judge(rule).outcome)).collect::<Vec<_>>()
        };
        let mut expected = judged(&[]);
        let pie = expected.iter_mut().find(|(id, _)| *id == "SW-ELF-PIE").unwrap();
        assert_eq!(pie.1, Outcome::Pass);
        pie.1 = Outcome::NotApplicable;
        assert_eq!(judged(&["SW-ELF-PIE"]), expected);
    }
}
