//! Every reader of bytes that nobody vouches for, as the fuzzers (`fuzz/`) and the replay of what they found call it.
//!
//! A reader may answer whatever it likes. It must answer: no panic, no endless loop, no memory beyond its caps. Which files
//! tried that is in `fuzz/corpus/`, a folder for each reader; see `docs/fuzzing.md`.

use std::fmt::{self, Write};
use std::path::Path;
use std::str;

use artifact::Target;
use inputs::{Item, Limits};
use inspect::facts::Binary;
use reproduce::{Statement, Verdict};
use seaworthyd::queue::{Kind as TaskKind, Limits as QueueLimits, NewTask, Now, Queue, Taken};
use verify::{Date, Kind, PolicyFile, Preset, Subject};

/// One reader.
#[derive(Clone, Copy, Debug)]
pub struct Reader {
    /// Its name: that of its fuzz target and its folder of inputs.
    pub name: &'static str,
    /// Reads bytes and drops the answer.
    pub read: fn(&[u8]),
}

/// All readers.
pub const READERS: [Reader; 21] = [
    Reader { name: "inspect_elf", read: |bytes| inspected(b"\x7fELF", bytes) },
    Reader { name: "inspect_pe", read: |bytes| inspected(b"MZ", bytes) },
    Reader { name: "verify_elf", read: |bytes| verified(b"\x7fELF", bytes) },
    Reader { name: "verify_pe", read: |bytes| verified(b"MZ", bytes) },
    Reader { name: "policy", read: policy },
    Reader { name: "zip", read: |bytes| visited("fuzz.zip", bytes) },
    Reader { name: "tar", read: |bytes| visited("fuzz.tar", bytes) },
    Reader { name: "gzip", read: |bytes| visited("fuzz.tgz", bytes) },
    Reader { name: "xz", read: |bytes| visited("fuzz.txz", bytes) },
    Reader { name: "bzip2", read: |bytes| visited("fuzz.tbz2", bytes) },
    Reader { name: "zstd", read: |bytes| visited("fuzz.tzst", bytes) },
    Reader { name: "deb", read: |bytes| visited("fuzz.deb", bytes) },
    Reader { name: "rpm", read: |bytes| visited("fuzz.rpm", bytes) },
    Reader { name: "cabinet", read: |bytes| visited("fuzz.cab", bytes) },
    Reader { name: "installer", read: |bytes| visited("fuzz.msi", bytes) },
    Reader { name: "compare", read: compared },
    Reader { name: "queue", read: queued },
    Reader { name: "statement", read: |bytes| drop(Statement::read(bytes)) },
    Reader { name: "http", read: http },
    Reader { name: "control", read: controlled },
    Reader { name: "configuration", read: configured },
];

/// Has the reader called `name` read `bytes`.
///
/// # Panics
/// Where there is no such reader.
pub fn read(name: &str, bytes: &[u8]) {
    let reader =
        READERS.iter().find(|reader| reader.name == name).expect("a fuzz target is named after its reader");
    (reader.read)(bytes);
}

/// What one input may unpack to: little, because a fuzzer reads thousands of them in a second.
const LIMITS: Limits = Limits {
    file_bytes: 4 << 20,
    unpacked_bytes: 16 << 20,
    ratio: 100,
    free_bytes: 4 << 20,
    members: 10_000,
    nesting: 8,
    depth: 64,
    files: 1_000,
};

fn inspected(magic: &[u8], bytes: &[u8]) {
    // Anything else is refused at its first bytes, which is no work for a fuzzer.
    if bytes.starts_with(magic) {
        if let Ok(facts) = inspect::inspect(bytes) {
            let told = write!(Told(0), "{facts:?}");
            assert!(told.is_ok(), "what is found grows beyond measure when it is told");
        }
        drop(inspect::elf_linkage(bytes));
        drop(inspect::pe_linkage(bytes));
    }
}

/// How much was told so far, in bytes; more than the cap is an error.
struct Told(usize);

impl fmt::Write for Told {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len();
        if self.0 > 64 << 20 { Err(fmt::Error) } else { Ok(()) }
    }
}

