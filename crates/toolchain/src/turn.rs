//! One process, and one thread, at a time.

use std::fs::{self, File};
use std::path::Path;

use crate::Error;
use crate::error::Faults as _;

/// Waits until nobody else works in `folder`; the turn ends when the file is closed, also by a kill.
pub(crate) fn take_turn(folder: &Path) -> Result<File, Error> {
    let path = folder.join("lock");
    let locked = fs::create_dir_all(folder).and_then(|()| {
        let file = File::options().create(true).append(true).open(&path)?;
        file.lock()?;
        Ok(file)
    });
    locked.map_err(|cause| Error::io(&path, cause))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn only_one_thread_has_the_turn() {
        let folder = tempfile::tempdir().unwrap();
        let inside = AtomicU32::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let turn = take_turn(folder.path()).unwrap();
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                    thread::yield_now();
                    inside.fetch_sub(1, Ordering::SeqCst);
                    drop(turn);
                });
            }
        });
    }
}
