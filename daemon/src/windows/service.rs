//! Being the service: the control handler only posts, the supervisor's loop does the rest, and STOPPED is the last word.
#![expect(
    unsafe_code,
    reason = "the dispatcher, the control handler and the process snapshot have no safe interface"
)]

use std::ffi::c_void;
use std::io;
use std::mem::size_of;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::PathBuf;
use std::ptr;
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::{
    ERROR_CALL_NOT_IMPLEMENTED, ERROR_SERVICE_SPECIFIC_ERROR, INVALID_HANDLE_VALUE, NO_ERROR,
};
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, PROCESSENTRY32W, Process32FirstW, Process32NextW, TH32CS_SNAPPROCESS,
};
use windows_sys::Win32::System::Services::{
    RegisterServiceCtrlHandlerExW, SERVICE_CONTROL_INTERROGATE, SERVICE_STATUS, SERVICE_STATUS_HANDLE,
    SERVICE_TABLE_ENTRYW, SERVICE_WIN32_OWN_PROCESS, SetServiceStatus, StartServiceCtrlDispatcherW,
};

use super::wide::{check, text_at, wide};
use crate::failure::{Cause, Failure};
use crate::guardian::{Host, Notice, guard};
use crate::identity::NAME;
use crate::service_manager::{Pending, ServiceState, accepted, notice_of};
use crate::state::State;

/// How long the worker may take to say its first word.
const START_PATIENCE: Duration = Duration::from_secs(30);

/// Handed to the service's main function, which the system calls without arguments of ours.
static CONFIG: Mutex<Option<PathBuf>> = Mutex::new(None);
/// Where controls go. A process is a service once, and its handler may be called until the process ends.
static CONTROLS: OnceLock<Sender<Notice>> = OnceLock::new();

/// Is the service, until the service manager stops it. A service has no console: what the worker cannot do is in its log.
pub(crate) fn run_as_service(config: Option<PathBuf>) -> Result<(), Failure> {
    let explanation = || {
        Failure::new(
            Cause::ServiceManager,
            "run --service only works when the service manager starts it",
            "use: seaworthyd run (here), or: seaworthyd install, then seaworthyd start",
        )
    };
    // The dispatcher would tell the same, in Wine only after ten seconds.
    if !parent_is_service_manager().unwrap_or(true) {
        return Err(explanation());
    }
    *CONFIG.lock().unwrap_or_else(PoisonError::into_inner) = config;
    let mut name = wide(NAME);
    let table = [
        SERVICE_TABLE_ENTRYW { lpServiceName: name.as_mut_ptr(), lpServiceProc: Some(service_main) },
        SERVICE_TABLE_ENTRYW::default(),
    ];
    // SAFETY: the table ends with an empty entry, and both it and the name outlive the call, which returns when the
    // service has stopped.
    check(unsafe { StartServiceCtrlDispatcherW(table.as_ptr()) }).map_err(|error| {
        match error.raw_os_error() {
            Some(1063) => explanation(),
            _ => Failure::new(
                Cause::ServiceManager,
                format!("cannot connect to the service manager: {error}"),
                "start it with: seaworthyd start",
            ),
        }
    })
}

unsafe extern "system" fn service_main(_count: u32, _arguments: *mut *mut u16) {
    let (sender, inbox) = mpsc::channel();
    let _ = CONTROLS.set(sender.clone());
    let name = wide(NAME);
    // SAFETY: the name ends with a NUL; the handler has the required signature and uses no context.
    let handle = unsafe { RegisterServiceCtrlHandlerExW(name.as_ptr(), Some(on_control), ptr::null()) };
    // Without a handle there is nobody to tell; the service manager notices that the process ends.
    if handle.is_null() {
        return;
    }
    let mut host = WindowsHost { handle, pending: Pending::new(Instant::now()), has_stopped: false };
    // The service manager waits from here on; starting the worker may take a while.
    let _ = host.report(State::StartPending, START_PATIENCE);
    let config = CONFIG.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Err(failure) = guard(config.as_deref(), true, &mut host, (sender, inbox)) {
        // Nobody is left to tell if this fails, too.
        let _ = host.stop(u32::from(failure.code()));
    }
    let _ = host.stop(0);
}

