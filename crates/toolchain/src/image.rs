//! The container images of `docker/`: made from the pool, and asked for by the ID that the lock names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::panic::resume_unwind;
use std::thread;

use artifact::{BuilderKind, Engine, Event, Events, Launcher, Linkage, Target, Toolchain, ToolchainIdentity};
use serde::Serialize;

use crate::archive::Digests;
use crate::lock::{ImageLock, Lock, ToolLock};
use crate::pool::Pool;
use crate::recipe::Recipe;
use crate::rust::{RUST_LLD, Rust};
use crate::turn::take_turn;
use crate::{Context, Error, ErrorKind, choose, engine, engine_of, layer, lock_for, tools};

/// What a package row must be restored with.
const RESTORE: &str =
    "restore the committed files, or run `cargo xtask toolchain lock --update` and review what changes";

/// Which images to make, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageRequest {
    /// Docker or Podman; `None` is the first that answers.
    pub engine: Option<BuilderKind>,
    /// The targets whose images are made.
    pub targets: Vec<Target>,
    /// Whether an image that the engine has is made again, and compared.
    pub again: bool,
}

/// An image that is in the engine and is the locked one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MadeImage {
    /// The folder of `docker/`.
    pub name: String,
    /// Its ID in the engine, `sha256:…`: the digest of its configuration, which names the digest of its content.
    pub id: String,
    /// What its compiler calls itself.
    pub compiler: String,
    /// Whether it was made now.
    pub made: bool,
}

/// The engine that was asked for, or that answers.
pub(crate) fn engine_for(wanted: Option<BuilderKind>) -> Result<Engine, Error> {
    let chosen = choose(wanted)?;
    engine_of(chosen.kind).ok_or_else(|| {
        let message = format!("images need docker or podman ({}: {})", chosen.kind.name(), chosen.why);
        Error::new(ErrorKind::EngineNotRunning, message)
            .with_hint("apt-get install docker.io iptables; dockerd &")
    })
}

/// The names of the images of `targets`, in order.
pub(crate) fn names(targets: &[Target]) -> BTreeSet<&'static str> {
    targets.iter().map(|target| target.row().image).collect()
}

/// Sees that the engine has the images, each made beside the others.
pub fn make_images(
    request: &ImageRequest,
    context: &Context,
    events: Events<'_>,
) -> Result<Vec<MadeImage>, Error> {
    let engine = engine_for(request.engine)?;
    let lock = &Lock::read(&context.lock_path)?;
    let one = |name: &'static str| {
        let _only_one = image_turn(name, context)?;
        let row = locked(engine, name, lock, context)?;
        let made = request.again || !holds(engine, row)?;
        if made {
            make(engine, name, row, context, events)?;
        }
        let compiler = row.version("compiler").to_owned();
        Ok(MadeImage { name: name.to_owned(), id: row.id(), compiler, made })
    };
    let (one, names) = (&one, names(&request.targets));
    thread::scope(|scope| {
        let all: Vec<_> = names.into_iter().map(|name| scope.spawn(move || one(name))).collect();
        let joined = all.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        joined.collect()
    })
}

/// Waits until nobody else makes the image `name`.
pub(crate) fn image_turn(name: &str, context: &Context) -> Result<File, Error> {
    take_turn(&context.cache_dir.join("images").join(name))
}

/// The image for `target`, ready to build in.
pub(crate) fn provision(
    engine: Engine,
    target: Target,
    rust: &Rust,
    context: &Context,
    events: Events<'_>,
) -> Result<Toolchain, Error> {
    let lock = lock_for(target, rust, context)?;
    let name = target.row().image;
    let row = locked(engine, name, &lock, context)?;
    if !holds(engine, row)? {
        if !context.makes_images {
            let message = format!("the image `{name}` for {target} is not in {}", engine.program());
            return Err(
                Error::new(ErrorKind::ImageMissing, message).with_hint("run `cargo xtask toolchain image`")
            );
        }
        let _only_one = image_turn(name, context)?;
        // Another job may have made it meanwhile.
        if !holds(engine, row)? {
            make(engine, name, row, context, events)?;
        }
    }
    Ok(toolchain(engine, target, rust, row))
}

