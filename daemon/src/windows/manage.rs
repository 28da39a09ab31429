//! `seaworthyd install`, `uninstall`, `start`, `stop`, `status` and the rest on this machine.

use std::path::Path;

use super::access::{self, Judgement};
use super::event_log::EventLog;
use super::event_source;
use super::service_manager::WindowsServiceManager;
use crate::command_line::{Install, Manage, Place};
use crate::config::Config;
use crate::control::protocol::{Answer, Outcome};
use crate::doctor::Finding;
use crate::failure::{Cause, Failure};
use crate::identity::NAME;
use crate::log::{Event, Value};
use crate::service_manager::{
    Definition, Error, ServiceManager, ServiceState, Status, command_line, findings, install, pause, restart,
    resume, start, stop,
};
use crate::start_when::StartWhen;
use crate::state::Control;

const DISPLAY_NAME: &str = "Seaworthy service supervisor";
const DESCRIPTION: &str = "Starts workloads, restarts them when they end, and stops them whole.";

/// Does `what` through the service manager; answers with lines for the user.
pub(crate) fn manage(what: Manage) -> Result<String, Failure> {
    match what {
        Manage::Install(installation) => install_service(&installation),
        Manage::Uninstall => uninstall_service(),
    }
}

/// Does what is asked of the service as a whole, and waits until it is done.
pub(crate) fn control_service(control: Control, _at: &Place) -> Option<Result<Answer, Failure>> {
    let command: fn(&dyn ServiceManager, &str) -> Result<Status, Error> = match control {
        Control::Start => start,
        Control::Stop => stop,
        Control::Restart => restart,
        Control::Pause => pause,
        Control::Continue => resume,
        // The service manager would not tell whether the new configuration is valid; the daemon does.
        Control::Reload => return None,
    };
    let manager = WindowsServiceManager::new();
    let answer = |before: Option<Status>, status: Status| {
        let is_same =
            before.is_some_and(|before| before.state == status.state) && control != Control::Restart;
        let outcome = if is_same { Outcome::Already } else { Outcome::Changed };
        Answer::Done { outcome, state: status.state.into() }
    };
    let before = manager.status(NAME).ok();
    Some(command(&manager, NAME).map(|status| answer(before, status)).map_err(failure))
}

/// Why no daemon answers, by the service manager; `None` if the service runs.
pub(crate) fn absence() -> Option<Failure> {
    let status = match WindowsServiceManager::new().status(NAME) {
        Ok(status) => status,
        Err(error) => return Some(failure(error)),
    };
    (status.state == ServiceState::Stopped).then(|| {
        Failure::new(
            Cause::NotRunning,
            format!("{NAME} is {}", status.describe()),
            "seaworthyd start; its log tells more",
        )
    })
}

/// Registers the service and its event source, whole or not at all. Either way the Event Log tells who asked.
pub(crate) fn install_service(wanted: &Install) -> Result<String, Failure> {
    let done = try_install(wanted);
    if let Err(failure) = &done {
        let error = Value::text(failure.to_string());
        audit(Event::ServiceInstallRefused, "service not installed", &[("error", error)]);
    }
    done
}

/// What cannot be told to the Event Log is not a reason to undo what was done.
fn audit(event: Event, message: &str, fields: &[(&str, Value)]) {
    let user = access::own_sid().unwrap_or_else(|error| error.to_string());
    let mut fields = fields.to_vec();
    fields.push(("user", Value::text(user)));
    let _ = EventLog::open().and_then(|log| log.report(event, message, &fields));
}

