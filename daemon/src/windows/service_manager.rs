//! The Windows service manager: being its service, and telling it what to do.
#![expect(
    unsafe_code,
    reason = "the dispatcher's entry point and the process snapshot have no safe interface"
)]

use std::ffi::{OsStr, OsString};
use std::io;
use std::mem::size_of;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use windows_service::service::{
    Service, ServiceAccess, ServiceControl, ServiceControlAccept, ServiceErrorControl, ServiceExitCode,
    ServiceInfo, ServiceStartType, ServiceState, ServiceStatus, ServiceType,
};
use windows_service::service_control_handler::{self, ServiceControlHandlerResult, ServiceStatusHandle};
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};
use windows_service::{define_windows_service, service_dispatcher};
use windows_sys::Win32::Foundation::INVALID_HANDLE_VALUE;
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, PROCESSENTRY32W, Process32FirstW, Process32NextW, TH32CS_SNAPPROCESS,
};

use super::open_log;
use crate::command_line::Manage;
use crate::config::Config;
use crate::failure::{Cause, Failure};
use crate::identity::NAME;
use crate::log::{Event, Log, Value};
use crate::state::{Control, State};
use crate::supervisor::{Host, Message, Supervisor};

const DISPLAY_NAME: &str = "Seaworthy service supervisor";
const DESCRIPTION: &str = "Starts workloads, restarts them when they end, and stops them whole.";
/// Not LocalSystem: a supervisor needs no rights over the machine.
const ACCOUNT: &str = r"NT AUTHORITY\LocalService";
/// How long `start` and `stop` wait for the service to settle.
const SETTLE: Duration = Duration::from_secs(30);
/// How often a pending state's checkpoint moves on.
const CHECKPOINT: Duration = Duration::from_secs(1);

/// Handed to the service's main function, which the system calls without arguments of ours.
static CONFIG: Mutex<Option<Result<Config, Failure>>> = Mutex::new(None);

define_windows_service!(service_entry, service_main);

/// Is the service, until the service manager stops it. A refused configuration goes to the log: a service has no console.
pub(crate) fn run_as_service(config: Result<Config, Failure>) -> Result<(), Failure> {
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
    *CONFIG.lock().expect("nothing has panicked yet") = Some(config);
    service_dispatcher::start(NAME, service_entry).map_err(|error| match raw_code(&error) {
        Some(1063) => explanation(),
        _ => refused("connect to the service manager", &error),
    })
}

fn service_main(_arguments: Vec<OsString>) {
    let (sender, inbox) = mpsc::channel();
    let controls = sender.clone();
    let handler = move |control| {
        let control = match control {
            ServiceControl::Stop | ServiceControl::Shutdown => Control::Stop,
            ServiceControl::Pause => Control::Pause,
            ServiceControl::Continue => Control::Continue,
            ServiceControl::Interrogate => return ServiceControlHandlerResult::NoError,
            _ => return ServiceControlHandlerResult::NotImplemented,
        };
        let _ = controls.send(Message::Control(control));
        ServiceControlHandlerResult::NoError
    };
    // Without a handle there is nobody to tell; the service manager notices that the process ends.
    let Ok(handle) = service_control_handler::register(NAME, handler) else { return };
    let mut host = WindowsHost { handle, state: State::Stopped, patience: Duration::ZERO, checkpoint: 0 };
    let config =
        CONFIG.lock().ok().and_then(|mut config| config.take()).unwrap_or_else(|| Ok(Config::default()));
    if let Err(failure) = serve(config, &mut host, (sender, inbox)) {
        let _ =
            host.tell(State::Stopped, Duration::ZERO, ServiceExitCode::ServiceSpecific(failure.cause as u32));
    }
}

fn serve(
    config: Result<Config, Failure>,
    host: &mut WindowsHost,
    channel: (mpsc::Sender<Message>, mpsc::Receiver<Message>),
) -> Result<(), Failure> {
    let log_file = config.as_ref().ok().and_then(|config| config.log_file.clone());
    let log = service_log(log_file)?;
    match config {
        Ok(config) => Supervisor::new(config, log, host, channel).run(),
        Err(failure) => {
            log.finish(Event::Refused, "cannot run", &[("error", Value::Text(failure.to_string()))]);
            Err(failure)
        }
    }
}

