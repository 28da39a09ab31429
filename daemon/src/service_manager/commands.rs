//! `start`, `stop`, `restart`, `pause`, `resume` and `reload`: each may be given in any state and by many at once. Being
//! there already is success; a change that is under way is waited for first.

use std::time::Duration;

use super::request::{CONTINUE, PARAMCHANGE, PAUSE, STOP};
use super::{Error, ServiceManager, ServiceState, Status, code};

/// No change takes longer, however often its checkpoint moves.
const LONGEST_CHANGE: Duration = Duration::from_secs(10 * 60);
/// A change whose checkpoint stands still is given at least this long, whatever its wait hint says.
const SHORTEST_HINT: Duration = Duration::from_secs(30);
/// Between two looks at the state.
const LOOK: Duration = Duration::from_millis(50);

/// Until the service is running, or paused if it is.
pub(crate) fn start(manager: &dyn ServiceManager, name: &str) -> Result<Status, Error> {
    let begin = manager.now();
    loop {
        let status = settle(manager, name)?;
        if status.state != ServiceState::Stopped {
            return Ok(status);
        }
        match manager.start(name) {
            Ok(()) => {
                let status = settle(manager, name)?;
                return arrived(ServiceState::Running, status);
            }
            // Someone else was faster.
            Err(error) => again(manager, begin, error, &[code::SERVICE_ALREADY_RUNNING])?,
        }
    }
}

/// Until the service is stopped.
pub(crate) fn stop(manager: &dyn ServiceManager, name: &str) -> Result<Status, Error> {
    let begin = manager.now();
    loop {
        let status = manager.status(name)?;
        match status.state {
            ServiceState::Stopped => return Ok(status),
            ServiceState::StopPending => return arrived(ServiceState::Stopped, settle(manager, name)?),
            // A stop overtakes any other change; one that the service does not take yet is given again.
            _ => match manager.control(name, STOP) {
                Ok(()) => return arrived(ServiceState::Stopped, leave(manager, name, &status)?),
                Err(error) => {
                    let races = [
                        code::SERVICE_NOT_ACTIVE,
                        code::SERVICE_CANNOT_ACCEPT_CONTROL,
                        code::INVALID_SERVICE_CONTROL,
                    ];
                    let is_settled = !status.state.is_pending();
                    again(manager, begin, error, &races[..if is_settled { 2 } else { 3 }])?;
                }
            },
        }
    }
}

/// [`stop`], then [`start`].
pub(crate) fn restart(manager: &dyn ServiceManager, name: &str) -> Result<Status, Error> {
    stop(manager, name)?;
    start(manager, name)
}

/// Until the service is paused.
pub(crate) fn pause(manager: &dyn ServiceManager, name: &str) -> Result<Status, Error> {
    change(manager, name, PAUSE, ServiceState::Paused)
}

/// Until the service is running again.
pub(crate) fn resume(manager: &dyn ServiceManager, name: &str) -> Result<Status, Error> {
    change(manager, name, CONTINUE, ServiceState::Running)
}

/// Asks it to read its configuration again; whether it took the new one is in its log.
pub(crate) fn reload(manager: &dyn ServiceManager, name: &str) -> Result<Status, Error> {
    let begin = manager.now();
    loop {
        settle(manager, name)?;
        match manager.control(name, PARAMCHANGE) {
            Ok(()) => return manager.status(name),
            Err(error) => again(manager, begin, error, &[code::SERVICE_CANNOT_ACCEPT_CONTROL])?,
        }
    }
}

fn change(
    manager: &dyn ServiceManager,
    name: &str,
    control: u32,
    wanted: ServiceState,
) -> Result<Status, Error> {
    let begin = manager.now();
    loop {
        let status = settle(manager, name)?;
        if status.state == wanted {
            return Ok(status);
        }
        match manager.control(name, control) {
            Ok(()) => return arrived(wanted, leave(manager, name, &status)?),
            // Another's change came between.
            Err(error) => again(manager, begin, error, &[code::SERVICE_CANNOT_ACCEPT_CONTROL])?,
        }
    }
}

/// Passes on an error that is not one of `races`, or that lasts too long.
fn again(manager: &dyn ServiceManager, begin: Duration, error: Error, races: &[u32]) -> Result<(), Error> {
    // A process that ends while it takes a control breaks the pipe to it: the state tells what became of it.
    let is_race = error.code().is_some_and(|number| races.contains(&number) || number == code::BROKEN_PIPE);
    if !is_race || manager.now().saturating_sub(begin) > SHORTEST_HINT {
        return Err(error);
    }
    manager.sleep(LOOK);
    Ok(())
}

fn arrived(wanted: ServiceState, status: Status) -> Result<Status, Error> {
    if status.state == wanted { Ok(status) } else { Err(Error::Elsewhere { wanted, status }) }
}

/// Waits until the service has left the state of `old`, which it may still show for a moment after a control, and has
/// settled. Another process is another state: someone was fast.
fn leave(manager: &dyn ServiceManager, name: &str, old: &Status) -> Result<Status, Error> {
    let begin = manager.now();
    loop {
        let status = manager.status(name)?;
        if (status.state, status.pid) != (old.state, old.pid) {
            return settle(manager, name);
        }
        if manager.now().saturating_sub(begin) > SHORTEST_HINT {
            return Err(Error::Stuck { state: old.state, seconds: SHORTEST_HINT.as_secs() });
        }
        manager.sleep(LOOK);
    }
}

/// Waits for the end of a change that is under way, as long as its checkpoint moves within its wait hint.
fn settle(manager: &dyn ServiceManager, name: &str) -> Result<Status, Error> {
    let begin = manager.now();
    let mut progress = (begin, None);
    loop {
        let status = manager.status(name)?;
        if !status.state.is_pending() {
            return Ok(status);
        }
        let (now, sign) = (manager.now(), Some((status.state, status.checkpoint)));
        if progress.1 != sign {
            progress = (now, sign);
        }
        let still = now.saturating_sub(progress.0);
        if still > status.wait_hint.max(SHORTEST_HINT) || now.saturating_sub(begin) > LONGEST_CHANGE {
            return Err(Error::Stuck { state: status.state, seconds: still.as_secs() });
        }
        manager.sleep(LOOK);
    }
}
