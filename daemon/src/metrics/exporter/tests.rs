//! What survives, and what is told.

use super::super::Build;
use super::*;

fn metrics() -> Arc<Metrics> {
    let metrics = Metrics::new(Build::default(), None);
    metrics.set_workloads(["web"]);
    Arc::new(metrics)
}

/// The counter of workload starts on a page.
fn starts(page: &Page) -> u64 {
    let line = page.text.lines().find(|line| line.starts_with("seaworthyd_workload_starts_total{"));
    line.and_then(|line| line.rsplit_once(' ')).expect("a sample").1.parse().expect("a count")
}

/// The worker is killed at every point: nothing is saved at its end.
#[test]
fn no_counter_returns_below_what_was_scraped() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut scraped = 0;
    for round in 1..20 {
        let metrics = metrics();
        let exporter = Exporter::new(Arc::clone(&metrics), Some(folder.path()));
        metrics.workload_started("web", 1);
        let page = exporter.scrape(if round % 2 == 0 { "text/plain" } else { "" });
        assert!(starts(&page) > scraped, "{} after {scraped}", starts(&page));
        scraped = starts(&page);
        // Counted after the scrape, and lost.
        metrics.workload_started("web", 1);
        assert!(page.text.contains(&format!("seaworthyd_worker_starts_total {round}\n")));
    }
}

#[test]
fn counters_are_kept_without_a_scrape() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let kept = Kept::in_folder(folder.path());
    let first = metrics();
    let exporter = Arc::new(Exporter::new(Arc::clone(&first), Some(folder.path())));
    // In time, though nobody asks.
    let keeper = exporter.keep_every(Duration::from_millis(1)).expect("a thread");
    while !kept.path().exists() {
        std::thread::yield_now();
    }
    drop(keeper);
    // At the end.
    let keeper = exporter.keep_every(Duration::from_secs(3600)).expect("a thread");
    first.workload_started("web", 1);
    drop(keeper);
    assert_eq!(Kept::text(&first), std::fs::read_to_string(kept.path()).expect("the file"));
    let second = Exporter::new(metrics(), Some(folder.path()));
    assert_eq!(starts(&second.scrape("")), 1);
}

#[test]
fn a_page_is_made_once_for_many_who_ask_at_a_time() {
    let exporter = Exporter::new(metrics(), None);
    let begun = Instant::now();
    let pages: Vec<_> = (0..100).map(|_| exporter.scrape("")).collect();
    let different = pages.windows(2).filter(|pair| !Arc::ptr_eq(&pair[0].text, &pair[1].text)).count();
    let most = begun.elapsed().as_millis() / PAGE_AGE.as_millis() + 1;
    assert!(different as u128 <= most, "{different} pages");
    assert!(!Arc::ptr_eq(&pages[99].text, &exporter.scrape("text/plain").text));
}

#[test]
fn a_damaged_file_and_a_lost_folder_are_told_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let state = folder.path().join("state");
    std::fs::create_dir(&state).expect("made");
    let kept = Kept::in_folder(&state);
    std::fs::write(kept.path(), "rubbish").expect("written");
    let log_file = folder.path().join("log");
    let log = Log::open("s", &crate::log::LogSettings::of_file(Some(log_file.clone()))).expect("a log");
    let metrics = metrics();
    let exporter = Exporter::with_log(Arc::clone(&metrics), Some(&state), &log);
    assert_eq!(starts(&exporter.scrape("")), 0);
    exporter.save_now();
    let restored = Exporter::with_log(Arc::clone(&metrics), Some(&state), &log);
    std::fs::remove_dir_all(&state).expect("removed");
    for _ in 0..3 {
        metrics.worker_started();
        restored.save_now();
    }
    std::fs::create_dir(&state).expect("made");
    restored.save_now();
    assert!(kept.path().exists(), "it goes on when the folder is back");

    let text = std::fs::read_to_string(&log_file).expect("a log");
    let events: Vec<String> = text
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).expect("JSON")["event"]
                .as_str()
                .expect("text")
                .to_owned()
        })
        .collect();
    assert_eq!(events, ["counters-damaged", "counters-restored", "counters-not-saved"]);
    assert!(text.contains("metrics.counters"), "{text}");
}
