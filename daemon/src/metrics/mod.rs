//! Metrics in four layers, in the text formats that Prometheus reads and in OTLP.
//!
//! The registry is this crate's own: everything it counts is known when it is compiled, apart from the workloads' names,
//! which come from the configuration. So it is a struct of atomic numbers, its cardinality is bounded by construction, and
//! nothing hashes where something is counted. `prometheus-client` 0.25 was weighed and left: it brings eight crates to the
//! program and five more to its build, speaks OpenMetrics only (not the older text format that some collectors still ask
//! for), and its counters can neither be saved nor restored by name. For about as much on a page (30 kB) it takes 124 KiB
//! of memory where this takes 28 KiB (static musl, measured as RssAnon).

mod config;
mod counters_file;
mod exporter;
mod exposition;
mod family;
mod instrument;
mod labels;
mod observed;
mod otlp;
mod visit;
mod workload;

#[cfg(unix)]
#[path = "unix/mod.rs"]
mod os;
#[cfg(windows)]
#[path = "windows/mod.rs"]
mod os;

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

pub use config::MetricsConfig;
pub use counters_file::{Damage, Kept, read_counters_file};
pub use exporter::{Exporter, Keeper};
pub use exposition::Format;
pub use family::{FAMILIES, Family, Kind, Layer};
pub use labels::{
    AttemptOutcome, ControlOutcome, ExitReason, ExportOutcome, Outcome, Probe, TaskEnd, TaskRefusal,
};
pub(crate) use observed::Usage;
pub use otlp::{OtlpConfig, Pusher};

use crate::http::Route;
use crate::log::Event;
use instrument::{Counter, Counters, Histogram, Since, StateCell};
use labels::COMMANDS;
use workload::Workload;

/// Everything that is counted. One is shared by all threads; every method takes a moment.
#[derive(Default)]
pub struct Metrics {
    build: Build,
    started: Option<SystemTime>,
    counted_since: Since,
    state_folder: Option<PathBuf>,
    state: StateCell,
    ready: AtomicBool,
    worker_starts: Counter,
    controls: [Counters<ControlOutcome>; COMMANDS.len()],
    http: [Counter; HTTP_ANSWERS.len()],
    events: EventCounters,
    log_dropped: Counter,
    heartbeats: Counters<Outcome>,
    otlp_exports: Counters<ExportOutcome>,
    workloads: RwLock<Vec<Arc<Workload>>>,
    workload_ready: Histogram,
    queue: QueueSource,
    queue_sync: Histogram,
    attempts: Counters<AttemptOutcome>,
    attempt_time: Histogram,
    slow: Counter,
    accepted: Counter,
    refused: Counters<TaskRefusal>,
    sent: Counter,
    acknowledged: Counter,
    finished: Counters<TaskEnd>,
    to_sent: Histogram,
    to_acknowledged: Histogram,
    whole: Histogram,
}

/// Which build runs; see `seaworthyd --version --json`.
#[derive(Clone, Debug, Default)]
pub struct Build {
    /// The version.
    pub version: String,
    /// The commit.
    pub commit: String,
    /// The target.
    pub target: String,
    /// The build key; empty in a development build.
    pub build: String,
}

/// The queue as it is now.
#[derive(Clone, Copy, Debug, Default)]
pub struct Queue {
    /// Tasks that are not acknowledged.
    pub tasks: u64,
    /// When the oldest of them was accepted.
    pub oldest: Option<SystemTime>,
    /// Bytes on disk.
    pub size_bytes: u64,
    /// Bytes that it may have on disk.
    pub limit_bytes: u64,
    /// Tasks that were given up.
    pub dead_letters: u64,
}

/// What the process uses now.
pub(crate) fn usage(pid: u32) -> Usage {
    let process = os::process(pid);
    let count = |number: Option<f64>| number.map(|number| number as u64);
    Usage {
        resident: count(process.resident),
        descriptors: count(process.descriptors),
        threads: count(process.threads),
    }
}

/// What the HTTP server can answer where.
const HTTP_ANSWERS: [(Route, u16); 13] = [
    (Route::Metrics, 200),
    (Route::Metrics, 405),
    (Route::Live, 200),
    (Route::Live, 405),
    (Route::Live, 503),
    (Route::Ready, 200),
    (Route::Ready, 405),
    (Route::Ready, 503),
    (Route::Other, 400),
    (Route::Other, 404),
    (Route::Other, 405),
    (Route::Other, 408),
    (Route::Other, 431),
];

impl Metrics {
    /// Counters at zero. `state_folder` is whose file system is watched.
    pub fn new(build: Build, state_folder: Option<PathBuf>) -> Self {
        Self {
            build,
            state_folder,
            started: Some(SystemTime::now()),
            counted_since: Since::now(),
            ..Self::default()
        }
    }

