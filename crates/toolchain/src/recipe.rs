//! One folder of `docker/`: what its digest covers, and how its versions follow Debian when that is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use artifact::{Digest, Engine, Event, Events};

use crate::error::Faults as _;
use crate::lock::{BaseLock, Lock};
use crate::{Context, Error, ErrorKind, bootstrap, engine};

/// Every package in an image, one `package=version:architecture` a line, sorted.
pub(crate) const LIST: &str = "packages.txt";

/// The files of an image's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recipe {
    files: BTreeMap<String, Vec<u8>>,
    list: String,
    base: Digest,
}

impl Recipe {
    /// Reads `folder`, whose image is made on `base`.
    pub(crate) fn read(folder: &Path, base: &BaseLock) -> Result<Recipe, Error> {
        let failed = |cause| Error::io(folder, cause);
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            files.insert(name, fs::read(&path).map_err(|cause| Error::io(&path, cause))?);
        }
        let list = String::from_utf8_lossy(&files.remove(LIST).unwrap_or_default()).into_owned();
        if !files.contains_key("Dockerfile") {
            return Err(Error::new(
                ErrorKind::LockInvalid,
                format!("{} has no Dockerfile", folder.display()),
            ));
        }
        Ok(Recipe { files, list, base: base.image })
    }

    /// Digest over the base and every file's name and bytes, the package list excepted.
    pub(crate) fn digest(&self) -> Digest {
        let mut text = format!("base {}\n", self.base);
        for (name, bytes) in &self.files {
            text.push_str(&format!("{} {name}\n", Digest::of(bytes)));
        }
        Digest::of(text.as_bytes())
    }

    /// `package=version` as the Dockerfile installs them, in its order.
    pub(crate) fn packages(&self) -> Vec<String> {
        let dockerfile = String::from_utf8_lossy(&self.files["Dockerfile"]).into_owned();
        dockerfile
            .lines()
            .filter_map(pinned)
            .map(|(package, version)| format!("{package}={version}"))
            .collect()
    }

    /// The package list in the folder.
    pub(crate) fn list(&self) -> &str {
        &self.list
    }

    /// Digest of the committed package list.
    pub(crate) fn closure(&self) -> Digest {
        Digest::of(self.list.as_bytes())
    }

    /// What `found` has that the committed list has not, and the other way round.
    pub(crate) fn differences(&self, found: &str) -> String {
        let (locked, found): (BTreeSet<_>, BTreeSet<_>) =
            (self.list.lines().collect(), found.lines().collect());
        let gone = locked.difference(&found).map(|line| format!("  locked, not inside: {line}"));
        let new = found.difference(&locked).map(|line| format!("  inside, not locked: {line}"));
        gone.chain(new).collect::<Vec<_>>().join("\n")
    }
}

/// A line of the Dockerfile that is one argument of apt-get: `gcc=4:10.2.1-1 \`, also with a `;` at its end.
fn pinned(line: &str) -> Option<(&str, &str)> {
    let word = line.trim().trim_end_matches('\\').trim_end().trim_end_matches(';');
    let (package, version) = word.split_once('=')?;
    let is_plain = |text: &str, more: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
    };
    let is_package = is_plain(package, "-+.") && package.starts_with(|c: char| c.is_ascii_lowercase());
    (is_package && is_plain(version, "-+.:~")).then_some((package, version))
}

/// Builds the image of `folder` on the image named `base`.
pub(crate) fn build(
    engine: Engine,
    folder: &Path,
    base: &str,
    args: &[String],
    on_line: &mut dyn FnMut(&str),
) -> Result<String, Error> {
    let mut all = vec!["--build-arg".to_owned(), format!("BASE={base}")];
    all.extend(["--build-arg".to_owned(), format!("MIRROR={}", bootstrap::mirror()?)]);
    all.extend(args.iter().cloned());
    engine::build(engine, folder, &all, on_line).map_err(|error| {
        let hint = "where a version is not found, Debian has moved on: run `cargo xtask toolchain image --bootstrap --update`; \
             else check the network, or set SEAWORTHY_DEBIAN_MIRROR";
        error.with_hint(hint)
    })
}

/// The package list of an image, read from inside without network.
pub(crate) fn packages_inside(engine: Engine, image: &str) -> Result<String, Error> {
    let format = "-f=${Package}=${Version}:${Architecture}\\n";
    let printed = engine::read_in(engine, image, &["dpkg-query", "-W", format])?;
    let mut lines: Vec<_> = printed.lines().collect();
    lines.sort_unstable();
    Ok(lines.join("\n") + "\n")
}

/// Makes bases and images from what Debian has today, and writes their digests and versions into `docker/`.
pub(crate) fn update(
    engine: Engine,
    names: &[&str],
    context: &Context,
    events: Events<'_>,
) -> Result<(), Error> {
    let mut lock = Lock::read(&context.lock_path)?;
    let mut tags = BTreeMap::new();
    for name in names {
        let suite = lock.image(name)?.base.clone();
        if tags.contains_key(&suite) {
            continue;
        }
        let epoch = lock.bases[&suite].epoch;
        let made = bootstrap::make(&suite, epoch, &bootstrap::private_folder(context)?, events)?;
        tags.insert(suite.clone(), made.load(engine, &suite)?);
        let base = lock.bases.get_mut(&suite).expect("it was read from there");
        (base.layer, base.image) = (made.layer, made.image);
    }
    for name in names {
        let folder = context.docker_dir.join(name);
        let list = todays_packages(engine, &folder, &tags[&lock.image(name)?.base], context, events)?;
        write(&folder.join("Dockerfile"), &repinned(&folder.join("Dockerfile"), &list)?)?;
        write(&folder.join(LIST), &list)?;
    }
    // A base serves several images: each of them has a new recipe when it changes.
    for (name, row) in &mut lock.images {
        let recipe = Recipe::read(&context.docker_dir.join(name), &lock.bases[&row.base])?;
        (row.recipe, row.packages, row.closure) = (recipe.digest(), recipe.packages(), recipe.closure());
    }
    write(&context.lock_path, &lock.render())
}

