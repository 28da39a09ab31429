//! The parent of the daemon's work: it starts the worker, passes on what it is told, and starts the worker again when that
//! crashes or hangs. It does so little that there is little in it to crash.
//!
//! The two talk over the worker's standard input and output, which exist on every system: words for controls go in, a line
//! for each state and each sign of life comes out. When the guardian ends, however, the worker reads the end of its input
//! and stops everything, so that no workload is left without a supervisor.

mod word;

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use crate::backoff::Backoff;
use crate::crashes::{self, Context, Crash, Crashes, DUMP_PATIENCE, Dump, Panic, Place, Request, Saved};
use crate::failure::{Cause, Failure};
use crate::identity::Identity;
use crate::os;
use crate::state::{Control, State};

pub(crate) use word::Word;
use word::json;

/// How often the worker gives a sign of life, unless the host wants it more often.
const PULSE: Duration = Duration::from_secs(5);
/// A worker that gives none for so many pulses hangs.
const MISSED_PULSES: u32 = 3;
/// After a kill, or after a worker that was asked to stop says it has: how long its process may take to end.
const END_GRACE: Duration = Duration::from_secs(10);
/// The thread that reads the worker's lines; bytes.
const STACK: usize = 64 * 1024;
/// A longer line is none of the worker's. Bytes.
const LONGEST_LINE: u64 = 64 * 1024;

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
        crashes: Crashes::default(),
    };
    let mut crash = None;
    loop {
        let mut worker = guardian.start(config, as_service, crash.as_ref())?;
        let ending = guardian.watch(&mut worker);
        match guardian.judge(worker, ending)? {
            Some(told) => crash = Some(told),
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
    crashes: Crashes,
}

/// How a worker ended, for the next one to log.
struct Told {
    words: String,
    saved: Option<Saved>,
}

struct Worker {
    child: Child,
    /// Where it hears words.
    input: ChildStdin,
    started: Instant,
    last_sign: Instant,
    known: Known,
}

/// What is known of a worker.
#[derive(Default)]
struct Known {
    last_state: Option<State>,
    /// Why it ends, by its own words.
    last_words: String,
    panic: Option<Panic>,
    crash: Option<Place>,
    /// What came of the wish to dump it, once there was one.
    dump: Option<Result<Dump, String>>,
}

/// How a watch over a worker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// It closed its output, or said that it crashed.
    Itself,
    /// It gave no sign of life, and was killed.
    Hung,
}

