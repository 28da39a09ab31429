//! `env`: places captured, compared, and asked whether a release runs there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use artifact::{BinaryFormat, Digest, Machine};
use environment::{Capture, Drift, DriftPolicy, Fleet, FleetDrift, Key, Place, Request, Verdict, Wanted};
use inputs::Limits;
use manifest::{FileKind, Manifest};
use schemars::JsonSchema;
use serde::Serialize;

use crate::args::{CaptureArgs, CheckArgs, DiffArgs, EnvironmentCommand, TrendArgs};
use crate::failure::{Failure, Message};
use crate::render::{self, Renderer};

/// A capture of more bytes is not read.
const LARGEST: u64 = 256 << 20;

/// Runs the command.
pub(crate) fn run(command: EnvironmentCommand, renderer: &Renderer) -> Result<(), Failure> {
    match command {
        EnvironmentCommand::Capture(args) => capture(&args, renderer),
        EnvironmentCommand::Diff(args) => diff(&args, renderer),
        EnvironmentCommand::Trend(args) => trend(&args, renderer),
        EnvironmentCommand::Check(args) => check(&args, renderer),
    }
}

fn capture(args: &CaptureArgs, renderer: &Renderer) -> Result<(), Failure> {
    if let Some(day) = args.at.as_deref().filter(|day| artifact::Date::parse(day).is_none()) {
        return Err(Failure::Usage(Message::new(format!("`{day}` is no day"), "write YYYY-MM-DD")));
    }
    let key = args.key.as_deref().map(read_key).transpose()?;
    let request =
        Request { name: args.name.clone(), taken: args.at.clone(), artifacts: wanted(&args.artifacts)?, key };
    let capture = environment::capture(&Place::open(&args.place)?, &request)?;
    let text = String::from_utf8_lossy(&capture.to_bytes()).into_owned();
    match &args.out {
        None => renderer.raw(&text),
        Some(out) => {
            fs::write(out, &text).map_err(|error| {
                let sentence = format!("cannot write {}: {error}", out.display());
                Failure::Package(Message::new(sentence, "name another file with --out"))
            })?;
            renderer.result(&capture, render::captured);
        }
    }
    Ok(())
}

fn read_key(path: &Path) -> Result<Key, Failure> {
    let bytes = read(path)?;
    Key::new(bytes).ok_or_else(|| {
        let sentence = format!("the key {} has fewer than 16 bytes and could be guessed", path.display());
        Failure::Usage(Message::new(sentence, "make one: head -c 32 /dev/urandom > KEY"))
    })
}

fn wanted(paths: &[PathBuf]) -> Result<Vec<Wanted>, Failure> {
    let one = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Wanted { name, bytes: read(path)?, installed: None })
    };
    paths.iter().map(one).collect()
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| {
        let sentence = format!("cannot read {}: {error}", path.display());
        Failure::Unreadable(Message::new(sentence, "name a file that is there"))
    })
}

fn policy(path: Option<&Path>) -> Result<DriftPolicy, Failure> {
    let Some(path) = path else { return Ok(DriftPolicy::default()) };
    let text = String::from_utf8_lossy(&read(path)?).into_owned();
    Ok(DriftPolicy::parse(&path.display().to_string(), &text, artifact::Date::today())?)
}

fn diff(args: &DiffArgs, renderer: &Renderer) -> Result<(), Failure> {
    let policy = policy(args.policy.as_deref())?;
    let artifacts = wanted(&args.artifacts)?;
    let a = open(&args.a, &artifacts)?;
    let places = places(&args.b)?;
    if let [b] = places.as_slice() {
        let drift = environment::diff(&a, &open(b, &artifacts)?, &policy)?;
        renderer.result(&drift, |drift| render::drift(drift, args.verbose));
        return ended(drift.verdict);
    }
    let fleet = fleet(&a, &places, &artifacts, &policy)?;
    renderer.result(&fleet, render::fleet);
    ended(fleet.verdicts.keys().max().copied().unwrap_or(Verdict::Within))
}

fn ended(verdict: Verdict) -> Result<(), Failure> {
    if verdict == Verdict::Within { Ok(()) } else { Err(Failure::Drifted(verdict)) }
}

