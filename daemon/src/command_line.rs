//! The command line: what was asked, and the only place that prints for people.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the daemon's command line is where it prints"
)]

mod queue;

use std::ffi::{OsStr, OsString};
#[cfg(unix)]
use std::path::Path;
use std::path::PathBuf;

use crate::config::Config;
use crate::control::client;
use crate::control::protocol::{Answer, Outcome, Request};
use crate::crashes;
use crate::doctor;
use crate::failure::{Cause, Failure};
use crate::identity::{Identity, NAME};
use crate::os;
use crate::start_when::StartWhen;
use crate::state::Control;
use crate::worker;

const HELP: &str = "\
seaworthyd: starts workloads, restarts them when they end, and stops them whole

usage:
  seaworthyd run [--config FILE]        supervise in the foreground until SIGTERM or Ctrl-C
      --daemonize        Linux without systemd: leave the terminal; the exit code says whether it became ready
      --user USER, --group GROUP         as whom then
      --pid-file FILE, --lock-file FILE  where then, instead of the folder of the control socket
  seaworthyd check-config FILE          tell whether a configuration is valid, and change nothing
  seaworthyd doctor [--config FILE]     tell what is wrong with this installation; exit code 1 if anything is
  seaworthyd --version [--json]         tell version, commit and target
  seaworthyd --help                     print this

the running daemon, or one of its workloads:
  seaworthyd status                     tell what runs, since when, and what comes next
  seaworthyd start | stop | restart | pause | resume | reload [WORKLOAD]
  seaworthyd queue push [FILE]          give it a task, whose body is FILE or standard input, and wait until that is on disk
      --run COMMAND      for this command of the configuration; else for the collector
      --key KEY          a second task with this idempotency key is not taken in
      --order-key KEY    tasks of one order key are done one at a time, in order
      --deadline SECONDS after so long it is given up
  seaworthyd queue dead                 list the tasks that were given up
  seaworthyd queue replay | discard TASK | --all    try them again, or throw them away
      --config FILE      what a daemon is started with (Linux without systemd)
      --socket PATH      where the daemon listens, if not where --config FILE or the system says
      --format json      answer in JSON

Windows only (on Linux use systemctl):
  seaworthyd install [--config FILE] [--delayed | --demand] [--account NAME] [--depends-on SERVICE]...
                                        register the service; it starts with the system unless --demand
  seaworthyd uninstall                  remove the service
  seaworthyd run --service [--config FILE]        what the service manager itself starts

exit codes:
  0  done, or so already
  1  the system refused something
  2  wrong command line, or not a command of this system
  3  the configuration was refused
  4  the Windows service manager refused
  5  a workload did not become ready in time
  6  no daemon runs, or it does not answer
  7  the daemon did not do what was asked
";

/// What was asked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Help,
    Version {
        json: bool,
    },
    Run {
        config: Option<PathBuf>,
        how: How,
    },
    /// What the guardian runs.
    Work(worker::Start),
    /// What a worker runs to ask a workload to stop.
    #[cfg(windows)]
    Interrupt {
        process: u32,
    },
    /// What it runs beside a worker that crashed.
    Dump(crashes::Request),
    CheckConfig {
        path: PathBuf,
    },
    Doctor {
        config: Option<PathBuf>,
    },
    Manage(Manage),
    Ask {
        request: Request,
        at: Place,
        json: bool,
    },
    Queue {
        action: queue::Action,
        at: Place,
        json: bool,
    },
}

/// How the daemon runs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum How {
    Foreground,
    /// What the Windows service manager starts.
    Service,
    Daemonized(Daemonize),
}

/// As whom, and by which files, a daemon of the old kind is known.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Daemonize {
    pub(crate) user: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) pid_file: Option<PathBuf>,
    pub(crate) lock_file: Option<PathBuf>,
}

/// Where the daemon is asked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    socket: Option<PathBuf>,
    config: Option<PathBuf>,
}

/// A change to the installed service.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Manage {
    Install(Install),
    Uninstall,
}

