//! Hours of trouble, an hour in some seconds: crashes, hangs, growing memory, a lost network, a worker that dies. Afterwards
//! nothing has leaked, and every event is in the log as often as it was made to happen and as the metrics say.
//!
//! `SEAWORTHYD_SIMULATED_HOURS=24 cargo test -p seaworthyd --test simulated_day -- --nocapture` takes the whole day.
#![cfg(unix)]
#![expect(clippy::print_stdout, reason = "how the day went is told")]

mod nginx;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nginx::{Nginx, free_port};
use rustix::process::{Pid, Signal};
use serde_json::Value;
use support::{ask_with, configure, folder, program, wait_until, workload};

/// How many tasks are pushed while the network is away, in each hour.
const TASKS: usize = 3;
/// A limit that the workload which grows goes past.
const LIMIT: u64 = 64 << 20;
/// What a process may have grown by between two crashes of the worker. KiB.
const GROWTH: u64 = 1024;

/// How often what was done.
#[derive(Debug, Default)]
struct Done {
    crashes: usize,
    hangs: usize,
    growths: usize,
    losses: usize,
    worker_deaths: usize,
    reloads: usize,
    keys: BTreeSet<String>,
}

struct Day<'a> {
    folder: &'a Path,
    guardian: Child,
    records: Arc<Mutex<Vec<Value>>>,
    metrics: u16,
    collector: u16,
    done: Done,
    /// By how much the counters of events may stand behind the log: what a killed worker had not saved yet.
    lost: BTreeMap<String, usize>,
}

impl Drop for Day<'_> {
    fn drop(&mut self) {
        let _ = self.guardian.kill();
        let _ = self.guardian.wait();
    }
}

