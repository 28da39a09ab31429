//! Verification as the pipeline and `verify` use it: bytes in, report out, whatever the bytes are.

use std::fs;
use std::path::Path;

use artifact::{
    Artifact, Digest, Fault, FaultKind, Finding, Finished, Outcome, READABLE, Report, Target, Toolchain,
};
use inputs::Input;
use inspect::facts::{Binary, Facts};
use package::Archive;
use plan::{Job, ReleasePlan};
use verify::{Policy, Subject, Waivers};

use crate::failure::{Failure, Message};

/// The report about a finished program, with what is waived of it. It must bear the mark of the toolchain's linker.
pub(crate) fn finished(
    artifact: &Artifact<Finished>,
    job: &Job,
    toolchain: &Toolchain,
    waivers: &Waivers,
) -> Result<Report, Failure> {
    let path = artifact.path();
    let bytes = fs::read(path).map_err(|error| cannot_read(path, &error))?;
    let mut policy = job.policy.clone();
    policy.linker = policy.linker.or_else(|| toolchain.linker.clone());
    let mut report = report(&path.display().to_string(), &bytes, &policy);
    waivers.apply(&mut report, Some(artifact.target()));
    Ok(Report { subject: Some(Digest::of(&bytes)), ..report })
}

/// Reads back every archive and verifies every program inside again, also those that were only bundled.
pub(crate) fn packed(archives: &[Archive], plan: &ReleasePlan, waivers: &Waivers) -> Result<(), Failure> {
    let mut refused = Vec::new();
    for archive in archives.iter().filter(|archive| archive.record.kind == manifest::FileKind::Archive) {
        package::read_back(archive, &mut |input| {
            if inputs::looks_like_a_program(&input.bytes) {
                let policy = member_policy(input, archive.record.target, plan);
                let mut report = report(&input.name, &input.bytes, &policy);
                waivers.apply(&mut report, Some(archive.record.target));
                refused.extend(Some(report).filter(|report| !report.passed()));
            }
        })?;
    }
    if refused.is_empty() { Ok(()) } else { Err(Failure::Refused(refused)) }
}

/// A released binary is held to its own job's policy, anything else in the archive to its target's.
fn member_policy(input: &Input, target: Target, plan: &ReleasePlan) -> Policy {
    let file_name = input.name.rsplit('/').next().unwrap_or_default();
    let suffix = target.row().executable_suffix;
    let mut jobs = plan.jobs_for(target);
    let job = jobs.find(|job| file_name == format!("{}{suffix}", job.compile.binary));
    job.map_or_else(|| Policy::for_target(target), |job| job.policy.clone())
}

/// The report about `bytes`. What cannot be read at all gets one finding that says so.
pub(crate) fn report(path: &str, bytes: &[u8], policy: &Policy) -> Report {
    match inspect::inspect_without_exports(bytes) {
        Ok(facts) => verify::verify(&Subject::new(path, bytes, &facts), policy),
        Err(error) => unreadable(path, &error),
    }
}

/// The target that a program seems to be for, from its own header.
pub(crate) fn apparent_target(facts: &Facts) -> Option<Target> {
    let is_static = |elf: &inspect::facts::Elf| elf.interpreter.is_none() && elf.needed.is_empty();
    match &facts.binary {
        Binary::Elf(elf) => match (elf.machine, is_static(elf)) {
            (183, false) => Some(Target::Aarch64Linux),
            (183, true) => Some(Target::Aarch64LinuxMusl),
            (62, false) => Some(Target::X86_64Linux),
            (62, true) => Some(Target::X86_64LinuxMusl),
            _ => None,
        },
        Binary::Pe(pe) => (pe.machine == 0x8664).then_some(Target::X86_64Windows),
    }
}

/// The report about what cannot be read: one finding that says why.
pub(crate) fn unreadable<K: FaultKind>(path: &str, error: &Fault<K>) -> Report {
    let rule = verify::rules().iter().find(|rule| rule.id == "SW-READABLE");
    let finding = Finding {
        rule: "SW-READABLE".into(),
        outcome: Outcome::CannotTell,
        observed: error.to_string().into(),
        expected: "every part readable and inside the file".into(),
        why: rule.map(|rule| rule.why).unwrap_or_default().into(),
        fix: rule.map(|rule| rule.fix).unwrap_or_default().into(),
        evidence: Vec::new(),
        waived: None,
    };
    Report { subject: None, path: path.to_owned(), findings: vec![finding] }
}

/// The failure that a report is where a part of the file could not be read: cut off, past its end, beyond a cap.
pub(crate) fn unreadable_part(report: &Report) -> Option<Failure> {
    let finding = report.findings.iter().find(|finding| finding.rule == READABLE && finding.refuses())?;
    let sentence = format!("{} cannot be read whole, see {READABLE}", report.path);
    Some(Failure::Unreadable(Message::new(sentence, &*finding.fix)))
}

pub(crate) fn cannot_read(path: &Path, error: &std::io::Error) -> Failure {
    let sentence = format!("cannot read {}: {error}", path.display());
    Failure::Unreadable(Message::new(sentence, "check the path and its permissions"))
}