/// What is registered with the Windows service manager.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Install {
    /// The configuration that the service reads.
    pub(crate) config: Option<PathBuf>,
    pub(crate) start: StartWhen,
    /// Instead of the virtual account `NT SERVICE\seaworthyd`; one that needs no password.
    pub(crate) account: Option<String>,
    /// Services that must run before it.
    pub(crate) dependencies: Vec<String>,
}

/// Reads the arguments after the program's name.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, Failure> {
    parse_words(lexopt::Parser::from_args(arguments)).map_err(|error| {
        Failure::new(Cause::Usage, error.to_string(), "seaworthyd --help lists the commands")
    })
}

/// The options of every command; each takes those it names below, and refuses the others.
#[derive(Default)]
struct Options {
    config: Option<PathBuf>,
    socket: Option<PathBuf>,
    version: bool,
    json: bool,
    as_service: bool,
    install: Install,
    pulse: Option<u64>,
    crash: Option<String>,
    saved: Option<crashes::Saved>,
    is_daemonized: bool,
    daemonize: Daemonize,
    queue: queue::Options,
}

fn parse_words(mut parser: lexopt::Parser) -> Result<Command, lexopt::Error> {
    use lexopt::prelude::{Long, Short, Value, ValueExt as _};
    let (mut words, mut given, mut help) = (Vec::new(), Options::default(), false);
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => help = true,
            Short('V') | Long("version") => given.version = true,
            Long("json") => given.json = true,
            Long("format") => given.json = is_json(&parser.value()?)?,
            Long("service") => given.as_service = true,
            Long("demand") => given.install.start = StartWhen::Demand,
            Long("delayed") => given.install.start = StartWhen::Delayed,
            Long("account") => given.install.account = Some(parser.value()?.string()?),
            Long("depends-on") => given.install.dependencies.push(parser.value()?.string()?),
            Long("config") => given.config = Some(PathBuf::from(parser.value()?)),
            Long("socket") => given.socket = Some(PathBuf::from(parser.value()?)),
            Long("daemonize") => given.is_daemonized = true,
            Long("user") => given.daemonize.user = Some(parser.value()?.string()?),
            Long("group") => given.daemonize.group = Some(parser.value()?.string()?),
            Long("pid-file") => given.daemonize.pid_file = Some(PathBuf::from(parser.value()?)),
            Long("lock-file") => given.daemonize.lock_file = Some(PathBuf::from(parser.value()?)),
            Long("run") => given.queue.task.run = Some(parser.value()?.string()?),
            Long("key") => given.queue.task.idempotency_key = Some(parser.value()?.string()?),
            Long("order-key") => given.queue.task.order_key = Some(parser.value()?.string()?),
            Long("deadline") => given.queue.task.deadline_seconds = Some(parser.value()?.parse()?),
            Long("all") => given.queue.all = true,
            Long("pulse") => given.pulse = Some(parser.value()?.parse()?),
            Long("crash") => given.crash = Some(parser.value()?.to_string_lossy().into_owned()),
            Long("crash-saved") => {
                // The guardian's own; a person's mistake is a log record less.
                given.saved = serde_json::from_str(&parser.value()?.to_string_lossy()).ok();
            }
            Value(word) => words.push(word.to_string_lossy().into_owned()),
            other => return Err(other.unexpected()),
        }
    }
    if help {
        return Ok(Command::Help);
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    command(&words, given)
}

fn is_json(format: &OsStr) -> Result<bool, lexopt::Error> {
    match format.to_str() {
        Some("json") => Ok(true),
        Some("text") => Ok(false),
        _ => Err("--format is text or json".into()),
    }
}

