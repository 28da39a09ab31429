//! The daemon's durable queue beside SQLite, which many a queue is made of, on the same disk.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::measure::{self, Times};
use crate::failure::{Failure, Message};
use crate::render::Renderer;

/// How often everything is repeated, in turns; the median counts.
const REPEATED: usize = 5;
/// What is asked for: pushes beside SQLite's, and seconds until a million tasks are there.
const BARS: (f64, f64) = (1.0, 1.0);
/// Nanoseconds for each of 2,000 rows of 200 bytes, each committed in WAL mode with `synchronous=FULL`: on the disk when the
/// commit returns, as a push is. Python's module is SQLite's own library.
const SQLITE: &str = r#"
import os, sqlite3, sys, tempfile, time
with tempfile.TemporaryDirectory(dir=sys.argv[1]) as folder:
    database = sqlite3.connect(os.path.join(folder, "queue"), isolation_level=None)
    database.execute("pragma journal_mode=wal")
    database.execute("pragma synchronous=full")
    database.execute("create table tasks (id integer primary key, body blob)")
    begun = time.perf_counter_ns()
    for _ in range(2000):
        database.execute("insert into tasks (body) values (?)", (b"y" * 200,))
    print((time.perf_counter_ns() - begun) // 2000)
"#;

#[derive(Serialize)]
struct Measured {
    machine: String,
    /// Microseconds for each push.
    one_thread: Times,
    /// The same, by eight threads at once.
    eight_threads: Times,
    /// Microseconds for each row.
    sqlite: Times,
    /// Seconds until a queue of a million tasks is open.
    open_seconds: f64,
    /// What the process has then, and had before. MiB.
    resident_mib: f64,
}

/// What `daemon/benches/queue.rs` prints.
#[derive(Deserialize)]
struct Figures {
    push_ns_1_thread: f64,
    push_ns_8_threads: f64,
    #[serde(default)]
    open_ms: f64,
    #[serde(default)]
    resident_bytes: f64,
}

/// Measures and prints.
pub(super) fn run(renderer: &Renderer) -> Result<(), Failure> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    let folder = tempfile::Builder::new().prefix("bench-").tempdir().map_err(|error| {
        Failure::Usage(Message::new(format!("cannot make a folder: {error}"), "make room on the disk"))
    })?;
    let disk = folder.path().display().to_string();
    renderer.status("build", "the queue as it ships, and open it with a million tasks");
    let opened = ours(workspace, &[&disk])?;
    let (mut one_thread, mut eight_threads, mut sqlite) =
        (Times::default(), Times::default(), Times::default());
    for round in 1..=REPEATED {
        renderer.status("push", &format!("round {round} of {REPEATED}"));
        let figures = ours(workspace, &["--pushes", &disk])?;
        one_thread.push(figures.push_ns_1_thread / 1e3);
        eight_threads.push(figures.push_ns_8_threads / 1e3);
        let answer = measure::answer(Path::new("python3"), &["-c", SQLITE, &disk]);
        let nanoseconds =
            answer.and_then(|output| String::from_utf8(output.stdout).ok()?.trim().parse().ok());
        let nanoseconds: f64 = nanoseconds.ok_or_else(|| {
            Failure::Usage(Message::new("python3 has no working sqlite3", "apt-get install python3"))
        })?;
        sqlite.push(nanoseconds / 1e3);
    }
    let measured = Measured {
        machine: measure::machine(),
        one_thread,
        eight_threads,
        sqlite,
        open_seconds: opened.open_ms / 1e3,
        resident_mib: opened.resident_bytes / f64::from(1 << 20),
    };
    renderer.result(&measured, shown);
    Ok(())
}

fn ours(workspace: &Path, arguments: &[&str]) -> Result<Figures, Failure> {
    let failed =
        |why: &str| Failure::Build(Message::new(format!("the queue's benchmark: {why}"), "mend that"));
    let manifest = workspace.join("Cargo.toml").display().to_string();
    let cargo = ["bench", "--quiet", "--locked", "--manifest-path", &manifest, "--package", "seaworthyd"];
    let all = [&cargo[..], &["--bench", "queue", "--"], arguments].concat();
    let output = measure::answer(Path::new("cargo"), &all).ok_or_else(|| failed("cargo does not start"))?;
    serde_json::from_slice(&output.stdout).map_err(|_| failed(&String::from_utf8_lossy(&output.stderr)))
}

fn shown(measured: &Measured) -> String {
    let Measured { machine, one_thread, eight_threads, sqlite, open_seconds, resident_mib } = measured;
    let mut text = format!(
        "{machine}\n\nmedians of {REPEATED}; 2000 tasks of 200 bytes, each on the disk before the next\n{:<34} {:>10} {:>20} {:>8}\n",
        "", "microsec.", "least to most", "ratio"
    );
    for (name, times) in [
        ("SQLite, WAL, synchronous=FULL", sqlite),
        ("seaworthyd's queue, one thread", one_thread),
        ("seaworthyd's queue, eight threads", eight_threads),
    ] {
        let (least, most) = times.span();
        let (median, span) = (times.median(), format!("{least:.0} to {most:.0}"));
        text += &format!("{name:<34} {median:>10.0} {span:>20} {:>8.2}\n", median / sqlite.median());
    }
    text += &format!("a million tasks: open in {open_seconds:.2} s, {resident_mib:.0} MiB resident\n");
    let (pushes, open) = BARS;
    let ratio = sqlite.median() / one_thread.median();
    for (met, bar) in [
        (
            ratio >= pushes,
            format!("one thread pushes {ratio:.2} times what SQLite commits, at least {pushes}"),
        ),
        (*open_seconds <= open, format!("a million tasks are open within {open} s")),
    ] {
        text += &format!("  {:<7} {bar}\n", if met { "met" } else { "MISSED" });
    }
    text
}
