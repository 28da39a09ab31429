//! Figures of the durable queue as one JSON object: `cargo bench --package seaworthyd --bench queue -- [--pushes] FOLDER`.
//!
//! On the disk of FOLDER (default: the current one): nanoseconds for each push of 200 bytes that is synced, by one thread
//! and by eight; then how long a queue of a million such tasks takes to open, with a warm cache, and what memory the
//! process has then. `cargo xtask bench queue` runs it beside SQLite.
#![expect(clippy::print_stdout, reason = "a benchmark tells its figures")]

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use seaworthyd::queue::{Limits, NewTask, Queue};

const BODY: usize = 200;
const PUSHES: usize = 2000;
const PENDING: usize = 1_000_000;
/// Divides them.
const PUSHERS: usize = 250;

fn main() {
    let (mut folder, mut only_pushes) = (None, false);
    for argument in std::env::args_os().skip(1) {
        // `cargo bench` adds an option of its own.
        match argument.to_str() {
            Some("--bench") => {}
            Some("--pushes") => only_pushes = true,
            _ => folder = Some(PathBuf::from(argument)),
        }
    }
    let folder = folder.unwrap_or_default().join(format!("queue-bench-{}", std::process::id()));
    let one = pushes(&folder, 1);
    let eight = pushes(&folder, 8);
    if only_pushes {
        std::fs::remove_dir_all(&folder).expect("removed");
        println!("{{\"push_ns_1_thread\":{one},\"push_ns_8_threads\":{eight}}}");
        return;
    }
    fill(&folder);
    let (before, cpu, begun) = (resident(), cpu_ns(), Instant::now());
    let (queue, recovery) = Queue::open(&folder, limits()).expect("it opens");
    let open = begun.elapsed();
    let (after, cpu) = (resident(), cpu_ns().zip(cpu).map(|(after, before)| after - before));
    let told = |figure: Option<u64>| figure.map_or("null".to_owned(), |figure| figure.to_string());
    assert_eq!(recovery.tasks, PENDING);
    let figures = queue.figures(seaworthyd::queue::Now::read());
    drop(queue);
    std::fs::remove_dir_all(&folder).expect("removed");
    println!(
        "{{\"push_ns_1_thread\":{one},\"push_ns_8_threads\":{eight},\"pushes\":{PUSHES},\"body_bytes\":{BODY},\
         \"pending\":{PENDING},\"disk_bytes\":{},\"open_ms\":{:.1},\"open_cpu_ns\":{},\"resident_bytes_before\":{},\"resident_bytes\":{}}}",
        figures.disk_bytes,
        open.as_secs_f64() * 1e3,
        told(cpu),
        told(before),
        told(after),
    );
}

fn limits() -> Limits {
    Limits { max_tasks: 10_000_000, max_bytes: 4 << 30, ..Limits::default() }
}

fn task() -> NewTask {
    NewTask { body: vec![b'y'; BODY], ..NewTask::default() }
}

/// Nanoseconds for each push, of all threads together.
fn pushes(folder: &Path, threads: usize) -> u128 {
    let _ = std::fs::remove_dir_all(folder);
    let (queue, _) = Queue::open(folder, limits()).expect("it opens");
    let task = task();
    queue.push(&task).expect("room");
    let begun = Instant::now();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| (0..PUSHES / threads).for_each(|_| drop(queue.push(&task).expect("room"))));
        }
    });
    begun.elapsed().as_nanos() / PUSHES as u128
}

/// A million tasks, by so many threads that few syncs are needed.
fn fill(folder: &Path) {
    let _ = std::fs::remove_dir_all(folder);
    let (queue, _) = Queue::open(folder, limits()).expect("it opens");
    let task = task();
    thread::scope(|scope| {
        for _ in 0..PUSHERS {
            let push = || (0..PENDING / PUSHERS).for_each(|_| drop(queue.push(&task).expect("room")));
            thread::Builder::new().stack_size(64 << 10).spawn_scoped(scope, push).expect("a thread");
        }
    });
}

/// Resident memory of this process, where Linux tells (proc_pid_statm(5)). Bytes.
fn resident() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

/// How long this thread has been on a processor, where Linux tells (proc(5), `schedstat`): on a machine that is busy with
/// other things, what the time would be without. Nanoseconds.
fn cpu_ns() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    stat.split(' ').next()?.parse().ok()
}
