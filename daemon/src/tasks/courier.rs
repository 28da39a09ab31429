//! The threads that bring tasks where they belong, and what they make of the outcome.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::gate::Entry;
use super::settings::QueueSettings;
use super::{MOST_FIRST_SENT, Tasks, number_of, trace};
use crate::capture::{self, CaptureOptions};
use crate::http::{self, Error, IDEMPOTENCY_KEY};
use crate::log::{Event, Value};
use crate::metrics::{AttemptOutcome, Outcome as Succeeded};
use crate::program;
use crate::queue::{Kind, Lease, Now, Retried, Taken, TaskError, Why};
use crate::supervisor::Message;

/// A courier reads and writes a little; looking up a host's name needs most of it. Bytes.
const STACK: usize = 256 * 1024;
/// A courier without work looks for some this often; new work wakes it at once.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// How long the last output of a command is waited for.
const OUTPUT_GRACE: Duration = Duration::from_millis(500);

/// How an attempt ended.
#[derive(Debug)]
enum Outcome {
    /// As wanted; the status of an answer.
    Done(Option<u16>),
    /// Nobody was there, and perhaps wishes to be left alone for so long.
    Away(String, Option<Duration>),
    /// The daemon ends.
    Interrupted,
    Failed(String),
    /// It would fail again.
    Hopeless(String),
}

/// Starts a courier for tasks of `kind`.
pub(super) fn start(tasks: &Arc<Tasks>, kind: Kind) {
    let own = Arc::clone(tasks);
    let thread = thread::Builder::new().name("courier".to_owned()).stack_size(STACK);
    if let Err(error) = thread.spawn(move || work(&own, kind)) {
        let fields = [("error", Value::text(error.to_string()))];
        tasks.log.write(Event::QueueUnavailable, "a courier of the queue cannot be started", &fields);
    }
}

fn work(tasks: &Tasks, kind: Kind) {
    while let Some(entry) = tasks.gate.enter(kind, tasks.settings().attempt_time()) {
        if entry == Entry::Scout {
            // The gate decides when to try; what waits on its own account would only delay finding out.
            tasks.queue.reconnected(kind);
        }
        let taken = tasks.queue.take(Some(kind), Now::read());
        let is_idle = taken.is_none();
        match taken {
            None => {}
            Some(Taken::Task(lease)) => attempt(tasks, &lease, entry),
            Some(Taken::Dead(death)) => tasks.bury(&death, None),
            Some(Taken::Unreadable { id, why }) => {
                let fields = [("task_id", number_of(id)), ("error", Value::text(why))];
                tasks.log.write(Event::TaskUnreadable, "a task cannot be read now", &fields);
            }
        }
        if entry == Entry::Scout {
            tasks.gate.recall();
        }
        if tasks.gate.leave(kind) {
            // It ends before the supervisor only when nobody waits.
            let _ = tasks.sender.send(Message::Quiet);
        }
        if is_idle {
            tasks.queue.wait(Some(kind), LONGEST_WAIT);
        }
    }
}

