//! The Windows service manager as the commands need it. [`ServiceManager`] has one method for each of its calls; `install`
//! and `commands` say what `seaworthyd install`, `start` and the others make of them.
//!
//! The real one is `windows/service_manager.rs`, the other `fake`, which also keeps the rules that Wine's does not know.
//! Numbers and rules: Microsoft, [MS-SCMR] "Service Control Manager Remote Protocol", and winsvc.h.
#![allow(
    dead_code,
    unused_imports,
    reason = "on Linux only tests use it, and not every command is on the command line yet"
)]

mod access;
mod command_line;
mod commands;
mod definition;
mod doctor;
mod error;
#[cfg(test)]
mod fake;
mod install;
mod pending;
mod request;
mod status;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub(crate) use access::{AccessEntry, Descriptor, Place, writers};
pub(crate) use command_line::{command_line, quoted};
pub(crate) use commands::{pause, reload, restart, resume, start, stop};
pub(crate) use definition::{Config, Definition, RecoveryAction, Setting, SidType, StartType};
pub(crate) use doctor::findings;
pub(crate) use error::{Error, code};
pub(crate) use install::install;
pub(crate) use pending::Pending;
pub(crate) use request::{accepted, notice_of};
pub(crate) use status::{ServiceState, Status};

/// The calls of a service manager. Each names its service, fails with the system's own number, and does not wait.
pub(crate) trait ServiceManager {
    /// Creates a service (`CreateServiceW`): what [`ServiceManager::config`] reads; settings follow one by one.
    fn create(&self, definition: &Definition) -> Result<(), Error>;
    /// What it was created with (`QueryServiceConfigW`).
    fn config(&self, name: &str) -> Result<Config, Error>;
    /// Changes one setting (`ChangeServiceConfig2W`).
    fn set(&self, name: &str, setting: &Setting) -> Result<(), Error>;
    /// The setting of a level (`QueryServiceConfig2W`), see [`Setting::level`].
    fn setting(&self, name: &str, level: u32) -> Result<Setting, Error>;
    /// Removes it, or marks it for removal while it runs (`DeleteService`).
    fn delete(&self, name: &str) -> Result<(), Error>;
    /// Starts it (`StartServiceW`); success says that its process lives, not that it is ready.
    fn start(&self, name: &str) -> Result<(), Error>;
    /// Sends a control (`ControlService`).
    fn control(&self, name: &str, code: u32) -> Result<(), Error>;
    /// What it does now (`QueryServiceStatusEx`).
    fn status(&self, name: &str) -> Result<Status, Error>;
    /// Time since some moment in the past.
    fn now(&self) -> Duration;
    /// Lets time pass.
    fn sleep(&self, time: Duration);
}
