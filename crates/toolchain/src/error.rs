//! Why there is no builder.

use std::path::Path;

/// What `toolchain` reports.
pub type Error = artifact::Fault<ErrorKind>;

/// The reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The container engine that was asked for does not answer.
    EngineNotRunning,
    /// The engine answers and could not do what it was asked.
    EngineFailed,
    /// The image was not made on this machine yet.
    ImageMissing,
    /// An image, its base or its packages differ from `docker/toolchain.lock`.
    ImageOffLock,
    /// An image could not be made.
    ImageNotMade,
    /// `docker/toolchain.lock` is missing, unreadable, or does not fit the files beside it.
    LockInvalid,
    /// A program the builder needs is not there.
    MissingTool,
    /// A Rust target's standard library is not there and could not be installed.
    RustTargetMissing,
    /// A download failed.
    DownloadFailed,
    /// Something is not on this machine, and the network is off.
    Offline,
    /// What was downloaded has another digest than the lock says.
    DigestMismatch,
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
