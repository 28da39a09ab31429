//! The log as a whole: several sinks at once, of which some are slow or gone.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};

use super::*;

/// A guard against hanging, not a measurement.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn log_to(path: &Path) -> Log {
    Log::open("s", &LogSettings::of_file(Some(path.to_owned()))).expect("a log")
}

/// The records of a file.
pub(super) fn records(path: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(path).expect("the log");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
        .collect()
}

pub(super) fn number(number: usize) -> [(&'static str, Value); 1] {
    [("number", Value::number(number))]
}

/// What a sink of the tests was given.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) event: Event,
    pub(super) fields: Vec<(String, Value)>,
}

impl Seen {
    fn of(record: &Record<'_>) -> Self {
        let fields = record.fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Self { event: record.event, fields }
    }

    pub(super) fn number(&self, name: &str) -> usize {
        match self.fields.iter().find(|(field, _)| field == name) {
            Some((_, Value::Number(number))) => usize::try_from(*number).expect("not negative"),
            other => panic!("{name} is {other:?} in {self:?}"),
        }
    }
}

/// Takes every record at once.
pub(super) struct Eager(pub(super) Sender<Seen>);

impl Sink for Eager {
    fn name(&self) -> &'static str {
        "eager"
    }

    fn offer(&mut self, record: &Record<'_>) -> io::Result<()> {
        self.write(record)
    }

    fn write(&mut self, record: &Record<'_>) -> io::Result<()> {
        self.0.send(Seen::of(record)).map_err(io::Error::other)
    }
}

/// Takes nothing before its gate opens: the sender of the gate is dropped.
struct Stuck(Receiver<()>, Sender<Seen>);

impl Sink for Stuck {
    fn name(&self) -> &'static str {
        "stuck"
    }

    fn write(&mut self, record: &Record<'_>) -> io::Result<()> {
        let _ = self.0.recv();
        self.1.send(Seen::of(record)).map_err(io::Error::other)
    }
}

/// Fails while the flag is set.
struct Broken(Arc<AtomicBool>, Sender<Seen>);

impl Sink for Broken {
    fn name(&self) -> &'static str {
        "broken"
    }

    fn write(&mut self, record: &Record<'_>) -> io::Result<()> {
        if self.0.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        self.1.send(Seen::of(record)).map_err(io::Error::other)
    }
}

#[test]
fn nothing_follows_the_last_record() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("log");
    let log = log_to(&path);
    log.write(Event::Ready, "one", &[]);
    log.clone().finish(Event::Stopped, "two", &[]);
    log.write(Event::WorkloadOutput, "three", &[]);
    let text = std::fs::read_to_string(&path).expect("the log");
    assert_eq!(text.lines().count(), 2);
    assert!(text.ends_with("\"message\":\"two\",\"fields\":{}}\n"), "{text}");
}

#[test]
fn a_level_leaves_out_what_matters_less() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (level, expected) in [("info", 3), ("warning", 2), ("error", 1)] {
        let path = folder.path().join(level);
        let mut settings: LogSettings = toml::from_str(&format!("level = \"{level}\"")).expect("valid");
        settings.file = Some(path.clone());
        let log = Log::open("s", &settings).expect("a log");
        for event in [Event::Ready, Event::WorkloadKilled, Event::Refused] {
            log.write(event, "m", &[]);
        }
        assert_eq!(records(&path).len(), expected);
    }
    assert!([Level::AuditSuccess, Level::AuditFailure].iter().all(|level| level.reaches(Level::Error)));
}

