//! Why nothing was built.

use std::path::Path;

/// What `compile` reports.
pub type Error = artifact::Fault<ErrorKind>;

/// The reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The compiler or the linker refused the program; the message holds its own words.
    CompileFailed,
    /// `Cargo.lock` does not fit the manifests.
    LockOutOfDate,
    /// A dependency could not be fetched, or was not there when the network was off.
    FetchFailed,
    /// The builder's C library does not know the glibc version that was asked for.
    FloorImpossible,
    /// Cargo succeeded and named no such executable.
    NoExecutable,
    /// The container engine or the container itself failed, not the build in it.
    EngineFailed,
    /// A program the builder needs is not there.
    MissingTool,
    /// A command that was asked for ended badly in the builder.
    CommandFailed,
    /// The toolchain is for another target, or of another kind.
    WrongBuilder,
    /// A file or folder could not be read or written.
    Io,
}

impl artifact::FaultKind for ErrorKind {}

/// Faults made in more than one place.
pub(crate) trait Faults: Sized {
    /// A file or folder and what the system says of it.
    fn io(path: &Path, cause: std::io::Error) -> Self;
}

impl Faults for Error {
    fn io(path: &Path, cause: std::io::Error) -> Error {
        let message = format!("{}: {cause}", path.display());
        Error::new(ErrorKind::Io, message).with_source(cause)
    }
}