fn toolchain(engine: Engine, target: Target, rust: &Rust, row: &ImageLock) -> Toolchain {
    let builder = match engine {
        Engine::Docker => BuilderKind::Docker,
        Engine::Podman => BuilderKind::Podman,
    };
    // For its own x86-64 Linux, rustc asks the driver `cc` for the linker that it brings along.
    let rusts_own = target.row().linkage == Linkage::StaticPie || target == Target::X86_64Linux;
    let (linker, mark) = match rusts_own {
        true => (RUST_LLD.to_owned(), Some("LLD".to_owned())),
        false => (row.version("linker").to_owned(), tools::mark(row.version("linker"))),
    };
    let parts = [("compiler", row.version("compiler").to_owned()), ("image", row.id()), ("linker", linker)];
    let identity = ToolchainIdentity {
        builder,
        rustc: rust.identity.clone(),
        lock: Some(row.inputs),
        parts: BTreeMap::from(parts.map(|(name, value)| (name.to_owned(), value))),
    };
    let launcher = Launcher::Container { engine, image: row.id(), sysroot: rust.sysroot.clone() };
    Toolchain { target, identity, linker: mark, launcher }
}

/// Whether the engine has the locked image, with the locked layer and no other.
fn holds(engine: Engine, row: &ImageLock) -> Result<bool, Error> {
    let Some(facts) = engine::image(engine, &row.id())? else { return Ok(false) };
    let layer = format!("sha256:{}", row.layer);
    if facts.id == row.id() && facts.layers == [layer.clone()] {
        return Ok(true);
    }
    let message = format!(
        "{} has {} with the layers {:?}; docker/toolchain.lock says that it is {} with {layer}",
        engine.program(),
        facts.id,
        facts.layers,
        row.id()
    );
    Err(Error::new(ErrorKind::ImageOffLock, message).with_hint(RESTORE))
}

/// The image's row in the lock, which must be about the image's folder and about its own packages.
fn locked<'lock>(
    engine: Engine,
    name: &str,
    lock: &'lock Lock,
    context: &Context,
) -> Result<&'lock ImageLock, Error> {
    let row = lock.image(name)?;
    let recipe = Recipe::read(&context.docker_dir.join(name))?;
    if recipe.digest() != row.recipe {
        let message = format!(
            "the files of docker/{name} have the digest {}, docker/toolchain.lock says images.{name}.recipe {}",
            recipe.digest(),
            row.recipe
        );
        return Err(Error::new(ErrorKind::LockInvalid, message).with_hint(RESTORE));
    }
    if ImageLock::inputs(row.recipe, &row.packages) == row.inputs {
        return Ok(row);
    }
    let rows = edited_rows(engine, row).unwrap_or_else(|| {
        "  which ones cannot be told: the image that was made of them is not in the engine".to_owned()
    });
    let message = format!(
        "docker/toolchain.lock: the package rows of images.{name} are not those that its image was made of:\n{rows}"
    );
    Err(Error::new(ErrorKind::LockInvalid, message).with_hint(RESTORE))
}

/// The package rows that were edited. The image that the lock names says what it was made of.
fn edited_rows(engine: Engine, row: &ImageLock) -> Option<String> {
    let inside = engine::read_in(engine, &row.id(), &["cat", layer::LIST]).ok()?;
    let locked = layer::list(&row.packages);
    let (inside, locked): (BTreeSet<_>, BTreeSet<_>) = (inside.lines().collect(), locked.lines().collect());
    let made_of = inside.difference(&locked).map(|line| format!("  made of, not locked: {line}"));
    let named = locked.difference(&inside).map(|line| format!("  locked, not made of: {line}"));
    Some(made_of.chain(named).collect::<Vec<_>>().join("\n"))
}

/// Gets the image from the team's registry, or makes it from the pool, and sees that it is the locked one.
fn make(
    engine: Engine,
    name: &str,
    row: &ImageLock,
    context: &Context,
    events: Events<'_>,
) -> Result<(), Error> {
    if let Some(reference) = row.reference.as_ref().filter(|_| !context.offline) {
        let step = format!("pull {reference}");
        events(Event::Started { step: step.clone() });
        engine::pull(engine, reference, &layer::tag(name, row.image), &mut |line| {
            events(Event::Output { step: step.clone(), line: line.to_owned() });
        })?;
        events(Event::Finished { step, result: String::new() });
    } else {
        Pool::of(context).fill(&row.packages, false, context.offline, events)?;
        let recipe = Recipe::read(&context.docker_dir.join(name))?;
        let made = layer::make(name, &recipe, &row.packages, context, events)?;
        if made.digests != (Digests { layer: row.layer, image: row.image }) {
            return Err(off_lock(name, row, &made));
        }
        made.load(engine)?;
    }
    match holds(engine, row)? {
        true => Ok(()),
        false => Err(Error::new(
            ErrorKind::EngineFailed,
            format!("{} took the image `{name}` and does not have {}", engine.program(), row.id()),
        )),
    }
}

