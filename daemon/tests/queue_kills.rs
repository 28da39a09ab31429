//! The queue in a process that is killed with SIGKILL at random moments: this test starts itself as that process.
//!
//! `SEAWORTHYD_KILLS` says how many times; the folder of the queue is below `TMPDIR`.
#![cfg(unix)]
#![expect(clippy::disallowed_methods, reason = "the test starts itself")]

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use seaworthyd::queue::{Kind, Limits, NewTask, Now, Queue, Taken, Why};

const FOLDER: &str = "SEAWORTHYD_KILLS_FOLDER";
const ROUND: &str = "SEAWORTHYD_KILLS_ROUND";

fn limits() -> Limits {
    Limits {
        segment_bytes: 32 << 10,
        max_body_bytes: 8 << 10,
        max_attempts: 255,
        max_tasks: 5000,
        ..Limits::default()
    }
}

/// The process that is killed: three threads push and one takes, and each tells what it was promised in a line of its own.
///
/// Nothing but a helper of the test below; without its environment there is nothing to do.
#[test]
fn pushes_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let round: u64 = std::env::var(ROUND).expect("the round").parse().expect("a number");
    let (queue, recovery) = Queue::open(Path::new(&folder), limits()).expect("it opens");
    // Not through the test harness, which would keep it until the end.
    let out = Mutex::new(std::fs::OpenOptions::new().write(true).open("/dev/stdout").expect("the pipe"));
    let tell = |line: String| out.lock().expect("lock").write_all(line.as_bytes()).expect("the pipe");
    for damage in &recovery.damage {
        assert!(damage.is_tail, "{damage:?}");
    }
    tell(format!("open {}\n", recovery.tasks));
    thread::scope(|scope| {
        for pusher in 0..3 {
            let (queue, tell) = (&queue, &tell);
            scope.spawn(move || {
                for number in 0.. {
                    let key = format!("{round}-{pusher}-{number}");
                    let length = (number * 7919 + round * 31) % 700;
                    let body = format!("{key}{}", "x".repeat(length as usize)).into_bytes();
                    let task = NewTask {
                        order_key: Some(format!("order{pusher}")),
                        idempotency_key: Some(key.clone()),
                        body,
                        ..NewTask::default()
                    };
                    match queue.push(&task) {
                        Ok(pushed) => tell(format!("pushed {} {key}\n", pushed.id)),
                        Err(refused) => {
                            assert_eq!(refused, seaworthyd::queue::Refused::Full);
                            queue.wait(None, Duration::from_millis(5));
                        }
                    }
                }
            });
        }
        for number in 0_u64.. {
            // In some lives more comes in than is done, so that there is a past to come back to.
            if round.is_multiple_of(3) {
                thread::sleep(Duration::from_millis(4));
            }
            match queue.take(None, Now::read()) {
                Some(Taken::Task(lease)) => {
                    assert!(lease.body.starts_with(lease.idempotency_key.as_bytes()), "{lease:?}");
                    tell(format!("taken {} {}\n", lease.id, lease.idempotency_key));
                    if number % 10 == 9 {
                        queue.retry(lease.id, Why::Unreachable, Now::read()).expect("in flight");
                        queue.reconnected(Kind::Deliver);
                    } else {
                        // Told first: between the two, it may be done or not.
                        tell(format!("doing {}\n", lease.id));
                        queue.done(lease.id).expect("in flight");
                        tell(format!("done {}\n", lease.id));
                    }
                }
                Some(other) => panic!("{other:?}"),
                None => queue.wait(None, Duration::from_millis(1)),
            }
        }
    });
}

/// What was promised so far.
#[derive(Default)]
struct Ledger {
    held: BTreeMap<u64, String>,
    done: BTreeSet<u64>,
    /// About to be done.
    doing: Option<u64>,
    /// Were about to be done when the process was killed.
    perhaps_done: BTreeSet<u64>,
    /// The last of each order key that was done.
    last_done: BTreeMap<String, u64>,
    acknowledged: u64,
    /// Tasks that were about to be done and were handed out again.
    repeated: u64,
}

impl Ledger {
    fn line(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let id = || words[1].parse::<u64>().expect("a number");
        match words[0] {
            "open" => {}
            "pushed" => {
                self.acknowledged += 1;
                // It may be taken before its pusher has told of it.
                if !self.done.contains(&id()) && !self.perhaps_done.contains(&id()) {
                    self.held.insert(id(), words[2].to_owned());
                }
            }
            "taken" => {
                assert!(!self.done.contains(&id()), "{line}: it was done");
                self.repeated += u64::from(self.perhaps_done.remove(&id()));
                let known = self.held.entry(id()).or_insert_with(|| words[2].to_owned());
                assert_eq!(known, words[2], "another key than before");
                let order = words[2].split('-').nth(1).expect("a key").to_owned();
                assert!(self.last_done.get(&order).is_none_or(|last| *last < id()), "{line}: out of order");
            }
            "doing" => self.doing = Some(id()),
            "done" => {
                self.doing = None;
                self.end(id());
            }
            _ => panic!("{line}"),
        }
    }

