//! A workload's process in a job object, which holds everything it starts.
#![expect(unsafe_code, reason = "waiting for a process that is not std's has no safe interface")]
#![expect(clippy::disallowed_methods, reason = "starts this program again")]

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, PipeReader};
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::os::windows::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};

use windows_sys::Win32::System::Threading::{GetExitCodeProcess, INFINITE, WaitForSingleObject};

use super::console::creation_flags;
use super::job::Job;
use super::wide::check;
use super::{interrupt, privileges};
use crate::config::ReloadSignal;
use crate::launch::Launch;
use crate::log::{Event, Log, Value};

/// Starts this program again as a worker, in a process group of its own: a console's Ctrl-C is the guardian's to hear.
pub(crate) fn spawn_worker(args: &[OsString]) -> io::Result<Child> {
    Command::new(std::env::current_exe()?)
        .args(args)
        .creation_flags(creation_flags())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
}

/// What a workload prints: its standard output and error, each once.
pub(crate) type Printed = (Option<PipeReader>, Option<PipeReader>);
/// Starts this program again to write a worker's dump into `file`, out of a console's reach like the worker.
pub(crate) fn spawn_dumper(words: &[String], file: File) -> io::Result<Child> {
    Command::new(std::env::current_exe()?)
        .args(words)
        .creation_flags(creation_flags())
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(Stdio::piped())
        .spawn()
}

/// A workload's process in a job of its own, which holds every process it starts.
pub(crate) struct Process {
    process: OwnedHandle,
    id: u32,
    name: String,
    log: Log,
    job: Job,
    printed: Printed,
    /// The waiting thread's own handle to the process.
    waited: Option<OwnedHandle>,
}

impl Process {
    /// Starts it with its privileges applied; the log has an audit record of them, also when it is not started.
    pub(crate) fn spawn(launch: &Launch) -> io::Result<Self> {
        let (started, job) = privileges::start(launch)?;
        launch.feed(started.stdin);
        Ok(Self {
            waited: Some(started.process.try_clone()?),
            process: started.process,
            id: started.id,
            name: launch.name.clone(),
            log: launch.log.clone(),
            job,
            printed: (Some(started.stdout), Some(started.stderr)),
        })
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    pub(crate) fn take_output(&mut self) -> Printed {
        std::mem::take(&mut self.printed)
    }

    /// Blocks until the process ends.
    pub(crate) fn waiter(&mut self) -> impl FnOnce() + Send + 'static {
        let process = self.waited.take();
        move || {
            if let Some(process) = process {
                wait_for(&process);
            }
        }
    }

    /// Ctrl-C for every process in its console; one that has none is ended with its tree.
    pub(crate) fn ask_to_stop(&mut self) -> io::Result<()> {
        let (job, log) = (self.job.try_clone()?, self.log.clone());
        let who = [("workload", Value::text(&self.name)), ("pid", Value::number(self.id))];
        interrupt::ask(&self.process, self.id, move |error| {
            let [workload, pid] = who;
            let fields = [workload, pid, ("error", Value::text(error.to_string()))];
            let message = "workload cannot be asked to stop: ended with its tree";
            log.write(Event::WorkloadKilled, message, &fields);
            // The last thing: the daemon may end with its workloads.
            job.end();
        })
    }

    /// Windows has no signals.
    pub(crate) fn signal(&self, _signal: ReloadSignal) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Ends every process of the job.
    pub(crate) fn kill_tree(&mut self) {
        self.job.end();
    }

    pub(crate) fn reap(&mut self) -> io::Result<ExitStatus> {
        wait_for(&self.process);
        let mut code = 0;
        // SAFETY: the handle is open; `code` is writable.
        check(unsafe { GetExitCodeProcess(self.process.as_raw_handle(), &raw mut code) })?;
        Ok(ExitStatus::from_raw(code))
    }
}

fn wait_for(process: &OwnedHandle) {
    // SAFETY: the handle is open, and has every access (from CreateProcess).
    unsafe { WaitForSingleObject(process.as_raw_handle(), INFINITE) };
}
