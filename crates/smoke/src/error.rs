//! Why a program could not even be tried.

use artifact::FaultKind;

/// The reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The runner was there and could not be started.
    Runner,
}

impl FaultKind for ErrorKind {}

/// An error of this crate.
pub type Error = artifact::Fault<ErrorKind>;