fn try_install(wanted: &Install) -> Result<String, Failure> {
    let program = std::env::current_exe().map_err(|error| no_path(&error.to_string()))?;
    let mut warnings = refuse_writable(&program)?;
    let mut arguments = vec!["run".to_owned(), "--service".to_owned()];
    if let Some(path) = &wanted.config {
        Config::read(path)?;
        let absolute = std::path::absolute(path).map_err(|error| no_path(&error.to_string()))?;
        arguments.extend(["--config".to_owned(), text(&absolute)?]);
    }
    let line = command_line(&text(&program)?, &arguments).map_err(failure)?;
    let mut definition = Definition::new(NAME, DISPLAY_NAME, DESCRIPTION, line, wanted.start);
    if let Some(account) = &wanted.account {
        definition.config.account = account.clone();
    }
    definition.config.dependencies = wanted.dependencies.clone();
    let manager = WindowsServiceManager::new();
    warnings.extend(install(&manager, &definition).map_err(failure)?);
    // Only now does the system know the account.
    let folder = super::data_folder();
    match access::make_data_folder(&folder, &definition.config.account) {
        Ok(warning) => warnings.extend(warning),
        Err(error) => warnings.push(format!("cannot make {}: {error}", folder.display())),
    }
    if let Err(error) = event_source::register(NAME, &program) {
        // The first failure is the one to tell.
        let _ = manager.delete(NAME);
        let message = format!("cannot register the event source {}: {error}", event_source::key(NAME));
        return Err(Failure::new(
            Cause::System,
            message,
            "use a prompt that was opened with 'Run as administrator'",
        ));
    }
    let fields = [
        ("command_line", Value::text(&definition.config.command_line)),
        ("account", Value::text(&definition.config.account)),
    ];
    audit(Event::ServiceInstalled, "service installed", &fields);
    let start = match wanted.start {
        StartWhen::Automatic => "with the system",
        StartWhen::Delayed => "with the system, after the others",
        StartWhen::Demand => "on demand",
    };
    let account = &definition.config.account;
    let mut answer: String = warnings.iter().map(|warning| format!("warning: {warning}\n")).collect();
    answer += &format!("{NAME} is installed as {account}; it starts {start}; now: seaworthyd start");
    Ok(answer)
}

fn uninstall_service() -> Result<String, Failure> {
    let manager = WindowsServiceManager::new();
    let was_running = manager.status(NAME).is_ok_and(|status| status.pid != 0);
    manager.delete(NAME).map_err(failure)?;
    audit(Event::ServiceRemoved, "service removed", &[]);
    event_source::remove(NAME).map_err(|error| {
        let message =
            format!("{NAME} is removed, but not its event source {}: {error}", event_source::key(NAME));
        Failure::new(Cause::System, message, "remove the key with regedit")
    })?;
    let end = if was_running { "will be removed when it stops; now: seaworthyd stop" } else { "is removed" };
    Ok(format!("{NAME} {end}"))
}

/// What is wrong with the installation: what the service manager knows, who may change the program, and the event source.
pub(crate) fn doctor(_config: Option<&Path>) -> Result<Vec<Finding>, Failure> {
    let mut found = findings(&WindowsServiceManager::new(), NAME).map_err(failure)?;
    let program = std::env::current_exe().map_err(|error| no_path(&error.to_string()))?;
    match access::judge(&program) {
        Judgement::Closed => {}
        Judgement::Open { path, who } => found.push(Finding {
            what: format!("{} may be changed by {}", path.display(), who.join(", ")),
            cure: "move the program below C:\\Program Files and install it again",
        }),
        Judgement::Unknown(why) => {
            found.push(Finding { what: why, cure: "look at the properties of the program's folder" });
        }
    }
    if !event_source::is_registered(NAME, &program) {
        found.push(Finding {
            what: "its events have no texts: the event source names another program".to_owned(),
            cure: "seaworthyd uninstall, then seaworthyd install",
        });
    }
    Ok(found)
}

/// A service whose program others may replace gives them its account. Answers with a warning where that cannot be told.
fn refuse_writable(program: &Path) -> Result<Vec<String>, Failure> {
    match access::judge(program) {
        Judgement::Closed => Ok(Vec::new()),
        Judgement::Unknown(why) => Ok(vec![why]),
        Judgement::Open { path, who } => Err(Failure::new(
            Cause::System,
            format!("{} may be changed by {}", path.display(), who.join(", ")),
            "move the program below C:\\Program Files and install it from there",
        )),
    }
}

fn text(path: &Path) -> Result<String, Failure> {
    path.to_str().map(str::to_owned).ok_or_else(|| no_path("it is not Unicode"))
}

fn no_path(why: &str) -> Failure {
    Failure::new(Cause::System, format!("cannot resolve a path: {why}"), "run the program by its full path")
}

fn failure(error: Error) -> Failure {
    let cause = if matches!(error, Error::Invalid(_)) { Cause::Usage } else { Cause::ServiceManager };
    Failure::new(cause, error.to_string(), error.hint())
}
