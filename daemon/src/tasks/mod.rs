//! Work that must not be lost: taken in by the control channel, kept in the durable queue, and brought to the collector
//! or to a configured command until that has done it.

mod courier;
mod gate;
mod reports;
mod settings;
mod trace;

use std::collections::HashMap;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use crate::config::Config;
use crate::control::protocol::{Answer, DeadLetter, Refused, RefusedKind, Task};
use crate::control::status::QueueStatus;
use crate::log::{Event, Log, Value};
use crate::metrics::{self, Metrics, TaskEnd, TaskRefusal};
use crate::queue::{self, Death, Kind, NewTask, Now, Queue, Recovery, TaskError};
use crate::supervisor::Message;
use gate::Gate;
pub(crate) use reports::Reports;
pub(crate) use settings::QueueSettings;

/// How long deliveries that are under way may take when the daemon ends; they are tried again by the next one.
const LAST_DELIVERIES: Duration = Duration::from_secs(2);
/// How long an interrupted command may take to end.
const LAST_COMMANDS: Duration = Duration::from_secs(5);
/// How often couriers that are about to look for work are woken while the daemon ends.
const NUDGE: Duration = Duration::from_millis(20);
/// Of so many tasks it is known when they were first sent.
const MOST_FIRST_SENT: usize = 10_000;
/// How many dead letters one answer lists: few enough for a line of the control channel, however their keys are escaped.
pub(crate) const DEAD_LETTERS_AT_ONCE: usize = 50;

/// The daemon's tasks; threads share it.
pub(crate) struct Tasks {
    queue: Queue,
    settings: RwLock<Arc<QueueSettings>>,
    gate: Gate,
    log: Log,
    metrics: Arc<Metrics>,
    /// An attempt that takes longer counts as slow.
    slow: Duration,
    /// The supervisor's inbox.
    sender: Sender<Message>,
    /// When tasks that are tried again were first sent.
    first_sent: Mutex<HashMap<u64, Instant>>,
    /// The last heartbeat that was put into the queue.
    heartbeat: Mutex<Option<u64>>,
}

