//! The command line, as types. Nothing here decides anything.

mod environment;
mod toolchain;

use std::num::NonZeroUsize;
use std::path::PathBuf;

use artifact::BuilderKind;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub use environment::*;
pub use toolchain::*;

/// Cross-build, verify and package Rust programs for devices that cannot be reached afterwards.
#[derive(Debug, Parser)]
#[command(name = "seaworthy", bin_name = "cargo xtask", version, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 done, 1 refused by verification, 2 unreadable file, 3 usage or configuration, \
    4 plan, 5 toolchain, 6 build, 7 finish, 8 start, 9 package, 10 another release is running, 11 drifted, 12 not comparable, 13 built again otherwise, 14 cannot be built again, 101 bug."
)]
pub struct Cli {
    /// How results are written to standard output.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// When to use colours; `auto` respects NO_COLOR and CLICOLOR_FORCE.
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    pub color: Color,
    /// Say nothing on standard error but errors.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs: one JSON document.
    Json,
    /// Refusals as SARIF 2.1.0, for code scanning (`verify` alone).
    Sarif,
    /// Reports as JUnit's XML, for test views (`verify` alone).
    Junit,
    /// Refusals as annotations of GitHub's workflow log (`verify` alone).
    Github,
}

impl Format {
    /// Whether only reports can be written so.
    pub(crate) fn is_of_reports(self) -> bool {
        matches!(self, Format::Sarif | Format::Junit | Format::Github)
    }
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The commands, in the order of the flow.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Plan, build, finish, verify, start and package every target: the whole flow.
    Release(ReleaseArgs),
    /// Print every choice a release would make, and run nothing.
    Plan(PlanCommand),
    /// Build the programs and stop there.
    Build(PlanArgs),
    /// Edit a built program into what ships: subsystem, symbols, stamps, checksum.
    Finish(FinishArgs),
    /// Tell what a program is, as `file`, `readelf -hdlV` and `objdump -p` would.
    Inspect(InspectArgs),
    /// Check programs, folders and archives against the policy.
    Verify(VerifyArgs),
    /// Gather releases of single targets (a CI matrix's parts) into one release folder.
    Package(PackageArgs),
    /// Build a published release again and name the cause of every difference.
    Reproduce(ReproduceArgs),
    /// Capture places (root file systems, images, devices), compare them, and ask whether a release runs there.
    Env(EnvironmentArgs),
    /// Make and look at the builders.
    Toolchain(ToolchainArgs),
    /// Say what is missing on this machine, and the command that mends it.
    Doctor,
    /// Print the JSON schema of manifest.json, or of what `inspect` or `verify` write.
    Schema {
        /// Which document.
        #[arg(value_enum, default_value_t = Document::Manifest)]
        document: Document,
    },
    /// Print a shell's completion script.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Run the checks of this repository: all, or one job by name.
    Ci(CiArgs),
    /// Measure this repository's own speed.
    Bench(BenchArgs),
}

/// The documents that have a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Document {
    /// A release's manifest.json.
    Manifest,
    /// What `inspect --format json` writes.
    Inspect,
    /// What `verify --format json` writes.
    Verify,
    /// What `reproduce` writes: rebuild.json.
    Rebuild,
    /// What `env capture` writes.
    Capture,
    /// What `env diff --format json` writes for two places.
    Drift,
    /// What `env diff --format json` writes for more.
    Fleet,
    /// What `env trend --format json` writes.
    Trend,
    /// What `env check --format json` writes.
    Check,
}

/// What a plan is made from.
#[derive(Args, Clone, Debug, Default)]
pub struct PlanArgs {
    /// A target to release for, by name or triple; repeat for several [default: release.toml's].
    #[arg(long = "target", short = 't', value_name = "TARGET")]
    pub targets: Vec<String>,
    /// Who builds [default: release.toml's].
    #[arg(long, value_enum, value_name = "BUILDER")]
    pub builder: Option<Builder>,
    /// The workspace's folder.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub workspace: PathBuf,
    /// Where the release folder appears [default: release.toml's].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Use only what is already on this machine.
    #[arg(long)]
    pub offline: bool,
    /// Release although the work tree differs from the commit; the manifest says so.
    #[arg(long)]
    pub allow_dirty: bool,
}

/// `plan`
#[derive(Args, Debug)]
pub struct PlanCommand {
    /// What to plan.
    #[command(flatten)]
    pub plan: PlanArgs,
    /// Print the default release.toml with its comments and stop.
    #[arg(long)]
    pub print_config: bool,
}

