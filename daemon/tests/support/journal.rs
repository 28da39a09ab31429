//! A systemd-journald of the test's own, in a mount namespace of its own, so that it works beside the system's or where
//! there is none.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A guard against hanging, not a measurement.
const PATIENCE: Duration = Duration::from_secs(60);
const JOURNALD: &str = "/lib/systemd/systemd-journald";

/// Its sockets and files are below its own root, `/proc/PID/root`; it ends with the test.
pub(crate) struct Journal(Child);

impl Journal {
    /// Starts it and waits until it listens.
    pub(crate) fn start() -> Self {
        assert!(Path::new(JOURNALD).exists(), "{JOURNALD} is missing: install the package systemd");
        let script = format!(
            "mount -t tmpfs tmpfs /run/systemd && mount -t tmpfs tmpfs /run/log \
             && mkdir -p /run/systemd/journal /run/log/journal && exec {JOURNALD}"
        );
        std::fs::create_dir_all("/run/systemd")
            .and_then(|()| std::fs::create_dir_all("/run/log"))
            .expect("root");
        let child = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "/bin/sh", "-c", &script])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("unshare of the package util-linux");
        let mut journal = Self(child);
        // journald is what listens there last.
        journal.wait_until("journald listens", |journal| {
            journal.path("systemd/journal/io.systemd.journal").exists()
        });
        journal
    }

    #[allow(dead_code, reason = "not every test program enters it")]
    /// Its process, whose mount namespace a program can enter.
    pub(crate) fn process(&self) -> u32 {
        self.0.id()
    }

    #[allow(dead_code, reason = "not every test program speaks to it itself")]
    /// The socket of the native protocol, as seen from the test.
    pub(crate) fn socket(&self) -> PathBuf {
        self.path("systemd/journal/socket")
    }

    /// Waits for at least `count` entries with `field=value`; all of them, oldest first.
    pub(crate) fn entries(&mut self, field_and_value: &str, count: usize) -> Vec<Value> {
        let mut entries = Vec::new();
        self.wait_until(field_and_value, |journal| {
            let output = Command::new("journalctl")
                .arg("--directory")
                .arg(journal.path("log/journal"))
                .args(["--output=json", "--all", "--no-pager", field_and_value])
                .output()
                .expect("journalctl of the package systemd");
            let text = String::from_utf8(output.stdout).expect("journalctl writes UTF-8");
            entries = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
            entries.len() >= count
        });
        entries
    }

    fn path(&self, below_run: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root/run/{below_run}", self.0.id()))
    }

    fn wait_until(&mut self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self) {
            assert!(self.0.try_wait().expect("its state").is_none(), "journald has ended before: {what}");
            assert!(Instant::now() < deadline, "waited in vain: {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
