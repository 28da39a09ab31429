//! Records of what happens, to every sink that is wanted at once: a file, standard error, journald, syslog, and what
//! [`Log::add`] brings, such as the Windows Event Log. Events have their numbers and names from the catalogue.
//!
//! [`Log::write`] never waits for a sink but the file: see `sink.rs`.

mod event;
mod file;
#[cfg(unix)]
mod journald;
mod record;
mod settings;
mod sink;
mod stderr;
mod syslog;
mod time;

#[cfg(unix)]
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::failure::{Cause, Failure};
use crate::metrics::Metrics;
pub(crate) use event::{Event, Level};
use file::LogFile;
pub(crate) use record::{Record, Value};
pub(crate) use settings::{Journald, LogSettings};
use sink::Queue;
pub(crate) use sink::Sink;
pub(crate) use time::rfc3339;

/// How long the last records have to reach their sinks.
const LAST_PATIENCE: Duration = Duration::from_secs(2);
/// A buffer that one long record has grown is given back. Bytes.
const LARGE_LINE: usize = 32 * 1024;

/// Where records go; clones share it.
#[derive(Clone)]
pub(crate) struct Log(Arc<Shared>);

/// What is behind every clone.
struct Shared {
    origin: Arc<Origin>,
    /// Where records are counted, once there are metrics.
    counted: OnceLock<Arc<Metrics>>,
    least: Level,
    /// `None` once the last record is written: late output of a workload must not follow it.
    sinks: Mutex<Option<Sinks>>,
}

/// Who writes.
struct Origin {
    service: Box<str>,
    /// `None` in a development build.
    build: Option<Box<str>>,
}

#[derive(Default)]
struct Sinks {
    file: Option<LogFile>,
    queues: Vec<Queue>,
    /// The file's line, kept for its memory.
    line: String,
}

impl Log {
    /// Opens what `settings` want. journald takes the place of standard error where that would reach it anyway.
    pub(crate) fn open(service: &str, settings: &LogSettings) -> Result<Self, Failure> {
        let log = Self::new(service, settings.level.into());
        let journald = log.add_journald(settings)?;
        match &settings.file {
            Some(path) => log.set_file(LogFile::open(path, settings.rotation()).map_err(|error| {
                let message = format!("cannot open log file {}: {error}", path.display());
                Failure::new(Cause::System, message, "create its folder and make it writable")
            })?),
            None if journald => {}
            None => log.add(Box::new(stderr::Stderr::default())),
        }
        if let Some(address) = &settings.syslog {
            log.add(Box::new(syslog::Syslog::new(address.clone())));
        }
        Ok(log)
    }

    /// Adds journald if it is wanted; whether it has all that standard error would get.
    #[cfg(unix)]
    fn add_journald(&self, settings: &LogSettings) -> Result<bool, Failure> {
        let connected = journald::is_stderr();
        let wanted = match settings.journald {
            Journald::Auto => connected && settings.file.is_none(),
            Journald::On => true,
            Journald::Off => false,
        };
        if wanted {
            let sink = journald::JournalSink::new(Path::new(journald::SOCKET)).map_err(|error| {
                let message = format!("cannot open a socket for journald: {error}");
                Failure::new(
                    Cause::System,
                    message,
                    "set journald = \"off\", or raise the limit of open files",
                )
            })?;
            self.add(Box::new(sink));
        }
        Ok(wanted && connected)
    }

    #[cfg(windows)]
    fn add_journald(&self, settings: &LogSettings) -> Result<bool, Failure> {
        match settings.journald {
            Journald::Auto | Journald::Off => Ok(false),
            Journald::On => {
                let message = "journald = \"on\": there is no journald on Windows";
                Err(Failure::new(Cause::Config, message, "set journald = \"auto\""))
            }
        }
    }

    fn new(service: &str, least: Level) -> Self {
        let build = provenance::me().map(|slot| slot.build.into());
        let origin = Arc::new(Origin { service: service.into(), build });
        Self(Arc::new(Shared {
            origin,
            counted: OnceLock::new(),
            least,
            sinks: Mutex::new(Some(Sinks::default())),
        }))
    }

    /// From now on each record is counted too.
    pub(crate) fn count_in(&self, metrics: &Arc<Metrics>) {
        let _ = self.0.counted.set(Arc::clone(metrics));
    }

    fn set_file(&self, file: LogFile) {
        if let Some(sinks) = self.0.lock().as_mut() {
            sinks.file = Some(file);
        }
    }

    /// From now on records go to `sink` too.
    pub(crate) fn add(&self, sink: Box<dyn Sink>) {
        let queue = Queue::new(sink, Arc::clone(&self.0.origin));
        if let Some(sinks) = self.0.lock().as_mut() {
            sinks.queues.push(queue);
        }
    }

    /// The fields `workload`, `trace_id` and `task_id` stand beside the others.
    pub(crate) fn write(&self, event: Event, message: &str, fields: &[(&str, Value)]) {
        self.0.write(event, message, fields);
    }

    /// Opens the log file again by its name, after someone has moved it away, and tells how that went.
    pub(crate) fn reopen(&self) {
        let reopened = self.0.lock().as_mut().and_then(|sinks| sinks.file.as_mut()).map(LogFile::reopen);
        let Some((path, result)) = reopened else { return };
        let path = ("path", Value::text(path));
        match result {
            Ok(()) => self.write(Event::LogReopened, "log file opened again", &[path]),
            Err(error) => {
                let fields = [path, ("error", Value::text(error.to_string()))];
                self.write(Event::LogReopenFailed, "log file cannot be opened again", &fields);
            }
        }
    }

    /// Writes the last record and brings it to its places; anything later is dropped. Takes at most [`LAST_PATIENCE`].
    pub(crate) fn finish(&self, event: Event, message: &str, fields: &[(&str, Value)]) {
        let sinks = {
            let mut sinks = self.0.lock();
            if let Some(sinks) = sinks.as_mut() {
                self.0.write_to(sinks, true, event, message, fields);
            }
            sinks.take()
        };
        let Some(sinks) = sinks else { return };
        if let Some(file) = &sinks.file {
            file.sync();
        }
        let deadline = Instant::now() + LAST_PATIENCE;
        for queue in &sinks.queues {
            queue.finish(deadline);
        }
    }
}

impl Shared {
    fn write(self: &Arc<Self>, event: Event, message: &str, fields: &[(&str, Value)]) {
        if let Some(sinks) = self.lock().as_mut() {
            self.write_to(sinks, false, event, message, fields);
        }
    }

    fn write_to(
        self: &Arc<Self>,
        sinks: &mut Sinks,
        is_last: bool,
        event: Event,
        message: &str,
        fields: &[(&str, Value)],
    ) {
        if let Some(metrics) = self.counted.get() {
            metrics.event(event.id());
        }
        if !event.level().reaches(self.least) {
            return;
        }
        let Origin { service, build } = &*self.origin;
        // Read under the lock: the times in a file only grow.
        let time = SystemTime::now();
        let record = Record { time, service, build: build.as_deref(), event, message, fields };
        if let Some(file) = &mut sinks.file {
            sinks.line.clear();
            sinks.line.shrink_to(LARGE_LINE);
            record.write_line(&mut sinks.line);
            file.write(&record, &sinks.line);
        }
        if !sinks.queues.is_empty() {
            let log = Arc::downgrade(self);
            sinks.queues.iter().for_each(|queue| queue.push(&record, is_last, &log));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Sinks>> {
        self.sinks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