fn attempt(tasks: &Tasks, lease: &Lease, entry: Entry) {
    let (settings, trace) = (tasks.settings(), trace::id(&lease.idempotency_key));
    let begun = Instant::now();
    let since_accepted = || SystemTime::now().duration_since(lease.pushed).unwrap_or_default();
    if lease.attempt == 1 && !tasks.first_sent().contains_key(&lease.id) {
        tasks.metrics.task_sent(since_accepted(), Some(&trace));
    }
    let outcome = match lease.kind {
        Kind::Deliver => deliver(tasks, lease, &settings, &trace, begun),
        Kind::Command => run(tasks, lease, &settings, &trace),
    };
    let duration = begun.elapsed();
    let mut fields = vec![
        ("task_id", number_of(lease.id)),
        ("trace_id", Value::text(&trace)),
        ("attempt", Value::number(lease.attempt)),
        ("duration_ms", Value::number(duration.as_millis())),
    ];
    let is_slow = duration > tasks.slow;
    let count = |outcome| tasks.metrics.task_attempted(outcome, duration, is_slow, Some(&trace));
    let (why, error) = match &outcome {
        Outcome::Done(status) => {
            count(AttemptOutcome::Success);
            let first_sent = tasks.first_sent().remove(&lease.id).unwrap_or(begun);
            tasks.metrics.task_acknowledged(since_accepted(), first_sent.elapsed(), Some(&trace));
            fields.extend(status.map(|status| ("status", Value::number(status))));
            tasks.log.write(Event::TaskDone, "task done", &fields);
            if let Err(TaskError::NotWritten(error)) = tasks.queue.done(lease.id) {
                tasks.not_written(&error);
            }
            tasks.heartbeat_done(lease.id, Succeeded::Success);
            return;
        }
        Outcome::Interrupted => (Why::Unreachable, "the daemon ends"),
        Outcome::Away(error, _) => (Why::Unreachable, error.as_str()),
        Outcome::Failed(error) => (Why::Failed(error), error.as_str()),
        Outcome::Hopeless(error) => (Why::Hopeless(error), error.as_str()),
    };
    match tasks.queue.retry(lease.id, why, Now::read()) {
        Ok(Retried::In(pause)) => {
            count(AttemptOutcome::Retry);
            let mut first_sent = tasks.first_sent();
            if first_sent.len() < MOST_FIRST_SENT {
                first_sent.entry(lease.id).or_insert(begun);
            }
            drop(first_sent);
            fields.push(("pause_ms", Value::number(pause.as_millis())));
            fields.push(("error", Value::text(error)));
            tasks.log.write(Event::TaskRetry, "task not done, to be tried again", &fields);
        }
        Ok(Retried::Dead(death)) => {
            count(AttemptOutcome::Failure);
            tasks.bury(&death, Some(trace.clone()));
            tasks.heartbeat_done(lease.id, Succeeded::Failure);
        }
        // It gave way to others meanwhile, or the queue is closed.
        Err(_) => {}
    }
    if let Outcome::Away(error, wish) = &outcome
        && tasks.gate.is_away(entry, *wish)
    {
        let message = "the collector does not take deliveries, they wait for it";
        tasks.log.write(Event::CollectorAway, message, &[("error", Value::text(error))]);
    }
}

fn deliver(tasks: &Tasks, lease: &Lease, settings: &QueueSettings, trace: &str, begun: Instant) -> Outcome {
    let Some(collector) = &settings.collector else {
        return Outcome::Away("there is no collector any more".to_owned(), None);
    };
    let (id, attempt) = (lease.id.to_string(), lease.attempt.to_string());
    let headers = [
        ("Content-Type", settings.content_type.as_str()),
        (IDEMPOTENCY_KEY, &lease.idempotency_key),
        ("traceparent", &trace::parent(trace, lease.attempt)),
        ("Seaworthyd-Task", &id),
        ("Seaworthyd-Attempt", &attempt),
    ];
    match http::post(collector, &headers, &lease.body, settings.attempt_time()) {
        Ok(status) => {
            back(tasks);
            Outcome::Done(Some(status.0))
        }
        Err(error) => {
            let is_here = matches!(error, Error::Status { .. });
            let outcome = judge(&error, tasks.gate.has_taken_lately(begun));
            if is_here && !matches!(outcome, Outcome::Away(..)) {
                // It answers, though not as wished: what waits for its return need not wait.
                back(tasks);
            }
            outcome
        }
    }
}

/// The collector has answered.
fn back(tasks: &Tasks) {
    if tasks.gate.taken() {
        tasks.queue.reconnected(Kind::Deliver);
        tasks.log.write(Event::CollectorBack, "the collector takes deliveries again", &[]);
    }
}

