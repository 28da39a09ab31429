//! Why there are no bytes to look at.

use artifact::FaultKind;

/// The reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A file or folder cannot be read, or an archive is damaged, cut off or contradicts itself.
    Unreadable,
    /// There is more than the limits allow.
    TooLarge,
    /// A format, or a way to pack it, that is not read here.
    Unsupported,
    /// A container engine did not give the image.
    Engine,
}

impl FaultKind for ErrorKind {}

/// An error of this crate.
pub type Error = artifact::Fault<ErrorKind>;

/// What went wrong while `name` was read. An error of ours that travelled through [`std::io`] comes out as it was.
pub(crate) fn from_io(name: &str, error: std::io::Error) -> Error {
    if error.get_ref().is_some_and(|inner| inner.is::<Error>()) {
        let inner = error.into_inner().and_then(|inner| inner.downcast::<Error>().ok());
        return inner.map_or_else(|| damaged(name, "it cannot be read"), |inner| *inner);
    }
    // One sentence that holds the cause: a report shows sentences only.
    Error::new(ErrorKind::Unreadable, format!("cannot read {name}: {error}")).with_source(error)
}

/// `name` is not what its format's specification asks for.
pub(crate) fn damaged(name: &str, what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Unreadable, format!("{name} is damaged: {what}"))
}