#[test]
fn a_stuck_sink_holds_nobody_up_and_is_told_what_it_missed() {
    const RECORDS: usize = 20_000;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("log");
    let log = log_to(&path);
    let ((gate, stuck), (to_stuck, from_stuck), (to_eager, from_eager)) =
        (mpsc::channel(), mpsc::channel(), mpsc::channel());
    log.add(Box::new(Stuck(stuck, to_stuck)));
    log.add(Box::new(Eager(to_eager)));
    for index in 0..RECORDS {
        log.write(Event::Heartbeat, "some words that need their room in the queue", &number(index));
    }
    assert_eq!(records(&path).len(), RECORDS);
    assert!(from_eager.try_iter().map(|seen| seen.number("number")).eq(0..RECORDS));
    assert!(from_stuck.try_recv().is_err());
    drop(gate);
    log.finish(Event::Stopped, "stopped", &[]);
    let mut expected = 0;
    let mut gaps = 0;
    // On a slow machine longer than the log itself waits.
    loop {
        let seen = from_stuck.recv_timeout(PATIENCE).expect("a record");
        match seen.event {
            Event::Heartbeat => {
                assert_eq!(seen.number("number"), expected);
                expected += 1;
            }
            Event::LogRecordsLost => {
                gaps += 1;
                expected += seen.number("records");
                assert_eq!(seen.fields[0], ("sink".to_owned(), Value::text("stuck")));
            }
            Event::Stopped => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((expected, gaps), (RECORDS, 1), "each record was taken or counted");
}

#[test]
fn the_failure_of_a_sink_and_its_return_are_told_to_the_others() {
    let log = Log::new("s", Level::Info);
    let ((to_broken, from_broken), (to_eager, from_eager)) = (mpsc::channel(), mpsc::channel());
    let is_broken = Arc::new(AtomicBool::new(true));
    log.add(Box::new(Broken(Arc::clone(&is_broken), to_broken)));
    log.add(Box::new(Eager(to_eager)));
    log.write(Event::Ready, "one", &number(1));
    let next = || from_eager.recv_timeout(PATIENCE).expect("a record").event;
    assert_eq!((next(), next()), (Event::Ready, Event::LogSinkFailed));
    log.write(Event::Ready, "two", &number(2));
    is_broken.store(false, Ordering::SeqCst);
    assert_eq!((next(), next()), (Event::Ready, Event::LogSinkRecovered));
    let events: Vec<_> =
        (0..4).map(|_| from_broken.recv_timeout(PATIENCE).expect("a record").event).collect();
    assert_eq!(events, [Event::Ready, Event::LogSinkFailed, Event::Ready, Event::LogSinkRecovered]);
}

#[test]
fn a_dead_sink_does_not_hold_up_the_end() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("log");
    let log = log_to(&path);
    let ((_gate, stuck), (to_stuck, _from_stuck)) = (mpsc::channel(), mpsc::channel());
    log.add(Box::new(Stuck(stuck, to_stuck)));
    log.add(Box::new(Broken(Arc::new(AtomicBool::new(true)), mpsc::channel().0)));
    log.write(Event::Ready, "one", &[]);
    log.finish(Event::Stopped, "two", &[]);
    assert_eq!(records(&path).len(), 2);
}

#[test]
fn every_event_follows_the_published_schema() {
    let text = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/schema/log-record.json"));
    let schema: serde_json::Value = serde_json::from_slice(&text.expect("the schema")).expect("JSON");
    let validator = jsonschema::draft202012::new(&schema).expect("a schema");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("log");
    let log = log_to(&path);
    let fields = [
        ("workload", Value::text("web")),
        ("trace_id", Value::text("4bf92f3577b34da6a3ce929d0e0e4736")),
        ("task_id", Value::text("t\n1")),
        ("number", Value::Number(i64::MIN)),
        ("error", Value::text("\u{1b}")),
    ];
    for event in Event::ALL {
        log.write(*event, "m\0", &fields);
        log.write(*event, "", &[]);
    }
    let records = records(&path);
    assert_eq!(records.len(), 2 * Event::ALL.len());
    for record in &records {
        let errors: Vec<_> = validator.iter_errors(record).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?} in {record}");
    }
    for (key, wrong) in [
        ("time", "today".into()),
        ("level", "debug".into()),
        ("event_id", 99.into()),
        ("event", "Ready".into()),
        ("service", serde_json::Value::Null),
        ("workload", "a b".into()),
        ("trace_id", 7.into()),
        ("fields", serde_json::json!({ "a": { "b": 1 } })),
        ("unknown", 1.into()),
    ] {
        let mut record = records[0].clone();
        record[key] = wrong;
        assert!(!validator.is_valid(&record), "{key} is not refused");
    }
}
