//! The lock written anew: what Debian and Rust are today, and the images that come of it.

use std::fs;
use std::path::Path;

use artifact::{Digest, Event, Events, Target};

use crate::error::Faults as _;
use crate::image::{image_turn, names};
use crate::lock::{EnvironmentLock, ImageLock, Lock, RustLock, built_in_shims};
use crate::pool::Pool;
use crate::recipe::Recipe;
use crate::rows::{Locked, RowDifference};
use crate::rust::Rust;
use crate::{Context, Error, ErrorKind, debian, layer, lock_for};

/// What the lock would be today, the images themselves not made yet.
#[derive(Debug)]
pub struct Resolved {
    lock: Lock,
    differences: Vec<RowDifference>,
}

/// Asks Debian for today's packages of the images of `targets`, and this machine for its Rust. Writes nothing.
pub fn resolve(targets: &[Target], context: &Context, events: Events<'_>) -> Result<Resolved, Error> {
    let present = Lock::read(&context.lock_path)?;
    let mut lock = present.clone();
    let rust = Rust::of(&context.workspace_root)?;
    lock.rust = RustLock {
        release: rust.release.clone(),
        commit: rust.commit.clone(),
        components: rust.components()?,
    };
    lock.environment = EnvironmentLock::built_in();
    lock.shims = built_in_shims();
    for name in names(targets) {
        let recipe = Recipe::read(&context.docker_dir.join(name))?;
        let step = format!("resolve image {name}");
        events(Event::Started { step: step.clone() });
        let folder = tempfile::tempdir().map_err(|cause| Error::io(&std::env::temp_dir(), cause))?;
        let packages = debian::resolve(&recipe.description, folder.path(), &mut |line| {
            events(Event::Output { step: step.clone(), line: line.to_owned() });
        })?;
        events(Event::Finished { step, result: format!("{} packages", packages.len()) });
        let nothing = Digest::of(b"");
        let row = lock.images.entry(name.to_owned()).or_insert_with(|| ImageLock {
            recipe: nothing,
            inputs: nothing,
            layer: nothing,
            image: nothing,
            reference: None,
            tools: Default::default(),
            packages: Vec::new(),
        });
        row.recipe = recipe.digest();
        row.packages = packages;
    }
    let differences = Locked::of_lock(&present).differences(&Locked::of_lock(&lock));
    Ok(Resolved { lock, differences })
}

impl Resolved {
    /// The rows that the lock would have otherwise; those that can change programs first. What comes of them, digests of
    /// images and their tools, is known once it is written.
    pub fn differences(&self) -> &[RowDifference] {
        &self.differences
    }

    /// Makes the images that are made of something else now, or all of them where `again` asks for it, and writes the lock;
    /// gives its identity.
    pub fn write(mut self, context: &Context, again: bool, events: Events<'_>) -> Result<Digest, Error> {
        for (name, row) in &mut self.lock.images {
            let inputs = ImageLock::inputs(row.recipe, &row.packages);
            if inputs == row.inputs && !again {
                continue;
            }
            let recipe = Recipe::read(&context.docker_dir.join(name))?;
            if recipe.digest() != row.recipe {
                let message =
                    format!("docker/{name} is not what its row says, and no target that needs it was named");
                return Err(
                    Error::new(ErrorKind::LockInvalid, message).with_hint("name all targets, or none")
                );
            }
            Pool::of(context).fill(&row.packages, true, context.offline, events)?;
            let _only_one = image_turn(name, context)?;
            let made = layer::make(name, &recipe, &row.packages, context, events)?;
            row.inputs = inputs;
            (row.layer, row.image) = (made.digests.layer, made.digests.image);
            row.tools = made.tools;
            row.reference = None; // it names the older one
        }
        write(&context.lock_path, &self.lock.render())?;
        Ok(self.lock.id())
    }
}

/// Gets everything that the builders of `targets` are made of and that is not on this machine, and checks all of it.
pub fn fill_pool(targets: &[Target], context: &Context, events: Events<'_>) -> Result<Digest, Error> {
    let lock = Lock::read(&context.lock_path)?;
    let rust = Rust::of(&context.workspace_root)?;
    for target in targets {
        rust.ensure_target(context, *target, events)?;
        lock_for(*target, &rust, context)?;
    }
    for name in names(targets) {
        Pool::of(context).fill(&lock.image(name)?.packages, true, context.offline, events)?;
    }
    crate::zig::fetch(context, events)?;
    Ok(lock.id())
}

/// Written beside its place, then renamed.
fn write(path: &Path, text: &str) -> Result<(), Error> {
    let private = path.with_extension(format!("new{}", std::process::id()));
    fs::write(&private, text)
        .and_then(|()| fs::rename(&private, path))
        .map_err(|cause| Error::io(path, cause))
}
