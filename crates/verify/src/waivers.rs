//! Waivers: a person's word, with reason, ticket and last day, that one rule's refusal of some files is accepted.

use std::sync::atomic::{AtomicBool, Ordering};

use artifact::{READABLE, Report, Target, Waiver};

use crate::page::known_rule;
use crate::{Error, ErrorKind};
use artifact::Date;
use artifact::matching::ends_with;

/// The waivers of a policy, each noting whether it was needed.
#[derive(Debug, Default)]
pub struct Waivers {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    waiver: Waiver,
    /// Whether a file was looked at that it is about.
    met: AtomicBool,
    /// Whether it waived a refusal.
    used: AtomicBool,
}

/// Which waivers that waived nothing are errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unused {
    /// Each: everything the policy is about was looked at.
    Every,
    /// Those about files that were looked at: only a part was.
    OfFilesSeen,
}

impl Waivers {
    /// The waivers in `list`, of which each must be sound and hold on `today`.
    ///
    /// # Errors
    /// [`ErrorKind::BadWaiver`] or [`ErrorKind::UnknownRule`], naming the waiver.
    pub fn new(list: Vec<Waiver>, today: Date) -> Result<Waivers, Error> {
        for (index, waiver) in list.iter().enumerate() {
            sound(waiver, today)?;
            let same = |other: &Waiver| {
                (&other.rule, &other.path, other.target) == (&waiver.rule, &waiver.path, waiver.target)
            };
            if list[..index].iter().any(same) {
                return Err(bad(waiver, "is there twice").with_hint("keep the one that is meant"));
            }
        }
        let entry = |waiver| Entry { waiver, met: AtomicBool::new(false), used: AtomicBool::new(false) };
        Ok(Waivers { entries: list.into_iter().map(entry).collect() })
    }

    /// Puts waivers to the refusals of `report` that they are about, a file for `target`.
    pub fn apply(&self, report: &mut Report, target: Option<Target>) {
        for entry in &self.entries {
            let Waiver { rule, path, target: wanted, .. } = &entry.waiver;
            if !ends_with(path, &report.path) || wanted.is_some_and(|wanted| target != Some(wanted)) {
                continue;
            }
            entry.met.store(true, Ordering::Relaxed);
            for finding in &mut report.findings {
                if finding.rule == *rule && finding.outcome.refuses() && finding.waived.is_none() {
                    finding.waived = Some(Box::new(entry.waiver.clone()));
                    entry.used.store(true, Ordering::Relaxed);
                }
            }
        }
    }

    /// Refuses waivers that waived nothing, once everything was looked at.
    ///
    /// # Errors
    /// [`ErrorKind::UnusedWaiver`], naming the first and counting the rest.
    pub fn all_used(&self, unused: Unused) -> Result<(), Error> {
        let is_unused = |entry: &&Entry| {
            !entry.used.load(Ordering::Relaxed)
                && (unused == Unused::Every || entry.met.load(Ordering::Relaxed))
        };
        let unused: Vec<_> = self.entries.iter().filter(is_unused).collect();
        let Some(first) = unused.first() else { return Ok(()) };
        let more = match unused.len() - 1 {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        let message = format!("{} waived nothing{more}", named(&first.waiver));
        Err(Error::new(ErrorKind::UnusedWaiver, message)
            .with_hint("take it out: what it was for is mended, or its path, rule or target is wrong"))
    }
}

fn sound(waiver: &Waiver, today: Date) -> Result<(), Error> {
    known_rule(&waiver.rule)?;
    if waiver.rule == READABLE {
        return Err(bad(waiver, "is about the one rule that nobody can waive")
            .with_hint("what cannot be read cannot be judged; build or copy the file again"));
    }
    for (key, value) in [("path", &waiver.path), ("reason", &waiver.reason), ("ticket", &waiver.ticket)] {
        if value.trim().is_empty() {
            return Err(bad(waiver, &format!("has an empty `{key}`"))
                .with_hint("say which files, why it is accepted, and where that is tracked"));
        }
    }
    let Some(last) = Date::parse(&waiver.expires) else {
        return Err(bad(waiver, &format!("expires on `{}`, which is no day", waiver.expires))
            .with_hint("write the last day as YYYY-MM-DD"));
    };
    if today > last {
        return Err(bad(waiver, &format!("expired on {last}; today is {today}"))
            .with_hint(format!("mend what {} waives, or decide again and move the day", waiver.ticket)));
    }
    Ok(())
}

fn bad(waiver: &Waiver, what: &str) -> Error {
    Error::new(ErrorKind::BadWaiver, format!("{} {what}", named(waiver)))
}

fn named(waiver: &Waiver) -> String {
    let target = waiver.target.map(|target| format!(" for {target}")).unwrap_or_default();
    format!("the waiver of {} for `{}`{target} ({})", waiver.rule, waiver.path, waiver.ticket)
}

#[cfg(test)]
mod tests {
    use artifact::{Finding, Outcome};

    use super::*;

