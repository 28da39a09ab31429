//! The configuration file: read whole and checked whole before anything starts.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use crate::capture::OutputSettings;
use crate::crashes::{CrashSettings, Folder};
use crate::failure::{Cause, Failure};
use crate::http::Url;
use crate::launch::Launch;
use crate::log::{Log, LogSettings};
use crate::machine::Policy;
use crate::metrics::MetricsConfig;
use crate::privileges::Privileges;
use crate::tasks::QueueSettings;
use crate::usage::{LeakSettings, MemorySettings};

/// A larger file is a mistake, not a configuration.
const LARGEST_FILE: u64 = 1 << 20;
const HINT: &str = "correct the file; daemon/README.md lists every key";

/// What `seaworthyd run` does; the default is to run idle.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// Where records go, and which.
    pub(crate) log: Spanned<LogSettings>,
    /// Seconds between two heartbeat records.
    heartbeat_seconds: Option<Spanned<u64>>,
    /// Seconds that workloads have for a graceful stop.
    stop_seconds: Option<Spanned<u64>>,
    /// Who may ask what of the running daemon, and where.
    pub(crate) control: ControlSettings,
    /// Where counters are kept; else where systemd says.
    state_directory: Option<PathBuf>,
    /// Where metrics and health can be asked for, and who gets metrics sent.
    pub(crate) metrics: Spanned<MetricsConfig>,
    /// What is kept of a worker that crashed.
    crashes: Spanned<CrashSettings>,
    /// Work that must not be lost; without it there is no queue.
    pub(crate) queue: Option<Spanned<QueueSettings>>,
    /// What to supervise, started in this order.
    pub(crate) workloads: Vec<Workload>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            log: Spanned::new(0..0, LogSettings::default()),
            heartbeat_seconds: None,
            stop_seconds: None,
            control: ControlSettings::default(),
            state_directory: None,
            metrics: Spanned::new(0..0, MetricsConfig::default()),
            crashes: Spanned::new(0..0, CrashSettings::default()),
            queue: None,
            workloads: Vec::new(),
        }
    }
}

/// The control socket (a named pipe on Windows).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ControlSettings {
    /// Its path; else the system's place for it.
    pub(crate) path: Option<PathBuf>,
    /// The number of a group whose members may use it, besides its owner and the administrator.
    pub(crate) group: Option<u32>,
}

/// One supervised program.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Workload {
    name: Spanned<String>,
    command: Spanned<PathBuf>,
    /// Its arguments.
    #[serde(default)]
    pub(crate) args: Vec<String>,
    /// Set beside what it inherits from the daemon.
    #[serde(default)]
    environment: BTreeMap<String, String>,
    /// Its working directory; else the daemon's own.
    directory: Option<PathBuf>,
    /// What it may do; nothing that it does not need.
    privileges: Option<Spanned<Privileges>>,
    /// When it is started again.
    #[serde(default)]
    pub(crate) restart: Restart,
    /// Seconds until it must be ready; only asked of one with a readiness probe.
    start_seconds: Option<Spanned<u64>>,
    /// Seconds for its graceful stop, instead of the service's.
    stop_seconds: Option<Spanned<u64>>,
    /// After so many short runs in a row it is not started again.
    pub(crate) give_up_after: Option<u32>,
    /// How much it may print.
    pub(crate) output: Option<Spanned<OutputSettings>>,
    /// The signal that makes it read its own configuration again, such as `HUP`.
    pub(crate) reload_signal: Option<ReloadSignal>,
    /// Says when it is ready.
    pub(crate) readiness: Option<Spanned<Probe>>,
    /// Says whether it still works; when it does not, it is started again.
    pub(crate) liveness: Option<Spanned<Probe>>,
    /// How much memory it may use.
    memory: Option<Spanned<MemorySettings>>,
    /// How leaks of descriptors and threads are looked for.
    leaks: Option<Spanned<LeakSettings>>,
}

/// A question that is asked of a workload again and again.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Probe {
    /// A program and its arguments; it must end with exit code 0.
    pub(crate) exec: Option<Vec<String>>,
    /// An address such as `127.0.0.1:8080` that must accept a connection.
    pub(crate) tcp: Option<String>,
    /// A URL such as `http://127.0.0.1:8080/ready` that must answer with a status from 200 to 299.
    pub(crate) http: Option<Url>,
    /// Seconds between two questions.
    #[serde(default = "five")]
    pub(crate) interval_seconds: u64,
    /// Seconds that an answer may take.
    #[serde(default = "five")]
    pub(crate) timeout_seconds: u64,
    /// After so many bad answers in a row the workload is not well.
    #[serde(default = "three")]
    pub(crate) failures: u32,
}

