//! What clients ask of the running daemon, and when each gets its answer.

use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use super::slot::Slot;
use super::{Supervisor, Wish};
use crate::control::protocol::{Answer, Outcome, Refused, RefusedKind};
use crate::control::status::{Status, WorkloadStatus};
use crate::identity::{Identity, NAME};
use crate::machine::Input;
use crate::state::{Control, State, Step};

/// A client that waits for a change to be done.
pub(super) struct Waiter {
    control: Control,
    /// Whose change; the service's if `None`.
    workload: Option<String>,
    outcome: Outcome,
    reply: Sender<Answer>,
}

impl Supervisor<'_> {
    pub(super) fn answer(&mut self, wish: Wish, reply: Sender<Answer>) {
        let command = match &wish {
            Wish::Status => "status",
            Wish::Reopen => "other",
            Wish::Control(control, _) => control.name(),
        };
        let answer = match wish {
            Wish::Status => Ok(Answer::Status { status: Box::new(self.status()) }),
            Wish::Reopen => {
                self.shared.log.reopen();
                Ok(Answer::Done { outcome: Outcome::Changed, state: self.state })
            }
            Wish::Control(control, workload) => match self.control(control, workload.as_deref()) {
                Ok(None) => {
                    Ok(Answer::Done { outcome: Outcome::Changed, state: self.state_of(workload.as_deref()) })
                }
                Ok(Some(outcome)) => {
                    self.waiters.push(Waiter { control, workload, outcome, reply });
                    return;
                }
                Err(refused) => Err(refused),
            },
        };
        self.send(command, &reply, answer.unwrap_or_else(Answer::Refused));
    }

    fn send(&self, command: &str, reply: &Sender<Answer>, answer: Answer) {
        self.shared.metrics.control(command, answer.outcome());
        // A client that has left misses its answer.
        let _ = reply.send(answer);
    }

    /// Begins a change; `None` when it is done already, else how it will have ended when the state is settled.
    fn control(&mut self, control: Control, workload: Option<&str>) -> Result<Option<Outcome>, Refused> {
        let Some(name) = workload else { return self.control_service(control) };
        let Some(index) = self.slots.iter().position(|slot| slot.workload.name() == name && !slot.is_removed)
        else {
            let names: Vec<_> = self.slots.iter().map(|slot| slot.workload.name()).collect();
            let next = format!("the workloads are: {}", names.join(", "));
            return Err(Refused::new(
                RefusedKind::UnknownWorkload,
                format!("no workload is named {name:?}"),
                next,
            ));
        };
        let whose = format!("workload {name}");
        let starts = matches!(control, Control::Start | Control::Restart | Control::Continue);
        if starts && self.state != State::Running {
            let message =
                format!("the service is {}: {} is not possible now", self.state.name(), control.name());
            return Err(Refused::new(RefusedKind::Busy, message, "resume the service first"));
        }
        let before = self.slots[index].machine.state();
        match self.drive(index, Input::Control(control)) {
            Err(refusal) => Err(Refused::by_state(refusal, control, &whose, before)),
            Ok(Step::To(_)) => Ok(Some(Outcome::Changed)),
            Ok(Step::Already) => Ok(Some(Outcome::Already)),
            Ok(Step::Stay) => self.reload_workload(index).map(|()| None),
        }
    }

    fn control_service(&mut self, control: Control) -> Result<Option<Outcome>, Refused> {
        if control == Control::Restart {
            let message = "the running service cannot start itself again";
            return Err(Refused::new(RefusedKind::NotSupported, message, "stop it, then start it"));
        }
        let refusal = |refusal, state| Refused::by_state(refusal, control, "the service", state);
        if control == Control::Reload {
            self.state.after(control).map_err(|why| refusal(why, self.state))?;
            return self.reload().map(|()| None);
        }
        match self.obey(control).map_err(|why| refusal(why, self.state))? {
            Step::Already => Ok(Some(Outcome::Already)),
            Step::To(_) | Step::Stay => Ok(Some(Outcome::Changed)),
        }
    }

    fn reload_workload(&mut self, index: usize) -> Result<(), Refused> {
        let slot = &mut self.slots[index];
        let name = slot.workload.name().to_owned();
        match slot.reload() {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(Refused::new(
                RefusedKind::NotRunning,
                format!("workload {name} cannot be signalled: {error}"),
                "seaworthyd status tells whether it runs",
            )),
            None => Err(Refused::new(
                RefusedKind::NotSupported,
                format!("workload {name} has no reload_signal, or no process"),
                "set reload_signal in its configuration, or restart it",
            )),
        }
    }

    fn state_of(&self, workload: Option<&str>) -> State {
        let named = |name: &str| self.slots.iter().find(|slot| slot.workload.name() == name);
        match workload {
            None => self.state,
            // One that was removed meanwhile has been stopped.
            Some(name) => named(name).map_or(State::Stopped, |slot| slot.machine.state()),
        }
    }

    /// Answers everyone whose change is done, or has come to another end.
    pub(super) fn answer_waiters(&mut self) {
        for waiter in std::mem::take(&mut self.waiters) {
            let state = self.state_of(waiter.workload.as_deref());
            if state.is_pending() {
                self.waiters.push(waiter);
                continue;
            }
            let is_reached = match waiter.control {
                Control::Start | Control::Restart | Control::Continue => state == State::Running,
                Control::Stop => state == State::Stopped,
                Control::Pause => state == State::Paused,
                Control::Reload => true,
            };
            let answer = if is_reached || waiter.outcome == Outcome::Already {
                Answer::Done { outcome: waiter.outcome, state }
            } else {
                Answer::Refused(self.not_reached(&waiter, state))
            };
            self.send(waiter.control.name(), &waiter.reply, answer);
        }
    }

    fn not_reached(&self, waiter: &Waiter, state: State) -> Refused {
        let whose =
            waiter.workload.as_ref().map_or("the service".to_owned(), |name| format!("workload {name}"));
        let slot = waiter
            .workload
            .as_ref()
            .and_then(|name| self.slots.iter().find(|slot| slot.workload.name() == name));
        let why =
            slot.and_then(|slot| slot.last_end.as_ref()).map_or_else(String::new, |end| format!(" ({end})"));
        let message = format!("{whose} is {} after {}{why}", state.name(), waiter.control.name());
        Refused::new(RefusedKind::NotReached, message, "seaworthyd status tells more, and its log all")
    }

    pub(super) fn status(&self) -> Status {
        let identity = Identity::of_this_program();
        Status {
            service: NAME.to_owned(),
            state: self.state,
            pid: std::process::id(),
            uptime_ms: milliseconds(self.begun.elapsed()),
            version: identity.version().to_owned(),
            build: identity.build().map(ToOwned::to_owned),
            workloads: self.slots.iter().map(workload_status).collect(),
            queue: self.shared.tasks.as_ref().map(|tasks| tasks.status()),
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn workload_status(slot: &Slot) -> WorkloadStatus {
    let state = slot.machine.state();
    let due = slot.machine.deadline().filter(|_| state == State::Backoff);
    let until = |due: Instant| milliseconds(due.saturating_duration_since(Instant::now()));
    WorkloadStatus {
        name: slot.workload.name().to_owned(),
        state,
        pid: slot.pid(),
        uptime_ms: slot.uptime().map(milliseconds),
        starts: slot.starts,
        short_runs: slot.machine.short_runs(),
        next_start_ms: due.map(until),
        last_end: slot.last_end.clone(),
    }
}
