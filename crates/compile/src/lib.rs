//! Runs cargo in a builder with the network off and says what came out.
//!
//! [`fetch()`] is the only step that may use the network. [`compile`] starts cargo with `--locked --offline`, an
//! environment made from nothing, and flags that make the bytes the same from any folder (`flags.rs` says which and
//! why). The executable is the one that cargo's own JSON messages name, never one that was guessed.

use std::fs;
use std::path::PathBuf;

use artifact::{Artifact, Built, Events, Launcher, Target, Toolchain};
use serde::{Deserialize, Serialize};

mod cargo;
mod command;
mod container;
mod error;
mod fetch;
mod flags;
mod floor;
mod host;
mod owner;
mod pdb_id;
mod tools;
mod watch;
mod zig;

use error::Faults as _;
pub use error::{Error, ErrorKind};
pub use fetch::fetch;
pub use zig::run_zig_wrapper;

/// What to build, and where; how is the [`Toolchain`]'s business.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompileRequest {
    /// What it is to run on.
    pub target: Target,
    /// The cargo package.
    pub package: String,
    /// One of its binaries, without a suffix.
    pub binary: String,
    /// The cargo profile.
    pub profile: String,
    /// Cargo features to turn on.
    pub features: Vec<String>,
    /// Whether the package's default features are on.
    pub default_features: bool,
    /// The workspace's folder; builders only read it.
    pub workspace_root: PathBuf,
    /// Cargo's target folder, for this builder and this target alone.
    pub target_dir: PathBuf,
    /// Seconds since 1970-01-01 UTC: the one time a build may know (`SOURCE_DATE_EPOCH`).
    pub source_date_epoch: i64,
    /// The oldest glibc the program must start on, such as `2.31`. zig is asked for it; elsewhere the builder's own
    /// C library decides. Either way `verify` reads the result back from the program.
    pub glibc_floor: Option<String>,
}

/// Builds one binary in `toolchain`; the artifact's path is in the request's target folder.
pub fn compile(
    request: &CompileRequest,
    toolchain: &Toolchain,
    events: Events<'_>,
) -> Result<Artifact<Built>, Error> {
    let this_program = std::env::current_exe().map_err(|cause| {
        Error::new(ErrorKind::Io, "this program cannot find its own file").with_source(cause)
    })?;
    compile_driven_by(&this_program, request, toolchain, events)
}

/// [`compile`] with another program to answer the zig wrapper's calls (see [`run_zig_wrapper`]): for tests, whose own
/// program is a test harness.
#[doc(hidden)]
pub fn compile_driven_by(
    driver: &std::path::Path,
    request: &CompileRequest,
    toolchain: &Toolchain,
    events: Events<'_>,
) -> Result<Artifact<Built>, Error> {
    if toolchain.target != request.target {
        let message = format!("a builder for {} was given {} to build", toolchain.target, request.target);
        return Err(Error::new(ErrorKind::WrongBuilder, message));
    }
    let request = &with_real_folders(request)?;
    let path = match &toolchain.launcher {
        Launcher::Container { engine, image, sysroot } => {
            container::build(request, *engine, image, sysroot, events)?
        }
        Launcher::Zig { zig } => zig::build(request, zig, driver, events)?,
        Launcher::Host { linker } => host::build(request, linker.as_deref(), events)?,
    };
    Artifact::built(request.target, &request.binary, path.clone(), toolchain.identity.clone()).map_err(
        |cause| {
            let message = format!("{}: cargo named this file, and it cannot be read", path.display());
            Error::new(ErrorKind::Io, message).with_source(cause)
        },
    )
}

/// Starts `command`, or a shell where it is empty, where builds for the toolchain's target run and with what they have around
/// them, at this process's own terminal. The target folder is one of its own.
pub fn shell(
    toolchain: &Toolchain,
    workspace_root: &std::path::Path,
    command: &[String],
) -> Result<(), Error> {
    let Launcher::Container { engine, image, sysroot } = &toolchain.launcher else {
        let message = format!("{} builds on this machine itself", toolchain.identity.builder.name());
        return Err(Error::new(ErrorKind::WrongBuilder, message)
            .with_hint("pass `--builder docker` or `--builder podman`"));
    };
    let request = with_real_folders(&CompileRequest {
        target: toolchain.target,
        package: String::new(),
        binary: String::new(),
        profile: "release".to_owned(),
        features: Vec::new(),
        default_features: true,
        workspace_root: workspace_root.to_owned(),
        target_dir: workspace_root.join("target/seaworthy/shell").join(toolchain.target.name()),
        source_date_epoch: 0,
        glibc_floor: None,
    })?;
    container::shell(&request, *engine, image, sysroot, command)
}

/// The request with folders that exist and have no links in them: compilers write down real paths, and only a real
/// path can be replaced in what they wrote.
fn with_real_folders(request: &CompileRequest) -> Result<CompileRequest, Error> {
    let mut request = request.clone();
    for folder in ["home", "tmp"] {
        let path = request.target_dir.join(folder);
        fs::create_dir_all(&path).map_err(|cause| Error::io(&path, cause))?;
    }
    for folder in [&mut request.workspace_root, &mut request.target_dir] {
        *folder = fs::canonicalize(&*folder).map_err(|cause| Error::io(folder, cause))?;
    }
    Ok(request)
}
