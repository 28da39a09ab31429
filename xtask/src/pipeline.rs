//! The whole flow on one screen: each stage takes the value before it and gives the next, as in the README's table.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::{fs, thread};

use artifact::{
    Artifact, BuilderKind, Digest, Engine, Event, Events, Finished, Launcher, Target, Toolchain,
    ToolchainIdentity, Verified,
};
use finish::FinishRequest;
use manifest::Manifest;
use package::Staging;
use plan::{Job, ReleasePlan};
use smoke::{SmokeRequest, SmokeResult};
use toolchain::Context;
use verify::{Unused, Waivers};

use crate::failure::{Failure, Message};
use crate::{gate, record, reproduce};

/// What a run was told beside its plan.
#[derive(Clone, Copy, Debug)]
pub struct Conduct {
    /// Whether a program that could not be started here is refused.
    pub strict: bool,
    /// Whether everything is built once more, elsewhere, and only published where it is the same.
    pub prove: bool,
}

/// One program that passed every stage.
#[derive(Debug)]
pub struct Accepted {
    /// The program.
    pub artifact: Artifact<Verified>,
    /// What starting it showed.
    pub smoke: SmokeResult,
}

/// A release that is in its place.
#[derive(Debug)]
pub struct Released {
    /// The release folder.
    pub folder: PathBuf,
    /// What its manifest.json says.
    pub manifest: Manifest,
}

/// Makes the release that `plan` describes.
pub fn release(
    plan: &ReleasePlan,
    context: &Context,
    conduct: Conduct,
    events: Events<'_>,
) -> Result<Released, Failure> {
    let waivers = plan::in_force(&plan.waivers)?;
    let staging = Staging::begin(&plan.layout)?;
    compile::fetch(&plan.workspace, context.offline, events)?;
    let programs = side_by_side(&plan.targets, &|target| {
        target_programs(plan, target, context, conduct, &waivers, events)
    })?;
    let mut archives = Vec::new();
    for target in &plan.targets {
        let of_target = programs.iter().map(|program| &program.artifact);
        let of_target: Vec<_> = of_target.filter(|artifact| artifact.target() == *target).collect();
        archives.extend(step(events, format!("pack {target}"), || {
            Ok(package::pack(*target, &of_target, &plan.layout, &staging)?)
        })?);
    }
    step(events, "open and verify the archives".to_owned(), || gate::packed(&archives, plan, &waivers))?;
    waivers.all_used(if plan.is_whole { Unused::Every } else { Unused::OfFilesSeen })?;
    let manifest = record::manifest(plan, &programs, &archives);
    if conduct.prove {
        step(events, "build again elsewhere".to_owned(), || {
            reproduce::prove(plan, staging.folder(), &manifest)
        })?;
    }
    let folder = staging.publish(&manifest)?;
    Ok(Released { folder, manifest })
}

/// One target, from toolchain to accepted programs.
fn target_programs(
    plan: &ReleasePlan,
    target: Target,
    context: &Context,
    conduct: Conduct,
    waivers: &Waivers,
    events: Events<'_>,
) -> Result<Vec<Accepted>, Failure> {
    let toolchain = toolchain::provision(plan.builder.kind, target, context, events)?;
    let mut accepted = Vec::new();
    for job in plan.jobs_for(target) {
        let built = compile::compile(&job.compile, &toolchain, events)?;
        let finished = finish::finish(built, &finish_request(plan, job, &toolchain)?)?;
        let report = gate::finished(&finished, job, &toolchain, waivers)?;
        if !report.passed() {
            return Err(Failure::Refused(vec![report]));
        }
        let smoke =
            step(events, format!("start {target}"), || start(&finished, plan, &toolchain, context, conduct))?;
        match finished.accept(report) {
            Ok(artifact) => accepted.push(Accepted { artifact, smoke }),
            Err(refusal) => return Err(Failure::Refused(vec![refusal.report])),
        }
    }
    Ok(accepted)
}

/// Builds every job of every target and stops there.
pub fn build(plan: &ReleasePlan, context: &Context, events: Events<'_>) -> Result<Vec<PathBuf>, Failure> {
    compile::fetch(&plan.workspace, context.offline, events)?;
    side_by_side(&plan.targets, &|target| {
        let toolchain = toolchain::provision(plan.builder.kind, target, context, events)?;
        let build = |job: &Job| Ok(compile::compile(&job.compile, &toolchain, events)?.path().to_owned());
        plan.jobs_for(target).map(build).collect()
    })
}

