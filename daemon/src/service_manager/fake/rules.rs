//! The rules: what each call and each moment does to the services.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::request::{
    ACCEPT_PARAMCHANGE, ACCEPT_PAUSE_CONTINUE, ACCEPT_PRESHUTDOWN, ACCEPT_SHUTDOWN, ACCEPT_STOP, CONTINUE,
    INTERROGATE, PARAMCHANGE, PAUSE, PRESHUTDOWN, SHUTDOWN, STOP,
};
use super::super::{
    Config, Definition, RecoveryAction, ServiceState, Setting, SidType, StartType, Status, code,
};
use super::{CONNECT, Program};

#[derive(Debug, Default)]
pub(super) struct Inner {
    pub(super) now: Duration,
    pub(super) pids: u32,
    pub(super) services: BTreeMap<String, Service>,
    /// Levels of settings that this system does not know.
    pub(super) unknown_levels: Vec<u32>,
    /// Levels that it takes and forgets.
    pub(super) forgotten_levels: Vec<u32>,
}

#[derive(Debug)]
pub(super) struct Service {
    pub(super) config: Config,
    pub(super) settings: BTreeMap<u32, Setting>,
    pub(super) status: Status,
    pub(super) program: Program,
    /// When the change under way ends.
    pub(super) change_ends: Duration,
    pub(super) marked_for_delete: bool,
    pub(super) handles: u32,
    pub(super) failures: usize,
    pub(super) last_failure: Duration,
    pub(super) starts_at: Option<Duration>,
    /// Controls that reached it.
    pub(super) received: Vec<u32>,
}

impl Inner {
    pub(super) fn service(&mut self, name: &str) -> Result<&mut Service, u32> {
        self.services.get_mut(&name.to_lowercase()).ok_or(code::SERVICE_DOES_NOT_EXIST)
    }

    pub(super) fn create(&mut self, definition: &Definition) -> Result<(), u32> {
        let (name, config) = (definition.name.to_lowercase(), &definition.config);
        if name.is_empty() || name.len() > 256 || name.contains(['/', '\\']) {
            return Err(code::INVALID_NAME);
        }
        if let Some(old) = self.services.get(&name) {
            return Err(if old.marked_for_delete {
                code::SERVICE_MARKED_FOR_DELETE
            } else {
                code::SERVICE_EXISTS
            });
        }
        if self.services.values().any(|it| it.config.display_name.eq_ignore_ascii_case(&config.display_name))
        {
            return Err(code::DUPLICATE_SERVICE_NAME);
        }
        let account = config.account.to_lowercase();
        let known = ["localsystem", r"nt authority\localservice", r"nt authority\networkservice"];
        if !known.contains(&account.as_str()) && account != format!(r"nt service\{name}") {
            return Err(code::INVALID_SERVICE_ACCOUNT);
        }
        if config.dependencies.iter().any(|other| self.leads_to(other, &name)) {
            return Err(code::CIRCULAR_DEPENDENCY);
        }
        let service = Service {
            config: config.clone(),
            settings: BTreeMap::new(),
            status: stopped(code::SERVICE_NEVER_STARTED, 0),
            program: Program::default(),
            change_ends: Duration::ZERO,
            marked_for_delete: false,
            handles: 0,
            failures: 0,
            last_failure: Duration::ZERO,
            starts_at: None,
            received: Vec::new(),
        };
        self.services.insert(name, service);
        Ok(())
    }

    pub(super) fn leads_to(&self, from: &str, name: &str) -> bool {
        let from = from.to_lowercase();
        let next = self.services.get(&from).map_or(&[][..], |service| &service.config.dependencies);
        from == name || next.iter().any(|other| self.leads_to(other, name))
    }

    pub(super) fn set(&mut self, name: &str, setting: &Setting) -> Result<(), u32> {
        let level = setting.level();
        if self.unknown_levels.contains(&level) {
            return Err(code::INVALID_LEVEL);
        }
        let forgets = self.forgotten_levels.contains(&level);
        let service = self.service(name)?;
        if service.marked_for_delete {
            return Err(code::SERVICE_MARKED_FOR_DELETE);
        }
        if *setting == Setting::DelayedStart(true) && service.config.start_type != StartType::Automatic {
            return Err(code::INVALID_PARAMETER);
        }
        if !forgets {
            service.settings.insert(level, setting.clone());
        }
        Ok(())
    }