/// The configured file, else `%ProgramData%\seaworthyd\seaworthyd.log`.
fn service_log(configured: Option<PathBuf>) -> Result<Log, Failure> {
    let path = configured.unwrap_or_else(|| {
        let data =
            std::env::var_os("ProgramData").map_or_else(|| PathBuf::from(r"C:\ProgramData"), PathBuf::from);
        let folder = data.join(NAME);
        // If it cannot be made, opening the file in it says why.
        let _ = std::fs::create_dir_all(&folder);
        folder.join("seaworthyd.log")
    });
    open_log(&path)
}

/// The service manager as the supervisor's host.
struct WindowsHost {
    handle: ServiceStatusHandle,
    state: State,
    patience: Duration,
    checkpoint: u32,
}

impl WindowsHost {
    fn tell(&mut self, state: State, patience: Duration, exit_code: ServiceExitCode) -> io::Result<()> {
        let is_pending = state != state.settled();
        self.checkpoint =
            if is_pending && state == self.state { self.checkpoint + 1 } else { u32::from(is_pending) };
        (self.state, self.patience) = (state, patience);
        let controls_accepted = match state {
            State::Running | State::Paused => {
                ServiceControlAccept::STOP
                    | ServiceControlAccept::SHUTDOWN
                    | ServiceControlAccept::PAUSE_CONTINUE
            }
            _ => ServiceControlAccept::empty(),
        };
        let status = ServiceStatus {
            service_type: ServiceType::OWN_PROCESS,
            current_state: windows_state(state),
            controls_accepted,
            exit_code,
            checkpoint: self.checkpoint,
            wait_hint: if is_pending { patience } else { Duration::ZERO },
            process_id: None,
        };
        self.handle.set_service_status(status).map_err(io::Error::other)
    }
}

impl Host for WindowsHost {
    fn report(&mut self, state: State, patience: Duration) -> io::Result<()> {
        self.tell(state, patience, ServiceExitCode::NO_ERROR)
    }

    fn pulse(&self) -> Option<Duration> {
        (self.state != self.state.settled()).then_some(CHECKPOINT)
    }

    fn alive(&mut self) -> io::Result<()> {
        if self.state == self.state.settled() {
            return Ok(());
        }
        self.tell(self.state, self.patience, ServiceExitCode::NO_ERROR)
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
    }
}

fn our_state(state: ServiceState) -> State {
    match state {
        ServiceState::Stopped => State::Stopped,
        ServiceState::StartPending => State::StartPending,
        ServiceState::Running => State::Running,
        ServiceState::PausePending => State::PausePending,
        ServiceState::Paused => State::Paused,
        ServiceState::ContinuePending => State::ContinuePending,
        ServiceState::StopPending => State::StopPending,
    }
}

/// Does `what` through the service manager; answers with a line for the user.
pub(crate) fn manage(what: Manage) -> Result<String, Failure> {
    match what {
        Manage::Install { config, on_demand } => install(config, on_demand),
        Manage::Uninstall => {
            open(ServiceAccess::DELETE)?.delete().map_err(|error| refused("remove the service", &error))?;
            Ok(format!("{NAME} is removed"))
        }
        Manage::Start => {
            let service = open(ServiceAccess::START | ServiceAccess::QUERY_STATUS)?;
            service.start::<&OsStr>(&[]).map_err(|error| refused("start the service", &error))?;
            settle(&service, State::Running)
        }
        Manage::Stop => {
            let service = open(ServiceAccess::STOP | ServiceAccess::QUERY_STATUS)?;
            service.stop().map_err(|error| refused("stop the service", &error))?;
            settle(&service, State::Stopped)
        }
        Manage::Status => Ok(describe(&query(&open(ServiceAccess::QUERY_STATUS)?)?)),
    }
}

fn install(config: Option<PathBuf>, on_demand: bool) -> Result<String, Failure> {
    let mut launch_arguments = vec![OsString::from("run"), OsString::from("--service")];
    if let Some(path) = config {
        Config::read(&path)?;
        let absolute = std::path::absolute(&path).map_err(|error| no_path(&error))?;
        launch_arguments.extend([OsString::from("--config"), absolute.into_os_string()]);
    }
    let info = ServiceInfo {
        name: OsString::from(NAME),
        display_name: OsString::from(DISPLAY_NAME),
        service_type: ServiceType::OWN_PROCESS,
        start_type: if on_demand { ServiceStartType::OnDemand } else { ServiceStartType::AutoStart },
        error_control: ServiceErrorControl::Normal,
        // windows-service quotes it and each argument where a space is in it (CWE-428).
        executable_path: std::env::current_exe().map_err(|error| no_path(&error))?,
        launch_arguments,
        dependencies: Vec::new(),
        account_name: Some(OsString::from(ACCOUNT)),
        account_password: None,
    };
    let manager = connect(ServiceManagerAccess::CONNECT | ServiceManagerAccess::CREATE_SERVICE)?;
    let service = manager
        .create_service(&info, ServiceAccess::CHANGE_CONFIG)
        .map_err(|error| refused("install the service", &error))?;
    service.set_description(DESCRIPTION).map_err(|error| refused("describe the service", &error))?;
    let start = if on_demand { "on demand" } else { "with the system" };
    Ok(format!("{NAME} is installed as {ACCOUNT}; it starts {start}; now: seaworthyd start"))
}

