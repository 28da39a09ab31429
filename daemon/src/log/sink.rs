//! What a place for records must be able to do, and the queue before one that may be slow or gone.
//!
//! A record goes straight to its sink as long as the sink takes it at once. When it does not, the record waits in a
//! bounded queue and a thread, which lives only as long as it has work, brings it there. Records that find the queue full
//! are counted, and the sink is told the number in the place where they are missing.

use std::collections::VecDeque;
use std::io;
use std::mem::size_of;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::event::Event;
use super::record::{Record, Value};
use super::{Origin, Shared};

/// What may wait for a sink. Bytes of memory.
const LONGEST_QUEUE: usize = 512 * 1024;
/// The thread's stack; looking up a host's name needs most of it. Bytes.
const STACK: usize = 256 * 1024;
/// How long the thread waits for more before it ends.
const LINGER: Duration = Duration::from_secs(5);
/// The pause after the first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// No pause is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// The pause while the daemon is about to end.
const LAST_PAUSE: Duration = Duration::from_millis(20);
/// A sink that fails this often in a row is told about.
const WORTH_TELLING: u32 = 5;

/// A place where records go.
pub(crate) trait Sink: Send + 'static {
    /// Its name in records.
    fn name(&self) -> &'static str;

    /// Takes the record if that needs no waiting. After an error the record goes to [`Sink::write`].
    fn offer(&mut self, _record: &Record<'_>) -> io::Result<()> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// Takes the record, however long that needs. It is called again with the same record after an error, except after
    /// one of kind `InvalidInput`: that record cannot be taken, and is counted as lost.
    fn write(&mut self, record: &Record<'_>) -> io::Result<()>;
}

/// A sink with its queue.
#[derive(Clone)]
pub(super) struct Queue(Arc<Inner>);

struct Inner {
    name: &'static str,
    origin: Arc<Origin>,
    state: Mutex<State>,
    /// A record waits, or the end has come.
    work: Condvar,
    /// The sink has come back.
    idle: Condvar,
}

struct State {
    /// `None` while the thread has it.
    sink: Option<Box<dyn Sink>>,
    waiting: VecDeque<Kept>,
    /// Memory of those that wait. Bytes.
    size: usize,
    /// Records that found no room since the sink was last told.
    lost: u64,
    /// Records that found no room since the present failure began.
    lost_in_failure: u64,
    has_thread: bool,
    closing: bool,
}

impl Queue {
    pub(super) fn new(sink: Box<dyn Sink>, origin: Arc<Origin>) -> Self {
        let state = State {
            sink: Some(sink),
            waiting: VecDeque::new(),
            size: 0,
            lost: 0,
            lost_in_failure: 0,
            has_thread: false,
            closing: false,
        };
        let name = state.sink.as_ref().map_or("", |sink| sink.name());
        let (state, work, idle) = (Mutex::new(state), Condvar::new(), Condvar::new());
        Self(Arc::new(Inner { name, origin, state, work, idle }))
    }

    /// Never waits. `log` is where a failure of the sink is told; the last record finds room also in a full queue.
    pub(super) fn push(&self, record: &Record<'_>, is_last: bool, log: &Weak<Shared>) {
        let mut state = self.0.lock();
        if state.waiting.is_empty()
            && let Some(sink) = &mut state.sink
            && sink.offer(record).is_ok()
        {
            return;
        }
        state.keep(record, is_last, self.0.name);
        if state.has_thread {
            self.0.work.notify_one();
            return;
        }
        let (inner, log) = (Arc::clone(&self.0), log.clone());
        let thread = thread::Builder::new().name(format!("log-{}", inner.name)).stack_size(STACK);
        // Without a thread the record waits for the next one's attempt.
        state.has_thread = thread.spawn(move || inner.drain(&log)).is_ok();
    }

    /// Waits until every record has arrived, or `deadline`.
    pub(super) fn finish(&self, deadline: Instant) {
        let mut state = self.0.lock();
        state.closing = true;
        self.0.work.notify_all();
        while state.has_thread && (state.sink.is_none() || !state.waiting.is_empty()) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.0.idle.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread: brings what waits to the sink, and ends when for a while nothing came.
    fn drain(&self, log: &Weak<Shared>) {
        let mut state = self.lock();
        loop {
            if let Some(mut sink) = state.sink.take() {
                while let Some(kept) = state.next(self.name) {
                    drop(state);
                    let arrived = self.bring(&mut *sink, &kept, log);
                    state = self.lock();
                    // A sink that refuses even the number of what it refused is told no more.
                    state.lost += u64::from(!arrived && kept.event != Event::LogRecordsLost);
                }
                state.sink = Some(sink);
            }
            self.idle.notify_all();
            if !state.closing {
                state = self.work.wait_timeout(state, LINGER).unwrap_or_else(PoisonError::into_inner).0;
            }
            if state.waiting.is_empty() {
                state.has_thread = false;
                return;
            }
        }
    }

    /// Tries until the sink has the record; `false` if it refuses this one.
    fn bring(&self, sink: &mut dyn Sink, kept: &Kept, log: &Weak<Shared>) -> bool {
        let (mut failures, mut pause) = (0_u32, FIRST_PAUSE);
        let tell = |event, message: &str, field| {
            if let Some(log) = log.upgrade() {
                log.write(event, message, &[("sink", Value::text(self.name)), field]);
            }
        };
        loop {
            let Err(error) = kept.with(&self.origin, |record| sink.write(record)) else {
                if failures >= WORTH_TELLING {
                    let lost = std::mem::take(&mut self.lock().lost_in_failure);
                    let lost = ("lost", Value::number(lost));
                    tell(Event::LogSinkRecovered, "a sink of the log takes records again", lost);
                }
                return true;
            };
            if error.kind() == io::ErrorKind::InvalidInput {
                return false;
            }
            failures = failures.saturating_add(1);
            if failures == 1 {
                self.lock().lost_in_failure = 0;
            }
            if failures == WORTH_TELLING {
                let error = ("error", Value::text(error.to_string()));
                tell(Event::LogSinkFailed, "a sink of the log takes no records", error);
            }
            self.rest(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Waits for `pause`, which is cut short when the daemon ends.
    fn rest(&self, pause: Duration) {
        let end = Instant::now() + pause;
        let mut state = self.lock();
        while !state.closing {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.work.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(state);
        thread::sleep(LAST_PAUSE.min(pause));
    }
}

impl State {
    fn keep(&mut self, record: &Record<'_>, is_last: bool, sink: &str) {
        let kept = Kept::of(record);
        // Once full, it takes nothing before it is half empty: one gap with one number, not a gap after each record.
        let limit = if self.lost > 0 { LONGEST_QUEUE / 2 } else { LONGEST_QUEUE };
        if !is_last && self.size + kept.size() > limit {
            self.lost += 1;
            self.lost_in_failure += 1;
            return;
        }
        if self.lost > 0 {
            let gap = Kept::gap(std::mem::take(&mut self.lost), sink);
            self.add(gap);
        }
        self.add(kept);
    }

    fn add(&mut self, kept: Kept) {
        self.size += kept.size();
        self.waiting.push_back(kept);
    }

    /// The next for the sink: a record, or the number of those that are missing after the last.
    fn next(&mut self, sink: &str) -> Option<Kept> {
        if let Some(kept) = self.waiting.pop_front() {
            self.size -= kept.size();
            return Some(kept);
        }
        self.waiting.shrink_to(0);
        (self.lost > 0).then(|| Kept::gap(std::mem::take(&mut self.lost), sink))
    }
}

/// A record that waits.
struct Kept {
    time: SystemTime,
    event: Event,
    message: Box<str>,
    fields: Box<[(Box<str>, Value)]>,
}

impl Kept {
    fn of(record: &Record<'_>) -> Self {
        let fields = record.fields.iter().map(|(name, value)| (Box::from(*name), value.clone())).collect();
        Self { time: record.time, event: record.event, message: record.message.into(), fields }
    }

    fn gap(lost: u64, sink: &str) -> Self {
        let records = Value::number(lost);
        let fields = Box::from([(Box::from("sink"), Value::text(sink)), (Box::from("records"), records)]);
        let message = "records are missing here: the sink was slow or gone".into();
        Self { time: SystemTime::now(), event: Event::LogRecordsLost, message, fields }
    }

    /// Memory it needs. Bytes.
    fn size(&self) -> usize {
        let fields = self.fields.iter().map(|(name, value)| {
            let text = if let Value::Text(text) = value { text.len() } else { 0 };
            size_of::<(Box<str>, Value)>() + name.len() + text
        });
        size_of::<Self>() + self.message.len() + fields.sum::<usize>()
    }

    fn with<T>(&self, origin: &Origin, use_it: impl FnOnce(&Record<'_>) -> T) -> T {
        let fields: Vec<(&str, Value)> =
            self.fields.iter().map(|(name, value)| (&**name, value.clone())).collect();
        use_it(&Record {
            time: self.time,
            service: &origin.service,
            build: origin.build.as_deref(),
            event: self.event,
            message: &self.message,
            fields: &fields,
        })
    }
}
