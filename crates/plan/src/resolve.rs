//! From what was asked for, configured and found to a complete plan.

use std::collections::BTreeSet;
use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use artifact::{BuilderKind, Digest, Source, Target, Toolchain, Waiver};
use compile::CompileRequest;
use finish::{FinishOptions, Subsystem};
use package::{BundleFile, Layout};
use serde::Serialize;
use smoke::Expect;
use toolchain::Choice;
use verify::{Policy, PolicyOverrides, SubsystemPolicy};

use crate::config::{Config, Package, SmokeExpectation, TargetConfig, find_target};
use crate::waivers::in_force;
use crate::workspace::{Released, Workspace};
use crate::{Error, ErrorKind, git};

/// What the user asked for on the command line; `None` and empty mean "as configured".
#[derive(Clone, Debug, Default)]
pub struct PlanRequest {
    /// A folder inside the workspace.
    pub folder: PathBuf,
    /// Targets by name or triple.
    pub targets: Vec<String>,
    /// The builder; the inner `None` is `auto`.
    pub builder: Option<Option<BuilderKind>>,
    /// Where the release folder appears.
    pub out: Option<PathBuf>,
    /// Whether a tree that differs from its commit is accepted.
    pub allow_dirty: bool,
}

/// Every choice of a release.
#[derive(Clone, Debug, Serialize)]
pub struct ReleasePlan {
    /// What is released.
    pub source: Source,
    /// The commit's tree, part of every build key.
    pub tree: String,
    /// The workspace's folder.
    pub workspace: PathBuf,
    /// The folder for what is built and staged on the way.
    pub work_dir: PathBuf,
    /// Who builds, and why.
    pub builder: Choice,
    /// The targets, in table order.
    pub targets: Vec<Target>,
    /// One job a target and binary, grouped by target.
    pub jobs: Vec<Job>,
    /// Whether these are all of the configured targets.
    pub is_whole: bool,
    /// Refusals of the gate that a person has accepted for a time; sound, and in force when the plan was made.
    pub waivers: Vec<Waiver>,
    /// How a program is started to see that it does.
    pub smoke: SmokePlan,
    /// What the archives are called and hold.
    pub layout: Layout,
}

/// What is done for one binary on one target.
#[derive(Clone, Debug, Serialize)]
pub struct Job {
    /// How it is built.
    pub compile: CompileRequest,
    /// How it is edited.
    pub finish: FinishOptions,
    /// What it is held to.
    pub policy: Policy,
}

/// How a program is started.
#[derive(Clone, Debug, Serialize)]
pub struct SmokePlan {
    /// Its arguments.
    pub args: Vec<String>,
    /// What it must answer.
    pub expect: Expect,
    /// When it counts as hanging.
    pub timeout: Duration,
}

/// Makes the plan.
pub fn plan(request: &PlanRequest) -> Result<ReleasePlan, Error> {
    let workspace = Workspace::find(&request.folder)?;
    let config = Config::read(&workspace.root)?;
    let targets = targets(&request.targets, &config)?;
    let released = workspace.released(&config.product)?;
    let (source, tree) = source(&workspace, &config, &released, request.allow_dirty)?;
    let wanted = request.builder.unwrap_or_else(|| config.build.builder.unwrap_or_default().wanted());
    let builder = toolchain::choose(wanted).map_err(|error| {
        let hint = error.hint().map(str::to_owned).unwrap_or_else(|| "run `cargo xtask doctor`".to_owned());
        Error::new(ErrorKind::Builder, error.to_string()).with_hint(hint).with_source(error)
    })?;

    let mut jobs = Vec::new();
    for target in &targets {
        for binary in &released.binaries {
            jobs.push(job(*target, binary, &workspace, &config, &released, &source, builder.kind));
        }
    }
    for job in &jobs {
        meant(&job.policy, job.compile.target)?;
    }
    in_force(&config.waiver)?;
    let is_released = |name: &String| find_target(name).is_ok_and(|target| targets.contains(&target));
    let out = request
        .out
        .clone()
        .unwrap_or_else(|| workspace.root.join(config.package.out.as_deref().unwrap_or(Path::new("dist"))));
    Ok(ReleasePlan {
        layout: layout(&source, &out, &workspace.root, &config.package)?,
        smoke: smoke_plan(&config, &source),
        work_dir: workspace.target_dir.join("seaworthy"),
        workspace: workspace.root,
        source,
        tree,
        builder,
        is_whole: config.product.targets.iter().all(is_released),
        waivers: config.waiver,
        targets,
        jobs,
    })
}

