//! Real builds of `tests/small` with the compilers of this machine and with zig.
#![expect(clippy::disallowed_methods, reason = "what was built is looked at with readelf, objdump and qemu")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use artifact::{Artifact, BuilderKind, Built, Target, Toolchain, ignore_events};
use seaworthy_compile::{CompileRequest, Error, ErrorKind, compile_driven_by, fetch};
use tempfile::TempDir;
use toolchain::Context;

#[test]
fn cross_compilers_make_the_same_bytes_from_two_folders() {
    for target in Target::all() {
        same_from_two_folders(BuilderKind::Host, target, None);
    }
}

#[test]
fn zig_makes_the_same_windows_program_from_two_folders() {
    let (_yard, built) = same_from_two_folders(BuilderKind::Zig, Target::X86_64Windows, None);
    imports_are_whole(built.path());
    let headers = told("objdump", &["-p"], built.path());
    for wanted in ["HIGH_ENTROPY_VA", "DYNAMIC_BASE", "NX_COMPAT", "Base Relocation Directory [.reloc]"] {
        assert!(headers.contains(wanted), "{wanted}");
    }
}

#[test]
fn zig_keeps_to_the_floor_that_was_asked_for() {
    let (_yard, built) = same_from_two_folders(BuilderKind::Zig, Target::Aarch64Linux, Some("2.17"));
    assert_eq!(glibc_floor(built.path()), (2, 17));
    assert!(
        run("qemu-aarch64-static", &["-L", "/usr/aarch64-linux-gnu"], built.path()).starts_with("small 3")
    );
}

#[test]
fn zig_links_again_when_the_floor_changes() {
    let yard = Yard::new("work");
    let floor = |asked: &str| {
        let request =
            CompileRequest { glibc_floor: Some(asked.to_owned()), ..yard.request(Target::X86_64Linux) };
        glibc_floor(yard.build(BuilderKind::Zig, &request).unwrap().path())
    };
    assert_eq!((floor("2.34"), floor("2.28"), floor("2.34")), ((2, 34), (2, 28), (2, 34)));
}

#[test]
fn an_impossible_floor_is_refused_before_anything_is_built() {
    let yard = Yard::new("work");
    for asked in ["2.99", "2.1"] {
        let request =
            CompileRequest { glibc_floor: Some(asked.to_owned()), ..yard.request(Target::Aarch64Linux) };
        let error = yard.build(BuilderKind::Zig, &request).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FloorImpossible, "{error}");
        assert!(error.to_string().contains(asked) && error.to_string().contains("aarch64-linux"), "{error}");
        assert!(!request.target_dir.join(request.target.triple()).exists());
    }
}

#[test]
fn aarch64_musl_is_a_static_pie_that_runs() {
    let yard = Yard::new("work");
    let built = yard.build(BuilderKind::Host, &yard.request(Target::Aarch64LinuxMusl)).unwrap();
    let headers = told("readelf", &["-hldW"], built.path());
    assert!(headers.contains("DYN (Position-Independent Executable file)"), "{headers}");
    assert!(headers.contains("Flags: NOW PIE") && headers.contains("GNU_RELRO"), "{headers}");
    assert!(!headers.contains("INTERP") && !headers.contains("(NEEDED)"), "{headers}");
    assert_eq!(run("qemu-aarch64-static", &[], built.path()), "small 3\n");
}

#[test]
fn mingw_keeps_every_import_of_one_dll_in_two_crates() {
    let yard = Yard::new("work");
    let built = yard.build(BuilderKind::Host, &yard.request(Target::X86_64Windows)).unwrap();
    imports_are_whole(built.path());
}

#[test]
fn a_users_own_linker_and_flags_do_not_win() {
    let (plain, configured) = (Yard::new("work"), Yard::new("work"));
    let text = "[build]\nrustflags = [\"--cfg\", \"broken\", \"-Cno-such-option\"]\nrustc-wrapper = \"/no/wrapper\"\n\
                [target.x86_64-unknown-linux-gnu]\nlinker = \"/no/linker\"\nrustflags = [\"-Cno-such-option\"]\n";
    configured.write(".cargo/config.toml", text);
    let build =
        |yard: &Yard| yard.build(BuilderKind::Host, &yard.request(Target::X86_64Linux)).unwrap().digest();
    // Build scripts are linked for this machine with the same linker, and never get our flags.
    assert_eq!(build(&plain), build(&configured));
}

#[test]
fn a_compile_error_is_the_compilers_own_and_names_the_target() {
    let yard = Yard::new("work");
    yard.write("src/main.rs", "fn main() { let number: i32 = \"text\"; }\n");
    let error = yard.build(BuilderKind::Host, &yard.request(Target::Aarch64Linux)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CompileFailed);
    let message = error.to_string();
    for wanted in ["aarch64-linux", "error[E0308]: mismatched types", "--> src/main.rs:1:31"] {
        assert!(message.contains(wanted), "{message}");
    }
    assert!(!message.contains("Compiling"), "{message}");
}

#[test]
fn a_lock_that_does_not_fit_is_named_by_fetch_and_build() {
    let yard = Yard::new("work");
    let lock = fs::read_to_string(yard.folder.join("Cargo.lock")).unwrap();
    yard.write("Cargo.lock", &lock.replace(" \"light\",\n", ""));
    let of_build = yard.build(BuilderKind::Host, &yard.request(Target::X86_64Linux)).unwrap_err();
    let of_fetch = fetch(&yard.folder, true, &ignore_events).unwrap_err();
    for error in [of_build, of_fetch] {
        assert_eq!(error.kind(), ErrorKind::LockOutOfDate, "{error}");
        assert!(error.to_string().contains("work/Cargo.lock") && error.hint().is_some(), "{error}");
    }
}

