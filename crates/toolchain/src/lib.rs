//! A pinned builder, checked against its lock, or an error: never another builder in its place.
//!
//! [`choose`] decides who builds and says why; [`provision`] makes that builder ready for one target, or fails.
//! `docker/toolchain.lock` names all that a builder is made of, and [`Locked::id`] is its digest. [`resolve`] says what it
//! would be today and writes it, [`fill_pool`] gets every input once, [`make_images`] makes container images of the pool
//! with the network off, the same bytes each time, and [`verify`] asks them what is inside.

use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use artifact::{BuilderKind, Engine, Events, Target, Toolchain};
use serde::Serialize;

mod archive;
mod command;
mod debian;
mod engine;
mod error;
mod host;
mod image;
mod layer;
mod lock;
mod pool;
mod recipe;
mod rows;
mod rust;
mod tools;
mod turn;
mod update;
mod zig;

pub use error::{Error, ErrorKind};
pub use image::{ImageRequest, MadeImage, VerifiedTool, make_images, verify};
pub use rows::{Locked, RowDifference};
pub use update::{Resolved, fill_pool, resolve};

use lock::Lock;
use rust::Rust;

/// An engine that does not answer for so long counts as not running. One that is not there says so at once; Podman keeps
/// everyone waiting for some seconds while it stores an image.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where builders are described and kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// The workspace's folder; its `rust-toolchain.toml` selects the Rust toolchain.
    pub workspace_root: PathBuf,
    /// The folder with one folder an image.
    pub docker_dir: PathBuf,
    /// `toolchain.lock`.
    pub lock_path: PathBuf,
    /// What was downloaded and made, by digest.
    pub cache_dir: PathBuf,
    /// Whether the network must not be used.
    pub offline: bool,
    /// Whether [`provision`] makes a missing image, from the pool, which it fills where it must and may.
    pub makes_images: bool,
    /// Whether the lock is the workspace's own, so that its Rust must be the locked one. Elsewhere the workspace's
    /// `rust-toolchain.toml` alone decides.
    pub locks_rust: bool,
}

impl Context {
    /// The usual places: `docker/` of the workspace, and `$SEAWORTHY_CACHE`, else `$XDG_CACHE_HOME/seaworthy`, else
    /// `~/.cache/seaworthy`.
    pub fn of_workspace(workspace_root: &Path) -> Context {
        let docker_dir = workspace_root.join("docker");
        Context {
            workspace_root: workspace_root.to_owned(),
            lock_path: docker_dir.join("toolchain.lock"),
            docker_dir,
            cache_dir: cache_dir(),
            offline: false,
            makes_images: true,
            locks_rust: true,
        }
    }
}

fn cache_dir() -> PathBuf {
    let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable("SEAWORTHY_CACHE")
        .or_else(|| variable("XDG_CACHE_HOME").map(|cache| cache.join("seaworthy")))
        .or_else(|| env::home_dir().map(|home| home.join(".cache/seaworthy")))
        .unwrap_or_else(|| env::temp_dir().join("seaworthy"))
}

/// Who builds, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// The builder.
    pub kind: BuilderKind,
    /// The reason, in half a sentence.
    pub why: String,
}

/// Takes the builder that was asked for, or the first engine that answers, else zig. An engine that was asked for and
/// does not answer is an error.
pub fn choose(want: Option<BuilderKind>) -> Result<Choice, Error> {
    let Some(kind) = want else {
        return Ok(first_that_answers(&|engine| engine::answers(engine, PATIENCE)));
    };
    if let Some(engine) = engine_of(kind)
        && !engine::answers(engine, PATIENCE)
    {
        return Err(engine::not_running(engine));
    }
    Ok(Choice { kind, why: "asked for".to_owned() })
}

fn first_that_answers(answers: &dyn Fn(Engine) -> bool) -> Choice {
    for (engine, kind) in [(Engine::Docker, BuilderKind::Docker), (Engine::Podman, BuilderKind::Podman)] {
        if answers(engine) {
            return Choice { kind, why: format!("{} answers", engine.program()) };
        }
    }
    Choice { kind: BuilderKind::Zig, why: "neither docker nor podman answers".to_owned() }
}

/// The engine that a kind of builder needs.
fn engine_of(kind: BuilderKind) -> Option<Engine> {
    match kind {
        BuilderKind::Docker => Some(Engine::Docker),
        BuilderKind::Podman => Some(Engine::Podman),
        BuilderKind::Zig | BuilderKind::Host => None,
    }
}

/// Makes the builder `kind` ready to build for `target`.
pub fn provision(
    kind: BuilderKind,
    target: Target,
    context: &Context,
    events: Events<'_>,
) -> Result<Toolchain, Error> {
    let rust = Rust::of(&context.workspace_root)?;
    rust.ensure_target(context, target, events)?;
    match engine_of(kind) {
        Some(engine) => image::provision(engine, target, &rust, context, events),
        None if kind == BuilderKind::Zig => zig::provision(target, &rust, context, events),
        None => host::provision(target, &rust),
    }
}

/// Reads the lock, and sees that it is about what builds for `target` here: Rust, variables and shims.
fn lock_for(target: Target, rust: &Rust, context: &Context) -> Result<Lock, Error> {
    let lock = Lock::read(&context.lock_path)?;
    lock.check_contract()?;
    if context.locks_rust {
        rust.check(&lock, target)?;
    }
    Ok(lock)
}

/// How one builder stands on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BuilderStatus {
    /// The builder.
    pub kind: BuilderKind,
    /// The target.
    pub target: Target,
    /// Whether it could build now, without the network.
    pub ready: bool,
    /// What it is, or why it is not ready and the next step.
    pub detail: String,
}

/// Looks at every builder for every target of `targets` and changes nothing.
pub fn status(targets: &[Target], context: &Context) -> Vec<BuilderStatus> {
    let context = Context { offline: true, makes_images: false, ..context.clone() };
    let kinds = [BuilderKind::Docker, BuilderKind::Podman, BuilderKind::Zig, BuilderKind::Host];
    let mut found = Vec::new();
    for kind in kinds {
        let chosen = choose(Some(kind));
        for target in targets.iter().copied() {
            let state = match &chosen {
                Ok(_) => {
                    provision(kind, target, &context, &artifact::ignore_events).map_err(|error| told(&error))
                }
                Err(error) => Err(told(error)),
            };
            let ready = state.is_ok();
            let detail = state.map_or_else(|error| error, |toolchain| describe(&toolchain));
            found.push(BuilderStatus { kind, target, ready, detail });
        }
    }
    found
}

fn told(error: &Error) -> String {
    match error.hint() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    }
}

fn describe(toolchain: &Toolchain) -> String {
    let parts = toolchain.identity.parts.iter().map(|(name, value)| format!("{name} {value}"));
    parts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_takes_the_first_engine_that_answers_else_zig() {
        let chosen = |answering: &[Engine]| first_that_answers(&|engine| answering.contains(&engine));
        assert_eq!(chosen(&[Engine::Docker, Engine::Podman]).kind, BuilderKind::Docker);
        assert_eq!(chosen(&[Engine::Podman]).kind, BuilderKind::Podman);
        assert_eq!(chosen(&[]).kind, BuilderKind::Zig);
        assert!(chosen(&[]).why.contains("neither"));
    }

    #[test]
    fn what_needs_no_engine_is_taken_as_asked() {
        for kind in [BuilderKind::Zig, BuilderKind::Host] {
            assert_eq!(choose(Some(kind)).unwrap().kind, kind);
        }
    }
}
