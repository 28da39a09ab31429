//! Job objects: all that a workload starts, and how much of it there may be.
#![expect(unsafe_code, reason = "job objects have no safe interface")]

use std::io;
use std::mem::size_of;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr;

use windows_sys::Win32::System::JobObjects::{
    CreateJobObjectW, JOB_OBJECT_LIMIT_ACTIVE_PROCESS, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
    JOB_OBJECT_LIMIT_PROCESS_MEMORY, JOBOBJECT_EXTENDED_LIMIT_INFORMATION, JobObjectExtendedLimitInformation,
    QueryInformationJobObject, SetInformationJobObject, TerminateJobObject,
};

use super::wide::check;
use crate::privileges::Limits;

/// The exit code of a workload whose tree was ended.
const KILLED: u32 = 137;

/// A job whose processes end with its last handle: also when the daemon itself is killed. It has no limits of the user
/// interface: with those, no process in it could make a job of its own.
#[derive(Debug)]
pub(super) struct Job(pub(super) OwnedHandle);

impl Job {
    /// And which of `limits` it does not have.
    pub(super) fn new(limits: &Limits) -> io::Result<(Self, Vec<String>)> {
        // SAFETY: both pointers may be null: no security attributes, no name.
        let handle = unsafe { CreateJobObjectW(ptr::null(), ptr::null()) };
        check(i32::from(!handle.is_null()))?;
        // SAFETY: the handle was just opened for us, and nobody else closes it.
        let job = Self(unsafe { OwnedHandle::from_raw_handle(handle) });
        let mut asked = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
        asked.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
        if let Some(processes) = limits.processes {
            asked.BasicLimitInformation.LimitFlags |= JOB_OBJECT_LIMIT_ACTIVE_PROCESS;
            asked.BasicLimitInformation.ActiveProcessLimit = u32::try_from(processes).unwrap_or(u32::MAX);
        }
        if let Some(bytes) = limits.address_space_bytes {
            asked.BasicLimitInformation.LimitFlags |= JOB_OBJECT_LIMIT_PROCESS_MEMORY;
            asked.ProcessMemoryLimit = usize::try_from(bytes).unwrap_or(usize::MAX);
        }
        // SAFETY: the handle is open; the pointer and the size describe `asked`, of the type that the class asks for.
        check(unsafe {
            SetInformationJobObject(
                job.0.as_raw_handle(),
                JobObjectExtendedLimitInformation,
                (&raw const asked).cast(),
                size_of::<JOBOBJECT_EXTENDED_LIMIT_INFORMATION>() as u32,
            )
        })?;
        let lacks = if *limits == Limits::default() { Vec::new() } else { lacks(&asked, &job.limits()?) };
        Ok((job, lacks))
    }

    /// Another handle to the same job.
    pub(super) fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Ends every process in it. Fails only when nothing is left to end.
    pub(super) fn end(&self) {
        // SAFETY: the handle is open.
        unsafe { TerminateJobObject(self.0.as_raw_handle(), KILLED) };
    }

    fn limits(&self) -> io::Result<JOBOBJECT_EXTENDED_LIMIT_INFORMATION> {
        let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
        // SAFETY: the handle is open; the pointer and the size describe `limits`, of the type that the class answers with.
        check(unsafe {
            QueryInformationJobObject(
                self.0.as_raw_handle(),
                JobObjectExtendedLimitInformation,
                (&raw mut limits).cast(),
                size_of::<JOBOBJECT_EXTENDED_LIMIT_INFORMATION>() as u32,
                ptr::null_mut(),
            )
        })?;
        Ok(limits)
    }
}

fn lacks(
    asked: &JOBOBJECT_EXTENDED_LIMIT_INFORMATION,
    found: &JOBOBJECT_EXTENDED_LIMIT_INFORMATION,
) -> Vec<String> {
    let missing = asked.BasicLimitInformation.LimitFlags & !found.BasicLimitInformation.LimitFlags;
    let processes = missing & JOB_OBJECT_LIMIT_ACTIVE_PROCESS != 0
        || asked.BasicLimitInformation.ActiveProcessLimit != found.BasicLimitInformation.ActiveProcessLimit;
    let memory = missing & JOB_OBJECT_LIMIT_PROCESS_MEMORY != 0
        || asked.ProcessMemoryLimit != found.ProcessMemoryLimit;
    let keys = [("limits.processes", processes), ("limits.address_space_bytes", memory)];
    keys.into_iter().filter(|(_, lacks)| *lacks).map(|(key, _)| format!("{key}: not kept")).collect()
}
