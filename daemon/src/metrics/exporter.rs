//! Metrics to whoever asks, and counters to the disk in time.
//!
//! A counter that comes back lower than it was scraped looks to Prometheus as if everything had happened again. So each
//! page is given out only after the counters in it are in their file, without waiting for the disk: if the worker is killed,
//! no counter ever returns below a value that was scraped, as long as the state folder could be written. What was counted
//! after the last scrape may be lost with the worker, up to 10 s. When the whole machine goes down, the file is
//! at most 10 s old, and counters may return lower. An export, which nobody waits for, is sent only when they are on the
//! disk: below what it says no counter returns at all.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::counters_file::{Damage, Kept};
use super::{Format, Metrics, MetricsConfig};
use crate::http::{BindError, Health, Limits, Page, Routes, Server};
use crate::log::{Event, Log, Value};

/// How often counters are brought to the disk, if they have changed.
const DURABLE_EVERY: Duration = Duration::from_secs(10);
/// A page of this age is given out again: however many ask, the work is bounded.
const PAGE_AGE: Duration = Duration::from_millis(250);
/// Bytes, for debug builds; what is not used is never resident.
const STACK: usize = 128 * 1024;

/// Shows [`Metrics`] and keeps them.
pub struct Exporter {
    metrics: Arc<Metrics>,
    kept: Option<Kept>,
    log: Option<Log>,
    last: Mutex<Last>,
}

/// What was done last.
#[derive(Default)]
struct Last {
    /// By format: when it was made, and the page.
    pages: [Option<(Instant, Arc<str>)>; 2],
    /// The last text that was saved, by its checksum, and whether that was durable.
    saved: Option<(u32, bool)>,
    failed: bool,
}

impl fmt::Debug for Exporter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Exporter")
    }
}

impl Exporter {
    /// Restores the counters of `metrics`, whose workloads are set, from `state_folder`; without one they begin at 0 and
    /// are not kept.
    pub fn new(metrics: Arc<Metrics>, state_folder: Option<&Path>) -> Self {
        Self::begin(metrics, state_folder, None)
    }

    /// As [`Exporter::new`], and tells `log` what it restored, and each time the file's fate changes.
    pub(crate) fn with_log(metrics: Arc<Metrics>, state_folder: Option<&Path>, log: &Log) -> Self {
        Self::begin(metrics, state_folder, Some(log.clone()))
    }

    fn begin(metrics: Arc<Metrics>, state_folder: Option<&Path>, log: Option<Log>) -> Self {
        let kept = state_folder.map(Kept::in_folder);
        let exporter = Self { metrics, kept, log, last: Mutex::default() };
        if let Some(kept) = &exporter.kept {
            match kept.restore(&exporter.metrics) {
                Ok(0) => {}
                Ok(count) => {
                    let fields = [("counters", Value::number(count))];
                    exporter.tell(Event::CountersRestored, "counters go on where they were", &fields);
                }
                Err(damage) => exporter.damaged(kept, &damage),
            }
        }
        exporter.metrics.worker_started();
        exporter
    }

    /// Listens as `config` says; `None` when it says nothing. `live` and `ready` are asked for `/health`.
    ///
    /// # Errors
    /// The address cannot be listened at. The daemon can go on without.
    pub fn serve(
        self: &Arc<Self>,
        config: &MetricsConfig,
        live: impl Fn() -> Health + Send + Sync + 'static,
        ready: impl Fn() -> Health + Send + Sync + 'static,
    ) -> Result<Option<Server>, BindError> {
        let Some(address) = config.listen else { return Ok(None) };
        let (scraped, observed) = (Arc::clone(self), Arc::clone(&self.metrics));
        let routes = Routes {
            metrics: Box::new(move |accept| scraped.scrape(accept)),
            live: Box::new(live),
            ready: Box::new(ready),
            observe: Box::new(move |route, code| observed.http_answered(route, code)),
        };
        let server = Server::start(address, routes, Limits::default()).inspect_err(|error| {
            let fields =
                [("address", Value::text(address.to_string())), ("error", Value::text(error.to_string()))];
            self.tell(Event::MetricsUnavailable, "metrics and health cannot be asked for", &fields);
        })?;
        let fields = [("address", Value::text(server.address().to_string()))];
        self.tell(Event::MetricsListening, "metrics and health can be asked for", &fields);
        Ok(Some(server))
    }