impl<'a> Day<'a> {
    fn begin(folder: &'a Path) -> Self {
        let (metrics, collector) = (free_port(), free_port());
        let mut guardian = program()
            .arg("run")
            .arg("--config")
            .arg(configure(folder, &config(folder, metrics, collector, "")))
            .stderr(Stdio::piped())
            .spawn()
            .expect("the daemon starts");
        let lines = BufReader::new(guardian.stderr.take().expect("piped")).lines();
        let records = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&records);
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                kept.lock().expect("whole").push(serde_json::from_str(&line).expect("a record"));
            }
        });
        let (done, lost) = (Done::default(), BTreeMap::new());
        Self { folder, guardian, records, metrics, collector, done, lost }
    }

    /// How many records of `event` there are; of that workload's, if one is named.
    fn count(&self, event: &str, workload: Option<&str>) -> usize {
        let records = self.records.lock().expect("whole");
        let is_of = |record: &&Value| {
            record["event"] == event && workload.is_none_or(|name| record["workload"] == name)
        };
        records.iter().filter(is_of).count()
    }

    /// Waits for one more record of `event`, of that workload, than there were when this was called, after `act`.
    fn after(&self, act: impl FnOnce(), event: &str, workload: Option<&str>) {
        let before = self.count(event, workload);
        act();
        wait_until(event, || self.count(event, workload) > before);
    }

    fn worker(&self) -> i64 {
        let records = self.records.lock().expect("whole");
        let last = records.iter().rev().find(|record| record["event"] == "starting").expect("a worker");
        last["fields"]["pid"].as_i64().expect("a process number")
    }

    /// The process of a workload that runs.
    fn pid(&self, workload: &str) -> i64 {
        let records = self.records.lock().expect("whole");
        let is_start =
            |record: &&Value| record["event"] == "workload-started" && record["workload"] == workload;
        let last = records.iter().rev().find(is_start).expect("it was started");
        last["fields"]["pid"].as_i64().expect("a process number")
    }

    fn crash(&mut self) {
        self.after(|| support::kill(self.pid("crashes")), "workload-started", Some("crashes"));
        self.done.crashes += 1;
    }

    fn hang(&mut self) {
        let file = self.folder.join("hang");
        self.after(|| std::fs::write(file, "").expect("written"), "workload-started", Some("hangs"));
        self.done.hangs += 1;
    }

    fn grow(&mut self) {
        let file = self.folder.join("grow");
        self.after(|| std::fs::write(file, "").expect("written"), "workload-started", Some("grows"));
        self.done.growths += 1;
    }

    fn lose_network(&mut self, collector: Nginx) -> Nginx {
        collector.stop();
        let done = self.count("task-done", None);
        let push = || {
            for number in 0..TASKS {
                let key = format!("loss-{}-{number}", self.done.losses);
                let (text, code) = ask_with(self.folder, &format!("queue push --key {key}"), key.as_bytes());
                assert_eq!(code, 0, "{text}");
            }
        };
        self.after(push, "collector-away", None);
        let collector = Nginx::start(self.folder, self.collector);
        wait_until("every task is done", || self.count("task-done", None) == done + TASKS);
        let key = |number| format!("loss-{}-{number}", self.done.losses);
        self.done.keys.extend((0..TASKS).map(key));
        self.done.losses += 1;
        collector
    }

    /// Ends the worker without warning: by a kill, or because it stands still and the guardian loses patience.
    fn lose_worker(&mut self, how: Signal) {
        let started = self.count("workload-started", None);
        let worker = Pid::from_raw(i32::try_from(self.worker()).expect("a process number")).expect("not 0");
        let counted = self.counted();
        let crash = || rustix::process::kill_process(worker, how).expect("it runs");
        self.after(crash, "worker-crashed", None);
        let at_death: Vec<Value> = {
            let records = self.records.lock().expect("whole");
            let next =
                records.iter().rposition(|record| record["event"] == "starting").expect("the next one");
            records[..next].to_vec()
        };
        for (event, logged) in by_event(&at_death) {
            let lost = &mut *self.lost.entry(event.clone()).or_default();
            *lost = logged - counted.get(&event).copied().unwrap_or(0).min(logged);
            assert!(
                *lost <= 2 * (1 + self.done.worker_deaths),
                "{event}: {logged} records, {lost} not counted"
            );
        }
        wait_until("its workloads run again", || self.count("workload-started", None) == started + 4);
        self.done.worker_deaths += 1;
    }

    fn reload(&mut self) {
        for more in [workload("sometimes", "exec sleep 1000"), String::new()] {
            configure(self.folder, &config(self.folder, self.metrics, self.collector, &more));
            let hup = || {
                let guardian = Pid::from_child(&self.guardian);
                rustix::process::kill_process(guardian, Signal::HUP).expect("it runs");
            };
            self.after(hup, "reloaded", None);
            self.done.reloads += 1;
        }
        let stopped = || self.count("workload-stopped", Some("sometimes")) == self.done.reloads / 2;
        wait_until("it is gone", stopped);
    }

    fn page(&self) -> String {
        let mut answer = String::new();
        let mut stream = TcpStream::connect(("127.0.0.1", self.metrics)).expect("connected");
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").expect("asked");
        stream.read_to_string(&mut answer).expect("answered");
        answer
    }

    /// The counter, by its name and labels as they stand on the page.
    fn counter(&self, series: &str) -> usize {
        let page = self.page();
        let value = page.lines().find_map(|line| line.strip_prefix(series)?.split_whitespace().next());
        value.unwrap_or_else(|| panic!("no {series} in {page}")).parse().expect("a whole number")
    }

    /// Records by event, as the metrics have them.
    fn counted(&self) -> BTreeMap<String, usize> {
        // A page is made at most four times a second.
        thread::sleep(Duration::from_millis(300));
        let page = self.page();
        let lines = page.lines().filter_map(|line| line.strip_prefix("seaworthyd_events_total{event=\""));
        let counts = lines.map(|line| {
            let (event, rest) = line.split_once('"').expect("a label");
            let value = rest.rsplit_once(' ').expect("a value").1;
            (event.to_owned(), value.parse().expect("a whole number"))
        });
        counts.collect()
    }
}

