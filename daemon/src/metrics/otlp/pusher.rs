//! When exports are sent, and what becomes of them.
//!
//! An export that does not arrive is not sent again: the next one says all that it said, since counters go on. Values
//! between two exports that arrive are lost to the collector, no count is.

use std::fmt;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::config::OtlpConfig;
use super::{encode, instance};
use crate::http::{self, Error};
use crate::identity::NAME;
use crate::log::{Event, Value};
use crate::metrics::{Build, ExportOutcome, Exporter};

/// How long the collector may take for an export.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it may take for the last one.
const LAST_PATIENCE: Duration = Duration::from_secs(1);
/// A collector that wants to be left alone for longer is asked again all the same.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// What is kept of a collector's words; characters.
const LONGEST_WORDS: usize = 500;
/// Bytes, for debug builds; what is not used is never resident.
const STACK: usize = 128 * 1024;

/// Sends metrics to a collector while one is configured, in a thread of its own: nobody waits for it.
pub struct Pusher {
    exporter: Arc<Exporter>,
    state_folder: Option<PathBuf>,
    running: Mutex<Option<Running>>,
}

/// The thread, which stays when it was once wanted.
struct Running {
    config: Option<OtlpConfig>,
    orders: Sender<Order>,
    /// Disconnected at its end.
    end: Receiver<()>,
}

enum Order {
    /// From now on, or no more.
    Config(Option<OtlpConfig>),
    /// Once more, and end.
    Last,
}

impl fmt::Debug for Pusher {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Pusher")
    }
}

impl Pusher {
    /// Sends nothing yet. `state_folder` keeps the daemon's id for the collector, beside its counters.
    pub fn new(exporter: &Arc<Exporter>, state_folder: Option<PathBuf>) -> Self {
        Self { exporter: Arc::clone(exporter), state_folder, running: Mutex::default() }
    }

    /// Begins, or goes on, as `config` says; with the same one nothing changes.
    pub fn adopt(&self, config: Option<&OtlpConfig>) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.is_none() && config.is_some() {
            *running = self.start();
        }
        if let Some(running) = running.as_mut().filter(|running| running.config.as_ref() != config) {
            running.config = config.cloned();
            let _ = running.orders.send(Order::Config(config.cloned()));
        }
    }

    fn start(&self) -> Option<Running> {
        let (orders, inbox) = mpsc::channel();
        let (ended, end) = mpsc::channel();
        let (exporter, state_folder) = (Arc::clone(&self.exporter), self.state_folder.clone());
        let run = move || {
            let own = attributes(&exporter.metrics().build, instance::id(state_folder.as_deref()));
            Sending { exporter, own, failed: 0, is_partial: false }.run(&inbox);
            drop(ended);
        };
        let thread = thread::Builder::new().name("otlp".to_owned()).stack_size(STACK);
        match thread.spawn(run) {
            Ok(_) => Some(Running { config: None, orders, end }),
            Err(error) => {
                let fields = [("error", Value::text(error.to_string()))];
                self.exporter.tell(Event::OtlpExportFailed, "metrics cannot be sent", &fields);
                None
            }
        }
    }

    /// Sends what has happened since the last export. Takes at most a second, and nothing where the collector is away.
    pub fn finish(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(running) = running {
            let _ = running.orders.send(Order::Last);
            let _ = running.end.recv_timeout(LAST_PATIENCE);
        }
    }
}

/// What the daemon says of itself: stays the same as long as the build does.
fn attributes(build: &Build, instance: String) -> Vec<(&'static str, String)> {
    let mut own = vec![
        ("service.name", NAME.to_owned()),
        ("service.version", build.version.clone()),
        ("service.instance.id", instance),
        ("seaworthyd.commit", build.commit.clone()),
        ("seaworthyd.target", build.target.clone()),
        ("seaworthyd.build", build.build.clone()),
    ];
    own.retain(|(_, value)| !value.is_empty());
    own
}

