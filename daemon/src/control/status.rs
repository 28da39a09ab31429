//! What the daemon tells of itself: `seaworthyd status --format json`, whose schema is `docs/schema/seaworthyd-status.json`.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::state::State;

/// The service and its workloads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// The service's name.
    pub service: String,
    /// What the service is doing.
    pub state: State,
    /// The process of the worker.
    pub pid: u32,
    /// How long the worker has run, in milliseconds.
    pub uptime_ms: u64,
    /// Its version.
    pub version: String,
    /// Its build key; `None` for a development build.
    pub build: Option<String>,
    /// In the order of the configuration.
    pub workloads: Vec<WorkloadStatus>,
    /// The tasks; `None` without a queue.
    pub queue: Option<QueueStatus>,
}

/// The queue and its tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueStatus {
    /// Tasks whose turn it is.
    pub ready: u64,
    /// Tasks that wait for their next attempt.
    pub delayed: u64,
    /// Tasks that are being done.
    pub in_flight: u64,
    /// Tasks that wait for another one of their order key.
    pub blocked: u64,
    /// Dead letters.
    pub dead: u64,
    /// All of them together. Bytes.
    pub bytes: u64,
    /// How long ago the oldest of those that are not dead was pushed, in milliseconds.
    pub oldest_ms: Option<u64>,
    /// Whether deliveries wait for a collector that is away.
    pub waits_for_collector: bool,
}

/// One workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkloadStatus {
    /// Its name.
    pub name: String,
    /// What it is doing.
    pub state: State,
    /// Its process.
    pub pid: Option<u32>,
    /// How long the process has run, in milliseconds.
    pub uptime_ms: Option<u64>,
    /// How often it was started since the worker was.
    pub starts: u64,
    /// How many of its last runs in a row were short.
    pub short_runs: u32,
    /// When it will be started again, in milliseconds from now.
    pub next_start_ms: Option<u64>,
    /// How its last run ended, or why it could not be started.
    pub last_end: Option<String>,
}

impl Status {
    /// A line for the service, one for each workload, and one for the queue.
    pub fn text(&self) -> String {
        let mut text =
            format!("{} {} (pid {}, {})\n", self.service, self.state.name(), self.pid, self.version);
        let width = self.workloads.iter().map(|workload| workload.name.len()).max().unwrap_or(0);
        for workload in &self.workloads {
            let _ = write!(text, "  {:width$}  {}", workload.name, workload.state.name());
            let mut more = Vec::new();
            if let Some(pid) = workload.pid {
                more.push(format!("pid {pid}"));
            }
            if workload.starts > 1 {
                more.push(format!("{} starts", workload.starts));
            }
            if let Some(next) = workload.next_start_ms {
                more.push(format!("again in {}.{} s", next / 1000, next % 1000 / 100));
            }
            if let Some(last) = workload.last_end.as_ref().filter(|_| workload.state != State::Running) {
                more.push(format!("last: {last}"));
            }
            if !more.is_empty() {
                let _ = write!(text, " ({})", more.join(", "));
            }
            text.push('\n');
        }
        if let Some(queue) = &self.queue {
            let tasks = queue.ready + queue.delayed + queue.in_flight + queue.blocked;
            let _ = write!(text, "  queue: {tasks} task(s), {} dead letter(s)", queue.dead);
            text.push_str(if queue.waits_for_collector { ", waits for the collector\n" } else { "\n" });
        }
        text
    }
}
