//! Rotation against kills, races, full disks and other programs that rotate.
#![cfg_attr(
    unix,
    expect(clippy::disallowed_methods, reason = "a process to kill, and a file system to fill")
)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::*;
use crate::log::tests::{number, records};
use crate::log::{Log, LogSettings};

fn rotation(max_bytes: u64, keep: u32) -> LogSettings {
    LogSettings { max_bytes, keep, ..LogSettings::default() }
}

fn log_with(path: &Path, settings: LogSettings) -> Log {
    Log::open("s", &LogSettings { file: Some(path.to_owned()), ..settings }).expect("a log")
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("ASCII")).collect();
    names.sort();
    names
}

/// The numbers of the heartbeats in a file.
fn numbers(path: &Path) -> Vec<u64> {
    let records = records(path).into_iter().filter(|record| record["event"] == "heartbeat");
    records.map(|record| record["fields"]["number"].as_u64().expect("a number")).collect()
}

fn heartbeat(log: &Log, index: usize) {
    log.write(Event::Heartbeat, "alive", &number(index));
}

#[test]
fn files_are_rotated_by_size_and_only_the_wanted_number_is_kept() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("log");
    let log = log_with(&path, rotation(1000, 3));
    for index in 0..200 {
        heartbeat(&log, index);
    }
    assert_eq!(names(folder.path()), ["log", "log.1", "log.2", "log.3"]);
    let mut kept = Vec::new();
    for name in ["log.3", "log.2", "log.1", "log"] {
        let path = folder.path().join(name);
        let size = fs::metadata(&path).expect("a file").len();
        assert!(size <= 1000, "{name} has {size} bytes");
        kept.extend(numbers(&path));
    }
    assert!(kept.is_sorted() && kept.last() == Some(&199), "{kept:?}");
    assert!(kept.windows(2).all(|pair| pair[1] == pair[0] + 1), "{kept:?}");
    log.write(Event::Heartbeat, &"x".repeat(5000), &number(200));
    heartbeat(&log, 201);
    assert_eq!(
        numbers(&folder.path().join("log.1")),
        [200],
        "a record that is too large has a file of its own"
    );
    assert_eq!(numbers(&path), [201]);
}

#[test]
fn files_are_rotated_when_their_first_record_is_old() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("log");
    let old = "{\"time\":\"2001-01-01T00:00:00.000Z\",\"level\":\"info\"}\n";
    fs::write(&path, old).expect("written");
    let settings = LogSettings { max_age_hours: 24, ..rotation(0, 2) };
    let log = log_with(&path, settings.clone());
    for index in 0..3 {
        heartbeat(&log, index);
    }
    assert_eq!(fs::read_to_string(folder.path().join("log.1")).expect("the old file"), old);
    assert_eq!(numbers(&path), [0, 1, 2]);
    // Its first record is young, also after a restart.
    heartbeat(&log_with(&path, settings), 3);
    assert_eq!(numbers(&path), [0, 1, 2, 3]);
    assert_eq!(names(folder.path()), ["log", "log.1"]);
}

#[test]
fn a_place_that_a_kill_left_free_is_filled_first() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("log");
    for name in ["log.1", "log.3", "log.4"] {
        fs::write(folder.path().join(name), name).expect("written");
    }
    let log = log_with(&path, rotation(200, 4));
    (0..2).for_each(|index| heartbeat(&log, index));
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).expect("a file");
    assert_eq!(
        (read("log.2"), read("log.3"), read("log.4")),
        ("log.1".into(), "log.3".into(), "log.4".into())
    );
    assert_eq!((numbers(&folder.path().join("log.1")), numbers(&path)), (vec![0], vec![1]));
    heartbeat(&log, 2);
    assert_eq!((read("log.3"), read("log.4")), ("log.1".into(), "log.3".into()));
}

