//! The parent of the daemon's work: it starts the worker, passes on what it is told, and starts the worker again when that
//! crashes or hangs. It does so little that there is little in it to crash.
//!
//! The two talk over the worker's standard input and output, which exist on every system: words for controls go in, a line
//! for each state and each sign of life comes out. When the guardian ends, however, the worker reads the end of its input
//! and stops everything, so that no workload is left without a supervisor.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use crate::backoff::Backoff;
use crate::failure::{Cause, Failure};
use crate::os;
use crate::state::{Control, State};

/// How often the worker gives a sign of life, unless the host wants it more often.
const PULSE: Duration = Duration::from_secs(5);
/// A worker that gives none for so many pulses hangs.
const MISSED_PULSES: u32 = 3;
/// After a kill, or after a worker that was asked to stop says it has: how long its process may take to end.
const END_GRACE: Duration = Duration::from_secs(10);
/// The thread that reads the worker's lines; bytes.
const STACK: usize = 64 * 1024;

/// Whoever started the daemon, and wants to know how it fares: systemd, the Windows service manager, a launcher that
/// waits, or nobody.
pub(crate) trait Host {
    /// The service is now in `state`; a pending one may take up to `patience`.
    fn report(&mut self, state: State, patience: Duration) -> io::Result<()>;
    /// The service reads its configuration again; a [`Host::report`] of the state follows.
    fn reloading(&mut self) -> io::Result<()> {
        Ok(())
    }
    /// How often [`Host::alive`] wants to be called, at the least.
    fn pulse(&self) -> Option<Duration>;
    /// The loop that supervises went round.
    fn alive(&mut self) -> io::Result<()>;
}

/// What wakes the guardian.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// From a signal or a service manager.
    Control(Control),
    /// The log file was moved away.
    Reopen,
    /// The worker of this number says so.
    Said { worker: u32, word: Word },
    /// It has closed its output: it has ended, or is about to.
    Silent { worker: u32 },
}

/// What a worker says of itself, each a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Alive,
    Reloading,
    State(State, Duration),
    /// Why it ends, in the words that stand on standard error too.
    Failed(String),
}

impl Word {
    /// The line without its end.
    pub(crate) fn line(&self) -> String {
        match self {
            Self::Alive => "alive".to_owned(),
            Self::Reloading => "reloading".to_owned(),
            Self::State(state, patience) => format!("state {} {}", state.name(), patience.as_millis()),
            Self::Failed(words) => format!("failed {}", serde_json::Value::from(words.as_str())),
        }
    }

    /// From a line without its end.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        if let Some(words) = line.strip_prefix("failed ") {
            return serde_json::from_str(words).ok().map(Self::Failed);
        }
        let words: Vec<_> = line.split(' ').collect();
        match words.as_slice() {
            ["alive"] => Some(Self::Alive),
            ["reloading"] => Some(Self::Reloading),
            ["state", name, patience] => {
                let state = State::ALL.into_iter().find(|state| state.name() == *name)?;
                Some(Self::State(state, Duration::from_millis(patience.parse().ok()?)))
            }
            _ => None,
        }
    }
}

/// The word that makes the worker open its log again; controls go by their own names.
pub(crate) const REOPEN: &str = "reopen";

/// Keeps a worker running until the service is stopped. `config` is the worker's, and whether it is `as_service`: then it
/// has no standard error, and logs where services do.
pub(crate) fn guard(
    config: Option<&Path>,
    as_service: bool,
    host: &mut dyn Host,
    (sender, inbox): (Sender<Notice>, Receiver<Notice>),
) -> Result<(), Failure> {
    let pulse = host.pulse().unwrap_or(PULSE).min(PULSE);
    let mut guardian = Guardian {
        host,
        sender,
        inbox,
        pulse,
        number: 0,
        backoff: Backoff::default(),
        last_uptime: Duration::ZERO,
        stop_asked: false,
    };
    let mut crash = None;
    loop {
        let mut worker = guardian.start(config, as_service, crash.as_deref())?;
        let ending = guardian.watch(&mut worker);
        match guardian.judge(worker, ending)? {
            Some(why) => crash = Some(why),
            None => return Ok(()),
        }
        if guardian.stop_asked || guardian.pause() {
            guardian.tell(|host| host.report(State::Stopped, Duration::ZERO));
            return Ok(());
        }
    }
}

struct Guardian<'a> {
    host: &'a mut dyn Host,
    sender: Sender<Notice>,
    inbox: Receiver<Notice>,
    pulse: Duration,
    /// Of the last worker.
    number: u32,
    backoff: Backoff,
    last_uptime: Duration,
    stop_asked: bool,
}

struct Worker {
    child: Child,
    /// Where it hears words.
    input: ChildStdin,
    started: Instant,
    last_state: Option<State>,
    last_sign: Instant,
    /// Why it ends, by its own words.
    last_words: String,
}

/// How a watch over a worker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// It closed its output.
    Itself,
    /// It gave no sign of life, and was killed.
    Hung,
}

