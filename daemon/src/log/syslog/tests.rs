//! syslog into the real rsyslogd, read back from what it wrote.
#![expect(clippy::disallowed_methods, reason = "the test starts the real rsyslogd")]

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use crate::log::tests::{PATIENCE, number};
use crate::log::{Event, Log, LogSettings, Value};

const RSYSLOGD: &str = "/usr/sbin/rsyslogd";

/// rsyslogd with a configuration, a socket, ports and an output of its own.
struct Rsyslog {
    folder: tempfile::TempDir,
    port: u16,
    child: Option<Child>,
}

impl Rsyslog {
    fn start() -> Self {
        assert!(Path::new(RSYSLOGD).exists(), "{RSYSLOGD} is missing: install the package rsyslog");
        let folder = tempfile::tempdir().expect("a temporary folder");
        // Free in this moment, for UDP as well as for TCP.
        let port = std::iter::repeat_with(|| {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            let port = listener.local_addr().expect("an address").port();
            std::net::UdpSocket::bind(("127.0.0.1", port)).ok().map(|_| port)
        });
        let port = port.flatten().next().expect("a port");
        let mut rsyslog = Self { folder, port, child: None };
        let path = |name: &str| rsyslog.path(name).display().to_string();
        let config = format!(
            r#"global(workDirectory="{folder}")
module(load="imuxsock" SysSock.Use="off")
module(load="imudp")
module(load="imtcp")
input(type="imuxsock" Socket="{socket}" UseSpecialParser="off" ParseHostname="on" RateLimit.Interval="0")
input(type="imudp" address="127.0.0.1" port="{port}")
input(type="imtcp" address="127.0.0.1" port="{port}")
template(name="all" type="string" string="%hostname%\t%app-name%\t%procid%\t%msgid%\t%structured-data%\t%syslogfacility-text%.%syslogseverity-text%\t%timestamp:::date-rfc3339%\t%msg%\n")
action(type="omfile" file="{out}" template="all" flushOnTXEnd="on")
"#,
            folder = rsyslog.folder.path().display(),
            socket = path("socket"),
            out = path("out"),
        );
        std::fs::write(rsyslog.path("conf"), config).expect("written");
        rsyslog.run();
        rsyslog
    }

    fn run(&mut self) {
        let log = std::fs::File::create(self.path("log")).expect("a file");
        let child = Command::new(RSYSLOGD)
            .args(["-n", "-C", "-f"])
            .arg(self.path("conf"))
            .arg("-i")
            .arg(self.path("pid"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a descriptor"))
            .stderr(log)
            .spawn();
        self.child = Some(child.expect("rsyslogd starts"));
        wait_until("rsyslogd listens", || {
            std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok() && self.path("socket").exists()
        });
    }

    fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let process = rustix::process::Pid::from_child(&child);
        let _ = rustix::process::kill_process(process, rustix::process::Signal::TERM);
        let _ = child.wait();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Waits for `count` messages of ours; the columns of each.
    fn messages(&self, count: usize) -> Vec<Vec<String>> {
        let mut found = Vec::new();
        wait_until("messages", || {
            let text = std::fs::read_to_string(self.path("out")).unwrap_or_default();
            let lines = text.lines().map(|line| line.split('\t').map(str::to_owned).collect::<Vec<_>>());
            found = lines.filter(|columns| columns[1] == "seaworthyd").collect();
            found.len() >= count
        });
        found
    }

    fn addresses(&self) -> [String; 3] {
        let socket = self.path("socket").display().to_string();
        [socket, format!("udp://127.0.0.1:{}", self.port), format!("tcp://127.0.0.1:{}", self.port)]
    }
}

impl Drop for Rsyslog {
    fn drop(&mut self) {
        self.stop();
    }
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

fn log_to(address: &str, folder: &Path) -> Log {
    let syslog = Some(address.to_owned().try_into().expect("an address"));
    let file = Some(folder.join("log-of-the-test"));
    Log::open("seaworthyd", &LogSettings { syslog, file, ..LogSettings::default() }).expect("a log")
}

fn numbers(messages: &[Vec<String>]) -> Vec<usize> {
    let number = |columns: &Vec<String>| columns[7].strip_prefix("number ")?.parse().ok();
    messages.iter().filter_map(number).collect()
}

#[test]
fn rsyslog_reads_every_part_back_over_each_transport() {
    let rsyslog = Rsyslog::start();
    for (index, address) in rsyslog.addresses().iter().enumerate() {
        let log = log_to(address, rsyslog.folder.path());
        let fields = [("error", Value::text("q\"b]s\\n\n\u{1b}ä")), ("workload", Value::text("web"))];
        log.write(Event::WorkloadOutput, "hostile \n<0>1 \u{1b}[2J ä \u{202e}", &fields);
        log.write(Event::WorkloadStartFailed, &"x".repeat(20_000), &[]);
        log.finish(Event::Stopped, "stopped", &[]);
        let found = rsyslog.messages(3 * (index + 1)).split_off(3 * index);
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let expected = [
            &*host,
            "seaworthyd",
            &std::process::id().to_string(),
            "workload-output",
            "[seaworthyd@32473 event=\"workload-output\" event_id=\"206\" workload=\"web\" \
             error=\"q\\\"b\\]s\\\\n\\\\u000a\\\\u001bä\"]",
            "daemon.info",
        ];
        assert_eq!(found[0][..6], expected, "{address}");
        assert_eq!(found[0][7], "hostile \\u000a<0>1 \\u001b[2J ä \\u202e", "{address}");
        assert!(found[0][6].starts_with("20"), "a time: {}", found[0][6]);
        assert_eq!((&*found[1][3], &*found[1][5]), ("workload-start-failed", "daemon.err"));
        assert!(found[1][7].starts_with("xxx") && found[1][7].ends_with("x…"), "{address}: {}", found[1][7]);
        assert_eq!((&*found[2][3], &*found[2][7]), ("stopped", "stopped"));
    }
}

#[test]
fn a_restart_of_rsyslog_loses_and_repeats_nothing() {
    const HALF: usize = 200;
    for transport in [0, 2] {
        let mut rsyslog = Rsyslog::start();
        let log = log_to(&rsyslog.addresses()[transport], rsyslog.folder.path());
        let write = |range: std::ops::Range<usize>| {
            range.for_each(|index| log.write(Event::Heartbeat, &format!("number {index}"), &number(index)));
        };
        write(0..HALF);
        rsyslog.messages(HALF);
        rsyslog.stop();
        write(HALF..2 * HALF);
        rsyslog.run();
        write(2 * HALF..3 * HALF);
        log.finish(Event::Stopped, "number 600", &[]);
        let mut found = Vec::new();
        wait_until("all messages", || {
            found = numbers(&rsyslog.messages(HALF));
            found.contains(&(3 * HALF))
        });
        assert!(found.iter().copied().eq(0..=3 * HALF), "{transport}: {found:?}");
    }
}

#[test]
fn a_receiver_that_never_was_costs_nothing_but_its_records() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let log = log_to(&folder.path().join("none").display().to_string(), folder.path());
    (0..100).for_each(|index| log.write(Event::Heartbeat, "alive", &number(index)));
    let text = std::fs::read_to_string(folder.path().join("log-of-the-test")).expect("the log");
    assert_eq!(text.lines().filter(|line| line.contains("heartbeat")).count(), 100);
}
