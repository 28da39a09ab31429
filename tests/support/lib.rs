//! What the end-to-end tests share: a checkout of the committed state, and the real program run in it.
#![expect(clippy::disallowed_methods, reason = "the tests start the real program and watch how it ends")]

pub mod roots;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;
use xshell::{Shell, cmd};

/// This repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is a folder of the repository")
}

/// The program, built once for each test process.
pub fn xtask() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let shell = Shell::new().expect("there is a current folder");
        shell.change_dir(repository());
        cmd!(shell, "cargo build --quiet --locked --package seaworthy --bin xtask")
            .run()
            .expect("xtask builds");
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), PathBuf::from);
        target.join("debug/xtask")
    })
}

/// A clone of HEAD in a folder of its own, removed in the end.
#[derive(Debug)]
pub struct Checkout {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

/// A product of somebody else's: a package of one program, without dependencies, in a repository of its own.
pub type Product = Checkout;

/// How a run of the program ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Checkout {
    /// A clone whose folder is called `name`.
    pub fn of_head(name: &str) -> Checkout {
        let folder =
            tempfile::Builder::new().prefix("seaworthy-test-").tempdir().expect("there is a place for it");
        let path = folder.path().join(name);
        let (shell, from) = (Shell::new().expect("there is a current folder"), repository());
        cmd!(shell, "git clone --quiet {from} {path}").run().expect("the repository can be cloned");
        let checkout = Checkout { _folder: folder, path };
        checkout.git(&["config", "user.name", "Test"]);
        checkout.git(&["config", "user.email", "test@localhost"]);
        checkout.follow_docker();
        checkout
    }

    /// A new repository with a package called `name`, version 1.2.3, and nothing committed yet.
    pub fn new(name: &str) -> Product {
        let folder =
            tempfile::Builder::new().prefix("seaworthy-test-").tempdir().expect("there is a place for it");
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.join("src")).expect("the folder can be made");
        let product = Checkout { _folder: folder, path };
        product.git(&["init", "--quiet", "--initial-branch", "main"]);
        product.git(&["config", "user.name", "Test"]);
        product.git(&["config", "user.email", "test@localhost"]);
        product.write(
            "Cargo.toml",
            &format!("[package]\nname = \"{name}\"\nversion = \"1.2.3\"\nedition = \"2024\"\n"),
        );
        product.write(
            "Cargo.lock",
            &format!("version = 4\n\n[[package]]\nname = \"{name}\"\nversion = \"1.2.3\"\n"),
        );
        product.write(".gitignore", "/target\n/dist\n");
        product
    }

    /// A committed product for the default targets, whose build takes seconds while it is a program of one line.
    pub fn slow(name: &str) -> Product {
        let product = Checkout::new(name);
        product.write("src/main.rs", "fn main() {\n    println!(\"{}\", env!(\"CARGO_PKG_VERSION\"));\n}\n");
        product.write(
            "build.rs",
            "fn main() {\n    println!(\"cargo::rerun-if-changed=build.rs\");\n    \
             std::thread::sleep(std::time::Duration::from_secs(3));\n}\n",
        );
        product.write("release.toml", &format!("[product]\npackage = \"{name}\"\n"));
        product.commit("first");
        product
    }

    /// Takes over a `docker/` that was updated and not yet committed: `ci images` does that where Debian has moved on.
    fn follow_docker(&self) {
        let (shell, from) = (Shell::new().expect("there is a current folder"), repository());
        let changed =
            cmd!(shell, "git -C {from} status --porcelain -- docker").quiet().read().expect("git runs");
        if !changed.is_empty() {
            let to = &self.path;
            cmd!(shell, "cp -r {from}/docker {to}").quiet().run().expect("docker/ can be copied");
            self.commit("follow Debian");
        }
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs git in it.
    pub fn git(&self, args: &[&str]) -> String {
        let (shell, path) = (Shell::new().expect("there is a current folder"), &self.path);
        cmd!(shell, "git -C {path} {args...}").quiet().read().expect("git runs")
    }

    /// Writes `text` to the file `name`.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path.join(name), text).expect("the checkout can be written");
    }

    /// Commits everything.
    pub fn commit(&self, message: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", message]);
    }

    /// The program with `args`, to be started in the checkout, which builds in its own `target/`.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(xtask());
        command.args(args).current_dir(&self.path).env_remove("CARGO_TARGET_DIR");
        command
    }

    /// Runs the program with `args` in the checkout.
    pub fn run(&self, args: &[&str]) -> Ended {
        ended(&mut self.command(args))
    }

    /// Runs the program, which must succeed, and reads its JSON answer.
    pub fn json(&self, args: &[&str]) -> Value {
        let ended = self.run(&[args, &["--format", "json"]].concat());
        assert_eq!(
            ended.code,
            Some(0),
            "{args:?} failed (ci/setup brings what the tests need):\n{}",
            ended.stderr
        );
        serde_json::from_str(&ended.stdout).expect("the answer is JSON")
    }
}

/// Runs `command` to its end.
pub fn ended(command: &mut Command) -> Ended {
    let output = command.output().expect("the program starts");
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A command's standard output; the command must succeed.
pub fn read(folder: &Path, words: &[&str]) -> String {
    let output = Command::new(words[0]).args(&words[1..]).current_dir(folder).output();
    let output =
        output.unwrap_or_else(|error| panic!("{words:?}: {error}; ci/setup installs what the tests need"));
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
