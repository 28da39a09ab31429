//! The process that does the daemon's work, as the guardian's child: it hears controls on its standard input and tells its
//! states on its standard output.

use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use crate::config::{Config, Workload};
use crate::control::server;
use crate::crashes::{Saved, end_with_panics};
use crate::failure::{Cause, Failure};
use crate::guardian::{Host, REOPEN, Word};
use crate::identity::{Identity, NAME};
use crate::log::{Event, Log, Value};
use crate::metrics::{Build, Exporter, Metrics, Pusher};
use crate::os;
use crate::state::{Control, State};
use crate::supervisor::{Message, Shared, Supervisor};
use crate::tasks::{Reports, Tasks};
use crate::vital::Vital;

/// The thread that reads the guardian's words; bytes.
const STACK: usize = 64 * 1024;

/// How the guardian starts it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Start {
    /// The configuration file.
    pub(crate) config: Option<PathBuf>,
    /// Whether it logs where the system's services do, without standard error.
    pub(crate) as_service: bool,
    /// How often to give a sign of life; milliseconds.
    pub(crate) pulse: u64,
    /// How the worker before this one crashed.
    pub(crate) crash: Option<String>,
    /// What was kept of it.
    pub(crate) saved: Option<Saved>,
}

/// Supervises until the guardian says stop, or is no more.
pub(crate) fn work(start: Start) -> Result<(), Failure> {
    let guardian = Guardian { pulse: Duration::from_millis(start.pulse.max(1)) };
    os::prepare_worker();
    // Without handlers it runs as well, and crashes unseen.
    let _ = os::crash::watch();
    end_with_panics();
    supervise(start, &guardian).inspect_err(|failure| {
        // Nobody may be left to hear it.
        let _ = guardian.say(&Word::Failed(failure.to_string()));
    })
}

fn supervise(start: Start, guardian: &Guardian) -> Result<(), Failure> {
    let config = start.config.as_ref().map_or_else(|| Ok(Config::default()), |path| Config::read(path));
    let settings = config.as_ref().map(|config| config.log.as_ref().clone()).unwrap_or_default();
    let log = if start.as_service { os::service_log(settings)? } else { Log::open(NAME, &settings)? };
    let config = config.inspect_err(|failure| {
        // A service's standard error is nobody's.
        if start.as_service {
            log.finish(Event::Refused, "cannot run", &[("error", Value::text(failure.to_string()))]);
        }
    })?;
    // Nobody may be left to hear it.
    let _ = guardian.say(&Word::Crashes(config.crashes()));
    let state_directory = config.state_directory();
    let metrics = Arc::new(Metrics::new(labels(&Identity::of_this_program()), state_directory.clone()));
    metrics.set_workloads(config.workloads.iter().map(Workload::name));
    log.count_in(&metrics);
    let exporter = Arc::new(Exporter::with_log(Arc::clone(&metrics), state_directory.as_deref(), &log));
    let vital = Arc::new(Vital::new());
    let (live, ready) = (Arc::clone(&vital), Arc::clone(&vital));
    // A port that is taken keeps no workload down; the log tells it.
    let _server = exporter.serve(config.metrics.as_ref(), move || live.live(), move || ready.ready());
    let _keeper = state_directory.is_some().then(|| exporter.keep());
    let pusher = Arc::new(Pusher::new(&exporter, state_directory));
    pusher.adopt(config.metrics.as_ref().otlp.as_ref());
    let (sender, inbox) = mpsc::channel();
    let tasks = Tasks::open(&config, &log, &metrics, &sender);
    if let Some(tasks) = &tasks {
        log.add(Box::new(Reports(Arc::clone(tasks))));
    }
    if let Some(crash) = start.crash {
        log.write(Event::WorkerCrashed, &crash, &[]);
    }
    if let Some(saved) = start.saved {
        tell(saved, &log);
    }
    let clients = server::listen(&config.control, &sender, tasks.as_ref(), &log)?;
    let words = sender.clone();
    thread::Builder::new().stack_size(STACK).spawn(move || listen(io::stdin().lock(), &words)).map_err(
        |error| {
            Failure::new(
                Cause::System,
                format!("cannot start a thread: {error}"),
                "raise the limit of processes",
            )
        },
    )?;
    let mut host = guardian.clone();
    let ended = Supervisor::new(
        config,
        start.config,
        Shared { log, sender, metrics, pusher, vital, tasks },
        inbox,
        &mut host,
    )
    .run();
    clients.wait();
    ended
}

/// What was kept of the crash before, and why not more.
fn tell(saved: Saved, log: &Log) {
    let message = match (&saved.dump, &saved.context) {
        (Some(_), _) => "a minidump of the worker that crashed is kept",
        (None, Some(_)) => "the context of the crash is kept, without a minidump",
        (None, None) => "nothing is kept of the crash",
    };
    let bytes = saved.dump.as_ref().map(|_| Value::Number(saved.bytes.cast_signed()));
    let fields = [
        ("dump", saved.dump.map(Value::Text)),
        ("context", saved.context.map(Value::Text)),
        ("bytes", bytes),
        ("error", saved.error.map(Value::Text)),
    ];
    let known: Vec<_> = fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    log.write(Event::CrashSaved, message, &known);
}

/// For the metric that says which build runs.
fn labels(identity: &Identity) -> Build {
    Build {
        version: identity.version().to_owned(),
        commit: identity.commit().to_owned(),
        target: identity.target().to_owned(),
        build: identity.build().unwrap_or_default().to_owned(),
    }
}

fn listen(input: impl BufRead, sender: &Sender<Message>) {
    for line in input.lines().map_while(Result::ok) {
        let control = Control::ALL.into_iter().find(|control| control.name() == line);
        let message = match control {
            Some(control) => Message::Control(control),
            None if line == REOPEN => Message::Reopen,
            None => continue,
        };
        let _ = sender.send(message);
    }
    // The guardian is gone: nobody would start this worker again, and nobody could stop it.
    let _ = sender.send(Message::Control(Control::Stop));
}

/// The guardian as the supervisor's host.
#[derive(Clone)]
struct Guardian {
    pulse: Duration,
}

impl Guardian {
    fn say(&self, word: &Word) -> io::Result<()> {
        let mut output = io::stdout().lock();
        writeln!(output, "{}", word.line())?;
        output.flush()
    }
}

impl Host for Guardian {
    fn report(&mut self, state: State, patience: Duration) -> io::Result<()> {
        self.say(&Word::State(state, patience))
    }

    fn reloading(&mut self) -> io::Result<()> {
        self.say(&Word::Reloading)
    }

    fn pulse(&self) -> Option<Duration> {
        Some(self.pulse)
    }

    fn alive(&mut self) -> io::Result<()> {
        self.say(&Word::Alive)
    }
}
