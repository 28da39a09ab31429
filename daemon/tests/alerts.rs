//! The shipped alert rules and the dashboard, as promtool and the catalogue of metrics see them.
#![cfg(unix)]

mod promtool;

use std::collections::BTreeSet;

use promtool::{packaging, promtool, read, text};
use seaworthyd::metrics::FAMILIES;
use serde_json::Value;

#[test]
fn the_alert_rules_fire_and_stay_silent() {
    let rules = packaging("alerts.rules.yaml");
    let output = promtool(&["check", "rules", rules.to_str().expect("UTF-8")], "");
    assert!(output.status.success(), "{}", text(&output));
    let tests = packaging("alerts.tests.yaml");
    let output = promtool(&["test", "rules", tests.to_str().expect("UTF-8")], "");
    assert!(output.status.success(), "{}", text(&output));
    // Each rule is in both halves, with a word about what to do.
    let (rules, tests) = (read(&rules), read(&tests));
    for name in alert_names(&rules) {
        assert!(tests.contains(&format!("- name: {name} fires\n")), "no test shows that {name} fires");
        assert!(tests.contains(&format!("- name: {name} stays silent\n")), "no test shows {name} silent");
    }
    assert_eq!(rules.matches("- alert: ").count(), rules.matches("\n          next: '").count());
}

fn alert_names(rules: &str) -> Vec<&str> {
    rules.lines().filter_map(|line| line.trim_start().strip_prefix("- alert: ")).collect()
}

/// The words of `text` that look like names of ours.
fn names_in(text: &str) -> BTreeSet<&str> {
    text.split(|character: char| !character.is_ascii_alphanumeric() && character != '_')
        .filter(|word| ["seaworthyd_", "process_"].iter().any(|start| word.starts_with(start)))
        .collect()
}

#[test]
fn rules_and_dashboard_only_use_metrics_that_exist() {
    let known: BTreeSet<String> = FAMILIES.iter().flat_map(|family| family.sample_names()).collect();
    let dashboard = read(&packaging("dashboard.json"));
    for (file, text) in
        [("alerts.rules.yaml", read(&packaging("alerts.rules.yaml"))), ("dashboard.json", dashboard.clone())]
    {
        let used = names_in(&text);
        assert!(used.len() > 10, "{file}: {used:?}");
        let unknown: Vec<_> = used.iter().filter(|name| !known.contains(**name)).collect();
        assert!(unknown.is_empty(), "{file} uses what no metric is called: {unknown:?}");
    }
    // The dashboard shows every metric, in a row for each layer.
    let shown = names_in(&dashboard);
    for family in FAMILIES {
        let samples = family.sample_names();
        assert!(samples.iter().any(|name| shown.contains(name.as_str())), "{} is on no panel", family.name);
    }
    let dashboard: Value = serde_json::from_str(&dashboard).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let rows: Vec<_> =
        panels.iter().filter(|panel| panel["type"] == "row").map(|row| row["title"].as_str()).collect();
    for layer in ["Business:", "Application:", "Service:", "Infrastructure:"] {
        assert!(rows.iter().flatten().any(|title| title.starts_with(layer)), "{rows:?}");
    }
    assert_eq!(rows.len(), 4);
}

/// promtool reads each of them as a rule.
#[test]
fn the_dashboards_queries_are_prometheus_queries() {
    let dashboard: Value = serde_json::from_str(&read(&packaging("dashboard.json"))).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let mut rules = "groups:\n- name: dashboard\n  rules:\n".to_owned();
    for (index, target) in targets.enumerate() {
        let query = target["expr"].as_str().expect("a query").replace("$__rate_interval", "5m");
        rules += &format!(
            "  - record: panel_{index}\n    expr: {}\n",
            serde_json::to_string(&query).expect("JSON")
        );
    }
    assert!(rules.matches("record").count() > 40, "{rules}");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("rules.yaml");
    std::fs::write(&path, rules).expect("written");
    let output = promtool(&["check", "rules", path.to_str().expect("UTF-8")], "");
    assert!(output.status.success(), "{}", text(&output));
}
