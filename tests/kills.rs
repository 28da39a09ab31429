//! `kill -9` at any moment: never half a release, never a container left, and the next run works.
#![expect(clippy::disallowed_methods, reason = "the test starts the real program and kills it")]

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use support::{Product, read};

const KILLS: u32 = 50;
const ARGS: &[&str] = &["release", "--builder", "docker", "--quiet"];

#[test]
fn fifty_kills_leave_the_last_good_release_and_nothing_else() {
    let product = Product::slow("killed");
    let folder = product.path().join("dist/killed-1.2.3");
    assert_eq!(product.run(ARGS).code, Some(0), "the first release is made");
    let begun = Instant::now();
    assert_eq!(product.run(ARGS).code, Some(0));
    let whole = begun.elapsed();

    for kill in 0..KILLS {
        let mut child = product
            .command(ARGS)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        // Spread over the whole run in an order that is not the run's own: 37 and 50 have no common factor.
        sleep(whole * (kill * 37 % KILLS) / KILLS);
        let id = child.id();
        let victim = if kill % 2 == 0 { format!("{id}") } else { format!("-{id}") };
        let _ = Command::new("kill").args(["-9", "--", &victim]).stderr(Stdio::null()).status();
        child.wait().unwrap();
        read(&folder, &["sha256sum", "--check", "--quiet", "SHA256SUMS"]);
    }

    let deadline = Instant::now() + Duration::from_secs(20);
    while !containers().is_empty() && Instant::now() < deadline {
        sleep(Duration::from_millis(200));
    }
    assert_eq!(containers(), "", "containers are left");
    assert_eq!(product.run(ARGS).code, Some(0), "the next run works");
    let left = std::fs::read_dir(product.path().join("dist")).unwrap().flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name()).collect();
    assert_eq!(left.len(), 2, "only the release and the lock are left: {left:?}");
}

/// Containers of ours, builds and starts, by label or name.
fn containers() -> String {
    let list = |filter: &str| read(Path::new("/"), &["docker", "ps", "--all", "--quiet", "--filter", filter]);
    list("label=org.seaworthy.owner") + &list("name=seaworthy-smoke-")
}
