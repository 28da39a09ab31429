//! The container images of `docker/`: made once, and checked against the lock before each use.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use artifact::{BuilderKind, Digest, Engine, Event, Events, Launcher, Target, Toolchain, ToolchainIdentity};
use serde::{Deserialize, Serialize};

use crate::engine::ImageFacts;
use crate::error::Faults as _;
use crate::lock::{ImageLock, Lock};
use crate::recipe::{self, Recipe};
use crate::rust::Rust;
use crate::turn::take_turn;
use crate::{Context, Error, ErrorKind, bootstrap, choose, engine, engine_of};

/// The image's label with the digest of its recipe.
const RECIPE: &str = "org.seaworthy.recipe";
/// The image's label with the digest of its package list.
const PACKAGES: &str = "org.seaworthy.packages";

/// Which images to make, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageRequest {
    /// Docker or Podman; `None` is the first that answers.
    pub engine: Option<BuilderKind>,
    /// The targets whose images are made.
    pub targets: Vec<Target>,
    /// Whether a base that is not in the engine may be made from Debian packages.
    pub bootstrap: bool,
    /// Whether the lock is written anew from what the packages are today.
    pub update: bool,
}

/// An image that is in the engine and agrees with the lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeImage {
    /// The folder of `docker/`.
    pub name: String,
    /// Its ID in the engine, `sha256:…`.
    pub id: String,
    /// Digest of its recipe.
    pub recipe: Digest,
    /// Digest of its package list.
    pub packages: Digest,
    /// What its compiler calls itself.
    pub compiler: String,
}

/// Makes the images, also those that are there already.
pub fn make_images(
    request: &ImageRequest,
    context: &Context,
    events: Events<'_>,
) -> Result<Vec<MadeImage>, Error> {
    let chosen = choose(request.engine)?;
    let engine = engine_of(chosen.kind).ok_or_else(|| {
        let message = format!("images need docker or podman ({}: {})", chosen.kind.name(), chosen.why);
        Error::new(ErrorKind::EngineNotRunning, message)
            .with_hint("apt-get install docker.io iptables; dockerd &")
    })?;
    let mut names: Vec<_> = request.targets.iter().map(|target| target.row().image).collect();
    names.sort_unstable();
    names.dedup();

    let _only_one = take_turn(&context.cache_dir.join("images"))?;
    if request.update {
        recipe::update(engine, &names, context, events)?;
    }
    let lock = Lock::read(&context.lock_path)?;
    names.into_iter().map(|name| make(engine, name, &lock, request.bootstrap, context, events)).collect()
}

/// The image for `target`, ready to build in.
pub(crate) fn provision(
    engine: Engine,
    target: Target,
    rust: &Rust,
    context: &Context,
    events: Events<'_>,
) -> Result<Toolchain, Error> {
    let lock = Lock::read(&context.lock_path)?;
    check_rust(&lock, rust)?;
    let name = target.row().image;
    let image = match recorded(engine, name, &lock, context)? {
        Some(image) => image,
        None if context.bootstrap_images => {
            let _only_one = take_turn(&context.cache_dir.join("images"))?;
            match recorded(engine, name, &lock, context)? {
                Some(image) => image, // another job made it meanwhile
                None => make(engine, name, &lock, true, context, events)?,
            }
        }
        None => {
            let message = format!("the image `{name}` for {target} is not in {}", engine.program());
            return Err(Error::new(ErrorKind::ImageMissing, message)
                .with_hint("run `cargo xtask toolchain image --bootstrap`"));
        }
    };
    Ok(toolchain(engine, target, rust, image))
}

fn check_rust(lock: &Lock, rust: &Rust) -> Result<(), Error> {
    let locked = lock.rust_identity();
    if rust.identity == locked {
        return Ok(());
    }
    let message = format!("Rust here is {}, docker/toolchain.lock says {locked}", rust.identity);
    Err(Error::new(ErrorKind::LockInvalid, message)
        .with_hint("let rust-toolchain.toml select the locked release, or change [rust] in the lock with it"))
}

