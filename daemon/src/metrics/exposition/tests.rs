//! What the pages say; `daemon/tests/metrics.rs` shows them to Prometheus itself.

use std::time::Duration;

use super::super::family::FAMILIES;
use super::super::{Build, Queue};
use super::*;

fn filled() -> Metrics {
    let build = Build { version: "1\"2\\3\n4".to_owned(), ..Build::default() };
    let metrics = Metrics::new(build, Some(std::env::temp_dir()));
    metrics.set_workloads(["web", "a.b-c_d"]);
    metrics.workload_started("web", std::process::id());
    metrics.workload_memory_limit("web", Some(1 << 20));
    metrics.queue_from(Queue::default);
    metrics
}

#[test]
fn every_metric_of_the_catalogue_is_shown_once() {
    let page = filled().render(Format::OpenMetrics);
    let types: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    for family in FAMILIES {
        // Windows has no such figures.
        let is_linux_only = family.help.contains("(Linux).");
        let expected = format!("{} {}", family.name, family.kind.name());
        let count = types.iter().filter(|line| **line == expected).count();
        assert!(count == 1 || (cfg!(windows) && is_linux_only), "{expected}: {count} times");
    }
    assert!(types.len() <= FAMILIES.len());
    assert!(page.ends_with("# EOF\n"));
}

#[test]
fn labels_are_escaped_and_counters_named() {
    let metrics = filled();
    let page = metrics.render(Format::OpenMetrics);
    assert!(page.contains(r#"seaworthyd_build_info{version="1\"2\\3\n4",commit="","#), "{page}");
    assert!(page.contains("\nseaworthyd_workload_starts_total{workload=\"web\"} 1\n"));
    assert!(page.contains("# TYPE seaworthyd_workload_starts counter\n"));
    assert!(page.contains("# UNIT seaworthyd_host_memory_size_bytes bytes\n"));
    let page = metrics.render(Format::Prometheus);
    assert!(page.contains("# TYPE seaworthyd_workload_starts_total counter\n"));
    assert!(page.contains("# TYPE seaworthyd_build_info gauge\n"));
    assert!(!page.contains("# EOF") && !page.contains("# UNIT"));
}

#[test]
fn buckets_add_up_and_carry_exemplars() {
    let metrics = filled();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    metrics.task_sent(Duration::from_millis(2), None);
    metrics.task_sent(Duration::from_millis(1500), Some(trace));
    let page = metrics.render(Format::OpenMetrics);
    let name = "seaworthyd_task_accepted_to_sent_seconds";
    assert!(page.contains(&format!("{name}_bucket{{le=\"0.001\"}} 0\n")));
    assert!(page.contains(&format!("{name}_bucket{{le=\"1.0\"}} 1\n")));
    assert!(page.contains(&format!("{name}_bucket{{le=\"2.5\"}} 2 # {{trace_id=\"{trace}\"}} 1.5 ")));
    assert!(page.contains(&format!("{name}_bucket{{le=\"+Inf\"}} 2\n{name}_sum 1.502\n{name}_count 2\n")));
    assert!(!metrics.render(Format::Prometheus).contains("trace_id"));
}

#[test]
fn only_who_asks_for_plain_text_alone_gets_it() {
    for (accept, expected) in [
        ("", Format::OpenMetrics),
        ("*/*", Format::OpenMetrics),
        ("text/plain", Format::Prometheus),
        ("Text/Plain;version=0.0.4", Format::Prometheus),
        ("text/*", Format::Prometheus),
        ("text/html, */*;q=0.1", Format::OpenMetrics),
        ("application/openmetrics-text; version=1.0.0, text/plain;q=0.5", Format::OpenMetrics),
        // What Prometheus 2.42 sends.
        (
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
             text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            Format::OpenMetrics,
        ),
        ("application/openmetrics-text;q=0.1,text/plain;q=0.9", Format::Prometheus),
        ("application/openmetrics-text;q=x,text/plain;q=0.1", Format::Prometheus),
        (",;/,;;q=,", Format::OpenMetrics),
    ] {
        assert_eq!(Format::for_accept(accept), expected, "{accept}");
    }
}

#[test]
fn numbers_that_are_none_are_written_as_the_formats_want() {
    let shown =
        [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 0.1, 1e15].map(|value| Number(value).to_string());
    assert_eq!(shown, ["+Inf", "-Inf", "NaN", "0.1", "1000000000000000"]);
}

#[test]
fn what_nobody_configured_is_not_counted() {
    let metrics = filled();
    metrics.workload_started("stranger", 1);
    metrics.control("stranger", super::super::ControlOutcome::Done);
    metrics.event(9999);
    let page = metrics.render(Format::OpenMetrics);
    assert!(!page.contains("stranger"));
    assert!(page.contains("seaworthyd_control_requests_total{command=\"other\",outcome=\"done\"} 1\n"));
}

#[test]
fn a_reload_keeps_the_counters_of_those_that_stay() {
    let metrics = filled();
    metrics.set_workloads(["new", "web"]);
    let page = metrics.render(Format::OpenMetrics);
    assert!(page.contains("seaworthyd_workload_starts_total{workload=\"web\"} 1\n"));
    assert!(page.contains("seaworthyd_workload_starts_total{workload=\"new\"} 0\n"));
    assert!(!page.contains("a.b-c_d"));
}
