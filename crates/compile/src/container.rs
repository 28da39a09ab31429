//! In a container without network: the pinned images of `docker/`.
//!
//! The container sees four folders: the workspace at `/src`, the Rust toolchain at `/rust` and the fetched
//! dependencies below `/cargo`, all read-only, and cargo's target folder at `/target`. It runs as the caller.

use std::collections::BTreeMap;
use std::env;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use artifact::{BinaryFormat, Engine, Events, Linkage, Machine};

use crate::cargo::{self, Layout};
use crate::command::{self, CommandLine};
use crate::owner::{self, Owner};
use crate::tools::{Compilers, DLLTOOL};
use crate::watch;
use crate::{CompileRequest, Error, ErrorKind, host};

/// Arguments that this machine's engine needs for every `run` and `build`, separated by spaces.
const EXTRA: &str = "SEAWORTHY_ENGINE_ARGS";

/// PATH in the images.
const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Cargo's exit code for a build that failed; every other one but 0 is the container's or the engine's.
const BUILD_FAILED: i32 = 101;

/// Ends the container when its standard input does, that is, when the process that wanted the build is gone: cargo
/// runs beside a reader of that input, and the container lives as long as its first process, this script.
const SCRIPT: &str = "\
exec 3<&0
\"$@\" </dev/null 3<&- &
build=$!
{ cat <&3 >/dev/null; kill -KILL $build; } 2>/dev/null &
wait $build";

/// Builds in `image` (its own ID) with `engine`; `sysroot` is mounted read-only.
pub(crate) fn build(
    request: &CompileRequest,
    engine: Engine,
    image: &str,
    sysroot: &Path,
    events: Events<'_>,
) -> Result<PathBuf, Error> {
    let owner = Owner::this_process()?;
    owner::sweep(engine, &owner)?;
    let layout = layout();
    let cargo = cargo::command(request, &layout, &compilers(request, &layout)?);
    let name = container_name(&owner);
    let mut args = vec!["run".to_owned(), "--name".to_owned(), name.clone()];
    args.extend(isolation(&owner, engine));
    args.extend(mounts(request, sysroot)?);
    args.extend(engine_arguments());
    args.push(image.to_owned());
    args.extend(["sh", "-c", SCRIPT, "sh"].map(str::to_owned));
    args.extend(environment(cargo.env));
    args.push(cargo.program);
    args.extend(cargo.args);
    let command = engine_command(engine, args);
    let watched = watch::watch(request, &command, command::run_tied, events)?;
    if watched.ended.success || watched.ended.code == Some(BUILD_FAILED) {
        return watched.executable(request, &layout);
    }
    owner::remove(engine, &name);
    let message = format!(
        "{}: the container in which cargo ran did not come to its end ({}):\n{}",
        request.target,
        watched.ended.status,
        watched.stderr.trim()
    );
    let hint = format!("see whether `{} info` answers, then run the same command again", engine.program());
    Err(Error::new(ErrorKind::EngineFailed, message).with_hint(hint))
}

/// Starts `command`, or a shell, at this process's terminal in a container like that of a build.
pub(crate) fn shell(
    request: &CompileRequest,
    engine: Engine,
    image: &str,
    sysroot: &Path,
    command: &[String],
) -> Result<(), Error> {
    let layout = layout();
    let variables = cargo::command(request, &layout, &compilers(request, &layout)?).env;
    let mut args = vec!["run".to_owned()];
    args.extend(isolation(&Owner::this_process()?, engine));
    if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        args.push("--tty".to_owned());
    }
    args.extend(mounts(request, sysroot)?);
    args.extend(engine_arguments());
    args.push(image.to_owned());
    args.extend(environment(variables));
    match command {
        [] => args.push("bash".to_owned()),
        command => args.extend(command.iter().cloned()),
    }
    let ended = command::run_attached(&engine_command(engine, args))?;
    if ended.success {
        return Ok(());
    }
    let told = command.first().map_or("bash", String::as_str);
    Err(Error::new(ErrorKind::CommandFailed, format!("`{told}` in {image} ended with {}", ended.status)))
}

