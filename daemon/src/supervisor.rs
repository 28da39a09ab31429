//! The loop that keeps workloads alive. It sleeps until a message or the next due moment; nothing is polled.

use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufRead, BufReader, Read};
use std::process::ExitStatus;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use crate::backoff::Backoff;
use crate::config::{Config, Restart, Workload};
use crate::failure::{Cause, Failure};
use crate::identity::Identity;
use crate::launch::Launch;
use crate::log::{Event, Log, Value};
use crate::os::Process;
use crate::state::{Control, State};

/// A longer line of a workload's output becomes several records. Bytes.
const LONGEST_LINE: u64 = 8 * 1024;
/// After the kill: how long the system may take to end a process before the daemon leaves without it.
const KILL_GRACE: Duration = Duration::from_secs(5);
/// How long to wait for the last output of workloads that have ended.
const OUTPUT_GRACE: Duration = Duration::from_millis(500);

/// Whoever started the daemon, and wants to know how it fares: systemd, the Windows service manager, or nobody.
pub(crate) trait Host {
    /// The service is now in `state`; a pending one may take up to `patience`.
    fn report(&mut self, state: State, patience: Duration) -> io::Result<()>;
    /// How often [`Host::alive`] wants to be called, at the least.
    fn pulse(&self) -> Option<Duration>;
    /// The loop went round.
    fn alive(&mut self) -> io::Result<()>;
}

/// What wakes the loop.
#[derive(Debug)]
pub(crate) enum Message {
    /// From a signal or a service manager.
    Control(Control),
    /// The workload's process has ended and waits to be reaped.
    Exited { workload: usize },
}

/// The daemon while it runs.
pub(crate) struct Supervisor<'a> {
    log: Log,
    host: &'a mut dyn Host,
    state: State,
    slots: Vec<Slot>,
    sender: Sender<Message>,
    inbox: Receiver<Message>,
    heartbeat: Duration,
    stop_deadline: Duration,
    /// Held by each thread that reads output: disconnected when the last has ended.
    readers: (Sender<()>, Receiver<()>),
    /// Set when stopping: when the patience ends.
    patience_ends: Option<Instant>,
    killed: bool,
}

/// One workload with its process, if it has one.
struct Slot {
    workload: Workload,
    process: Option<Process>,
    started: Instant,
    backoff: Backoff,
    /// When it is to be started again.
    due: Option<Instant>,
}

impl<'a> Supervisor<'a> {
    pub(crate) fn new(
        config: Config,
        log: Log,
        host: &'a mut dyn Host,
        (sender, inbox): (Sender<Message>, Receiver<Message>),
    ) -> Self {
        let (heartbeat, stop_deadline) = (config.heartbeat(), config.stop_deadline());
        let now = Instant::now();
        let slots = config
            .workloads
            .into_iter()
            .map(|workload| Slot {
                workload,
                process: None,
                started: now,
                backoff: Backoff::default(),
                due: Some(now),
            })
            .collect();
        let state = State::Stopped;
        let readers = mpsc::channel();
        let (patience_ends, killed) = (None, false);
        Self {
            log,
            host,
            state,
            slots,
            sender,
            inbox,
            heartbeat,
            stop_deadline,
            readers,
            patience_ends,
            killed,
        }
    }

    /// Runs until stopped. The host learns `Stopped` last, when every workload is gone and the log is written: after it
    /// a service manager may end the process at once.
    pub(crate) fn run(mut self) -> Result<(), Failure> {
        let identity = Identity::of_this_program();
        let fields = [
            ("pid", Value::Number(i64::from(std::process::id()))),
            ("version", Value::Text(identity.version().to_owned())),
            ("commit", Value::Text(identity.commit().to_owned())),
            ("workloads", Value::Number(self.slots.len() as i64)),
        ];
        self.log.write(Event::Starting, "starting", &fields);
        self.obey(Control::Start);
        let mut next_heartbeat = Instant::now() + self.heartbeat;
        while !self.is_over() {
            self.wait(next_heartbeat);
            self.tell(|host| host.alive());
            if Instant::now() >= next_heartbeat {
                self.beat();
                next_heartbeat = Instant::now() + self.heartbeat;
            }
            if self.state == State::Running {
                self.start_due();
            }
            self.kill_when_out_of_patience();
        }
        self.end()
    }