fn toolchain(engine: Engine, target: Target, rust: &Rust, image: MadeImage) -> Toolchain {
    let builder = match engine {
        Engine::Docker => BuilderKind::Docker,
        Engine::Podman => BuilderKind::Podman,
    };
    let locked = Digest::of(format!("{} {}", image.recipe, image.packages).as_bytes());
    let parts = [
        ("compiler", image.compiler),
        ("image", image.id.clone()),
        ("packages", image.packages.to_string()),
        ("recipe", image.recipe.to_string()),
    ];
    let identity = ToolchainIdentity {
        builder,
        rustc: rust.identity.clone(),
        lock: Some(locked),
        parts: BTreeMap::from(parts.map(|(name, value)| (name.to_owned(), value))),
    };
    let launcher = Launcher::Container { engine, image: image.id, sysroot: rust.sysroot.clone() };
    Toolchain { target, identity, launcher }
}

/// The image that this machine's record names, if the engine still has it; an error if it is not what is locked.
fn recorded(engine: Engine, name: &str, lock: &Lock, context: &Context) -> Result<Option<MadeImage>, Error> {
    let row = lock.image(name)?;
    check_recipe(name, lock, row, context).map_err(|error| with_rows(error, engine, name, lock, context))?;
    let path = record_path(engine, name, row, context);
    let Ok(text) = fs::read(&path) else { return Ok(None) };
    let Ok(record) = serde_json::from_slice::<MadeImage>(&text) else { return Ok(None) };
    let Some(facts) = engine::image(engine, &record.id)? else { return Ok(None) };
    check_facts(&record.id, &facts, row, lock)?;
    Ok(Some(record))
}

/// The recipe in the folder must be the locked one.
fn check_recipe(name: &str, lock: &Lock, row: &ImageLock, context: &Context) -> Result<Recipe, Error> {
    let recipe = Recipe::read(&context.docker_dir.join(name), lock.base_of(row))?;
    let why = if recipe.packages() != row.packages {
        let rows = differing(&row.packages, &recipe.packages()).join("\n");
        format!("docker/{name}/Dockerfile installs other packages than docker/toolchain.lock names:\n{rows}")
    } else if recipe.digest() != row.recipe {
        format!("docker/{name} has the recipe {}, docker/toolchain.lock says {}", recipe.digest(), row.recipe)
    } else if recipe.closure() != row.closure {
        format!("docker/{name}/packages.txt is not the list that docker/toolchain.lock names")
    } else {
        return Ok(recipe);
    };
    Err(Error::new(ErrorKind::LockInvalid, why)
        .with_hint("restore the committed files, or run `cargo xtask toolchain image --bootstrap --update`"))
}

/// Rows of one list that the other has not.
fn differing(locked: &[String], found: &[String]) -> Vec<String> {
    let gone =
        locked.iter().filter(|row| !found.contains(row)).map(|row| format!("  locked, not there: {row}"));
    let new =
        found.iter().filter(|row| !locked.contains(row)).map(|row| format!("  there, not locked: {row}"));
    gone.chain(new).collect()
}

/// The error for a package list that was edited, with the edited rows: the image that was made of the locked list is still
/// there, and tells what the list was.
fn with_rows(error: Error, engine: Engine, name: &str, lock: &Lock, context: &Context) -> Error {
    let rows = || {
        let row = lock.image(name).ok()?;
        let recipe = Recipe::read(&context.docker_dir.join(name), lock.base_of(row)).ok()?;
        let text = fs::read(record_path(engine, name, row, context)).ok()?;
        let made: MadeImage = serde_json::from_slice(&text).ok()?;
        let inside = recipe::packages_inside(engine, &made.id).ok()?;
        let lines = |list: &str| list.lines().map(str::to_owned).collect::<Vec<_>>();
        let rows = differing(&lines(&inside), &lines(recipe.list()));
        (recipe.closure() != row.closure && !rows.is_empty()).then(|| rows.join("\n"))
    };
    let Some(rows) = rows() else { return error };
    let hint = error.hint().unwrap_or_default().to_owned();
    Error::new(error.kind(), format!("{error}:\n{rows}")).with_hint(hint)
}

