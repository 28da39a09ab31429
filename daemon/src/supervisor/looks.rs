//! Looking at what processes use, and doing something about those that use too much.

use std::time::Instant;

use super::slot::Slot;
use super::{Shared, Supervisor};
use crate::log::{Event, Value};
use crate::machine::Input;
use crate::metrics::{self, ExitReason};
use crate::state::State;
use crate::usage::{Finding, LOOK, MemoryAction};

impl Supervisor<'_> {
    /// Looks at every process if it is time to.
    pub(super) fn look(&mut self, now: Instant) {
        if now < self.next_look {
            return;
        }
        self.next_look = now + LOOK.min(self.heartbeat);
        for finding in self.own.look(metrics::usage(std::process::id()), now) {
            if let Finding::Leak { what, from, to } = finding {
                let fields =
                    [("what", Value::text(what)), ("from", Value::number(from)), ("to", Value::number(to))];
                self.shared.log.write(Event::Leak, "the daemon leaks: restart it, and report this", &fields);
            }
        }
        for index in 0..self.slots.len() {
            if let Some(input) = self.slots[index].look(now, &self.shared) {
                let _ = self.drive(index, input);
            }
        }
    }

    /// Lets the metrics know the limits of the configuration.
    pub(super) fn tell_limits(&self) {
        for Slot { workload, .. } in &self.slots {
            let limit = workload.memory().map(|memory| memory.limit_bytes);
            self.shared.metrics.workload_memory_limit(workload.name(), limit);
        }
    }
}

impl Slot {
    /// Looks at its process; what the machine must hear.
    fn look(&mut self, now: Instant, shared: &Shared) -> Option<Input> {
        let findings = self.watch.look(metrics::usage(self.pid()?), now);
        findings.into_iter().filter_map(|finding| self.found(finding, shared)).last()
    }

    fn found(&mut self, finding: Finding, shared: &Shared) -> Option<Input> {
        let mut fields = vec![("workload", Value::text(self.workload.name()))];
        match finding {
            Finding::Leak { what, from, to } => {
                fields.extend([
                    ("what", Value::text(what)),
                    ("from", Value::number(from)),
                    ("to", Value::number(to)),
                ]);
                shared.log.write(Event::WorkloadLeak, "workload has more and more of something", &fields);
                None
            }
            Finding::MemoryNormal { bytes, limit } => {
                fields.extend([("bytes", Value::number(bytes)), ("limit_bytes", Value::number(limit))]);
                shared.log.write(Event::WorkloadMemoryNormal, "workload uses less memory again", &fields);
                None
            }
            Finding::MemoryHigh { bytes, limit } => {
                fields.extend([("bytes", Value::number(bytes)), ("limit_bytes", Value::number(limit))]);
                shared.log.write(Event::WorkloadMemoryHigh, "workload's memory is near its limit", &fields);
                let is_restarted = self.workload.memory()?.action == MemoryAction::Restart;
                // Paused, it would stay ended.
                let may_end = matches!(self.machine.state(), State::StartPending | State::Running);
                let why = format!("it uses {bytes} of its {limit} bytes of memory");
                (is_restarted && may_end).then(|| self.unwell(ExitReason::Memory, &why, shared))
            }
        }
    }
}