/// Called by the dispatcher, one control at a time.
unsafe extern "system" fn on_control(
    control: u32,
    _event: u32,
    _data: *mut c_void,
    _context: *mut c_void,
) -> u32 {
    if control == SERVICE_CONTROL_INTERROGATE {
        return NO_ERROR;
    }
    let notice = notice_of(control);
    match (notice, CONTROLS.get()) {
        (Some(notice), Some(controls)) => {
            // Fails only when the supervisor has ended, and then the service is about to report that.
            let _ = controls.send(notice);
            NO_ERROR
        }
        _ => ERROR_CALL_NOT_IMPLEMENTED,
    }
}

/// The service manager as the supervisor's host.
struct WindowsHost {
    handle: SERVICE_STATUS_HANDLE,
    pending: Pending,
    /// STOPPED is reported once: after it the process may be ended at any time.
    has_stopped: bool,
}

impl WindowsHost {
    /// Reports STOPPED with the exit code of the command line, so that recovery actions follow.
    fn stop(&mut self, exit_code: u32) -> io::Result<()> {
        self.pending.enter(ServiceState::Stopped, Duration::ZERO, Instant::now());
        self.tell(exit_code)
    }

    fn tell(&mut self, exit_code: u32) -> io::Result<()> {
        if self.has_stopped {
            return Ok(());
        }
        let state = self.pending.state();
        self.has_stopped = state == ServiceState::Stopped;
        let wait_hint = self.pending.wait_hint(Instant::now()).as_millis();
        let status = SERVICE_STATUS {
            dwServiceType: SERVICE_WIN32_OWN_PROCESS,
            dwCurrentState: state as u32,
            dwControlsAccepted: accepted(state),
            dwWin32ExitCode: if exit_code == 0 { NO_ERROR } else { ERROR_SERVICE_SPECIFIC_ERROR },
            dwServiceSpecificExitCode: exit_code,
            dwCheckPoint: self.pending.checkpoint(),
            dwWaitHint: u32::try_from(wait_hint).unwrap_or(u32::MAX),
        };
        // SAFETY: the handle is from RegisterServiceCtrlHandlerExW and stays valid; `status` is readable.
        check(unsafe { SetServiceStatus(self.handle, &raw const status) })
    }
}

impl Host for WindowsHost {
    fn report(&mut self, state: State, patience: Duration) -> io::Result<()> {
        // The end is told with its exit code, when the worker has gone.
        if state == State::Stopped {
            return Ok(());
        }
        self.pending.enter(windows_state(state), patience, Instant::now());
        self.tell(0)
    }

    fn pulse(&self) -> Option<Duration> {
        self.pending.pulse()
    }

    fn alive(&mut self) -> io::Result<()> {
        if self.pending.advance(Instant::now()) { self.tell(0) } else { Ok(()) }
    }
}

fn windows_state(state: State) -> ServiceState {
    match state {
        State::Stopped => ServiceState::Stopped,
        State::StartPending => ServiceState::StartPending,
        State::Running => ServiceState::Running,
        State::PausePending => ServiceState::PausePending,
        State::Paused => ServiceState::Paused,
        State::ContinuePending => ServiceState::ContinuePending,
        State::StopPending => ServiceState::StopPending,
        // The service as a whole is in neither.
        State::Backoff | State::Failed => ServiceState::Running,
    }
}

/// Whether `services.exe` started this program; it outlives every service, so a parent that is gone was another.
fn parent_is_service_manager() -> io::Result<bool> {
    // SAFETY: takes two numbers.
    let snapshot = unsafe { CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0) };
    if snapshot == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the handle was just opened for us, and nobody else closes it.
    let snapshot = unsafe { OwnedHandle::from_raw_handle(snapshot) };
    let mut entry = PROCESSENTRY32W { dwSize: size_of::<PROCESSENTRY32W>() as u32, ..Default::default() };
    let mut processes = Vec::new();
    // SAFETY: the snapshot is open; `entry` is writable and says its own size.
    let mut more = unsafe { Process32FirstW(snapshot.as_raw_handle(), &raw mut entry) };
    while more != 0 {
        // SAFETY: the system ends the name with a NUL inside the array.
        let name = unsafe { text_at(entry.szExeFile.as_ptr()) };
        processes.push((entry.th32ProcessID, entry.th32ParentProcessID, name));
        // SAFETY: as above.
        more = unsafe { Process32NextW(snapshot.as_raw_handle(), &raw mut entry) };
    }
    let parent = processes.iter().find(|process| process.0 == std::process::id()).map(|process| process.1);
    Ok(processes.iter().any(|(id, _, name)| Some(*id) == parent && name.eq_ignore_ascii_case("services.exe")))
}
