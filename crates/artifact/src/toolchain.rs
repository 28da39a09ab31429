//! A builder that was found, checked and may now be used.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{Digest, Target};

/// The kinds of builder a user can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BuilderKind {
    /// The pinned images of `docker/`, run by Docker.
    Docker,
    /// The pinned images of `docker/`, run by Podman.
    Podman,
    /// The embedded default: zig as linker and C compiler, no container engine.
    Zig,
    /// Cross compilers found on PATH: recorded as unlocked.
    Host,
}

impl BuilderKind {
    /// Its name on the command line and in the manifest.
    pub fn name(self) -> &'static str {
        match self {
            BuilderKind::Docker => "docker",
            BuilderKind::Podman => "podman",
            BuilderKind::Zig => "zig",
            BuilderKind::Host => "host",
        }
    }
}

/// A container engine's command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// `docker`
    Docker,
    /// `podman`
    Podman,
}

impl Engine {
    /// The program's name on PATH.
    pub fn program(self) -> &'static str {
        match self {
            Engine::Docker => "docker",
            Engine::Podman => "podman",
        }
    }
}

/// What the manifest says of the builder: equal identities mean equal inputs to the build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolchainIdentity {
    /// Which kind of builder it was.
    pub builder: BuilderKind,
    /// `rustc -vV`'s release and commit hash, such as `1.95.0 (59807616e…)`.
    pub rustc: String,
    /// Digest over the locked inputs (image recipe and package closure, or zig wheel); `None` where nothing is locked.
    pub lock: Option<Digest>,
    /// Named versions and digests that make it up: `image`, `zig`, `linker`, sorted by name.
    pub parts: BTreeMap<String, String>,
}

/// How to start cargo in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum Launcher {
    /// In a container without network.
    Container {
        /// Whose command line.
        engine: Engine,
        /// The image's own ID (`sha256:…`), never a tag.
        image: String,
        /// The host's Rust toolchain folder (`rustc --print sysroot`), mounted read-only.
        sysroot: PathBuf,
    },
    /// On this machine, with zig as the linker.
    Zig {
        /// The `zig` program inside the checked, unpacked wheel.
        zig: PathBuf,
    },
    /// On this machine, with the compilers on PATH.
    Host {
        /// The linker driver, such as `aarch64-linux-gnu-gcc`; `None` for rustc's own default.
        linker: Option<String>,
    },
}

/// A builder for one target, checked against its lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Toolchain {
    /// What it builds for.
    pub target: Target,
    /// What it is, for the manifest.
    pub identity: ToolchainIdentity,
    /// The linker that its programs must bear the mark of: a name as its `--version` begins, and perhaps a version. `None`
    /// where nothing says which one it should be.
    pub linker: Option<String>,
    /// How to use it.
    pub launcher: Launcher,
}