#[test]
fn a_torn_line_is_ended_before_the_next_record() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("log");
    fs::write(&path, "{\"time\":\"2001-01-01T00:00:00.0").expect("written");
    heartbeat(&log_with(&path, rotation(0, 1)), 0);
    let text = fs::read_to_string(&path).expect("the log");
    let lines: Vec<_> = text.lines().collect();
    assert_eq!((lines.len(), lines[0]), (2, "{\"time\":\"2001-01-01T00:00:00.0"));
    assert!(serde_json::from_str::<serde_json::Value>(lines[1]).is_ok());
}

#[test]
fn a_rotation_that_is_refused_is_told_and_nothing_is_lost() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("log");
    fs::create_dir_all(folder.path().join("log.1/in the way")).expect("a folder");
    let log = log_with(&path, rotation(1000, 1));
    (0..100).for_each(|index| heartbeat(&log, index));
    assert_eq!(numbers(&path), (0..100).collect::<Vec<_>>());
    let failures = records(&path).iter().filter(|record| record["event"] == "log-rotation-failed").count();
    assert_eq!(failures, 1, "it is not tried again at once");
}

#[test]
fn what_others_do_to_the_file_loses_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("log");
    let moved = folder.path().join("moved");
    let log = log_with(&path, rotation(1000, 1));
    heartbeat(&log, 0);
    // As logrotate does with `create`: the old file goes on until it is told.
    fs::rename(&path, &moved).expect("moved");
    heartbeat(&log, 1);
    log.reopen();
    heartbeat(&log, 2);
    assert_eq!((numbers(&moved), numbers(&path)), (vec![0, 1], vec![2]));
    assert_eq!(records(&path)[0]["event"], "log-reopened");
    // As with `copytruncate`: the file is short again, and not rotated before it is long.
    fs::File::options().write(true).open(&path).and_then(|file| file.set_len(0)).expect("cut");
    (3..8).for_each(|index| heartbeat(&log, index));
    assert_eq!(
        (numbers(&path), names(folder.path())),
        (vec![3, 4, 5, 6, 7], vec!["log".into(), "moved".into()])
    );
    // A name that cannot be opened: the old file goes on.
    fs::rename(&path, folder.path().join("log.old")).expect("moved");
    fs::create_dir(&path).expect("a folder");
    log.reopen();
    let last = records(&folder.path().join("log.old")).pop().expect("a record");
    assert_eq!(last["event"], "log-reopen-failed");
}

#[test]
#[cfg(unix)]
fn a_file_that_someone_else_has_put_there_is_used_and_not_rotated() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (path, moved) = (folder.path().join("log"), folder.path().join("moved"));
    let log = log_with(&path, rotation(1000, 3));
    heartbeat(&log, 0);
    // As logrotate does with `create`, before it tells.
    fs::rename(&path, &moved).and_then(|()| fs::write(&path, "")).expect("moved");
    (1..10).for_each(|index| heartbeat(&log, index));
    assert_eq!(names(folder.path()), ["log", "moved"]);
    assert_eq!([numbers(&moved), numbers(&path)].concat(), (0..10).collect::<Vec<_>>());
}

#[test]
fn a_hundred_thousand_records_survive_rotations_that_race_with_reopening() {
    const WRITERS: usize = 4;
    const EACH: usize = 25_000;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("log");
    let log = log_with(&path, rotation(1 << 19, 99));
    let done = AtomicBool::new(false);
    let moves = thread::scope(|scope| {
        let mover = scope.spawn(|| {
            let mut moves = 0;
            while !done.load(Ordering::SeqCst) {
                // Missing in the moment of a rotation.
                moves += usize::from(fs::rename(&path, folder.path().join(format!("moved.{moves}"))).is_ok());
                log.reopen();
                thread::yield_now();
            }
            moves
        });
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let log = &log;
                scope.spawn(move || (0..EACH).for_each(|index| heartbeat(log, writer * EACH + index)))
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().expect("it writes"));
        done.store(true, Ordering::SeqCst);
        mover.join().expect("it moves")
    });
    assert!(moves > 0);
    let mut all = Vec::new();
    for name in names(folder.path()) {
        all.extend(numbers(&folder.path().join(name)));
    }
    all.sort_unstable();
    assert!(all.into_iter().eq(0..(WRITERS * EACH) as u64), "each record is there once");
}

