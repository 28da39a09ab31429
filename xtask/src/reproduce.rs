//! `reproduce` and `release --prove`: a release built again, what differs and why, and what others say of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use artifact::{BuilderKind, Target};
use manifest::Manifest;
use plan::ReleasePlan;
use reproduce::{
    Compared, FileComparison, Rebuilder, Signers, Statement, Sworn, Verdict, compare_files, compare_release,
    worst,
};

use crate::args::{Builder, ReproduceArgs, Variation};
use crate::failure::{Failure, Message};
use crate::rebuild::{self, NoSource, Rebuilt, Request};
use crate::render::{self, Renderer};

/// The name of a statement's file.
const STATEMENT: &str = "rebuild.json";

/// Runs the command.
pub(crate) fn run(args: &ReproduceArgs, renderer: &Renderer) -> Result<(), Failure> {
    if !args.challenge.is_empty() {
        return challenge(args, renderer);
    }
    let folder = args.release.as_deref().unwrap_or(Path::new("."));
    if let Some(other) = &args.against {
        return against(folder, other, renderer);
    }
    let published = read_manifest(folder)?;
    let request = Request {
        workspace: &args.workspace,
        commit: &published.commit,
        commit_time: published.commit_time,
        made: made(folder),
        builds: builds(&published, args.builder),
        varied: variations(&args.vary),
        offline: args.offline,
    };
    if args.sign.is_some() && args.out.is_none() {
        return Err(Failure::Usage(Message::new(
            "there is no statement to sign",
            "name a folder for it with --out",
        )));
    }
    let mut rebuilt = Manifest { builders: BTreeMap::new(), ..published.clone() };
    let files = if published.dirty {
        let missing =
            format!("the source: the work tree differed from commit {} when this was made", published.commit);
        all_missing(&published, &missing)
    } else {
        renderer.status(
            "rebuild",
            &format!("{} {} of commit {:.12}", published.product, published.version, published.commit),
        );
        match rebuild::again(&request, &|kind| renderer.status("rebuild", &format!("with {}", kind.name()))) {
            Ok(made) => {
                for (_, manifest) in &made.releases {
                    rebuilt.builders.extend(manifest.builders.clone());
                }
                let files = compare((folder, &published), &made)?;
                keep(args.out.as_deref(), &made)?;
                files
            }
            Err(NoSource::Missing(what)) => all_missing(&published, &what),
            Err(NoSource::Failed(failure)) => return Err(failure),
        }
    };
    let varied = request.varied.iter().map(|variation| variation.name().to_owned()).collect();
    let rebuilder = Rebuilder {
        name: args.name.clone().unwrap_or_else(|| "unnamed".to_owned()),
        tool: format!("seaworthy {}", env!("CARGO_PKG_VERSION")),
    };
    let statement = Statement::new(&published, &rebuilt, rebuilder, varied, files);
    if let Some(out) = &args.out {
        write_statement(out, &statement, args.sign.as_deref())?;
    }
    renderer.result(&statement, |statement| render::reproduced(&statement.predicate));
    ended(statement.predicate.verdict)
}

/// Compares two releases, or two files, that are there already.
fn against(published: &Path, rebuilt: &Path, renderer: &Renderer) -> Result<(), Failure> {
    let files = if published.is_dir() {
        let (ours, theirs) = (read_manifest(published)?, read_manifest(rebuilt)?);
        compare_release((published, &ours), (rebuilt, &theirs))?
    } else {
        vec![compare_files(published, rebuilt)?]
    };
    renderer.result(&files, |files| render::differences(files));
    ended(worst(&files))
}

fn ended(verdict: Verdict) -> Result<(), Failure> {
    if verdict.is_same() { Ok(()) } else { Err(Failure::NotReproduced(verdict, Vec::new())) }
}

/// Makes a release that is about to be published once more, elsewhere, and refuses it if the two are not the same.
pub(crate) fn prove(plan: &ReleasePlan, staged: &Path, manifest: &Manifest) -> Result<(), Failure> {
    if plan.source.dirty {
        return Err(Failure::Plan(Message::new(
            "a work tree that differs from its commit cannot be built again elsewhere",
            "commit the changes, or release without --prove",
        )));
    }
    let request = Request {
        workspace: &plan.workspace,
        commit: &plan.source.commit,
        commit_time: plan.source.commit_time,
        made: SystemTime::now(),
        builds: BTreeMap::from([(plan.builder.kind, plan.targets.clone())]),
        varied: variations(&[]),
        offline: true, // everything was fetched a moment ago
    };
    let made = rebuild::again(&request, &|_| {}).map_err(|reason| match reason {
        NoSource::Missing(what) => {
            Failure::Plan(Message::new(format!("cannot be built again without {what}"), "commit it"))
        }
        NoSource::Failed(failure) => failure,
    })?;
    let files = compare((staged, manifest), &made)?;
    match worst(&files) {
        verdict if verdict.is_same() => Ok(()),
        verdict => Err(Failure::NotReproduced(verdict, files)),
    }
}

/// The targets of a release by the kind of builder that makes them again.
fn builds(published: &Manifest, asked: Option<Builder>) -> BTreeMap<BuilderKind, Vec<Target>> {
    let asked = asked.and_then(Builder::wanted);
    let mut builds: BTreeMap<BuilderKind, Vec<Target>> = BTreeMap::new();
    for (target, builder) in &published.builders {
        builds.entry(asked.unwrap_or(builder.kind)).or_default().push(*target);
    }
    builds
}

