//! A program that is run to its end: a probe's question, a task's command.

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::launch::Launch;
use crate::os::{Printed, Process};

/// The thread that waits for the end; bytes.
const STACK: usize = 64 * 1024;
/// How often to look whether the end is wanted sooner.
const GLANCE: Duration = Duration::from_millis(100);

/// Runs it, with all it starts, for at most `timeout`, and until `is_over` at the longest. `read` takes what it prints.
///
/// # Errors
/// When it cannot be started, did not end in time, or ended with another exit code than 0; of kind `Interrupted` when
/// `is_over`.
pub(crate) fn run(
    launch: &Launch,
    timeout: Duration,
    is_over: &dyn Fn() -> bool,
    read: impl FnOnce(Printed),
) -> io::Result<()> {
    let mut process = Process::spawn(launch)?;
    read(process.take_output());
    let (ended, end) = mpsc::channel();
    let wait = process.waiter();
    let waiting = thread::Builder::new().stack_size(STACK).spawn(move || {
        wait();
        let _ = ended.send(());
    });
    let outcome = waiting.map(drop).and_then(|()| watch(&end, timeout, is_over, launch));
    process.kill_tree();
    let status = process.reap()?;
    outcome?;
    match status.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!("{} ended with {status}", launch.command.display()))),
    }
}

fn watch(
    end: &mpsc::Receiver<()>,
    timeout: Duration,
    is_over: &dyn Fn() -> bool,
    launch: &Launch,
) -> io::Result<()> {
    let deadline = Instant::now() + timeout;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if end.recv_timeout(left.min(GLANCE)) != Err(RecvTimeoutError::Timeout) {
            return Ok(());
        }
        if is_over() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if left.is_zero() {
            let why = format!("{} took longer than {} s", launch.command.display(), timeout.as_secs());
            return Err(io::Error::other(why));
        }
    }
}
