//! What a release runs out of while it runs: its engine, its network, its disk, its user's patience.
#![expect(clippy::disallowed_methods, reason = "the tests start the real program and interrupt it")]

use std::io::{self, Read};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use support::{Checkout, Product, ended, read};

const IN_DOCKER: &[&str] = &["release", "--builder", "docker", "--target", "aarch64-linux"];

#[test]
fn an_engine_that_is_lost_while_it_builds_is_named_and_leaves_nothing() {
    let product = Product::slow("engine-lost");
    let sockets = tempfile::tempdir().unwrap();
    let engine = FragileEngine::listen(sockets.path());
    let mut command = product.command(IN_DOCKER);
    command.env("DOCKER_HOST", format!("unix://{}", engine.path.display())).stderr(Stdio::piped());
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    wait_for_a_build(&product, &mut child);
    engine.lose();

    let mut told = String::new();
    child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    let code = child.wait().unwrap().code();
    assert_eq!(code, Some(6), "{told}");
    for text in ["error", "docker", "next:"] {
        assert!(told.contains(text), "`{text}` is not in: {told}");
    }
    assert!(!product.path().join("dist/engine-lost-1.2.3").exists());
    no_container_is_left(&product);
    assert_eq!(product.run(IN_DOCKER).code, Some(0), "the next run works");
}

#[test]
fn control_c_ends_the_build_and_its_container() {
    let product = Product::slow("interrupted");
    // A shell that is no terminal's starts its background jobs, and so this test, with the signal ignored.
    let command = product.command(IN_DOCKER);
    let mut heeding = Command::new("env");
    heeding
        .args(["--default-signal=INT", "--unset=CARGO_TARGET_DIR"])
        .arg(command.get_program())
        .args(command.get_args());
    heeding.current_dir(product.path()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = heeding.process_group(0).spawn().unwrap();
    wait_for_a_build(&product, &mut child);
    // A terminal sends it to the whole foreground process group.
    read(Path::new("/"), &["kill", "-s", "INT", "--", &format!("-{}", child.id())]);
    let status = child.wait().unwrap();
    assert!(!status.success(), "{status}");
    assert!(!product.path().join("dist/interrupted-1.2.3").exists());
    no_container_is_left(&product);
    assert_eq!(product.run(IN_DOCKER).code, Some(0), "the next run works");
}

#[test]
fn without_a_network_what_was_not_fetched_is_named() {
    let checkout = Checkout::of_head("no-network");
    let home = tempfile::tempdir().unwrap();
    let mut command = checkout.command(&["release", "--builder", "zig", "--target", "aarch64-linux"]);
    // Port 9 of this machine answers nobody: every connection is refused at once.
    command
        .env("CARGO_HOME", home.path())
        .env("https_proxy", "http://127.0.0.1:9")
        .env("CARGO_NET_RETRY", "0");
    let ended = ended(&mut command);
    assert_eq!(ended.code, Some(6), "{}", ended.stderr);
    for text in ["dependencies could not be fetched", "check the network"] {
        assert!(ended.stderr.contains(text), "`{text}` is not in: {}", ended.stderr);
    }
}

/// The release goes to a file system of half again its size: one release fits, a second beside it does not.
#[test]
fn a_full_disk_keeps_the_last_good_release_and_no_part_of_the_new_one() {
    let product = Product::slow("full-disk");
    let out = product.path().join("target/out");
    std::fs::create_dir_all(&out).unwrap();
    let program = support::xtask().to_str().unwrap();
    let script = format!(
        "set -e\n{program} release --builder zig --target aarch64-linux --out target/first\n\
         size=$(du -sk target/first/full-disk-* | cut -f1)\n\
         mount -t tmpfs -o size=$((size * 3 / 2))k tmpfs '{out}'\n\
         cp -a target/first/full-disk-* '{out}'\ncp '{out}'/*/SHA256SUMS target/before\n\
         code=0; {program} release --builder zig --target aarch64-linux --out '{out}' || code=$?\n\
         echo \"code $code\"\ncmp target/before '{out}'/*/SHA256SUMS\ncd '{out}'/full-disk-*\n\
         sha256sum --check --quiet SHA256SUMS\ncd ..\nls -A",
        out = out.display()
    );
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]).current_dir(product.path());
    let ended = ended(&mut command);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("code 9"), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stderr.contains("No space left on device"), "{}", ended.stderr);
    let left: Vec<_> = ended.stdout.lines().skip_while(|line| *line != "code 9").skip(1).collect();
    assert_eq!(left, [".lock", "full-disk-1.2.3"]);
}

/// Until the compiler is at work in a container of this product.
fn wait_for_a_build(product: &Product, child: &mut Child) {
    let deadline = Instant::now() + Duration::from_secs(300);
    let built = product.path().join("target/seaworthy/docker/aarch64-linux/aarch64-unknown-linux-gnu");
    while !built.exists() {
        assert!(Instant::now() < deadline, "no build began");
        assert!(child.try_wait().unwrap().is_none(), "the release ended before a build began");
        sleep(Duration::from_millis(50));
    }
}

fn no_container_is_left(product: &Product) {
    let mounted = format!("volume={}", product.path().display());
    let list =
        || read(Path::new("/"), &["docker", "ps", "--all", "--quiet", "--no-trunc", "--filter", &mounted]);
    let deadline = Instant::now() + Duration::from_secs(20);
    while !list().is_empty() && Instant::now() < deadline {
        sleep(Duration::from_millis(200));
    }
    assert_eq!(list(), "", "a container is left");
}

/// A socket before the engine's own, on which the engine can be lost while the real one lives on.
struct FragileEngine {
    path: PathBuf,
    /// Every connection's two ends; `None` once the engine is lost.
    connections: Arc<Mutex<Option<Vec<UnixStream>>>>,
}

impl FragileEngine {
    fn listen(folder: &Path) -> FragileEngine {
        let path = folder.join("engine.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let connections = Arc::new(Mutex::new(Some(Vec::new())));
        let shared = Arc::clone(&connections);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Some(connections) = &mut *shared.lock().unwrap() else { return };
                let engine =
                    UnixStream::connect("/var/run/docker.sock").expect("dockerd runs: ci/setup starts it");
                connections.push(client.try_clone().unwrap());
                connections.push(engine.try_clone().unwrap());
                carry(client.try_clone().unwrap(), engine.try_clone().unwrap());
                carry(engine, client);
            }
        });
        FragileEngine { path, connections }
    }

    fn lose(&self) {
        for connection in self.connections.lock().unwrap().take().into_iter().flatten() {
            let _ = connection.shutdown(Shutdown::Both);
        }
        std::fs::remove_file(&self.path).unwrap();
    }
}

/// Carries bytes one way until either end closes; a client's half-close is passed on.
fn carry(mut from: UnixStream, mut to: UnixStream) {
    thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
}