/// What is varied: what was asked for, else all that needs neither rights nor a copy of what cargo downloaded.
fn variations(asked: &[Variation]) -> BTreeSet<Variation> {
    use Variation::{Directory, Locale, TargetDirectory, Umask};
    let usual = [Locale, TargetDirectory, Umask];
    let chosen = if asked.is_empty() { &usual } else { asked };
    chosen.iter().copied().chain([Directory]).collect()
}

fn compare((folder, published): (&Path, &Manifest), made: &Rebuilt) -> Result<Vec<FileComparison>, Failure> {
    let mut files = Vec::new();
    for (rebuilt_folder, rebuilt) in &made.releases {
        files.extend(compare_release((folder, &of_targets(published, rebuilt)), (rebuilt_folder, rebuilt))?);
    }
    for (targets, why) in &made.missing {
        let of_targets = published.files.iter().filter(|file| targets.contains(&file.target));
        files.extend(of_targets.map(|file| missing(file, why)));
    }
    files.sort_by(|a, b| a.file.name.cmp(&b.file.name));
    Ok(files)
}

/// `published` with the files of those targets alone that `rebuilt` was made for.
fn of_targets(published: &Manifest, rebuilt: &Manifest) -> Manifest {
    let mut part = published.clone();
    part.files.retain(|file| rebuilt.builders.contains_key(&file.target));
    part
}

fn all_missing(published: &Manifest, what: &str) -> Vec<FileComparison> {
    published.files.iter().map(|file| missing(file, what)).collect()
}

fn missing(file: &manifest::File, what: &str) -> FileComparison {
    FileComparison {
        file: Compared::cannot(&file.name, what),
        published_sha256: file.sha256,
        rebuilt_sha256: None,
        members: Vec::new(),
    }
}

/// When the release in `folder` was there: its manifest is written last. Where no file says so, it may have been just now.
fn made(folder: &Path) -> SystemTime {
    let written = fs::metadata(folder.join("manifest.json")).and_then(|metadata| metadata.modified());
    written.unwrap_or_else(|_| SystemTime::now())
}

fn read_manifest(folder: &Path) -> Result<Manifest, Failure> {
    let path = folder.join("manifest.json");
    let unreadable = |what: String, hint: &str| Failure::Unreadable(Message::new(what, hint));
    let bytes = fs::read(&path).map_err(|error| {
        unreadable(
            format!("cannot read {}: {error}", path.display()),
            "name a release folder, such as dist/NAME-VERSION",
        )
    })?;
    Manifest::read(&bytes).map_err(|error| {
        let mut message = Message::from(&error);
        message.sentence = format!("{}: {error}", path.display());
        Failure::Unreadable(message)
    })
}

/// Copies what was made again into `out`, beside the statement about it.
fn keep(out: Option<&Path>, made: &Rebuilt) -> Result<(), Failure> {
    let Some(out) = out else { return Ok(()) };
    fs::create_dir_all(out).map_err(|error| cannot_write(out, &error))?;
    for (folder, manifest) in &made.releases {
        let mut names: Vec<_> = manifest.files.iter().map(|file| file.name.as_str()).collect();
        if made.releases.len() == 1 {
            names.extend(["manifest.json", "SHA256SUMS"]); // of several, none is about all
        }
        for name in names {
            let to = out.join(name);
            fs::copy(folder.join(name), &to).map_err(|error| cannot_write(&to, &error))?;
        }
    }
    Ok(())
}

fn write_statement(out: &Path, statement: &Statement, key: Option<&Path>) -> Result<(), Failure> {
    let path = out.join(STATEMENT);
    let written = fs::create_dir_all(out).and_then(|()| fs::write(&path, statement.to_bytes()));
    written.map_err(|error| cannot_write(&path, &error))?;
    if let Some(key) = key {
        reproduce::sign(&path, key)?;
    }
    Ok(())
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Package(Message::new(
        format!("cannot write {}: {error}", path.display()),
        "name another folder with --out",
    ))
}

/// What several rebuilders say of one release.
fn challenge(args: &ReproduceArgs, renderer: &Renderer) -> Result<(), Failure> {
    let signers = args.allowed_signers.as_deref().map(Signers::open).transpose()?;
    let mut sworn = Vec::new();
    for place in &args.challenge {
        let path: PathBuf = if place.is_dir() { place.join(STATEMENT) } else { place.clone() };
        let bytes = fs::read(&path).map_err(|error| {
            let hint = "name folders that `reproduce --out` wrote";
            Failure::Unreadable(Message::new(format!("cannot read {}: {error}", path.display()), hint))
        })?;
        let statement = Statement::read(&bytes).map_err(|error| {
            let mut message = Message::from(&error);
            message.sentence = format!("{}: {error}", path.display());
            Failure::Unreadable(message)
        })?;
        let by = match &signers {
            Some(signers) => reproduce::verify_signature(&path, signers)?,
            None => statement.predicate.rebuilder.name.clone(),
        };
        sworn.push(Sworn { by, statement });
    }
    if signers.is_none() {
        renderer.note("the statements' signatures are not checked: pass --allowed-signers");
    }
    let needed = args.need.map_or(sworn.len(), |need| need.get());
    let challenge = reproduce::challenge(&sworn, needed)?;
    renderer.result(&challenge, render::challenged);
    ended(if challenge.holds() { Verdict::Identical } else { Verdict::Different })
}
