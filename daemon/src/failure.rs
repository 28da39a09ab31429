//! What ends a command without success: an exit code that is documented API, a sentence, and the next step.

use std::borrow::Cow;
use std::fmt;
use std::process::ExitCode;

/// Why a command failed; the number is the exit code (see `daemon/README.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Cause {
    /// The system refused something the command needed.
    System = 1,
    /// The command line is wrong, or the command does not exist on this system.
    Usage = 2,
    /// The configuration was refused.
    Config = 3,
    /// The Windows service manager refused.
    #[cfg(windows)]
    ServiceManager = 4,
    /// The service gave up its start: a workload did not become ready.
    NotReady = 5,
    /// No daemon runs, or it does not answer.
    NotRunning = 6,
    /// The daemon did not do what was asked.
    Refused = 7,
}

/// A failed command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) cause: Cause,
    message: String,
    hint: Cow<'static, str>,
}

impl Failure {
    pub(crate) fn new(cause: Cause, message: impl Into<String>, hint: impl Into<Cow<'static, str>>) -> Self {
        Self { cause, message: message.into(), hint: hint.into() }
    }

    /// What is wrong.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The next step.
    pub(crate) fn hint(&self) -> &str {
        &self.hint
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.cause as u8)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}\n  next: {}", self.message, self.hint)
    }
}
