//! Metrics as Prometheus itself sees them (Debian package prometheus): its checker, its server, and the shipped alert rules
//! firing in it.
#![cfg(unix)]
#![expect(clippy::disallowed_methods, reason = "the tests start the server that judges")]

mod promtool;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use promtool::{packaging, promtool, read, text};
use seaworthyd::http::Server;
use seaworthyd::metrics::{
    AttemptOutcome, Build, ControlOutcome, ExitReason, Exporter, FAMILIES, Format, Metrics, MetricsConfig,
    Outcome, Probe, Queue, TaskEnd, TaskRefusal,
};
use serde_json::Value;

/// No step of a test takes longer, on a slow machine or in an emulator.
const PATIENCE: Duration = Duration::from_secs(120);
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Everything has happened at least once.
fn eventful(state_folder: &Path, dead_letters: &Arc<AtomicU64>) -> Metrics {
    let build = Build { version: "1.2.3".into(), commit: "a\"b\\c\nd".into(), ..Build::default() };
    let metrics = Metrics::new(build, Some(state_folder.to_owned()));
    metrics.set_workloads(["web", "mail.relay-2_b"]);
    metrics.service_state("running");
    metrics.service_ready(true);
    metrics.workload_started("web", std::process::id());
    metrics.workload_state("web", "running");
    metrics.workload_ready("web", Duration::from_millis(12));
    metrics.workload_probed("web", Probe::Readiness, Outcome::Success);
    metrics.workload_memory_limit("web", Some(1));
    metrics.workload_exited("mail.relay-2_b", ExitReason::Signal);
    metrics.workload_restarts_in("mail.relay-2_b", Duration::from_millis(1500));
    metrics.workload_start_failed("mail.relay-2_b");
    metrics.workload_state("mail.relay-2_b", "failed");
    metrics.control("restart", ControlOutcome::Done);
    metrics.event(104);
    metrics.heartbeat(Outcome::Failure);
    metrics.log_record_dropped();
    let oldest = SystemTime::now().checked_sub(Duration::from_secs(7200));
    let queue = Queue { tasks: 3, oldest, size_bytes: 90, limit_bytes: 100, dead_letters: 0 };
    let dead_letters = Arc::clone(dead_letters);
    metrics.queue_from(move || Queue { dead_letters: dead_letters.load(Ordering::Relaxed), ..queue });
    metrics.queue_synced(Duration::from_micros(200));
    metrics.task_accepted();
    metrics.task_refused(TaskRefusal::Full);
    metrics.task_sent(Duration::from_millis(3), Some(TRACE));
    metrics.task_attempted(AttemptOutcome::Success, Duration::from_secs(7), true, Some(TRACE));
    metrics.task_acknowledged(Duration::from_secs(7), Duration::from_secs(7), Some(TRACE));
    metrics.task_ended(TaskEnd::Expired);
    metrics
}

#[test]
fn promtool_finds_nothing_to_say_about_the_page() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dead_letters = Arc::new(AtomicU64::new(2));
    for metrics in [eventful(folder.path(), &dead_letters), Metrics::new(Build::default(), None)] {
        let output = promtool(&["check", "metrics"], &metrics.render(Format::Prometheus));
        assert!(output.status.success() && text(&output).is_empty(), "{}", text(&output));
    }
    // It does look.
    let output = promtool(&["check", "metrics"], "# TYPE a_total gauge\na_total 1\n");
    assert!(!output.status.success() && !text(&output).is_empty());
}

/// A Prometheus that scrapes `target` twice a second; killed when dropped.
struct Prometheus {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
}

