//! The `[queue]` table of the configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::capture::OutputSettings;
use crate::config::{PLAIN, is_plain};
use crate::http::Url;
use crate::launch::Launch;
use crate::log::{Event, Level, Log};
use crate::privileges::Privileges;
use crate::queue::Limits;

/// Where tasks are kept, who takes them, and what the daemon itself has to report.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct QueueSettings {
    /// The queue's folder; else `queue` in the state directory.
    directory: Option<PathBuf>,
    /// Who takes deliveries.
    pub(super) collector: Option<Url>,
    /// What deliveries are, for the collector.
    pub(super) content_type: String,
    /// Which of its own records the daemon delivers.
    reports: Vec<Report>,
    /// Seconds that an exchange with the collector may take.
    attempt_seconds: u64,
    /// Deliveries under way at the same time.
    pub(super) deliveries_at_once: u32,
    /// Commands that run at the same time.
    pub(super) commands_at_once: u32,
    /// How much there may be, and how often it is tried.
    pub(super) limits: Limits,
    /// What a task may run.
    pub(super) commands: Vec<TaskCommand>,
}

/// Records of the daemon that a collector may want.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Report {
    /// That it is alive.
    Heartbeat,
    /// Privileged actions, done and refused.
    Audit,
    /// How the worker before this one and processes of workloads ended, and what comes of it.
    Crash,
    /// What went wrong.
    Error,
}

const CRASHES: [Event; 7] = [
    Event::WorkerCrashed,
    Event::CrashSaved,
    Event::WorkloadExited,
    Event::WorkloadRestart,
    Event::WorkloadStartFailed,
    Event::WorkloadUnhealthy,
    Event::WorkloadFailed,
];

/// A program that tasks may run.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TaskCommand {
    /// By which a task names it.
    pub(super) name: String,
    command: PathBuf,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    directory: Option<PathBuf>,
    #[serde(default)]
    privileges: Privileges,
    #[serde(default)]
    output: OutputSettings,
    #[serde(default = "five_minutes")]
    timeout_seconds: u64,
}

fn five_minutes() -> u64 {
    300
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            directory: None,
            collector: None,
            content_type: "application/json".to_owned(),
            reports: Vec::new(),
            attempt_seconds: 30,
            deliveries_at_once: 4,
            commands_at_once: 1,
            limits: Limits::default(),
            commands: Vec::new(),
        }
    }
}

impl QueueSettings {
    /// Whether it can be used; if not, which key is wrong and why.
    pub(crate) fn check(&self) -> Result<(), String> {
        let ranges = [
            ("attempt_seconds", self.attempt_seconds, 3600),
            ("deliveries_at_once", self.deliveries_at_once.into(), 64),
            ("commands_at_once", self.commands_at_once.into(), 64),
        ];
        for (key, value, most) in ranges {
            if !(1..=most).contains(&value) {
                return Err(format!("{key} must be 1 to {most}, not {value}"));
            }
        }
        if !self.content_type.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return Err("content_type may only have printable ASCII characters".to_owned());
        }
        if !self.reports.is_empty() && self.collector.is_none() {
            return Err("reports needs a collector".to_owned());
        }
        self.limits.check().map_err(|why| format!("limits.{why}"))?;
        let mut names = BTreeSet::new();
        for command in &self.commands {
            let name = &command.name;
            if !is_plain(name) {
                return Err(format!("name {name:?} of a command must be {PLAIN}"));
            }
            if !names.insert(name) {
                return Err(format!("name {name:?} of a command is used twice"));
            }
            if command.command.as_os_str().is_empty() {
                return Err(format!("command of command {name:?} is empty"));
            }
            if !(1..=86_400).contains(&command.timeout_seconds) {
                return Err(format!(
                    "timeout_seconds of command {name:?} must be 1 to 86400, not {}",
                    command.timeout_seconds
                ));
            }
            command.privileges.check().map_err(|why| format!("privileges of command {name:?}: {why}"))?;
            command.output.check().map_err(|why| format!("output of command {name:?}: {why}"))?;
        }
        Ok(())
    }

    /// The queue's folder, with the daemon's state directory where that has one.
    pub(super) fn folder(&self, state_directory: Option<&Path>) -> Option<PathBuf> {
        self.directory.clone().or_else(|| state_directory.map(|folder| folder.join("queue")))
    }

    pub(super) fn attempt_time(&self) -> Duration {
        Duration::from_secs(self.attempt_seconds)
    }

    pub(super) fn command(&self, name: &str) -> Option<&TaskCommand> {
        self.commands.iter().find(|command| command.name == name)
    }

    /// Whether a collector wants to hear of `event`. Never of the queue's own: each would bring the next.
    pub(super) fn wants(&self, event: Event) -> bool {
        let is_about_tasks = (300..400).contains(&event.id());
        !is_about_tasks
            && self.reports.iter().any(|report| match report {
                Report::Heartbeat => event == Event::Heartbeat,
                Report::Audit => matches!(event.level(), Level::AuditSuccess | Level::AuditFailure),
                Report::Crash => CRASHES.contains(&event),
                Report::Error => event.level() == Level::Error,
            })
    }

    /// What a queue that was opened for `before` can take over of `self`.
    pub(super) fn opened_as(self, before: &Self) -> Self {
        Self {
            directory: before.directory.clone(),
            limits: before.limits.clone(),
            deliveries_at_once: before.deliveries_at_once,
            commands_at_once: before.commands_at_once,
            ..self
        }
    }
}