/// Builds the image without its version numbers and lists what came.
fn todays_packages(
    engine: Engine,
    folder: &Path,
    base: &str,
    context: &Context,
    events: Events<'_>,
) -> Result<String, Error> {
    let parent = bootstrap::private_folder(context)?;
    let dockerfile = read(&folder.join("Dockerfile"))?;
    let unpinned = dockerfile.lines().map(|line| match pinned(line) {
        Some((_, version)) => line.replacen(&format!("={version}"), "", 1),
        None => line.to_owned(),
    });
    let copy = parent.join("recipe");
    fs::create_dir_all(&copy).map_err(|cause| Error::io(&copy, cause))?;
    for entry in fs::read_dir(folder).map_err(|cause| Error::io(folder, cause))? {
        let path = entry.map_err(|cause| Error::io(folder, cause))?.path();
        fs::copy(&path, copy.join(path.file_name().unwrap_or_default()))
            .map_err(|cause| Error::io(&path, cause))?;
    }
    write(&copy.join("Dockerfile"), &(unpinned.collect::<Vec<_>>().join("\n") + "\n"))?;
    let step = format!("look at today's packages for {}", folder.display());
    events(Event::Started { step: step.clone() });
    let id = build(engine, &copy, base, &["--no-cache".to_owned()], &mut |line| {
        events(Event::Output { step: step.clone(), line: line.to_owned() });
    })?;
    let list = packages_inside(engine, &id);
    engine::discard(engine, &id);
    events(Event::Finished { step, result: String::new() });
    list
}

/// The Dockerfile with the versions of `list`.
fn repinned(path: &Path, list: &str) -> Result<String, Error> {
    let text = read(path)?;
    let mut lines = Vec::new();
    for line in text.lines() {
        let Some((package, version)) = pinned(line) else {
            lines.push(line.to_owned());
            continue;
        };
        let start = format!("{package}=");
        let installed = list.lines().find_map(|row| row.strip_prefix(&start)?.rsplit_once(':'));
        let (installed, _) = installed.ok_or_else(|| {
            Error::new(ErrorKind::ImageNotMade, format!("{}: `{package}` was not installed", path.display()))
        })?;
        lines.push(line.replacen(&format!("={version}"), &format!("={installed}"), 1));
    }
    Ok(lines.join("\n") + "\n")
}

fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|cause| Error::io(path, cause))
}

/// Written beside its place, then renamed.
fn write(path: &Path, text: &str) -> Result<(), Error> {
    let private = path.with_extension(format!("new{}", std::process::id()));
    fs::write(&private, text)
        .and_then(|()| fs::rename(&private, path))
        .map_err(|cause| Error::io(path, cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_pins_of_a_dockerfile() {
        assert_eq!(pinned("      gcc=4:10.2.1-1 \\"), Some(("gcc", "4:10.2.1-1")));
        assert_eq!(pinned("      wine64=10.0~repack-6;  \\"), Some(("wine64", "10.0~repack-6")));
        for other in ["ARG MIRROR=http://x", "RUN HOME=/tmp x", "# a=b c", "FROM ${BASE}", "LABEL a"] {
            assert_eq!(pinned(other), None, "{other}");
        }
    }

    #[test]
    fn versions_follow_the_list() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("Dockerfile");
        fs::write(&path, "RUN install \\\n  gcc=1 \\\n  libc6-dev=2; \\\n  rm x\n").unwrap();
        let list = "gcc=4:9-1:amd64\nlibc6-dev=3:amd64\n";
        assert_eq!(
            repinned(&path, list).unwrap(),
            "RUN install \\\n  gcc=4:9-1 \\\n  libc6-dev=3; \\\n  rm x\n"
        );
        assert!(repinned(&path, "gcc=1:amd64\n").is_err());
    }

    #[test]
    fn a_changed_file_changes_the_recipe_and_the_list_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let base = BaseLock { epoch: 0, layer: Digest::of(b"l"), image: Digest::of(b"i"), reference: None };
        let digest = || Recipe::read(folder.path(), &base).unwrap().digest();
        fs::write(folder.path().join("Dockerfile"), "FROM x").unwrap();
        let first = digest();
        fs::write(folder.path().join(LIST), "a=1:amd64\n").unwrap();
        assert_eq!(digest(), first);
        fs::write(folder.path().join("script"), "echo").unwrap();
        assert_ne!(digest(), first);
    }

    #[test]
    fn differing_packages_are_named() {
        let recipe = Recipe { files: BTreeMap::new(), list: "a=1\nb=1\n".to_owned(), base: Digest::of(b"") };
        let told = recipe.differences("a=1\nb=2\n");
        assert_eq!(told, "  locked, not inside: b=1\n  inside, not locked: b=2");
    }
}