    pub(super) fn setting(&mut self, name: &str, level: u32) -> Result<Setting, u32> {
        if self.unknown_levels.contains(&level) || !(1..=7).contains(&level) {
            return Err(code::INVALID_LEVEL);
        }
        // What was never set reads as the system's default.
        let default = match level {
            1 => Setting::Description(String::new()),
            2 => Setting::Recovery { reset: Duration::ZERO, actions: Vec::new() },
            3 => Setting::DelayedStart(false),
            4 => Setting::RecoverFromExitCodes(false),
            5 => Setting::SidType(SidType::None),
            6 => Setting::RequiredPrivileges(Vec::new()),
            _ => Setting::PreshutdownTimeout(Duration::from_secs(10)),
        };
        Ok(self.service(name)?.settings.get(&level).cloned().unwrap_or(default))
    }

    pub(super) fn delete(&mut self, name: &str) -> Result<(), u32> {
        let service = self.service(name)?;
        if std::mem::replace(&mut service.marked_for_delete, true) {
            return Err(code::SERVICE_MARKED_FOR_DELETE);
        }
        self.remove_marked();
        Ok(())
    }

    pub(super) fn remove_marked(&mut self) {
        self.services.retain(|_, service| {
            let is_unused = service.handles == 0 && service.status.state == ServiceState::Stopped;
            !(service.marked_for_delete && is_unused)
        });
    }

    pub(super) fn start(&mut self, name: &str) -> Result<(), u32> {
        let service = self.service(name)?;
        if service.marked_for_delete {
            return Err(code::SERVICE_MARKED_FOR_DELETE);
        }
        if service.status.state != ServiceState::Stopped {
            return Err(code::SERVICE_ALREADY_RUNNING);
        }
        if service.config.start_type == StartType::Disabled {
            return Err(code::SERVICE_DISABLED);
        }
        for other in service.config.dependencies.clone() {
            match self.start(&other) {
                Ok(()) | Err(code::SERVICE_ALREADY_RUNNING) => {}
                Err(code::SERVICE_DOES_NOT_EXIST) => return Err(code::SERVICE_DEPENDENCY_DELETED),
                Err(_) => return Err(code::SERVICE_DEPENDENCY_FAILED),
            }
        }
        let program = self.service(name)?.program.clone();
        if !program.is_there {
            return Err(code::FILE_NOT_FOUND);
        }
        if !program.connects {
            self.now += CONNECT;
            return Err(code::SERVICE_REQUEST_TIMEOUT);
        }
        self.pids += 4;
        let (pid, now) = (self.pids, self.now);
        let service = self.service(name)?;
        (service.status.pid, service.status.exit_code, service.starts_at) = (pid, 0, None);
        service.begin(ServiceState::StartPending, now);
        Ok(())
    }

    pub(super) fn control(&mut self, name: &str, control: u32) -> Result<(), u32> {
        let service = self.service(name)?;
        let is_own = (128..=255).contains(&control);
        // Shutdown, preshutdown and what the system itself sends are not for clients.
        if !is_own && !matches!(control, STOP | PAUSE | CONTINUE | INTERROGATE | PARAMCHANGE | 7..=10) {
            return Err(code::INVALID_PARAMETER);
        }
        match service.status.state {
            ServiceState::Stopped => return Err(code::SERVICE_NOT_ACTIVE),
            ServiceState::StopPending => return Err(code::SERVICE_CANNOT_ACCEPT_CONTROL),
            ServiceState::StartPending if control != STOP => return Err(code::SERVICE_CANNOT_ACCEPT_CONTROL),
            _ => {}
        }
        let needs = if is_own || control == INTERROGATE { Some(0) } else { accept_bit(control) };
        if needs.is_none_or(|bit| service.status.accepted & bit != bit) {
            return Err(code::INVALID_SERVICE_CONTROL);
        }
        let needed = |other: &&Service| other.status.state != ServiceState::Stopped;
        let depends =
            |other: &Service| other.config.dependencies.iter().any(|it| it.eq_ignore_ascii_case(name));
        if control == STOP && self.services.values().filter(needed).any(depends) {
            return Err(code::DEPENDENT_SERVICES_RUNNING);
        }
        if self.service(name)?.program.dies_of_controls {
            self.ended(name, code::PROCESS_ABORTED, 0, true);
            return Err(code::BROKEN_PIPE);
        }
        self.deliver(name, control);
        Ok(())
    }

