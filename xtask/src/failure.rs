//! How a command can fail, and the exit code that says so. The codes are documented API.

use std::error::Error as StdError;
use std::fmt;
use std::process::ExitCode;

use artifact::{Fault, FaultKind, Report};
use reproduce::{FileComparison, Verdict};

/// The exit code where the archives, or a result, cannot be written.
pub(crate) const NOT_WRITTEN: u8 = 9;

/// The reasons a command ends without its result, one a stage.
#[derive(Debug)]
pub enum Failure {
    /// Exit code 1: verification refused files. Their reports.
    Refused(Vec<Report>),
    /// Several targets failed, each in its own way; the exit code is the first one's.
    Several(Vec<Failure>),
    /// Exit code 1: checks of this repository failed. Their names.
    Checks(Vec<String>),
    /// Exit code 2: a file cannot be read as a program.
    Unreadable(Message),
    /// Exit code 3: the command line, `release.toml` or a policy is wrong.
    Usage(Message),
    /// Exit code 4: no plan: no commit, dirty tree, no such package.
    Plan(Message),
    /// Exit code 5: the builder is missing, off its lock, or cannot be provisioned.
    Toolchain(Message),
    /// Exit code 6: fetching or building failed.
    Build(Message),
    /// Exit code 7: the built program cannot be edited.
    Finish(Message),
    /// Exit code 8: the finished program did not start, or said the wrong thing.
    Smoke(Message),
    /// Exit code 9: the archives cannot be written.
    Package(Message),
    /// Exit code 10: another release holds the lock.
    Busy(Message),
    /// Two places differ, and the results told how. Exit code 1: a gate fails; 11: the drift rate is above the threshold;
    /// 12: too little is known to say.
    Drifted(environment::Verdict),
    /// Exit code 13: what was built again differs; 14: it could not be built or compared. The files, where nobody has told
    /// of them yet.
    NotReproduced(Verdict, Vec<FileComparison>),
}

/// What to tell: a sentence, its causes from the nearest on, the next step.
#[derive(Debug, PartialEq, Eq)]
pub struct Message {
    /// The lowercase sentence.
    pub sentence: String,
    /// The causes.
    pub causes: Vec<String>,
    /// The next step.
    pub hint: Option<String>,
}

impl Failure {
    /// The same failure, with the file it is about named in its sentence.
    pub fn about(mut self, file: &str) -> Failure {
        if let Failure::Unreadable(message) = &mut self {
            message.sentence = format!("{file}: {}", message.sentence);
        }
        self
    }

    /// All of `failures` as one, if there are any. What two targets lack alike is told once.
    pub fn together(mut failures: Vec<Failure>) -> Option<Failure> {
        failures.dedup_by(|one, other| {
            one.message().zip(other.message()).is_some_and(|(one, other)| one == other)
        });
        match failures.len() {
            0 => None,
            1 => failures.pop(),
            _ => Some(Failure::Several(failures)),
        }
    }

    /// The process's exit code.
    pub fn code(&self) -> u8 {
        match self {
            Failure::Several(failures) => failures.first().map_or(1, Failure::code),
            Failure::Refused(_) | Failure::Checks(_) => 1,
            Failure::Unreadable(_) => 2,
            Failure::Usage(_) => 3,
            Failure::Plan(_) => 4,
            Failure::Toolchain(_) => 5,
            Failure::Build(_) => 6,
            Failure::Finish(_) => 7,
            Failure::Smoke(_) => 8,
            Failure::Package(_) => NOT_WRITTEN,
            Failure::Busy(_) => 10,
            Failure::Drifted(environment::Verdict::Drifted) => 11,
            Failure::Drifted(environment::Verdict::NotComparable) => 12,
            Failure::Drifted(_) => 1,
            Failure::NotReproduced(Verdict::Cannot, _) => 14,
            Failure::NotReproduced(..) => 13,
        }
    }

    /// What to tell, where it is a sentence and not reports.
    pub fn message(&self) -> Option<&Message> {
        match self {
            Failure::Refused(_)
            | Failure::Checks(_)
            | Failure::Several(_)
            | Failure::Drifted(_)
            | Failure::NotReproduced(..) => None,
            Failure::Unreadable(message)
            | Failure::Usage(message)
            | Failure::Plan(message)
            | Failure::Toolchain(message)
            | Failure::Build(message)
            | Failure::Finish(message)
            | Failure::Smoke(message)
            | Failure::Package(message)
            | Failure::Busy(message) => Some(message),
        }
    }
}