fn five() -> u64 {
    5
}

fn three() -> u32 {
    3
}

/// Signals that programs take as a wish to read their configuration again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum ReloadSignal {
    Hup,
    Usr1,
    Usr2,
}

/// When an ended workload is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Restart {
    /// Whatever its exit status.
    #[default]
    Always,
    /// Unless it ended with exit code 0.
    OnFailure,
    /// Never.
    Never,
}

impl Config {
    /// Reads and checks `path`.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let unreadable = |why: String| {
            Failure::new(
                Cause::Config,
                format!("cannot read configuration {}: {why}", path.display()),
                "name an existing file with --config FILE",
            )
        };
        let size = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
        if size > LARGEST_FILE {
            return Err(unreadable(format!("{size} bytes, more than {LARGEST_FILE}")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
        Self::parse(path, &text)
    }

    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, Failure> {
        let config: Self = toml::from_str(text)
            .map_err(|error| refusal(path, text, error.span().unwrap_or_default(), error.message()))?;
        config.check().map_err(|(span, why)| refusal(path, text, span, &why))?;
        Ok(config)
    }

    fn check(&self) -> Result<(), (Range<usize>, String)> {
        check_seconds("heartbeat_seconds", self.heartbeat_seconds.as_ref())?;
        check_seconds("stop_seconds", self.stop_seconds.as_ref())?;
        self.log.as_ref().check().map_err(|why| (self.log.span(), why))?;
        self.metrics.as_ref().check().map_err(|why| (self.metrics.span(), format!("metrics.{why}")))?;
        self.crashes.as_ref().check().map_err(|why| (self.crashes.span(), format!("crashes.{why}")))?;
        if let Some(queue) = &self.queue {
            queue.as_ref().check().map_err(|why| (queue.span(), format!("queue.{why}")))?;
        }
        let mut names = BTreeSet::new();
        for workload in &self.workloads {
            let name = workload.name();
            if !is_plain(name) {
                let why = format!("name {name:?} must be {PLAIN}");
                return Err((workload.name.span(), why));
            }
            if !names.insert(name) {
                return Err((workload.name.span(), format!("name {name:?} is used twice")));
            }
            if workload.command().as_os_str().is_empty() {
                return Err((workload.command.span(), format!("command of workload {name:?} is empty")));
            }
            check_seconds("start_seconds", workload.start_seconds.as_ref())?;
            check_seconds("stop_seconds", workload.stop_seconds.as_ref())?;
            if let Some(key) =
                workload.environment.keys().find(|key| key.is_empty() || key.contains(['=', '\0']))
            {
                let why = format!("environment of workload {name:?}: {key:?} cannot be a variable's name");
                return Err((workload.name.span(), why));
            }
            if let Some(privileges) = &workload.privileges {
                let in_key = |why| (privileges.span(), format!("privileges of workload {name:?}: {why}"));
                privileges.as_ref().check().map_err(in_key)?;
            }
            if let Some(output) = &workload.output {
                output
                    .as_ref()
                    .check()
                    .map_err(|why| (output.span(), format!("output of workload {name:?}: {why}")))?;
            }
            if let Some(memory) = &workload.memory {
                let in_key = |why| (memory.span(), format!("memory of workload {name:?}: {why}"));
                memory.as_ref().check().map_err(in_key)?;
            }
            if let Some(leaks) = &workload.leaks {
                let in_key = |why| (leaks.span(), format!("leaks of workload {name:?}: {why}"));
                leaks.as_ref().check().map_err(in_key)?;
            }
            for (key, probe) in [("readiness", &workload.readiness), ("liveness", &workload.liveness)] {
                if let Some(probe) = probe {
                    let in_key = |why| (probe.span(), format!("{key} of workload {name:?}: {why}"));
                    probe.as_ref().check().map_err(in_key)?;
                }
            }
        }
        Ok(())
    }

    pub(crate) fn heartbeat(&self) -> Duration {
        seconds(self.heartbeat_seconds.as_ref(), 60)
    }

    /// Where the daemon keeps what must survive it: as configured, else systemd's `StateDirectory=` (systemd.exec(5)).
    pub(crate) fn state_directory(&self) -> Option<PathBuf> {
        self.state_directory.clone().or_else(|| std::env::var_os("STATE_DIRECTORY").map(PathBuf::from))
    }

    /// Where crashes are kept, if anywhere.
    pub(crate) fn crashes(&self) -> Option<Folder> {
        self.crashes.as_ref().folder(self.state_directory().as_deref())
    }

    pub(crate) fn stop_deadline(&self) -> Duration {
        seconds(self.stop_seconds.as_ref(), 10)
    }
}

/// What the name of a workload or command must be.
pub(crate) const PLAIN: &str = "1 to 64 letters, digits, '-', '_' or '.'";

/// Whether `name` is that.
pub(crate) fn is_plain(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (1..=64).contains(&name.len()) && name.chars().all(is_plain)
}

fn check_seconds(key: &str, value: Option<&Spanned<u64>>) -> Result<(), (Range<usize>, String)> {
    match value {
        Some(value) if !(1..=86_400).contains(value.as_ref()) => {
            Err((value.span(), format!("{key} must be 1 to 86400, not {}", value.as_ref())))
        }
        _ => Ok(()),
    }
}

fn seconds(value: Option<&Spanned<u64>>, default: u64) -> Duration {
    Duration::from_secs(value.map_or(default, |seconds| *seconds.as_ref()))
}

impl Workload {
    pub(crate) fn name(&self) -> &str {
        self.name.as_ref()
    }

    pub(crate) fn command(&self) -> &Path {
        self.command.as_ref()
    }

    /// How it is to be treated; `stop` is the service's patience.
    pub(crate) fn policy(&self, stop: Duration) -> Policy {
        Policy {
            restart: self.restart,
            is_probed: self.readiness.is_some(),
            start: seconds(self.start_seconds.as_ref(), 30),
            stop: self.stop_seconds.as_ref().map_or(stop, |own| seconds(Some(own), 0)),
            give_up_after: self.give_up_after,
        }
    }

    /// What its process is started with.
    pub(crate) fn launch(&self, log: &Log) -> Launch {
        let environment =
            self.environment.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let privileges = self.privileges.as_ref().map(|privileges| privileges.as_ref().clone());
        Launch {
            environment,
            folder: self.directory.clone(),
            privileges: privileges.unwrap_or_default(),
            ..Launch::new(self.name(), self.command(), &self.args, log)
        }
    }

    pub(crate) fn output(&self) -> OutputSettings {
        self.output.as_ref().map(|output| *output.as_ref()).unwrap_or_default()
    }

    pub(crate) fn memory(&self) -> Option<MemorySettings> {
        self.memory.as_ref().map(|memory| *memory.as_ref())
    }

    pub(crate) fn leaks(&self) -> LeakSettings {
        self.leaks.as_ref().map(|leaks| *leaks.as_ref()).unwrap_or_default()
    }

    /// Whether `other` is to be run just so: a reload leaves it alone.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        let plain = |workload: &Self| {
            let probe = |probe: &Option<Spanned<Probe>>| probe.as_ref().map(|probe| probe.as_ref().clone());
            (
                (workload.name().to_owned(), workload.command().to_owned(), workload.args.clone()),
                (probe(&workload.readiness), probe(&workload.liveness), workload.reload_signal),
                (workload.restart, seconds(workload.start_seconds.as_ref(), 30)),
                (workload.stop_seconds.as_ref().map(|seconds| *seconds.as_ref()), workload.give_up_after),
                workload.output(),
                (workload.environment.clone(), workload.directory.clone()),
                workload.privileges.as_ref().map(|privileges| privileges.as_ref().clone()),
            )
        };
        plain(self) == plain(other)
    }
}

