//! Why a comparison, a statement or a signature could not be had.

use std::path::Path;

use artifact::FaultKind;

/// The reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A file could not be read or written.
    Io,
    /// A statement is not one of those that are written here.
    NotAStatement,
    /// A key or a list of signers cannot be used.
    BadKey,
    /// A signature does not hold.
    BadSignature,
    /// Statements that are not about one release were set side by side.
    NotOneRelease,
}

impl FaultKind for ErrorKind {}

/// An error of this crate.
pub type Error = artifact::Fault<ErrorKind>;

/// `path` could not be read.
pub(crate) fn cannot_read(path: &Path, cause: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("cannot read {}: {cause}", path.display())).with_source(cause)
}
