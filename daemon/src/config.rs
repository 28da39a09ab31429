//! The configuration file: read whole and checked whole before anything starts.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use crate::failure::{Cause, Failure};

/// A larger file is a mistake, not a configuration.
const LARGEST_FILE: u64 = 1 << 20;
const HINT: &str = "correct the file; daemon/README.md lists every key";

/// What `seaworthyd run` does; the default is to run idle.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// Where records go instead of standard error.
    pub(crate) log_file: Option<PathBuf>,
    /// Seconds between two heartbeat records.
    heartbeat_seconds: Option<Spanned<u64>>,
    /// Seconds that workloads have for a graceful stop.
    stop_seconds: Option<Spanned<u64>>,
    /// What to supervise, started in this order.
    pub(crate) workloads: Vec<Workload>,
}

/// One supervised program.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Workload {
    name: Spanned<String>,
    command: Spanned<PathBuf>,
    /// Its arguments.
    #[serde(default)]
    pub(crate) args: Vec<String>,
    /// When it is started again.
    #[serde(default)]
    pub(crate) restart: Restart,
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

    fn parse(path: &Path, text: &str) -> Result<Self, Failure> {
        let config: Self = toml::from_str(text)
            .map_err(|error| refusal(path, text, error.span().unwrap_or_default(), error.message()))?;
        config.check().map_err(|(span, why)| refusal(path, text, span, &why))?;
        Ok(config)
    }

    fn check(&self) -> Result<(), (Range<usize>, String)> {
        let seconds = [("heartbeat_seconds", &self.heartbeat_seconds), ("stop_seconds", &self.stop_seconds)];
        for (key, value) in seconds {
            if let Some(value) = value
                && !(1..=86_400).contains(value.as_ref())
            {
                return Err((value.span(), format!("{key} must be 1 to 86400, not {}", value.as_ref())));
            }
        }
        let mut names = BTreeSet::new();
        for workload in &self.workloads {
            let name = workload.name();
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            if name.is_empty() || name.len() > 64 || !name.chars().all(is_plain) {
                let why = format!("name {name:?} must be 1 to 64 letters, digits, '-', '_' or '.'");
                return Err((workload.name.span(), why));
            }
            if !names.insert(name) {
                return Err((workload.name.span(), format!("name {name:?} is used twice")));
            }
            if workload.command().as_os_str().is_empty() {
                return Err((workload.command.span(), format!("command of workload {name:?} is empty")));
            }
        }
        Ok(())
    }

    pub(crate) fn heartbeat(&self) -> Duration {
        Duration::from_secs(self.heartbeat_seconds.as_ref().map_or(60, |seconds| *seconds.as_ref()))
    }

    pub(crate) fn stop_deadline(&self) -> Duration {
        Duration::from_secs(self.stop_seconds.as_ref().map_or(10, |seconds| *seconds.as_ref()))
    }
}

impl Workload {
    pub(crate) fn name(&self) -> &str {
        self.name.as_ref()
    }

    pub(crate) fn command(&self) -> &Path {
        self.command.as_ref()
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
            "log_file = \"/x\"\nheartbeat_seconds = 5\nstop_seconds = 3\n[[workloads]]\nname = \"a\"\n\
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
        ];
        for (text, expected) in cases {
            let message = parse(text).expect_err(text);
            assert!(message.starts_with(expected), "{message:?} for {text:?}");
        }
    }
}
