//! One workload as it is: its machine, its process if it has one, and the threads around it.

use std::hash::{BuildHasher, RandomState};
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use super::Message;
use crate::capture::{self, Capture, CaptureOptions, Output};
use crate::config::{Probe, Workload};
use crate::launch::Launch;
use crate::log::{Event, Log, Value};
use crate::machine::{Action, Input, Machine};
use crate::metrics::{ExitReason, Metrics, Pusher};
use crate::os::Process;
use crate::probe::{self, Asking, Purpose};
use crate::state::{Control, Refusal, State, Step};
use crate::tasks::Tasks;
use crate::usage::Watch;
use crate::vital::Vital;

/// The threads around a process read lines or wait; bytes.
const STACK: usize = 128 * 1024;

/// What every workload needs of the supervisor.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) log: Log,
    /// The supervisor's own inbox.
    pub(crate) sender: Sender<Message>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) pusher: Arc<Pusher>,
    pub(crate) vital: Arc<Vital>,
    /// `None` without a queue.
    pub(crate) tasks: Option<Arc<Tasks>>,
}

/// A workload.
pub(super) struct Slot {
    pub(super) workload: Workload,
    pub(super) machine: Machine,
    /// It is no longer configured, and goes when its process has.
    pub(super) is_removed: bool,
    /// It was configured while the service was paused, and starts when that is over.
    pub(super) is_awaited: bool,
    pub(super) starts: u64,
    pub(super) last_end: Option<String>,
    run: Option<Run>,
    /// Why its process is being ended.
    ending: Option<ExitReason>,
    /// What its process uses.
    pub(super) watch: Watch,
    /// How much it may print, over all its runs.
    output: CaptureOptions,
    /// Of runs that have ended: their last output.
    captures: Vec<Capture>,
}

/// A process of a workload, from its start to its end.
struct Run {
    number: u64,
    process: Process,
    started: Instant,
    /// The reading of its output.
    captures: Vec<Capture>,
    /// Each ends when the run does.
    probes: Vec<Asking>,
}

impl Slot {
    pub(super) fn new(workload: Workload, stop: Duration) -> Self {
        let machine = Machine::new(workload.policy(stop), Instant::now());
        let output = CaptureOptions::new(workload.output());
        let watch = Watch::new(workload.memory(), workload.leaks(), Instant::now());
        Self {
            workload,
            machine,
            is_removed: false,
            is_awaited: false,
            starts: 0,
            last_end: None,
            run: None,
            ending: None,
            watch,
            output,
            captures: Vec::new(),
        }
    }

    pub(super) fn is_probed(&self) -> bool {
        self.workload.readiness.is_some()
    }

    /// How long its start may take.
    pub(super) fn patience(&self) -> Duration {
        self.workload.policy(Duration::ZERO).start
    }

    pub(super) fn run(&self) -> Option<u64> {
        self.run.as_ref().map(|run| run.number)
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.run.as_ref().map(|run| run.process.id())
    }

    pub(super) fn uptime(&self) -> Option<Duration> {
        self.run.as_ref().map(|run| run.started.elapsed())
    }

    /// Gives `input` to the machine and does what it asks for; a process that starts becomes run `number`.
    pub(super) fn drive(&mut self, input: Input, number: u64, shared: &Shared) -> Result<Step, Refusal> {
        let now = Instant::now();
        let random = RandomState::new().hash_one(number) as u32;
        let before = self.machine.state();
        let (step, action) = self.machine.take(input, now, random)?;
        if self.machine.state() != before {
            shared.metrics.workload_state(self.workload.name(), self.machine.state().name());
            self.tell_state(before, shared, now);
            if self.machine.state() == State::Running {
                // A pause in which nothing can be done is over.
                self.watch.rearm();
            }
        }
        match action {
            Some(Action::Spawn) => self.spawn(number, shared),
            Some(Action::AskToStop) => self.ask_to_stop(shared),
            Some(Action::Kill) => self.kill("did not stop in time: ended with its tree", shared),
            None => {}
        }
        Ok(step)
    }

