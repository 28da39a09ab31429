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

impl Cause {
    /// The largest exit code.
    pub(crate) const LAST: u8 = Self::Refused as u8;
}

/// A failed command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    code: u8,
    message: String,
    hint: Cow<'static, str>,
    is_told: bool,
}

impl Failure {
    pub(crate) fn new(cause: Cause, message: impl Into<String>, hint: impl Into<Cow<'static, str>>) -> Self {
        Self { code: cause as u8, message: message.into(), hint: hint.into(), is_told: false }
    }

    /// One with this exit code, which the worker has told in these words already.
    pub(crate) fn told(code: u8, words: String) -> Self {
        Self { code, message: words, hint: Cow::Borrowed(""), is_told: true }
    }

    /// Whether it stands on standard error already.
    pub(crate) fn is_told(&self) -> bool {
        self.is_told
    }

    /// Its number; see [`Cause`].
    pub(crate) fn code(&self) -> u8 {
        self.code
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
        ExitCode::from(self.code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.message)?;
        if self.hint.is_empty() { Ok(()) } else { write!(out, "\n  next: {}", self.hint) }
    }
}
