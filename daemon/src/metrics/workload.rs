//! What is counted of one workload.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::instrument::{Counter, Counters, Since, StateCell, unix_nanos};
use super::labels::{ExitReason, LabelValue, Outcome, Probe};

/// One workload of the configuration.
#[derive(Debug)]
pub(super) struct Workload {
    pub(super) name: String,
    pub(super) counted_since: Since,
    pub(super) starts: Counter,
    pub(super) start_failures: Counter,
    pub(super) restarts: Counter,
    pub(super) exits: Counters<ExitReason>,
    pub(super) probes: [Counters<Outcome>; 2],
    pub(super) state: StateCell,
    pub(super) ready: AtomicBool,
    /// Milliseconds.
    backoff: AtomicU64,
    /// 0 while no process runs.
    pid: AtomicU32,
    /// Nanoseconds since 1970.
    started: AtomicU64,
    /// Bytes; 0 without one.
    memory_limit: AtomicU64,
}

impl Workload {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            counted_since: Since::now(),
            starts: Counter::default(),
            start_failures: Counter::default(),
            restarts: Counter::default(),
            exits: Counters::default(),
            probes: [Counters::default(), Counters::default()],
            state: StateCell::default(),
            ready: AtomicBool::default(),
            backoff: AtomicU64::default(),
            pid: AtomicU32::default(),
            started: AtomicU64::default(),
            memory_limit: AtomicU64::default(),
        }
    }

    pub(super) fn started(&self, pid: u32) {
        self.starts.increment();
        self.backoff.store(0, Ordering::Relaxed);
        self.started.store(unix_nanos(SystemTime::now()), Ordering::Relaxed);
        self.pid.store(pid, Ordering::Relaxed);
    }

    pub(super) fn exited(&self, reason: ExitReason) {
        // First, so that a scrape does not look at a stranger who got the number.
        self.pid.store(0, Ordering::Relaxed);
        self.ready.store(false, Ordering::Relaxed);
        self.exits.of(reason).increment();
    }

    pub(super) fn restarts_in(&self, pause: Duration) {
        self.restarts.increment();
        self.backoff.store(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn probed(&self, probe: Probe, outcome: Outcome) {
        self.probes[probe.index()].of(outcome).increment();
    }

    pub(super) fn set_memory_limit(&self, bytes: Option<u64>) {
        self.memory_limit.store(bytes.unwrap_or(0), Ordering::Relaxed);
    }

    pub(super) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// Seconds.
    pub(super) fn backoff(&self) -> f64 {
        self.backoff.load(Ordering::Relaxed) as f64 / 1000.0
    }

    /// Its process and when it was started.
    pub(super) fn process(&self) -> Option<(u32, SystemTime)> {
        let pid = self.pid.load(Ordering::Relaxed);
        let started = || UNIX_EPOCH + Duration::from_nanos(self.started.load(Ordering::Relaxed));
        (pid != 0).then(|| (pid, started()))
    }

    /// Bytes.
    pub(super) fn memory_limit(&self) -> Option<f64> {
        Some(self.memory_limit.load(Ordering::Relaxed)).filter(|bytes| *bytes != 0).map(|bytes| bytes as f64)
    }
}
