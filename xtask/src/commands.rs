//! What each command does: types from the command line in, one result out.

use std::path::Path;

use artifact::{Digest, Target};
use clap::CommandFactory;
use closure::Sysroot;
use inputs::{Input, Item};
use manifest::Manifest;
use package::{Layout, Staging};
use plan::{PlanRequest, ReleasePlan};
use serde::Serialize;
use toolchain::ImageRequest;

use crate::args::*;
use crate::closing::Closed;
use crate::documents::Inspected;
use crate::failure::Failure;
use crate::pipeline::{self, Conduct, Released};
use crate::programs::each_program;
use crate::render::{self, Renderer};
use crate::{bench, builders, doctor, documents, jobs, verification};

/// Does what the command line asks.
pub(crate) fn run(command: Command, renderer: &Renderer) -> Result<(), Failure> {
    match command {
        Command::Release(args) => release(&args, renderer),
        Command::Plan(args) => print_plan(&args, renderer),
        Command::Build(args) => build(&args, renderer),
        Command::Finish(args) => finish(&args, renderer),
        Command::Inspect(args) => inspect(&args, renderer),
        Command::Verify(args) => verification::run(&args, renderer),
        Command::Package(args) => gather(&args, renderer),
        Command::Reproduce(args) => crate::reproduce::run(&args, renderer),
        Command::Env(args) => crate::environment::run(args.command, renderer),
        Command::Toolchain(args) => toolchain(args.command, renderer),
        Command::Doctor => doctor::run(renderer),
        Command::Schema { document } => {
            let schema = match document {
                Document::Manifest => manifest::schema(),
                Document::Inspect => documents::inspect_schema(),
                Document::Verify => documents::verify_schema(),
                Document::Rebuild => documents::rebuild_schema(),
                Document::Capture => documents::capture_schema(),
                Document::Drift => documents::drift_schema(),
                Document::Fleet => documents::fleet_schema(),
                Document::Trend => documents::trend_schema(),
                Document::Check => documents::check_schema(),
            };
            renderer.raw(&(pretty(&schema) + "\n"));
            Ok(())
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "cargo-seaworthy", &mut script);
            renderer.raw(&String::from_utf8_lossy(&script));
            Ok(())
        }
        Command::Ci(args) => jobs::run(args.job.as_deref(), renderer),
        Command::Bench(args) => bench::run(&args, renderer),
    }
}

fn release(args: &ReleaseArgs, renderer: &Renderer) -> Result<(), Failure> {
    let plan = make_plan(&args.plan)?;
    if args.dry_run {
        renderer.result(&plan, render::planned);
        return Ok(());
    }
    let context = builders::context(&plan.workspace, args.plan.offline)?;
    announce(&plan, renderer);
    let conduct = Conduct { strict: args.strict, prove: args.prove };
    let released = pipeline::release(&plan, &context, conduct, &|event| renderer.event(event))?;
    show_release(&released, renderer);
    Ok(())
}

fn print_plan(args: &PlanCommand, renderer: &Renderer) -> Result<(), Failure> {
    if args.print_config {
        renderer.raw(plan::DEFAULT_CONFIG);
        return Ok(());
    }
    renderer.result(&make_plan(&args.plan)?, render::planned);
    Ok(())
}

fn build(args: &PlanArgs, renderer: &Renderer) -> Result<(), Failure> {
    let plan = make_plan(args)?;
    let context = builders::context(&plan.workspace, args.offline)?;
    announce(&plan, renderer);
    let programs = pipeline::build(&plan, &context, &|event| renderer.event(event))?;
    renderer.result(&programs, |programs| {
        programs.iter().map(|program| format!("{}\n", program.display())).collect()
    });
    Ok(())
}

/// What `plan`, `build` and `release` decide first.
pub(crate) fn make_plan(args: &PlanArgs) -> Result<ReleasePlan, Failure> {
    let request = PlanRequest {
        folder: args.workspace.clone(),
        targets: args.targets.clone(),
        builder: args.builder.map(Builder::wanted),
        out: args.out.clone(),
        allow_dirty: args.allow_dirty,
    };
    Ok(plan::plan(&request)?)
}

