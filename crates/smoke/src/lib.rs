//! Starts the finished program for real, and holds what it says against the plan.
//!
//! [`runners`] says how a program for a target could be started here, best way first; [`smoke`] takes the first that
//! is there. Nothing to start it with is not a failure but [`SmokeResult::NotRun`]; a program that starts and crashes,
//! hangs or says something else is [`SmokeResult::Failed`]. Only a fault of the test itself is an error.

mod answer;
mod command;
mod error;
mod runner;

use std::time::Duration;

use artifact::{Artifact, Finished, Source};
use serde::Serialize;

pub use error::{Error, ErrorKind};
pub use runner::{Runner, runners};

/// How a program is started and what it must answer.
#[derive(Clone, Debug)]
pub struct SmokeRequest {
    /// What it must say that it is.
    pub source: Source,
    /// Its arguments.
    pub args: Vec<String>,
    /// What counts as the right answer.
    pub expect: Expect,
    /// Ways to start it, best first.
    pub candidates: Vec<Runner>,
    /// When it counts as hanging.
    pub timeout: Duration,
}

/// What a program must answer on standard output, with exit code 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expect {
    /// One JSON object whose `version`, `commit` and `target` are the release's.
    VersionJson,
    /// Text that contains each of these.
    Contains(Vec<String>),
    /// Anything.
    ExitOnly,
}

/// How it went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "result")]
pub enum SmokeResult {
    /// It started and answered right.
    Ran {
        /// How it was started, such as `qemu-aarch64-static`.
        runner: String,
        /// What it wrote to standard output, at most 64 KiB.
        output: String,
    },
    /// It was not started.
    NotRun {
        /// What is missing, and what would bring it.
        why: String,
    },
    /// It was started and did not do what it should.
    Failed {
        /// How it was started.
        runner: String,
        /// What it did instead.
        why: String,
        /// What it wrote, standard error last.
        output: String,
    },
}

/// Starts `artifact` in the first of the request's runners that is usable here.
pub fn smoke(artifact: &Artifact<Finished>, request: &SmokeRequest) -> Result<SmokeResult, Error> {
    let mut missing = Vec::new();
    for runner in &request.candidates {
        if let Err(why) = runner.usable() {
            missing.push(why);
            continue;
        }
        let spoken = command::run(runner, artifact.path(), &request.args, request.timeout)?;
        let name = runner.name();
        return Ok(match answer::judge(&spoken, artifact.target(), request) {
            Ok(()) => SmokeResult::Ran { runner: name, output: spoken.output },
            Err(why) => SmokeResult::Failed { runner: name, why, output: spoken.output + &spoken.complaints },
        });
    }
    if missing.is_empty() {
        missing.push(format!("nothing is known here that starts programs for {}", artifact.target()));
    }
    Ok(SmokeResult::NotRun { why: missing.join("; ") })
}