/// The target with this name or triple, or an error with the nearest one.
pub fn target(name: &str) -> Result<Target, Error> {
    find_target(name)
}

impl ReleasePlan {
    /// The jobs for `target`.
    pub fn jobs_for(&self, target: Target) -> impl Iterator<Item = &Job> {
        self.jobs.iter().filter(move |job| job.compile.target == target)
    }

    /// The build key of `job` in `toolchain`: equal keys mean equal inputs, so equal programs. It is embedded in the
    /// program, which is why neither a build number nor a path is part of it.
    pub fn build_key(&self, job: &Job, toolchain: &Toolchain, lock: Digest) -> String {
        let CompileRequest { target, package, binary, profile, features, .. } = &job.compile;
        let identity = &toolchain.identity;
        let inputs = format!(
            "tree {}\ndirty {}\nlock {lock}\nbuilder {}\nrustc {}\ntoolchain {:?}\nparts {:?}\n\
             target {target}\npackage {package}\nbinary {binary}\nprofile {profile}\nfeatures {features:?}\n",
            self.tree,
            self.source.dirty,
            identity.builder.name(),
            identity.rustc,
            identity.lock,
            identity.parts,
        );
        Digest::of(inputs.as_bytes()).to_string()[..16].to_owned()
    }
}

fn targets(asked: &[String], config: &Config) -> Result<Vec<Target>, Error> {
    let names = if asked.is_empty() { &config.product.targets } else { asked };
    let found: BTreeSet<Target> = names.iter().map(|name| find_target(name)).collect::<Result<_, _>>()?;
    if found.is_empty() {
        return Err(Error::new(ErrorKind::BadConfig, "no target to release for")
            .with_hint("name one with --target, or several under `product.targets` in release.toml"));
    }
    Ok(found.into_iter().collect())
}

fn source(
    workspace: &Workspace,
    config: &Config,
    released: &Released,
    allow_dirty: bool,
) -> Result<(Source, String), Error> {
    let head = git::head(&workspace.root)?;
    if !head.changes.is_empty() && !allow_dirty {
        let shown: Vec<_> = head.changes.iter().take(5).map(|line| line.trim()).collect();
        let more = head.changes.len().saturating_sub(shown.len());
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        let message =
            format!("the work tree differs from commit {}: {}{more}", head.commit, shown.join(", "));
        return Err(Error::new(ErrorKind::DirtyTree, message)
            .with_hint("commit or stash the changes, or pass --allow-dirty and have the manifest say so"));
    }
    let source = Source {
        product: config.product.name.clone().unwrap_or_else(|| released.package.clone()),
        version: released.version.clone(),
        commit: head.commit,
        commit_time: head.time,
        dirty: !head.changes.is_empty(),
    };
    Ok((source, head.tree))
}

fn job(
    target: Target,
    binary: &str,
    workspace: &Workspace,
    config: &Config,
    released: &Released,
    source: &Source,
    builder: BuilderKind,
) -> Job {
    let TargetConfig { glibc_floor, finish, policy } = config.of(target);
    let glibc_floor = glibc_floor.or_else(|| target.row().glibc_floor.map(str::to_owned));
    let compile = CompileRequest {
        target,
        package: released.package.clone(),
        binary: binary.to_owned(),
        profile: config.build.profile.clone().unwrap_or_else(|| "release".to_owned()),
        features: config.product.features.clone(),
        default_features: config.product.default_features.unwrap_or(true),
        workspace_root: workspace.root.clone(),
        // A folder of its own for each builder and target: artifacts that one system's build scripts left are never
        // picked up by another, and targets build side by side without waiting for cargo's lock.
        target_dir: workspace.target_dir.join("seaworthy").join(builder.name()).join(target.name()),
        source_date_epoch: source.commit_time,
        glibc_floor: glibc_floor.clone(),
    };
    let policy = held_to(target, &policy, &finish, glibc_floor, source, workspace);
    Job { compile, finish, policy }
}