fn command(words: &[&str], given: Options) -> Result<Command, lexopt::Error> {
    let Options {
        config,
        socket,
        version,
        json,
        as_service,
        install,
        pulse,
        crash,
        saved,
        is_daemonized,
        daemonize,
        queue,
    } = given;
    if let (["worker"], Some(pulse)) = (words, pulse) {
        return Ok(Command::Work(worker::Start { config, as_service, pulse, crash, saved }));
    }
    if let [crashes::WORD, words @ ..] = words
        && let Some(request) = crashes::Request::parse(words)
    {
        return Ok(Command::Dump(request));
    }
    #[cfg(windows)]
    if let [os::interrupt::COMMAND, process] = words
        && let Ok(process) = process.parse()
    {
        return Ok(Command::Interrupt { process });
    }
    if is_daemonized || daemonize != Daemonize::default() {
        return match words {
            ["run"]
                if is_daemonized
                    && !as_service
                    && install == Install::default()
                    && socket.is_none()
                    && !json =>
            {
                Ok(Command::Run { config, how: How::Daemonized(daemonize) })
            }
            _ => {
                Err("--daemonize goes with 'run', and --user, --group, --pid-file, --lock-file with it"
                    .into())
            }
        };
    }
    let at = || Place { socket: socket.clone(), config: config.clone() };
    if let ["queue", words @ ..] = words
        && !as_service
        && install == Install::default()
        && !version
    {
        return Ok(Command::Queue { action: queue::action(words, queue)?, at: at(), json });
    }
    if queue != queue::Options::default() {
        return Err("--run, --key, --order-key, --deadline and --all go with 'queue'".into());
    }
    let is_plain = !as_service && install == Install::default();
    let is_local = socket.is_none() && !json;
    match words {
        [] if version && is_plain && config.is_none() && socket.is_none() => Ok(Command::Version { json }),
        _ if version => Err("--version takes no command".into()),
        ["run"] if install == Install::default() && is_local => {
            let how = if as_service { How::Service } else { How::Foreground };
            Ok(Command::Run { config, how })
        }
        ["check-config", path] if is_plain && is_local && config.is_none() => {
            Ok(Command::CheckConfig { path: PathBuf::from(path) })
        }
        ["check-config"] => Err("'check-config' needs a file".into()),
        ["doctor"] if is_plain && is_local => Ok(Command::Doctor { config }),
        ["install"] if !as_service && is_local => {
            Ok(Command::Manage(Manage::Install(Install { config, ..install })))
        }
        ["uninstall"] if is_plain && is_local && config.is_none() => Ok(Command::Manage(Manage::Uninstall)),
        ["status"] if is_plain => Ok(Command::Ask { request: Request::Status {}, at: at(), json }),
        [word] | [word, _] if is_plain && control(word).is_some() => {
            let control = control(word).expect("just seen");
            let workload = words.get(1).map(|name| (*name).to_owned());
            Ok(Command::Ask { request: Request::Control { control, workload }, at: at(), json })
        }
        [] => Err("no command given".into()),
        [word, ..] if is_command(word) => {
            Err(format!("'{word}' does not take one of the options or words given").into())
        }
        _ => Err(format!("unknown command '{}'", words.join(" ")).into()),
    }
}

fn control(word: &str) -> Option<Control> {
    Control::ALL.into_iter().find(|control| control.name() == word)
}

fn is_command(word: &str) -> bool {
    control(word).is_some()
        || ["run", "check-config", "doctor", "install", "uninstall", "status", "queue"].contains(&word)
}

/// Does what was asked.
pub(crate) fn perform(command: Command) -> Result<(), Failure> {
    match command {
        Command::Help => print!("{HELP}"),
        Command::Version { json: true } => println!("{}", Identity::of_this_program().json()),
        Command::Version { json: false } => println!("{}", Identity::of_this_program().line()),
        Command::Run { config, how: How::Foreground } => os::run_in_foreground(config.as_deref())?,
        Command::Run { config, how: How::Service } => os::run_as_service(config)?,
        Command::Run { config, how: How::Daemonized(daemonize) } => os::run_daemonized(config, daemonize)?,
        Command::Work(start) => worker::work(start)?,
        #[cfg(windows)]
        Command::Interrupt { process } => os::interrupt::interrupt(process)?,
        Command::Dump(request) => request.carry_out()?,
        Command::CheckConfig { path } => {
            let config = Config::read(&path)?;
            println!("{} is valid: {} workload(s)", path.display(), config.workloads.len());
        }
        Command::Doctor { config } => {
            let findings = os::doctor(config.as_deref())?;
            print!("{}", doctor::text(&findings));
            if !findings.is_empty() {
                return Err(Failure::told(Cause::System as u8, String::new()));
            }
        }
        Command::Manage(manage) => println!("{}", os::manage(manage)?),
        Command::Ask { request, at, json } => ask(&request, &at, json)?,
        Command::Queue { action, at, json } => queue::perform(&action, &at, json)?,
    }
    Ok(())
}

