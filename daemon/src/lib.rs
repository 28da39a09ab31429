//! `seaworthyd`: starts workloads, restarts them when they end, and stops them whole.
//!
//! The portable core is [`supervisor`]; [`os`] is the thin part that differs between Linux and Windows. This library has
//! one user, the program beside it, and is one so that fuzzing and benchmarks reach its readers of untrusted bytes.

mod backoff;
mod command_line;
mod config;
mod failure;
mod identity;
mod log;
pub mod queue;
mod state;
mod supervisor;

#[cfg(unix)]
#[path = "unix/mod.rs"]
mod os;
#[cfg(windows)]
#[path = "windows/mod.rs"]
mod os;

use std::process::ExitCode;

/// The whole program: reads the command line, does what it asks, and tells how that ended.
pub fn main() -> ExitCode {
    match command_line::parse(std::env::args_os().skip(1)).and_then(command_line::perform) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            command_line::explain(&failure);
            failure.exit_code()
        }
    }
}
