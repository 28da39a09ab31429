//! The command line of `env`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `env`
#[derive(Args, Debug)]
pub struct EnvironmentArgs {
    /// What to do with places.
    #[command(subcommand)]
    pub command: EnvironmentCommand,
}

/// `env …`
#[derive(Debug, Subcommand)]
pub enum EnvironmentCommand {
    /// Write down what a place is made of. Nothing in it is started.
    Capture(CaptureArgs),
    /// Tell how much places differ from one that is as it should be, and what fails there.
    Diff(DiffArgs),
    /// Tell how places drifted over time.
    Trend(TrendArgs),
    /// Tell whether a release's programs find what they need at a place.
    Check(CheckArgs),
}

/// `env capture`
#[derive(Args, Debug)]
pub struct CaptureArgs {
    /// A folder with a root file system (`/` is this machine, running), a tar archive of one, docker://IMAGE,
    /// podman://IMAGE, or - for an archive on standard input.
    pub place: String,
    /// A program that is to run there; repeat for several.
    #[arg(long = "artifact", value_name = "FILE")]
    pub artifacts: Vec<PathBuf>,
    /// The place's name [default: PLACE].
    #[arg(long)]
    pub name: Option<String>,
    /// The day, as YYYY-MM-DD, to be written into the capture.
    #[arg(long, value_name = "DAY")]
    pub at: Option<String>,
    /// Tell secrets apart by HMAC with the key in this file [default: only that they are there].
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Write the capture there and its summary to standard output.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `env diff`
#[derive(Args, Debug)]
pub struct DiffArgs {
    /// The place that is as it should be: a capture, or whatever `env capture` takes.
    pub a: String,
    /// The places to compare with it, and folders of captures.
    #[arg(required = true)]
    pub b: Vec<String>,
    /// A program that is to run there, for places that are captured now; repeat for several.
    #[arg(long = "artifact", value_name = "FILE")]
    pub artifacts: Vec<PathBuf>,
    /// Threshold, coverage and waivers [default: threshold 0, coverage 0.9].
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Show every difference.
    #[arg(long, short)]
    pub verbose: bool,
}

/// `env trend`
#[derive(Args, Debug)]
pub struct TrendArgs {
    /// The place that is as it should be.
    pub baseline: String,
    /// Captures, and folders of captures, of any order.
    #[arg(required = true)]
    pub captures: Vec<String>,
    /// Threshold and coverage.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
}

/// `env check`
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// The release folder.
    #[arg(long, value_name = "DIR")]
    pub release: PathBuf,
    /// The place, as for `env capture`.
    #[arg(long, value_name = "PLACE")]
    pub target: String,
    /// Where the program is to be installed, which $ORIGIN depends on.
    #[arg(long, value_name = "PATH")]
    pub installed: Option<PathBuf>,
}
