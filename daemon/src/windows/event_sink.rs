//! The Event Log as one of the log's places.

use std::io;

use super::event_log::EventLog;
use crate::log::{Event, Record, Sink};

impl Sink for EventLog {
    fn name(&self) -> &'static str {
        "event-log"
    }

    fn write(&mut self, record: &Record<'_>) -> io::Result<()> {
        // What workloads print would fill it; the file has that.
        if record.event == Event::WorkloadOutput {
            return Ok(());
        }
        self.report(record.event, record.message, record.fields)
    }
}
