//! On this machine, with zig as the linker and C compiler, driven by the `cargo-zigbuild` library.
//!
//! rustc starts its linker as a program, so a script of ours stands before zig. It calls this program back as
//! `<program> zig cc -- <arguments>`, and [`run_zig_wrapper`] answers: the library translates rustc's arguments for
//! zig and starts it. The script says in `CARGO_ZIGBUILD_ZIG_COMMAND` which zig that is. The library's own way to write
//! such scripts is not used: it takes its settings from the environment of the whole process, and its file names
//! can collide.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use artifact::{BinaryFormat, Events, Linkage, Machine, Target};

use crate::cargo::Layout;
use crate::command::{self, CommandLine, Stream};
use crate::error::Faults as _;
use crate::flags::{LinkerKind, shell_word};
use crate::tools::{self, Compilers};
use crate::{CompileRequest, Error, ErrorKind, floor, host, pdb_id};

/// Builds with `zig`, the program in the unpacked wheel; `driver` is the program that answers the wrapper's calls.
pub(crate) fn build(
    request: &CompileRequest,
    zig: &Path,
    driver: &Path,
    events: Events<'_>,
) -> Result<PathBuf, Error> {
    let zig_target = zig_target(request, zig)?;
    let layout = host::layout(request)?;
    let zig = Zig { path: host::text(zig)?, version: version(zig)?, driver: host::text(driver)?, zig_target };
    let compilers = zig.compilers(request, &layout)?;
    let program = host::run(request, &layout, &compilers, events)?;
    if request.target.row().format == BinaryFormat::Pe {
        pdb_id::make_steady(&program)?;
    }
    Ok(program)
}

/// Answers the calls of the linker script: `args` is what follows `zig` on this program's command line (`cc -- …` or
/// `c++ -- …`). Every program that calls [`compile`](crate::compile) must hand such a command line to this function before it looks at
/// its arguments in any other way. Where zig fails, the process ends with zig's exit code.
pub fn run_zig_wrapper(args: impl IntoIterator<Item = OsString>) -> Result<(), Error> {
    let refused =
        |what: &str| Error::new(ErrorKind::MissingTool, format!("the zig wrapper was called with {what}"));
    let mut words = Vec::new();
    for word in args {
        words.push(word.into_string().map_err(|_| refused("an argument that is not UTF-8"))?);
    }
    let mut words = words.into_iter();
    let tool = words.next();
    if words.next().as_deref() != Some("--") {
        return Err(refused("no `--` after the tool's name"));
    }
    let args = words.collect();
    let zig = match tool.as_deref() {
        Some("cc") => cargo_zigbuild::Zig::Cc { args },
        Some("c++") => cargo_zigbuild::Zig::Cxx { args },
        _ => return Err(refused("another tool than `cc` or `c++`")),
    };
    zig.execute().map_err(|cause| {
        Error::new(ErrorKind::MissingTool, format!("zig cannot be run: {cause:#}"))
            .with_hint("run `cargo xtask toolchain status`")
    })
}

/// The target as zig names it, with the glibc floor, which is checked here because zig does not.
fn zig_target(request: &CompileRequest, zig: &Path) -> Result<String, Error> {
    let row = request.target.row();
    let machine = match row.machine {
        Machine::Aarch64 => "aarch64",
        Machine::X86_64 => "x86_64",
    };
    let system = match (row.format, row.linkage) {
        (BinaryFormat::Pe, _) => "windows-gnu".to_owned(),
        (BinaryFormat::Elf, Linkage::StaticPie) => "linux-musl".to_owned(),
        (BinaryFormat::Elf, Linkage::Dynamic) => {
            let asked = request.glibc_floor.as_deref().or(row.glibc_floor).unwrap_or_default();
            let (major, minor) = floor::checked(request.target, asked, zig)?;
            format!("linux-gnu.{major}.{minor}")
        }
    };
    Ok(format!("{machine}-{system}"))
}

/// A zig that was looked at.
struct Zig {
    path: String,
    version: String,
    driver: String,
    zig_target: String,
}

