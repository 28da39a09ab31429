//! Why no archive or release folder came to be.

use std::io;
use std::path::Path;

use artifact::FaultKind;

/// The reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A bundle file is missing, or its place in the archive is not allowed.
    BadBundle,
    /// Another release holds the lock.
    Busy,
    /// The disk is full.
    NoSpace,
    /// A file cannot be read or written.
    Io,
    /// An archive does not hold what was written into it, or what its manifest says.
    Damaged,
    /// Releases that do not belong together.
    Mixed,
}

impl FaultKind for ErrorKind {}

/// An error of this crate.
pub type Error = artifact::Fault<ErrorKind>;

/// What went wrong with the file at `path`.
pub(crate) fn io_error(doing: &str, path: &Path, error: io::Error) -> Error {
    let message = format!("cannot {doing} {}", path.display());
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::new(ErrorKind::NoSpace, message)
            .with_hint(
                "free some space there, or name another folder with --out; the last release is untouched",
            )
            .with_source(error),
        _ => Error::new(ErrorKind::Io, message).with_source(error),
    }
}