impl Prometheus {
    fn start(folder: &Path, target: SocketAddr, rules: &str) -> Self {
        std::fs::write(folder.join("rules.yaml"), rules).expect("written");
        let config = format!(
            "global: {{ scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 300ms }}\n\
             rule_files: [{}/rules.yaml]\n\
             scrape_configs:\n- job_name: seaworthyd\n  static_configs: [{{ targets: ['{target}'] }}]\n",
            folder.display()
        );
        std::fs::write(folder.join("prometheus.yaml"), config).expect("written");
        let free =
            TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
        let log = folder.join("prometheus.log");
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", folder.join("prometheus.yaml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address={free}"))
            .arg("--enable-feature=exemplar-storage")
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).expect("created"))
            .spawn()
            .unwrap_or_else(|error| panic!("install the Debian package prometheus (ci/setup does): {error}"));
        Self { child, address: free, log }
    }

    /// Asks until `wanted` is true of the answer's data.
    fn ask_until(&mut self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        let mut last = String::new();
        loop {
            let answer = fetch(self.address, path);
            if let Some(data) = answer.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok())
                && wanted(&data["data"])
            {
                return data["data"].clone();
            }
            last = answer.unwrap_or(last);
            let ended = self.child.try_wait().expect("a child");
            let log = || std::fs::read_to_string(&self.log).unwrap_or_default();
            assert!(ended.is_none() && Instant::now() < deadline, "{path}: {last}\n{ended:?}\n{}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The value of the one series that `query` finds, once it is `wanted`.
    fn value_until(&mut self, query: &str, wanted: &str) {
        let query: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        self.ask_until(&format!("/api/v1/query?query={query}"), |data| {
            data["result"]
                .as_array()
                .is_some_and(|series| series.len() == 1 && series[0]["value"][1] == wanted)
        });
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The body of an answer with status 200.
fn fetch(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.split_ascii_whitespace().nth(1).filter(|status| *status == "200").map(|_| body.to_owned())
}

fn serve(exporter: &Arc<Exporter>, listen: SocketAddr) -> Server {
    let config = MetricsConfig { listen: Some(listen), ..MetricsConfig::default() };
    let server = exporter.serve(&config, || Ok("alive".into()), || Ok("ready".into())).expect("a free port");
    server.expect("it is configured")
}

fn any_port() -> SocketAddr {
    "127.0.0.1:0".parse().expect("an address")
}

#[test]
fn a_real_prometheus_scrapes_answers_and_alerts() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let state = folder.path().join("state");
    std::fs::create_dir(&state).expect("made");
    let dead_letters = Arc::new(AtomicU64::new(2));
    let metrics = Arc::new(eventful(&state, &dead_letters));
    let exporter = Arc::new(Exporter::new(Arc::clone(&metrics), Some(&state)));
    let server = serve(&exporter, any_port());
    // The shipped rules, only with less patience.
    let shipped = read(&packaging("alerts.rules.yaml"));
    let hurried = |line: &str| match line.split_once("for: ") {
        Some((indent, _)) if indent.trim().is_empty() => format!("{indent}for: 1s\n"),
        _ => format!("{line}\n"),
    };
    let rules: String = shipped.lines().map(hurried).collect();
    assert!(rules.contains(" for: 1s\n"));
    let mut prometheus = Prometheus::start(folder.path(), server.address(), &rules);

    prometheus.value_until("up", "1");
    prometheus.value_until("seaworthyd_workload_restarts_total{workload=\"mail.relay-2_b\"}", "1");
    prometheus.value_until("seaworthyd_workload_backoff_seconds{workload=\"mail.relay-2_b\"}", "1.5");
    prometheus.value_until("seaworthyd_build_info{commit=\"a\\\"b\\\\c\\nd\"}", "1");
    prometheus.value_until("seaworthyd_task_duration_seconds_bucket{le=\"10.0\"}", "1");
    prometheus.value_until("count(seaworthyd_workload_state == 1)", "2");
    // OpenMetrics, by whose means alone exemplars come.
    let found = prometheus.ask_until(
        "/api/v1/query_exemplars?query=seaworthyd_task_duration_seconds_bucket&start=0&end=99999999999",
        |data| data[0]["exemplars"][0]["labels"]["trace_id"] == TRACE,
    );
    assert_eq!(found[0]["exemplars"][0]["value"], "7");
    // Every family is stored with its type and its help.
    let about =
        prometheus.ask_until("/api/v1/metadata?limit=1000", |data| data["seaworthyd_build"].is_array());
    for family in FAMILIES {
        assert_eq!(about[family.name][0]["type"], family.kind.name(), "{}", family.name);
        assert_eq!(about[family.name][0]["help"], family.help, "{}", family.name);
    }

    // What is wrong with this service fires, each by its own rule.
    for name in [
        "SeaworthydWorkloadFailed",
        "SeaworthydWorkloadMemory",
        "SeaworthydQueueOld",
        "SeaworthydQueueNearlyFull",
        "SeaworthydDeadLetters",
    ] {
        prometheus.ask_until("/api/v1/alerts", |data| is_firing(data, name));
    }
    for _ in 0..20 {
        metrics.workload_restarts_in("web", Duration::ZERO);
        metrics.workload_start_failed("web");
    }
    metrics.service_ready(false);
    for name in ["SeaworthydRestartStorm", "SeaworthydWorkloadStartFails", "SeaworthydNotReady"] {
        prometheus.ask_until("/api/v1/alerts", |data| is_firing(data, name));
    }
    // Repaired, and silent again; gone, and noticed.
    dead_letters.store(0, Ordering::Relaxed);
    metrics.service_ready(true);
    for name in ["SeaworthydDeadLetters", "SeaworthydNotReady"] {
        prometheus.ask_until("/api/v1/alerts", |data| data["alerts"].is_array() && !is_firing(data, name));
    }
    drop(server);
    prometheus.ask_until("/api/v1/alerts", |data| is_firing(data, "SeaworthydScrapeGone"));
}

fn is_firing(data: &Value, name: &str) -> bool {
    let alerts = data["alerts"].as_array().map(Vec::as_slice).unwrap_or_default();
    alerts.iter().any(|alert| alert["labels"]["alertname"] == name && alert["state"] == "firing")
}

/// Counters as Prometheus adds them up over a killed worker: nothing counts twice.
#[test]
fn a_killed_worker_does_not_look_like_a_reset() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let begin = |listen: SocketAddr| {
        let metrics = Arc::new(Metrics::new(Build::default(), None));
        metrics.set_workloads(["web"]);
        let exporter = Arc::new(Exporter::new(Arc::clone(&metrics), Some(folder.path())));
        (metrics, serve(&exporter, listen))
    };
    let (metrics, server) = begin(any_port());
    let address = server.address();
    (0..1000).for_each(|_| metrics.workload_restarts_in("web", Duration::ZERO));
    let mut prometheus = Prometheus::start(folder.path(), address, "");
    prometheus.value_until("seaworthyd_workload_restarts_total", "1000");
    // Not scraped yet, perhaps, and not saved: a killed worker loses it.
    metrics.workload_restarts_in("web", Duration::ZERO);
    drop(server);
    let (metrics, _server) = begin(address);
    (0..9).for_each(|_| metrics.workload_restarts_in("web", Duration::ZERO));
    // 1009, or 1010 if the last one before the kill was scraped: never 2009.
    prometheus.value_until("seaworthyd_workload_restarts_total > bool 1008", "1");
    prometheus.value_until("resets(seaworthyd_workload_restarts_total[1h])", "0");
}