/// The places that were named; of a folder of captures, each of these.
fn places(named: &[String]) -> Result<Vec<String>, Failure> {
    let mut places = Vec::new();
    for name in named {
        let path = Path::new(name);
        let is_root = ["etc", "usr", "lib"].iter().any(|part| path.join(part).exists());
        if !path.is_dir() || is_root {
            places.push(name.clone());
            continue;
        }
        let mut captures: Vec<_> = fs::read_dir(path)
            .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, _>>())
            .map_err(|error| {
                Failure::Unreadable(Message::new(
                    format!("cannot read {name}: {error}"),
                    "name a folder of captures",
                ))
            })?;
        captures.retain(|path| path.extension().is_some_and(|end| end == "json"));
        captures.sort();
        if captures.is_empty() {
            let sentence = format!("{name} is neither a root file system nor a folder of captures");
            return Err(Failure::Unreadable(Message::new(
                sentence,
                "name one with /etc or /usr in it, or with captures (*.json)",
            )));
        }
        places.extend(captures.into_iter().map(|path| path.display().to_string()));
    }
    Ok(places)
}

/// The capture in a file, or one that is taken now.
fn open(name: &str, artifacts: &[Wanted]) -> Result<Capture, Failure> {
    let path = Path::new(name);
    let is_capture = path.is_file() && {
        let mut head = [0; 1];
        fs::File::open(path).and_then(|mut file| std::io::Read::read_exact(&mut file, &mut head)).is_ok()
            && head == *b"{"
    };
    if !is_capture {
        let request = Request { artifacts: artifacts.to_vec(), ..Request::default() };
        return Ok(environment::capture(&Place::open(name)?, &request)?);
    }
    if path.metadata().is_ok_and(|metadata| metadata.len() > LARGEST) {
        let sentence = format!("{name} is larger than any capture");
        return Err(Failure::Unreadable(Message::new(sentence, "name files that `env capture` wrote")));
    }
    Ok(Capture::read(name, &read(path)?)?)
}

/// All places beside `a`, on all cores; one capture a thread is in memory at a time.
fn fleet(
    a: &Capture,
    places: &[String],
    artifacts: &[Wanted],
    policy: &DriftPolicy,
) -> Result<FleetDrift, Failure> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<Fleet, Failure> {
        let mut part = Fleet::default();
        while let Some(place) = places.get(next.fetch_add(1, Ordering::Relaxed)) {
            part.add(a, &open(place, artifacts)?, policy);
        }
        Ok(part)
    };
    let workers = thread::available_parallelism().map_or(1, usize::from).min(places.len());
    let parts: Vec<_> = thread::scope(|scope| {
        let started: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        started.into_iter().map(|thread| thread.join().expect("comparing does not panic")).collect()
    });
    let mut all = Fleet::default();
    for part in parts {
        all.merge(part?);
    }
    Ok(all.finish(a, policy)?)
}

/// One capture's drift beside the first, in the course of time.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(title = "Seaworthy drift trend, version 1")]
pub(crate) struct Trend {
    /// The version of this form: 1.
    pub(crate) schema_version: u32,
    /// The place that is as it should be.
    pub(crate) baseline: String,
    /// Each capture, the oldest first.
    pub(crate) points: Vec<Point>,
    /// How much the drift rate rose from the first to the last; negative where it fell.
    pub(crate) change: f64,
}

/// One capture of a trend.
#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct Point {
    /// The day it was taken, where the capture says so.
    pub(crate) taken: Option<String>,
    /// The place's name.
    pub(crate) name: String,
    /// The verdict.
    pub(crate) verdict: Verdict,
    /// The drift rate.
    pub(crate) score: f64,
    /// What differs now and did not in the point before, as `class/key`.
    pub(crate) appeared: Vec<String>,
    /// What differed in the point before and no longer does.
    pub(crate) vanished: Vec<String>,
}

fn trend(args: &TrendArgs, renderer: &Renderer) -> Result<(), Failure> {
    let policy = policy(args.policy.as_deref())?;
    let baseline = open(&args.baseline, &[])?;
    let mut captures =
        places(&args.captures)?.iter().map(|name| open(name, &[])).collect::<Result<Vec<_>, _>>()?;
    captures.sort_by(|one, other| (&one.taken, &one.name).cmp(&(&other.taken, &other.name)));
    let (mut points, mut before): (Vec<Point>, Option<Vec<String>>) = (Vec::new(), None);
    let lenient = DriftPolicy { waiver: Vec::new(), ..policy };
    for capture in &captures {
        let drift = environment::diff(&baseline, capture, &lenient)?;
        let now = keys(&drift);
        let apart = |one: &[String], other: &[String]| {
            one.iter().filter(|key| !other.contains(key)).cloned().collect()
        };
        let (appeared, vanished) = before
            .as_ref()
            .map_or((Vec::new(), Vec::new()), |before| (apart(&now, before), apart(before, &now)));
        points.push(Point {
            taken: capture.taken.clone(),
            name: capture.name.clone(),
            verdict: drift.verdict,
            score: drift.score,
            appeared,
            vanished,
        });
        before = Some(now);
    }
    let change = points.first().zip(points.last()).map_or(0.0, |(first, last)| last.score - first.score);
    let verdict = points.last().map_or(Verdict::Within, |last| last.verdict);
    let trend = Trend { schema_version: 1, baseline: baseline.name, points, change };
    renderer.result(&trend, render::trend);
    ended(verdict)
}