fn verified(magic: &[u8], bytes: &[u8]) {
    if !bytes.starts_with(magic) {
        return;
    }
    let Ok(facts) = inspect::inspect_without_exports(bytes) else { return };
    let target = match facts.binary {
        Binary::Elf(_) => Target::X86_64Linux,
        Binary::Pe(_) => Target::X86_64Windows,
    };
    let policy = PolicyFile::default().policy(Some(Preset::Strict), target, Kind::Program);
    drop(verify::verify(&Subject::new("fuzz", bytes, &facts), &policy));
}

/// Two files of one size.
fn compared(bytes: &[u8]) {
    let (published, rebuilt) = bytes.split_at(bytes.len() / 2);
    let compared = reproduce::compare("fuzz", published, rebuilt);
    assert_eq!(compared.verdict == Verdict::Identical, published == rebuilt, "{compared:?}");
}

/// What a client may say to the daemon, and what a client may hear.
fn controlled(bytes: &[u8]) {
    use seaworthyd::control::protocol::{self, Answer, Request};
    if let Ok(request) = protocol::read::<Request>(bytes) {
        let mut line = Vec::new();
        protocol::write(&mut line, &request).expect("in memory");
        assert_eq!(protocol::read::<Request>(line.as_slice()).expect("our own"), request);
    }
    drop(protocol::read::<Answer>(bytes));
}

/// The daemon's configuration.
fn configured(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = seaworthyd::check_configuration(text);
    }
}

/// A folder with one segment of these bytes: it opens, whatever they are, and what survives can be taken, and is not there
/// again afterwards.
fn queued(bytes: &[u8]) {
    // In memory where there is such a place: a fuzzer would wear a disk down.
    let shared = Path::new("/dev/shm");
    let folder = if shared.is_dir() { tempfile::tempdir_in(shared) } else { tempfile::tempdir() };
    let folder = folder.expect("a temporary folder");
    std::fs::write(folder.path().join("0000000001.segment"), bytes).expect("a segment");
    let limits =
        || QueueLimits { segment_bytes: 64 << 10, max_body_bytes: 4 << 10, ..QueueLimits::default() };
    let (queue, recovery) = Queue::open(folder.path(), limits()).expect("damage is no error");
    let held = queue.depth() + queue.dead(0, usize::MAX).len();
    assert_eq!(held, recovery.tasks + recovery.dead);
    queue.reconnected(TaskKind::Deliver);
    queue.reconnected(TaskKind::Command);
    let now = Now::read();
    let mut taken = 0;
    while let Some(next) = queue.take(None, now) {
        taken += 1;
        if let Taken::Task(lease) = next {
            queue.done(lease.id).expect("in flight");
        }
    }
    assert_eq!((taken, queue.depth()), (recovery.tasks, 0), "each is handed out once");
    let new = NewTask { body: b"new".to_vec(), ..NewTask::default() };
    let id = queue.push(&new).expect("room").id;
    let dead = queue.dead(0, usize::MAX).len();
    drop(queue);
    let (queue, recovery) = Queue::open(folder.path(), limits()).expect("it opens again");
    assert_eq!((recovery.tasks, recovery.dead), (1, dead), "what ended is back");
    assert!(
        matches!(queue.take(None, now), Some(Taken::Task(lease)) if lease.id == id),
        "the new task is gone"
    );
}

fn policy(bytes: &[u8]) {
    if let Ok(text) = str::from_utf8(bytes) {
        drop(PolicyFile::parse(text, "fuzz.toml", Date::of_seconds(1_800_000_000)));
    }
}

/// What comes to seaworthyd over HTTP and from its file of counters.
fn http(bytes: &[u8]) {
    seaworthyd::http::read_response_head(bytes);
    seaworthyd::http::read_request_head(bytes);
    seaworthyd::metrics::read_counters_file(bytes);
    if let Ok(text) = str::from_utf8(bytes) {
        let _ = seaworthyd::metrics::Format::for_accept(text);
        if let Ok(url) = text.parse::<seaworthyd::http::Url>() {
            assert_eq!(url.to_string().parse().as_ref(), Ok(&url), "an address that is another when told");
        }
    }
}

fn visited(name: &str, bytes: &[u8]) {
    inputs::visit_bytes(name, bytes.to_vec(), &LIMITS, &mut |item| match item {
        Item::File(input) => {
            assert!(input.bytes.len() as u64 <= LIMITS.file_bytes, "a cap that does not cap")
        }
        Item::Unreadable { error, .. } => drop(error.to_string()),
    });
}
