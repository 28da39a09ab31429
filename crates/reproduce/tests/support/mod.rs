//! Builds of small programs, two at a time, with whatever is to differ between them.
#![expect(clippy::disallowed_methods, reason = "the tests start compilers and archivers themselves")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process;

use reproduce::{CauseKind, Compared, Verdict, compare};

/// What a program is built for.
pub(crate) trait Target {
    /// Triple and linker.
    fn build(self) -> (&'static str, &'static str);
}

/// Linux by machine.
#[derive(Clone, Copy)]
pub(crate) enum Linux {
    /// 64-bit ARM.
    Aarch64,
    /// 64-bit x86.
    X86_64,
}

impl Target for Linux {
    fn build(self) -> (&'static str, &'static str) {
        match self {
            Linux::Aarch64 => ("aarch64-unknown-linux-gnu", "aarch64-linux-gnu-gcc"),
            Linux::X86_64 => ("x86_64-unknown-linux-gnu", "cc"),
        }
    }
}

/// 64-bit x86 Windows.
#[derive(Clone, Copy)]
pub(crate) struct Windows;

impl Target for Windows {
    fn build(self) -> (&'static str, &'static str) {
        ("x86_64-pc-windows-gnu", "x86_64-w64-mingw32-gcc")
    }
}

/// A command on the built file, which its words call `FILE`.
#[derive(Clone)]
pub(crate) struct Command {
    pub(crate) words: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
}

/// How a program is built.
#[derive(Clone)]
pub(crate) struct Build {
    folder: &'static str,
    linker: &'static str,
    triple: &'static str,
    source: String,
    c: Vec<String>,
    procedural_macro: Option<String>,
    is_remapped: bool,
    flags: Vec<String>,
    env: Vec<(String, String)>,
    then: Vec<Command>,
    edit: Option<fn(&mut Vec<u8>)>,
}

/// A program that prints what an expression is, and has a place to panic at.
pub(crate) fn hello(expression: &str) -> String {
    format!(
        "fn main() {{\n    let value = std::env::args().nth(1).map(|text| text.parse::<u32>().unwrap());\n    \
         println!(\"{{value:?}} {{:?}}\", {expression});\n}}\n"
    )
}

/// A macro that makes a list in the order of a HashMap, another one in each compiler's run.
pub(crate) const HASHED_MACRO: &str = r#"
extern crate proc_macro;
#[proc_macro]
pub fn list(_: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let names = ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet", "kilo", "lima"];
    let map: std::collections::HashMap<&str, usize> = names.iter().map(|name| (*name, name.len())).collect();
    let list: Vec<_> = map.iter().map(|(name, size)| format!("({name:?}, {size}_u64)")).collect();
    format!("{{ static LIST: [(&str, u64); 12] = [{}]; &LIST }}", list.join(", ")).parse().unwrap()
}
"#;

impl Build {
    pub(crate) fn of(target: impl Target) -> Build {
        let (triple, linker) = target.build();
        Build {
            folder: "here",
            linker,
            triple,
            source: hello("\"hello\""),
            c: Vec::new(),
            procedural_macro: None,
            is_remapped: false,
            flags: Vec::new(),
            env: Vec::new(),
            then: Vec::new(),
            edit: None,
        }
    }

    /// In another folder.
    pub(crate) fn folder(self, folder: &'static str) -> Build {
        Build { folder, ..self }
    }

    /// With another linker driver.
    pub(crate) fn linker(self, linker: &'static str) -> Build {
        Build { linker, ..self }
    }

    pub(crate) fn source(mut self, source: &str) -> Build {
        self.source = source.to_owned();
        self
    }

    /// C code whose function `where` the program prints.
    pub(crate) fn c(mut self, code: &str) -> Build {
        self.c.push(code.to_owned());
        let call = "unsafe { core::ffi::CStr::from_ptr(r#where()) }";
        self.source(&format!(
            "unsafe extern \"C\" {{ fn r#where() -> *const core::ffi::c_char; }}\n{}",
            hello(call)
        ))
    }

    /// Further C code, linked behind the others.
    pub(crate) fn c_last(mut self, code: &str) -> Build {
        self.c.push(code.to_owned());
        self
    }

    pub(crate) fn procedural_macro(mut self, code: &str) -> Build {
        self.procedural_macro = Some(code.to_owned());
        self
    }

    pub(crate) fn remapped(mut self) -> Build {
        self.is_remapped = true;
        self
    }

    /// Without the linker's time stamp.
    pub(crate) fn steady(self) -> Build {
        self.flag("-Clink-arg=-Wl,--no-insert-timestamp")
    }

