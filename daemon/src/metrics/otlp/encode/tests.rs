//! What `daemon/tests/otlp.rs` cannot bring about: clocks that are set, and numbers that are none.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;

use super::*;
use crate::metrics::instrument::Since;
use crate::metrics::{Build, Queue};

fn read(metrics: &Metrics, now: SystemTime) -> Value {
    let text = request(metrics, &[], now);
    serde_json::from_slice(&text)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&text)))
}

/// The first point of a metric.
fn point(request: &Value, name: &str) -> Value {
    let metrics = request["resourceMetrics"][0]["scopeMetrics"][0]["metrics"].as_array().expect("metrics");
    let metric = metrics.iter().find(|metric| metric["name"] == name).expect("it is there");
    let data = ["sum", "gauge", "histogram"].iter().find_map(|kind| metric.get(kind)).expect("data");
    data["dataPoints"][0].clone()
}

#[test]
fn a_clock_that_was_set_back_ends_nothing_before_its_beginning() {
    let metrics = Metrics::new(Build::default(), None);
    let since = metrics.counted_since.value();
    let request = read(&metrics, UNIX_EPOCH + Duration::from_secs(1));
    for name in ["seaworthyd_worker_starts_total", "seaworthyd_task_duration_seconds"] {
        let point = point(&request, name);
        assert_eq!(point["startTimeUnixNano"], since.to_string(), "{name}");
        assert_eq!(point["timeUnixNano"], since.to_string(), "{name}");
    }
    assert_eq!(point(&request, "seaworthyd_ready")["timeUnixNano"], "1000000000");
}

#[test]
fn a_beginning_that_is_not_known_is_left_out() {
    let metrics = Metrics { counted_since: Since::default(), ..Metrics::new(Build::default(), None) };
    let point = point(&read(&metrics, SystemTime::now()), "seaworthyd_worker_starts_total");
    assert!(point["startTimeUnixNano"].is_null() && point["asInt"] == "0", "{point}");
}

#[test]
fn a_workload_that_was_taken_out_and_comes_back_begins_again() {
    let metrics = Metrics::new(Build::default(), None);
    let name = "seaworthyd_workload_starts_total";
    let begin = || {
        metrics.set_workloads(["web"]);
        metrics.workload_started("web", 1);
        point(&read(&metrics, SystemTime::now()), name)["startTimeUnixNano"]
            .as_str()
            .expect("text")
            .to_owned()
    };
    let (first, same) = (begin(), begin());
    assert_eq!(first, same);
    metrics.set_workloads([]);
    let next = begin();
    assert!(
        next.parse::<u64>().expect("a number") > first.parse().expect("a number"),
        "{next} after {first}"
    );
    assert_eq!(point(&read(&metrics, SystemTime::now()), name)["asInt"], "1");
}

#[test]
fn every_number_is_exact_or_a_text() {
    let metrics = Metrics::new(Build::default(), None);
    metrics.queue_from(|| Queue { limit_bytes: 1 << 62, ..Queue::default() });
    (0..3).for_each(|_| metrics.worker_starts.add(u64::MAX / 4));
    let request = read(&metrics, SystemTime::now());
    assert_eq!(
        point(&request, "seaworthyd_queue_limit_bytes")["asDouble"].as_f64(),
        Some(4_611_686_018_427_387_904.0)
    );
    assert_eq!(point(&request, "seaworthyd_worker_starts_total")["asInt"], (u64::MAX / 4 * 3).to_string());
    let shown = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.1, 1e300].map(Real);
    let shown = serde_json::to_string(&shown).expect("JSON");
    assert_eq!(shown, r#"["NaN","Infinity","-Infinity",0.1,1e+300]"#);
}