impl Guardian<'_> {
    fn start(
        &mut self,
        config: Option<&Path>,
        as_service: bool,
        crash: Option<&str>,
    ) -> Result<Worker, Failure> {
        self.number += 1;
        let mut args = vec![OsString::from("worker"), OsString::from("--pulse")];
        args.push(self.pulse.as_millis().to_string().into());
        if let Some(config) = config {
            args.extend([OsString::from("--config"), config.into()]);
        }
        if as_service {
            args.push(OsString::from("--service"));
        }
        if let Some(crash) = crash {
            args.extend([OsString::from("--crash"), crash.into()]);
        }
        let failed = |error: io::Error| {
            Failure::new(
                Cause::System,
                format!("cannot start the worker: {error}"),
                "raise the limit of processes",
            )
        };
        let mut child = os::spawn_worker(&args).map_err(failed)?;
        let (input, output) = match (child.stdin.take(), child.stdout.take()) {
            (Some(input), Some(output)) => (input, output),
            _ => return Err(failed(io::Error::other("it has no pipes"))),
        };
        let (sender, worker) = (self.sender.clone(), self.number);
        let listen = move || {
            for line in BufReader::with_capacity(256, output).lines().map_while(Result::ok) {
                if let Some(word) = Word::parse(&line) {
                    let _ = sender.send(Notice::Said { worker, word });
                }
            }
            let _ = sender.send(Notice::Silent { worker });
        };
        thread::Builder::new().stack_size(STACK).spawn(listen).map_err(failed)?;
        let now = Instant::now();
        Ok(Worker { child, input, started: now, last_state: None, last_sign: now, last_words: String::new() })
    }

    /// Passes on what comes until the worker's output ends.
    fn watch(&mut self, worker: &mut Worker) -> Ending {
        loop {
            let hangs_at = worker.last_sign + self.pulse * MISSED_PULSES;
            match self.inbox.recv_timeout(hangs_at.saturating_duration_since(Instant::now())) {
                Ok(Notice::Control(control)) => {
                    self.stop_asked |= control == Control::Stop;
                    worker.say(control.name());
                }
                Ok(Notice::Reopen) => worker.say(REOPEN),
                Ok(Notice::Said { worker: number, word }) if number == self.number => self.hear(worker, word),
                Ok(Notice::Silent { worker: number }) if number == self.number => return Ending::Itself,
                // The last words of one that has ended.
                Ok(Notice::Said { .. } | Notice::Silent { .. }) => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    let _ = worker.child.kill();
                    return Ending::Hung;
                }
            }
        }
    }

    fn hear(&mut self, worker: &mut Worker, word: Word) {
        worker.last_sign = Instant::now();
        match word {
            Word::Alive => self.tell(|host| host.alive()),
            Word::Reloading => self.tell(|host| host.reloading()),
            Word::Failed(words) => worker.last_words = words,
            Word::State(state, patience) => {
                worker.last_state = Some(state);
                // The service manager hears of the end when the process has gone, and nothing can be lost any more.
                if state != State::Stopped {
                    self.tell(|host| host.report(state, patience));
                }
            }
        }
    }

    /// How the worker ended: as a failure of its own, or in a crash that is told.
    fn judge(&mut self, mut worker: Worker, ending: Ending) -> Result<Option<String>, Failure> {
        drop(worker.input);
        let status = end(&mut worker.child).map_err(|error| {
            let message = format!("the worker does not end: {error}");
            Failure::new(Cause::System, message, "look for processes in uninterruptible sleep")
        })?;
        let code = status.code().and_then(|code| u8::try_from(code).ok());
        let is_known = |code: &u8| (1..=Cause::LAST).contains(code);
        // It said that everything is stopped, or the first one never began: its exit code is the daemon's. A later one may find
        // a configuration that somebody is at work on, and is tried again.
        let never_began = worker.last_state.is_none() && self.number == 1;
        if worker.last_state == Some(State::Stopped)
            || (never_began && code.is_some_and(|code| is_known(&code)))
        {
            let failure = code.filter(is_known).map(|code| Failure::told(code, worker.last_words));
            self.tell(|host| host.report(State::Stopped, Duration::ZERO));
            return failure.map_or(Ok(None), Err);
        }
        self.last_uptime = worker.started.elapsed();
        let how = match ending {
            Ending::Hung => "gave no sign of life and was killed".to_owned(),
            Ending::Itself => format!("ended with {status}"),
        };
        Ok(Some(format!("the worker {how} after {} ms", self.last_uptime.as_millis())))
    }

    /// Waits before the next worker; whether it is not wanted any more.
    fn pause(&mut self) -> bool {
        let end = Instant::now() + self.backoff.next_pause(self.last_uptime, u32::MAX);
        while let Ok(notice) = self.inbox.recv_timeout(end.saturating_duration_since(Instant::now())) {
            if matches!(notice, Notice::Control(Control::Stop)) {
                self.stop_asked = true;
                return true;
            }
        }
        false
    }

    fn tell(&mut self, tell: impl FnOnce(&mut dyn Host) -> io::Result<()>) {
        // There is nobody to tell that somebody cannot be told: the log is the worker's.
        let _ = tell(self.host);
    }
}

impl Worker {
    fn say(&mut self, word: &str) {
        // One that hears no more has ended; its output tells.
        let _ = self.input.write_all(format!("{word}\n").as_bytes());
    }
}

/// Waits for the end of a process that has closed its output; kills it when that takes too long.
fn end(child: &mut Child) -> io::Result<std::process::ExitStatus> {
    let deadline = Instant::now() + END_GRACE;
    let mut pause = Duration::from_millis(1);
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
    child.kill()?;
    child.wait()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_the_pipe() {
        let states = State::ALL.map(|state| Word::State(state, Duration::from_millis(1500)));
        for word in states.into_iter().chain([
            Word::Alive,
            Word::Reloading,
            Word::Failed("it's \"x\" in C:\\né\n  next: y".to_owned()),
        ]) {
            assert_eq!(Word::parse(&word.line()), Some(word));
        }
        for line in ["", "state", "state running", "state dancing 1", "state running -1", "alive alive"] {
            assert_eq!(Word::parse(line), None, "{line}");
        }
    }
}