fn config(folder: &Path, metrics: u16, collector: u16, more: &str) -> String {
    let state = folder.join("state");
    let (hang, grow) = (folder.join("hang"), folder.join("grow"));
    // Each file makes it fail once.
    let probe = format!(
        "[workloads.liveness]\nexec = [\"/bin/sh\", \"-c\", \"! rm {} 2>/dev/null\"]\ninterval_seconds = 1\nfailures = 1\n",
        hang.display()
    );
    let script = format!(
        "import os, time\nwhile not os.path.exists({grow:?}): time.sleep(0.05)\nos.remove({grow:?})\n\
         kept = bytearray({LIMIT})\nwhile True: time.sleep(1)\n"
    );
    let grows = format!(
        "[[workloads]]\nname = \"grows\"\ncommand = \"python3\"\nargs = [\"-c\", '''{script}''']\n\
         memory = {{ limit_bytes = {LIMIT} }}\n"
    );
    format!(
        "heartbeat_seconds = 1\nstate_directory = {state:?}\nmetrics.listen = \"127.0.0.1:{metrics}\"\n\
         [queue]\ncollector = \"http://127.0.0.1:{collector}/tasks\"\nattempt_seconds = 5\n{}{}{}{grows}{more}",
        workload("calm", "exec sleep 1000"),
        workload("crashes", "exec sleep 1000"),
        workload("hangs", "exec sleep 1000") + &probe,
    )
}

fn by_event(records: &[Value]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for record in records {
        *counts.entry(record["event"].as_str().expect("a name").to_owned()).or_default() += 1;
    }
    counts
}

/// What a process has open and how many threads; resident memory in KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Has {
    descriptors: usize,
    threads: usize,
    resident: u64,
}

fn look(pid: i64) -> Has {
    let count = |name: &str| std::fs::read_dir(format!("/proc/{pid}/{name}")).expect("it runs").count();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    Has {
        descriptors: count("fd"),
        threads: count("task"),
        resident: resident.expect("a number").parse().expect("a number"),
    }
}

/// The processes that descend from `root`, dead ones that nobody has taken leave of included.
fn descendants(root: i64) -> BTreeSet<i64> {
    let parent_of = |pid: i64| -> Option<i64> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
    };
    let folders = std::fs::read_dir("/proc").expect("/proc").flatten();
    let pids: Vec<i64> = folders.filter_map(|folder| folder.file_name().to_str()?.parse().ok()).collect();
    let parents: BTreeMap<i64, i64> =
        pids.into_iter().filter_map(|pid| Some((pid, parent_of(pid)?))).collect();
    let is_below = |mut pid: i64| {
        while let Some(parent) = parents.get(&pid) {
            if *parent == root {
                return true;
            }
            pid = *parent;
        }
        false
    };
    parents.keys().copied().filter(|pid| is_below(*pid)).collect()
}

#[test]
fn a_day_of_trouble_leaves_nothing_behind_and_nothing_unsaid() {
    let hours = std::env::var("SEAWORTHYD_SIMULATED_HOURS")
        .map_or(3, |hours| hours.parse::<usize>().expect("SEAWORTHYD_SIMULATED_HOURS is a number"));
    let folder = folder();
    let mut day = Day::begin(folder.path());
    wait_until("it is ready", || day.count("ready", None) == 1);
    let mut collector = Nginx::start(folder.path(), day.collector);
    let guardian = i64::from(day.guardian.id());
    let (mut usual, mut first_of_worker): (Option<[Has; 2]>, Option<[Has; 2]>) = (None, None);
    let begun = Instant::now();
    for hour in 1..=hours {
        day.crash();
        day.crash();
        day.hang();
        day.grow();
        collector = day.lose_network(collector);
        if hour % 3 == 1 {
            day.reload();
        }
        let worker_dies = match hour % 12 {
            1 | 7 => Some(Signal::KILL),
            6 => Some(Signal::STOP),
            _ => None,
        };
        if let Some(how) = worker_dies {
            day.lose_worker(how);
            first_of_worker = None;
        }
        // A probe or a delivery may be under way.
        let worker = day.worker();
        wait_until("guardian, worker and four workloads are all that runs", || {
            descendants(guardian).len() == 1 + 4
        });
        let now = || [look(guardian), look(worker)];
        if let Some(usual) = usual {
            let counts = |all: [Has; 2]| all.map(|has| (has.descriptors, has.threads));
            wait_until("descriptors and threads are as they were", || counts(now()) == counts(usual));
        }
        let seen = now();
        println!(
            "hour {hour:2}, {:3} s: guardian {:?}, worker {:?}",
            begun.elapsed().as_secs(),
            seen[0],
            seen[1]
        );
        // After the first hour everything has been done once.
        usual = usual.or(Some(seen));
        for (has, first) in seen.iter().zip(first_of_worker.get_or_insert(seen).iter()) {
            // An emulator's own memory is among it.
            let is_emulated = !support::runner().is_empty();
            assert!(is_emulated || has.resident <= first.resident + GROWTH, "grew from {first:?} to {has:?}");
        }
    }
    day.account(collector);
}

