//! The lock that makes a daemon the only one, and the truth about whether it runs: the system releases it with the last
//! process that holds it, however that ends. What the file says only names the holder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::pid_file;
use crate::failure::{Cause, Failure};

/// A lock (flock(2)) on a file that is never removed: a second one on a file of the same name would also be granted.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Fails at once if another process holds it, and names that process.
    pub(crate) fn acquire(path: &Path) -> Result<Self, Failure> {
        let refused = |error: &dyn std::fmt::Display| {
            let message = format!("cannot lock {}: {error}", path.display());
            Failure::new(Cause::System, message, "create its folder and make it writable")
        };
        loop {
            let file = open(path).map_err(|error| refused(&error))?;
            match file.try_lock() {
                Ok(()) if is_still_at(&file, path) => return Ok(Self { file, path: path.to_owned() }),
                // It was replaced between opening and locking.
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(held(file, path)),
                Err(TryLockError::Error(error)) => return Err(refused(&error)),
            }
        }
    }

    /// Writes this process into the file as the holder.
    pub(crate) fn name_holder(&self) -> Result<(), Failure> {
        let write = || {
            let mut file = &self.file;
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(pid_file::own_text().as_bytes())
        };
        write().map_err(|error: io::Error| {
            let message = format!("cannot write lock file {}: {error}", self.path.display());
            Failure::new(Cause::System, message, "free space on its file system")
        })
    }
}

/// Waits until nobody holds the lock at `path`, or `patience` is over: who wants it then is told who has it.
pub(crate) fn wait_until_free(path: &Path, patience: Duration) {
    let deadline = Instant::now() + patience;
    while Lock::acquire(path).is_err() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(10));
    }
}

impl AsFd for Lock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn open(path: &Path) -> io::Result<File> {
    let flags = libc::O_NOFOLLOW;
    OpenOptions::new().read(true).write(true).create(true).mode(0o640).custom_flags(flags).open(path)
}

fn is_still_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(held), Ok(there)) => (held.dev(), held.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

fn held(file: File, path: &Path) -> Failure {
    let mut text = String::new();
    let holder = match file.take(pid_file::LONGEST).read_to_string(&mut text) {
        Ok(_) => pid_file::parse(&text),
        Err(_) => None,
    };
    let holder = holder.map_or_else(|| "another process".to_owned(), |(pid, _)| format!("process {pid}"));
    let message = format!("an instance runs already: {holder} holds lock file {}", path.display());
    Failure::new(Cause::System, message, "stop that instance first, or give this one a lock file of its own")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_one_is_refused_and_told_who_has_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lock");
        let first = Lock::acquire(&path).expect("free");
        let early = Lock::acquire(&path).expect_err("held").to_string();
        assert!(early.contains("another process holds lock file"), "{early}");
        first.name_holder().expect("written");
        let second = Lock::acquire(&path).expect_err("held").to_string();
        let expected = format!("process {} holds lock file {}", std::process::id(), path.display());
        assert!(second.contains(&expected), "{second}");
        drop(first);
        // What the file says does not matter.
        Lock::acquire(&path).expect("free again");
    }

    #[test]
    fn a_link_is_not_followed_and_a_missing_folder_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let (victim, link) = (folder.path().join("victim"), folder.path().join("lock"));
        std::fs::write(&victim, "kept").expect("written");
        std::os::unix::fs::symlink(&victim, &link).expect("a link");
        Lock::acquire(&link).expect_err("refused");
        assert_eq!(std::fs::read_to_string(&victim).expect("there"), "kept");
        let missing = Lock::acquire(&folder.path().join("no/lock")).expect_err("refused").to_string();
        assert!(missing.contains("no/lock"), "{missing}");
    }
}
