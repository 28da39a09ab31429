//! `seaworthyd`: starts workloads, restarts them when they end, and stops them whole.
//!
//! The portable core is `supervisor`; `os` is the thin part that differs between Linux and Windows. This library has
//! one user, the program beside it, and is one so that fuzzing and benchmarks reach its readers of untrusted bytes.

mod backoff;
mod capture;
mod command_line;
mod config;
pub mod control;
mod crashes;
mod doctor;
#[cfg(any(windows, test))]
mod event_text;
mod failure;
mod guardian;
pub mod http;
mod identity;
mod launch;
mod log;
mod machine;
pub mod metrics;
mod privileges;
mod probe;
mod program;
pub mod queue;
#[cfg(any(windows, test))]
mod service_manager;
mod start_when;
pub mod state;
mod supervisor;
mod tasks;
mod token;
mod usage;
mod vital;
mod worker;

#[cfg(unix)]
#[path = "unix/mod.rs"]
mod os;
#[cfg(windows)]
#[path = "windows/mod.rs"]
mod os;

use std::process::ExitCode;

/// Whether `text` is a configuration that the daemon would run with; if not, why.
///
/// # Errors
/// The sentence that a person would read, with line and key.
pub fn check_configuration(text: &str) -> Result<(), String> {
    let read = config::Config::parse(std::path::Path::new("seaworthyd.toml"), text);
    read.map(drop).map_err(|failure| failure.to_string())
}

/// The whole program: reads the command line, does what it asks, and tells how that ended.
pub fn main() -> ExitCode {
    #[cfg(windows)]
    os::console::attach();
    match command_line::parse(std::env::args_os().skip(1)).and_then(command_line::perform) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            command_line::explain(&failure);
            failure.exit_code()
        }
    }
}