impl Probe {
    fn check(&self) -> Result<(), String> {
        let ways = usize::from(self.exec.is_some())
            + usize::from(self.tcp.is_some())
            + usize::from(self.http.is_some());
        if ways != 1 {
            return Err(format!("exactly one of exec, tcp and http is needed, not {ways}"));
        }
        if self.exec.as_ref().is_some_and(Vec::is_empty) {
            return Err("exec is empty".to_owned());
        }
        for (key, value) in
            [("interval_seconds", self.interval_seconds), ("timeout_seconds", self.timeout_seconds)]
        {
            if !(1..=3600).contains(&value) {
                return Err(format!("{key} must be 1 to 3600, not {value}"));
            }
        }
        if !(1..=1000).contains(&self.failures) {
            return Err(format!("failures must be 1 to 1000, not {}", self.failures));
        }
        Ok(())
    }
}

fn refusal(path: &Path, text: &str, span: Range<usize>, why: &str) -> Failure {
    let before = text.get(..span.start).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    Failure::new(Cause::Config, format!("{}:{line}: {}", path.display(), why.replace('\n', " ")), HINT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(Path::new("c.toml"), text).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_full_file_and_an_empty_one() {
        let config = parse(
            "log.file = \"/x\"\nheartbeat_seconds = 5\nstop_seconds = 3\n[[workloads]]\nname = \"a\"\n\
             command = \"/bin/a\"\nargs = [\"b\"]\nrestart = \"on-failure\"\n",
        )
        .expect("valid");
        assert_eq!(
            (config.heartbeat(), config.stop_deadline()),
            (Duration::from_secs(5), Duration::from_secs(3))
        );
        assert_eq!(config.workloads[0].restart, Restart::OnFailure);
        let empty = parse("").expect("valid");
        assert!(empty.workloads.is_empty());
        assert_eq!(empty.stop_deadline(), Duration::from_secs(10));
    }

    #[test]
    fn each_mistake_names_file_line_and_key() {
        let cases = [
            ("hearbeat_seconds = 5\n", "c.toml:1: unknown field `hearbeat_seconds`"),
            ("\n[[workloads]]\nname = \"a\"\ncomand = \"b\"\n", "c.toml:4: unknown field `comand`"),
            ("[[workloads]]\nname = \"a\"\n", "c.toml:1: missing field `command`"),
            ("\n[crashes]\nkeep = 1001\n", "c.toml:2: crashes.keep must be 0 to 1000, not 1001"),
            ("[crashes]\nmax_bytes = 1\n", "c.toml:1: crashes.max_bytes must be"),
            ("[crashes]\nkep = 1\n", "c.toml:2: unknown field `kep`"),
            ("stop_seconds = 0\n", "c.toml:1: stop_seconds must be"),
            ("\nheartbeat_seconds = 90000\n", "c.toml:2: heartbeat_seconds must be"),
            ("[[workloads]]\nname = \"a b\"\ncommand = \"c\"\n", "c.toml:2: name \"a b\" must be"),
            ("[[workloads]]\nname = \"a\"\ncommand = \"\"\n", "c.toml:3: command of workload \"a\" is empty"),
            (
                "[[workloads]]\nname = \"a\"\ncommand = \"c\"\n[[workloads]]\nname = \"a\"\ncommand = \"c\"\n",
                "c.toml:5: name \"a\" is used twice",
            ),
            (
                "[[workloads]]\nname = \"a\"\ncommand = \"c\"\nrestart = \"maybe\"\n",
                "c.toml:4: unknown variant `maybe`",
            ),
            ("a = = b", "c.toml:1: "),
            ("[queue]\nattempt_seconds = 0\n", "c.toml:1: queue.attempt_seconds must be 1 to 3600, not 0"),
            (
                "\n[metrics.otlp]\nurl = \"http://c/\"\ninterval_seconds = 0\n",
                "c.toml:2: metrics.otlp.interval_seconds must be 1 to 3600, not 0",
            ),
            ("[metrics.otlp]\nurl = \"tcp://c/\"\n", "c.toml:2: \"tcp://c/\" is not an address"),
            ("[metrics.otlp]\nurl = \"http://c/\"\nretries = 3\n", "c.toml:3: unknown field `retries`"),
            ("\n[log]\nkeep = 0\n", "c.toml:2: log.keep must be 1 to 99, not 0"),
            (
                "[[workloads]]\nname = \"a\"\ncommand = \"c\"\nreadiness = { interval_seconds = 3 }\n",
                "c.toml:4: readiness of workload \"a\": exactly one of exec, tcp and http is needed, not 0",
            ),
            (
                "[[workloads]]\nname = \"a\"\ncommand = \"c\"\nliveness = { tcp = \"x\", failures = 0 }\n",
                "c.toml:4: liveness of workload \"a\": failures must be 1 to 1000, not 0",
            ),
            (
                "[[workloads]]\nname = \"a\"\ncommand = \"c\"\nmemory = { limit_bytes = 80 }\n",
                "c.toml:4: memory of workload \"a\": limit_bytes must be 1024 or more, not 80",
            ),
            (
                "[[workloads]]\nname = \"a\"\ncommand = \"c\"\nleaks = { window_seconds = 0 }\n",
                "c.toml:4: leaks of workload \"a\": window_seconds must be 1 to 86400, not 0",
            ),
        ];
        for (text, expected) in cases {
            let message = parse(text).expect_err(text);
            assert!(message.starts_with(expected), "{message:?} for {text:?}");
        }
    }
}
