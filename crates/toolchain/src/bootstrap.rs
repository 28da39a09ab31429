//! A base image: in the engine already, from the team's registry by digest, or made from Debian packages.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use artifact::{Digest, Engine, Event, Events};

use crate::command::Program;
use crate::error::Faults as _;
use crate::lock::BaseLock;
use crate::{Context, Error, ErrorKind, archive, engine};

/// Names another mirror for Debian packages than the one this machine's apt uses.
const MIRROR: &str = "SEAWORTHY_DEBIAN_MIRROR";
/// Where apt keeps its sources, in its older and its newer form (sources.list(5)).
const APT: &str = "/etc/apt";

/// The mirror that packages come from: the one asked for, else the first that this machine's apt uses.
pub(crate) fn mirror() -> Result<String, Error> {
    if let Ok(mirror) = env::var(MIRROR) {
        return Ok(mirror);
    }
    let apt = Path::new(APT);
    let mut files = vec![apt.join("sources.list")];
    if let Ok(entries) = fs::read_dir(apt.join("sources.list.d")) {
        let mut further: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        further.sort();
        files.extend(further);
    }
    let texts = files.iter().filter_map(|path| fs::read_to_string(path).ok());
    texts.into_iter().find_map(|text| mirror_in(&text)).ok_or_else(|| {
        Error::new(ErrorKind::DownloadFailed, format!("{APT} names no Debian mirror"))
            .with_hint(format!("set {MIRROR} to the address of a Debian mirror"))
    })
}

/// The first address in apt's sources whose last folder is `debian`: the archive itself, not its security updates and
/// not somebody else's packages.
fn mirror_in(sources: &str) -> Option<String> {
    let lines = sources.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let words = lines.flat_map(str::split_whitespace);
    let mut addresses = words.filter(|word| word.starts_with("http://") || word.starts_with("https://"));
    addresses.find(|word| word.trim_end_matches('/').ends_with("/debian")).map(str::to_owned)
}

/// The base's name in the engine; what it names is checked each time.
pub(crate) fn tag(suite: &str, layer: Digest) -> String {
    format!("localhost/seaworthy-base-{suite}:{}", layer.short())
}

/// Makes sure that the engine has the locked base of `suite`, and gives its name there.
pub(crate) fn ensure(
    engine: Engine,
    suite: &str,
    base: &BaseLock,
    may_bootstrap: bool,
    context: &Context,
    events: Events<'_>,
) -> Result<String, Error> {
    let tag = tag(suite, base.layer);
    if holds(engine, &tag, base)? {
        return Ok(tag);
    }
    if let Some(reference) = base.reference.as_ref().filter(|_| !context.offline) {
        let step = format!("pull {reference}");
        events(Event::Started { step: step.clone() });
        engine::pull(engine, reference, &tag, &mut |line| output(events, &step, line))?;
        events(Event::Finished { step, result: String::new() });
    } else if may_bootstrap && !context.offline {
        let made = make(suite, base.epoch, &private_folder(context)?, events)?;
        made.expect(suite, base)?;
        made.load(engine, suite)?;
    } else {
        let message = format!("the base {tag} is not in {}", engine.program());
        let hint = if context.offline {
            "run the same command once without --offline"
        } else {
            "run `cargo xtask toolchain image --bootstrap`, or set `reference` in docker/toolchain.lock"
        };
        return Err(Error::new(ErrorKind::ImageMissing, message).with_hint(hint));
    }
    if holds(engine, &tag, base)? {
        return Ok(tag);
    }
    Err(Error::new(
        ErrorKind::ImageOffLock,
        format!("{tag} is in {} and is not the locked base", engine.program()),
    )
    .with_hint(format!("remove it: `{} image rm {tag}`", engine.program())))
}

/// Whether the engine's image `tag` has the locked layer and no other.
fn holds(engine: Engine, tag: &str, base: &BaseLock) -> Result<bool, Error> {
    let facts = engine::image(engine, tag)?;
    Ok(facts.is_some_and(|facts| facts.layers == [format!("sha256:{}", base.layer)]))
}

/// A base that was made, in a folder of its own.
#[derive(Debug)]
pub(crate) struct MadeBase {
    folder: tempfile::TempDir,
    layer_file: PathBuf,
    /// sha256 of its tar file.
    pub(crate) layer: Digest,
    /// sha256 of its configuration.
    pub(crate) image: Digest,
}

