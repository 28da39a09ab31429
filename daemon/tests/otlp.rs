//! Metrics by OTLP: read by OpenTelemetry's own messages, equal to the page, and sent past every answer of a collector, a
//! killed worker, a reload and a stop.
#![cfg(unix)]

mod collector;
#[path = "support/request.rs"]
mod request;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use collector::{Collector, Export};
use rustix::process::Signal;
use seaworthyd::metrics::{
    AttemptOutcome, Build, ExitReason, Exporter, FAMILIES, Kind, Metrics, MetricsConfig, OtlpConfig, Pusher,
    Queue,
};
use serde_json::Value;
use support::{Daemon, configure, folder, workload};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
/// Their values change while somebody looks.
const MOVING: [&str; 8] = [
    "seaworthyd_host_",
    "process_",
    "seaworthyd_workload_cpu_",
    "seaworthyd_workload_resident_memory_",
    "seaworthyd_workload_open_fds",
    "seaworthyd_workload_threads",
    "seaworthyd_queue_oldest_age_",
    "seaworthyd_queue_size_",
];

/// The samples of an export by name and labels.
fn samples(read: &Value) -> BTreeMap<&str, &Value> {
    let all = read["samples"].as_array().expect("samples");
    let by_name: BTreeMap<_, _> = all.iter().map(|sample| (text(&sample["name"]), sample)).collect();
    assert_eq!(by_name.len(), all.len(), "a sample is there twice");
    by_name
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// Nanoseconds since 1970.
fn nanoseconds(value: &Value) -> u64 {
    text(value).parse().expect("a number")
}

/// Everything that the page of the same moment says, and nothing else, by the same names.
fn assert_equal(read: &Value, page: &str) {
    let samples = samples(read);
    let mut shown = BTreeSet::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let (sample, exemplar) = line.split_once(" # ").map_or((line, None), |(a, b)| (a, Some(b)));
        let (name, value) = sample.rsplit_once(' ').expect("a value");
        let sent = samples.get(name).unwrap_or_else(|| panic!("{name} was not sent"));
        shown.insert(name);
        let (value, sent_value): (f64, _) = (value.parse().expect("a number"), sent["value"].as_f64());
        if !MOVING.iter().any(|start| name.starts_with(start)) {
            assert_eq!(sent_value, Some(value), "{name}");
        }
        match exemplar {
            None => assert!(sent["exemplar"].is_null(), "{name}"),
            Some(exemplar) => {
                let (trace, value_and_time) = exemplar.split_once("} ").expect("labels");
                let numbers =
                    value_and_time.split(' ').map(|number| number.parse::<f64>().expect("a number"));
                let [value, time] = numbers.collect::<Vec<_>>()[..] else { panic!("{exemplar}") };
                let sent = &sent["exemplar"];
                assert_eq!(trace, format!("{{trace_id=\"{}\"", text(&sent[0])), "{name}");
                assert_eq!(sent[1].as_f64(), Some(value), "{name}");
                assert!((sent[2].as_f64().expect("a time") - time).abs() < 0.001, "{name}");
            }
        }
    }
    let unshown: Vec<_> = samples.keys().filter(|name| !shown.contains(*name)).collect();
    assert!(unshown.is_empty(), "not on the page: {unshown:?}");
    for family in FAMILIES.iter().filter(|family| page.contains(&format!("# TYPE {} ", family.name))) {
        let names = family.sample_names();
        let name = if family.kind == Kind::Histogram { family.name } else { &names[0] };
        let (kind, unit) = match (family.kind, family.unit()) {
            (Kind::Counter, unit) => ("sum", unit),
            (Kind::Histogram, unit) => ("histogram", unit),
            (Kind::Gauge | Kind::Info, unit) => ("gauge", unit),
        };
        let unit = unit.replace("seconds", "s").replace("bytes", "By");
        let expected = serde_json::json!({ "kind": kind, "unit": unit, "description": family.help });
        assert_eq!(read["metrics"][name], expected, "{name}");
    }
}

