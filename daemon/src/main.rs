//! `seaworthyd`: starts workloads, restarts them when they end, and stops them whole.
//!
//! The portable core is [`supervisor`]; [`os`] is the thin part that differs between Linux and Windows.

mod backoff;
mod command_line;
mod config;
mod failure;
mod identity;
mod log;
mod state;
mod supervisor;

#[cfg(unix)]
#[path = "unix.rs"]
mod os;
#[cfg(windows)]
#[path = "windows.rs"]
mod os;
#[cfg(windows)]
mod windows_service_manager;

use std::process::ExitCode;

fn main() -> ExitCode {
    match command_line::parse(std::env::args_os().skip(1)).and_then(command_line::perform) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            command_line::explain(&failure);
            failure.exit_code()
        }
    }
}
