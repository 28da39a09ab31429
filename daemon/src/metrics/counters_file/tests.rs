//! Files that were written, cut, bent and forged.

use std::time::Duration;

use super::super::{Build, ExitReason, Format, TaskEnd};
use super::*;

fn counted() -> Metrics {
    let metrics = empty();
    metrics.worker_started();
    metrics.workload_started("web", 1);
    metrics.workload_started("web", 1);
    metrics.workload_exited("web", ExitReason::Signal);
    metrics.task_ended(TaskEnd::DeadLetter);
    metrics.event(101);
    metrics.task_sent(Duration::from_millis(3), None);
    metrics.task_sent(Duration::from_secs(7200), None);
    metrics
}

fn empty() -> Metrics {
    let metrics = Metrics::new(Build::default(), None);
    metrics.set_workloads(["web"]);
    metrics
}

/// The page without what is not counted.
fn counts(metrics: &Metrics) -> Vec<String> {
    let page = metrics.render(Format::Prometheus);
    let is_kept = |line: &&str| {
        !line.starts_with(['#', 'p'])
            && !line.contains("_host_")
            && !line.contains("_cpu_seconds")
            && !line.contains("_start_time_")
            && !line.contains("_workload_resident")
            && !line.contains("_fds")
            && !line.contains("_threads")
    };
    page.lines().filter(is_kept).map(str::to_owned).collect()
}

/// Since when all counters, and a workload's, count.
fn since(metrics: &Metrics) -> Vec<u64> {
    let mut all = Vec::new();
    each_since(metrics, &mut |_, since| all.push(since.value()));
    all
}

fn write(kept: &Kept, text: &str) {
    fs::write(kept.path(), text).expect("written");
}

/// `lines` with the checksum that belongs to them.
fn signed(lines: &str) -> String {
    format!("{lines}{}", checksum_line(lines))
}

#[test]
fn counters_come_back_and_go_on() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let kept = Kept::in_folder(folder.path());
    assert_eq!(kept.restore(&empty()).expect("no file is no damage"), 0);
    let first = counted();
    for durable in [false, true] {
        kept.save(&Kept::text(&first), durable).expect("saved");
    }
    let second = empty();
    assert!(kept.restore(&second).expect("taken") > 5);
    assert_eq!((counts(&second), since(&second)), (counts(&first), since(&first)));
    second.worker_started();
    assert!(second.render(Format::Prometheus).contains("\nseaworthyd_worker_starts_total 2\n"));
    let names: Vec<_> =
        fs::read_dir(folder.path()).expect("a folder").map(|entry| entry.expect("one").file_name()).collect();
    assert_eq!(names, [NAME], "nothing is left beside it");
}

/// The checksum as Python's zlib has it.
#[test]
fn the_checksum_is_that_of_zip() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/http/counters");
    assert!(read_counters_file(&fs::read(file).expect("kept in the repository")));
}

#[test]
fn every_cut_and_every_flipped_bit_is_noticed() {
    let text = Kept::text(&counted());
    assert!(read_counters_file(text.as_bytes()));
    for end in 0..text.len() {
        assert!(!read_counters_file(&text.as_bytes()[..end]), "cut at {end}");
    }
    let mut bytes = text.into_bytes();
    for index in 0..bytes.len() * 8 {
        bytes[index / 8] ^= 1 << (index % 8);
        assert!(!read_counters_file(&bytes), "bit {index}");
        bytes[index / 8] ^= 1 << (index % 8);
    }
}

#[test]
fn a_forged_file_changes_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let kept = Kept::in_folder(folder.path());
    let name = "seaworthyd_worker_starts_total";
    for (lines, expected) in [
        (format!("{FIRST_LINE}{name} 1\n{name} 1\n"), "twice"),
        (format!("{FIRST_LINE}{name} 18446744073709551615\n"), "not a count"),
        (format!("{FIRST_LINE}{name} -1\n"), "not a count"),
        (format!("{FIRST_LINE}{name} +1\n"), "not a count"),
        (format!("{FIRST_LINE}{name} 1e3\n"), "not a count"),
        (format!("{FIRST_LINE}{name}\n"), "no value"),
        (format!("seaworthyd-counters 2\n{name} 1\n"), "first line"),
        (format!("{FIRST_LINE}since 1\n{name} x\n"), "not a count"),
    ] {
        write(&kept, &signed(&lines));
        let metrics = empty();
        let begun = since(&metrics);
        let damage = kept.restore(&metrics).expect_err("refused").to_string();
        assert!(damage.contains(expected), "{damage} for {lines}");
        assert_eq!((counts(&metrics), since(&metrics)), (counts(&empty()), begun));
    }
    // Names of another version, or of a workload that is gone, are no damage.
    write(
        &kept,
        &signed(&format!(
            "{FIRST_LINE}since 5\nsince{{workload=\"x\"}} 6\nother_total 9\n{name} 3\nseaworthyd_workload_starts_total{{workload=\"x\"}} 5\n"
        )),
    );
    let metrics = empty();
    let begun = since(&metrics);
    assert_eq!(kept.restore(&metrics).expect("taken"), 3);
    assert_eq!(since(&metrics), [5, begun[1]]);
    assert!(metrics.render(Format::Prometheus).contains(&format!("\n{name} 3\n")));
}

#[test]
fn what_is_no_plain_file_is_not_opened() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let kept = Kept::in_folder(folder.path());
    fs::create_dir(kept.path()).expect("made");
    assert!(matches!(kept.restore(&empty()), Err(Damage::Invalid(_))));
    assert!(kept.save(&Kept::text(&counted()), false).is_err());
    fs::remove_dir(kept.path()).expect("removed");
    write(&kept, &"x".repeat(LARGEST + 1));
    assert!(matches!(kept.restore(&empty()), Err(Damage::Invalid(_))));
    #[cfg(unix)]
    {
        fs::remove_file(kept.path()).expect("removed");
        rustix::fs::mknodat(rustix::fs::CWD, kept.path(), rustix::fs::FileType::Fifo, 0o600.into(), 0)
            .expect("a pipe");
        assert!(matches!(kept.restore(&empty()), Err(Damage::Invalid(_))));
    }
}