    fn waiver(rule: &str, path: &str) -> Waiver {
        Waiver {
            rule: rule.to_owned(),
            path: path.to_owned(),
            target: None,
            reason: "the vendor's blob is linked so".to_owned(),
            ticket: "SHIP-7".to_owned(),
            expires: "2026-06-30".to_owned(),
        }
    }

    fn today() -> Date {
        Date::parse("2026-06-30").unwrap()
    }

    fn report(path: &str) -> Report {
        let finding = |rule: &'static str, outcome| Finding {
            rule: rule.into(),
            outcome,
            observed: "".into(),
            expected: "".into(),
            why: "".into(),
            fix: "".into(),
            evidence: Vec::new(),
            waived: None,
        };
        let findings = vec![finding("SW-CLASS", Outcome::Pass), finding("SW-ELF-RELRO", Outcome::Fail)];
        Report { subject: None, path: path.to_owned(), findings }
    }

    #[track_caller]
    fn refused(list: Vec<Waiver>, kind: ErrorKind, text: &str) {
        let error = Waivers::new(list, today()).unwrap_err();
        assert!(error.kind() == kind && error.to_string().contains(text), "{error:?}");
        assert!(error.hint().is_some(), "{error}");
    }

    #[test]
    fn a_waiver_reaches_its_rule_in_its_files_and_nothing_else() {
        let waivers = Waivers::new(vec![waiver("SW-ELF-RELRO", "lib/blob-*")], today()).unwrap();
        let mut other = report("dist/lib/other");
        waivers.apply(&mut other, None);
        assert!(!other.passed());
        assert!(waivers.all_used(Unused::OfFilesSeen).is_ok());
        assert_eq!(waivers.all_used(Unused::Every).unwrap_err().kind(), ErrorKind::UnusedWaiver);
        let mut blob = report("dist/lib/blob-7");
        waivers.apply(&mut blob, None);
        assert!(blob.passed());
        let finding = &blob.findings[1];
        assert_eq!(finding.outcome, Outcome::Fail, "it stays in the report");
        assert_eq!(finding.waived.as_ref().unwrap().ticket, "SHIP-7");
        assert!(waivers.all_used(Unused::Every).is_ok());
    }

    #[test]
    fn a_waiver_of_another_target_waives_nothing() {
        let list = vec![Waiver { target: Some(Target::Aarch64Linux), ..waiver("SW-ELF-RELRO", "ship") }];
        let waivers = Waivers::new(list, today()).unwrap();
        let mut report = report("ship");
        for target in [None, Some(Target::X86_64Linux)] {
            waivers.apply(&mut report, target);
            assert!(!report.passed());
        }
        waivers.apply(&mut report, Some(Target::Aarch64Linux));
        assert!(report.passed());
    }

    #[test]
    fn a_rule_that_passes_leaves_its_waiver_unused() {
        let waivers = Waivers::new(vec![waiver("SW-CLASS", "ship")], today()).unwrap();
        waivers.apply(&mut report("ship"), None);
        let error = waivers.all_used(Unused::OfFilesSeen).unwrap_err();
        assert!(error.to_string().ends_with("SW-CLASS for `ship` (SHIP-7) waived nothing"), "{error}");
        let three = ["SW-CLASS", "SW-FORMAT", "SW-ELF-RELRO"].map(|rule| waiver(rule, "ship"));
        let error = Waivers::new(three.to_vec(), today()).unwrap().all_used(Unused::Every).unwrap_err();
        assert!(
            error.to_string().ends_with("SW-CLASS for `ship` (SHIP-7) waived nothing, and 2 more"),
            "{error}"
        );
    }

    #[test]
    fn an_unsound_waiver_is_refused_by_name() {
        let relro = || waiver("SW-ELF-RELRO", "ship");
        let yesterday = Waiver { expires: "2026-06-29".to_owned(), ..relro() };
        refused(vec![yesterday], ErrorKind::BadWaiver, "expired on 2026-06-29; today is 2026-06-30");
        let never = Waiver { expires: "2026-06-31".to_owned(), ..relro() };
        refused(vec![never], ErrorKind::BadWaiver, "`2026-06-31`, which is no day");
        refused(vec![waiver(READABLE, "ship")], ErrorKind::BadWaiver, "nobody can waive");
        refused(vec![waiver("SW-ELF-RERLO", "ship")], ErrorKind::UnknownRule, "SW-ELF-RERLO");
        refused(vec![waiver("SW-ELF-RELRO", " ")], ErrorKind::BadWaiver, "empty `path`");
        refused(vec![Waiver { reason: String::new(), ..relro() }], ErrorKind::BadWaiver, "empty `reason`");
        refused(vec![Waiver { ticket: String::new(), ..relro() }], ErrorKind::BadWaiver, "empty `ticket`");
        refused(vec![relro(), relro()], ErrorKind::BadWaiver, "twice");
        let other = Waiver { target: Some(Target::X86_64Linux), ..relro() };
        assert!(Waivers::new(vec![relro(), other], today()).is_ok(), "another target's is another waiver");
    }
}