/// The thread's own.
struct Sending {
    exporter: Arc<Exporter>,
    own: Vec<(&'static str, String)>,
    /// Exports in a row.
    failed: u64,
    /// Whether the last one was taken in part.
    is_partial: bool,
}

impl Sending {
    fn run(mut self, orders: &Receiver<Order>) {
        let mut config: Option<OtlpConfig> = None;
        let mut due = Instant::now();
        loop {
            let order = match config {
                Some(_) => orders.recv_timeout(due.saturating_duration_since(Instant::now())),
                None => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match (order, &config) {
                (Ok(Order::Config(next)), _) => {
                    // Of another collector nothing was told yet.
                    (self.failed, self.is_partial) = (0, false);
                    (config, due) = (next, Instant::now());
                }
                (Err(RecvTimeoutError::Timeout), Some(config)) => {
                    let pause = self.export(config, PATIENCE).max(config.interval());
                    due = Instant::now() + pause;
                }
                (Ok(Order::Last), Some(config)) if self.failed == 0 => {
                    self.export(config, LAST_PATIENCE);
                    return;
                }
                (Ok(Order::Last) | Err(_), _) => return,
            }
        }
    }

    /// Sends everything once; how long the collector wishes to be left alone.
    fn export(&mut self, config: &OtlpConfig, patience: Duration) -> Duration {
        let own = self.own.iter().filter(|(key, _)| !config.resource.contains_key(*key));
        let own = own.map(|(key, value)| (*key, value.as_str()));
        let more = config.resource.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let resource: Vec<_> = own.chain(more).collect();
        let body = self.exporter.kept(|metrics| encode::request(metrics, &resource, SystemTime::now()));
        let own = [("Content-Type", "application/json")];
        let configured = config.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let headers: Vec<_> = own.into_iter().chain(configured).collect();
        match http::post_and_read(&config.url, &headers, &body, patience) {
            Ok(answer) => {
                self.arrived(rejection(&answer.body));
                Duration::ZERO
            }
            Err(error) => {
                self.missed(&error);
                match error {
                    Error::Status { retry_after: Some(wish), .. } => wish.min(LONGEST_PAUSE),
                    _ => Duration::ZERO,
                }
            }
        }
    }

    fn arrived(&mut self, rejection: Option<Rejection>) {
        let is_whole = rejection.as_ref().is_none_or(|rejection| rejection.points == 0);
        let outcome = if is_whole { ExportOutcome::Success } else { ExportOutcome::Partial };
        self.exporter.metrics().otlp_exported(outcome);
        if self.failed > 0 {
            let fields = [("failed", Value::number(self.failed))];
            self.exporter.tell(Event::OtlpExportRecovered, "metrics reach their collector again", &fields);
            self.failed = 0;
        }
        let was_partial = std::mem::replace(&mut self.is_partial, rejection.is_some());
        if let (false, Some(Rejection { points, words })) = (was_partial, rejection) {
            let fields = [("rejected", Value::number(points)), ("error", Value::text(words))];
            let message = "the collector does not take the metrics as they are";
            self.exporter.tell(Event::OtlpPointsRejected, message, &fields);
        }
    }

    fn missed(&mut self, error: &Error) {
        self.exporter.metrics().otlp_exported(ExportOutcome::Failure);
        if self.failed == 0 {
            let fields = [("error", Value::text(error.to_string()))];
            self.exporter.tell(Event::OtlpExportFailed, "metrics do not reach their collector", &fields);
        }
        self.failed += 1;
    }
}

/// What a collector did not take of an export, or says about it.
#[derive(Debug, PartialEq, Eq)]
struct Rejection {
    /// Data points; 0: only words.
    points: u64,
    words: String,
}

/// The `ExportMetricsPartialSuccess` in an answer; an empty one says that all is well, as no answer does.
fn rejection(body: &[u8]) -> Option<Rejection> {
    let answer: serde_json::Value = serde_json::from_slice(body).ok()?;
    let partial = answer.get("partialSuccess")?;
    let points = partial.get("rejectedDataPoints");
    let points =
        points.and_then(|points| points.as_u64().or_else(|| points.as_str()?.parse().ok())).unwrap_or(0);
    let words = partial.get("errorMessage").and_then(|words| words.as_str()).unwrap_or_default();
    (points > 0 || !words.is_empty())
        .then(|| Rejection { points, words: words.chars().take(LONGEST_WORDS).collect() })
}

#[cfg(test)]
mod tests;
