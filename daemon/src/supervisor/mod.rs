//! The loop that keeps workloads alive. It sleeps until a message or the next due moment; nothing is polled.

mod looks;
mod reload;
mod requests;
mod slot;

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::control::protocol::Answer;
use crate::failure::{Cause, Failure};
use crate::guardian::Host;
use crate::identity::Identity;
use crate::log::{Event, Value};
use crate::machine::{Input, KILL_GRACE};
use crate::state::{Control, Refusal, State, Step};
use crate::tasks::Tasks;
use crate::usage::{LOOK, LeakSettings, Watch};

use requests::Waiter;
pub(crate) use slot::Shared;
use slot::Slot;

/// How long to wait for the last output of workloads that have ended.
const OUTPUT_GRACE: Duration = Duration::from_millis(500);
/// What a workload's own deadlines may take together with its kill, before the service takes a start for failed.
const START_GRACE: Duration = Duration::from_secs(5);

/// What wakes the loop.
#[derive(Debug)]
pub(crate) enum Message {
    /// From a signal or a service manager.
    Control(Control),
    /// From a client, which waits for the answer.
    Asked { wish: Wish, reply: Sender<Answer> },
    /// The log file was moved away.
    Reopen,
    /// The process of a run has ended and waits to be reaped.
    Exited { run: u64 },
    /// The last command of the queue has ended, while a pause or a stop waits for it.
    Quiet,
    /// A probe's verdict on a run: it is ready, or it is not well because of this.
    Probed { run: u64, verdict: Result<(), String> },
}

/// What a client asks of the supervisor.
#[derive(Clone, Debug)]
pub(crate) enum Wish {
    /// To change the state of a workload, or the service's if `None`.
    Control(Control, Option<String>),
    /// To tell all that is known.
    Status,
    /// To open the log file again.
    Reopen,
}

/// The daemon while it runs.
pub(crate) struct Supervisor<'a> {
    host: &'a mut dyn Host,
    /// The file that a reload reads.
    source: Option<PathBuf>,
    shared: Shared,
    inbox: Receiver<Message>,
    begun: Instant,
    state: State,
    slots: Vec<Slot>,
    waiters: Vec<Waiter>,
    /// When a pending state of the service ends.
    deadline: Option<Instant>,
    /// Why the service ends by itself.
    failure: Option<Failure>,
    heartbeat: Duration,
    stop_deadline: Duration,
    last_run: u64,
    /// What the worker itself uses.
    own: Watch,
    /// When processes are next looked at.
    next_look: Instant,
}

impl<'a> Supervisor<'a> {
    /// For `config`, which was read from `source`.
    pub(crate) fn new(
        config: Config,
        source: Option<PathBuf>,
        shared: Shared,
        inbox: Receiver<Message>,
        host: &'a mut dyn Host,
    ) -> Self {
        let (heartbeat, stop_deadline) = (config.heartbeat(), config.stop_deadline());
        let now = Instant::now();
        let slots = config.workloads.into_iter().map(|workload| Slot::new(workload, stop_deadline)).collect();
        Self {
            host,
            source,
            shared,
            inbox,
            begun: now,
            state: State::Stopped,
            slots,
            waiters: Vec::new(),
            deadline: None,
            failure: None,
            heartbeat,
            stop_deadline,
            last_run: 0,
            own: Watch::new(None, LeakSettings::default(), now),
            next_look: now + LOOK.min(heartbeat),
        }
    }

    /// Runs until stopped. The host learns `Stopped` last, when every workload is gone and the log is written: after it
    /// a service manager may end the process at once.
    pub(crate) fn run(mut self) -> Result<(), Failure> {
        let identity = Identity::of_this_program();
        let fields = [
            ("pid", Value::number(std::process::id())),
            ("version", Value::text(identity.version())),
            ("commit", Value::text(identity.commit())),
            ("workloads", Value::number(self.slots.len())),
        ];
        self.shared.log.write(Event::Starting, "starting", &fields);
        self.start();
        let mut next_heartbeat = Instant::now() + self.heartbeat;
        while !self.is_over() {
            self.wait(next_heartbeat);
            self.tell(|host| host.alive());
            self.shared.vital.turn();
            let now = Instant::now();
            if now >= next_heartbeat {
                self.beat();
                next_heartbeat = now + self.heartbeat;
            }
            self.look(now);
            self.settle(now);
        }
        self.end()
    }

