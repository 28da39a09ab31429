//! A workload's process in a job object, which holds everything it starts.
#![expect(unsafe_code, reason = "job objects and thread snapshots have no safe interface")]
#![expect(clippy::disallowed_methods, reason = "the one place that spawns workloads on Windows")]

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::mem::size_of;
use std::os::windows::io::{AsHandle, AsRawHandle, FromRawHandle, OwnedHandle};
use std::os::windows::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::ptr;

use windows_sys::Win32::Foundation::{HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, GenerateConsoleCtrlEvent};
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, TH32CS_SNAPTHREAD, THREADENTRY32, Thread32First, Thread32Next,
};
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION, JobObjectExtendedLimitInformation, SetInformationJobObject,
    TerminateJobObject,
};
use windows_sys::Win32::System::Threading::{
    CREATE_SUSPENDED, INFINITE, OpenThread, ResumeThread, THREAD_SUSPEND_RESUME, WaitForSingleObject,
};

use super::console::creation_flags;
use crate::config::ReloadSignal;
use crate::launch::Launch;
use crate::log::{Event, Value};
use crate::privileges::WhenUnsupported;

/// The exit code of a workload whose tree was ended.
const KILLED: u32 = 137;

/// Starts this program again as a worker, in a process group of its own: a console's Ctrl-C is the guardian's to hear.
pub(crate) fn spawn_worker(args: &[OsString]) -> io::Result<Child> {
    Command::new(std::env::current_exe()?)
        .args(args)
        .creation_flags(creation_flags())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
}

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
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    job: OwnedHandle,
    /// The waiting thread's own handle to the process.
    waited: Option<OwnedHandle>,
}

impl Process {
    /// The process starts suspended and runs only once it is in its job, so that no child of it can be outside.
    pub(crate) fn spawn(launch: &Launch) -> io::Result<Self> {
        refuse_privileges(launch)?;
        let job = new_job()?;
        let mut command = Command::new(&launch.command);
        if let Some(folder) = &launch.folder {
            command.current_dir(folder);
        }
        let mut child = command
            .args(&launch.args)
            .envs(launch.environment.iter().map(|(name, value)| (name, value)))
            .creation_flags(CREATE_SUSPENDED | creation_flags())
            .stdin(launch.stdin())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        launch.feed(child.stdin.take());
        let waited = enter_job_and_run(&child, &job).inspect_err(|_| {
            let _ = child.kill();
            let _ = child.wait();
        })?;
        Ok(Self { child, job, waited: Some(waited) })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn take_output(&mut self) -> (Option<ChildStdout>, Option<ChildStderr>) {
        (self.child.stdout.take(), self.child.stderr.take())
    }

    /// Blocks until the process ends.
    pub(crate) fn waiter(&mut self) -> impl FnOnce() + Send + 'static {
        let process = self.waited.take();
        move || {
            if let Some(process) = process {
                // SAFETY: the handle is open, owned by this closure, and has SYNCHRONIZE access (from CreateProcess).
                unsafe { WaitForSingleObject(process.as_raw_handle(), INFINITE) };
            }
        }
    }

    /// Ctrl-Break, for which both must share a console; a service has none.
    pub(crate) fn ask_to_stop(&mut self) -> io::Result<()> {
        // SAFETY: takes two numbers; the process is its group's leader (CREATE_NEW_PROCESS_GROUP).
        check(unsafe { GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, self.child.id()) })
    }

    /// Windows has no signals.
    pub(crate) fn signal(&self, _signal: ReloadSignal) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Ends every process of the job.
    pub(crate) fn kill_tree(&mut self) {
        // SAFETY: the job's handle is open and owned by `self`. Fails only when nothing is left to end.
        unsafe { TerminateJobObject(self.job.as_raw_handle(), KILLED) };
    }

    pub(crate) fn reap(&mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }
}

/// Nothing of what a Linux workload can be given is done here yet: refused, unless the configuration says to go on.
fn refuse_privileges(launch: &Launch) -> io::Result<()> {
    let unsupported = launch.privileges.requested().join(", ");
    if unsupported.is_empty() {
        return Ok(());
    }
    let refuse = launch.privileges.when_unsupported == WhenUnsupported::Refuse;
    if !refuse && !launch.is_audited {
        return Ok(());
    }
    let (event, message) = match refuse {
        true => (Event::PrivilegesRefused, "the workload was not started"),
        false => (Event::PrivilegesUnsupported, "the workload runs without what the system lacks"),
    };
    let why = format!("not on Windows: {unsupported}");
    let fields = [
        ("workload", Value::Text(launch.name.clone())),
        (if refuse { "error" } else { "unsupported" }, Value::Text(why.clone())),
    ];
    launch.log.write(event, message, &fields);
    if refuse { Err(io::Error::new(io::ErrorKind::Unsupported, why)) } else { Ok(()) }
}

/// A job whose processes end with its last handle: also when the daemon itself is killed.
fn new_job() -> io::Result<OwnedHandle> {
    // SAFETY: both pointers may be null: no security attributes, no name.
    let job = owned(unsafe { CreateJobObjectW(ptr::null(), ptr::null()) })?;
    let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
    limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
    // SAFETY: the handle is open; the pointer and the size describe `limits`, of the type that the class asks for.
    check(unsafe {
        SetInformationJobObject(
            job.as_raw_handle(),
            JobObjectExtendedLimitInformation,
            (&raw const limits).cast(),
            size_of::<JOBOBJECT_EXTENDED_LIMIT_INFORMATION>() as u32,
        )
    })?;
    Ok(job)
}

fn enter_job_and_run(child: &Child, job: &OwnedHandle) -> io::Result<OwnedHandle> {
    let process = child.as_handle().try_clone_to_owned()?;
    // SAFETY: both handles are open and owned by our caller.
    check(unsafe { AssignProcessToJobObject(job.as_raw_handle(), process.as_raw_handle()) })?;
    let thread = only_thread_of(child.id())?;
    // SAFETY: the handle is open and has THREAD_SUSPEND_RESUME access.
    if unsafe { ResumeThread(thread.as_raw_handle()) } == u32::MAX {
        return Err(io::Error::last_os_error());
    }
    Ok(process)
}

/// The first thread of a process that has not run yet (std keeps its handle to itself).
fn only_thread_of(process: u32) -> io::Result<OwnedHandle> {
    // SAFETY: takes two numbers.
    let snapshot = owned(unsafe { CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0) })?;
    let mut entry = THREADENTRY32 { dwSize: size_of::<THREADENTRY32>() as u32, ..Default::default() };
    // SAFETY: the snapshot is open; `entry` is writable and says its own size.
    let mut more = unsafe { Thread32First(snapshot.as_raw_handle(), &raw mut entry) };
    while more != 0 {
        if entry.th32OwnerProcessID == process {
            // SAFETY: takes numbers only.
            return owned(unsafe { OpenThread(THREAD_SUSPEND_RESUME, 0, entry.th32ThreadID) });
        }
        // SAFETY: as above.
        more = unsafe { Thread32Next(snapshot.as_raw_handle(), &raw mut entry) };
    }
    Err(io::Error::other("the new process has no thread"))
}

fn owned(handle: HANDLE) -> io::Result<OwnedHandle> {
    if handle.is_null() || handle == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the handle was just opened for us, and nobody else closes it.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

fn check(result: i32) -> io::Result<()> {
    if result == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