/// What the engine tells of an image must be what the lock says.
fn check_facts(id: &str, facts: &ImageFacts, row: &ImageLock, lock: &Lock) -> Result<(), Error> {
    let base = format!("sha256:{}", lock.base_of(row).layer);
    let (recipe, closure) = (row.recipe.to_string(), row.closure.to_string());
    let bottom = facts.layers.first().map_or("", String::as_str);
    let checks = [
        ("image ID", id, facts.id.as_str()),
        ("base layer", &base, bottom),
        ("recipe", &recipe, facts.label(RECIPE)),
        ("package list", &closure, facts.label(PACKAGES)),
    ];
    let Some((what, locked, found)) = checks.iter().find(|(_, locked, found)| locked != found) else {
        return Ok(());
    };
    let message = format!("image {id} is off its lock: its {what} is `{found}`, it should be `{locked}`");
    Err(Error::new(ErrorKind::ImageOffLock, message)
        .with_hint("run `cargo xtask toolchain image --bootstrap`"))
}

/// Builds the image, reads back what is inside, and records it.
fn make(
    engine: Engine,
    name: &str,
    lock: &Lock,
    may_bootstrap: bool,
    context: &Context,
    events: Events<'_>,
) -> Result<MadeImage, Error> {
    let row = lock.image(name)?;
    let recipe = check_recipe(name, lock, row, context)?;
    let base = bootstrap::ensure(engine, &row.base, lock.base_of(row), may_bootstrap, context, events)?;
    if context.offline {
        return Err(Error::new(
            ErrorKind::Offline,
            format!("the image `{name}` is not made, and the network is off"),
        )
        .with_hint("run the same command once without --offline"));
    }
    let step = format!("make image {name}");
    events(Event::Started { step: step.clone() });
    let labels = [format!("{RECIPE}={}", row.recipe), format!("{PACKAGES}={}", row.closure)];
    let mut args: Vec<_> = labels.into_iter().flat_map(|label| ["--label".to_owned(), label]).collect();
    // The name is for people, and keeps the image when unnamed ones are pruned; nothing here goes by it.
    args.extend(["--tag".to_owned(), format!("localhost/seaworthy-{name}:{}", row.recipe.short())]);
    let folder = context.docker_dir.join(name);
    let id = recipe::build(engine, &folder, &base, &args, &mut |line| {
        events(Event::Output { step: step.clone(), line: line.to_owned() });
    })?;
    let image = read_back(engine, name, &id, &recipe, lock).inspect_err(|_| engine::discard(engine, &id))?;
    record(&record_path(engine, name, row, context), &image)?;
    events(Event::Finished { step, result: image.id.clone() });
    Ok(image)
}

/// The image must hold the locked packages: not what was asked for counts, but what is inside.
fn read_back(engine: Engine, name: &str, id: &str, recipe: &Recipe, lock: &Lock) -> Result<MadeImage, Error> {
    let row = lock.image(name)?;
    let found = recipe::packages_inside(engine, id)?;
    if Digest::of(found.as_bytes()) != row.closure {
        let message = format!("image `{name}` is off its lock:\n{}", recipe.differences(&found));
        return Err(Error::new(ErrorKind::ImageOffLock, message).with_hint(
            "Debian has moved on: run `cargo xtask toolchain image --bootstrap --update` and review what changes",
        ));
    }
    let facts = engine::image(engine, id)?.ok_or_else(|| {
        Error::new(ErrorKind::EngineFailed, format!("image {id} was built and is not there"))
    })?;
    check_facts(&facts.id, &facts, row, lock)?;
    let told = engine::read_in(engine, id, &[&row.compiler, "--version"])?;
    let compiler = told.lines().next().unwrap_or_default().to_owned();
    Ok(MadeImage { name: name.to_owned(), id: facts.id, recipe: row.recipe, packages: row.closure, compiler })
}

fn record_path(engine: Engine, name: &str, row: &ImageLock, context: &Context) -> PathBuf {
    let file = format!("{name}-{}.json", row.recipe.short());
    context.cache_dir.join("images").join(engine.program()).join(file)
}

/// Written beside its place, then renamed.
fn record(path: &Path, image: &MadeImage) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let private = path.with_extension("json.new");
    let text = serde_json::to_vec_pretty(image).expect("a MadeImage has only text in it");
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&private, text))
        .and_then(|()| fs::rename(&private, path))
        .map_err(|cause| Error::io(path, cause))
}