    fn tell_state(&self, before: State, shared: &Shared, now: Instant) {
        let mut fields = vec![("workload", Value::text(self.workload.name()))];
        let (event, message) = match self.machine.state() {
            State::Backoff => {
                let pause =
                    self.machine.deadline().map(|due| due.saturating_duration_since(now)).unwrap_or_default();
                shared.metrics.workload_restarts_in(self.workload.name(), pause);
                fields.push(("pause_ms", Value::number(pause.as_millis())));
                fields.push(("short_runs", Value::number(self.machine.short_runs())));
                (Event::WorkloadRestart, "workload will be started again")
            }
            State::Running => {
                shared.metrics.workload_ready(self.workload.name(), self.uptime().unwrap_or_default());
                if before != State::StartPending || !self.is_probed() {
                    return;
                }
                (Event::WorkloadReady, "workload is ready")
            }
            State::Failed => {
                fields.extend(self.last_end.clone().map(|end| ("last_end", Value::text(end))));
                (Event::WorkloadFailed, "workload does not run, and will not be started again")
            }
            State::Stopped => (Event::WorkloadStopped, "workload is stopped"),
            State::Paused => (Event::WorkloadPaused, "workload is paused"),
            _ => return,
        };
        shared.log.write(event, message, &fields);
    }

    fn spawn(&mut self, number: u64, shared: &Shared) {
        self.starts += 1;
        let started = Instant::now();
        let outcome = match Process::spawn(&self.workload.launch(&shared.log)) {
            Ok(process) => {
                self.begin(
                    Run { number, process, started, captures: Vec::new(), probes: Vec::new() },
                    shared,
                );
                Input::Spawned
            }
            Err(error) => {
                let fields = [
                    ("workload", Value::text(self.workload.name())),
                    ("command", Value::text(self.workload.command().display().to_string())),
                    ("error", Value::text(error.to_string())),
                ];
                shared.log.write(Event::WorkloadStartFailed, "workload cannot be started", &fields);
                shared.metrics.workload_start_failed(self.workload.name());
                self.last_end = Some(format!("cannot be started: {error}"));
                Input::SpawnFailed
            }
        };
        // Neither asks for another start, nor is refused.
        let _ = self.drive(outcome, number, shared);
    }

    fn begin(&mut self, mut run: Run, shared: &Shared) {
        self.watch = Watch::new(self.workload.memory(), self.workload.leaks(), run.started);
        let name = self.workload.name();
        let fields = [("workload", Value::text(name)), ("pid", Value::number(run.process.id()))];
        shared.log.write(Event::WorkloadStarted, "workload started", &fields);
        shared.metrics.workload_started(name, run.process.id());
        let (stdout, stderr) = run.process.take_output();
        run.captures.extend(self.capture("stdout", stdout, shared));
        run.captures.extend(self.capture("stderr", stderr, shared));
        let (wait, sender, number) = (run.process.waiter(), shared.sender.clone(), run.number);
        let waiting = thread::Builder::new().stack_size(STACK).spawn(move || {
            wait();
            let _ = sender.send(Message::Exited { run: number });
        });
        if let Err(error) = waiting {
            // Nobody would notice its end: it must not run on.
            run.process.kill_tree();
            self.last_end = Some(format!("cannot be watched: {error}"));
            let _ = shared.sender.send(Message::Exited { run: number });
        }
        let launch = self.workload.launch(&shared.log);
        if let Some(probe) = &self.workload.readiness {
            run.ask(probe.as_ref(), &launch, Purpose::Readiness, shared);
        }
        if let Some(probe) = &self.workload.liveness {
            run.ask(probe.as_ref(), &launch, Purpose::Liveness, shared);
        }
        self.run = Some(run);
    }

    fn ask_to_stop(&mut self, shared: &Shared) {
        let Some(run) = &mut self.run else { return };
        self.ending.get_or_insert(ExitReason::Stopped);
        if run.process.ask_to_stop().is_err() {
            return self.kill("workload cannot be asked to stop: ended with its tree", shared);
        }
        let fields = [("workload", Value::text(self.workload.name())), ("pid", run.pid())];
        shared.log.write(Event::WorkloadStopAsked, "workload asked to stop", &fields);
    }

    fn kill(&mut self, message: &str, shared: &Shared) {
        let Some(run) = &mut self.run else { return };
        self.ending =
            self.ending.filter(|reason| *reason != ExitReason::Stopped).or(Some(ExitReason::Killed));
        run.process.kill_tree();
        let fields = [("workload", Value::text(self.workload.name())), ("pid", run.pid())];
        shared.log.write(Event::WorkloadKilled, message, &fields);
    }

