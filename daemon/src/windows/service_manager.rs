//! The system's own service manager (winsvc.h), a call for a call.
#![expect(unsafe_code, reason = "the service manager has no safe interface")]

use std::ffi::c_void;
use std::io;
use std::mem::size_of;
use std::ptr;
use std::time::{Duration, Instant};

use windows_sys::Win32::System::Services::{
    ChangeServiceConfig2W, CloseServiceHandle, ControlService, CreateServiceW, DeleteService, OpenSCManagerW,
    OpenServiceW, QUERY_SERVICE_CONFIGW, QueryServiceConfig2W, QueryServiceConfigW, QueryServiceStatusEx,
    SC_ACTION, SC_HANDLE, SC_MANAGER_CONNECT, SC_MANAGER_CREATE_SERVICE, SC_STATUS_PROCESS_INFO,
    SERVICE_ALL_ACCESS, SERVICE_CHANGE_CONFIG, SERVICE_DELAYED_AUTO_START_INFO, SERVICE_DESCRIPTIONW,
    SERVICE_ERROR_NORMAL, SERVICE_FAILURE_ACTIONS_FLAG, SERVICE_FAILURE_ACTIONSW, SERVICE_INTERROGATE,
    SERVICE_PAUSE_CONTINUE, SERVICE_PRESHUTDOWN_INFO, SERVICE_QUERY_CONFIG, SERVICE_QUERY_STATUS,
    SERVICE_REQUIRED_PRIVILEGES_INFOW, SERVICE_SID_INFO, SERVICE_START, SERVICE_STATUS,
    SERVICE_STATUS_PROCESS, SERVICE_STOP, SERVICE_USER_DEFINED_CONTROL, SERVICE_WIN32_OWN_PROCESS,
    StartServiceW,
};

use super::wide::{list_at, text_at, wide, wide_list};
use crate::service_manager::{
    Config, Definition, Error, RecoveryAction, ServiceManager, ServiceState, Setting, SidType, StartType,
    Status,
};

/// DELETE (winnt.h).
const DELETE: u32 = 0x1_0000;
/// The system allows no larger answer ("QueryServiceConfigW"). Bytes.
const LARGEST_ANSWER: usize = 8 * 1024;

/// The service manager of this machine.
#[derive(Debug)]
pub(crate) struct WindowsServiceManager {
    begin: Instant,
}

impl WindowsServiceManager {
    pub(crate) fn new() -> Self {
        Self { begin: Instant::now() }
    }
}

impl ServiceManager for WindowsServiceManager {
    fn create(&self, definition: &Definition) -> Result<(), Error> {
        let doing = "install the service";
        let manager = connect(doing, SC_MANAGER_CONNECT | SC_MANAGER_CREATE_SERVICE)?;
        let config = &definition.config;
        let (name, display_name) = (wide(&definition.name), wide(&config.display_name));
        let (line, account) = (wide(&config.command_line), wide(&config.account));
        let dependencies = wide_list(&config.dependencies);
        // SAFETY: the handle is open; every text ends with a NUL and outlives the call; null asks for no load order
        // group, no tag and no password.
        let service = unsafe {
            CreateServiceW(
                manager.0,
                name.as_ptr(),
                display_name.as_ptr(),
                SERVICE_ALL_ACCESS,
                SERVICE_WIN32_OWN_PROCESS,
                config.start_type as u32,
                SERVICE_ERROR_NORMAL,
                line.as_ptr(),
                ptr::null(),
                ptr::null_mut(),
                dependencies.as_ptr(),
                account.as_ptr(),
                ptr::null(),
            )
        };
        Handle::new(service, doing).map(drop)
    }

    fn config(&self, name: &str) -> Result<Config, Error> {
        let doing = "read its configuration";
        let service = open(name, SERVICE_QUERY_CONFIG, doing)?;
        let mut answer = Answer::new();
        let mut needed = 0;
        // SAFETY: the handle is open; pointer and size describe `answer`, which is aligned for the structure.
        let result = unsafe {
            QueryServiceConfigW(service.0, answer.pointer().cast(), answer.size(), &raw mut needed)
        };
        check(result, doing)?;
        // SAFETY: the call succeeded, so the buffer begins with the structure.
        let found = unsafe { answer.get::<QUERY_SERVICE_CONFIGW>() };
        // SAFETY: its texts and its list lie in the buffer, which lives on; each is null or ends as it should.
        let (display_name, command_line, account, dependencies) = unsafe {
            (
                text_at(found.lpDisplayName),
                text_at(found.lpBinaryPathName),
                text_at(found.lpServiceStartName),
                list_at(found.lpDependencies),
            )
        };
        let start_type = StartType::from_raw(found.dwStartType).ok_or_else(|| strange(doing))?;
        Ok(Config { display_name, command_line, start_type, account, dependencies })
    }

