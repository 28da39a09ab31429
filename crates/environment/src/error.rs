//! Why a place cannot be captured or compared.

use artifact::FaultKind;

/// The reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The place cannot be read: no folder, no archive, damaged, too large.
    Unreadable,
    /// The container engine failed.
    Engine,
    /// Bytes that are no capture of the version known here.
    NotACapture,
    /// A policy or a waiver that cannot be meant, or that waives nothing.
    BadPolicy,
    /// An artifact that is no program.
    NotAProgram,
}

impl FaultKind for ErrorKind {}

/// An error of this crate.
pub type Error = artifact::Fault<ErrorKind>;

/// `what` cannot be read or written.
pub(crate) fn io(what: &str, cause: std::io::Error) -> Error {
    Error::new(ErrorKind::Unreadable, format!("{what}: {cause}")).with_source(cause)
}
