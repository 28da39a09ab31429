//! Starting programs against the clock, and weighing them.
#![expect(clippy::disallowed_methods, reason = "a measured program is started bare, and this is where")]

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use serde::Serialize;

use crate::failure::{Failure, Message};

/// A command line that is measured.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<OsString>,
    /// Where its standard output goes; `None`: to /dev/null.
    pub(super) output: Option<PathBuf>,
}

/// Seconds of several runs, sorted.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub(super) struct Times(Vec<f64>);

impl Times {
    pub(super) fn push(&mut self, seconds: f64) {
        let at = self.0.partition_point(|other| *other < seconds);
        self.0.insert(at, seconds);
    }

    /// The median, in seconds.
    pub(super) fn median(&self) -> f64 {
        self.0.get(self.0.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// The shortest and the longest: how much the machine disturbed the runs.
    pub(super) fn span(&self) -> (f64, f64) {
        self.0.first().zip(self.0.last()).map_or((f64::NAN, f64::NAN), |(least, most)| (*least, *most))
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }
}

impl Line {
    pub(super) fn new(program: impl Into<PathBuf>, arguments: &[&str]) -> Line {
        let arguments = arguments.iter().map(OsString::from).collect();
        Line { program: program.into(), arguments, output: None }
    }

    /// Runs it once; seconds from its start to its end.
    pub(super) fn seconds(&self) -> Result<f64, Failure> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::null()).stderr(Stdio::null()).stdout(self.sink()?);
        let begun = Instant::now();
        let status = command.status().map_err(|error| cannot_start(&self.program, &error))?;
        let seconds = begun.elapsed().as_secs_f64();
        // 1: a checker that found something; 123: xargs over such a checker.
        match status.code() {
            Some(0 | 1 | 123) => Ok(seconds),
            _ => Err(Failure::Usage(Message::new(
                format!("{} ended with {status}", self.program.display()),
                "run it by hand to see why",
            ))),
        }
    }

    /// Runs it once under GNU time; the most memory it or one of its children had at a time, in KiB.
    pub(super) fn peak(&self, folder: &Path) -> Result<u64, Failure> {
        let told = folder.join("peak");
        let mut command = Command::new("/usr/bin/time");
        command.args(["--quiet", "-f", "%M", "-o"]).arg(&told).arg(&self.program).args(&self.arguments);
        command.stdin(Stdio::null()).stderr(Stdio::null()).stdout(self.sink()?);
        command.status().map_err(|error| cannot_start(Path::new("/usr/bin/time"), &error))?;
        let text = fs::read_to_string(&told).unwrap_or_default();
        text.trim().parse().map_err(|_| {
            Failure::Usage(Message::new(format!("GNU time says `{}`", text.trim()), "apt-get install time"))
        })
    }

    fn sink(&self) -> Result<Stdio, Failure> {
        let Some(path) = &self.output else { return Ok(Stdio::null()) };
        let file = File::create(path).map_err(|error| {
            Failure::Usage(Message::new(format!("cannot write {}: {error}", path.display()), "make room"))
        })?;
        Ok(file.into())
    }
}

/// What a program writes when it is run to its end; `None` where it is not here.
pub(super) fn answer(program: &Path, arguments: &[&str]) -> Option<Output> {
    Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()
}

/// Builds this workspace's `xtask` as it would ship, and says where it is.
pub(super) fn release_binary(workspace: &Path) -> Result<PathBuf, Failure> {
    built(workspace, &["--package", "seaworthy", "--bin", "xtask"])
}

/// The same for the daemon, as one file without a C library.
pub(super) fn release_daemon(workspace: &Path, triple: &str) -> Result<PathBuf, Failure> {
    built(workspace, &["--package", "seaworthyd", "--bin", "seaworthyd", "--target", triple])
}

fn built(workspace: &Path, what: &[&str]) -> Result<PathBuf, Failure> {
    let mut build = vec!["build", "--release", "--locked"];
    build.extend(what);
    let mut command = Command::new("cargo");
    command.args(&build).arg("--message-format=json-render-diagnostics").current_dir(workspace);
    command.env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER", "rust-lld");
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| cannot_start(Path::new("cargo"), &error))?;
    let messages = output.stdout.split(|byte| *byte == b'\n');
    let mut executables = messages.filter_map(|line| {
        let message: serde_json::Value = serde_json::from_slice(line).ok()?;
        message.get("executable")?.as_str().map(PathBuf::from)
    });
    executables.next_back().filter(|_| output.status.success()).ok_or_else(|| {
        let sentence = format!("`cargo {}` ended with {}", build.join(" "), output.status);
        Failure::Build(Message::new(sentence, "mend what cargo says above"))
    })
}

/// Processor, number of cores and kernel.
pub(super) fn machine() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let processors = read("/proc/cpuinfo");
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!(
        "{}, {cores} cores, Linux {}",
        model.map_or("unknown processor", |(_, name)| name),
        read("/proc/sys/kernel/osrelease").trim()
    )
}

fn cannot_start(program: &Path, error: &std::io::Error) -> Failure {
    Failure::Usage(Message::new(
        format!("cannot start {}: {error}", program.display()),
        "install it; `apt-get install binutils findutils time` brings what every measurement needs",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_of_the_sorted_times() {
        let mut times = Times::default();
        assert!(times.median().is_nan());
        for seconds in [5.0, 1.0, 3.0, 2.0, 4.0] {
            times.push(seconds);
        }
        assert_eq!((times.median(), times.span(), times.count()), (3.0, (1.0, 5.0), 5));
    }

    #[test]
    fn a_program_is_timed_and_weighed_and_a_crash_is_not_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let mut line = Line::new("sh", &["-c", "echo hello; exit 1"]);
        line.output = Some(folder.path().join("output"));
        assert!(line.seconds().unwrap() > 0.0);
        assert_eq!(fs::read(folder.path().join("output")).unwrap(), b"hello\n");
        assert!(line.peak(folder.path()).unwrap() > 100, "a shell needs more than 100 KiB");
        assert!(Line::new("sh", &["-c", "kill -9 $$"]).seconds().is_err());
        assert!(Line::new("/nonexistent", &[]).seconds().is_err());
    }
}
