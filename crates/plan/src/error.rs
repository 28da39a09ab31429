//! Why no plan could be made.

use artifact::FaultKind;

/// The reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// `release.toml` cannot be read, or says something that is not known.
    BadConfig,
    /// A target was asked for that is not in the table.
    UnknownTarget,
    /// The workspace, the package or its binaries cannot be found.
    Workspace,
    /// Git does not answer, or the folder has no commit.
    Git,
    /// The work tree differs from the commit.
    DirtyTree,
    /// No builder is there.
    Builder,
}

impl FaultKind for ErrorKind {}

/// An error of this crate.
pub type Error = artifact::Fault<ErrorKind>;