impl From<&Failure> for ExitCode {
    fn from(failure: &Failure) -> ExitCode {
        ExitCode::from(failure.code())
    }
}

impl Message {
    /// A sentence with the next step.
    pub fn new(sentence: impl Into<String>, hint: impl Into<String>) -> Message {
        Message { sentence: sentence.into(), causes: Vec::new(), hint: Some(hint.into()) }
    }
}

impl<K: FaultKind> From<Fault<K>> for Message {
    fn from(fault: Fault<K>) -> Message {
        Message::from(&fault)
    }
}

impl<K: FaultKind> From<&Fault<K>> for Message {
    fn from(fault: &Fault<K>) -> Message {
        let mut causes = Vec::new();
        let mut source = fault.source();
        while let Some(cause) = source {
            causes.push(cause.to_string());
            source = cause.source();
        }
        Message { sentence: fault.to_string(), causes, hint: fault.hint().map(str::to_owned) }
    }
}

impl fmt::Display for Message {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.sentence)
    }
}

impl From<plan::Error> for Failure {
    fn from(error: plan::Error) -> Failure {
        match error.kind() {
            plan::ErrorKind::BadConfig | plan::ErrorKind::UnknownTarget => Failure::Usage(error.into()),
            plan::ErrorKind::Builder => Failure::Toolchain(error.into()),
            _ => Failure::Plan(error.into()),
        }
    }
}

impl From<toolchain::Error> for Failure {
    fn from(error: toolchain::Error) -> Failure {
        Failure::Toolchain(error.into())
    }
}

impl From<compile::Error> for Failure {
    fn from(error: compile::Error) -> Failure {
        Failure::Build(error.into())
    }
}

impl From<finish::Error> for Failure {
    fn from(error: finish::Error) -> Failure {
        Failure::Finish(error.into())
    }
}

impl From<inspect::Error> for Failure {
    fn from(error: inspect::Error) -> Failure {
        Failure::Unreadable(error.into())
    }
}

impl From<&inputs::Error> for Failure {
    fn from(error: &inputs::Error) -> Failure {
        Failure::Unreadable(error.into())
    }
}

impl From<verify::Error> for Failure {
    fn from(error: verify::Error) -> Failure {
        Failure::Usage(error.into())
    }
}

impl From<closure::Error> for Failure {
    fn from(error: closure::Error) -> Failure {
        Failure::Usage(error.into())
    }
}

impl From<smoke::Error> for Failure {
    fn from(error: smoke::Error) -> Failure {
        Failure::Smoke(error.into())
    }
}

impl From<environment::Error> for Failure {
    fn from(error: environment::Error) -> Failure {
        match error.kind() {
            environment::ErrorKind::BadPolicy => Failure::Usage(error.into()),
            environment::ErrorKind::Engine => Failure::Toolchain(error.into()),
            _ => Failure::Unreadable(error.into()),
        }
    }
}

impl From<reproduce::Error> for Failure {
    fn from(error: reproduce::Error) -> Failure {
        match error.kind() {
            reproduce::ErrorKind::Io | reproduce::ErrorKind::NotAStatement => {
                Failure::Unreadable(error.into())
            }
            reproduce::ErrorKind::BadSignature => Failure::Unreadable(error.into()),
            _ => Failure::Usage(error.into()),
        }
    }
}

impl From<package::Error> for Failure {
    fn from(error: package::Error) -> Failure {
        match error.kind() {
            package::ErrorKind::Busy => Failure::Busy(error.into()),
            _ => Failure::Package(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_targets_lack_alike_is_told_once() {
        let missing = || Failure::Toolchain(Message::new("`mmdebstrap` cannot be started", "install it"));
        let alone = Failure::together(vec![missing(), missing()]).unwrap();
        assert!(matches!(alone, Failure::Toolchain(_)), "{alone:?}");
        let other = Failure::Build(Message::new("it does not compile", "mend it"));
        let both = Failure::together(vec![missing(), other]).unwrap();
        assert!(matches!(&both, Failure::Several(failures) if failures.len() == 2), "{both:?}");
        assert_eq!(both.code(), 5);
    }
}
