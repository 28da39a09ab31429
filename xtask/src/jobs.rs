//! The checks of this repository, by name: what CI runs is what a person runs.
#![expect(clippy::disallowed_methods, reason = "the jobs are commands, and this is where they are started")]

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use artifact::{Machine, Target};
use serde::Serialize;

use crate::failure::{Failure, Message};
use crate::render::Renderer;

/// A check: its name, why it is there, the command line, and what it needs in its environment.
struct Job {
    name: &'static str,
    help: &'static str,
    command: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
    /// What takes longer hangs.
    minutes: u64,
    mend: Option<Mend>,
}

/// What to run once, before the job is run again, where it fails through no fault of this repository, and what to tell.
struct Mend {
    command: &'static [&'static str],
    told: &'static str,
}

/// In the order of `cargo xtask ci`: what fails fastest comes first, and the machine is set up before it is needed.
const JOBS: &[Job] = &[
    Job {
        name: "setup",
        help: "install what the tests need and start a container engine (as root on Debian)",
        command: &["ci/setup"],
        environment: &[],
        minutes: 20,
        mend: None,
    },
    Job {
        name: "format",
        help: "rustfmt",
        command: &["cargo", "fmt", "--all", "--check"],
        environment: &[],
        minutes: 2,
        mend: None,
    },
    Job {
        name: "lint",
        help: "clippy, warnings denied",
        command: &["cargo", "clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"],
        environment: &[],
        minutes: 15,
        mend: None,
    },
    Job {
        name: "lint-windows",
        help: "clippy on the daemon as Windows has it, warnings denied",
        command: &[
            "cargo",
            "clippy",
            "--package",
            "seaworthyd",
            "--target",
            "x86_64-pc-windows-gnu",
            "--all-targets",
            "--locked",
            "--",
            "-D",
            "warnings",
        ],
        environment: &[],
        minutes: 10,
        mend: None,
    },
    Job {
        name: "docs",
        help: "rustdoc, warnings denied",
        command: &["cargo", "doc", "--workspace", "--no-deps", "--locked"],
        environment: &[("RUSTDOCFLAGS", "-D warnings")],
        minutes: 10,
        mend: None,
    },
    Job {
        name: "images",
        help: "the locked images, made of Debian packages",
        command: &["cargo", "xtask", "toolchain", "image"],
        environment: &[],
        minutes: 20,
        // Debian's mirrors keep no superseded version, so a point release makes the locked ones unobtainable. And where an
        // image comes out otherwise on this machine, what is found by going on is worth more than stopping here: each is made
        // twice then, and must be the same.
        mend: Some(Mend {
            command: &["cargo", "xtask", "toolchain", "lock", "--update", "--again"],
            told: "Debian may have moved on, or an image depends on this machine: the tests go on with an updated lock; review the change and commit it",
        }),
    },
    Job {
        name: "fuzz-smoke",
        help: "what the fuzzers kept, and mutations of it, through every reader",
        command: &["cargo", "test", "--package", "seaworthy-hostile", "--locked"],
        environment: &[],
        minutes: 15,
        mend: None,
    },
    Job {
        name: "test",
        help: "every test, the releases end to end among them",
        command: &["cargo", "test", "--workspace", "--locked", "--no-fail-fast"],
        environment: &[],
        minutes: 60,
        mend: None,
    },
];

/// Not part of `cargo xtask ci`, for they take too long for every change.
const MORE_JOBS: &[Job] = &[
    Job {
        name: "emulated",
        help: "the daemon's suite in qemu's user emulation of aarch64 (as root)",
        command: &["ci/emulated"],
        environment: &[],
        minutes: 60,
        mend: None,
    },
    Job {
        name: "machine",
        help: "what that lacks, on an emulated aarch64 machine with Debian's own kernel (as root)",
        command: &["ci/machine"],
        environment: &[],
        minutes: 60,
        mend: None,
    },
];