/// The target's policy with what this release asks for, and with what must not be found inside: this machine's folders.
fn held_to(
    target: Target,
    overrides: &PolicyOverrides,
    finish: &FinishOptions,
    glibc_floor: Option<String>,
    source: &Source,
    workspace: &Workspace,
) -> Policy {
    let mut policy = Policy::for_target(target);
    policy.glibc_floor = glibc_floor.or(policy.glibc_floor);
    policy.subsystem = subsystem(finish);
    let home = env::home_dir();
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo_home = cargo_home.or_else(|| home.as_ref().map(|home| home.join(".cargo")));
    let folders = [Some(workspace.root.clone()), Some(workspace.target_dir.clone()), cargo_home, home];
    // The root folder begins every path and says nothing.
    let folders = folders.into_iter().flatten().filter(|folder| folder.parent().is_some());
    let policy = policy.with_build_paths(folders.map(|folder| folder.display().to_string()));
    let stamp = u32::try_from(source.commit_time).unwrap_or(0);
    policy.with(overrides).with_timestamp(stamp)
}

fn smoke_plan(config: &Config, source: &Source) -> SmokePlan {
    let expect = match config.smoke.expect {
        Some(SmokeExpectation::VersionJson) => Expect::VersionJson,
        Some(SmokeExpectation::Exit) => Expect::ExitOnly,
        Some(SmokeExpectation::Version) | None => Expect::Contains(vec![source.version.clone()]),
    };
    SmokePlan {
        args: config.smoke.args.clone().unwrap_or_else(|| vec!["--version".to_owned()]),
        expect,
        timeout: Duration::from_secs(config.smoke.timeout_seconds.unwrap_or(60)),
    }
}

fn layout(source: &Source, out: &Path, root: &Path, package: &Package) -> Result<Layout, Error> {
    let bundle_file = |file: &crate::config::BundledFile| {
        let name = file.from.file_name().map(|name| name.to_string_lossy().into_owned());
        let to = file.to.clone().or(name).ok_or_else(|| {
            Error::new(
                ErrorKind::BadConfig,
                format!("package.files: `{}` names no file", file.from.display()),
            )
        })?;
        let targets = file.targets.iter().map(|name| find_target(name)).collect::<Result<_, _>>()?;
        Ok(BundleFile { from: root.join(&file.from), to, targets })
    };
    Ok(Layout {
        source: source.clone(),
        out_dir: out.to_owned(),
        bundle: package.files.iter().map(bundle_file).collect::<Result<_, Error>>()?,
    })
}

/// What a program for `target` is held to in the workspace at `root` when it is verified on its own: the configured
/// policy, with any subsystem where none is configured.
pub fn policy(root: &Path, target: Target) -> Result<Policy, Error> {
    let config = Config::read(root)?.of(target);
    let mut policy = Policy::for_target(target);
    policy.glibc_floor = config.glibc_floor.or(policy.glibc_floor);
    policy.subsystem = subsystem(&config.finish);
    let policy = policy.with(&config.policy);
    meant(&policy, target)?;
    Ok(policy)
}

/// Refuses a configured policy that contradicts itself.
fn meant(policy: &Policy, target: Target) -> Result<(), Error> {
    verify::sound(policy).map_err(|error| {
        let message = format!("release.toml, policy of {target}: {error}");
        let hint = error.hint().map(str::to_owned).unwrap_or_else(|| "mend it there".to_owned());
        Error::new(ErrorKind::BadConfig, message).with_hint(hint).with_source(error)
    })
}

/// The subsystem that the finished program must have.
fn subsystem(finish: &FinishOptions) -> SubsystemPolicy {
    match finish.subsystem {
        Some(Subsystem::Console) => SubsystemPolicy::Console,
        Some(Subsystem::Gui) => SubsystemPolicy::Gui,
        None => SubsystemPolicy::Any,
    }
}