    /// The page for an `Accept` field.
    pub fn scrape(&self, accept: &str) -> Page {
        let format = Format::for_accept(accept);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let text = match &last.pages[format as usize] {
            Some((made, text)) if made.elapsed() < PAGE_AGE => Arc::clone(text),
            _ => {
                let text: Arc<str> = self.metrics.render(format).into();
                self.save(&mut last, false);
                last.pages[format as usize] = Some((Instant::now(), Arc::clone(&text)));
                text
            }
        };
        Page { content_type: format.content_type(), text }
    }

    /// Brings counters that have changed to the disk every 10 s, in a thread of its own: a slow disk must not hold up the
    /// daemon's loop. When the [`Keeper`] is dropped, for the last time.
    ///
    /// # Errors
    /// No thread can be had.
    pub fn keep(self: &Arc<Self>) -> io::Result<Keeper> {
        self.keep_every(DURABLE_EVERY)
    }

    fn keep_every(self: &Arc<Self>, pause: Duration) -> io::Result<Keeper> {
        let (stop, stopped) = mpsc::channel::<()>();
        let exporter = Arc::clone(self);
        let run = move || {
            while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                exporter.save_now();
            }
            exporter.save_now();
        };
        let thread = thread::Builder::new().name("counters".to_owned()).stack_size(STACK).spawn(run)?;
        Ok(Keeper { stop: Some(stop), thread: Some(thread) })
    }

    /// What `show` makes of the metrics, when the counters in it are on the disk.
    pub(super) fn kept<T>(&self, show: impl FnOnce(&Metrics) -> T) -> T {
        let shown = show(&self.metrics);
        self.save_now();
        shown
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn save_now(&self) {
        self.save(&mut self.last.lock().unwrap_or_else(PoisonError::into_inner), true);
    }

    fn save(&self, last: &mut Last, durable: bool) {
        let Some(kept) = &self.kept else { return };
        let text = Kept::text(&self.metrics);
        let sum = crc32fast::hash(text.as_bytes());
        if last.saved.is_some_and(|(saved, was_durable)| saved == sum && (was_durable || !durable)) {
            return;
        }
        let saved = kept.save(&text, durable);
        // Told once, not every few seconds.
        if let (Err(error), false) = (&saved, last.failed) {
            self.not_saved(kept, error);
        }
        last.failed = saved.is_err();
        last.saved = saved.is_ok().then_some((sum, durable));
    }

    fn damaged(&self, kept: &Kept, damage: &Damage) {
        let message = "the file of counters is damaged: they begin at 0";
        self.tell(Event::CountersDamaged, message, &file_and_error(kept, damage));
    }

    fn not_saved(&self, kept: &Kept, error: &io::Error) {
        let message = "counters cannot be kept: they will begin lower when the worker is started again";
        self.tell(Event::CountersNotSaved, message, &file_and_error(kept, error));
    }

    pub(super) fn tell(&self, event: Event, message: &str, fields: &[(&str, Value)]) {
        if let Some(log) = &self.log {
            log.write(event, message, fields);
        }
    }
}

/// Keeps counters until it is dropped, after the server and whatever else counts.
#[derive(Debug)]
pub struct Keeper {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn file_and_error(kept: &Kept, error: &impl fmt::Display) -> [(&'static str, Value); 2] {
    [("file", Value::text(kept.path().display().to_string())), ("error", Value::text(error.to_string()))]
}

#[cfg(test)]
mod tests;
