//! A small segment, cut at every byte and with every bit flipped.

use std::sync::Arc;
use std::time::Instant;

use super::simulated::{Ending, Simulated};
use super::{Random, at, drain, open, small, task};
use crate::queue::Now;
use crate::queue::disk::Disk;
use crate::queue::record::{Batch, IDS_END, Record, Seal};
use crate::queue::recovery::FARTHEST_ID;
use crate::queue::scan::Header;

const FIRST: &str = "0000000001.segment";

/// The files of a queue with these bodies, and where the record of each ends.
fn written(bodies: &[&[u8]], now: Now) -> (Vec<(String, Vec<u8>)>, Vec<usize>) {
    let disk = Simulated::default();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let (queue, _) = open(&shared, &small(), now);
    let mut ends = Vec::new();
    for body in bodies {
        queue.push_at(&task(Some("order"), None, body), now).expect("room");
        ends.push(segment(&disk.files()).len());
    }
    (disk.files(), ends)
}

fn segment(files: &[(String, Vec<u8>)]) -> &Vec<u8> {
    &files.iter().find(|(name, _)| name == FIRST).expect("a segment").1
}

fn with_segment(files: &[(String, Vec<u8>)], bytes: &[u8]) -> Simulated {
    let files: Vec<(&str, &[u8])> =
        files.iter().map(|(name, old)| (&**name, if name == FIRST { bytes } else { old })).collect();
    Simulated::with(&files)
}

#[test]
fn cut_anywhere_what_is_whole_remains() {
    let now = at(Instant::now(), 0);
    let (files, ends) = written(&[b"one", b"two", b"three"], now);
    let whole = segment(&files);
    for cut in 0..=whole.len() {
        let disk = with_segment(&files, &whole[..cut]);
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let (queue, recovery) = open(&shared, &small(), now);
        let expected = ends.iter().filter(|end| **end <= cut).count();
        assert_eq!(recovery.tasks, expected, "cut at {cut}");
        let is_clean = cut == 0 || cut == 32 || ends.contains(&cut);
        assert_eq!(recovery.damage.is_empty(), is_clean, "cut at {cut}: {recovery:?}");
        for damage in &recovery.damage {
            assert!(damage.is_tail, "{damage:?}");
            let kept = damage.set_aside.as_ref().expect("set aside");
            let (_, bytes) = disk.files().into_iter().find(|(name, _)| name == kept).expect("a copy");
            assert_eq!(bytes, whole[damage.offset as usize..cut]);
        }
        // It goes on as if nothing had been there.
        queue.push_at(&task(Some("order"), None, b"more"), now).expect("room");
        drop(queue);
        let shared: Arc<dyn Disk> = Arc::new(disk.restart(Ending::Kill));
        let (queue, recovery) = open(&shared, &small(), now);
        assert_eq!((recovery.tasks, recovery.damaged_places), (expected + 1, 0), "cut at {cut}");
        assert_eq!(drain(&queue, now).last().expect("tasks").body, b"more");
    }
}

#[test]
fn a_flipped_bit_costs_the_record_that_it_hits() {
    let now = at(Instant::now(), 0);
    let bodies: [&[u8]; 4] = [b"one", b"two", b"three", b"four"];
    let (files, ends) = written(&bodies, now);
    let whole = segment(&files);
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let hit = (bit / 8 >= 32).then(|| ends.iter().position(|end| bit / 8 < *end).expect("in a record"));
        let disk = with_segment(&files, &bytes);
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let (queue, recovery) = open(&shared, &small(), now);
        assert_eq!((recovery.damaged_places, recovery.damage.len()), (1, 1), "bit {bit}: {recovery:?}");
        let damage = &recovery.damage[0];
        let start = hit.map_or(0, |hit| if hit == 0 { 32 } else { ends[hit - 1] });
        let end = hit.map_or(32, |hit| ends[hit]);
        assert_eq!(
            (damage.segment.as_str(), damage.offset, damage.bytes),
            (FIRST, start as u64, (end - start) as u64)
        );
        let kept = damage.set_aside.as_ref().expect("set aside");
        let (_, copy) = disk.files().into_iter().find(|(name, _)| name == kept).expect("a copy");
        assert_eq!(copy, bytes[start..end], "bit {bit}");
        let left: Vec<Vec<u8>> = drain(&queue, now).into_iter().map(|lease| lease.body).collect();
        let expected: Vec<&[u8]> =
            bodies.iter().enumerate().filter(|(at, _)| Some(*at) != hit).map(|(_, body)| *body).collect();
        assert_eq!(left, expected, "bit {bit}");
        drop(queue);
        // The next start does not tell it again.
        let shared: Arc<dyn Disk> = Arc::new(disk.restart(Ending::Kill));
        assert_eq!(open(&shared, &small(), now).1.damage, [], "bit {bit}");
    }
}

/// A task may carry what looks like records; damage to its own head does not make tasks of them.
#[test]
fn a_body_never_turns_into_records() {
    let now = at(Instant::now(), 0);
    let (foreign, _) = written(&[b"forged"], now);
    let forged = segment(&foreign)[32..].to_vec();
    let (files, _) = written(&[&forged, b"last"], now);
    let mut bytes = segment(&files).clone();
    bytes[32] ^= 1;
    let shared: Arc<dyn Disk> = Arc::new(with_segment(&files, &bytes));
    let (queue, _) = open(&shared, &small(), now);
    assert_eq!(drain(&queue, now).into_iter().map(|lease| lease.body).collect::<Vec<_>>(), [b"last"]);
}

