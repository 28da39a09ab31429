//! Cargo's command line, environment and messages: pure, so that what a builder is told can be read in a test.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use artifact::contract;
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
    for (name, value) in contract::FIXED_VARIABLES {
        set(name, (*value).to_owned());
    }
    set("PATH", format!("{sysroot}/bin:{}", compilers.path));
    set("HOME", format!("{target_dir}/home"));
    set("TMPDIR", format!("{target_dir}/tmp"));
    set("SOURCE_DATE_EPOCH", request.source_date_epoch.to_string());
    set("CARGO_HOME", cargo_home.clone());
    set("CARGO_TARGET_DIR", target_dir.clone());
    set(
        "CARGO_ENCODED_RUSTFLAGS",
        flags::rust_flags(request.target, layout, compilers.linker_kind).join("\u{1f}"),
    );
    set("RUSTC", format!("{sysroot}/bin/rustc"));
    set(&format!("CARGO_TARGET_{}_LINKER", triple.to_uppercase()), compilers.linker.clone());
    // The `cc` crate reads these for C code; quoted as a shell would, since paths may hold spaces.
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

#[cfg(test)]
pub(crate) mod tests {
    use artifact::Target;

    use super::*;
    use crate::flags::LinkerKind;

    /// A request for `target` as a plan makes it.
    pub(crate) fn request(target: Target) -> CompileRequest {
        CompileRequest {
            target,
            package: "product".to_owned(),
            binary: "productd".to_owned(),
            profile: "release".to_owned(),
            features: vec!["one".to_owned(), "two".to_owned()],
            default_features: false,
            workspace_root: PathBuf::from("/home/someone/work"),
            target_dir: PathBuf::from("/home/someone/work/target/host"),
            source_date_epoch: 1_700_000_000,
            glibc_floor: Some("2.31".to_owned()),
        }
    }

    /// A container's layout.
    pub(crate) fn layout() -> Layout {
        let [source, target_dir, cargo_home, sysroot] =
            ["/src", "/target", "/cargo", "/rust"].map(str::to_owned);
        Layout { source, target_dir, cargo_home, sysroot }
    }

    fn compilers() -> Compilers {
        Compilers {
            linker: "some-gcc".to_owned(),
            linker_kind: LinkerKind::Driver,
            c: Some("some-gcc".to_owned()),
            cxx: None,
            ar: None,
            path: "/usr/bin:/bin".to_owned(),
            env: BTreeMap::from([("ZIG_LOCAL_CACHE_DIR".to_owned(), "/zig".to_owned())]),
        }
    }

    #[test]
    fn the_arguments_keep_the_lock_and_the_network_off_for_every_target() {
        for target in Target::all() {
            let CargoCommand { program, args, .. } = command(&request(target), &layout(), &compilers());
            assert_eq!(program, "/rust/bin/cargo");
            let expected = format!(
                "build --locked --offline --message-format json-render-diagnostics --target {} --profile release \
                 --package product --bin productd --no-default-features --features one,two",
                target.triple()
            );
            assert_eq!(args.join(" "), expected);
        }
    }

    #[test]
    fn the_environment_is_whole_and_about_the_target() {
        let env = command(&request(Target::Aarch64Linux), &layout(), &compilers()).env;
        let expected = [
            ("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "some-gcc"),
            ("CC_aarch64_unknown_linux_gnu", "some-gcc"),
            ("PATH", "/rust/bin:/usr/bin:/bin"),
            ("HOME", "/target/home"),
            ("TMPDIR", "/target/tmp"),
            ("CARGO_HOME", "/cargo"),
            ("CARGO_TARGET_DIR", "/target"),
            ("CARGO_INCREMENTAL", "0"),
            ("CARGO_NET_OFFLINE", "true"),
            ("LC_ALL", "C.UTF-8"),
            ("TZ", "UTC"),
            ("SOURCE_DATE_EPOCH", "1700000000"),
            ("RUSTC", "/rust/bin/rustc"),
            ("RUSTC_WRAPPER", ""),
            ("RUSTC_WORKSPACE_WRAPPER", ""),
            ("ZIG_LOCAL_CACHE_DIR", "/zig"),
        ];
        for (name, value) in expected {
            assert_eq!(env.get(name).map(String::as_str), Some(value), "{name}");
        }
        assert!(env["CARGO_ENCODED_RUSTFLAGS"].contains("--remap-path-prefix=/src=/src\u{1f}"));
        assert!(env["CFLAGS_aarch64_unknown_linux_gnu"].contains("-ffile-prefix-map=/target=/src/target"));
        assert!(!env.contains_key("AR_aarch64_unknown_linux_gnu") && !env.contains_key("RUSTFLAGS"));
    }

    #[test]
    fn no_build_has_a_variable_that_the_lock_does_not_list() {
        for target in Target::all() {
            for name in command(&request(target), &layout(), &compilers()).env.keys() {
                assert!(contract::allows(name, target.triple()), "{target}: {name}");
            }
        }
    }

    fn artifact(name: &str, kind: &str, executable: &str) -> String {
        serde_json::json!({
            "reason": "compiler-artifact",
            "package_id": "path+file:///src#product@0.1.0",
            "manifest_path": "/src/Cargo.toml",
            "target": {
                "kind": [kind], "crate_types": [kind], "name": name, "src_path": "/src/src/main.rs",
                "edition": "2024", "doc": true, "doctest": false, "test": true,
            },
            "profile": {
                "opt_level": "3", "debuginfo": 0, "debug_assertions": false, "overflow_checks": false, "test": false,
            },
            "features": [], "filenames": [], "executable": executable, "fresh": false,
        })
        .to_string()
    }

    #[test]
    fn the_executable_is_the_binary_that_was_asked_for() {
        let mut messages = Messages::default();
        for (name, kind, path) in [
            ("productd", "custom-build", "/target/release/build/product/build-script"),
            ("productd", "bin", "/target/aarch64-unknown-linux-gnu/release/productd"),
            ("other", "bin", "/target/aarch64-unknown-linux-gnu/release/other"),
        ] {
            assert_eq!(messages.take("productd", &artifact(name, kind, path)), None);
        }
        assert_eq!(messages.take("productd", r#"{"reason":"build-finished","success":true}"#), None);
        assert_eq!(messages.take("productd", "not cargo's"), Some("not cargo's"));
        let path = "/target/aarch64-unknown-linux-gnu/release/productd";
        assert_eq!(messages, Messages { executable: Some(path.to_owned()), crates_done: 3 });
        let here = "/home/someone/work/target/host/aarch64-unknown-linux-gnu/release/productd";
        let request = request(Target::Aarch64Linux);
        assert_eq!(on_this_machine(path, &layout(), &request), Some(PathBuf::from(here)));
    }

    #[test]
    fn a_path_that_leads_out_of_the_target_folder_is_not_taken() {
        for path in ["/etc/passwd", "/target/../etc/passwd", "/targets/productd", "target/productd"] {
            assert_eq!(on_this_machine(path, &layout(), &request(Target::Aarch64Linux)), None, "{path}");
        }
    }

    #[test]
    fn an_error_is_told_without_the_progress_around_it() {
        let told = "   Compiling product v0.1.0 (/src)\nwarning: unused\n\nerror[E0308]: mismatched types\n  --> src/main.rs:1\n\
                    \x20   Building [=>  ] 1/2\n\nerror: could not compile `product`\n";
        let expected =
            "error[E0308]: mismatched types\n  --> src/main.rs:1\n\nerror: could not compile `product`";
        assert_eq!(error_text(told), expected);
        assert_eq!(error_text(" no such word \n"), "no such word");
    }
}
