//! Capture of real pipes: hostile bytes, floods, and streams that are left open.

use std::collections::BTreeSet;
use std::io::{PipeReader, PipeWriter, Write};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::Value as Json;

use super::*;
use crate::log::LogSettings;

/// A guard against hanging, not a measurement.
const PATIENCE: Duration = Duration::from_secs(60);

fn soon() -> Instant {
    Instant::now() + PATIENCE
}

fn log_to(path: &Path) -> Log {
    let settings = LogSettings { max_bytes: 0, ..LogSettings::of_file(Some(path.to_owned())) };
    Log::open("s", &settings).expect("a log")
}

fn records(path: &Path) -> Vec<Json> {
    let text = std::fs::read_to_string(path).expect("UTF-8");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
        .collect()
}

fn start(reader: PipeReader, log: &Log, lines_per_second: u32, burst: u32) -> Capture {
    let options = CaptureOptions::new(OutputSettings { lines_per_second, burst });
    capture("web", "stdout", reader, log, &options).expect("a thread")
}

fn pipe() -> (PipeReader, PipeWriter) {
    io::pipe().expect("a pipe")
}

/// What `write` puts into a pipe, as records.
fn captured(lines_per_second: u32, burst: u32, write: impl FnOnce(PipeWriter)) -> Vec<Json> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("log");
    let (reader, writer) = pipe();
    let capture = start(reader, &log_to(&path), lines_per_second, burst);
    write(writer);
    assert!(capture.wait(soon()), "it ends with the stream");
    records(&path)
}

#[test]
fn hostile_bytes_stay_one_record_a_line_in_every_sink() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (path, socket) = (folder.path().join("log"), folder.path().join("socket"));
    let syslog = UnixDatagram::bind(&socket).expect("a socket");
    syslog.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let settings = LogSettings {
        syslog: Some(socket.display().to_string().try_into().expect("an address")),
        ..LogSettings::of_file(Some(path.clone()))
    };
    let log = Log::open("s", &settings).expect("a log");
    let (reader, mut writer) = pipe();
    let capture = start(reader, &log, 0, 1);
    // Every pair of bytes but newlines, 256 lines; each is one record with 256 bytes' worth of characters or fewer.
    let lines: Vec<Vec<u8>> = (0..=255_u8)
        .map(|first| (0..=255_u8).flat_map(|second| [first, second]).filter(|byte| *byte != b'\n').collect())
        .collect();
    let forged = b"\"}}\r{\"time\":\"2001-01-01T00:00:00.000Z\",\"event\":\"stopped\"}".to_vec();
    let received = thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            let mut buffer = [0; 65_536];
            let mut received = Vec::new();
            while received.len() < 257 {
                let length = syslog.recv(&mut buffer).expect("a datagram");
                received.push(String::from_utf8(buffer[..length].to_vec()).expect("UTF-8"));
            }
            received
        });
        for line in lines.iter().chain([&forged]) {
            writer.write_all(line).and_then(|()| writer.write_all(b"\n")).expect("it is read");
        }
        drop(writer);
        assert!(capture.wait(soon()));
        receiver.join().expect("it receives")
    });
    let records = records(&path);
    assert_eq!(records.len(), 257);
    for (record, line) in records.iter().zip(lines.iter().chain([&forged])) {
        let expected = String::from_utf8_lossy(line);
        assert_eq!(record["message"], expected.trim_end_matches('\r'));
        assert_eq!((&record["event"], &record["workload"]), (&"workload-output".into(), &"web".into()));
        assert_eq!(record["fields"], serde_json::json!({ "stream": "stdout" }));
    }
    for message in &received {
        assert!(message.starts_with("<30>1 ") && !message.chars().any(char::is_control), "{message}");
    }
}

