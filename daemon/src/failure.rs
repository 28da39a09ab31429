//! What ends a command without success: an exit code that is documented API, a sentence, and the next step.

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
}

/// A failed command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) cause: Cause,
    message: String,
    hint: &'static str,
}

impl Failure {
    pub(crate) fn new(cause: Cause, message: impl Into<String>, hint: &'static str) -> Self {
        Self { cause, message: message.into(), hint }
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
