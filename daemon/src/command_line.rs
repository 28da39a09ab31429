//! The command line: what was asked, and the only place that prints for people.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the daemon's command line is where it prints"
)]

use std::ffi::OsString;
use std::path::PathBuf;

use crate::config::Config;
use crate::failure::{Cause, Failure};
use crate::identity::Identity;
use crate::os;

const HELP: &str = "\
seaworthyd: starts workloads, restarts them when they end, and stops them whole

usage:
  seaworthyd run [--config FILE]        supervise in the foreground until SIGTERM or Ctrl-C
  seaworthyd --version [--json]         tell version, commit and target
  seaworthyd --help                     print this

Windows only (on Linux use systemctl):
  seaworthyd install [--config FILE] [--demand]   register the service; it starts with the system unless --demand
  seaworthyd uninstall                  remove the service
  seaworthyd start | stop | status      drive the service
  seaworthyd run --service [--config FILE]        what the service manager itself starts

exit codes:
  0  done            1  the system refused something
  2  wrong command line, or not a command of this system
  3  the configuration was refused
  4  the Windows service manager refused
";

/// What was asked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Help,
    Version { json: bool },
    Run { config: Option<PathBuf>, as_service: bool },
    Manage(Manage),
}

/// A change to the installed service.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Manage {
    Install { config: Option<PathBuf>, on_demand: bool },
    Uninstall,
    Start,
    Stop,
    Status,
}

/// Reads the arguments after the program's name.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, Failure> {
    parse_words(lexopt::Parser::from_args(arguments)).map_err(|error| {
        Failure::new(Cause::Usage, error.to_string(), "seaworthyd --help lists the commands")
    })
}

fn parse_words(mut parser: lexopt::Parser) -> Result<Command, lexopt::Error> {
    use lexopt::prelude::{Long, Short, Value};
    let (mut words, mut config) = (Vec::new(), None);
    let (mut help, mut version, mut json, mut as_service, mut on_demand) =
        (false, false, false, false, false);
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => help = true,
            Short('V') | Long("version") => version = true,
            Long("json") => json = true,
            Long("service") => as_service = true,
            Long("demand") => on_demand = true,
            Long("config") => config = Some(PathBuf::from(parser.value()?)),
            Value(word) => words.push(word.to_string_lossy().into_owned()),
            other => return Err(other.unexpected()),
        }
    }
    if help {
        return Ok(Command::Help);
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    // Each command names the options it takes; one it does not take is refused, not ignored.
    let plain = !as_service && !on_demand && config.is_none();
    match words.as_slice() {
        [] if version && plain => Ok(Command::Version { json }),
        _ if version || json => Err("--version takes no command, and --json only goes with --version".into()),
        ["run"] if !on_demand => Ok(Command::Run { config, as_service }),
        ["install"] if !as_service => Ok(Command::Manage(Manage::Install { config, on_demand })),
        ["uninstall"] if plain => Ok(Command::Manage(Manage::Uninstall)),
        ["start"] if plain => Ok(Command::Manage(Manage::Start)),
        ["stop"] if plain => Ok(Command::Manage(Manage::Stop)),
        ["status"] if plain => Ok(Command::Manage(Manage::Status)),
        [] => Err("no command given".into()),
        ["run" | "install" | "uninstall" | "start" | "stop" | "status"] => {
            Err(format!("'{}' does not take one of the options given", words[0]).into())
        }
        _ => Err(format!("unknown command '{}'", words.join(" ")).into()),
    }
}

/// Does what was asked.
pub(crate) fn perform(command: Command) -> Result<(), Failure> {
    match command {
        Command::Help => print!("{HELP}"),
        Command::Version { json: true } => println!("{}", Identity::of_this_program().json()),
        Command::Version { json: false } => println!("{}", Identity::of_this_program().line()),
        Command::Run { config, as_service } => {
            let config = config.map_or_else(|| Ok(Config::default()), |path| Config::read(&path));
            if as_service { os::run_as_service(config)? } else { os::run_in_foreground(config?)? }
        }
        Command::Manage(manage) => println!("{}", os::manage(manage)?),
    }
    Ok(())
}

/// Tells why a command failed.
pub(crate) fn explain(failure: &Failure) {
    eprintln!("error: {failure}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_line(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(OsString::from)).map_err(|failure| failure.to_string())
    }

    #[test]
    fn commands_are_understood() {
        assert_eq!(parse_line("--help"), Ok(Command::Help));
        assert_eq!(parse_line("run -h"), Ok(Command::Help));
        assert_eq!(parse_line("--version"), Ok(Command::Version { json: false }));
        assert_eq!(parse_line("--json -V"), Ok(Command::Version { json: true }));
        let config = Some(PathBuf::from("f"));
        assert_eq!(
            parse_line("run --config f"),
            Ok(Command::Run { config: config.clone(), as_service: false })
        );
        assert_eq!(parse_line("run --service"), Ok(Command::Run { config: None, as_service: true }));
        let install = Manage::Install { config, on_demand: true };
        assert_eq!(parse_line("install --config=f --demand"), Ok(Command::Manage(install)));
        assert_eq!(parse_line("status"), Ok(Command::Manage(Manage::Status)));
    }

    #[test]
    fn mistakes_are_named() {
        for (line, expected) in [
            ("", "no command given"),
            ("walk", "unknown command 'walk'"),
            ("run run", "unknown command 'run run'"),
            ("run --jsn", "invalid option '--jsn'"),
            ("run --json", "--json only goes with --version"),
            ("stop --config f", "'stop' does not take"),
            ("run --config", "missing argument for option '--config'"),
        ] {
            let message = parse_line(line).expect_err(line);
            assert!(message.contains(expected), "{message:?} for {line:?}");
        }
    }
}