impl Tasks {
    /// Opens the queue that `config` wants, and begins to work at it. The log says why it does not open: workloads run
    /// without it.
    pub(crate) fn open(
        config: &Config,
        log: &Log,
        metrics: &Arc<Metrics>,
        sender: &Sender<Message>,
    ) -> Option<Arc<Self>> {
        let settings = config.queue.as_ref()?.as_ref().clone();
        let opened = settings
            .folder(config.state_directory().as_deref())
            .ok_or_else(|| "neither queue.directory nor state_directory is set".to_owned())
            .and_then(|folder| {
                Queue::open(&folder, settings.limits.clone()).map_err(|error| error.to_string())
            });
        let (queue, recovery) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                let fields = [("error", Value::text(error))];
                log.write(Event::QueueUnavailable, "the daemon goes on without its queue", &fields);
                return None;
            }
        };
        let at_once =
            [(Kind::Deliver, settings.deliveries_at_once), (Kind::Command, settings.commands_at_once)];
        let tasks = Arc::new(Self {
            queue,
            settings: RwLock::new(Arc::new(settings)),
            gate: Gate::default(),
            log: log.clone(),
            metrics: Arc::clone(metrics),
            slow: config.metrics.as_ref().slow_task(),
            sender: sender.clone(),
            first_sent: Mutex::default(),
            heartbeat: Mutex::default(),
        });
        tasks.tell_recovery(&recovery);
        let measured = Arc::downgrade(&tasks);
        metrics.queue_from(move || measured.upgrade().map(|tasks| tasks.measure()).unwrap_or_default());
        for (kind, count) in at_once {
            (0..count).for_each(|_| courier::start(&tasks, kind));
        }
        Some(tasks)
    }

    fn tell_recovery(&self, recovery: &Recovery) {
        let fields = [("tasks", Value::number(recovery.tasks)), ("dead", Value::number(recovery.dead))];
        self.log.write(Event::QueueOpened, "the queue is open", &fields);
        for damage in &recovery.damage {
            let mut fields = vec![
                ("segment", Value::text(&damage.segment)),
                ("offset", Value::number(damage.offset)),
                ("bytes", Value::number(damage.bytes)),
            ];
            fields.extend(damage.set_aside.clone().map(|name| ("set_aside", Value::text(name))));
            let (event, message) = match damage.is_tail {
                true => {
                    (Event::QueueTailCut, "the last push before a crash was never acknowledged and is gone")
                }
                false => (Event::QueueDamaged, "bytes of the queue are no record; all others are kept"),
            };
            self.log.write(event, message, &fields);
        }
        recovery.evicted.iter().for_each(|id| self.tell_dropped(*id));
    }

    /// Takes in a task of a client; its id, and whether it was there before, once it is on disk.
    pub(crate) fn push(&self, task: Task, body: Vec<u8>, peer: &str) -> Result<(u64, bool), Refused> {
        let new = self.new_task(task, body).inspect_err(|refused| {
            self.refused(TaskRefusal::Invalid, peer, &refused.message);
        })?;
        let bytes = new.body.len();
        let (kind, key) = (new.kind, new.idempotency_key.clone());
        let pushed = self.insert(&new).map_err(|refused| {
            let (reason, kind) = match refused {
                queue::Refused::Full => (TaskRefusal::Full, RefusedKind::Full),
                queue::Refused::TooLong(..) => (TaskRefusal::TooLarge, RefusedKind::BadRequest),
                queue::Refused::DiskFull => (TaskRefusal::Error, RefusedKind::Full),
                queue::Refused::Io(..) => (TaskRefusal::Error, RefusedKind::DiskFailed),
            };
            let words = refused.to_string();
            self.refused(reason, peer, &words);
            let (message, next) = words.split_once("; ").unwrap_or((&words, "look at the daemon's log"));
            Refused::new(kind, message, next)
        })?;
        let mut fields = vec![
            ("task_id", number_of(pushed.id)),
            ("kind", Value::text(name(kind))),
            ("bytes", Value::number(bytes)),
            ("peer", Value::text(peer)),
        ];
        fields.extend(key.map(|key| ("trace_id", Value::text(trace::id(&key)))));
        let message = if pushed.is_repeat { "the task is known already" } else { "task accepted" };
        self.log.write(Event::TaskAccepted, message, &fields);
        Ok((pushed.id, pushed.is_repeat))
    }

    fn new_task(&self, task: Task, body: Vec<u8>) -> Result<NewTask, Refused> {
        let refuse = |message: String, next| Err(Refused::new(RefusedKind::BadRequest, message, next));
        let is_plain = |key: &String| !key.chars().any(char::is_control);
        for (what, key) in [("order", &task.order_key), ("idempotency", &task.idempotency_key)] {
            if key.as_ref().is_some_and(|key| !is_plain(key) || key.is_empty()) {
                return refuse(
                    format!("the {what} key is empty or has a control character"),
                    "leave that out",
                );
            }
        }
        let settings = self.settings();
        let (kind, body) = match &task.run {
            None if settings.collector.is_none() => {
                return refuse(
                    "there is no collector".to_owned(),
                    "set queue.collector in the configuration",
                );
            }
            None => (Kind::Deliver, body),
            Some(name) if settings.command(name).is_none() => {
                let names: Vec<_> = settings.commands.iter().map(|command| command.name.as_str()).collect();
                let next = format!("the commands for tasks are: {}", names.join(", "));
                return Err(Refused::new(
                    RefusedKind::BadRequest,
                    format!("no command is named {name:?}"),
                    next,
                ));
            }
            Some(name) => (Kind::Command, courier::command_body(name, &body)),
        };
        let after = |seconds| SystemTime::now().checked_add(Duration::from_secs(seconds));
        Ok(NewTask {
            kind,
            order_key: task.order_key,
            idempotency_key: task.idempotency_key,
            deadline: task.deadline_seconds.and_then(after),
            body,
        })
    }

    /// Puts a task into the queue and counts it.
    fn insert(&self, task: &NewTask) -> Result<queue::Pushed, queue::Refused> {
        let begun = Instant::now();
        let pushed = self.queue.push(task)?;
        if !pushed.is_repeat {
            self.metrics.queue_synced(begun.elapsed());
            self.metrics.task_accepted();
        }
        pushed.dropped.iter().for_each(|id| self.tell_dropped(*id));
        Ok(pushed)
    }

    fn refused(&self, reason: TaskRefusal, peer: &str, why: &str) {
        self.metrics.task_refused(reason);
        self.log.write(
            Event::TaskRefused,
            "a task was not taken",
            &[("error", Value::text(why)), ("peer", Value::text(peer))],
        );
    }

    /// The largest body that is taken in. Bytes.
    pub(crate) fn longest_body(&self) -> u64 {
        self.settings().limits.max_body_bytes.into()
    }

    /// The dead letters after task `after`, [`DEAD_LETTERS_AT_ONCE`] at most.
    pub(crate) fn dead(&self, after: u64) -> Vec<DeadLetter> {
        let since_1970 = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let dead = self.queue.dead(after, DEAD_LETTERS_AT_ONCE).into_iter().map(|dead| DeadLetter {
            task: dead.id,
            kind: dead.kind.map(|kind| name(kind).to_owned()),
            order_key: dead.order_key,
            idempotency_key: dead.idempotency_key,
            died_unix_ms: u64::try_from(since_1970(dead.died).as_millis()).unwrap_or(u64::MAX),
            failures: dead.failures,
            reason: dead.reason,
        });
        dead.collect()
    }

    /// Tries a dead letter again, or all of them; how many.
    pub(crate) fn replay(&self, task: Option<u64>, peer: &str) -> Result<u64, Refused> {
        self.for_dead(task, peer, Event::TaskReplayed, "a dead letter is tried again", |id| {
            self.queue.replay(id)
        })
    }

    /// Throws a dead letter away, or all of them; how many.
    pub(crate) fn discard(&self, task: Option<u64>, peer: &str) -> Result<u64, Refused> {
        self.for_dead(task, peer, Event::TaskDiscarded, "a dead letter was thrown away", |id| {
            self.queue.discard(id)
        })
    }

    fn for_dead(
        &self,
        task: Option<u64>,
        peer: &str,
        event: Event,
        message: &str,
        act: impl Fn(u64) -> Result<(), TaskError>,
    ) -> Result<u64, Refused> {
        let ids = match task {
            Some(id) => vec![id],
            None => self.queue.dead(0, usize::MAX).iter().map(|dead| dead.id).collect(),
        };
        let mut count = 0;
        for id in ids {
            match act(id) {
                Ok(()) => {}
                // Meanwhile somebody else did it.
                Err(TaskError::NotDead(_)) if task.is_none() => continue,
                Err(TaskError::NotWritten(error)) => self.not_written(&error),
                Err(_) => {
                    let message = format!("task {id} is no dead letter");
                    return Err(Refused::new(
                        RefusedKind::UnknownTask,
                        message,
                        "seaworthyd queue dead lists them",
                    ));
                }
            }
            count += 1;
            self.log.write(event, message, &[("task_id", number_of(id)), ("peer", Value::text(peer))]);
        }
        Ok(count)
    }

    /// Counts a command to the queue.
    pub(crate) fn count(&self, command: &str, answer: &Answer) {
        self.metrics.control(command, answer.outcome());
    }

    /// What there is to tell.
    pub(crate) fn status(&self) -> QueueStatus {
        let figures = self.queue.figures(Now::read());
        QueueStatus {
            ready: figures.ready as u64,
            delayed: figures.delayed as u64,
            in_flight: figures.in_flight as u64,
            blocked: figures.blocked as u64,
            dead: figures.dead as u64,
            bytes: figures.bytes,
            oldest_ms: figures.oldest.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
            waits_for_collector: self.gate.waits_for_collector(),
        }
    }

    fn measure(&self) -> metrics::Queue {
        let figures = self.queue.figures(Now::read());
        metrics::Queue {
            tasks: (figures.ready + figures.delayed + figures.in_flight + figures.blocked) as u64,
            oldest: figures.oldest.and_then(|age| SystemTime::now().checked_sub(age)),
            size_bytes: figures.bytes,
            limit_bytes: self.settings().limits.max_bytes,
            dead_letters: figures.dead as u64,
        }
    }

    /// Takes over what can change while the queue is open.
    pub(crate) fn adopt(&self, settings: QueueSettings) {
        let before = self.settings();
        let adopted = QueueSettings::clone(&settings).opened_as(&before);
        if adopted != settings {
            let message = "directory, limits and *_at_once of the queue change with the daemon's next start";
            self.log.write(Event::QueueUnchanged, message, &[]);
        }
        let is_another = adopted.collector != before.collector;
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(adopted);
        if is_another {
            self.gate.forget_collector();
            self.queue.reconnected(Kind::Deliver);
        }
    }

    fn settings(&self) -> Arc<QueueSettings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Begins no command any more, until [`Tasks::resume`]; deliveries go on. The supervisor hears when the last one ended.
    pub(crate) fn pause(&self) {
        self.gate.set_paused(true);
    }

    /// Ends a pause.
    pub(crate) fn resume(&self) {
        self.gate.set_paused(false);
    }

    /// Begins nothing any more. The supervisor hears when the last command has ended.
    pub(crate) fn close(&self) {
        self.gate.close();
        self.queue.wake();
    }

    /// Whether no command runs.
    pub(crate) fn is_quiet(&self) -> bool {
        self.gate.is_quiet()
    }

    /// Ends what is still under way, after [`Tasks::close`]. What does not end is done again by the next daemon.
    pub(crate) fn finish(&self) {
        self.gate.interrupt();
        let patience = if self.is_quiet() { LAST_DELIVERIES } else { LAST_COMMANDS };
        let deadline = Instant::now() + patience;
        // A courier that has just found nothing to do may sleep before it sees that all is over.
        while !self.gate.wait_until_idle(NUDGE) && Instant::now() < deadline {
            self.queue.wake();
        }
    }

    fn bury(&self, death: &Death, trace: Option<String>) {
        self.metrics.task_ended(if death.is_expired { TaskEnd::Expired } else { TaskEnd::DeadLetter });
        self.first_sent().remove(&death.id);
        let mut fields = vec![("task_id", number_of(death.id)), ("reason", Value::text(&death.reason))];
        fields.extend(trace.map(|trace| ("trace_id", Value::text(trace))));
        self.log.write(Event::TaskDead, "a task was given up and is a dead letter now", &fields);
        death.evicted.into_iter().for_each(|id| self.tell_dropped(id));
    }

    fn tell_dropped(&self, id: u64) {
        self.metrics.task_ended(TaskEnd::Dropped);
        self.first_sent().remove(&id);
        self.log.write(Event::TaskDropped, "a task gave way to others", &[("task_id", number_of(id))]);
    }

    fn not_written(&self, error: &std::io::Error) {
        let fields = [("error", Value::text(error.to_string()))];
        let message = "the queue cannot be written: what was done is done again after a crash";
        self.log.write(Event::QueueNotWritten, message, &fields);
    }

    fn first_sent(&self) -> MutexGuard<'_, HashMap<u64, Instant>> {
        self.first_sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The word for a kind of task.
fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Deliver => "deliver",
        Kind::Command => "command",
    }
}

/// A task's number, which is a text to whoever reads the log.
fn number_of(task: u64) -> Value {
    Value::text(task.to_string())
}