    fn start(&mut self) {
        let probed = self.slots.iter().filter(|slot| slot.is_probed());
        let patience = probed.map(Slot::patience).max().unwrap_or_default() + START_GRACE;
        self.enter(State::StartPending, patience);
        self.tell_limits();
        for index in 0..self.slots.len() {
            let _ = self.drive(index, Input::Control(Control::Start));
        }
        self.settle(Instant::now());
    }

    fn wait(&mut self, next_heartbeat: Instant) {
        let now = Instant::now();
        let deadlines = self.slots.iter().filter_map(|slot| slot.machine.deadline());
        let pulse = self.host.pulse().map(|pulse| now + pulse);
        let wake = deadlines
            .chain(pulse)
            .chain(self.deadline)
            .fold(next_heartbeat.min(self.next_look), Instant::min);
        match self.inbox.recv_timeout(wake.saturating_duration_since(now)) {
            Ok(message) => self.hear(message),
            // Never disconnected: this struct holds a sender.
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
    }

    fn hear(&mut self, message: Message) {
        match message {
            Message::Control(control) => {
                if let Err(refusal) = self.obey(control) {
                    let fields =
                        [("state", Value::text(self.state.name())), ("refusal", Value::text(refusal.name()))];
                    let message = format!("{} is not possible now", control.name());
                    self.shared.log.write(Event::ControlRefused, &message, &fields);
                }
            }
            Message::Asked { wish, reply } => self.answer(wish, reply),
            Message::Reopen => self.shared.log.reopen(),
            // What waits for it is looked at after every message.
            Message::Quiet => {}
            Message::Exited { run } => {
                if let Some(index) = self.slot_of(run) {
                    let success = self.slots[index].reap(&self.shared);
                    let _ = self.drive(index, Input::Exited { success });
                }
            }
            Message::Probed { run, verdict } => {
                if let Some(index) = self.slot_of(run) {
                    let input = self.slots[index].judged(verdict, &self.shared);
                    let _ = self.drive(index, input);
                }
            }
        }
    }

    fn slot_of(&self, run: u64) -> Option<usize> {
        self.slots.iter().position(|slot| slot.run() == Some(run))
    }

    /// Gives `input` to a workload's machine and does what that asks for.
    fn drive(&mut self, index: usize, input: Input) -> Result<Step, Refusal> {
        // Only a new start uses it up; a number that is never used does no harm.
        self.last_run += 1;
        let driven = self.slots[index].drive(input, self.last_run, &self.shared);
        if matches!(driven, Ok(Step::To(_))) {
            // Many workloads that are slow to start, or to end, one after the other, are no loop that hangs.
            self.tell(|host| host.alive());
        }
        driven
    }

    /// Does what is asked of the service as a whole.
    fn obey(&mut self, control: Control) -> Result<Step, Refusal> {
        // The service that runs cannot start itself again; whoever asks ends it and starts it.
        let step = self.state.after(control)?;
        let patience = self.stop_deadline + KILL_GRACE;
        match step {
            Step::To(State::StopPending) => {
                self.enter(State::StopPending, patience);
                self.drive_all(Control::Stop);
                self.with_tasks(Tasks::close);
            }
            Step::To(State::PausePending) => {
                self.enter(State::PausePending, patience);
                self.drive_all(Control::Pause);
                self.with_tasks(Tasks::pause);
            }
            Step::To(State::ContinuePending) => {
                self.enter(State::ContinuePending, patience);
                self.drive_all(Control::Continue);
                self.with_tasks(Tasks::resume);
                // What was configured meanwhile begins now.
                for index in 0..self.slots.len() {
                    if std::mem::take(&mut self.slots[index].is_awaited) {
                        let _ = self.drive(index, Input::Control(Control::Start));
                    }
                }
            }
            Step::To(_) | Step::Already => {}
            Step::Stay => {
                // What was wrong with it is in the log.
                let _ = self.reload();
            }
        }
        Ok(step)
    }

    fn drive_all(&mut self, control: Control) {
        for index in 0..self.slots.len() {
            // One that stands still anyway refuses.
            let _ = self.drive(index, Input::Control(control));
        }
    }

    /// Does what is due, and ends the service's pending state when that is over.
    fn settle(&mut self, now: Instant) {
        for index in 0..self.slots.len() {
            let is_due = self.slots[index].machine.deadline().is_some_and(|deadline| deadline <= now);
            // While the service is paused, what has ended stays ended: its machine is paused too.
            if is_due {
                let _ = self.drive(index, Input::Time);
            }
        }
        self.slots.retain(|slot| !slot.is_removed || slot.machine.has_process());
        match self.state {
            State::StartPending if self.is_ready() => self.enter(State::Running, Duration::ZERO),
            State::StartPending if self.deadline.is_some_and(|deadline| deadline <= now) => self.give_up(),
            // A command that outlasts the pause's patience goes on in it.
            State::PausePending
                if self.is_quiet() || self.deadline.is_some_and(|deadline| deadline <= now) =>
            {
                self.enter(State::Paused, Duration::ZERO);
            }
            State::ContinuePending => self.enter(State::Running, Duration::ZERO),
            _ => {}
        }
        self.answer_waiters();
    }

    /// Whether each workload that has a readiness probe has passed it.
    fn is_ready(&self) -> bool {
        self.slots.iter().all(|slot| !slot.is_probed() || slot.machine.state() == State::Running)
    }

    fn give_up(&mut self) {
        let late: Vec<_> = self
            .slots
            .iter()
            .filter(|slot| slot.is_probed() && slot.machine.state() != State::Running)
            .map(|slot| slot.workload.name())
            .collect();
        let message = format!("not ready in time: {}", late.join(", "));
        self.shared.log.write(Event::NotReady, &message, &[]);
        self.failure = Some(Failure::new(
            Cause::NotReady,
            message,
            "look for its records in the log; a longer start_seconds helps a slow one",
        ));
        let _ = self.obey(Control::Stop);
    }

    fn is_over(&self) -> bool {
        let is_settled = |slot: &Slot| !slot.machine.state().is_pending();
        let is_late = self.deadline.is_some_and(|deadline| deadline <= Instant::now());
        self.state == State::StopPending && self.slots.iter().all(is_settled) && (self.is_quiet() || is_late)
    }

    /// Whether no command of the queue runs.
    fn is_quiet(&self) -> bool {
        self.shared.tasks.as_ref().is_none_or(|tasks| tasks.is_quiet())
    }

    fn with_tasks(&self, act: impl FnOnce(&Tasks)) {
        self.shared.tasks.as_deref().map(act);
    }

    fn end(mut self) -> Result<(), Failure> {
        let log = self.shared.log.clone();
        let deadline = Instant::now() + OUTPUT_GRACE;
        self.slots.iter_mut().for_each(|slot| slot.finish_output(deadline));
        let left = self.slots.iter().filter(|slot| slot.machine.has_process()).count();
        self.with_tasks(Tasks::finish);
        self.shared.pusher.finish();
        self.state = State::Stopped;
        self.answer_waiters();
        log.finish(Event::Stopped, "stopped", &[("workloads_left", Value::number(left))]);
        // The log has ended; there is nobody left to tell.
        let _ = self.host.report(self.state, Duration::ZERO);
        if left > 0 {
            let message = format!("{left} workload(s) did not end even when killed");
            return Err(Failure::new(Cause::System, message, "look for processes in uninterruptible sleep"));
        }
        self.failure.map_or(Ok(()), Err)
    }

    fn beat(&self) {
        let running = self.slots.iter().filter(|slot| slot.machine.has_process()).count();
        let fields = [("state", Value::text(self.state.name())), ("running", Value::number(running))];
        self.shared.log.write(Event::Heartbeat, "alive", &fields);
    }

    fn enter(&mut self, state: State, patience: Duration) {
        let before = std::mem::replace(&mut self.state, state);
        self.deadline = state.is_pending().then(|| Instant::now() + patience);
        let Shared { log, metrics, vital, .. } = &self.shared;
        metrics.service_state(state.name());
        metrics.service_ready(state == State::Running);
        vital.set_running(state == State::Running);
        match (before, state) {
            (State::StartPending, State::Running) => log.write(Event::Ready, "ready", &[]),
            (State::ContinuePending, State::Running) => log.write(Event::Continued, "continued", &[]),
            (_, State::Paused) => log.write(Event::Paused, "paused: ended workloads stay ended", &[]),
            (_, State::StopPending) => log.write(Event::Stopping, "stopping", &[]),
            _ => {}
        }
        self.tell(|host| host.report(state, patience));
    }

    fn tell(&mut self, tell: impl FnOnce(&mut dyn Host) -> io::Result<()>) {
        if let Err(error) = tell(self.host) {
            let fields = [("error", Value::text(error.to_string()))];
            self.shared.log.write(Event::NotifyFailed, "the service manager cannot be told", &fields);
        }
    }
}
