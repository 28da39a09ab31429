//! What a process is started with; `os::Process` carries it out.

use std::path::{Path, PathBuf};

use crate::log::Log;
use crate::privileges::Privileges;

/// A program to start and all that goes with it.
#[derive(Clone)]
pub(crate) struct Launch {
    /// The workload's name; on Linux it is also in the run marker that every process of the workload inherits.
    pub(crate) name: String,
    pub(crate) command: PathBuf,
    pub(crate) args: Vec<String>,
    /// Set beside what is inherited from the daemon.
    pub(crate) environment: Vec<(String, String)>,
    /// The working directory; the daemon's own when `None`.
    pub(crate) folder: Option<PathBuf>,
    pub(crate) privileges: Privileges,
    /// Whether it is told that it got its privileges; a refusal always is.
    pub(crate) is_audited: bool,
    /// Where the audit of privileges and leftovers goes.
    pub(crate) log: Log,
}

impl Launch {
    /// `command` with `args`, and the defaults for the rest: nothing added, no privilege kept.
    pub(crate) fn new(name: &str, command: &Path, args: &[String], log: &Log) -> Self {
        Self {
            name: name.to_owned(),
            command: command.to_owned(),
            args: args.to_vec(),
            environment: Vec::new(),
            folder: None,
            privileges: Privileges::default(),
            is_audited: true,
            log: log.clone(),
        }
    }
}