    pub(super) fn deliver(&mut self, name: &str, control: u32) {
        let now = self.now;
        let Ok(service) = self.service(name) else { return };
        service.received.push(control);
        match (control, service.status.state) {
            (STOP | SHUTDOWN | PRESHUTDOWN, _) => service.begin(ServiceState::StopPending, now),
            (PAUSE, ServiceState::Running) => service.begin(ServiceState::PausePending, now),
            (CONTINUE, ServiceState::Paused) => service.begin(ServiceState::ContinuePending, now),
            _ => {}
        }
    }

    pub(super) fn ended(&mut self, name: &str, exit_code: u32, service_exit_code: u32, died: bool) {
        let now = self.now;
        let Ok(service) = self.service(name) else { return };
        service.status = stopped(exit_code, service_exit_code);
        let counts_codes = service.settings.get(&4) == Some(&Setting::RecoverFromExitCodes(true));
        if died || (counts_codes && exit_code != 0) {
            service.recover(now);
        }
        self.remove_marked();
    }

    pub(super) fn advance(&mut self, time: Duration) {
        self.now += time;
        let now = self.now;
        let names: Vec<_> = self.services.keys().cloned().collect();
        for name in names {
            let Ok(service) = self.service(&name) else { continue };
            let state = service.status.state;
            if state.is_pending() && service.program.hangs_in != Some(state) {
                service.status.checkpoint += 1;
                if now >= service.change_ends {
                    self.end_change(&name, state);
                }
            }
            let is_due = self.service(&name).is_ok_and(|it| it.starts_at.is_some_and(|at| at <= now));
            if is_due {
                // It may have been started by hand, or have become another's dependency.
                let _ = self.start(&name);
            }
        }
    }

    pub(super) fn end_change(&mut self, name: &str, state: ServiceState) {
        let Ok(service) = self.service(name) else { return };
        match (state, service.program.start_fails) {
            (ServiceState::StopPending, _) => self.ended(name, 0, 0, false),
            (ServiceState::StartPending, Some((exit_code, own))) => self.ended(name, exit_code, own, false),
            _ => service.enter(state.settled()),
        }
    }
}

impl Service {
    pub(super) fn begin(&mut self, state: ServiceState, now: Duration) {
        self.change_ends = now + self.program.change;
        self.enter(state);
    }

    pub(super) fn enter(&mut self, state: ServiceState) {
        self.status.state = state;
        self.status.accepted = (self.program.accepts)(state);
        self.status.checkpoint = 0;
        self.status.wait_hint = if state.is_pending() { Duration::from_secs(10) } else { Duration::ZERO };
    }

    /// The action of the first failure, the second, and so on; the last one for all that follow.
    pub(super) fn recover(&mut self, now: Duration) {
        let Some(Setting::Recovery { reset, actions }) = self.settings.get(&2) else { return };
        if now.saturating_sub(self.last_failure) > *reset {
            self.failures = 0;
        }
        let action = actions.get(self.failures.min(actions.len().saturating_sub(1)));
        if let Some((RecoveryAction::Restart, delay)) = action {
            self.starts_at = Some(now + *delay);
        }
        (self.failures, self.last_failure) = (self.failures + 1, now);
    }
}

fn stopped(exit_code: u32, service_exit_code: u32) -> Status {
    Status {
        state: ServiceState::Stopped,
        accepted: 0,
        exit_code,
        service_exit_code,
        checkpoint: 0,
        wait_hint: Duration::ZERO,
        pid: 0,
    }
}

pub(super) fn accept_bit(control: u32) -> Option<u32> {
    match control {
        STOP => Some(ACCEPT_STOP),
        PAUSE | CONTINUE => Some(ACCEPT_PAUSE_CONTINUE),
        SHUTDOWN => Some(ACCEPT_SHUTDOWN),
        PARAMCHANGE => Some(ACCEPT_PARAMCHANGE),
        PRESHUTDOWN => Some(ACCEPT_PRESHUTDOWN),
        _ => None,
    }
}