impl Day<'_> {
    /// Holds what was done against the log, the log against the metrics, and what arrived against what was pushed.
    fn account(mut self, collector: Nginx) {
        let done = &self.done;
        println!("{done:?}");
        let ended_by_signal = |name: &str| {
            let records = self.records.lock().expect("whole");
            let is_so = |record: &&Value| {
                record["event"] == "workload-exited"
                    && record["workload"] == name
                    && record["fields"]["ended_by"].as_str().is_some_and(|by| by.contains("signal"))
            };
            records.iter().filter(is_so).count()
        };
        assert_eq!(ended_by_signal("crashes"), done.crashes);
        assert_eq!(self.count("workload-unhealthy", Some("hangs")), done.hangs);
        assert_eq!(self.count("workload-memory-high", Some("grows")), done.growths);
        assert_eq!(self.count("workload-exited", Some("calm")), 0);
        assert_eq!(self.count("collector-away", None), done.losses);
        assert_eq!(self.count("worker-crashed", None), done.worker_deaths);
        assert_eq!(self.count("reloaded", None), done.reloads);
        assert_eq!(self.count("task-accepted", None), done.keys.len());
        assert_eq!(self.count("task-done", None), done.keys.len());
        let leaks = ["leak", "workload-leak", "tree-left", "log-records-lost", "queue-damaged", "task-dead"];
        for event in leaks {
            assert_eq!(self.count(event, None), 0, "{event}");
        }
        for (series, expected) in [
            ("seaworthyd_workload_exits_total{workload=\"crashes\",reason=\"signal\"}", done.crashes),
            ("seaworthyd_workload_exits_total{workload=\"hangs\",reason=\"probe\"}", done.hangs),
            ("seaworthyd_workload_exits_total{workload=\"grows\",reason=\"memory\"}", done.growths),
            ("seaworthyd_tasks_accepted_total", done.keys.len()),
            ("seaworthyd_tasks_finished_total{outcome=\"acknowledged\"}", done.keys.len()),
            ("seaworthyd_worker_starts_total", done.worker_deaths + 1),
        ] {
            assert_eq!(self.counter(series), expected, "{series}");
        }
        // Records come in between: the page lies between the log before it and the log after it.
        let before = by_event(&self.records.lock().expect("whole"));
        let counted = self.counted();
        let lost = |event: &String| self.lost.get(event).copied().unwrap_or(0);
        for (event, logged) in &before {
            let counted = counted.get(event).copied().unwrap_or(0);
            assert!(counted + lost(event) >= *logged, "{event}: {logged} records, {counted} counted");
        }
        wait_until("what was counted is in the log", || {
            let after = by_event(&self.records.lock().expect("whole"));
            let logged = |event: &String| after.get(event).copied().unwrap_or(0);
            counted.iter().all(|(event, counted)| *counted <= logged(event))
        });
        collector.stop();
        let log = std::fs::read_to_string(self.folder.join("access.log")).expect("the access log");
        let taken = log.lines().filter(|line| line.starts_with("200 "));
        let arrived: Vec<_> = taken.map(|line| line.split(' ').nth(1).expect("a key").to_owned()).collect();
        assert_eq!(arrived.len(), done.keys.len(), "each once");
        assert_eq!(arrived.into_iter().collect::<BTreeSet<_>>(), done.keys);
        let workers = descendants(i64::from(self.guardian.id()));
        rustix::process::kill_process(Pid::from_child(&self.guardian), Signal::TERM).expect("it runs");
        assert_eq!(self.guardian.wait().expect("it ends").code(), Some(0));
        workers.into_iter().for_each(|pid| support::assert_ended(i32::try_from(pid).expect("a pid")));
    }
}
