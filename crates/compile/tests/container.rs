//! Builds in real containers. Needs an engine that answers: `apt-get install docker.io iptables mmdebstrap`, then
//! `dockerd &` as root, or podman; the image is made from Debian packages where it is not there yet.
#![expect(clippy::disallowed_methods, reason = "the tests start and kill processes")]

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use artifact::{Launcher, Target, Toolchain};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use seaworthy_compile::{CompileRequest, ErrorKind, compile};
use tempfile::TempDir;

/// A container must be gone so soon after its owner was killed.
const GONE_WITHIN: Duration = Duration::from_secs(10);

#[test]
fn a_program_is_built_as_the_caller_and_runs() {
    let project = Project::new("fn main() {}", "fn main() { println!(\"built\") }");
    let artifact = compile(&project.request(), &toolchain(), &artifact::ignore_events).unwrap();
    assert!(artifact.path().starts_with(fs::canonicalize(project.folder.path()).unwrap().join("target")));
    let told = Command::new(artifact.path()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&told.stdout), "built\n");
}

#[test]
fn a_build_script_that_opens_a_socket_fails() {
    let script = "fn main() { std::net::TcpStream::connect(\"192.0.2.1:80\").expect(\"the network\"); }";
    let error = Project::new(script, "fn main() {}").error();
    assert_eq!(error.kind(), ErrorKind::CompileFailed);
    assert!(
        error.to_string().contains("the network") && error.to_string().contains("NetworkUnreachable"),
        "{error}"
    );
}

#[test]
fn a_build_script_that_writes_to_the_source_folder_fails() {
    let script = "fn main() { std::fs::write(\"src/new.rs\", \"\").expect(\"the source folder\"); }";
    let project = Project::new(script, "fn main() {}");
    let error = project.error();
    assert_eq!(error.kind(), ErrorKind::CompileFailed);
    assert!(
        error.to_string().contains("the source folder") && error.to_string().contains("ReadOnlyFilesystem"),
        "{error}"
    );
    assert!(!project.folder.path().join("src/new.rs").exists());
}

#[test]
fn a_build_script_sees_none_of_the_callers_variables_or_files() {
    let home = std::env::home_dir().unwrap();
    let script = format!(
        "fn main() {{ assert!(!std::path::Path::new({:?}).exists()); assert!(std::env::var_os(\"CARGO_BIN_EXE_compile-request\").is_none());\n\
         assert_eq!(std::env::var(\"HOME\").unwrap(), \"/target/home\"); }}",
        home.join(".cargo")
    );
    compile(&Project::new(&script, "fn main() {}").request(), &toolchain(), &artifact::ignore_events)
        .unwrap();
}

#[test]
fn the_compilers_own_message_is_told() {
    let error = Project::new("fn main() {}", "fn main() { undefined() }").error();
    assert_eq!(error.kind(), ErrorKind::CompileFailed);
    assert!(error.to_string().contains("cannot find function `undefined`"), "{error}");
    assert!(error.to_string().contains("x86_64-linux"), "{error}");
}

#[test]
fn an_image_that_is_not_there_is_the_engines_failure() {
    let mut toolchain = toolchain();
    let Launcher::Container { image, .. } = &mut toolchain.launcher else { panic!("{toolchain:?}") };
    *image = format!("sha256:{}", "0".repeat(64));
    let project = Project::new("fn main() {}", "fn main() {}");
    let error = compile(&project.request(), &toolchain, &artifact::ignore_events).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::EngineFailed, "{error}");
}

#[test]
fn a_killed_process_leaves_no_container() {
    let mut long = LongBuild::start();
    long.wait_until_it_builds();
    kill_process(Pid::from_child(&long.process), Signal::KILL).unwrap();
    long.assert_that_no_container_is_left();
}

#[test]
fn a_killed_process_group_leaves_no_container() {
    let mut long = LongBuild::start();
    long.wait_until_it_builds();
    kill_process_group(Pid::from_child(&long.process), Signal::KILL).unwrap();
    long.assert_that_no_container_is_left();
}