/// A process that is killed when dropped, also by a test that fails.
#[cfg(unix)]
struct Killed(std::process::Child);

#[cfg(unix)]
impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).expect("it is killed");
    }
}

/// The test starts itself as the process that writes, and kills it in the middle.
#[test]
#[cfg(unix)]
fn a_kill_in_the_middle_of_rotations_tears_at_most_the_last_line() {
    const FOLDER: &str = "SEAWORTHYD_TEST_WRITES_TO";
    const ROUNDS: u32 = 20;
    if let Some(folder) = std::env::var_os(FOLDER) {
        let log = log_with(&Path::new(&folder).join("log"), rotation(4096, 99));
        // Until it is killed, and not for ever if it is not.
        for index in 0..20_000_000 {
            heartbeat(&log, index);
        }
    }
    let name = thread::current().name().expect("a test has a name").to_owned();
    for round in 0..ROUNDS {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let writer = std::process::Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", &name])
            .env(FOLDER, folder.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("it starts");
        let writer = Killed(writer);
        // Another moment each time, and in the last rounds with all places taken.
        let deadline = Instant::now() + crate::log::tests::PATIENCE;
        let place = folder.path().join(format!("log.{}", (round * 6 + 1).min(99)));
        while !place.exists() {
            assert!(Instant::now() < deadline, "it does not rotate");
            thread::yield_now();
        }
        drop(writer);
        let mut all = std::collections::BTreeSet::new();
        for name in names(folder.path()) {
            let path = folder.path().join(&name);
            let mut text = fs::read_to_string(&path).expect("ASCII");
            let whole = text.rfind('\n').map_or(0, |end| end + 1);
            assert!(whole == text.len() || name == "log", "{name} ends in the middle of a line");
            text.truncate(whole);
            fs::write(&path, text).expect("written");
            for number in numbers(&path) {
                assert!(all.insert(number), "{number} is there twice");
            }
        }
        let (first, last) = (all.first().expect("records"), all.last().expect("records"));
        assert_eq!(last - first + 1, all.len() as u64, "a record is missing in round {round}");
    }
}

/// A small file system in memory, taken away at the end.
#[cfg(unix)]
struct Small(tempfile::TempDir);

#[cfg(unix)]
impl Small {
    fn new(size: &str) -> Self {
        let small = Self(tempfile::tempdir().expect("a temporary folder"));
        let options = format!("size={size}");
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(small.0.path())
            .status();
        assert!(mount.is_ok_and(|status| status.success()), "mounting needs root");
        small
    }
}

#[cfg(unix)]
impl Drop for Small {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
#[cfg(unix)]
fn a_full_disk_is_counted_and_told_when_there_is_room_again() {
    const RECORDS: usize = 1000;
    let small = Small::new("96k");
    let (path, ballast) = (small.0.path().join("log"), small.0.path().join("ballast"));
    fs::write(&ballast, vec![0; 48 * 1024]).expect("written");
    let log = log_with(&path, rotation(0, 1));
    let (to_other, from_other) = std::sync::mpsc::channel();
    log.add(Box::new(crate::log::tests::Eager(to_other)));
    (0..RECORDS).for_each(|index| heartbeat(&log, index));
    assert_eq!(from_other.try_iter().count(), RECORDS, "the other sink has them all");
    let before = numbers(&path);
    assert!((100..RECORDS).contains(&before.len()), "{} fit", before.len());
    fs::remove_file(&ballast).expect("removed");
    heartbeat(&log, RECORDS);
    let after = records(&path);
    let [.., told, last] = &after[..] else { panic!("two records") };
    assert_eq!((&told["event"], &told["fields"]["sink"]), (&"log-records-lost".into(), &"file".into()));
    assert_eq!(told["fields"]["records"], RECORDS - before.len());
    assert!(told["fields"]["error"].as_str().is_some_and(|error| error.contains("No space left")), "{told}");
    assert_eq!(last["fields"]["number"], RECORDS);
    assert_eq!(after.len(), before.len() + 2);
}