/// Both copies of the salt and most bytes are random: it opens, quickly, and takes tasks.
#[test]
fn nothing_that_lies_in_the_folder_keeps_it_from_opening() {
    let now = at(Instant::now(), 0);
    let mut random = Random::new(3);
    for round in 0..300 {
        let (files, _) = written(&[b"one", b"two"], now);
        let mut bytes = segment(&files).clone();
        let noise: Vec<u8> = (0..random.below(5000))
            .map(|at| if round % 3 == 0 { b"\xD5SWQ"[at as usize % 4] } else { random.next() as u8 })
            .collect();
        let at = random.below(bytes.len() as u64 + 1) as usize;
        bytes.splice(at..at, noise);
        let files: Vec<(&str, &[u8])> = match round % 2 {
            0 => vec![(FIRST, &bytes), ("salt", b"?"), ("4294967295.segment", b"x"), ("1.segment", b"y")],
            _ => vec![(FIRST, &bytes), ("0000000007.segment", &bytes)],
        };
        let disk = Simulated::with(&files);
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let (queue, recovery) = open(&shared, &small(), now);
        assert!(recovery.damaged_places > 0 && recovery.tasks <= 2);
        queue.push_at(&task(None, None, b"more"), now).expect("room");
        drain(&queue, now);
    }
}

#[test]
fn a_lost_header_costs_no_task_while_one_copy_of_the_salt_is_left() {
    let now = at(Instant::now(), 0);
    let (files, _) = written(&[b"one", b"two"], now);
    let mut bytes = segment(&files).clone();
    bytes[..32].fill(0);
    let shared: Arc<dyn Disk> = Arc::new(with_segment(&files, &bytes));
    let (queue, recovery) = open(&shared, &small(), now);
    assert_eq!((recovery.tasks, recovery.damage.len()), (2, 1));
    assert_eq!(drain(&queue, now).len(), 2);
    let only = Simulated::with(&[(FIRST, segment(&files))]);
    let shared: Arc<dyn Disk> = Arc::new(only);
    assert_eq!(open(&shared, &small(), now).1.tasks, 2);
}

/// A record that was whole at the start and is not when it is read.
#[test]
fn a_task_that_rots_while_the_queue_is_open_is_dead_and_named() {
    let now = at(Instant::now(), 0);
    let disk = Simulated::default();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let (queue, _) = open(&shared, &small(), now);
    let first = queue.push_at(&task(Some("order"), None, b"rots"), now).expect("room").id;
    queue.push_at(&task(Some("order"), None, b"stays"), now).expect("room");
    disk.open(FIRST).expect("a segment").write_at(b"#", 32 + 16 + 40).expect("written");
    match queue.take(None, now) {
        Some(crate::queue::Taken::Dead(death)) => {
            assert_eq!((death.id, &*death.reason), (first, "the record is damaged"))
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(super::take(&queue, now).expect("the next").body, b"stays");
    assert_eq!(queue.dead(0, usize::MAX)[0].id, first);
}

/// The segment, with one more record behind its last.
fn with_record(files: &[(String, Vec<u8>)], end: usize, record: Record<'_>) -> Simulated {
    let mut bytes = segment(files).clone();
    let header = Header::parse(&bytes, 1).expect("a header");
    let seal = Seal { salt: header.salt, segment: 1 };
    bytes.extend(Batch::of(record).sealed(seal, u32::try_from(end).expect("small")));
    with_segment(files, &bytes)
}

/// Whoever can write to the folder can forge checksums, too; so can a bit that flipped before they were made.
#[test]
fn a_forged_id_leaves_ids_for_others() {
    let now = at(Instant::now(), 0);
    let (files, ends) = written(&[b"one"], now);
    let shared: Arc<dyn Disk> = Arc::new(with_record(&files, ends[0], Record::Gone { id: IDS_END - 1 }));
    let (queue, recovery) = open(&shared, &small(), now);
    assert_eq!((recovery.tasks, recovery.damaged_places), (1, 1), "{recovery:?}");
    assert_eq!(queue.push_at(&task(None, None, b"two"), now).expect("an id").id, 2);
}

/// What may still be believed is not what makes the next ids incredible.
#[test]
fn a_task_behind_the_farthest_id_stays() {
    let now = at(Instant::now(), 0);
    let (files, ends) = written(&[b"one"], now);
    // The first id is 1, and so is the header's.
    for id in [FARTHEST_ID - 1, FARTHEST_ID] {
        let disk = with_record(&files, ends[0], Record::Gone { id });
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let (queue, recovery) = open(&shared, &small(), now);
        assert_eq!((recovery.tasks, recovery.damaged_places), (1, 0), "{recovery:?}");
        for next in 1..=3 {
            assert_eq!(queue.push_at(&task(None, None, b"two"), now).expect("an id").id, id + next);
        }
        drop(queue);
        let shared: Arc<dyn Disk> = Arc::new(disk.restart(Ending::Kill));
        let (queue, recovery) = open(&shared, &small(), now);
        assert_eq!((recovery.tasks, recovery.damaged_places), (4, 0), "{recovery:?}");
        assert_eq!(queue.push_at(&task(None, None, b"three"), now).expect("an id").id, id + 4);
    }
}