    pub(crate) fn flag(mut self, flag: &str) -> Build {
        self.flags.push(flag.to_owned());
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Build {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn then(mut self, command: Command) -> Build {
        self.then.push(command);
        self
    }

    pub(crate) fn edit(mut self, edit: fn(&mut Vec<u8>)) -> Build {
        self.edit = Some(edit);
        self
    }
}

/// The program that `build` makes.
pub(crate) fn built(build: &Build) -> Vec<u8> {
    let place = tempfile::Builder::new().prefix("faults-").rand_bytes(6).tempdir().unwrap();
    // Where tests run, temporary folders differ in six characters: links of one name stand before them.
    let root = fs::canonicalize(place.path()).unwrap();
    let folder = root.join(build.folder);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("main.rs"), &build.source).unwrap();
    let mut rustc = command("rustc", &folder, build);
    rustc.arg(folder.join("main.rs")).args(["--crate-name", "hello", "--edition", "2024", "-Copt-level=2"]);
    rustc.args(["--target", build.triple, "-Cstrip=none", "-o", "hello"]);
    rustc.arg(format!("-Clinker={}", build.linker)).args(&build.flags).env("OUT_DIR", &folder);
    if build.is_remapped {
        rustc.arg(format!("--remap-path-prefix={}=/src", folder.display()));
    }
    if let Some(code) = &build.procedural_macro {
        fs::write(folder.join("hashed.rs"), code).unwrap();
        let mut compiler = command("rustc", &folder, build);
        run(compiler.args(["hashed.rs", "--crate-type", "proc-macro", "--edition", "2024"]));
        rustc.arg(format!("--extern=hashed={}", folder.join("libhashed.so").display()));
    }
    for code in &build.c {
        // Named by its code, so that what is linked in another order has no other name.
        let name = format!("{}.c", artifact::Digest::of(code.as_bytes()).short());
        let object = folder.join(&name).with_extension("o");
        fs::write(folder.join(&name), code).unwrap();
        let mut compiler = command("gcc", &folder, build);
        compiler.args(["-O2", "-c", "-o"]).arg(&object).arg(folder.join(&name));
        if build.is_remapped {
            compiler.arg(format!("-ffile-prefix-map={}=/src", folder.display()));
        }
        run(&mut compiler);
        rustc.arg(format!("-Clink-arg={}", object.display()));
    }
    run(&mut rustc);
    let file = folder.join(if folder.join("hello.exe").exists() { "hello.exe" } else { "hello" });
    for Command { words, env } in &build.then {
        let mut command = command(&words[0], &folder, build);
        command.args(words[1..].iter().map(|word| word.replace("FILE", file.to_str().unwrap())));
        run(command.envs(env.iter().map(|(name, value)| (name, value))));
    }
    let mut bytes = fs::read(&file).unwrap();
    if let Some(edit) = build.edit {
        edit(&mut bytes);
    }
    bytes
}

fn command(program: &str, folder: &Path, build: &Build) -> process::Command {
    let mut command = process::Command::new(program);
    command.current_dir(folder).envs(build.env.iter().map(|(name, value)| (name, value)));
    command
}

fn run(command: &mut process::Command) {
    let output =
        command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; ci/setup installs it"));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {told}");
}

/// Runs a line of shell in `folder`.
pub(crate) fn shell(folder: &Path, script: &str) {
    run(process::Command::new("sh").args(["-euc", script]).current_dir(folder));
}

/// Signs a program with a key made for the purpose.
pub(crate) fn sign() -> Command {
    let script = "cd \"$(dirname FILE)\" && openssl req -x509 -newkey rsa:2048 -nodes -keyout k -out c -days 9 -subj /CN=test 2>/dev/null && \
                  osslsigncode sign -certs c -key k -in FILE -out signed >/dev/null && mv signed FILE";
    Command { words: ["sh", "-euc", script].map(str::to_owned).to_vec(), env: Vec::new() }
}

/// What is built twice.
pub(crate) struct Pair {
    pub(crate) published: Build,
    pub(crate) rebuilt: Build,
}

/// A fault and what must be said of it.
pub(crate) struct Case {
    name: &'static str,
    published: Vec<u8>,
    rebuilt: Vec<u8>,
    verdict: Verdict,
    /// All causes, or the first where `first_only`.
    causes: Vec<CauseKind>,
    first_only: bool,
}

impl Case {
    /// Two programs that differ for one reason, which must come first.
    pub(crate) fn programs(name: &'static str, pair: Pair, cause: CauseKind) -> Case {
        Case { first_only: true, ..Case::same(name, pair, Verdict::Explained, &[cause]) }
    }

    /// Two programs of which exactly `causes` are told.
    pub(crate) fn same(name: &'static str, pair: Pair, verdict: Verdict, causes: &[CauseKind]) -> Case {
        Case::bytes(name, built(&pair.published), built(&pair.rebuilt), verdict, causes)
    }

    pub(crate) fn bytes(
        name: &'static str,
        published: Vec<u8>,
        rebuilt: Vec<u8>,
        verdict: Verdict,
        causes: &[CauseKind],
    ) -> Case {
        Case { name, published, rebuilt, verdict, causes: causes.to_vec(), first_only: false }
    }
}

/// Compares both ways round and holds the answer to what is true.
pub(crate) fn check(case: Case) {
    let Case { name, published, rebuilt, verdict, causes, first_only } = case;
    keep(name, &published, &rebuilt);
    for (one, other) in [(&published, &rebuilt), (&rebuilt, &published)] {
        let compared = compare(name, one, other);
        let mut told: Vec<_> = compared.causes.iter().map(|cause| cause.kind).collect();
        if first_only {
            told.truncate(1);
        }
        assert_eq!((compared.verdict, &told), (verdict, &causes), "{}", shown(&compared));
        for cause in &compared.causes {
            assert!(!cause.detail.is_empty() && !cause.cure.is_empty(), "{}", shown(&compared));
        }
    }
}

fn shown(compared: &Compared) -> String {
    let mut text = format!("{}: {}\n", compared.name, compared.verdict);
    for cause in &compared.causes {
        text += &format!(
            "  {}: {} ({} places, {:?})\n",
            cause.kind,
            cause.detail,
            cause.span_count,
            cause.spans.first()
        );
    }
    text + &format!("  unexplained {:#?}", compared.unexplained)
}

/// Keeps a pair for other tools where `SEAWORTHY_FAULTS` names a folder.
pub(crate) fn keep(name: &str, published: &[u8], rebuilt: &[u8]) {
    if let Some(folder) = std::env::var_os("SEAWORTHY_FAULTS").map(PathBuf::from) {
        let folder = folder.join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("published"), published).unwrap();
        fs::write(folder.join("rebuilt"), rebuilt).unwrap();
    }
}