fn off_lock(name: &str, row: &ImageLock, made: &layer::Layer) -> Error {
    let mut message = format!(
        "image `{name}`, made of the locked packages, is sha256:{} with the layer {}; docker/toolchain.lock says sha256:{} with {}",
        made.digests.image, made.digests.layer, row.image, row.layer
    );
    for line in tool_rows(name, &row.tools, &made.tools) {
        message.push_str(&format!("\n{line}"));
    }
    Error::new(ErrorKind::ImageOffLock, message)
        .with_hint("another mmdebstrap or tar may make other bytes; see `cargo xtask toolchain lock`")
}

/// The tools in which two lists differ, a line each.
fn tool_rows(
    name: &str,
    locked: &BTreeMap<String, ToolLock>,
    found: &BTreeMap<String, ToolLock>,
) -> Vec<String> {
    let roles: BTreeSet<_> = locked.keys().chain(found.keys()).collect();
    let told = |tool: Option<&ToolLock>| match tool {
        Some(tool) => format!("{} {} sha256:{}", tool.path, tool.version, tool.sha256),
        None => "nothing".to_owned(),
    };
    let differing = roles.into_iter().filter(|role| locked.get(*role) != found.get(*role));
    differing
        .map(|role| {
            format!(
                "  images.{name}.tools.{role}: locked {}, inside {}",
                told(locked.get(role)),
                told(found.get(role))
            )
        })
        .collect()
}

/// A tool that is what the lock says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VerifiedTool {
    /// Its row: `images.<name>.tools.<role>`, or `rust.components.<name>`.
    pub row: String,
    /// What it calls itself.
    pub version: String,
    /// How it was found to be the locked one.
    pub how: String,
}

/// Asks the images of `targets` what is in them: every tool's digest, and which linker really links. What differs from the
/// lock is one error with all rows.
pub fn verify(
    wanted: Option<BuilderKind>,
    targets: &[Target],
    context: &Context,
) -> Result<Vec<VerifiedTool>, Error> {
    let engine = engine_for(wanted)?;
    let lock = Lock::read(&context.lock_path)?;
    lock.check_contract()?;
    let rust = Rust::of(&context.workspace_root)?;
    let mut verified = Vec::new();
    for target in targets.iter().filter(|_| context.locks_rust) {
        verified.extend(rust.check(&lock, *target)?);
    }
    verified.sort_by(|one, other| one.row.cmp(&other.row));
    verified.dedup();
    let mut rows = Vec::new();
    for name in names(targets) {
        let row = locked(engine, name, &lock, context)?;
        if !holds(engine, row)? {
            let message = format!("the image `{name}` is not in {}", engine.program());
            return Err(
                Error::new(ErrorKind::ImageMissing, message).with_hint("run `cargo xtask toolchain image`")
            );
        }
        let described = &Recipe::read(&context.docker_dir.join(name))?.description.tools;
        let printed = engine::read_in(engine, &row.id(), &["sh", "-c", &tools::script(described)])?;
        let found = tools::parse(&printed).map_err(|why| Error::new(ErrorKind::EngineFailed, why))?;
        rows.extend(tool_rows(name, &row.tools, &found));
        let linked = engine::read_in(engine, &row.id(), &["sh", "-c", &tools::link_script(described)])?;
        if linked.trim() != row.version("linker") {
            rows.push(format!(
                "  images.{name}.tools.linker: locked `{}`, `{}` linked a program",
                row.version("linker"),
                linked.trim()
            ));
        }
        verified.extend(found.into_iter().map(|(role, tool)| VerifiedTool {
            how: match role.as_str() {
                "linker" => format!("sha256 of {}, and it linked a program", tool.path),
                _ => format!("sha256 of {}", tool.path),
            },
            row: format!("images.{name}.tools.{role}"),
            version: tool.version,
        }));
    }
    if rows.is_empty() {
        return Ok(verified);
    }
    let message = format!("the builders are off their lock:\n{}", rows.join("\n"));
    Err(Error::new(ErrorKind::ImageOffLock, message).with_hint(RESTORE))
}
