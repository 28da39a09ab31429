//! An artifact and how far it has come. A stage takes the previous value by move and gives the next.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Digest, Report, Target, ToolchainIdentity};

/// One program for one target, at stage `S`: [`Built`], [`Finished`] or [`Verified`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact<S> {
    target: Target,
    binary: String,
    path: PathBuf,
    digest: Digest,
    size: u64,
    stage: S,
}

/// Cargo made it, and it was hashed where cargo said it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// What made it.
    pub toolchain: ToolchainIdentity,
}

/// What ships: edited, every edit listed. The built file is untouched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// What made it.
    pub toolchain: ToolchainIdentity,
    /// Size in bytes as cargo left it.
    pub built_size: u64,
    /// The edits in the order they were made.
    pub edits: Vec<Edit>,
    /// The file that holds what was split off, where anything was.
    pub symbols: Option<PathBuf>,
}

/// Looked at by every rule, refused by none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    finished: Finished,
    report: Report,
}

/// One change that `finish` made to a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// A lasting name: `subsystem`, `strip-symbols`, `timestamp`, `checksum`, `provenance` …
    pub name: String,
    /// What was done, with old and new value.
    pub detail: String,
    /// By how many bytes the file became smaller (negative: larger).
    pub bytes_saved: i64,
}

/// Why a finished artifact was not accepted, and the artifact itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The artifact that stays.
    pub artifact: Artifact<Finished>,
    /// The findings about it.
    pub report: Report,
}

impl<S> Artifact<S> {
    /// What it runs on.
    pub fn target(&self) -> Target {
        self.target
    }

    /// The cargo binary's name, without a suffix.
    pub fn binary(&self) -> &str {
        &self.binary
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The digest of its bytes.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// What is known at this stage.
    pub fn stage(&self) -> &S {
        &self.stage
    }
}

impl Artifact<Built> {
    /// The file at `path` as cargo left it, hashed now.
    pub fn built(
        target: Target,
        binary: impl Into<String>,
        path: PathBuf,
        toolchain: ToolchainIdentity,
    ) -> std::io::Result<Artifact<Built>> {
        let (digest, size) = Digest::of_file(&path)?;
        Ok(Artifact { target, binary: binary.into(), path, digest, size, stage: Built { toolchain } })
    }

    /// The next stage: the edited file at `path`, hashed now.
    pub fn finished(
        self,
        path: PathBuf,
        edits: Vec<Edit>,
        symbols: Option<PathBuf>,
    ) -> std::io::Result<Artifact<Finished>> {
        let (digest, size) = Digest::of_file(&path)?;
        let stage = Finished { toolchain: self.stage.toolchain, built_size: self.size, edits, symbols };
        Ok(Artifact { target: self.target, binary: self.binary, path, digest, size, stage })
    }
}

impl Artifact<Finished> {
    /// The only way to a verified artifact: a report about exactly these bytes, with a pass and without a refusal.
    pub fn accept(self, report: Report) -> Result<Artifact<Verified>, Box<Refusal>> {
        if report.subject != Some(self.digest) || !report.passed() {
            return Err(Box::new(Refusal { artifact: self, report }));
        }
        let Artifact { target, binary, path, digest, size, stage } = self;
        Ok(Artifact { target, binary, path, digest, size, stage: Verified { finished: stage, report } })
    }
}

impl Verified {
    /// What `finish` recorded.
    pub fn finished(&self) -> &Finished {
        &self.finished
    }

    /// The report it was accepted on.
    pub fn report(&self) -> &Report {
        &self.report
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{BuilderKind, Finding, Outcome};

    fn finished() -> Artifact<Finished> {
        let path = std::env::current_exe().expect("a test has an executable");
        let identity = ToolchainIdentity {
            builder: BuilderKind::Host,
            rustc: "1.95.0".to_owned(),
            lock: None,
            parts: BTreeMap::new(),
        };
        let built = Artifact::built(Target::X86_64Linux, "test", path.clone(), identity).unwrap();
        built.finished(path, Vec::new(), None).unwrap()
    }

    fn report(subject: impl Into<Option<Digest>>, outcomes: &[Outcome]) -> Report {
        let finding = |outcome: &Outcome| Finding {
            rule: "SW-TEST".into(),
            outcome: *outcome,
            observed: "".into(),
            expected: "".into(),
            why: "".into(),
            fix: "".into(),
            evidence: Vec::new(),
            waived: None,
        };
        Report {
            subject: subject.into(),
            path: "test".to_owned(),
            findings: outcomes.iter().map(finding).collect(),
        }
    }

    #[test]
    fn accepts_a_passing_report_about_the_same_bytes() {
        let artifact = finished();
        let passing = report(artifact.digest(), &[Outcome::Pass, Outcome::NotApplicable]);
        assert!(artifact.accept(passing).is_ok());
    }

    #[test]
    fn refuses_an_empty_a_failed_an_unclear_and_a_foreign_report() {
        let artifact = finished();
        let subject = artifact.digest();
        let refused = [
            report(subject, &[]),
            report(subject, &[Outcome::NotApplicable]),
            report(subject, &[Outcome::Pass, Outcome::Fail]),
            report(subject, &[Outcome::Pass, Outcome::CannotTell]),
            report(Digest::of(b"other bytes"), &[Outcome::Pass]),
            report(None, &[Outcome::Pass]),
        ];
        for report in refused {
            assert!(artifact.clone().accept(report.clone()).is_err(), "{report:?}");
        }
    }
}
