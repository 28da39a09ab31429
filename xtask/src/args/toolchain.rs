//! The command line of `toolchain`.

use clap::{Args, Subcommand};

use super::Builder;

/// `toolchain`
#[derive(Args, Debug)]
pub struct ToolchainArgs {
    /// What to do with the builders.
    #[command(subcommand)]
    pub command: ToolchainCommand,
}

/// `toolchain …`
#[derive(Debug, Subcommand)]
pub enum ToolchainCommand {
    /// Tell what docker/toolchain.lock would be today, rows that can change programs first; write it with --update.
    Lock(LockArgs),
    /// Get every input of the builders that is not on this machine, and check all of them.
    Pool(TargetArgs),
    /// Make the locked images in the container engine, of the pool's packages and with the network off.
    Image(ImageArgs),
    /// Ask the images what is inside: each tool's digest, and the linker that really links.
    Verify(VerifyBuildersArgs),
    /// Start a shell, or a command, in the image, with what a build sees around it.
    Shell(ShellArgs),
    /// Say which builders are ready here, and why not.
    Status,
    /// Print the toolchain's identity: the SHA-256 of its lock.
    Id,
    /// Tell the rows in which two locks differ, those that can change programs first.
    Diff {
        /// A folder with a toolchain.lock, or a revision of git.
        a: String,
        /// The same [default: the workspace's own].
        b: Option<String>,
    },
}

/// Whose images, packages or libraries.
#[derive(Args, Debug)]
pub struct TargetArgs {
    /// The targets [default: all].
    #[arg(long = "target", short = 't', value_name = "TARGET")]
    pub targets: Vec<String>,
}

/// `toolchain lock`
#[derive(Args, Debug)]
pub struct LockArgs {
    /// The targets.
    #[command(flatten)]
    pub targets: TargetArgs,
    /// Make the images that come of it, and write docker/toolchain.lock.
    #[arg(long)]
    pub update: bool,
    /// Make also the images that come of the same as before.
    #[arg(long, requires = "update")]
    pub again: bool,
}

/// `toolchain image`
#[derive(Args, Debug)]
pub struct ImageArgs {
    /// The targets.
    #[command(flatten)]
    pub targets: TargetArgs,
    /// docker or podman [default: the first that answers].
    #[arg(long, value_enum)]
    pub builder: Option<Builder>,
    /// Fetch nothing: packages must be in the pool.
    #[arg(long)]
    pub offline: bool,
    /// Make also what the engine has, and compare.
    #[arg(long)]
    pub again: bool,
}

/// `toolchain verify`
#[derive(Args, Debug)]
pub struct VerifyBuildersArgs {
    /// The targets.
    #[command(flatten)]
    pub targets: TargetArgs,
    /// docker or podman [default: the first that answers].
    #[arg(long, value_enum)]
    pub builder: Option<Builder>,
}

/// `toolchain shell`
#[derive(Args, Debug)]
pub struct ShellArgs {
    /// The target whose image it is.
    #[arg(long, short, value_name = "TARGET")]
    pub target: String,
    /// docker or podman [default: the first that answers].
    #[arg(long, value_enum)]
    pub builder: Option<Builder>,
    /// A command instead of a shell.
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}
