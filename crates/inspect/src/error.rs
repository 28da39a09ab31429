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
    /// A file, folder or archive cannot be read.
    Unreadable,
    /// An archive holds more than the limits allow.
    TooLarge,
}

impl FaultKind for ErrorKind {}

/// An error of this crate.
pub type Error = artifact::Fault<ErrorKind>;
