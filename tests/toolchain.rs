//! The builders' lock, pool and images through the real program. What needs no second engine or mirror is tested in
//! crates/toolchain.

use support::{Checkout, ended};

#[test]
fn what_a_mirror_no_longer_has_is_named_and_the_pool_is_the_archive() {
    let checkout = Checkout::of_head("no-mirror");
    let cache = checkout.path().join("target/cache");
    let mut command = checkout.command(&["toolchain", "pool", "--target", "x86_64-linux"]);
    // A mirror without anything, where a real one has lost some.
    let empty = format!("file://{}", checkout.path().join("target/mirror/debian").display());
    let refused = ended(command.env("SEAWORTHY_CACHE", &cache).env("SEAWORTHY_DEBIAN_MIRROR", empty));
    assert_eq!(refused.code, Some(5), "{}{}", refused.stdout, refused.stderr);
    for told in
        ["does not have what is locked", "  apt=2.2.4:amd64 sha256:", "more", "the pool is the archive"]
    {
        assert!(refused.stderr.contains(told), "`{told}` is not in: {}", refused.stderr);
    }
    assert!(
        !std::fs::read_dir(cache.join("pool"))
            .unwrap()
            .any(|entry| { entry.unwrap().file_name().to_string_lossy().ends_with(".deb") })
    );

    let mut command =
        checkout.command(&["toolchain", "image", "--offline", "--again", "--target", "x86_64-linux"]);
    let refused = ended(command.env("SEAWORTHY_CACHE", &cache));
    assert_eq!(refused.code, Some(5), "{}{}", refused.stdout, refused.stderr);
    assert!(
        refused.stderr.contains("apt=2.2.4:amd64") && refused.stderr.contains("toolchain pool"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_shell_is_where_builds_are() {
    let checkout = Checkout::of_head("shell");
    let script = "test -f /src/Cargo.toml; cargo --version; echo $TZ $SOURCE_DATE_EPOCH; ! touch /src/x; ! ls /sys/class/net/eth0";
    let ran = checkout.run(&["toolchain", "shell", "--target", "x86_64-linux", "--", "sh", "-ec", script]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.starts_with("cargo 1.") && ran.stdout.contains("\nUTC 0\n"), "{}", ran.stdout);
    let failed = checkout.run(&["toolchain", "shell", "--target", "x86_64-linux", "--", "false"]);
    assert_eq!(failed.code, Some(6), "{}", failed.stderr);
    assert!(failed.stderr.contains("`false`"), "{}", failed.stderr);
    let other = checkout.run(&["toolchain", "shell", "--builder", "zig", "--target", "x86_64-linux"]);
    assert!(other.stderr.contains("--builder docker"), "{}", other.stderr);
}

#[test]
fn the_identity_is_the_locks_own_digest() {
    let checkout = Checkout::of_head("identity");
    let digest = support::read(checkout.path(), &["sha256sum", "docker/toolchain.lock"]);
    let id = checkout.run(&["toolchain", "id"]).stdout;
    assert_eq!(id.trim(), digest.split_whitespace().next().unwrap());
    let lock = std::fs::read_to_string(checkout.path().join("docker/toolchain.lock")).unwrap();
    checkout.write("docker/toolchain.lock", &lock.replacen("TZ = \"UTC\"", "TZ = \"CET\"", 1));
    let told = checkout.run(&["toolchain", "diff", "HEAD"]).stdout;
    assert!(told.contains("programs") && told.contains("environment.fixed.TZ  UTC -> CET"), "{told}");
    let refused = checkout.run(&["release", "--builder", "zig", "--allow-dirty", "--target", "x86_64-linux"]);
    assert_eq!(refused.code, Some(5), "{}", refused.stderr);
    assert!(refused.stderr.contains("environment.fixed.TZ: locked `CET`, here `UTC`"), "{}", refused.stderr);
}

#[test]
fn the_windows_image_has_nothing_of_the_machine_that_made_it() {
    let checkout = Checkout::of_head("registry");
    let names = "ComputerName|Domain|Hostname|LOGONSERVER|NUMBER_OF_PROCESSORS|PROCESSOR_[A-Z]+|USERDOMAIN";
    let script = format!("grep -hE '^\"({names})\"=' /opt/wine-prefix/*.reg | LC_ALL=C sort");
    let told =
        checkout.run(&["toolchain", "shell", "--target", "x86_64-windows", "--", "sh", "-ec", &script]);
    let expected = r#""ComputerName"="BUILDER"
"Domain"=""
"Hostname"="builder"
"LOGONSERVER"="\\\\BUILDER"
"NUMBER_OF_PROCESSORS"="1"
"PROCESSOR_ARCHITECTURE"="AMD64"
"PROCESSOR_IDENTIFIER"="AMD64 Family 15 Model 0 Stepping 0, Unknown"
"PROCESSOR_LEVEL"="15"
"PROCESSOR_REVISION"="0000"
"USERDOMAIN"="BUILDER"
"#;
    assert_eq!(told.stdout, expected, "{}", told.stderr);
}