/// What rises has a beginning: of the host's times it is the boot, which not every host tells.
fn assert_begun(read: &Value, begun: SystemTime) {
    let begun = begun.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_nanos();
    for (name, sample) in samples(read) {
        let family = name.split('{').next().expect("a name");
        let metric = ["_bucket", "_sum", "_count"].iter().find_map(|end| family.strip_suffix(end));
        let kind = [metric.unwrap_or_default(), family].map(|name| &read["metrics"][name]["kind"]);
        let start = nanoseconds(&sample["start"]);
        match kind.into_iter().find_map(Value::as_str).expect("a kind") {
            "gauge" => assert_eq!(start, 0, "{name}"),
            _ if name.starts_with("seaworthyd_host_cpu_") => assert!(u128::from(start) < begun, "{name}"),
            _ => assert!(u128::from(start) >= begun, "{name} since {start}"),
        }
    }
}

fn any_port() -> SocketAddr {
    "127.0.0.1:0".parse().expect("an address")
}

/// Everything has happened, with texts that must be escaped.
fn eventful(state: &Path) -> Metrics {
    let build = Build { version: "1.2.3".into(), commit: "a\"b\\c\nd\u{e9}\u{7}".into(), ..Build::default() };
    let metrics = Metrics::new(build, Some(state.to_owned()));
    metrics.set_workloads(["web", "mail.relay-2_b"]);
    metrics.service_state("running");
    metrics.service_ready(true);
    metrics.workload_started("web", std::process::id());
    metrics.workload_state("web", "running");
    metrics.workload_ready("web", Duration::from_millis(12));
    metrics.workload_memory_limit("web", Some(1 << 40));
    metrics.workload_exited("mail.relay-2_b", ExitReason::Signal);
    metrics.workload_restarts_in("mail.relay-2_b", Duration::from_millis(1500));
    metrics.event(104);
    let queue = Queue { tasks: 3, oldest: Some(SystemTime::now()), limit_bytes: 1 << 62, ..Queue::default() };
    metrics.queue_from(move || queue);
    metrics.task_attempted(AttemptOutcome::Success, Duration::from_secs(7), true, Some(TRACE));
    metrics.task_acknowledged(Duration::from_secs(200_000), Duration::from_millis(2), Some(TRACE));
    metrics
}

#[test]
fn what_is_sent_is_what_the_page_says() {
    let begun = SystemTime::now();
    let state = folder();
    let metrics = Arc::new(eventful(state.path()));
    let exporter = Arc::new(Exporter::new(metrics, Some(state.path())));
    let config = MetricsConfig { listen: Some(any_port()), ..MetricsConfig::default() };
    let server = exporter.serve(&config, || Ok(String::new()), || Ok(String::new()));
    let server = server.expect("a free port").expect("configured");
    let collector = Collector::start([], Some(server.address()));
    let entry = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let config = OtlpConfig {
        url: format!("http://{}/v1/metrics", collector.address).parse().expect("an address"),
        interval_seconds: 3600,
        headers: [entry("X-Scope-OrgID", "fleet 1")].into(),
        resource: [entry("host.name", "cr\u{e8}me \"7\""), entry("service.name", "mine")].into(),
    };
    let pusher = Pusher::new(&exporter, Some(state.path().to_owned()));
    pusher.adopt(Some(&config));
    let export = collector.next();
    assert!(export.head.starts_with("POST /v1/metrics HTTP/1.1\r\n"), "{}", export.head);
    for field in ["\r\nContent-Type: application/json\r\n", "\r\nX-Scope-OrgID: fleet 1\r\n"] {
        assert!(export.head.contains(field), "{}", export.head);
    }
    let read = export.read();
    assert_equal(&read, &export.page.expect("asked for"));
    assert_begun(&read, begun);
    assert_eq!(read["scope"], serde_json::json!(["seaworthyd", "1.2.3"]));
    let resource = &read["resource"];
    assert_eq!(
        (&resource["service.version"], &resource["seaworthyd.commit"]),
        (&"1.2.3".into(), &"a\"b\\c\nd\u{e9}\u{7}".into())
    );
    // What is configured wins; what is not known is left out.
    assert_eq!(
        (&resource["host.name"], &resource["service.name"]),
        (&"cr\u{e8}me \"7\"".into(), &"mine".into())
    );
    assert!(text(&resource["service.instance.id"]).len() == 36 && resource["seaworthyd.build"].is_null());
    // The same configuration again is no reason to send; the end is.
    pusher.adopt(Some(&config));
    pusher.finish();
    assert_eq!(collector.rest().len(), 1);
}