#[test]
fn what_cannot_be_fetched_is_said_with_the_next_step() {
    let yard = Yard::new("work");
    fetch(&yard.folder, false, &ignore_events).unwrap();
    // Nothing listens on the discard port.
    let manifest = fs::read_to_string(yard.folder.join("Cargo.toml")).unwrap();
    let dependency = "[dependencies]\nabsent = { git = \"http://127.0.0.1:9/absent.git\" }\n";
    yard.write("Cargo.toml", &manifest.replace("[dependencies]\n", dependency));
    yard.write(".cargo/config.toml", "[net]\nretry = 0\n");
    for offline in [false, true] {
        let error = fetch(&yard.folder, offline, &ignore_events).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FetchFailed, "{error}");
        assert!(error.to_string().contains("absent") && error.hint().is_some(), "{error}");
    }
}

/// A copy of the small workspace, and a target folder outside it.
struct Yard {
    _root: TempDir,
    folder: PathBuf,
    target_dir: PathBuf,
}

impl Yard {
    fn new(name: &str) -> Yard {
        let root = tempfile::tempdir().expect("a temporary folder");
        let folder = root.path().join(name);
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/small"), &folder);
        Yard { target_dir: root.path().join("target of its own"), folder, _root: root }
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.join(name);
        fs::create_dir_all(path.parent().expect("a file is in a folder")).unwrap();
        fs::write(path, text).unwrap();
    }

    fn request(&self, target: Target) -> CompileRequest {
        CompileRequest {
            target,
            package: "small".to_owned(),
            binary: "small".to_owned(),
            profile: "release".to_owned(),
            features: Vec::new(),
            default_features: true,
            workspace_root: self.folder.clone(),
            target_dir: self.target_dir.clone(),
            source_date_epoch: 1_700_000_000,
            glibc_floor: None,
        }
    }

    fn build(&self, builder: BuilderKind, request: &CompileRequest) -> Result<Artifact<Built>, Error> {
        let driver = Path::new(env!("CARGO_BIN_EXE_zig-wrapper"));
        compile_driven_by(driver, request, &provisioned(builder, request.target), &ignore_events)
    }
}

fn provisioned(builder: BuilderKind, target: Target) -> Toolchain {
    let workspace =
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("crates/compile is two down");
    let context = Context::of_workspace(workspace);
    toolchain::provision(builder, target, &context, &ignore_events).unwrap_or_else(|error| {
        panic!(
            "{error}: {}",
            error.hint().unwrap_or("apt-get install gcc-aarch64-linux-gnu gcc-mingw-w64-x86-64")
        )
    })
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let place = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &place);
        } else {
            fs::copy(entry.path(), place).unwrap();
        }
    }
}

/// Builds in two folders whose names differ in length, one with a space, and compares; the first one is given back.
fn same_from_two_folders(
    builder: BuilderKind,
    target: Target,
    floor: Option<&str>,
) -> (Yard, Artifact<Built>) {
    let (first, second) = (Yard::new("work"), Yard::new("quite another folder"));
    let build = |yard: &Yard| {
        let request = CompileRequest { glibc_floor: floor.map(str::to_owned), ..yard.request(target) };
        yard.build(builder, &request).unwrap_or_else(|error| panic!("{target}: {error}"))
    };
    let (one, other) = (build(&first), build(&second));
    assert_eq!(one.digest(), other.digest(), "{builder:?} {target}");
    let bytes = fs::read(one.path()).unwrap();
    let root = first.folder.parent().expect("below a temporary folder").as_os_str().as_encoded_bytes();
    assert!(!bytes.windows(root.len()).any(|window| window == root), "{builder:?} {target} names its folder");
    (first, one)
}

fn told(program: &str, args: &[&str], file: &Path) -> String {
    let output = Command::new(program).args(args).arg(file).env("LC_ALL", "C").output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}; apt-get install binutils"));
    assert!(output.status.success(), "{program} {}: {}", file.display(), output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn run(emulator: &str, args: &[&str], program: &Path) -> String {
    let output = Command::new(emulator).args(args).arg(program).output();
    let output = output.unwrap_or_else(|error| {
        panic!("{emulator}: {error}; apt-get install qemu-user-static libc6-dev-arm64-cross")
    });
    assert!(output.status.success(), "{}: {}", program.display(), output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The newest glibc version that the program needs, as readelf sees it.
fn glibc_floor(program: &Path) -> (u32, u32) {
    let needs = told("readelf", &["-VW"], program);
    let versions = needs.split("Name: GLIBC_").skip(1).filter_map(|rest| {
        let mut numbers = rest.split_whitespace().next()?.split('.').map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    });
    versions.max().expect("a program that needs glibc says so")
}

/// Every function that the crates import is in the import table, under its DLL.
fn imports_are_whole(program: &Path) {
    let mut imports: BTreeMap<String, String> = BTreeMap::new();
    let headers = told("objdump", &["-p"], program);
    for section in headers.split("DLL Name: ").skip(1) {
        let (dll, rest) = section.split_once('\n').expect("a DLL has imports");
        let names = rest.split("\n\n").next().unwrap_or_default();
        imports.entry(dll.to_lowercase()).or_default().push_str(names);
    }
    let user = ["GetDoubleClickTime", "GetCursorPos", "MessageBeep"];
    assert!(user.iter().all(|name| imports["user32.dll"].contains(name)), "{imports:?}");
    assert!(imports["kernel32.dll"].contains("GetTickCount64"), "{imports:?}");
}
