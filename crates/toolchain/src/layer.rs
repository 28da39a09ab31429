//! An image's one layer: a whole Debian system out of the pool's packages and the image's folder, with the network off.
//! The same packages and folder give the same bytes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use artifact::{Digest, Engine, Event, Events};

use crate::archive::{self, Digests};
use crate::command::Program;
use crate::error::Faults as _;
use crate::lock::{Package, ToolLock};
use crate::pool::Pool;
use crate::recipe::Recipe;
use crate::tools::{self, SEARCH_PATH};
use crate::{Context, Error, ErrorKind, engine};

/// Where the image itself says what it was made of: `sha256 name=version:architecture` a line.
pub(crate) const LIST: &str = "/usr/share/seaworthy/packages";

/// A layer that was made, in a folder of its own.
#[derive(Debug)]
pub(crate) struct Layer {
    /// The archive that engines load.
    archive: PathBuf,
    _folder: tempfile::TempDir,
    /// What it is, and what the image is that it makes.
    pub(crate) digests: Digests,
    /// The tools inside.
    pub(crate) tools: BTreeMap<String, ToolLock>,
}

/// The text of [`LIST`].
pub(crate) fn list(packages: &[Package]) -> String {
    packages.iter().map(|package| format!("{} {}\n", package.sha256, package.identity())).collect()
}

/// Makes the layer of the image called `name` from `packages`, which are in the pool.
pub(crate) fn make(
    name: &str,
    recipe: &Recipe,
    packages: &[Package],
    context: &Context,
    events: Events<'_>,
) -> Result<Layer, Error> {
    let step = format!("make image {name}");
    events(Event::Started { step: step.clone() });
    let folder = private_folder(name, context)?;
    let place = folder.path();
    let repository = place.join("repository");
    fs::create_dir(&repository).map_err(|cause| Error::io(&repository, cause))?;
    Pool::of(context).repository(packages, &repository)?;
    let script = write_hook(recipe, packages, place)?;
    let archive = place.join("image.tar");
    let failed = |cause| Error::io(&archive, cause);
    let file = archive::begin(&archive).map_err(failed)?;
    let program = mmdebstrap(recipe, packages, &repository, &script);
    program
        .follow_into(&file, ErrorKind::ImageNotMade, &mut |line| {
            events(Event::Output { step: step.clone(), line: line.to_owned() });
        })
        .map_err(|error| match error.kind() {
            ErrorKind::MissingTool => error.with_hint("apt-get install mmdebstrap"),
            _ => error,
        })?;
    let digests = archive::end(file, |image| tag(name, image)).map_err(failed)?;
    let told = place.join("tools.txt");
    let tools = fs::read_to_string(&told).map_err(|cause| Error::io(&told, cause))?;
    let tools = tools::parse(&tools).map_err(|why| {
        Error::new(ErrorKind::ImageNotMade, format!("image `{name}`: its tools cannot be asked: {why}"))
    })?;
    events(Event::Finished { step, result: format!("sha256:{}", digests.image.short()) });
    Ok(Layer { archive, _folder: folder, digests, tools })
}

impl Layer {
    /// Loads it into the engine as an image.
    pub(crate) fn load(&self, engine: Engine) -> Result<(), Error> {
        engine::load(engine, &self.archive)
    }
}

/// The image's name in an engine, for people, and so that it is kept when unnamed ones are pruned. Nothing goes by it.
pub(crate) fn tag(name: &str, image: Digest) -> String {
    format!("localhost/seaworthy-{name}:{}", image.short())
}

/// `mmdebstrap`, which takes packages from `repository` alone. As root it has no network; as another user it has no
/// address to go to. The layer comes on its standard output.
fn mmdebstrap(recipe: &Recipe, packages: &[Package], repository: &Path, hook: &Path) -> Program {
    let include: Vec<_> =
        packages.iter().map(|package| format!("{}={}", package.name, package.version)).collect();
    let (program, first) = match rustix::process::getuid().is_root() {
        true => ("unshare", &["--net", "mmdebstrap"][..]),
        false => ("mmdebstrap", &[][..]),
    };
    Program::new(program)
        .args(first.iter().copied())
        .args(["--variant=essential", "--architectures=amd64"])
        .args(["doc", "man", "locale"].map(|kind| format!("--dpkgopt=path-exclude=/usr/share/{kind}/*")))
        .arg(format!("--include={}", include.join(",")))
        .arg(format!("--customize-hook=sh '{}' \"$1\"", hook.display()))
        .args(["", "-"])
        .arg(format!("deb [trusted=yes] copy:{} ./", repository.display()))
        .env("SOURCE_DATE_EPOCH", recipe.description.epoch.to_string())
}

/// Writes what is run at last, with the new system's folder as its argument, and the files that it needs.
fn write_hook(recipe: &Recipe, packages: &[Package], place: &Path) -> Result<PathBuf, Error> {
    let write = |name: &str, bytes: &[u8]| {
        let path = place.join(name);
        fs::write(&path, bytes).map_err(|cause| Error::io(&path, cause)).map(|()| path)
    };
    let inside = format!("chroot \"$root\" env -i PATH={SEARCH_PATH} LC_ALL=C.UTF-8");
    let mut script = "set -eu\numask 022\nroot=$1\nhere=$(dirname \"$0\")\n".to_owned();
    for (number, (to, bytes)) in recipe.placed().enumerate() {
        let (name, mode) = (format!("file-{number}"), if bytes.starts_with(b"#!") { "755" } else { "644" });
        write(&name, bytes)?;
        script.push_str(&format!("install -D -m {mode} \"$here/{name}\" \"$root{to}\"\n"));
    }
    if let Some(setup) = recipe.setup() {
        write("setup", setup)?;
        script.push_str(&format!(
            "install -m 755 \"$here/setup\" \"$root/tmp/setup\"\n{inside} /tmp/setup\nrm \"$root/tmp/setup\"\n"
        ));
    }
    write("tools", tools::script(&recipe.description.tools).as_bytes())?;
    write("packages", list(packages).as_bytes())?;
    script.push_str(&format!("{inside} sh -s <\"$here/tools\" >\"$here/tools.txt\"\n"));
    script.push_str(&format!("install -D -m 644 \"$here/packages\" \"$root{LIST}\"\n"));
    // What comes from this machine, and what says when and in which order things were done.
    script.push_str(
        "cd \"$root\"\n\
         rm -rf etc/hostname etc/resolv.conf etc/apt/sources.list var/lib/apt/lists/* var/log/apt var/log/*.log \\\n\
         \x20 var/cache/ldconfig/aux-cache\n",
    );
    write("hook", script.as_bytes())
}

/// Where the layer of the image `name` is made; it goes away with it, and what a killed run left goes away first, as nobody
/// else has the turn.
fn private_folder(name: &str, context: &Context) -> Result<tempfile::TempDir, Error> {
    use std::os::unix::fs::PermissionsExt as _;
    let prefix = format!("private-{name}-");
    // Another user's mmdebstrap works as a user that it makes up, to whom a home folder is closed.
    let is_root = rustix::process::getuid().is_root();
    let parent = if is_root { context.cache_dir.join("images") } else { std::env::temp_dir() };
    let failed = |cause| Error::io(&parent, cause);
    fs::create_dir_all(&parent).map_err(failed)?;
    for entry in fs::read_dir(&parent).map_err(failed)?.flatten().filter(|_| is_root) {
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            fs::remove_dir_all(entry.path()).map_err(failed)?;
        }
    }
    let folder = tempfile::Builder::new().prefix(&prefix).tempdir_in(&parent).map_err(failed)?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).map_err(failed)?;
    Ok(folder)
}