/// `release`
#[derive(Args, Debug)]
pub struct ReleaseArgs {
    /// What to plan.
    #[command(flatten)]
    pub plan: PlanArgs,
    /// Print the plan and stop.
    #[arg(long)]
    pub dry_run: bool,
    /// Refuse a program that could not be started here.
    #[arg(long)]
    pub strict: bool,
    /// Build everything once more, elsewhere, and publish only what is the same.
    #[arg(long)]
    pub prove: bool,
}

/// The builders by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Builder {
    /// The first container engine that answers, else zig.
    Auto,
    /// The pinned images of docker/, run by Docker.
    Docker,
    /// The pinned images of docker/, run by Podman.
    Podman,
    /// The embedded default: zig as linker and C compiler.
    Zig,
    /// Cross compilers on PATH; recorded as unlocked.
    Host,
}

impl Builder {
    /// The builder asked for; `None` for `auto`.
    pub fn wanted(self) -> Option<BuilderKind> {
        match self {
            Builder::Auto => None,
            Builder::Docker => Some(BuilderKind::Docker),
            Builder::Podman => Some(BuilderKind::Podman),
            Builder::Zig => Some(BuilderKind::Zig),
            Builder::Host => Some(BuilderKind::Host),
        }
    }
}

/// `finish`
#[derive(Args, Debug)]
pub struct FinishArgs {
    /// The built program.
    pub file: PathBuf,
    /// What it was built for.
    #[arg(long, short = 't')]
    pub target: String,
    /// The folder for the finished program and its symbols file.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// The workspace whose release.toml and commit apply.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub workspace: PathBuf,
    /// Stamp a commit although the work tree differs from it.
    #[arg(long)]
    pub allow_dirty: bool,
}

/// `inspect`
#[derive(Args, Debug)]
pub struct InspectArgs {
    /// Files, folders, archives, and images as docker://NAME or podman://NAME.
    #[arg(required_unless_present_any = ["explain", "fields"], value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// How many files are looked at side by side [default: as many as there are cores].
    #[arg(long, short, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    /// Show, as ldd would, what each file finds in this root folder (PE: folder of DLLs); nothing is started.
    #[arg(long, value_name = "DIR")]
    pub sysroot: Option<PathBuf>,
    /// Explain fields of the JSON by name or by the end of their path, such as `elf.entry`, and stop; without one: all.
    #[arg(long, value_name = "FIELD", num_args = 0..)]
    pub explain: Option<Vec<String>>,
    /// List every field of the JSON that `inspect` and `verify` write, and stop.
    #[arg(long)]
    pub fields: bool,
}

/// `verify`
#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// Files, folders, archives, and images as docker://NAME or podman://NAME.
    #[arg(
        required_unless_present_any = ["print_policy", "print_presets", "rules", "rules_page", "explain"],
        value_name = "PATH"
    )]
    pub paths: Vec<PathBuf>,
    /// How many files are looked at side by side [default: as many as there are cores].
    #[arg(long, short, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    /// The target whose policy applies [default: the one the file's format and machine point to].
    #[arg(long, short = 't')]
    pub target: Option<String>,
    /// The workspace whose release.toml applies.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub workspace: PathBuf,
    /// The devices' root folder (PE: folder of DLLs), in which everything needed must be [default: the policy's].
    #[arg(long, value_name = "DIR")]
    pub sysroot: Option<PathBuf>,
    /// A named policy in the place of release.toml's.
    #[arg(long, value_enum, value_name = "NAME")]
    pub preset: Option<PresetName>,
    /// A policy file in the place of release.toml, with tables of its own for targets, kinds and waivers.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// The older version: each file is compared with the one of its name there.
    #[arg(long, value_name = "OLD")]
    pub against: Option<PathBuf>,
    /// Show rules that passed, too.
    #[arg(long, short)]
    pub verbose: bool,
    /// Print the default policy with its comments and stop.
    #[arg(long)]
    pub print_policy: bool,
    /// Print the presets with their comments and stop.
    #[arg(long)]
    pub print_presets: bool,
    /// List the rules with their reasons and stop.
    #[arg(long)]
    pub rules: bool,
    /// Print docs/rules.md and stop.
    #[arg(long)]
    pub rules_page: bool,
    /// Explain rules by their ID and stop.
    #[arg(long, value_name = "ID", num_args = 1..)]
    pub explain: Vec<String>,
}

impl VerifyArgs {
    /// Whether release.toml says what files are held to: neither a preset nor a policy file stands in its place.
    pub(crate) fn is_by_release(&self) -> bool {
        self.preset.is_none() && self.policy.is_none()
    }
}

