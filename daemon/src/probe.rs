//! Asking a workload whether it is ready, or still works: by a program, a connection or an HTTP status.

use std::io::{self, Read};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use crate::config::Probe;
use crate::http;
use crate::launch::Launch;
use crate::metrics::{Outcome, Probe as Label};
use crate::program;
use crate::supervisor::{Message, Shared};

/// How soon a workload that is not ready yet is asked again: a restart should not last longer than the workload needs.
const FIRST_INTERVAL: Duration = Duration::from_millis(20);
/// A probe's thread connects and reads a little; bytes.
const STACK: usize = 128 * 1024;

/// What a probe's answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It is asked until it passes once.
    Readiness,
    /// It is asked until it fails too often in a row.
    Liveness,
}

impl Purpose {
    fn label(self) -> Label {
        match self {
            Self::Readiness => Label::Readiness,
            Self::Liveness => Label::Liveness,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Readiness => "readiness",
            Self::Liveness => "liveness",
        }
    }
}

/// Asks for as long as it is kept.
#[derive(Debug)]
pub(crate) struct Asking {
    /// Never sent to: its end tells the thread to end.
    _end: Sender<()>,
}

/// Asks `probe` about run number `run` of what was started with `launch`, until the [`Asking`] is dropped or the answer is final, which is sent as a message.
pub(crate) fn ask(
    probe: Probe,
    launch: Launch,
    purpose: Purpose,
    run: u64,
    shared: &Shared,
) -> io::Result<Asking> {
    let Shared { sender, metrics, .. } = shared.clone();
    let (end, ended) = mpsc::channel();
    let thread = thread::Builder::new().name("probe".to_owned()).stack_size(STACK);
    thread.spawn(move || {
        let interval = Duration::from_secs(probe.interval_seconds);
        let mut pause = match purpose {
            Purpose::Readiness => FIRST_INTERVAL,
            Purpose::Liveness => interval,
        };
        let mut failures = 0;
        // The first question to something that has just been started is early enough after the first pause.
        while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
            let answer = once(&probe, &launch, purpose);
            let outcome = if answer.is_ok() { Outcome::Success } else { Outcome::Failure };
            metrics.workload_probed(&launch.name, purpose.label(), outcome);
            failures = if answer.is_ok() { 0 } else { failures + 1 };
            let verdict = match (purpose, answer) {
                (Purpose::Readiness, Ok(())) => Ok(()),
                (Purpose::Liveness, Err(error)) if failures >= probe.failures => Err(error.to_string()),
                _ => {
                    pause = if purpose == Purpose::Readiness { (pause * 2).min(interval) } else { interval };
                    continue;
                }
            };
            let _ = sender.send(Message::Probed { run, verdict });
            return;
        }
    })?;
    Ok(Asking { _end: end })
}

fn once(probe: &Probe, launch: &Launch, purpose: Purpose) -> io::Result<()> {
    let timeout = Duration::from_secs(probe.timeout_seconds);
    match (&probe.exec, &probe.tcp, &probe.http) {
        (Some(words), _, _) => exec(words, launch, purpose, timeout),
        (_, Some(address), _) => connect(address, timeout).map(drop),
        (_, _, Some(url)) => match http::get(url, &[], timeout) {
            Ok(_) => Ok(()),
            Err(error) => Err(io::Error::other(error)),
        },
        _ => Err(io::Error::other("no question")),
    }
}

/// Runs a program as the workload is run: with its privileges, in its folder.
fn exec(words: &[String], launch: &Launch, purpose: Purpose, timeout: Duration) -> io::Result<()> {
    let (command, args) = words.split_first().ok_or_else(|| io::Error::other("no program"))?;
    // A name of its own: what the probe leaves behind is not the workload's, and the other way round.
    let name = format!("{}/{}", launch.name, purpose.name());
    let launch =
        Launch { name, command: command.into(), args: args.to_vec(), is_audited: false, ..launch.clone() };
    // What it prints is nobody's; closed pipes would kill it for printing, so they are read.
    let swallow = |output: Option<Box<dyn Read + Send>>| {
        if let Some(mut output) = output {
            let _ = thread::Builder::new()
                .stack_size(STACK)
                .spawn(move || io::copy(&mut output, &mut io::sink()).ok());
        }
    };
    program::run(&launch, timeout, &|| false, |(stdout, stderr)| {
        swallow(stdout.map(|output| Box::new(output) as _));
        swallow(stderr.map(|output| Box::new(output) as _));
    })
}

fn connect(address: &str, timeout: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::other(format!("{address} has no address"));
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}