impl Guardian<'_> {
    fn start(
        &mut self,
        config: Option<&Path>,
        as_service: bool,
        crash: Option<&Told>,
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
            args.extend([OsString::from("--crash"), crash.words.as_str().into()]);
            if let Some(saved) = &crash.saved {
                args.extend([OsString::from("--crash-saved"), json(saved).into()]);
            }
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
        thread::Builder::new()
            .stack_size(STACK)
            .spawn(move || listen(output, worker, &sender))
            .map_err(failed)?;
        let now = Instant::now();
        Ok(Worker { child, input, started: now, last_sign: now, known: Known::default() })
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
                Ok(Notice::Said { worker: number, word: Word::Crashed(crash) }) if number == self.number => {
                    self.attend(worker, &crash);
                    return Ending::Itself;
                }
                Ok(Notice::Said { worker: number, word }) if number == self.number => self.hear(worker, word),
                Ok(Notice::Silent { worker: number }) if number == self.number => return Ending::Itself,
                // The last words of one that has ended.
                Ok(Notice::Said { .. } | Notice::Silent { .. }) => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    let (process, thread) = (worker.child.id(), worker.child.id());
                    let request = Request { process, thread, pointers: None, limit: u64::MAX };
                    // Whoever watches the guardian loses patience, too.
                    worker.known.dump = Some(self.crashes.dump(&request, DUMP_PATIENCE.min(self.pulse)));
                    let _ = worker.child.kill();
                    return Ending::Hung;
                }
            }
        }
    }

    /// Looks at a worker that waits for it after a crash, and lets it die.
    fn attend(&mut self, worker: &mut Worker, crash: &Crash) {
        let process = worker.child.id();
        worker.known.crash = Some(Place::of(crash, process));
        let request =
            Request { process, thread: crash.thread, pointers: Some(crash.pointers), limit: u64::MAX };
        worker.known.dump = Some(self.crashes.dump(&request, DUMP_PATIENCE));
        os::crash::let_die(&mut worker.child, crash);
    }

    fn hear(&mut self, worker: &mut Worker, word: Word) {
        worker.last_sign = Instant::now();
        match word {
            Word::Alive => self.tell(|host| host.alive()),
            Word::Reloading => self.tell(|host| host.reloading()),
            Word::Failed(words) => worker.known.last_words = words,
            Word::Crashes(folder) => self.crashes.keep_in(folder),
            Word::Panicked(panic) => worker.known.panic = Some(panic),
            // Attended to by whoever watches.
            Word::Crashed(_) => {}
            Word::State(state, patience) => {
                worker.known.last_state = Some(state);
                // The service manager hears of the end when the process has gone, and nothing can be lost any more.
                if state != State::Stopped {
                    self.tell(|host| host.report(state, patience));
                }
            }
        }
    }

    /// How the worker ended: as a failure of its own, or in a crash that is told.
    fn judge(&mut self, mut worker: Worker, ending: Ending) -> Result<Option<Told>, Failure> {
        drop(worker.input);
        let status = end(&mut worker.child).map_err(|error| {
            let message = format!("the worker does not end: {error}");
            Failure::new(Cause::System, message, "look for processes in uninterruptible sleep")
        })?;
        let code = status.code().and_then(|code| u8::try_from(code).ok());
        let is_known = |code: &u8| (1..=Cause::LAST).contains(code);
        // It said that everything is stopped, or the first one never began: its exit code is the daemon's. A later one may find
        // a configuration that somebody is at work on, and is tried again.
        let never_began = worker.known.last_state.is_none() && self.number == 1;
        if worker.known.last_state == Some(State::Stopped)
            || (never_began && code.is_some_and(|code| is_known(&code)))
        {
            let failure = code.filter(is_known).map(|code| Failure::told(code, worker.known.last_words));
            self.tell(|host| host.report(State::Stopped, Duration::ZERO));
            return failure.map_or(Ok(None), Err);
        }
        self.last_uptime = worker.started.elapsed();
        let how = match ending {
            Ending::Hung => "gave no sign of life and was killed".to_owned(),
            Ending::Itself => format!("ended with {status}"),
        };
        let words = format!("the worker {how} after {} ms", self.last_uptime.as_millis());
        // One that gave a reason and an exit code of its own did not crash.
        let saved = match code.filter(is_known) {
            Some(_) if ending == Ending::Itself => None,
            _ => self.save(worker.child.id(), worker.known, ending, status.to_string()),
        };
        Ok(Some(Told { words, saved }))
    }

    fn save(&mut self, process: u32, known: Known, ending: Ending, ended: String) -> Option<Saved> {
        let never_said = || Err("the worker did not say that it crashed".to_owned());
        let (dump, no_dump) = match known.dump.unwrap_or_else(never_said) {
            Ok(dump) => (Some(dump), None),
            Err(why) => (None, Some(why)),
        };
        self.crashes.save(&Context {
            time: crashes::now(),
            process,
            ended,
            hung: ending == Ending::Hung,
            crash: known.crash,
            panic: known.panic,
            uptime_ms: u64::try_from(self.last_uptime.as_millis()).unwrap_or(u64::MAX),
            state: known.last_state,
            last_words: Some(known.last_words).filter(|words| !words.is_empty()),
            program: Identity::of_this_program(),
            dump,
            no_dump,
        })
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

/// Hears the worker until its output ends.
fn listen(output: ChildStdout, worker: u32, sender: &Sender<Notice>) {
    let mut output = BufReader::with_capacity(256, output);
    let mut line = Vec::new();
    // Without an end, what a mad worker says would fill the guardian's memory.
    while let Ok(1..) = output.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line) {
        let text = String::from_utf8_lossy(&line);
        if let Some(word) = Word::parse(text.trim_end_matches(['\n', '\r'])) {
            let _ = sender.send(Notice::Said { worker, word });
        }
        line.clear();
    }
    let _ = sender.send(Notice::Silent { worker });
}

/// Waits for the end of a process that has closed its output; kills it when that takes too long.
fn end(child: &mut Child) -> io::Result<std::process::ExitStatus> {
    if let Some(status) = crashes::wait(child, END_GRACE)? {
        return Ok(status);
    }
    child.kill()?;
    child.wait()
}