impl TaskCommand {
    /// What its process is started with, to read `input`.
    pub(super) fn launch(&self, input: Vec<u8>, more: &[(&str, String)], log: &Log) -> Launch {
        let own = self.environment.iter().map(|(name, value)| (name.clone(), value.clone()));
        let more = more.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        Launch {
            environment: own.chain(more).collect(),
            folder: self.directory.clone(),
            privileges: self.privileges.clone(),
            input: Some(input),
            ..Launch::new(&format!("queue/{}", self.name), &self.command, &self.args, log)
        }
    }

    pub(super) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }

    pub(super) fn output(&self) -> OutputSettings {
        self.output
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<QueueSettings, String> {
        let settings: QueueSettings = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        settings.check().map(|()| settings)
    }

    #[test]
    fn each_mistake_names_its_key() {
        let cases = [
            ("attempt_seconds = 0", "attempt_seconds must be 1 to 3600, not 0"),
            ("deliveries_at_once = 65", "deliveries_at_once must be 1 to 64, not 65"),
            ("content_type = \"a\\nb\"", "content_type may only have"),
            ("reports = [\"audit\"]", "reports needs a collector"),
            ("reports = [\"gossip\"]", "unknown variant `gossip`"),
            ("limits.max_tasks = 0", "limits.max_tasks must be"),
            ("collector = \"https://h/\"", "\"https://h/\" is not an address"),
            ("[[commands]]\nname = \"a b\"\ncommand = \"c\"", "name \"a b\" of a command must be"),
            ("[[commands]]\nname = \"a\"\ncommand = \"\"", "command of command \"a\" is empty"),
            (
                "[[commands]]\nname = \"a\"\ncommand = \"c\"\n[[commands]]\nname = \"a\"\ncommand = \"c\"",
                "name \"a\" of a command is used twice",
            ),
            (
                "[[commands]]\nname = \"a\"\ncommand = \"c\"\ntimeout_seconds = 0",
                "timeout_seconds of command \"a\" must be",
            ),
        ];
        for (text, expected) in cases {
            let error = parse(text).expect_err(text);
            assert!(error.starts_with(expected), "{error:?} for {text:?}");
        }
    }

    #[test]
    fn the_queue_never_reports_on_itself() {
        let with = |reports: &str| {
            parse(&format!("collector = \"http://h/\"\nreports = [{reports}]")).expect("valid")
        };
        let all = with("\"heartbeat\", \"audit\", \"crash\", \"error\"");
        let names = |settings: &QueueSettings| {
            Event::ALL
                .iter()
                .filter(|event| settings.wants(**event))
                .map(|event| event.id())
                .collect::<Vec<_>>()
        };
        assert!(names(&all).iter().all(|id| !(300..400).contains(id)));
        assert_eq!(names(&with("\"heartbeat\"")), [104]);
        assert_eq!(names(&with("\"crash\"")), [116, 117, 201, 202, 203, 208, 209]);
        assert!(names(&with("\"audit\"")).starts_with(&[113, 114, 400, 401]));
        assert!(names(&with("\"error\"")).starts_with(&[109, 110, 112, 116, 117, 203]));
        assert_eq!(names(&with("")), [0; 0]);
    }
}