    fn wait(&mut self, next_heartbeat: Instant) {
        let now = Instant::now();
        let restarts = self.slots.iter().filter_map(|slot| slot.due).filter(|_| self.state == State::Running);
        let pulse = self.host.pulse().map(|pulse| now + pulse);
        let wake = restarts.chain(pulse).chain(self.patience_ends).fold(next_heartbeat, Instant::min);
        match self.inbox.recv_timeout(wake.saturating_duration_since(now)) {
            Ok(Message::Control(control)) => self.obey(control),
            Ok(Message::Exited { workload }) => self.ended(workload),
            // Never disconnected: this struct holds a sender.
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
    }

    fn obey(&mut self, control: Control) {
        match self.state.after(control) {
            Ok(State::StopPending) => self.begin_stop(),
            Ok(next) => {
                self.enter(next);
                if next == State::StartPending {
                    self.start_due();
                }
                self.enter(next.settled());
            }
            Err(refusal) => {
                let fields = [
                    ("state", text(self.state.name())),
                    ("refusal", Value::Text(format!("{refusal:?}").to_lowercase())),
                ];
                self.log.write(Event::ControlRefused, &format!("{control:?} is not possible now"), &fields);
            }
        }
    }

    fn begin_stop(&mut self) {
        self.enter(State::StopPending);
        self.patience_ends = Some(Instant::now() + self.stop_deadline);
        for slot in &mut self.slots {
            slot.due = None;
            let Some(process) = &mut slot.process else { continue };
            let fields = [("workload", text(slot.workload.name())), ("pid", pid(process))];
            if process.ask_to_stop().is_ok() {
                self.log.write(Event::WorkloadStopAsked, "workload asked to stop", &fields);
            } else {
                process.kill_tree();
                self.log.write(
                    Event::WorkloadKilled,
                    "workload cannot be asked to stop: ended with its tree",
                    &fields,
                );
            }
        }
    }

    fn kill_when_out_of_patience(&mut self) {
        if self.killed || self.patience_ends.is_none_or(|end| Instant::now() < end) {
            return;
        }
        self.killed = true;
        self.patience_ends = Some(Instant::now() + KILL_GRACE);
        for slot in &mut self.slots {
            if let Some(process) = &mut slot.process {
                process.kill_tree();
                let fields = [("workload", text(slot.workload.name())), ("pid", pid(process))];
                self.log.write(
                    Event::WorkloadKilled,
                    "workload did not stop in time: ended with its tree",
                    &fields,
                );
            }
        }
    }

    fn is_over(&self) -> bool {
        let all_gone = self.slots.iter().all(|slot| slot.process.is_none());
        let given_up = self.killed && self.patience_ends.is_some_and(|end| Instant::now() >= end);
        self.state == State::StopPending && (all_gone || given_up)
    }

    fn end(mut self) -> Result<(), Failure> {
        let (reader, readers) = self.readers;
        drop(reader);
        let _ = readers.recv_timeout(OUTPUT_GRACE);
        let left = self.slots.iter().filter(|slot| slot.process.is_some()).count();
        self.state = self.state.settled();
        self.log.finish(Event::Stopped, "stopped", &[("workloads_left", Value::Number(left as i64))]);
        // The log has ended; there is nobody left to tell.
        let _ = self.host.report(self.state, Duration::ZERO);
        if left == 0 {
            return Ok(());
        }
        let message = format!("{left} workload(s) did not end even when killed");
        Err(Failure::new(Cause::System, message, "look for processes in uninterruptible sleep"))
    }

    fn start_due(&mut self) {
        let now = Instant::now();
        for index in 0..self.slots.len() {
            if self.slots[index].due.is_some_and(|due| due <= now) {
                self.slots[index].due = None;
                self.start(index);
            }
        }
    }

    fn start(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        slot.started = Instant::now();
        match Process::spawn(&Launch::new(
            slot.workload.name(),
            slot.workload.command(),
            &slot.workload.args,
            &self.log,
        )) {
            Ok(mut process) => {
                let name = slot.workload.name().to_owned();
                let fields = [("workload", text(&name)), ("pid", pid(&process))];
                self.log.write(Event::WorkloadStarted, "workload started", &fields);
                let (stdout, stderr) = process.take_output();
                self.capture(&name, "stdout", stdout);
                self.capture(&name, "stderr", stderr);
                let (wait, sender) = (process.waiter(), self.sender.clone());
                self.slots[index].process = Some(process);
                thread::spawn(move || {
                    wait();
                    let _ = sender.send(Message::Exited { workload: index });
                });
            }
            Err(error) => {
                let fields = [
                    ("workload", text(slot.workload.name())),
                    ("command", Value::Text(slot.workload.command().display().to_string())),
                    ("error", Value::Text(error.to_string())),
                ];
                self.log.write(Event::WorkloadStartFailed, "workload cannot be started", &fields);
                self.restart_later(index, false);
            }
        }
    }

    fn ended(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        let Some(mut process) = slot.process.take() else { return };
        // What it leaves behind would run beside its successor.
        process.kill_tree();
        let status = process.reap();
        let mut fields = vec![
            ("workload", text(slot.workload.name())),
            ("pid", pid(&process)),
            ("uptime_ms", Value::Number(milliseconds(slot.started.elapsed()))),
        ];
        fields.push(status.as_ref().map_or_else(|error| ("error", text(&error.to_string())), describe));
        self.log.write(Event::WorkloadExited, "workload ended", &fields);
        self.restart_later(index, status.is_ok_and(|status| status.success()));
    }

    fn restart_later(&mut self, index: usize, success: bool) {
        let slot = &mut self.slots[index];
        let wanted = match slot.workload.restart {
            Restart::Always => true,
            Restart::OnFailure => !success,
            Restart::Never => false,
        };
        if !wanted || self.state == State::StopPending {
            return;
        }
        let random = RandomState::new().hash_one(index) as u32;
        let pause = slot.backoff.next_pause(slot.started.elapsed(), random);
        slot.due = Some(Instant::now() + pause);
        let fields = [
            ("workload", text(slot.workload.name())),
            ("pause_ms", Value::Number(milliseconds(pause))),
            ("short_runs", Value::Number(i64::from(slot.backoff.short_runs()))),
        ];
        self.log.write(Event::WorkloadRestart, "workload will be started again", &fields);
    }

    fn capture(&self, name: &str, stream: &'static str, output: Option<impl Read + Send + 'static>) {
        let Some(output) = output else { return };
        let (log, name, alive) = (self.log.clone(), name.to_owned(), self.readers.0.clone());
        thread::spawn(move || {
            let mut lines = BufReader::new(output);
            let mut line = Vec::new();
            while let Ok(1..) = (&mut lines).take(LONGEST_LINE).read_until(b'\n', &mut line) {
                let message = String::from_utf8_lossy(&line);
                let fields = [("workload", text(&name)), ("stream", text(stream))];
                log.write(Event::WorkloadOutput, message.trim_end_matches(['\n', '\r']), &fields);
                line.clear();
            }
            drop(alive);
        });
    }

    fn beat(&self) {
        let running = self.slots.iter().filter(|slot| slot.process.is_some()).count();
        let fields = [("state", text(self.state.name())), ("running", Value::Number(running as i64))];
        self.log.write(Event::Heartbeat, "alive", &fields);
    }

    fn enter(&mut self, state: State) {
        let before = std::mem::replace(&mut self.state, state);
        match (before, state) {
            (State::StartPending, State::Running) => self.log.write(Event::Ready, "ready", &[]),
            (_, State::Running) => self.log.write(Event::Continued, "continued", &[]),
            (_, State::Paused) => self.log.write(Event::Paused, "paused: ended workloads stay ended", &[]),
            (_, State::StopPending) => self.log.write(Event::Stopping, "stopping", &[]),
            _ => {}
        }
        self.report();
    }

    fn report(&mut self) {
        let (state, patience) = (self.state, self.stop_deadline + KILL_GRACE);
        self.tell(|host| host.report(state, patience));
    }

    fn tell(&mut self, tell: impl FnOnce(&mut dyn Host) -> io::Result<()>) {
        if let Err(error) = tell(self.host) {
            let fields = [("error", Value::Text(error.to_string()))];
            self.log.write(Event::NotifyFailed, "the service manager cannot be told", &fields);
        }
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn pid(process: &Process) -> Value {
    Value::Number(i64::from(process.id()))
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn describe(status: &ExitStatus) -> (&'static str, Value) {
    match status.code() {
        Some(code) => ("exit_code", Value::Number(i64::from(code))),
        None => ("ended_by", Value::Text(status.to_string())),
    }
}
