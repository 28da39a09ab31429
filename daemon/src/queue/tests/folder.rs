//! Real folders: the lock, one that cannot be written, and a disk that is full.

use super::{drain, small, task};
use crate::queue::{Error, Limits, Now, Queue, Refused};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

#[test]
fn only_one_opens_it() {
    let folder = folder();
    let (queue, _) = Queue::open(folder.path(), small()).expect("opens");
    queue.push(&task(None, None, b"body")).expect("room");
    match Queue::open(folder.path(), small()) {
        Err(Error::Locked(path)) => assert_eq!(path, folder.path()),
        other => panic!("{other:?}"),
    }
    drop(queue);
    let (queue, recovery) = Queue::open(folder.path(), small()).expect("opens again");
    assert_eq!((recovery.tasks, queue.depth()), (1, 1));
}

#[test]
fn limits_that_do_not_fit_are_refused() {
    let refused = Queue::open(folder().path(), Limits { max_attempts: 0, ..small() }).expect_err("refused");
    assert_eq!(refused.to_string(), "queue: max_attempts must be 1 to 255, not 0");
}

#[test]
fn what_is_too_long_is_refused() {
    let folder = folder();
    let (queue, _) = Queue::open(folder.path(), small()).expect("opens");
    let long = "x".repeat(256);
    assert_eq!(queue.push(&task(Some(&long), None, b"")), Err(Refused::TooLong("order key", 255)));
    assert_eq!(queue.push(&task(None, Some(&long), b"")), Err(Refused::TooLong("idempotency key", 255)));
    assert_eq!(queue.push(&task(None, None, &[0; 3001])), Err(Refused::TooLong("body", 3000)));
    let longest = task(Some(&long[..255]), Some(&long[..255]), &[7; 3000]);
    queue.push(&longest).expect("room");
    assert_eq!(drain(&queue, Now::read())[0].body, longest.body);
    assert_eq!(queue.figures(Now::read()).since_open.refused, 3);
}

#[cfg(unix)]
mod mounted {
    use std::path::{Path, PathBuf};

    use super::super::Random;
    use super::*;

    /// A small file system in memory, for as long as this lives. Needs root, as the tests of this package do.
    struct Mounted(PathBuf);

    impl Mounted {
        fn new(path: &Path, options: &str) -> Self {
            mount(&["-t", "tmpfs", "-o", options, "tmpfs"], path);
            Self(path.to_owned())
        }
    }

    #[expect(clippy::disallowed_methods, reason = "mount has no other door without unsafe code")]
    fn mount(arguments: &[&str], path: &Path) {
        let output = std::process::Command::new("mount")
            .args(arguments)
            .arg(path)
            .output()
            .expect("Debian's package mount");
        assert!(output.status.success(), "run as root: {}", String::from_utf8_lossy(&output.stderr));
    }

    impl Drop for Mounted {
        #[expect(clippy::disallowed_methods, reason = "as above")]
        fn drop(&mut self) {
            let _ = std::process::Command::new("umount").arg(&self.0).output();
        }
    }

    #[test]
    fn a_read_only_folder_is_told() {
        let folder = folder();
        let mounted = Mounted::new(folder.path(), "size=1m");
        mount(&["-o", "remount,ro"], &mounted.0);
        match Queue::open(&mounted.0, small()) {
            Err(Error::ReadOnly(path)) => assert_eq!(path, mounted.0),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_full_disk_keeps_what_it_has_and_recovers() {
        let folder = folder();
        let mounted = Mounted::new(folder.path(), "size=1m");
        let limits = Limits {
            max_bytes: 64 << 20,
            max_tasks: 100_000,
            max_body_bytes: 50_000,
            segment_bytes: 128 << 10,
            ..small()
        };
        let (queue, _) = Queue::open(&mounted.0, limits.clone()).expect("opens");
        let mut random = Random::new(5);
        let mut bodies = Vec::new();
        let mut refusals = 0;
        // Large ones fill it, small ones find the last gap.
        while refusals < 20 {
            let length = if refusals == 0 { 20_000 } else { 30 };
            let body: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
            match queue.push(&task(Some("order"), None, &body)) {
                Ok(_) => bodies.push(body),
                Err(refused) => {
                    assert_eq!(refused, Refused::DiskFull);
                    refusals += 1;
                }
            }
        }
        assert!(bodies.len() > 40, "{}", bodies.len());
        drop(queue);
        let (queue, recovery) = Queue::open(&mounted.0, limits.clone()).expect("opens when full");
        assert_eq!((recovery.tasks, recovery.damaged_places), (bodies.len(), 0));
        // Half of them end; the room returns without help from outside.
        for body in &bodies[..bodies.len() / 2] {
            let lease = super::super::take(&queue, Now::read()).expect("due");
            assert_eq!(lease.body, *body);
            drop(queue.done(lease.id));
        }
        let more = vec![1; 20_000];
        queue.push(&task(Some("order"), None, &more)).expect("room again");
        drop(queue);
        let (queue, recovery) = Queue::open(&mounted.0, limits).expect("opens");
        assert_eq!(recovery.damaged_places, 0);
        let left: Vec<Vec<u8>> = drain(&queue, Now::read()).into_iter().map(|lease| lease.body).collect();
        let expected: Vec<Vec<u8>> = bodies[bodies.len() / 2..].iter().cloned().chain([more]).collect();
        assert!(left == expected, "{} of {}", left.len(), expected.len());
    }
}
