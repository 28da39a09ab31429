//! Cargo's command line, environment and messages: pure, so that what a builder is told can be read in a test.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cargo_metadata::Message;

use crate::CompileRequest;
use crate::flags;
use crate::tools::Compilers;

/// Where things are, in the words of the builder: a container sees other paths than this machine does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The workspace, which is only read.
    pub(crate) source: String,
    /// Cargo's target folder; `home` and `tmp` in it stand in for the user's.
    pub(crate) target_dir: String,
    /// `CARGO_HOME`, with the fetched dependencies.
    pub(crate) cargo_home: String,
    /// The Rust toolchain's folder (`rustc --print sysroot`).
    pub(crate) sysroot: String,
}

/// A program, its arguments and its whole environment, in the words of the builder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CargoCommand {
    /// Cargo itself, never rustup's stand-in for it: the sysroot decides which Rust it is.
    pub(crate) program: String,
    /// Its arguments.
    pub(crate) args: Vec<String>,
    /// All its variables: nothing else may be inherited.
    pub(crate) env: BTreeMap<String, String>,
}

/// The command that builds `request` in a builder laid out as `layout` with `compilers`.
pub(crate) fn command(request: &CompileRequest, layout: &Layout, compilers: &Compilers) -> CargoCommand {
    CargoCommand {
        program: format!("{}/bin/cargo", layout.sysroot),
        args: arguments(request),
        env: environment(request, layout, compilers),
    }
}

fn arguments(request: &CompileRequest) -> Vec<String> {
    let mut args = vec!["build", "--locked", "--offline", "--message-format", "json-render-diagnostics"];
    args.extend(["--target", request.target.triple(), "--profile", &request.profile]);
    args.extend(["--package", &request.package, "--bin", &request.binary]);
    if !request.default_features {
        args.push("--no-default-features");
    }
    let features = request.features.join(",");
    if !features.is_empty() {
        args.extend(["--features", &features]);
    }
    args.into_iter().map(str::to_owned).collect()
}

/// Every variable, and none of the caller's.
///
/// A linker or flag of the user's own must not silently win. Cargo reads variables before configuration files, so
/// ours replace `[target.*] linker`, `[build] rustflags`, `[target.*] rustflags` and `[build] rustc-wrapper` there.
fn environment(request: &CompileRequest, layout: &Layout, compilers: &Compilers) -> BTreeMap<String, String> {
    let Layout { target_dir, cargo_home, sysroot, .. } = layout;
    let triple = request.target.triple().replace('-', "_");
    let c_flags = flags::c_flags(layout);
    let mut env = compilers.env.clone();
    let mut set = |name: &str, value: String| env.insert(name.to_owned(), value);
    set("PATH", format!("{sysroot}/bin:{}", compilers.path));
    set("HOME", format!("{target_dir}/home"));
    set("TMPDIR", format!("{target_dir}/tmp"));
    set("LC_ALL", "C.UTF-8".to_owned());
    set("TZ", "UTC".to_owned());
    set("SOURCE_DATE_EPOCH", request.source_date_epoch.to_string());
    set("CARGO_HOME", cargo_home.clone());
    set("CARGO_TARGET_DIR", target_dir.clone());
    set("CARGO_INCREMENTAL", "0".to_owned());
    set("CARGO_NET_OFFLINE", "true".to_owned());
    set("CARGO_TERM_COLOR", "never".to_owned());
    set("CARGO_TERM_PROGRESS_WHEN", "never".to_owned());
    set(
        "CARGO_ENCODED_RUSTFLAGS",
        flags::rust_flags(request.target, layout, compilers.linker_kind).join("\u{1f}"),
    );
    set("RUSTC", format!("{sysroot}/bin/rustc"));
    set("RUSTC_WRAPPER", String::new());
    set("RUSTC_WORKSPACE_WRAPPER", String::new());
    set(&format!("CARGO_TARGET_{}_LINKER", triple.to_uppercase()), compilers.linker.clone());
    // The `cc` crate reads these for C code; quoted as a shell would, since paths may hold spaces.
    set("CC_SHELL_ESCAPED_FLAGS", "1".to_owned());
    set(&format!("CFLAGS_{triple}"), c_flags.clone());
    set(&format!("CXXFLAGS_{triple}"), c_flags);
    for (variable, program) in [("CC", &compilers.c), ("CXX", &compilers.cxx), ("AR", &compilers.ar)] {
        if let Some(program) = program {
            set(&format!("{variable}_{triple}"), program.clone());
        }
    }
    env
}

/// What cargo's messages (standard output, one JSON object a line) tell so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Messages {
    /// The binary's file, as the builder names it.
    pub(crate) executable: Option<String>,
    /// Crates that are ready.
    pub(crate) crates_done: u64,
}

impl Messages {
    /// Takes one line of standard output. Gives it back where it is no message of cargo's: something else printed it.
    pub(crate) fn take<'line>(&mut self, binary: &str, line: &'line str) -> Option<&'line str> {
        match serde_json::from_str(line) {
            Ok(Message::CompilerArtifact(artifact)) => {
                self.crates_done += 1;
                if artifact.target.name == binary
                    && artifact.target.is_bin()
                    && let Some(path) = artifact.executable
                {
                    self.executable = Some(path.into_string());
                }
                None
            }
            Ok(_) => None,
            Err(_) => Some(line),
        }
    }
}

/// The builder's `path` on this machine, where the builder's target folder is `request.target_dir`; `None` where it
/// lies elsewhere or leads out again.
pub(crate) fn on_this_machine(path: &str, layout: &Layout, request: &CompileRequest) -> Option<PathBuf> {
    let inside = Path::new(path).strip_prefix(&layout.target_dir).ok()?;
    let plain = inside.components().all(|part| matches!(part, std::path::Component::Normal(_)));
    plain.then(|| request.target_dir.join(inside))
}

/// The compiler's own words in cargo's `stderr`: from the first error on, without cargo's progress.
pub(crate) fn error_text(stderr: &str) -> String {
    let is_error = |line: &&str| line.starts_with("error");
    let Some(first) = stderr.lines().position(|line| is_error(&line)) else {
        return stderr.trim().to_owned();
    };
    let told: Vec<_> = stderr.lines().skip(first).filter(|line| !is_progress(line)).collect();
    told.join("\n").trim().to_owned()
}

/// Cargo's own status lines: a verb, right-aligned to column 12.
fn is_progress(line: &str) -> bool {
    let verbs =
        ["Compiling", "Building", "Finished", "Blocking", "Fresh", "Downloaded", "Downloading", "Checking"];
    let word = line.trim_start();
    line.starts_with(' ') && verbs.iter().any(|verb| word.starts_with(&format!("{verb} ")))
}
