//! On this machine, with the cross compilers on PATH: recorded as unlocked.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};

use artifact::{BinaryFormat, Events};

use crate::cargo::{self, Layout};
use crate::command::{self, CommandLine, Stream};
use crate::flags::shell_word;
use crate::tools::{Compilers, DLLTOOL};
use crate::watch;
use crate::{CompileRequest, Error, ErrorKind};

/// Builds with the compiler driver `linker`, such as `aarch64-linux-gnu-gcc`; `None` is the system's `cc`.
pub(crate) fn build(
    request: &CompileRequest,
    linker: Option<&str>,
    events: Events<'_>,
) -> Result<PathBuf, Error> {
    let layout = layout(request)?;
    let driver = linker.unwrap_or("cc");
    let mut compilers = Compilers::gcc(driver, &search_path(), request, &layout)?;
    if linker.is_none() {
        // The system's compiler is for this machine's C library; the `cc` crate knows the names of others.
        (compilers.c, compilers.cxx) = (None, None);
    }
    if request.target.row().format == BinaryFormat::Pe {
        let real = find(DLLTOOL, &compilers.path)?;
        compilers = compilers.with_steady_dlltool(&shell_word(&real), request, &layout)?;
    }
    run(request, &layout, &compilers, events)
}

/// Starts cargo on this machine.
pub(crate) fn run(
    request: &CompileRequest,
    layout: &Layout,
    compilers: &Compilers,
    events: Events<'_>,
) -> Result<PathBuf, Error> {
    let cargo::CargoCommand { program, args, env } = cargo::command(request, layout, compilers);
    let folder = request.workspace_root.clone();
    let command = CommandLine { program, args, env, inherits_env: false, folder };
    watch::watch(request, &command, command::run, events)?.executable(request, layout)
}

/// The paths of this machine.
pub(crate) fn layout(request: &CompileRequest) -> Result<Layout, Error> {
    Ok(Layout {
        source: text(&request.workspace_root)?,
        target_dir: text(&request.target_dir)?,
        cargo_home: text(&cargo_home()?)?,
        sysroot: sysroot(&request.workspace_root)?,
    })
}

/// The caller's PATH.
pub(crate) fn search_path() -> String {
    env::var("PATH").unwrap_or_else(|_| "/usr/local/bin:/usr/bin:/bin".to_owned())
}

/// A path that can stand in a variable and in a compiler's flag.
pub(crate) fn text(path: &Path) -> Result<String, Error> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        let message = format!("{}: this path is not UTF-8, which cargo and compilers need", path.display());
        Error::new(ErrorKind::Io, message)
    })
}

/// Cargo's home folder, as cargo finds it.
pub(crate) fn cargo_home() -> Result<PathBuf, Error> {
    let found = match env::var_os("CARGO_HOME").filter(|home| !home.is_empty()) {
        Some(home) => Some(PathBuf::from(home)),
        None => env::home_dir().map(|home| home.join(".cargo")),
    };
    let home = found.ok_or_else(|| {
        Error::new(ErrorKind::Io, "neither CARGO_HOME nor HOME says where cargo keeps its files")
    })?;
    std::fs::canonicalize(&home).map_err(|cause| crate::error::Faults::io(&home, cause))
}

/// The folder of the Rust toolchain that is in force in `folder`.
fn sysroot(folder: &Path) -> Result<String, Error> {
    let mut printed = String::new();
    let mut told = String::new();
    let command = CommandLine {
        program: "rustc".to_owned(),
        args: vec!["--print".to_owned(), "sysroot".to_owned()],
        env: BTreeMap::new(),
        inherits_env: true,
        folder: folder.to_owned(),
    };
    let ended = command::run(&command, &mut |stream, line| match stream {
        Stream::Out => printed.push_str(line),
        Stream::Err => told.push_str(line),
    })?;
    if !ended.success || printed.is_empty() {
        let message = format!("`rustc --print sysroot` failed in {}: {told}", folder.display());
        return Err(Error::new(ErrorKind::MissingTool, message).with_hint("run `cargo xtask doctor`"));
    }
    text(
        &std::fs::canonicalize(&printed)
            .map_err(|cause| crate::error::Faults::io(Path::new(&printed), cause))?,
    )
}

/// The file on `path` (as PATH) that would be started under this name.
fn find(name: &str, path: &str) -> Result<String, Error> {
    match env::split_paths(path).map(|folder| folder.join(name)).find(|file| file.is_file()) {
        Some(file) => text(&file),
        None => Err(Error::new(ErrorKind::MissingTool, format!("`{name}` is not on PATH"))
            .with_hint("apt-get install gcc-mingw-w64-x86-64")),
    }
}
