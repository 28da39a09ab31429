//! What the daemon itself has to tell a collector: heartbeats, audit records and errors, crashes among them, travel as
//! tasks, so that none is lost while the collector is away. The body of each is the record's line (see
//! `docs/schema/log-record.json`).

use std::io;
use std::sync::{Arc, MutexGuard, PoisonError};

use super::Tasks;
use crate::log::{Event, Record, Sink};
use crate::metrics::Outcome;
use crate::queue::{Kind, NewTask, Refused};

/// Reports are delivered in the order in which things happened.
const ORDER: &str = "seaworthyd-reports";

/// The queue as a place for records.
pub(crate) struct Reports(pub(crate) Arc<Tasks>);

impl Sink for Reports {
    fn name(&self) -> &'static str {
        "queue"
    }

    fn write(&mut self, record: &Record<'_>) -> io::Result<()> {
        let tasks = &self.0;
        if !tasks.settings().wants(record.event) {
            return Ok(());
        }
        let is_heartbeat = record.event == Event::Heartbeat;
        // Held until its id is known: it may be delivered before.
        let mut heartbeat = is_heartbeat.then(|| tasks.heartbeat());
        if heartbeat.as_ref().and_then(|heartbeat| **heartbeat).is_some_and(|id| tasks.queue.holds(id)) {
            // One that has not arrived says all that a second one would.
            tasks.metrics.heartbeat(Outcome::Failure);
            return Ok(());
        }
        let mut line = String::new();
        record.write_line(&mut line);
        let task = NewTask {
            kind: Kind::Deliver,
            order_key: Some(ORDER.to_owned()),
            body: line.into_bytes(),
            ..NewTask::default()
        };
        match tasks.insert(&task) {
            Ok(pushed) => {
                if let Some(heartbeat) = &mut heartbeat {
                    **heartbeat = Some(pushed.id);
                }
                Ok(())
            }
            Err(error @ Refused::TooLong(..)) => Err(io::Error::new(io::ErrorKind::InvalidInput, error)),
            Err(error) => Err(io::Error::other(error)),
        }
    }
}

impl Tasks {
    fn heartbeat(&self) -> MutexGuard<'_, Option<u64>> {
        self.heartbeat.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the outcome if `id` is the last heartbeat.
    pub(super) fn heartbeat_done(&self, id: u64, outcome: Outcome) {
        let mut heartbeat = self.heartbeat();
        if *heartbeat == Some(id) {
            *heartbeat = None;
            self.metrics.heartbeat(outcome);
        }
    }
}
