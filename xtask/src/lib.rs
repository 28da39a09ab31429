//! Seaworthy's command line, as a library for its two programs: `cargo xtask` here, `cargo seaworthy` elsewhere.
//!
//! [`pipeline`] tells the whole story on one screen; [`failure`] documents the exit codes.

mod against;
pub mod args;
mod bench;
mod builders;
mod closing;
mod commands;
mod doctor;
mod documents;
mod environment;
pub mod failure;
mod gate;
mod jobs;
pub mod pipeline;
mod programs;
mod rebuild;
mod record;
mod render;
mod reproduce;
mod verification;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use args::Cli;
use failure::Failure;
use render::Renderer;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    // The linker script of a zig build calls this program back; see `compile::run_zig_wrapper`.
    if words.get(1).is_some_and(|word| word == "zig") {
        return zig_wrapper(words.split_off(2));
    }
    // Cargo starts `cargo-seaworthy` with `seaworthy` as the first argument.
    if words.get(1).is_some_and(|word| word == "seaworthy") {
        words.remove(1);
    }
    let cli = match Cli::try_parse_from(words) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            // Help and version are answers; everything else is a usage error, with the documented code.
            return if error.use_stderr() { ExitCode::from(3) } else { ExitCode::SUCCESS };
        }
    };
    let renderer = Renderer::new(cli.format, cli.color, cli.quiet);
    if cli.format.is_of_reports() && !matches!(cli.command, args::Command::Verify(_)) {
        let failure = Failure::Usage(failure::Message::new(
            "only `verify` has reports to write in this format",
            "use --format text or json",
        ));
        renderer.failure(&failure);
        return ExitCode::from(&failure);
    }
    match commands::run(cli.command, &renderer) {
        Ok(()) if renderer.is_lost() => ExitCode::from(failure::NOT_WRITTEN),
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            renderer.failure(&failure);
            ExitCode::from(&failure)
        }
    }
}

fn zig_wrapper(words: Vec<OsString>) -> ExitCode {
    match compile::run_zig_wrapper(words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let failure = Failure::from(error);
            Renderer::new(args::Format::Text, args::Color::Auto, false).failure(&failure);
            ExitCode::from(&failure)
        }
    }
}