/// Who is to blame: a collector that is away costs no task an attempt, but a task that breaks the collector must end one
/// day. So what may be either is the task's fault if the collector took others lately (`is_well`).
fn judge(error: &Error, is_well: bool) -> Outcome {
    let words = error.to_string();
    match error {
        Error::Unresolved { .. } | Error::Refused { .. } => Outcome::Away(words, None),
        // Too many requests; unavailable.
        Error::Status { code: 429 | 503, retry_after } => Outcome::Away(words, *retry_after),
        error if !error.is_worth_a_retry() => Outcome::Hopeless(words),
        Error::Status { code: 502 | 504, retry_after } if !is_well => Outcome::Away(words, *retry_after),
        Error::TimedOut { .. } | Error::Broken(_) | Error::BadAnswer(_) if !is_well => {
            Outcome::Away(words, None)
        }
        _ => Outcome::Failed(words),
    }
}

/// The body of a task that runs the command `name` with `input`.
pub(super) fn command_body(name: &str, input: &[u8]) -> Vec<u8> {
    [name.as_bytes(), b"\n", input].concat()
}

fn run(tasks: &Tasks, lease: &Lease, settings: &QueueSettings, trace: &str) -> Outcome {
    let (name, input) = match lease.body.iter().position(|byte| *byte == b'\n') {
        Some(end) => (String::from_utf8_lossy(&lease.body[..end]), &lease.body[end + 1..]),
        None => return Outcome::Hopeless("it names no command".to_owned()),
    };
    let Some(command) = settings.command(&name) else {
        return Outcome::Hopeless(format!("no command is named {name:?} any more"));
    };
    let environment = [
        ("SEAWORTHYD_TASK", lease.id.to_string()),
        ("SEAWORTHYD_ATTEMPT", lease.attempt.to_string()),
        ("SEAWORTHYD_IDEMPOTENCY_KEY", lease.idempotency_key.clone()),
        ("TRACEPARENT", trace::parent(trace, lease.attempt)),
    ];
    let launch = command.launch(input.to_vec(), &environment, &tasks.log);
    let options = CaptureOptions::new(command.output());
    let mut captures = Vec::new();
    let ended = program::run(&launch, command.timeout(), &|| tasks.gate.is_over(), |(stdout, stderr)| {
        let (name, log) = (&launch.name, &tasks.log);
        captures
            .extend(stdout.and_then(|stream| capture::capture(name, "stdout", stream, log, &options).ok()));
        captures
            .extend(stderr.and_then(|stream| capture::capture(name, "stderr", stream, log, &options).ok()));
    });
    let deadline = Instant::now() + OUTPUT_GRACE;
    captures.into_iter().for_each(|capture| _ = capture.wait(deadline));
    match ended {
        Ok(()) => Outcome::Done(None),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Outcome::Interrupted,
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blame_is_given_where_it_belongs() {
        let status = |code| Error::Status { code, retry_after: Some(Duration::from_secs(3)) };
        let timed_out = || Error::TimedOut { step: "the answer", limit: Duration::ZERO };
        let broken = || Error::Broken(io::ErrorKind::ConnectionReset.into());
        let refused =
            || Error::Refused { authority: "h:1".to_owned(), cause: io::ErrorKind::ConnectionRefused.into() };
        // Whatever else works: nobody is there.
        for is_well in [false, true] {
            assert!(matches!(judge(&refused(), is_well), Outcome::Away(_, None)));
            for code in [429, 503] {
                assert!(matches!(judge(&status(code), is_well), Outcome::Away(_, Some(_))), "{code}");
            }
            for code in [301, 400, 404, 413, 501] {
                assert!(matches!(judge(&status(code), is_well), Outcome::Hopeless(_)), "{code}");
            }
            for code in [408, 425, 500, 507] {
                assert!(matches!(judge(&status(code), is_well), Outcome::Failed(_)), "{code}");
            }
        }
        for error in [timed_out(), broken(), Error::BadAnswer("x"), status(502), status(504)] {
            assert!(matches!(judge(&error, false), Outcome::Away(..)), "{error}");
            assert!(matches!(judge(&error, true), Outcome::Failed(_)), "{error}");
        }
    }
}
