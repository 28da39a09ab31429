//! Why the queue does not open, does not take a task, or cannot do what is asked of one.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a queue does not open.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// Another process has it open.
    Locked(PathBuf),
    /// Nothing can be written to its folder.
    ReadOnly(PathBuf),
    /// The bounds do not fit together.
    Limits(String),
    /// A file could not be read or made.
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked(folder) => {
                write!(out, "queue {} is open in another process; stop the other daemon", folder.display())
            }
            Self::ReadOnly(folder) => {
                write!(out, "queue {} is read-only; make it writable for the daemon's user", folder.display())
            }
            Self::Limits(why) => write!(out, "queue: {why}"),
            Self::Io { path, source } => {
                write!(
                    out,
                    "queue {}: {source}; see that the daemon's user may read and write it",
                    path.display()
                )
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Why a task was not taken in. It is not in the queue, except that after [`Refused::Io`] and a crash it may be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// The queue holds as much as it may, and nothing may be dropped.
    Full,
    /// The disk has no room; what is in the queue stays.
    DiskFull,
    /// The body or a key is longer than allowed; what, and how long it may be in bytes.
    TooLong(&'static str, usize),
    /// The disk failed; the system's words.
    Io(io::ErrorKind, String),
}

impl Refused {
    pub(super) fn because(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull,
            kind => Self::Io(kind, error.to_string()),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => write!(
                out,
                "the queue is full; raise max_bytes or max_tasks, or choose when_full = \"drop-oldest\""
            ),
            Self::DiskFull => write!(out, "the queue's disk is full; free space there"),
            Self::TooLong(what, most) => write!(out, "the {what} is longer than {most} bytes; shorten it"),
            Self::Io(_, why) => write!(out, "the queue cannot be written: {why}; look at the disk"),
        }
    }
}

impl std::error::Error for Refused {}

/// Why nothing was done to a task.
#[derive(Debug)]
#[non_exhaustive]
pub enum TaskError {
    /// It is not in flight: not taken, taken before a restart, or already done.
    NotTaken(u64),
    /// It is not in the list of dead tasks.
    NotDead(u64),
    /// It is done as asked, but not on disk yet, and will be with the next record that can be written; a crash before
    /// would undo it.
    NotWritten(io::Error),
}

impl fmt::Display for TaskError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotTaken(id) => write!(out, "task {id} is not in flight; take it first"),
            Self::NotDead(id) => write!(out, "task {id} is not dead; list the dead tasks"),
            Self::NotWritten(error) => {
                write!(out, "the queue cannot be written now: {error}; look at the disk")
            }
        }
    }
}

impl std::error::Error for TaskError {}