fn announce(plan: &ReleasePlan, renderer: &Renderer) {
    let names: Vec<_> = plan.targets.iter().map(|target| target.name()).collect();
    let source = &plan.source;
    let text = format!(
        "{} {} for {} with {} ({})",
        source.product,
        source.version,
        names.join(", "),
        plan.builder.kind.name(),
        plan.builder.why
    );
    renderer.status("plan", &text);
    if source.dirty {
        renderer.note("the work tree differs from its commit; the manifest says so");
    }
}

#[derive(Serialize)]
struct ReleaseDocument<'a> {
    folder: &'a Path,
    manifest: &'a Manifest,
}

fn show_release(released: &Released, renderer: &Renderer) {
    let document = ReleaseDocument { folder: &released.folder, manifest: &released.manifest };
    renderer.result(&document, |_| render::released(released));
}

fn finish(args: &FinishArgs, renderer: &Renderer) -> Result<(), Failure> {
    let request = PlanRequest {
        folder: args.workspace.clone(),
        targets: vec![args.target.clone()],
        // Nothing is built: whichever builder there is says nothing about this file.
        builder: Some(Some(artifact::BuilderKind::Host)),
        out: None,
        allow_dirty: args.allow_dirty,
    };
    let plan = plan::plan(&request)?;
    let finished = pipeline::finish_file(&plan, &args.file, &args.out)?;
    let stage = finished.stage();
    #[derive(Serialize)]
    struct FinishedDocument<'a> {
        path: &'a Path,
        symbols: Option<&'a Path>,
        built_size: u64,
        size: u64,
        edits: &'a [artifact::Edit],
    }
    let document = FinishedDocument {
        path: finished.path(),
        symbols: stage.symbols.as_deref(),
        built_size: stage.built_size,
        size: finished.size(),
        edits: &stage.edits,
    };
    renderer.result(&document, |document| {
        let edits = document.edits.iter().map(|edit| format!("  {:<16} {}\n", edit.name, edit.detail));
        let edits: String = edits.collect();
        format!("{} -> {} bytes\n{edits}{}\n", document.built_size, document.size, document.path.display())
    });
    Ok(())
}

fn inspect(args: &InspectArgs, renderer: &Renderer) -> Result<(), Failure> {
    if args.fields || args.explain.is_some() {
        return explain_fields(args.explain.as_deref().unwrap_or_default(), renderer);
    }
    let sysroot = args.sysroot.as_deref().map(Sysroot::open).transpose()?;
    // A file that was named alone needs no title.
    let alone = |name: &str| args.paths.len() == 1 && args.paths[0] == Path::new(name);
    let look = |item: &Item| match item {
        Item::File(Input { name, bytes, .. }) => {
            let facts = inspect::inspect(bytes).map_err(|error| Failure::from(error).about(name))?;
            let closure =
                sysroot.as_ref().map(|sysroot| Closed::of(name, bytes, &facts, sysroot)).transpose()?;
            let unread = |error| {
                inputs::Error::new(
                    inputs::ErrorKind::Unreadable,
                    format!("cannot read {name} again: {error}"),
                )
            };
            let sha256 = Digest::of_pieces(bytes).map_err(|error| Failure::from(&unread(error)))?;
            let inspected = Inspected { path: name.clone(), sha256, facts, closure };
            Ok(renderer.line(&inspected, |one| {
                let title = if alone(name) { String::new() } else { format!("{name}\n") };
                let end = if alone(name) { "" } else { "\n" };
                let closure = one.closure.as_ref().map(|closure| format!("\n{}", closure.text()));
                let closure = closure.unwrap_or_default();
                format!("{title}{}sha256 {}\n{closure}{end}", inspect::dump(&one.facts), one.sha256)
            }))
        }
        Item::Unreadable { error, .. } => Err(Failure::from(error)),
    };
    let (mut list, mut failures) = (renderer.list(), Vec::new());
    each_program(&args.paths, args.jobs, look, &mut |inspected| {
        match inspected {
            Ok(line) => list.tell(&line),
            Err(failure) => failures.push(failure),
        }
        Ok(())
    })?;
    list.end();
    Failure::together(failures).map_or(Ok(()), Err)
}

/// Says of each field that is named what it means; of all where none is.
fn explain_fields(names: &[String], renderer: &Renderer) -> Result<(), Failure> {
    let all = documents::all_fields();
    let told = match names {
        [] => all,
        names => {
            let each = names.iter().map(|name| documents::explained(name, &all));
            each.collect::<Result<Vec<_>, _>>()?.concat()
        }
    };
    renderer.result(&told, |fields| render::fields(fields));
    Ok(())
}

