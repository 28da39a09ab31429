//! Why the service manager, or a command that uses it, fails: the system's number, a sentence, and the next step.

use std::fmt;

use super::{ServiceState, Status};

/// System error numbers (winerror.h) that commands tell apart.
pub(crate) mod code {
    pub(crate) const FILE_NOT_FOUND: u32 = 2;
    pub(crate) const ACCESS_DENIED: u32 = 5;
    pub(crate) const NOT_SUPPORTED: u32 = 50;
    pub(crate) const INVALID_PARAMETER: u32 = 87;
    pub(crate) const BROKEN_PIPE: u32 = 109;
    pub(crate) const CALL_NOT_IMPLEMENTED: u32 = 120;
    pub(crate) const INVALID_NAME: u32 = 123;
    pub(crate) const INVALID_LEVEL: u32 = 124;
    pub(crate) const DEPENDENT_SERVICES_RUNNING: u32 = 1051;
    pub(crate) const INVALID_SERVICE_CONTROL: u32 = 1052;
    pub(crate) const SERVICE_REQUEST_TIMEOUT: u32 = 1053;
    pub(crate) const SERVICE_ALREADY_RUNNING: u32 = 1056;
    pub(crate) const INVALID_SERVICE_ACCOUNT: u32 = 1057;
    pub(crate) const SERVICE_DISABLED: u32 = 1058;
    pub(crate) const CIRCULAR_DEPENDENCY: u32 = 1059;
    pub(crate) const SERVICE_DOES_NOT_EXIST: u32 = 1060;
    pub(crate) const SERVICE_CANNOT_ACCEPT_CONTROL: u32 = 1061;
    pub(crate) const SERVICE_NOT_ACTIVE: u32 = 1062;
    pub(crate) const SERVICE_SPECIFIC_ERROR: u32 = 1066;
    pub(crate) const PROCESS_ABORTED: u32 = 1067;
    pub(crate) const SERVICE_DEPENDENCY_FAILED: u32 = 1068;
    pub(crate) const SERVICE_LOGON_FAILED: u32 = 1069;
    pub(crate) const SERVICE_MARKED_FOR_DELETE: u32 = 1072;
    pub(crate) const SERVICE_EXISTS: u32 = 1073;
    pub(crate) const SERVICE_DEPENDENCY_DELETED: u32 = 1075;
    pub(crate) const SERVICE_NEVER_STARTED: u32 = 1077;
    pub(crate) const DUPLICATE_SERVICE_NAME: u32 = 1078;
}

/// A call or a command that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Error {
    /// The system refused.
    System {
        /// What was tried, after "cannot".
        doing: &'static str,
        /// Its number.
        code: u32,
    },
    /// A setting was taken, but reads back otherwise.
    Differs { what: &'static str, wanted: String, found: String },
    /// A change stands still, or takes longer than any change may.
    Stuck { state: ServiceState, seconds: u64 },
    /// The service went elsewhere than asked.
    Elsewhere { wanted: ServiceState, status: Status },
    /// The request itself makes no sense.
    Invalid(String),
}

impl Error {
    pub(crate) fn system(doing: &'static str, code: u32) -> Self {
        Self::System { doing, code }
    }

    /// The system's number, if it was the system that refused.
    pub(crate) fn code(&self) -> Option<u32> {
        match self {
            Self::System { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether this system does not know what was asked, as opposed to refusing it.
    pub(crate) fn is_unsupported(&self) -> bool {
        use code::{CALL_NOT_IMPLEMENTED, INVALID_LEVEL, NOT_SUPPORTED};
        matches!(self.code(), Some(INVALID_LEVEL | CALL_NOT_IMPLEMENTED | NOT_SUPPORTED))
    }

    /// What to do next.
    pub(crate) fn hint(&self) -> &'static str {
        let code = match self {
            Self::System { code, .. } => *code,
            Self::Differs { .. } => return "change it in the Services window, and tell us about this system",
            Self::Stuck { .. } => return "read its log; end its process if it stands still",
            Self::Elsewhere { .. } => return "read its log; seaworthyd status tells more",
            Self::Invalid(_) => return "seaworthyd --help lists what install takes",
        };
        match code {
            code::FILE_NOT_FOUND => "install it again from where the program is now",
            code::ACCESS_DENIED => "use a prompt that was opened with 'Run as administrator'",
            code::DEPENDENT_SERVICES_RUNNING => "stop the services that depend on it first",
            code::SERVICE_REQUEST_TIMEOUT => "read its log; seaworthyd run shows errors here",
            code::SERVICE_ALREADY_RUNNING => "seaworthyd stop ends it",
            code::INVALID_SERVICE_ACCOUNT | code::SERVICE_LOGON_FAILED => {
                "name another account, or none for a virtual one: seaworthyd install --account ACCOUNT"
            }
            code::SERVICE_DISABLED => "enable it: sc config seaworthyd start= demand",
            code::SERVICE_DOES_NOT_EXIST => "seaworthyd install",
            code::SERVICE_CANNOT_ACCEPT_CONTROL => "try again in a moment",
            code::SERVICE_NOT_ACTIVE => "seaworthyd start",
            code::SERVICE_DEPENDENCY_FAILED | code::SERVICE_DEPENDENCY_DELETED => {
                "sc qc seaworthyd lists what it depends on"
            }
            code::SERVICE_MARKED_FOR_DELETE => "stop it, close the Services window and try again",
            code::SERVICE_EXISTS | code::DUPLICATE_SERVICE_NAME => "seaworthyd uninstall removes it",
            _ => "net helpmsg NUMBER explains the number",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System { doing, code } => write!(out, "cannot {doing}: {}", reason(*code)),
            Self::Differs { what, wanted, found } => {
                write!(out, "the {what} was set to {wanted}, but reads back as {found}")
            }
            Self::Stuck { state, seconds } => {
                write!(out, "the service is {} without progress for {seconds} s", state.name())
            }
            Self::Elsewhere { wanted, status } => {
                write!(out, "the service is {}, not {}", status.describe(), wanted.name())
            }
            Self::Invalid(why) => out.write_str(why),
        }
    }
}

fn reason(number: u32) -> String {
    let words = match number {
        code::FILE_NOT_FOUND => "its program is not there",
        code::ACCESS_DENIED => "access is denied",
        code::DEPENDENT_SERVICES_RUNNING => "others that depend on it run",
        code::INVALID_SERVICE_CONTROL => "it does not take this control now",
        code::SERVICE_REQUEST_TIMEOUT => "it did not answer in time",
        code::SERVICE_ALREADY_RUNNING => "it already runs",
        code::INVALID_SERVICE_ACCOUNT => "the account does not exist",
        code::SERVICE_DISABLED => "it is disabled",
        code::CIRCULAR_DEPENDENCY => "it would depend on itself",
        code::SERVICE_DOES_NOT_EXIST => "it is not installed",
        code::SERVICE_CANNOT_ACCEPT_CONTROL => "it is busy with another change",
        code::SERVICE_NOT_ACTIVE => "it does not run",
        code::PROCESS_ABORTED => "its process ended unexpectedly",
        code::SERVICE_DEPENDENCY_FAILED => "a service it depends on does not start",
        code::SERVICE_LOGON_FAILED => "its account may not log on as a service",
        code::SERVICE_MARKED_FOR_DELETE => "it is being removed",
        code::SERVICE_EXISTS => "it is already installed",
        code::SERVICE_DEPENDENCY_DELETED => "a service it depends on is not installed",
        code::DUPLICATE_SERVICE_NAME => "another service has its display name",
        other => return format!("system error {other}"),
    };
    format!("{words} (system error {number})")
}
