//! Reading the configuration again: what is new starts, what is gone stops, what changed is started again, and what is the
//! same does not notice. A configuration that is not valid changes nothing.

use super::Supervisor;
use super::slot::Slot;
use crate::config::{Config, Workload};
use crate::control::protocol::{Refused, RefusedKind};
use crate::log::{Event, Value};
use crate::machine::Input;
use crate::state::{Control, State};

impl Supervisor<'_> {
    /// Reads the file again and does what it says.
    pub(super) fn reload(&mut self) -> Result<(), Refused> {
        let Some(source) = self.source.clone() else {
            let message = "the daemon runs without a configuration file";
            return Err(Refused::new(RefusedKind::NotSupported, message, "start it with --config FILE"));
        };
        self.tell(|host| host.reloading());
        let outcome = match Config::read(&source) {
            Ok(config) => {
                let touched = self.adopt(config);
                self.shared.log.write(Event::Reloaded, "the configuration was read again", &touched);
                Ok(())
            }
            Err(failure) => {
                let fields = [("error", Value::text(failure.to_string()))];
                self.shared.log.write(Event::ReloadRefused, "the old configuration stays", &fields);
                Err(Refused::new(RefusedKind::BadConfiguration, failure.message(), failure.hint()))
            }
        };
        let state = self.state;
        self.tell(|host| host.report(state, std::time::Duration::ZERO));
        outcome
    }

    /// Takes over `config`; how many workloads that touched.
    fn adopt(&mut self, config: Config) -> [(&'static str, Value); 3] {
        if let Some(tasks) = &self.shared.tasks {
            tasks.adopt(config.queue.as_ref().map(|queue| queue.as_ref().clone()).unwrap_or_default());
        }
        self.shared.pusher.adopt(config.metrics.as_ref().otlp.as_ref());
        (self.heartbeat, self.stop_deadline) = (config.heartbeat(), config.stop_deadline());
        let stop = self.stop_deadline;
        let (mut new, mut changed, mut gone) = (0, 0, 0);
        for index in 0..self.slots.len() {
            let is_kept = |workload: &Workload| workload.name() == self.slots[index].workload.name();
            if !config.workloads.iter().any(is_kept) {
                gone += 1;
                self.slots[index].is_removed = true;
                let _ = self.drive(index, Input::Control(Control::Stop));
            }
        }
        // A new one is counted from its first start on.
        let names = self.slots.iter().map(|slot| slot.workload.name());
        self.shared.metrics.set_workloads(names.chain(config.workloads.iter().map(Workload::name)));
        for workload in config.workloads {
            let same_name = |slot: &Slot| slot.workload.name() == workload.name();
            match self.slots.iter().position(same_name) {
                // It is still ending; two of one name would take each other's processes for their own.
                Some(index) if self.slots[index].is_removed => {
                    new += 1;
                    self.slots[index].is_removed = false;
                    self.last_run += 1;
                    self.slots[index].reconfigure(workload, stop, self.last_run, &self.shared);
                    let _ = self.drive(index, Input::Revived);
                }
                Some(index) => {
                    changed += i64::from(!self.slots[index].workload.is_same_as(&workload));
                    self.last_run += 1;
                    self.slots[index].reconfigure(workload, stop, self.last_run, &self.shared);
                }
                None => {
                    new += 1;
                    self.slots.push(Slot::new(workload, stop));
                    let index = self.slots.len() - 1;
                    if self.state == State::Running {
                        let _ = self.drive(index, Input::Control(Control::Start));
                    } else {
                        self.slots[index].is_awaited = true;
                    }
                }
            }
        }
        let names = self.slots.iter().filter(|slot| !slot.is_removed).map(|slot| slot.workload.name());
        self.shared.metrics.set_workloads(names);
        self.tell_limits();
        [("new", Value::Number(new)), ("changed", Value::Number(changed)), ("gone", Value::Number(gone))]
    }
}
