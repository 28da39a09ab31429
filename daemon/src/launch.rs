//! What a process is started with; `os::Process` carries it out.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;

use crate::log::Log;
use crate::privileges::Privileges;

/// The thread that writes what a program reads; bytes.
const STACK: usize = 64 * 1024;

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
    /// What it reads on its standard input; nothing when `None`.
    pub(crate) input: Option<Vec<u8>>,
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
            input: None,
            privileges: Privileges::default(),
            is_audited: true,
            log: log.clone(),
        }
    }

    /// Writes what it reads, from a thread of its own: a program that reads late, or never, holds up nobody.
    pub(crate) fn feed(&self, stdin: Option<impl Write + Send + 'static>) {
        if let (Some(mut stdin), Some(input)) = (stdin, self.input.clone()) {
            // Without a thread it reads the end at once; a program that does not read on misses the rest.
            let _ = thread::Builder::new().stack_size(STACK).spawn(move || stdin.write_all(&input).ok());
        }
    }
}