fn gather(args: &PackageArgs, renderer: &Renderer) -> Result<(), Failure> {
    let mut parts = Vec::new();
    for part in &args.parts {
        parts.push(package::read_release(part)?);
    }
    let together = crate::record::together(parts.iter().map(|(manifest, _)| manifest))?;
    let layout = Layout {
        source: artifact::Source {
            product: together.product.clone(),
            version: together.version.clone(),
            commit: together.commit.clone(),
            commit_time: together.commit_time,
            dirty: together.dirty,
        },
        out_dir: args.out.clone(),
        bundle: Vec::new(),
    };
    let staging = Staging::begin(&layout)?;
    for archive in parts.into_iter().flat_map(|(_, archives)| archives) {
        staging.adopt(archive)?;
    }
    let folder = staging.publish(&together)?;
    show_release(&Released { folder, manifest: together }, renderer);
    Ok(())
}

fn toolchain(command: ToolchainCommand, renderer: &Renderer) -> Result<(), Failure> {
    let here = Path::new(".");
    match command {
        ToolchainCommand::Lock(args) => {
            let context = builders::context(here, false)?;
            let targets = targets(&args.targets.targets)?;
            let resolved = toolchain::resolve(&targets, &context, &|event| renderer.event(event))?;
            renderer.result(&resolved.differences(), |differences| render::rows(differences));
            if args.update {
                let id = resolved.write(&context, args.again, &|event| renderer.event(event))?;
                renderer.status("locked", &format!("{} is {id}", context.lock_path.display()));
            }
        }
        ToolchainCommand::Pool(args) => {
            let context = builders::context(here, false)?;
            let targets = targets(&args.targets)?;
            let id = toolchain::fill_pool(&targets, &context, &|event| renderer.event(event))?;
            renderer.result(&id, |id| format!("every input of {id} is here\n"));
        }
        ToolchainCommand::Image(args) => {
            let context = builders::context(here, args.offline)?;
            let request = ImageRequest {
                engine: args.builder.and_then(Builder::wanted),
                targets: targets(&args.targets.targets)?,
                again: args.again,
            };
            let made = toolchain::make_images(&request, &context, &|event| renderer.event(event))?;
            renderer.result(&made, |made| render::images(made));
        }
        ToolchainCommand::Verify(args) => {
            let context = builders::context(here, true)?;
            let targets = targets(&args.targets.targets)?;
            let wanted = args.builder.and_then(Builder::wanted);
            let verified = toolchain::verify(wanted, &targets, &context)?;
            renderer.result(&verified, |verified| render::verified_tools(verified));
        }
        ToolchainCommand::Shell(args) => return shell(args, renderer),
        ToolchainCommand::Id => {
            let id = toolchain::Locked::of(&builders::context(here, true)?)?.id();
            renderer.result(&id, |id| format!("{id}\n"));
        }
        ToolchainCommand::Diff { a, b } => {
            let a = toolchain::Locked::named(&a, here)?;
            let b = match b {
                Some(b) => toolchain::Locked::named(&b, here)?,
                None => toolchain::Locked::of(&builders::context(here, true)?)?,
            };
            let differences = a.differences(&b);
            renderer.result(&differences, |differences| render::rows(differences));
        }
        ToolchainCommand::Status => {
            let context = builders::context(here, true)?;
            let statuses = toolchain::status(&targets(&[])?, &context);
            renderer.result(&statuses, |statuses| render::statuses(statuses));
        }
    }
    Ok(())
}

/// Exit code 0 of the command in the shell is success; any other one is told, as nothing of it is ours.
fn shell(args: ShellArgs, renderer: &Renderer) -> Result<(), Failure> {
    let here = Path::new(".");
    let context = builders::context(here, false)?;
    let target = plan::target(&args.target)?;
    let kind = toolchain::choose(args.builder.and_then(Builder::wanted))?.kind;
    let toolchain = toolchain::provision(kind, target, &context, &|event| renderer.event(event))?;
    Ok(compile::shell(&toolchain, &context.workspace_root, &args.command)?)
}

fn targets(names: &[String]) -> Result<Vec<Target>, Failure> {
    if names.is_empty() {
        return Ok(Target::all().collect());
    }
    names.iter().map(|name| Ok(plan::target(name)?)).collect()
}

fn pretty<T: Serialize>(value: &T) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}