/// A configuration that sends to `collector`.
fn config(at: &Path, collector: &Collector, interval: u32, more: &str) -> String {
    format!(
        "state_directory = {:?}\nheartbeat_seconds = 86400\nmetrics.listen = \"127.0.0.1:0\"\n{more}\n\
         [metrics.otlp]\nurl = \"http://{}/v1/metrics\"\ninterval_seconds = {interval}\n",
        at, collector.address
    )
}

#[test]
fn the_running_daemon_sends_what_its_page_says() {
    let begun = SystemTime::now();
    let folder = folder();
    let at = folder.path();
    let deaf = Collector::start([], None);
    let mut daemon = Daemon::run(&(config(at, &deaf, 3600, "") + &workload("web", "exec sleep 1000")), at);
    let listening = daemon.wait_for("metrics-listening");
    let page = text(&listening["fields"]["address"]).parse().expect("an address");
    daemon.wait_for("ready");
    // Nobody waits for an export: one that has not begun by a reload goes where that says.
    deaf.next();
    // A reload moves the exports to a collector that looks at the page; once all is told nothing happens any more.
    let collector = Collector::start([], Some(page));
    configure(at, &(config(at, &collector, 1, "") + &workload("web", "exec sleep 1000")));
    daemon.signal(Signal::HUP);
    daemon.wait_for("reloaded");
    collector.next();
    collector.rest();
    collector.next();
    let export = collector.next();
    let read = export.read();
    assert_equal(&read, &export.page.expect("asked for"));
    assert_begun(&read, begun);
    let samples = samples(&read);
    assert!(samples["seaworthyd_otlp_exports_total{outcome=\"success\"}"]["value"].as_f64() >= Some(2.0));
    assert!(samples["seaworthyd_workload_cpu_seconds_total{workload=\"web\"}"]["value"].is_number());
    assert_eq!(deaf.rest().len(), 0, "it goes elsewhere now");

    // Taken out of the configuration nothing is sent, not even at the end.
    configure(at, &workload("web", "exec sleep 1000"));
    daemon.signal(Signal::HUP);
    daemon.wait_for("reloaded");
    collector.rest();
    let (records, code) = daemon.stop();
    assert_eq!(code, Some(0));
    assert!(records.iter().all(|record| !text(&record["event"]).starts_with("otlp-")), "{records:?}");
    assert!(collector.rest().len() <= 1, "one may have been on its way");
}