    /// Takes leave of the process that has ended; whether it succeeded.
    pub(super) fn reap(&mut self, shared: &Shared) -> bool {
        let Some(mut run) = self.run.take() else { return false };
        // What it leaves behind would run beside its successor.
        run.process.kill_tree();
        run.captures.iter_mut().for_each(Capture::close);
        self.captures.retain(|capture| !capture.is_over());
        self.captures.append(&mut run.captures);
        let status = run.process.reap();
        let mut fields = vec![
            ("workload", Value::text(self.workload.name())),
            ("pid", run.pid()),
            ("uptime_ms", Value::number(run.started.elapsed().as_millis())),
        ];
        fields.push(status.as_ref().map_or_else(|error| ("error", Value::text(error.to_string())), describe));
        shared.log.write(Event::WorkloadExited, "workload ended", &fields);
        let by_itself = || match &status {
            Ok(status) if status.success() => ExitReason::Success,
            Ok(status) if status.code().is_none() => ExitReason::Signal,
            _ => ExitReason::Failure,
        };
        shared.metrics.workload_exited(self.workload.name(), self.ending.take().unwrap_or_else(by_itself));
        let unwell = self.last_end.take().filter(|_| self.machine.state() == State::StopPending);
        self.last_end =
            unwell.or_else(|| Some(status.as_ref().map_or_else(ToString::to_string, ToString::to_string)));
        status.is_ok_and(|status| status.success())
    }

    fn capture(&self, stream: &'static str, output: Option<impl Output>, shared: &Shared) -> Option<Capture> {
        let name = self.workload.name();
        let failed = |error: std::io::Error| {
            let fields = [
                ("workload", Value::text(name)),
                ("stream", Value::text(stream)),
                ("error", Value::text(error.to_string())),
            ];
            shared.log.write(Event::WorkloadOutputAbandoned, "output cannot be read", &fields);
        };
        capture::capture(name, stream, output?, &shared.log, &self.output).map_err(failed).ok()
    }

    /// Waits for the last output of all its runs.
    pub(super) fn finish_output(&mut self, deadline: Instant) {
        let left = self.run.iter_mut().flat_map(|run| run.captures.drain(..));
        self.captures.drain(..).chain(left).for_each(|capture| _ = capture.wait(deadline));
    }

    /// What a probe's verdict is to the machine.
    pub(super) fn judged(&mut self, verdict: Result<(), String>, shared: &Shared) -> Input {
        match verdict {
            Ok(()) => Input::Ready,
            Err(why) => self.unwell(ExitReason::Probe, &why, shared),
        }
    }

    /// It must not run on, because of `why`.
    pub(super) fn unwell(&mut self, reason: ExitReason, why: &str, shared: &Shared) -> Input {
        let fields = [("workload", Value::text(self.workload.name())), ("reason", Value::text(why))];
        shared.log.write(Event::WorkloadUnhealthy, "workload is not well", &fields);
        shared.metrics.workload_unready(self.workload.name());
        self.ending = Some(reason);
        self.last_end = Some(format!("not well: {why}"));
        Input::Unhealthy
    }

    /// Makes the workload read its own configuration again; `false` if none of its signals is for that.
    pub(super) fn reload(&mut self) -> Option<std::io::Result<()>> {
        let signal = self.workload.reload_signal?;
        self.run.as_mut().map(|run| run.process.signal(signal))
    }

    /// From now on it is configured like this.
    pub(super) fn reconfigure(&mut self, workload: Workload, stop: Duration, number: u64, shared: &Shared) {
        let changed = !self.workload.is_same_as(&workload);
        self.machine.set_policy(workload.policy(stop));
        self.output = CaptureOptions::new(workload.output());
        self.watch.adopt(workload.memory(), workload.leaks());
        self.workload = workload;
        if changed && !matches!(self.machine.state(), State::Stopped | State::StopPending) {
            let _ = self.drive(Input::Control(Control::Restart), number, shared);
        }
    }
}

impl Run {
    fn pid(&self) -> Value {
        Value::number(self.process.id())
    }

    fn ask(&mut self, probe: &Probe, launch: &Launch, purpose: Purpose, shared: &Shared) {
        match probe::ask(probe.clone(), launch.clone(), purpose, self.number, shared) {
            Ok(asking) => self.probes.push(asking),
            // Without an answer it would wait for its deadline; so it ends now.
            Err(error) => {
                let verdict = Err(format!("cannot be probed: {error}"));
                let _ = shared.sender.send(Message::Probed { run: self.number, verdict });
            }
        }
    }
}

fn describe(status: &ExitStatus) -> (&'static str, Value) {
    match status.code() {
        Some(code) => ("exit_code", Value::number(code)),
        None => ("ended_by", Value::text(status.to_string())),
    }
}