fn layout() -> Layout {
    Layout {
        source: "/src".to_owned(),
        target_dir: "/target".to_owned(),
        cargo_home: "/cargo".to_owned(),
        sysroot: "/rust".to_owned(),
    }
}

fn engine_arguments() -> impl Iterator<Item = String> {
    let set = env::var(EXTRA).unwrap_or_default();
    set.split_whitespace().map(str::to_owned).collect::<Vec<_>>().into_iter()
}

/// The compilers of the images, by their Debian names.
fn compilers(request: &CompileRequest, layout: &Layout) -> Result<Compilers, Error> {
    let row = request.target.row();
    let driver = match (row.format, row.machine) {
        (BinaryFormat::Pe, _) => "x86_64-w64-mingw32-gcc",
        (BinaryFormat::Elf, Machine::Aarch64) => "aarch64-linux-gnu-gcc",
        (BinaryFormat::Elf, Machine::X86_64) => "cc",
    };
    let mut compilers = Compilers::gcc(driver, SEARCH_PATH, request, layout)?;
    if driver == "cc" && row.linkage == Linkage::Dynamic {
        (compilers.c, compilers.cxx) = (Some("gcc".to_owned()), Some("g++".to_owned()));
    }
    if row.format == BinaryFormat::Pe {
        let real = format!("/usr/bin/{DLLTOOL}");
        compilers = compilers.with_steady_dlltool(&real, request, layout)?;
    }
    Ok(compilers)
}

/// The engine's client: it needs the caller's own variables to find its engine.
fn engine_command(engine: Engine, args: Vec<String>) -> CommandLine {
    CommandLine {
        program: engine.program().to_owned(),
        args,
        env: Default::default(),
        inherits_env: true,
        folder: PathBuf::from("/"),
    }
}

/// Two targets are built side by side: each container has a name of its own.
fn container_name(owner: &Owner) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("seaworthy-{}-{}", owner.process(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// No network, no rights, nothing to write to but the mounts; gone when it ends.
fn isolation(owner: &Owner, engine: Engine) -> Vec<String> {
    let (user, group) = (rustix::process::getuid(), rustix::process::getgid());
    let mut args: Vec<_> =
        ["--rm", "--interactive", "--network", "none", "--pull", "never", "--read-only"].into();
    args.extend(["--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--workdir", "/src"]);
    args.extend(["--tmpfs", "/tmp:mode=1777", "--tmpfs", "/cargo:mode=1777"]);
    if engine == Engine::Podman && !user.is_root() {
        args.extend(["--userns", "keep-id"]); // else the caller's own files belong to somebody else in there
    }
    let mut args: Vec<_> = args.into_iter().map(str::to_owned).collect();
    args.extend(["--user".to_owned(), format!("{}:{}", user.as_raw(), group.as_raw())]);
    args.extend(["--label".to_owned(), format!("{}={owner}", owner::LABEL)]);
    args
}

fn mounts(request: &CompileRequest, sysroot: &Path) -> Result<Vec<String>, Error> {
    let mut args = Vec::new();
    let mut mount = |from: &Path, to: &str, mode: &str| -> Result<(), Error> {
        let from = host::text(from)?;
        // A list of comma-separated values: a path with a comma or a quote in it is quoted.
        let source = format!("\"source={}\"", from.replace('"', "\"\""));
        args.extend(["--mount".to_owned(), format!("type=bind,{source},target={to}{mode}")]);
        Ok(())
    };
    const READ_ONLY: &str = ",readonly";
    mount(&request.workspace_root, "/src", READ_ONLY)?;
    mount(sysroot, "/rust", READ_ONLY)?;
    mount(&request.target_dir, "/target", "")?;
    let cargo_home = host::cargo_home()?;
    for part in ["registry", "git", "config.toml"] {
        let path = cargo_home.join(part);
        if path.exists() {
            mount(&path, &format!("/cargo/{part}"), READ_ONLY)?;
        }
    }
    Ok(args)
}

/// `env` with a build's variables and no others; a command follows.
fn environment(variables: BTreeMap<String, String>) -> impl Iterator<Item = String> {
    let variables = variables.into_iter().map(|(name, value)| format!("{name}={value}"));
    ["env", "-i"].map(str::to_owned).into_iter().chain(variables)
}