impl Zig {
    fn compilers(&self, request: &CompileRequest, layout: &Layout) -> Result<Compilers, Error> {
        let write = |name: &str, text: &str| tools::script(request, layout, name, text);
        let compiler = write("zig-cc", &self.compiler_script("cc", ""))?;
        // rustc guesses from a name: this one must not end like a linker, since it takes a C compiler's options.
        let linker = write("zig-linker", &self.compiler_script("cc", &self.runtime_paths()))?;
        let archiver = format!("#!/bin/sh\nexec {} ar \"$@\"\n", shell_word(&self.path));
        let compilers = Compilers {
            linker,
            linker_kind: LinkerKind::Zig,
            c: Some(compiler),
            cxx: Some(write("zig-c++", &self.compiler_script("c++", ""))?),
            ar: Some(write("zig-ar", &archiver)?),
            path: host::search_path(),
            env: self.variables(request.target)?,
        };
        if request.target.row().format == BinaryFormat::Pe {
            let real = format!("{} dlltool", shell_word(&self.path));
            return compilers.with_steady_dlltool(&real, request, layout);
        }
        compilers.with_musl_linker(request, layout)
    }

    /// As `cargo-zigbuild` writes it: debug information is kept for `finish` to split off, no sanitizers. zig refuses `__DATE__`
    /// as not reproducible; with SOURCE_DATE_EPOCH, which every build has, it is.
    fn compiler_script(&self, tool: &str, before: &str) -> String {
        let Zig { path, version, driver, zig_target } = self;
        format!(
            "#!/bin/sh\n\
             export CARGO_ZIGBUILD_ZIG_COMMAND={} CARGO_ZIGBUILD_ZIG_VERSION={version}\n\
             {before}\
             exec {} zig {tool} -- -g -fno-sanitize=all -Wno-error=date-time -target {zig_target} \"$@\"\n",
            shell_word(path),
            shell_word(driver),
        )
    }

    /// When it links, zig compiles start files and parts of a C library, with debug information that names zig's
    /// folder and the current one; the build-id is a digest of that too. This makes clang, which zig starts, write
    /// `/zig` for both (clang takes options from this variable; it splits them at spaces, whatever they hold).
    fn runtime_paths(&self) -> String {
        let folder = self.path.trim_end_matches("/zig");
        if folder.contains(' ') {
            return String::new();
        }
        let options = format!("#+-ffile-prefix-map={folder}=/zig +-fdebug-compilation-dir=/zig");
        format!("export CCC_OVERRIDE_OPTIONS={}\n", shell_word(&options))
    }

    fn variables(&self, target: Target) -> Result<BTreeMap<String, String>, Error> {
        let cache = host::text(&cache_folder(Path::new(&self.path))?)?;
        let mut env = BTreeMap::from(
            ["ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"].map(|name| (name.to_owned(), cache.clone())),
        );
        if target.row().format == BinaryFormat::Pe {
            // The `winapi` crates bring import libraries that zig's linker cannot read.
            env.insert("WINAPI_NO_BUNDLED_LIBRARIES".to_owned(), "1".to_owned());
        }
        Ok(env)
    }
}

/// zig builds C libraries on first use (a minute and a half for Windows) and keeps them here: beside the unpacked
/// wheel `<cache>/zig/<sha256>/ziglang/zig`, in `<cache>/zig/<sha256>.built`, so that another version finds its own.
fn cache_folder(zig: &Path) -> Result<PathBuf, Error> {
    let wheel = zig.parent().and_then(Path::parent).unwrap_or(zig);
    let folder = wheel.with_extension("built");
    std::fs::create_dir_all(&folder).map_err(|cause| Error::io(&folder, cause))?;
    Ok(folder)
}

/// What `zig version` prints.
fn version(zig: &Path) -> Result<String, Error> {
    let mut printed = String::new();
    let command = CommandLine {
        program: host::text(zig)?,
        args: vec!["version".to_owned()],
        env: BTreeMap::new(),
        inherits_env: false,
        folder: PathBuf::from("/"),
    };
    let ended = command::run(&command, &mut |stream, line| {
        if stream == Stream::Out {
            printed.push_str(line);
        }
    })?;
    let is_version =
        |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || ".-+".contains(c));
    if !ended.success || !is_version(&printed) {
        let message = format!("{} does not say its version ({})", zig.display(), ended.status);
        return Err(
            Error::new(ErrorKind::MissingTool, message).with_hint("run `cargo xtask toolchain status`")
        );
    }
    Ok(printed)
}