    /// The workloads of the configuration, at start and after a reload. One that was there keeps its counters; others are
    /// forgotten with them. A name that is not among them is not counted anywhere.
    pub fn set_workloads<'a>(&self, names: impl IntoIterator<Item = &'a str>) {
        let mut workloads = self.workloads.write().unwrap_or_else(PoisonError::into_inner);
        let next = names.into_iter().map(|name| {
            let known = workloads.iter().find(|workload| workload.name == name);
            known.map_or_else(|| Arc::new(Workload::new(name)), Arc::clone)
        });
        *workloads = next.collect();
    }

    /// The worker began; counts it.
    pub fn worker_started(&self) {
        self.worker_starts.increment();
    }

    /// The service is now in the state of this name.
    pub fn service_state(&self, state: &str) {
        self.state.set(state);
    }

    /// Whether the service reports that it is ready.
    pub fn service_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    /// A command came and was answered.
    pub fn control(&self, command: &str, outcome: ControlOutcome) {
        let index = COMMANDS.iter().position(|known| *known == command).unwrap_or(COMMANDS.len() - 1);
        self.controls[index].of(outcome).increment();
    }

    /// The HTTP server answered.
    pub fn http_answered(&self, route: Route, code: u16) {
        if let Some(index) = HTTP_ANSWERS.iter().position(|known| *known == (route, code)) {
            self.http[index].increment();
        }
    }

    /// A record of the event with this number was logged.
    pub fn event(&self, id: u16) {
        if let Ok(index) = Event::ALL.binary_search_by_key(&id, |event| event.id()) {
            self.events.0[index].increment();
        }
    }

    /// A record could not be written.
    pub fn log_record_dropped(&self) {
        self.log_dropped.increment();
    }

    /// A heartbeat was sent to the collector, or could not be.
    pub fn heartbeat(&self, outcome: Outcome) {
        self.heartbeats.of(outcome).increment();
    }

    /// Metrics were sent to a collector of OpenTelemetry, or could not be.
    pub fn otlp_exported(&self, outcome: ExportOutcome) {
        self.otlp_exports.of(outcome).increment();
    }

    /// The workload's process was started.
    pub fn workload_started(&self, name: &str, pid: u32) {
        self.with(name, |workload| workload.started(pid));
    }

    /// The workload's program could not be started.
    pub fn workload_start_failed(&self, name: &str) {
        self.with(name, |workload| workload.start_failures.increment());
    }

    /// The workload's process has ended.
    pub fn workload_exited(&self, name: &str, reason: ExitReason) {
        self.with(name, |workload| workload.exited(reason));
    }

    /// It will be started again after `pause`, though nobody asked for its end.
    pub fn workload_restarts_in(&self, name: &str, pause: Duration) {
        self.with(name, |workload| workload.restarts_in(pause));
    }

    /// The workload is now in the state of this name.
    pub fn workload_state(&self, name: &str, state: &str) {
        self.with(name, |workload| workload.state.set(state));
    }

    /// The workload became ready `after` its start.
    pub fn workload_ready(&self, name: &str, after: Duration) {
        self.workload_ready.observe(after, None);
        self.with(name, |workload| workload.ready.store(true, Ordering::Relaxed));
    }

    /// The workload is not ready any more, though it runs.
    pub fn workload_unready(&self, name: &str) {
        self.with(name, |workload| workload.ready.store(false, Ordering::Relaxed));
    }

    /// A probe of the workload ran.
    pub fn workload_probed(&self, name: &str, probe: Probe, outcome: Outcome) {
        self.with(name, |workload| workload.probed(probe, outcome));
    }

    /// The workload's memory limit, in bytes, after the configuration was read.
    pub fn workload_memory_limit(&self, name: &str, bytes: Option<u64>) {
        self.with(name, |workload| workload.set_memory_limit(bytes));
    }

    /// There is a queue, and `source` tells of it whenever somebody asks.
    pub fn queue_from(&self, source: impl Fn() -> Queue + Send + Sync + 'static) {
        let _ = self.queue.0.set(Box::new(source));
    }

    /// The disk made tasks durable, in this time.
    pub fn queue_synced(&self, duration: Duration) {
        self.queue_sync.observe(duration, None);
    }

    /// A task was taken and is on disk.
    pub fn task_accepted(&self) {
        self.accepted.increment();
    }

    /// A task was not taken.
    pub fn task_refused(&self, reason: TaskRefusal) {
        self.refused.of(reason).increment();
    }

    /// A task is sent for the first time, `waited` after it was accepted. `trace` is its trace id, 32 hexadecimal digits.
    pub fn task_sent(&self, waited: Duration, trace: Option<&str>) {
        self.sent.increment();
        self.to_sent.observe(waited, trace);
    }

    /// A try to do a task has ended after `duration`; `slow` when that is longer than is configured.
    pub fn task_attempted(
        &self,
        outcome: AttemptOutcome,
        duration: Duration,
        slow: bool,
        trace: Option<&str>,
    ) {
        self.attempts.of(outcome).increment();
        self.attempt_time.observe(duration, trace);
        if slow {
            self.slow.increment();
        }
    }

    /// A task was acknowledged, so long after it was accepted and after it was first sent.
    pub fn task_acknowledged(&self, since_accepted: Duration, since_sent: Duration, trace: Option<&str>) {
        self.acknowledged.increment();
        self.to_acknowledged.observe(since_sent, trace);
        self.whole.observe(since_accepted, trace);
    }

    /// A task left the queue without being acknowledged.
    pub fn task_ended(&self, end: TaskEnd) {
        self.finished.of(end).increment();
    }

    fn with(&self, name: &str, act: impl FnOnce(&Workload)) {
        let workloads = self.workloads.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(workload) = workloads.iter().find(|workload| workload.name == name) {
            act(workload);
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Metrics")
    }
}

/// What tells of the queue, once there is one.
#[derive(Default)]
struct QueueSource(OnceLock<Box<dyn Fn() -> Queue + Send + Sync>>);

/// A counter for each event of the catalogue.
struct EventCounters(Box<[Counter]>);

impl Default for EventCounters {
    fn default() -> Self {
        Self(Event::ALL.iter().map(|_| Counter::default()).collect())
    }
}
