//! A service manager without Windows that keeps the published rules, also those that Wine's does not know: [MS-SCMR]
//! 3.1.4 for the calls, "ControlService" in the Windows documentation for its table of states, 2.2.39 and 2.2.40 for
//! recovery. Time passes only in [`ServiceManager::sleep`].

mod rules;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::request::{PRESHUTDOWN, SHUTDOWN};
use super::{Config, Definition, Error, ServiceManager, ServiceState, Setting, StartType, Status, code};
use rules::{Inner, accept_bit};

/// How long a new process may take to connect, and a process to take a control.
const CONNECT: Duration = Duration::from_secs(30);
/// How long after the others delayed services start.
const DELAY: Duration = Duration::from_secs(120);

/// How the program of a service behaves.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) is_there: bool,
    /// Whether it ever speaks to the service manager.
    pub(crate) connects: bool,
    /// How long each of its changes takes.
    pub(crate) change: Duration,
    /// A change that it never ends, and in which no checkpoint moves.
    pub(crate) hangs_in: Option<ServiceState>,
    /// What it takes in a state.
    pub(crate) accepts: fn(ServiceState) -> u32,
    /// It ends while it takes a control.
    pub(crate) dies_of_controls: bool,
    /// System and own exit code with which its start fails.
    pub(crate) start_fails: Option<(u32, u32)>,
}

impl Default for Program {
    fn default() -> Self {
        let all = |state: ServiceState| super::accepted(state) | if state.is_pending() { 0 } else { 0x8 };
        Self {
            is_there: true,
            connects: true,
            change: Duration::from_secs(2),
            hangs_in: None,
            accepts: all,
            dies_of_controls: false,
            start_fails: None,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Fake(Mutex<Inner>);

impl Fake {
    /// Gives a service another program; to be called before it starts.
    pub(crate) fn program(&self, name: &str, program: Program) {
        self.lock().service(name).unwrap().program = program;
    }

    pub(crate) fn set_start_type(&self, name: &str, start_type: StartType) {
        self.lock().service(name).unwrap().config.start_type = start_type;
    }

    /// As Wine: these levels are unknown, or taken and forgotten.
    pub(crate) fn like_wine(&self, unknown: &[u32], forgotten: &[u32]) {
        let mut inner = self.lock();
        (inner.unknown_levels, inner.forgotten_levels) = (unknown.to_vec(), forgotten.to_vec());
    }

    /// Opens or closes a handle elsewhere, as the Services window does.
    pub(crate) fn hold(&self, name: &str, holds: bool) {
        let mut inner = self.lock();
        inner.service(name).unwrap().handles = u32::from(holds);
        inner.remove_marked();
    }

    /// The process ends without a word.
    pub(crate) fn kill(&self, name: &str) {
        self.lock().ended(name, code::PROCESS_ABORTED, 0, true);
    }

    /// The service reports that it has stopped.
    pub(crate) fn stops_itself(&self, name: &str, exit_code: u32, service_exit_code: u32) {
        self.lock().ended(name, exit_code, service_exit_code, false);
    }

    pub(crate) fn received(&self, name: &str) -> Vec<u32> {
        self.lock().service(name).unwrap().received.clone()
    }

    /// The system starts: what starts with it is started, delayed ones later.
    pub(crate) fn boot(&self) {
        let mut inner = self.lock();
        let now = inner.now;
        for service in inner.services.values_mut().filter(|it| it.config.start_type == StartType::Automatic) {
            let delayed = service.settings.get(&3) == Some(&Setting::DelayedStart(true));
            service.starts_at = Some(if delayed { now + DELAY } else { now });
        }
        inner.advance(Duration::ZERO);
    }

    /// The system shuts down: each service hears of it once, as early as it asked for.
    pub(crate) fn shut_down(&self) {
        let mut inner = self.lock();
        for control in [PRESHUTDOWN, SHUTDOWN] {
            let names: Vec<_> = inner.services.keys().cloned().collect();
            for name in names {
                let service = inner.service(&name).unwrap();
                let takes = service.status.accepted & accept_bit(control).unwrap_or_default() != 0;
                if takes && !service.status.state.is_pending() {
                    inner.deliver(&name, control);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ServiceManager for Fake {
    fn create(&self, definition: &Definition) -> Result<(), Error> {
        self.lock().create(definition).map_err(|code| Error::system("install the service", code))
    }

    fn config(&self, name: &str) -> Result<Config, Error> {
        let mut inner = self.lock();
        let service = inner.service(name).map_err(|code| Error::system("read its configuration", code))?;
        Ok(service.config.clone())
    }

    fn set(&self, name: &str, setting: &Setting) -> Result<(), Error> {
        self.lock().set(name, setting).map_err(|code| Error::system("change a setting", code))
    }

    fn setting(&self, name: &str, level: u32) -> Result<Setting, Error> {
        self.lock().setting(name, level).map_err(|code| Error::system("read a setting", code))
    }

    fn delete(&self, name: &str) -> Result<(), Error> {
        self.lock().delete(name).map_err(|code| Error::system("remove the service", code))
    }

    fn start(&self, name: &str) -> Result<(), Error> {
        self.lock().start(name).map_err(|code| Error::system("start the service", code))
    }

    fn control(&self, name: &str, control: u32) -> Result<(), Error> {
        self.lock().control(name, control).map_err(|code| Error::system("control the service", code))
    }

    fn status(&self, name: &str) -> Result<Status, Error> {
        let mut inner = self.lock();
        Ok(inner.service(name).map_err(|code| Error::system("query the service", code))?.status)
    }

    fn now(&self) -> Duration {
        self.lock().now
    }

    fn sleep(&self, time: Duration) {
        self.lock().advance(time);
    }
}