fn keys(drift: &Drift) -> Vec<String> {
    let all = drift.gates.iter().chain(&drift.differences);
    all.map(|difference| format!("{}/{}", difference.class.name(), difference.key)).collect()
}

/// Whether a release's programs find what they need at a place.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(title = "Seaworthy release check, version 1")]
pub(crate) struct Checked {
    /// The version of this form: 1.
    pub(crate) schema_version: u32,
    /// The place.
    pub(crate) place: String,
    /// The processor that its loader is for.
    pub(crate) architecture: Option<String>,
    /// Each program for such a processor.
    pub(crate) programs: Vec<CheckedProgram>,
}

/// One program at a place.
#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct CheckedProgram {
    /// Its name.
    pub(crate) name: String,
    /// What it was built for.
    pub(crate) target: String,
    /// SHA-256 of its bytes.
    pub(crate) sha256: Digest,
    /// What it would not find there, each a sentence; empty where it runs.
    pub(crate) missing: Vec<String>,
}

fn check(args: &CheckArgs, renderer: &Renderer) -> Result<(), Failure> {
    let manifest = read(&args.release.join("manifest.json"))?;
    let manifest = Manifest::read(&manifest).map_err(|error| {
        let mut message = Message::from(&error);
        message.sentence = format!("{}: {error}", args.release.display());
        Failure::Unreadable(message)
    })?;
    let place = Place::open(&args.target)?;
    let architecture = environment::capture(&place, &Request::default())?.architecture;
    let mut programs = Vec::new();
    for file in manifest.files.iter().filter(|file| file.kind == FileKind::Archive) {
        let row = file.target.row();
        let machine = match row.machine {
            Machine::Aarch64 => "aarch64",
            Machine::X86_64 => "x86_64",
        };
        let fits =
            row.format == BinaryFormat::Elf && architecture.as_deref().is_none_or(|here| here == machine);
        if !fits {
            continue;
        }
        for (name, bytes) in programs_of(&args.release.join(&file.name), &manifest, file)? {
            let wanted = Wanted { name: name.clone(), bytes, installed: args.installed.clone() };
            programs.push(CheckedProgram {
                missing: environment::missing(&place, &wanted)?,
                sha256: Digest::of(&wanted.bytes),
                target: file.target.to_string(),
                name,
            });
        }
    }
    let checked = Checked { schema_version: 1, place: args.target.clone(), architecture, programs };
    renderer.result(&checked, render::checked);
    let runs =
        !checked.programs.is_empty() && checked.programs.iter().all(|program| program.missing.is_empty());
    if runs { Ok(()) } else { Err(Failure::Drifted(Verdict::Gated)) }
}

/// The programs of an archive, as the manifest names them, each with the digest that it has there.
fn programs_of(
    path: &Path,
    manifest: &Manifest,
    file: &manifest::File,
) -> Result<BTreeMap<String, Vec<u8>>, Failure> {
    let mut found = BTreeMap::new();
    let ours: Vec<_> = manifest.artifacts.iter().filter(|artifact| artifact.target == file.target).collect();
    inputs::members(path, &Limits::default(), &mut |input| {
        let digest = Digest::of(&input.bytes);
        if let Some(artifact) = ours.iter().find(|artifact| artifact.sha256 == digest) {
            found.insert(artifact.binary.clone(), input.bytes.to_vec());
        }
    })
    .map_err(|error| Failure::from(&error))?;
    if found.len() < ours.len() {
        let sentence = format!("{} does not hold the programs that the manifest names", path.display());
        return Err(Failure::Unreadable(Message::new(sentence, "name a whole release folder")));
    }
    Ok(found)
}
