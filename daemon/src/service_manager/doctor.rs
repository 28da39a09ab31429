//! What is wrong with an installed service, each with its cure.

use crate::doctor::Finding;

use super::{Error, RecoveryAction, ServiceManager, Setting, StartType};

const REINSTALL: &str = "seaworthyd uninstall, then seaworthyd install";

/// Looks at all that the service manager knows; an empty answer is a clean one.
pub(crate) fn findings(manager: &dyn ServiceManager, name: &str) -> Result<Vec<Finding>, Error> {
    let config = manager.config(name)?;
    let mut found = Vec::new();
    let mut add = |what: String, cure| found.push(Finding { what, cure });
    if !config.command_line.starts_with('"') {
        add(format!("its path is not quoted: {}", config.command_line), REINSTALL);
    }
    if config.account.eq_ignore_ascii_case("LocalSystem") {
        add("it runs as LocalSystem, which may do everything".to_owned(), REINSTALL);
    }
    if config.start_type == StartType::Disabled {
        add("it is disabled".to_owned(), "sc config seaworthyd start= auto");
    }
    let recovery = Setting::Recovery { reset: Default::default(), actions: Vec::new() };
    match manager.setting(name, recovery.level()) {
        Ok(Setting::Recovery { actions, .. })
            if actions.iter().any(|(action, _)| *action == RecoveryAction::Restart) => {}
        Ok(_) => add("nothing restarts it after a failure".to_owned(), REINSTALL),
        Err(error) => add(format!("its recovery actions cannot be read: {error}"), "look at its properties"),
    }
    let flag = Setting::RecoverFromExitCodes(true);
    match manager.setting(name, flag.level()) {
        Ok(setting) if setting == flag => {}
        Ok(_) => add("stopping with an error is not a failure".to_owned(), "sc failureflag seaworthyd 1"),
        Err(error) => add(format!("its recovery flag cannot be read: {error}"), "look at its properties"),
    }
    Ok(found)
}
