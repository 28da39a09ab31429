//! Why a manifest could not be read.

/// An error of this crate.
pub type Error = artifact::Fault<ErrorKind>;

/// Why, for code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bytes are not JSON with a schema version.
    NotAManifest,
    /// It is a manifest of a schema version that this program does not know.
    OtherSchemaVersion,
    /// A field is missing, unknown, or has a wrong value.
    Malformed,
}

impl artifact::FaultKind for ErrorKind {}