/// Finishes a program that was built elsewhere, as the only job of `plan` for its target says.
pub fn finish_file(plan: &ReleasePlan, file: &Path, out: &Path) -> Result<Artifact<Finished>, Failure> {
    let target = plan.targets[0];
    let job = plan.jobs_for(target).next().expect("a plan has a job for each of its targets");
    let identity = ToolchainIdentity {
        builder: BuilderKind::Host,
        rustc: "unknown".to_owned(),
        lock: None,
        parts: BTreeMap::new(),
    };
    let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let built = Artifact::built(target, name, file.to_owned(), identity.clone());
    let built = built.map_err(|error| gate::cannot_read(file, &error))?;
    let toolchain = Toolchain { target, identity, linker: None, launcher: Launcher::Host { linker: None } };
    let request = FinishRequest { out_dir: out.to_owned(), ..finish_request(plan, job, &toolchain)? };
    Ok(finish::finish(built, &request)?)
}

fn finish_request(plan: &ReleasePlan, job: &Job, toolchain: &Toolchain) -> Result<FinishRequest, Failure> {
    let lock = plan.workspace.join("Cargo.lock");
    let lock = fs::read(&lock).map_err(|error| gate::cannot_read(&lock, &error))?;
    Ok(FinishRequest {
        options: job.finish.clone(),
        source: plan.source.clone(),
        build_key: plan.build_key(job, toolchain, Digest::of(&lock)),
        out_dir: job.compile.target_dir.join("finished"),
    })
}

fn start(
    finished: &Artifact<Finished>,
    plan: &ReleasePlan,
    toolchain: &Toolchain,
    context: &Context,
    conduct: Conduct,
) -> Result<SmokeResult, Failure> {
    let target = finished.target();
    let image = emulator_image(target, toolchain, context);
    let request = SmokeRequest {
        source: plan.source.clone(),
        args: plan.smoke.args.clone(),
        expect: plan.smoke.expect.clone(),
        candidates: smoke::runners(target, image.as_ref().map(|(engine, image)| (*engine, image.as_str()))),
        timeout: plan.smoke.timeout,
    };
    match smoke::smoke(finished, &request)? {
        SmokeResult::Failed { runner, why, output } => Err(Failure::Smoke(Message::new(
            format!(
                "{} for {target}, started with {runner}: {why}; it said: {}",
                finished.binary(),
                output.trim()
            ),
            "start it there yourself, or change `[smoke]` in release.toml to what it should answer",
        ))),
        SmokeResult::NotRun { why } if conduct.strict => Err(Failure::Smoke(Message::new(
            format!("{} for {target} was not started: {why}", finished.binary()),
            "install what is missing, or release without --strict and have the manifest say so",
        ))),
        other => Ok(other),
    }
}

/// The image that has the emulator for `target`: the one that built it, or one that is there although another builder
/// was chosen. None is made for it.
fn emulator_image(target: Target, toolchain: &Toolchain, context: &Context) -> Option<(Engine, String)> {
    let launcher = match &toolchain.launcher {
        Launcher::Container { .. } => toolchain.launcher.clone(),
        Launcher::Zig { .. } | Launcher::Host { .. } => {
            let context = Context { makes_images: false, ..context.clone() };
            let engine = toolchain::choose(None).ok()?.kind;
            toolchain::provision(engine, target, &context, &artifact::ignore_events).ok()?.launcher
        }
    };
    match launcher {
        Launcher::Container { engine, image, .. } => Some((engine, image)),
        Launcher::Zig { .. } | Launcher::Host { .. } => None,
    }
}

/// Runs `work` for every target, as many at once as there are cores, and reports every failure, not only the first.
fn side_by_side<T: Send>(
    targets: &[Target],
    work: &(dyn Fn(Target) -> Result<Vec<T>, Failure> + Sync),
) -> Result<Vec<T>, Failure> {
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(Vec::new());
    let workers = thread::available_parallelism().map_or(1, usize::from).min(targets.len());
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(target) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = work(*target);
                    outcomes.lock().unwrap_or_else(PoisonError::into_inner).push((*target, outcome));
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcomes.sort_by_key(|(target, _)| *target);
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for (_, outcome) in outcomes {
        match outcome {
            Ok(values) => done.extend(values),
            Err(failure) => failed.push(failure),
        }
    }
    match Failure::together(failed) {
        None => Ok(done),
        Some(failure) => Err(failure),
    }
}

/// A step that its stage does not report itself.
fn step<T>(
    events: Events<'_>,
    name: String,
    work: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    events(Event::Started { step: name.clone() });
    let result = work()?;
    events(Event::Finished { step: name, result: String::new() });
    Ok(result)
}