#[test]
fn a_very_long_line_comes_in_numbered_parts() {
    let text: String = (0..3_000_000_u32).map(|index| char::from(b'a' + (index % 26) as u8)).collect();
    let records = captured(0, 1, |mut writer| {
        writer.write_all(text.as_bytes()).and_then(|()| writer.write_all(b"\nshort\n")).expect("it is read");
    });
    let (short, parts) = records.split_last().expect("records");
    assert_eq!((&short["message"], &short["fields"]["part"]), (&"short".into(), &Json::Null));
    assert_eq!(parts.iter().map(|part| part["message"].as_str().expect("text")).collect::<String>(), text);
    for (index, part) in parts.iter().enumerate() {
        let is_last = index + 1 == parts.len();
        assert_eq!(part["fields"]["part"], index + 1);
        assert_eq!(part["fields"]["parts"], if is_last { parts.len().into() } else { Json::Null });
    }
}

#[test]
fn a_flood_is_suppressed_and_counted() {
    const LINES: u64 = 300_000;
    let records = captured(1000, 5000, |mut writer| {
        let flood: String = (0..LINES).map(|line| format!("{line:06}\n")).collect();
        writer.write_all(flood.as_bytes()).expect("it is read");
    });
    let (mut seen, mut missing, mut bytes) = (BTreeSet::new(), 0, 0);
    for record in &records {
        let field = |name: &str| record["fields"][name].as_u64().expect("a number");
        if record["event"] == "workload-output-suppressed" {
            assert_eq!(record["workload"], "web");
            missing += field("records");
            bytes += field("bytes");
        } else {
            let line: u64 = record["message"].as_str().expect("text").parse().expect("a number");
            assert!(seen.insert(line), "{line} is there twice");
        }
    }
    assert_eq!(seen.len() as u64 + missing, LINES);
    assert_eq!(bytes, 6 * missing);
    assert!((0..5000).all(|line| seen.contains(&line)), "the burst is whole");
    assert!(missing > 0);
}

#[test]
fn what_is_suppressed_is_told_when_the_workload_becomes_quiet() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("log");
    let (reader, mut writer) = pipe();
    let _capture = start(reader, &log_to(&path), 1, 2);
    writer.write_all(b"1\n2\n3\n4\n5\n").expect("it is read");
    let end = soon();
    while records(&path).last().is_none_or(|record| record["event"] != "workload-output-suppressed") {
        assert!(Instant::now() < end, "it is not told");
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(records(&path).last().expect("a record")["fields"]["records"], 3);
}

#[test]
fn the_last_words_are_read_though_the_stream_stays_open() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("log");
    let log = log_to(&path);
    let (reader, mut writer) = pipe();
    // What fits into the pipe is written before anyone reads.
    let last: String = (0..5000).map(|line| format!("{line}\n")).collect();
    writer.write_all(last.as_bytes()).and_then(|()| writer.write_all(b"no end")).expect("it fits");
    let capture = start(reader, &log, 0, 1);
    assert!(!capture.is_over());
    assert!(capture.wait(soon()), "an open stream does not hold it up");
    let records = records(&path);
    assert_eq!(records.len(), 5002);
    assert!((0..5000).all(|line| records[line]["message"].as_str() == Some(&line.to_string())));
    assert_eq!(
        (&records[5000]["event"], &records[5001]["message"]),
        (&"workload-output-abandoned".into(), &"no end".into())
    );
    let refused = writer.write_all(b"more").expect_err("nobody reads");
    assert_eq!(refused.kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn a_process_left_behind_that_floods_is_given_up() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("log");
    let (reader, mut writer) = pipe();
    let flood = thread::spawn(move || while writer.write_all(b"still here\n").is_ok() {});
    assert!(start(reader, &log_to(&path), 10, 10).wait(soon()));
    flood.join().expect("its pipe is broken");
    let records = records(&path);
    assert!(records.iter().any(|record| record["event"] == "workload-output-abandoned"), "{records:?}");
}

#[test]
fn a_stream_that_is_closed_early_ends_its_capture() {
    assert_eq!(captured(0, 1, drop).len(), 0);
}