fn ask(request: &Request, at: &Place, json: bool) -> Result<(), Failure> {
    let answer = match request {
        Request::Control { control, workload: None } => os::control_service(*control, at),
        _ => None,
    };
    let answer = match answer {
        Some(answer) => answer?,
        None => send(request, &[], at)?,
    };
    if json {
        println!("{}", serde_json::to_string(&answer).expect("strings, numbers and words always serialise"));
    }
    match answer {
        Answer::Done { outcome, state } => {
            let workload = match request {
                Request::Control { workload, .. } => workload.as_deref(),
                _ => None,
            };
            let already = if outcome == Outcome::Already { " already" } else { "" };
            if !json {
                println!("{} is {}{already}", workload.unwrap_or(NAME), state.name());
            }
        }
        Answer::Status { status } if !json => print!("{}", status.text()),
        Answer::Refused(refused) => return Err(Failure::new(Cause::Refused, refused.message, refused.next)),
        _ => {}
    }
    Ok(())
}

/// Asks the daemon, and gives it `body`.
fn send(request: &Request, body: &[u8], at: &Place) -> Result<Answer, Failure> {
    client::ask(&at.path()?, request, body).map_err(|failure| match os::absence() {
        // The service manager knows more of a daemon that does not run.
        Some(absence) if failure.code() == Cause::NotRunning as u8 => absence,
        _ => failure,
    })
}

impl Place {
    /// The configuration that a daemon is started with.
    #[cfg(unix)]
    pub(crate) fn config(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    /// Where the daemon listens.
    pub(crate) fn path(&self) -> Result<PathBuf, Failure> {
        if let Some(path) = &self.socket {
            return Ok(path.clone());
        }
        let configured = self.config.as_ref().map(|path| Config::read(path)).transpose()?;
        Ok(configured.and_then(|config| config.control.path).unwrap_or_else(os::socket::default_path))
    }
}

/// Tells why a command failed.
pub(crate) fn explain(failure: &Failure) {
    if !failure.is_told() {
        eprintln!("error: {failure}");
    }
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
            Ok(Command::Run { config: config.clone(), how: How::Foreground })
        );
        assert_eq!(parse_line("run --service"), Ok(Command::Run { config: None, how: How::Service }));
        let install = Manage::Install(Install {
            config,
            start: StartWhen::Demand,
            dependencies: vec!["Tcpip".to_owned()],
            ..Install::default()
        });
        assert_eq!(
            parse_line("install --config=f --demand --depends-on Tcpip"),
            Ok(Command::Manage(install))
        );
        let at = || Place { socket: Some(PathBuf::from("s")), config: None };
        assert_eq!(
            parse_line("status --socket s --format json"),
            Ok(Command::Ask { request: Request::Status {}, at: at(), json: true })
        );
        let request = Request::Control { control: Control::Continue, workload: Some("web".to_owned()) };
        assert_eq!(parse_line("resume web --socket s"), Ok(Command::Ask { request, at: at(), json: false }));
        assert_eq!(parse_line("check-config f"), Ok(Command::CheckConfig { path: PathBuf::from("f") }));
    }

    #[test]
    fn mistakes_are_named() {
        for (line, expected) in [
            ("", "no command given"),
            ("walk", "unknown command 'walk'"),
            ("run run", "'run' does not take"),
            ("run --jsn", "invalid option '--jsn'"),
            ("run --json", "'run' does not take"),
            ("stop --daemonize", "--daemonize goes with 'run'"),
            ("run --user x", "--daemonize goes with 'run'"),
            ("stop --service", "'stop' does not take"),
            ("stop a b", "'stop' does not take"),
            ("check-config", "'check-config' needs a file"),
            ("status --format xml", "--format is text or json"),
            ("status --version", "--version takes no command"),
            ("run --config", "missing argument for option '--config'"),
        ] {
            let message = parse_line(line).expect_err(line);
            assert!(message.contains(expected), "{message:?} for {line:?}");
        }
    }
}