fn no_path(error: &io::Error) -> Failure {
    Failure::new(Cause::System, format!("cannot resolve a path: {error}"), "run the program by its full path")
}

fn connect(access: ServiceManagerAccess) -> Result<ServiceManager, Failure> {
    ServiceManager::local_computer(None::<&OsStr>, access)
        .map_err(|error| refused("connect to the service manager", &error))
}

fn open(access: ServiceAccess) -> Result<Service, Failure> {
    connect(ServiceManagerAccess::CONNECT)?
        .open_service(NAME, access)
        .map_err(|error| refused("open the service", &error))
}

fn query(service: &Service) -> Result<ServiceStatus, Failure> {
    service.query_status().map_err(|error| refused("query the service", &error))
}

/// Waits until the service is in `wanted`, or has stopped on the way.
fn settle(service: &Service, wanted: State) -> Result<String, Failure> {
    let deadline = Instant::now() + SETTLE;
    loop {
        let status = query(service)?;
        let state = our_state(status.current_state);
        if state == wanted {
            return Ok(describe(&status));
        }
        if state == State::Stopped || Instant::now() >= deadline {
            let message = format!("service {NAME} is {}, not {}", describe(&status), wanted.name());
            return Err(Failure::new(
                Cause::ServiceManager,
                message,
                "read its log; seaworthyd status tells more",
            ));
        }
        thread::sleep(Duration::from_millis(50));
    }
}

fn describe(status: &ServiceStatus) -> String {
    let mut line = our_state(status.current_state).name().to_owned();
    if let Some(pid) = status.process_id.filter(|pid| *pid != 0) {
        line.push_str(&format!(" (pid {pid})"));
    }
    if let ServiceExitCode::ServiceSpecific(code) = status.exit_code {
        line.push_str(&format!(" (exit code {code})"));
    }
    line
}

/// Errors of the service manager (Microsoft, "System Error Codes", 5 and 1051 to 1073) with what to do.
fn refused(what: &str, error: &windows_service::Error) -> Failure {
    let (why, hint) = match raw_code(error) {
        Some(5) => {
            ("access is denied".to_owned(), "use a prompt that was opened with 'Run as administrator'")
        }
        Some(1053) => {
            ("it did not answer in time".to_owned(), "read its log; seaworthyd run shows errors here")
        }
        Some(1056) => ("it already runs".to_owned(), "seaworthyd stop ends it"),
        Some(1058) => ("it is disabled".to_owned(), "enable it: sc config seaworthyd start= demand"),
        Some(1060) => ("it is not installed".to_owned(), "seaworthyd install"),
        Some(1061) => ("it is busy with another change".to_owned(), "try again in a moment"),
        Some(1062) => ("it does not run".to_owned(), "seaworthyd start"),
        Some(1072) => ("it is being removed".to_owned(), "close the Services window and try again"),
        Some(1073) => ("it is already installed".to_owned(), "seaworthyd uninstall removes it"),
        Some(code) => (format!("system error {code}"), "net helpmsg CODE explains the number"),
        None => (error.to_string(), "check the paths given to install"),
    };
    Failure::new(Cause::ServiceManager, format!("cannot {what}: {why}"), hint)
}

fn raw_code(error: &windows_service::Error) -> Option<i32> {
    match error {
        windows_service::Error::Winapi(error) => error.raw_os_error(),
        _ => None,
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
        let length = entry.szExeFile.iter().position(|unit| *unit == 0).unwrap_or(entry.szExeFile.len());
        let name = String::from_utf16_lossy(&entry.szExeFile[..length]);
        processes.push((entry.th32ProcessID, entry.th32ParentProcessID, name));
        // SAFETY: as above.
        more = unsafe { Process32NextW(snapshot.as_raw_handle(), &raw mut entry) };
    }
    let parent = processes.iter().find(|process| process.0 == std::process::id()).map(|process| process.1);
    Ok(processes.iter().any(|(id, _, name)| Some(*id) == parent && name.eq_ignore_ascii_case("services.exe")))
}