/// Makes the minimal system of `suite` from Debian packages; the same packages give the same bytes.
pub(crate) fn make(suite: &str, epoch: u64, parent: &Path, events: Events<'_>) -> Result<MadeBase, Error> {
    let step = format!("bootstrap Debian {suite}");
    events(Event::Started { step: step.clone() });
    let folder = tempfile::Builder::new().prefix("base-").tempdir_in(parent);
    let folder = folder.map_err(|cause| Error::io(parent, cause))?;
    let layer_file = folder.path().join("layer.tar");
    // What mmdebstrap takes over from this machine goes away again: host name, resolver, mirror.
    let hosts_own = "rm -f \"$1\"/etc/hostname \"$1\"/etc/resolv.conf \"$1\"/etc/apt/sources.list";
    let program = Program::new("mmdebstrap")
        .args(["--variant=minbase", "--architectures=amd64"])
        .args(["doc", "man", "locale"].map(|kind| format!("--dpkgopt=path-exclude=/usr/share/{kind}/*")))
        .arg(format!("--customize-hook={hosts_own}"))
        .args([suite.to_owned(), layer_file.to_string_lossy().into_owned(), mirror()?])
        .env("SOURCE_DATE_EPOCH", epoch.to_string());
    program.follow(ErrorKind::ImageNotMade, &mut |line| output(events, &step, line)).map_err(|error| {
        let hint = match error.kind() {
            ErrorKind::MissingTool => "apt-get install mmdebstrap",
            _ => "check the network; SEAWORTHY_DEBIAN_MIRROR names another mirror",
        };
        error.with_hint(hint)
    })?;
    let (layer, _) = Digest::of_file(&layer_file).map_err(|cause| Error::io(&layer_file, cause))?;
    let image = Digest::of(&archive::configuration(layer));
    events(Event::Finished { step, result: format!("sha256:{}", image.short()) });
    Ok(MadeBase { folder, layer_file, layer, image })
}

impl MadeBase {
    /// Compares it with the lock.
    fn expect(&self, suite: &str, base: &BaseLock) -> Result<(), Error> {
        if (self.layer, self.image) == (base.layer, base.image) {
            return Ok(());
        }
        let message = format!(
            "the base of {suite} that was made, sha256:{}, is not the locked one, sha256:{}",
            self.image, base.image
        );
        Err(Error::new(ErrorKind::ImageOffLock, message).with_hint(
            "the suite has had a point release: run `cargo xtask toolchain image --bootstrap --update` and review what changes",
        ))
    }

    /// Loads it into the engine under its name.
    pub(crate) fn load(&self, engine: Engine, suite: &str) -> Result<String, Error> {
        let (path, tag) = (self.folder.path().join("image.tar"), tag(suite, self.layer));
        archive::write(&path, &self.layer_file, self.layer, &tag).map_err(|cause| Error::io(&path, cause))?;
        engine::load(engine, &path)?;
        Ok(tag)
    }
}

/// Where bases are made before they are loaded; a killed run's leavings go away, as nobody else has the turn.
pub(crate) fn private_folder(context: &Context) -> Result<PathBuf, Error> {
    let folder = context.cache_dir.join("images/private");
    let emptied = if folder.exists() { fs::remove_dir_all(&folder) } else { Ok(()) };
    emptied.and_then(|()| fs::create_dir_all(&folder)).map_err(|cause| Error::io(&folder, cause))?;
    Ok(folder)
}

fn output(events: Events<'_>, step: &str, line: &str) {
    events(Event::Output { step: step.to_owned(), line: line.to_owned() });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_the_archive_that_apt_uses_in_either_form() {
        let older = "# deb http://old/debian x\ndeb https://packages.example/tool stable main\ndeb http://mirror.example/debian bookworm main\n";
        assert_eq!(mirror_in(older).as_deref(), Some("http://mirror.example/debian"));
        let newer = "Types: deb\nURIs: http://mirror.example/debian-security\nSuites: x\n\nTypes: deb\nURIs: https://mirror.example/debian/\n";
        assert_eq!(mirror_in(newer).as_deref(), Some("https://mirror.example/debian/"));
        assert_eq!(mirror_in("deb http://security.example/debian-security x main"), None);
    }
}