    fn set(&self, name: &str, setting: &Setting) -> Result<(), Error> {
        let doing = "change a setting of the service";
        // Whoever asks for restarts must be allowed to start.
        let service = open(name, SERVICE_CHANGE_CONFIG | SERVICE_START, doing)?;
        with_info(setting, |info| {
            // SAFETY: the handle is open; `info` leads to the structure of the level.
            check(unsafe { ChangeServiceConfig2W(service.0, setting.level(), info) }, doing)
        })
    }

    fn setting(&self, name: &str, level: u32) -> Result<Setting, Error> {
        let doing = "read a setting of the service";
        let service = open(name, SERVICE_QUERY_CONFIG, doing)?;
        let mut answer = Answer::new();
        let mut needed = 0;
        // SAFETY: the handle is open; pointer and size describe `answer`.
        let result = unsafe {
            QueryServiceConfig2W(service.0, level, answer.pointer(), answer.size(), &raw mut needed)
        };
        check(result, doing)?;
        // SAFETY: the call succeeded, so the buffer, which is aligned for every structure, begins with that of the level.
        unsafe { read_info(answer.pointer().cast(), level) }.ok_or_else(|| strange(doing))
    }

    fn delete(&self, name: &str) -> Result<(), Error> {
        let doing = "remove the service";
        let service = open(name, DELETE, doing)?;
        // SAFETY: the handle is open.
        check(unsafe { DeleteService(service.0) }, doing)
    }

    fn start(&self, name: &str) -> Result<(), Error> {
        let doing = "start the service";
        let service = open(name, SERVICE_START, doing)?;
        // SAFETY: the handle is open; there are no arguments.
        check(unsafe { StartServiceW(service.0, 0, ptr::null()) }, doing)
    }

    fn control(&self, name: &str, code: u32) -> Result<(), Error> {
        let doing = "control the service";
        let access = match code {
            1 => SERVICE_STOP,
            2 | 3 | 6..=10 => SERVICE_PAUSE_CONTINUE,
            4 => SERVICE_INTERROGATE,
            _ => SERVICE_USER_DEFINED_CONTROL,
        };
        let service = open(name, access, doing)?;
        let mut status = SERVICE_STATUS::default();
        // SAFETY: the handle is open; `status` is writable.
        check(unsafe { ControlService(service.0, code, &raw mut status) }, doing)
    }

    fn status(&self, name: &str) -> Result<Status, Error> {
        let doing = "query the service";
        let service = open(name, SERVICE_QUERY_STATUS, doing)?;
        let mut found = SERVICE_STATUS_PROCESS::default();
        let size = size_of::<SERVICE_STATUS_PROCESS>() as u32;
        let mut needed = 0;
        // SAFETY: the handle is open; pointer and size describe `found`, of the type that the level asks for.
        let result = unsafe {
            QueryServiceStatusEx(
                service.0,
                SC_STATUS_PROCESS_INFO,
                (&raw mut found).cast(),
                size,
                &raw mut needed,
            )
        };
        check(result, doing)?;
        Ok(Status {
            state: ServiceState::from_raw(found.dwCurrentState).ok_or_else(|| strange(doing))?,
            accepted: found.dwControlsAccepted,
            exit_code: found.dwWin32ExitCode,
            service_exit_code: found.dwServiceSpecificExitCode,
            checkpoint: found.dwCheckPoint,
            wait_hint: Duration::from_millis(u64::from(found.dwWaitHint)),
            pid: found.dwProcessId,
        })
    }

