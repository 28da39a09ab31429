//! Why a policy cannot be used.

/// An error of this crate.
pub type Error = artifact::Fault<ErrorKind>;

/// Why, for code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A policy that is not well-formed, names what is not known, or contradicts itself.
    BadPolicy,
    /// A waiver that is expired, said twice, or for what nobody may waive.
    BadWaiver,
    /// A waiver that waived nothing.
    UnusedWaiver,
    /// No rule has this ID.
    UnknownRule,
}

impl artifact::FaultKind for ErrorKind {}
