//! A Windows to test in: Wine in a container of the image that the release is built in, with the program and its client.
#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]
#![expect(clippy::disallowed_methods, reason = "the tests start cargo and docker")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// Where the program lies in each test's Windows: a folder with a space in its name.
pub const PROGRAM: &str = r"C:\Prog Dir\seaworthyd.exe";
pub const CLIENT: &str = r"C:\client.exe";
/// The same program as the release ships it: for the GUI subsystem.
pub const RELEASED: &str = r"C:\released.exe";

/// The folder with the programs, built once.
pub fn built() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let debug = Path::new(env!("CARGO_BIN_EXE_seaworthyd")).parent().expect("a folder");
        let target_folder = debug.parent().expect("a folder");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--locked", "-p", "seaworthyd", "--bin", "seaworthyd"]);
        cargo.args(["--example", "windows_client", "--target", "x86_64-pc-windows-gnu", "--target-dir"]);
        let output = cargo.arg(target_folder).current_dir(env!("CARGO_MANIFEST_DIR")).output();
        let output = output.expect("cargo runs");
        assert!(
            output.status.success(),
            "the Windows program does not build: {}\n  next: ci/setup installs the target and gcc-mingw-w64-x86-64",
            text(&output.stderr)
        );
        target_folder.join("x86_64-pc-windows-gnu/debug")
    })
}

/// The ID of the image that the lock file names.
fn image() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docker/toolchain.lock");
    let lock: toml::Table = std::fs::read_to_string(path).expect("the lock").parse().expect("TOML");
    let id = lock["images"]["x86_64-windows"]["image"].as_str().expect("an ID").to_owned();
    let output = Command::new("docker").args(["image", "inspect", "--format", "{{.Id}}", &id]).output();
    let output = output.unwrap_or_else(|error| panic!("docker does not start: {error}\n  next: ci/setup"));
    assert!(
        output.status.success(),
        "docker does not have the image with Wine: {}\n  next: cargo xtask toolchain image --target x86_64-windows",
        text(&output.stderr)
    );
    id
}

/// A Windows of its own, in a container that is removed with it.
pub struct Wine {
    container: String,
}

impl Wine {
    /// The keeper (`sleep`) holds the session: Wine ends services with the last ordinary program. Services tell Wine's
    /// event channel what they report, on the keeper's standard error.
    pub fn start() -> Self {
        let script = r#"
            set -eu
            sed /^exec/d /usr/local/bin/run-exe >/tmp/prepare
            . /tmp/prepare
            c=$WINEPREFIX/drive_c
            mkdir "$c/Prog Dir"
            cp /built/seaworthyd.exe "$c/Prog Dir/"
            cp /built/examples/windows_client.exe "$c/client.exe"
            cp "$c/Prog Dir/seaworthyd.exe" "$c/released.exe"
            pe=$(od -An -tu4 -j60 -N4 "$c/released.exe")
            printf '\002' | dd of="$c/released.exe" bs=1 seek=$((pe + 92)) conv=notrunc 2>/dev/null
            export -p >/tmp/environment
            ln -s "$WINEPREFIX" /tmp/prefix
            WINEDEBUG=fixme+advapi,trace+eventlog exec wine 'C:\client.exe' sleep
        "#;
        let mut docker = Command::new("docker");
        docker.args(["run", "--detach", "--network", "none", "--label", "seaworthyd-test"]);
        docker.arg("--volume").arg(format!("{}:/built:ro", built().display()));
        let output = docker.arg(image()).args(["sh", "-c", script]).output().expect("docker starts");
        assert!(output.status.success(), "{}", text(&output.stderr));
        let wine = Self { container: text(&output.stdout).trim().to_owned() };
        let waits = wine.shell("until [ -e /tmp/prefix/drive_c/awake ]; do sleep 0.1; done", &[], &[]);
        assert!(waits.status.success(), "Wine does not start: {}", wine.log());
        wine
    }

    pub fn log(&self) -> String {
        let output = Command::new("docker").args(["logs", &self.container]).output().expect("docker starts");
        text(&output.stdout) + &text(&output.stderr)
    }

    pub fn shell(&self, script: &str, options: &[&str], arguments: &[&str]) -> Output {
        let mut docker = Command::new("docker");
        docker.arg("exec").args(options).arg(&self.container);
        // Nothing here takes longer; a hang is an error with a name.
        docker.args(["timeout", "90", "sh", "-c", script, "sh"]).args(arguments);
        let output = docker.output().expect("docker starts");
        assert_ne!(output.status.code(), Some(124), "hangs: {script} {arguments:?}");
        output
    }

    pub fn run_with(&self, debug: &str, options: &[&str], words: &[&str]) -> Output {
        let script = format!(". /tmp/environment; export WINEDEBUG={debug}; exec wine \"$@\"");
        self.shell(&script, options, words)
    }

    /// A program's exit code, and what it printed on either stream.
    pub fn run(&self, words: &[&str]) -> (Option<i32>, String) {
        let output = self.run_with("-all", &[], words);
        let errors = text(&output.stderr);
        // Debian's `wine` says each time that it has no 32-bit half.
        let errors: Vec<_> =
            errors.lines().filter(|line| !WINE32.iter().any(|it| line.contains(it))).collect();
        (output.status.code(), (text(&output.stdout) + &errors.join("\n")).trim_end().replace('\r', ""))
    }

    /// What a command that succeeds printed.
    pub fn daemon(&self, words: &[&str]) -> String {
        let (code, printed) = self.run(&[&[PROGRAM], words].concat());
        assert_eq!(code, Some(0), "{words:?}: {printed}");
        printed
    }

    pub fn client(&self, words: &[&str]) -> String {
        let (code, printed) = self.run(&[&[CLIENT], words].concat());
        assert_eq!(code, Some(0), "{words:?}: {printed}");
        printed
    }

    /// Type and number of each event that a program reports, and all that it tells Wine's channel.
    pub fn events(&self, words: &[&str]) -> (Vec<(u32, u32)>, String) {
        let output = self.run_with("fixme+advapi,trace+eventlog", &[], words);
        let channel = text(&output.stderr);
        let calls =
            channel.lines().filter_map(|line| line.split_once("ReportEventW (")).map(|(_, call)| call);
        let number = |text: &str| u32::from_str_radix(text.trim_start_matches("0x"), 16).expect("a number");
        let events = calls
            .map(|call| call.split(',').collect::<Vec<_>>())
            .map(|fields| (number(fields[1]), number(fields[3])))
            .collect();
        (events, channel)
    }

    pub fn write(&self, path: &str, content: &str) {
        let script = r#"printf %s "$2" >"/tmp/prefix/drive_c/$1""#;
        assert!(self.shell(script, &[], &[path, content]).status.success());
    }
}

const WINE32: [&str; 3] = ["wine32 is missing", "multiarch needs", "dpkg --add-architecture"];

impl Drop for Wine {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rm", "--force", &self.container]).output();
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