    /// What was about to be done is still there or not; a later round tells.
    fn killed(&mut self) {
        if let Some(id) = self.doing.take() {
            self.held.remove(&id);
            self.perhaps_done.insert(id);
        }
    }

    fn end(&mut self, id: u64) {
        self.done.insert(id);
        if let Some(key) = self.held.remove(&id) {
            self.last_done.insert(key.split('-').nth(1).expect("a key").to_owned(), id);
        }
    }
}

#[test]
fn no_acknowledged_task_is_lost_to_kills() {
    let kills: u64 = std::env::var("SEAWORTHYD_KILLS").map_or(40, |count| count.parse().expect("a number"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("queue");
    let (mut ledger, mut tails) = (Ledger::default(), 0);
    let begun = Instant::now();
    let random = RandomState::new();
    for round in 0..kills {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "pushes_until_it_is_killed", "--nocapture", "--quiet"])
            .env(FOLDER, &path)
            .env(ROUND, round.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut lines =
            BufReader::new(child.stdout.take().expect("piped")).lines().map(|line| line.expect("UTF-8"));
        let ours = ["open", "pushed", "taken", "doing", "done"];
        let is_ours = |line: &String| ours.contains(&line.split(' ').next().unwrap_or_default());
        // Some are killed while they open, most while they work: after some lines, and a moment.
        let chance = random.hash_one(round);
        let wanted = if round.is_multiple_of(5) { 0 } else { 1 + chance % 20 };
        for _ in 0..wanted {
            let Some(line) = lines.by_ref().find(is_ours) else {
                let mut why = String::new();
                std::io::Read::read_to_string(&mut child.stderr.take().expect("piped"), &mut why)
                    .expect("UTF-8");
                panic!("it ends by itself: {why}");
            };
            ledger.line(&line);
        }
        thread::sleep(Duration::from_micros(chance / 64 % if wanted == 0 { 15_000 } else { 3000 }));
        child.kill().expect("it runs");
        let status = child.wait().expect("it ends");
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&status),
            Some(9),
            "it ended by itself: {status}"
        );
        for line in lines.filter(is_ours) {
            // The last may be cut.
            if line.split(' ').count()
                >= if line.starts_with("pushed") || line.starts_with("taken") { 3 } else { 2 }
            {
                ledger.line(&line);
            }
        }
        ledger.killed();
        if round % 20 == 19 || round + 1 == kills {
            tails += check(&path, &mut ledger, round + 1 == kills);
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    assert!(ledger.acknowledged > kills, "{} acknowledged", ledger.acknowledged);
    let report = format!(
        "{{\"kills\":{kills},\"acknowledged\":{},\"done\":{},\"lost\":0,\"told_half_done\":{},\"of_them_again\":{},\"torn_tails_seen_here\":{tails},\"seconds\":{seconds:.1}}}\n",
        ledger.acknowledged,
        ledger.done.len(),
        ledger.perhaps_done.len() as u64 + ledger.repeated,
        ledger.repeated
    );
    std::io::stderr().write_all(report.as_bytes()).expect("told");
}

/// Opens the queue in this process and holds it against the ledger; at last, all is taken.
fn check(path: &Path, ledger: &mut Ledger, is_last: bool) -> usize {
    let (queue, recovery) = Queue::open(path, limits()).expect("it opens");
    assert!(recovery.damage.iter().all(|damage| damage.is_tail), "{recovery:?}");
    assert_eq!(queue.dead(0, usize::MAX), []);
    // A repeated key answers with the first id.
    for (id, key) in ledger.held.iter().take(3).chain(ledger.held.iter().next_back()) {
        let again = NewTask { idempotency_key: Some(key.clone()), ..NewTask::default() };
        let pushed = queue.push(&again).expect("a repeat");
        assert_eq!((pushed.id, pushed.is_repeat), (*id, true));
    }
    assert!(recovery.tasks >= ledger.held.len(), "{} tasks, {} held", recovery.tasks, ledger.held.len());
    if !is_last {
        return recovery.damage.len();
    }
    let (mut seen, mut last) = (BTreeSet::new(), BTreeMap::new());
    queue.reconnected(Kind::Deliver);
    while let Some(taken) = queue.take(None, Now::read()) {
        let Taken::Task(lease) = taken else { panic!("{taken:?}") };
        ledger.line(&format!("taken {} {}", lease.id, lease.idempotency_key));
        assert!(last.insert(lease.order_key.clone(), lease.id) < Some(lease.id), "out of order");
        queue.done(lease.id).expect("in flight");
        seen.insert(lease.id);
    }
    let lost: Vec<_> = ledger.held.keys().filter(|id| !seen.contains(id)).collect();
    assert!(lost.is_empty(), "{lost:?} are lost");
    recovery.damage.len()
}