/// One row of a CI system's matrix.
#[derive(Serialize)]
struct MatrixRow {
    target: &'static str,
    triple: &'static str,
    machine: Machine,
    image: &'static str,
}

/// Runs the job called `name`, or all of them.
pub(crate) fn run(name: Option<&str>, renderer: &Renderer) -> Result<(), Failure> {
    if name == Some("matrix") {
        return matrix(renderer);
    }
    let jobs: Vec<&Job> = match name {
        None => JOBS.iter().collect(),
        Some(name) => {
            let job = JOBS.iter().chain(MORE_JOBS).find(|job| job.name == name);
            vec![job.ok_or_else(|| unknown(name))?]
        }
    };
    let root = repository()?;
    let mut failed = Vec::new();
    for job in jobs {
        renderer.status("job", &format!("{}: {}", job.name, job.help));
        let begun = Instant::now();
        let mut passed = start(job.command, job, &root)?;
        if let Some(mend) = job.mend.as_ref().filter(|_| !passed) {
            renderer.status("WARNING", &format!("{} failed. {}", job.name, mend.told));
            passed = start(mend.command, job, &root)? && start(job.command, job, &root)?;
        }
        let seconds = begun.elapsed().as_secs();
        renderer.status(if passed { "passed" } else { "FAILED" }, &format!("{} ({seconds} s)", job.name));
        if !passed {
            failed.push(job.name.to_owned());
            // Without its tools every later job would only fail in a more confusing way.
            if job.name == "setup" {
                break;
            }
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(Failure::Checks(failed)) }
}

/// Runs `command` to its end. What hangs is ended with all it has started, unless a person sits before it, who can do that
/// with Ctrl-C and would lose it, were the command in a process group of its own.
fn start(command: &[&str], job: &Job, root: &Path) -> Result<bool, Failure> {
    let (program, args) = command.split_first().expect("every job has a command, see the table");
    // A path is meant from the repository, not from wherever cargo was started.
    let program = if program.contains('/') { root.join(program) } else { PathBuf::from(program) };
    let mut command = if io::stdin().is_terminal() || cfg!(not(target_os = "linux")) {
        Command::new(&program)
    } else {
        let mut bounded = Command::new("timeout");
        bounded.args(["--verbose", "--kill-after=30s"]).arg(format!("{}m", job.minutes)).arg(&program);
        bounded
    };
    command.args(args).current_dir(root).envs(job.environment.iter().copied());
    match command.status() {
        Ok(status) => Ok(status.success()),
        Err(error) => Err(Failure::Usage(Message::new(
            format!("cannot start {}: {error}", program.display()),
            "run `cargo xtask ci setup` first",
        ))),
    }
}

/// The default targets, for one job of a CI system each.
fn matrix(renderer: &Renderer) -> Result<(), Failure> {
    let rows = Target::all().map(Target::row).filter(|row| row.is_default);
    let rows = rows.map(|row| MatrixRow {
        target: row.name,
        triple: row.triple,
        machine: row.machine,
        image: row.image,
    });
    #[derive(Serialize)]
    struct Matrix {
        include: Vec<MatrixRow>,
    }
    // One line, as a CI system's output variables take it.
    let matrix = serde_json::to_string(&Matrix { include: rows.collect() }).unwrap_or_default();
    renderer.raw(&(matrix + "\n"));
    Ok(())
}

/// The checkout this program was built from, which holds the checks.
fn repository() -> Result<PathBuf, Failure> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned);
    root.filter(|root| root.join("ci/setup").is_file()).ok_or_else(|| {
        Failure::Usage(Message::new(
            "the checks belong to Seaworthy's own repository, and it is not where this program was built",
            "run `cargo xtask ci` inside a checkout",
        ))
    })
}

fn unknown(name: &str) -> Failure {
    let names: Vec<_> = JOBS.iter().chain(MORE_JOBS).map(|job| job.name).chain(["matrix"]).collect();
    Failure::Usage(Message::new(
        format!("unknown job `{name}`"),
        format!("the jobs are {}", names.join(", ")),
    ))
}