/// The presets by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PresetName {
    /// A program of ours that leaves for devices: the default.
    Daemon,
    /// A shared library of ours.
    Library,
    /// Everything that can be asked.
    Strict,
    /// Any distribution's files.
    Distro,
}

impl From<PresetName> for verify::Preset {
    fn from(name: PresetName) -> verify::Preset {
        match name {
            PresetName::Daemon => verify::Preset::Daemon,
            PresetName::Library => verify::Preset::Library,
            PresetName::Strict => verify::Preset::Strict,
            PresetName::Distro => verify::Preset::Distro,
        }
    }
}

/// `package`
#[derive(Args, Debug)]
pub struct PackageArgs {
    /// Release folders of single targets, all of one commit.
    #[arg(required = true, value_name = "DIR")]
    pub parts: Vec<PathBuf>,
    /// Where the gathered release folder appears.
    #[arg(long, value_name = "DIR", default_value = "dist")]
    pub out: PathBuf,
}

/// `reproduce`
#[derive(Args, Debug)]
pub struct ReproduceArgs {
    /// The release folder, with its manifest.json and archives; with --against also a file.
    #[arg(required_unless_present = "challenge", value_name = "RELEASE")]
    pub release: Option<PathBuf>,
    /// Build nothing: compare with this release folder, archive or file.
    #[arg(long, value_name = "PATH", requires = "release", conflicts_with_all = ["builder", "vary", "out", "sign"])]
    pub against: Option<PathBuf>,
    /// Who builds [default: the builder that the manifest names for each target].
    #[arg(long, value_enum, value_name = "BUILDER")]
    pub builder: Option<Builder>,
    /// What is different on purpose, separated by commas [default: locale,target-directory,umask; the folder always is].
    #[arg(long, value_enum, value_name = "LIST", value_delimiter = ',')]
    pub vary: Vec<Variation>,
    /// The workspace in whose repository the release's commit is.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub workspace: PathBuf,
    /// Use only what is already on this machine.
    #[arg(long)]
    pub offline: bool,
    /// Keep what was built and the statement about it (rebuild.json) in this folder.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Who says so, in the statement.
    #[arg(long = "as", value_name = "NAME")]
    pub name: Option<String>,
    /// Sign the statement with this OpenSSH key (a public one: with the agent's).
    #[arg(long, value_name = "KEY")]
    pub sign: Option<PathBuf>,
    /// Build nothing: set the statements of several rebuilders side by side.
    #[arg(long, value_name = "DIR", num_args = 1.., conflicts_with = "release")]
    pub challenge: Vec<PathBuf>,
    /// How many rebuilders must have built each file the same [default: all].
    #[arg(long, value_name = "K", requires = "challenge")]
    pub need: Option<NonZeroUsize>,
    /// Whose signatures count: a list as ssh-keygen(1) describes under ALLOWED SIGNERS.
    #[arg(long, value_name = "FILE", requires = "challenge")]
    pub allowed_signers: Option<PathBuf>,
}

/// What can be different when a release is built again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Variation {
    /// The workspace's folder: always.
    Directory,
    /// Cargo's target folder, outside of the workspace.
    TargetDirectory,
    /// Cargo's home, with everything unpacked anew.
    CargoHome,
    /// One job at a time (in another home of cargo's).
    Jobs,
    /// Language, collation and time zone.
    Locale,
    /// Files that nobody else may read.
    Umask,
    /// The machine's name (needs root).
    Hostname,
}

impl Variation {
    /// Its name on the command line and in statements.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Variation::Directory => "directory",
            Variation::TargetDirectory => "target-directory",
            Variation::CargoHome => "cargo-home",
            Variation::Jobs => "jobs",
            Variation::Locale => "locale",
            Variation::Umask => "umask",
            Variation::Hostname => "hostname",
        }
    }
}

/// `ci`
#[derive(Args, Debug)]
pub struct CiArgs {
    /// The job [default: all]; `matrix` prints the targets for a CI system's matrix.
    pub job: Option<String>,
}

/// `bench`
#[derive(Args, Debug)]
pub struct BenchArgs {
    /// What to measure.
    #[arg(value_enum)]
    pub what: Benchmark,
    /// The builder to measure a release with.
    #[arg(long, value_enum)]
    pub builder: Option<Builder>,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Benchmark {
    /// A release, cold and unchanged, against the cargo builds inside it.
    Release,
    /// `verify` over this system's files, against readelf and other checkers.
    Verify,
    /// `env diff` over 10,000 captures, against reading them.
    Env,
    /// How soon the daemon starts a killed workload again, beside runit, s6, monit and supervisord.
    Daemon,
    /// The daemon's queue, beside SQLite on the same disk.
    Queue,
}