    fn now(&self) -> Duration {
        self.begin.elapsed()
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// Passes on the structure of the setting's level; it lives as long as `then` runs.
pub(crate) fn with_info<T>(setting: &Setting, then: impl FnOnce(*const c_void) -> T) -> T {
    match setting {
        Setting::Description(text) => {
            let mut text = wide(text);
            let info = SERVICE_DESCRIPTIONW { lpDescription: text.as_mut_ptr() };
            then((&raw const info).cast())
        }
        Setting::Recovery { reset, actions } => {
            let mut actions: Vec<_> = actions
                .iter()
                .map(|(action, delay)| SC_ACTION { Type: *action as i32, Delay: milliseconds(*delay) })
                .collect();
            let info = SERVICE_FAILURE_ACTIONSW {
                dwResetPeriod: u32::try_from(reset.as_secs()).unwrap_or(u32::MAX),
                cActions: actions.len() as u32,
                lpsaActions: actions.as_mut_ptr(),
                ..Default::default()
            };
            then((&raw const info).cast())
        }
        Setting::DelayedStart(delayed) => {
            let info = SERVICE_DELAYED_AUTO_START_INFO { fDelayedAutostart: i32::from(*delayed) };
            then((&raw const info).cast())
        }
        Setting::RecoverFromExitCodes(recover) => {
            let info =
                SERVICE_FAILURE_ACTIONS_FLAG { fFailureActionsOnNonCrashFailures: i32::from(*recover) };
            then((&raw const info).cast())
        }
        Setting::SidType(sid_type) => {
            let info = SERVICE_SID_INFO { dwServiceSidType: *sid_type as u32 };
            then((&raw const info).cast())
        }
        Setting::RequiredPrivileges(names) => {
            let mut names = wide_list(names);
            let info = SERVICE_REQUIRED_PRIVILEGES_INFOW { pmszRequiredPrivileges: names.as_mut_ptr() };
            then((&raw const info).cast())
        }
        Setting::PreshutdownTimeout(timeout) => {
            let info = SERVICE_PRESHUTDOWN_INFO { dwPreshutdownTimeout: milliseconds(*timeout) };
            then((&raw const info).cast())
        }
    }
}

/// `None` for a level or a value that is none of ours.
///
/// # Safety
/// `info` leads to the structure of `level`, aligned, and its pointers to what they should.
pub(crate) unsafe fn read_info(info: *const c_void, level: u32) -> Option<Setting> {
    // SAFETY: our caller promises the structure, and what its pointers lead to.
    unsafe {
        Some(match level {
            1 => Setting::Description(text_at((*info.cast::<SERVICE_DESCRIPTIONW>()).lpDescription)),
            2 => {
                let found = &*info.cast::<SERVICE_FAILURE_ACTIONSW>();
                let count = if found.lpsaActions.is_null() { 0 } else { found.cActions as usize };
                let action = |index| {
                    let action: SC_ACTION = *found.lpsaActions.add(index);
                    let kind = RecoveryAction::from_raw(u32::try_from(action.Type).ok()?)?;
                    Some((kind, Duration::from_millis(u64::from(action.Delay))))
                };
                let actions = (0..count).map(action).collect::<Option<_>>()?;
                Setting::Recovery { reset: Duration::from_secs(u64::from(found.dwResetPeriod)), actions }
            }
            3 => {
                let found = *info.cast::<SERVICE_DELAYED_AUTO_START_INFO>();
                Setting::DelayedStart(found.fDelayedAutostart != 0)
            }
            4 => {
                let found = *info.cast::<SERVICE_FAILURE_ACTIONS_FLAG>();
                Setting::RecoverFromExitCodes(found.fFailureActionsOnNonCrashFailures != 0)
            }
            5 => Setting::SidType(SidType::from_raw((*info.cast::<SERVICE_SID_INFO>()).dwServiceSidType)?),
            6 => {
                let found = *info.cast::<SERVICE_REQUIRED_PRIVILEGES_INFOW>();
                Setting::RequiredPrivileges(list_at(found.pmszRequiredPrivileges))
            }
            7 => {
                let found = *info.cast::<SERVICE_PRESHUTDOWN_INFO>();
                Setting::PreshutdownTimeout(Duration::from_millis(u64::from(found.dwPreshutdownTimeout)))
            }
            _ => return None,
        })
    }
}

/// A buffer that is large enough for every answer, and aligned for every structure.
struct Answer(Vec<u64>);

impl Answer {
    fn new() -> Self {
        Self(vec![0; LARGEST_ANSWER / size_of::<u64>()])
    }

    fn pointer(&mut self) -> *mut u8 {
        self.0.as_mut_ptr().cast()
    }

    fn size(&self) -> u32 {
        LARGEST_ANSWER as u32
    }

    /// # Safety
    /// The buffer begins with a `T` that the system wrote; `T` is one of its plain structures, smaller than the buffer.
    unsafe fn get<T>(&self) -> &T {
        // SAFETY: our caller promises the `T`; the buffer is aligned to 8 bytes, as much as any of them needs.
        unsafe { &*self.0.as_ptr().cast::<T>() }
    }
}

/// A handle of the service manager or of a service.
struct Handle(SC_HANDLE);

impl Handle {
    fn new(handle: SC_HANDLE, doing: &'static str) -> Result<Self, Error> {
        if handle.is_null() { Err(last_error(doing)) } else { Ok(Self(handle)) }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the handle is open, and nobody else closes it.
        unsafe { CloseServiceHandle(self.0) };
    }
}

fn connect(doing: &'static str, access: u32) -> Result<Handle, Error> {
    // SAFETY: null means this machine and the database of active services.
    Handle::new(unsafe { OpenSCManagerW(ptr::null(), ptr::null(), access) }, doing)
}

fn open(name: &str, access: u32, doing: &'static str) -> Result<Handle, Error> {
    let manager = connect(doing, SC_MANAGER_CONNECT)?;
    let name = wide(name);
    // SAFETY: the handle is open; the name ends with a NUL.
    Handle::new(unsafe { OpenServiceW(manager.0, name.as_ptr(), access) }, doing)
}

fn check(result: i32, doing: &'static str) -> Result<(), Error> {
    if result == 0 { Err(last_error(doing)) } else { Ok(()) }
}

fn last_error(doing: &'static str) -> Error {
    let code = io::Error::last_os_error().raw_os_error().unwrap_or_default();
    Error::system(doing, code.cast_unsigned())
}

/// The system answered with a number that its documentation does not know (ERROR_INVALID_DATA).
fn strange(doing: &'static str) -> Error {
    Error::system(doing, 13)
}

fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}
