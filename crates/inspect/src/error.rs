//! Why bytes have no facts.

use artifact::FaultKind;

/// The reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bytes are of neither format.
    NotAProgram,
    /// The file ends inside its header.
    Truncated,
    /// The header contradicts itself or its specification.
    Malformed,
}

impl FaultKind for ErrorKind {}

/// An error of this crate.
pub type Error = artifact::Fault<ErrorKind>;