#[test]
fn whatever_the_collector_answers_is_told_once() {
    let folder = folder();
    let at = folder.path();
    let busy = "HTTP/1.1 503 Busy\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n";
    let bad = "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n";
    let words = r#"{"partialSuccess":{"rejectedDataPoints":"3","errorMessage":"too \n old"}}"#;
    let (left, right) = words.split_at(30);
    let partial = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{left}\r\n{:x}\r\n{right}\r\n0\r\n\r\n",
        left.len(),
        right.len()
    );
    let collector = Collector::start([Some(busy)], None);
    let mut daemon = Daemon::run(&config(at, &collector, 1, ""), at);
    let failed = daemon.wait_for("otlp-export-failed");
    assert!(text(&failed["fields"]["error"]).contains("503") && failed["event_id"] == 510, "{failed}");
    collector.next();
    let answered = Instant::now();
    let partly = || Some(partial.as_str());
    collector.answer([Some(bad), Some(bad), partly(), partly(), Some(collector::TAKEN), partly()]);
    collector.next();
    // Since when exactly it was to be left alone nobody but the daemon knows.
    assert!(answered.elapsed() > Duration::from_secs(2), "{:?}", answered.elapsed());
    let recovered = daemon.wait_for("otlp-export-recovered");
    assert_eq!((&recovered["fields"]["failed"], &recovered["event_id"]), (&3.into(), &511.into()));
    for _ in 0..2 {
        let rejected = daemon.wait_for("otlp-points-rejected");
        assert_eq!(rejected["fields"]["rejected"], 3);
        assert_eq!(rejected["fields"]["error"], "too \n old");
    }
    collector.rest();
    let read = collector.next().read();
    let samples = samples(&read);
    for (outcome, count) in [("success", 1.0), ("partial", 3.0), ("failure", 3.0)] {
        let name = format!("seaworthyd_otlp_exports_total{{outcome=\"{outcome}\"}}");
        assert!(samples[name.as_str()]["value"].as_f64() >= Some(count), "{name}: {read}");
    }
    // Once each; a collector that does not answer any more holds up no stop.
    collector.answer([None; 3]);
    let (records, code) = daemon.stop();
    assert_eq!((code, text(&records.last().expect("records")["event"])), (Some(0), "stopped"));
    let told = records.iter().filter(|record| record["event"] == "otlp-points-rejected").count();
    assert_eq!(told, 0, "{records:?}");
}

#[test]
fn a_start_lasts_as_long_as_its_counter() {
    let folder = folder();
    let at = folder.path();
    let collector = Collector::start([], None);
    let text_of_config = config(at, &collector, 3600, "") + &workload("web", "exec sleep 1000");
    let mut daemon = Daemon::run(&text_of_config, at);
    let worker = daemon.wait_for("starting")["fields"]["pid"].as_i64().expect("a process number");
    daemon.wait_for("ready");
    let names = ["seaworthyd_worker_starts_total", "seaworthyd_workload_starts_total{workload=\"web\"}"];
    let told = |export: &Export| {
        let read = export.read();
        let samples = samples(&read);
        let of = |name: &str| {
            let sample = samples[name];
            (nanoseconds(&sample["start"]), sample["value"].as_u64().expect("a count"))
        };
        let instance = text(&read["resource"]["service.instance.id"]).to_owned();
        (names.map(of), instance, nanoseconds(&samples[names[0]]["time"]))
    };
    let ([first, first_web], instance, _) = told(&collector.next());
    assert_eq!(first.1, 1);

    // A killed worker's successor, and a daemon that was stopped and started, go on.
    support::kill(worker);
    daemon.wait_for("ready");
    let ([second, second_web], same, _) = told(&collector.next());
    assert_eq!((second, second_web.0, &same), ((first.0, 2), first_web.0, &instance));
    let (_, code) = daemon.stop();
    assert_eq!(code, Some(0));
    let ([last, _], _, _) = told(&collector.next());
    assert_eq!(last, second, "the last export, at the stop");
    let mut daemon = Daemon::run(&text_of_config, at);
    daemon.wait_for("ready");
    let ([third, _], _, time) = told(&collector.next());
    assert_eq!(third, (first.0, 3));
    daemon.stop();
    collector.next();

    // A file that is damaged: counters begin again, and so does the time; the daemon is the same.
    std::fs::write(at.join("metrics.counters"), "rubbish").expect("written");
    let mut daemon = Daemon::run(&text_of_config, at);
    daemon.wait_for("counters-damaged");
    daemon.wait_for("ready");
    let ([fourth, fourth_web], same, _) = told(&collector.next());
    assert!(fourth.1 == 1 && fourth.0 > time && fourth_web.0 > time && same == instance, "{fourth:?}");
    daemon.stop();
}
