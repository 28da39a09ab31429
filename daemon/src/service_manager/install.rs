//! `install`: everything is set, read back and compared.

use super::{Definition, Error, ServiceManager, Setting};

/// Creates the service and sets all of its definition. Answers with a warning for each setting that this system does not
/// know; after any other failure the service is gone again.
pub(crate) fn install(manager: &dyn ServiceManager, definition: &Definition) -> Result<Vec<String>, Error> {
    manager.create(definition)?;
    let done = set_all(manager, definition);
    if done.is_err() {
        // The first failure is the one to tell.
        let _ = manager.delete(&definition.name);
    }
    done
}

fn set_all(manager: &dyn ServiceManager, definition: &Definition) -> Result<Vec<String>, Error> {
    compare_config(manager, definition)?;
    let mut warnings = Vec::new();
    for setting in &definition.settings {
        match set(manager, &definition.name, setting) {
            Err(error) if error.is_unsupported() => warnings.push(unsupported(setting, &error)),
            Err(error) => return Err(error),
            Ok(()) => {}
        }
    }
    Ok(warnings)
}

fn unsupported(setting: &Setting, error: &Error) -> String {
    let code = error.code().unwrap_or_default();
    format!("this system does not keep the {} of a service (system error {code})", setting.name())
}

fn set(manager: &dyn ServiceManager, name: &str, setting: &Setting) -> Result<(), Error> {
    manager.set(name, setting)?;
    let found = manager.setting(name, setting.level())?;
    if found == *setting {
        return Ok(());
    }
    Err(Error::Differs { what: setting.name(), wanted: format!("{setting:?}"), found: format!("{found:?}") })
}

fn compare_config(manager: &dyn ServiceManager, definition: &Definition) -> Result<(), Error> {
    let (wanted, found) = (&definition.config, manager.config(&definition.name)?);
    let pairs = [
        ("command line", wanted.command_line.clone(), found.command_line),
        ("display name", wanted.display_name.clone(), found.display_name),
        ("start type", format!("{:?}", wanted.start_type), format!("{:?}", found.start_type)),
        // Names of accounts and services have no case.
        ("account", wanted.account.to_lowercase(), found.account.to_lowercase()),
        ("dependencies", list(&wanted.dependencies), list(&found.dependencies)),
    ];
    match pairs.into_iter().find(|(_, wanted, found)| wanted != found) {
        None => Ok(()),
        Some((what, wanted, found)) => Err(Error::Differs { what, wanted, found }),
    }
}

fn list(names: &[String]) -> String {
    format!("{:?}", names.iter().map(|name| name.to_lowercase()).collect::<Vec<_>>())
}