/// The moments between asking for a container and its start are the ones in which it could be forgotten.
#[test]
fn a_kill_at_any_moment_leaves_no_container() {
    for delay in (0..12).map(|step| Duration::from_millis(25 * step)) {
        let mut long = LongBuild::start();
        std::thread::sleep(delay);
        kill_process_group(Pid::from_child(&long.process), Signal::KILL).unwrap();
        long.assert_that_no_container_is_left();
    }
}

/// A cargo package in a folder of its own.
struct Project {
    folder: TempDir,
}

impl Project {
    fn new(build_script: &str, main: &str) -> Project {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        fs::create_dir(folder.path().join("src")).unwrap();
        write(
            "Cargo.toml",
            "[package]\nname = \"sample\"\nversion = \"1.0.0\"\nedition = \"2024\"\n[workspace]\n",
        );
        write("Cargo.lock", "version = 4\n\n[[package]]\nname = \"sample\"\nversion = \"1.0.0\"\n");
        write("build.rs", build_script);
        write("src/main.rs", main);
        Project { folder }
    }

    fn request(&self) -> CompileRequest {
        CompileRequest {
            target: Target::X86_64Linux,
            package: "sample".to_owned(),
            binary: "sample".to_owned(),
            profile: "release".to_owned(),
            features: Vec::new(),
            default_features: true,
            workspace_root: self.folder.path().to_owned(),
            target_dir: self.folder.path().join("target"),
            source_date_epoch: 1_700_000_000,
            glibc_floor: None,
        }
    }

    fn error(&self) -> seaworthy_compile::Error {
        compile(&self.request(), &toolchain(), &artifact::ignore_events).unwrap_err()
    }
}

/// A process that builds for minutes, in a process group of its own.
struct LongBuild {
    project: Project,
    process: Child,
    engine: &'static str,
}

impl LongBuild {
    fn start() -> LongBuild {
        // What says that the build script runs is in the target folder, the one that can be written to.
        let script = "fn main() { std::fs::write(\"/target/started\", \"\").unwrap();\n\
                      std::thread::sleep(std::time::Duration::from_secs(600)) }";
        let project = Project::new(script, "fn main() {}");
        let toolchain = toolchain();
        let Launcher::Container { engine, .. } = &toolchain.launcher else { panic!("{toolchain:?}") };
        let file = project.folder.path().join("request.json");
        fs::write(&file, serde_json::to_vec(&(project.request(), &toolchain)).unwrap()).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_compile-request"))
            .arg(file)
            .process_group(0)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        LongBuild { project, process, engine: engine.program() }
    }

    fn wait_until_it_builds(&mut self) {
        let started = self.project.folder.path().join("target/started");
        let deadline = Instant::now() + Duration::from_secs(120);
        while !started.exists() {
            assert!(Instant::now() < deadline, "the build did not start");
            assert!(self.process.try_wait().unwrap().is_none(), "the build ended by itself");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn assert_that_no_container_is_left(&mut self) {
        let owned_by = format!("-{}-", self.process.id());
        let deadline = Instant::now() + GONE_WITHIN;
        self.process.wait().unwrap();
        // An engine's client that lives on may still be asking for the container: look for a whole second.
        let quiet_since = Instant::now() + Duration::from_secs(1);
        loop {
            let format = "{{.Names}}";
            let listed =
                Command::new(self.engine).args(["ps", "--all", "--format", format]).output().unwrap();
            assert!(listed.status.success(), "{listed:?}");
            let names = String::from_utf8_lossy(&listed.stdout).into_owned();
            let left = names.lines().any(|name| name.contains(&owned_by));
            if !left && Instant::now() > quiet_since {
                return;
            }
            assert!(Instant::now() < deadline, "containers were left: {names}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// The first engine that answers, with the pinned image for x86_64 Linux.
fn toolchain() -> Toolchain {
    let context = toolchain::Context::of_workspace(&workspace());
    let choice = toolchain::choose(None).unwrap();
    let kinds = [artifact::BuilderKind::Docker, artifact::BuilderKind::Podman];
    assert!(
        kinds.contains(&choice.kind),
        "no container engine answers: apt-get install docker.io iptables mmdebstrap, then start `dockerd`"
    );
    toolchain::provision(choice.kind, Target::X86_64Linux, &context, &artifact::ignore_events).unwrap()
}

fn workspace() -> PathBuf {
    fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).unwrap()
}
