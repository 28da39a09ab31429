//! One JSON object a line: whatever a workload prints, a record stays one line and one object.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// How much a record matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Info,
    Warning,
    Error,
}

/// What happened. Number and name are lasting: monitoring selects by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Starting = 100,
    Ready = 101,
    Stopping = 102,
    Stopped = 103,
    Heartbeat = 104,
    Paused = 105,
    Continued = 106,
    ControlRefused = 107,
    NotifyFailed = 108,
    #[cfg(windows)]
    Refused = 109,
    WorkloadStarted = 200,
    WorkloadExited = 201,
    WorkloadRestart = 202,
    WorkloadStartFailed = 203,
    WorkloadStopAsked = 204,
    WorkloadKilled = 205,
    WorkloadOutput = 206,
}

impl Event {
    fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Heartbeat => "heartbeat",
            Self::Paused => "paused",
            Self::Continued => "continued",
            Self::ControlRefused => "control-refused",
            Self::NotifyFailed => "notify-failed",
            #[cfg(windows)]
            Self::Refused => "refused",
            Self::WorkloadStarted => "workload-started",
            Self::WorkloadExited => "workload-exited",
            Self::WorkloadRestart => "workload-restart",
            Self::WorkloadStartFailed => "workload-start-failed",
            Self::WorkloadStopAsked => "workload-stop-asked",
            Self::WorkloadKilled => "workload-killed",
            Self::WorkloadOutput => "workload-output",
        }
    }

    fn level(self) -> Level {
        match self {
            #[cfg(windows)]
            Self::Refused => Level::Error,
            Self::WorkloadStartFailed => Level::Error,
            Self::ControlRefused | Self::NotifyFailed | Self::WorkloadRestart | Self::WorkloadKilled => {
                Level::Warning
            }
            _ => Level::Info,
        }
    }
}

/// The value of a field.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    Number(i64),
}

/// Where records go; clones share one writer.
#[derive(Clone)]
pub(crate) struct Log {
    service: Arc<str>,
    /// `None` once the last record is written: late output of a workload must not follow it.
    out: Arc<Mutex<Option<Box<dyn Write + Send>>>>,
}

impl Log {
    pub(crate) fn to_stderr(service: &str) -> Self {
        Self::to(service, Box::new(io::stderr()))
    }

    /// Appends to `path`.
    pub(crate) fn to_file(service: &str, path: &Path) -> io::Result<Self> {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path)?;
        Ok(Self::to(service, Box::new(SyncedFile(file))))
    }

    fn to(service: &str, out: Box<dyn Write + Send>) -> Self {
        Self { service: service.into(), out: Arc::new(Mutex::new(Some(out))) }
    }

    pub(crate) fn write(&self, event: Event, message: &str, fields: &[(&str, Value)]) {
        if let Some(out) = self.lock().as_mut() {
            let line = line(SystemTime::now(), &self.service, event, message, fields);
            // A log that cannot be written (disk full, reader gone) must not stop the workloads.
            let _ = out.write_all(line.as_bytes());
        }
    }

    /// Writes the last record and brings it to its place; anything later is dropped.
    pub(crate) fn finish(&self, event: Event, message: &str, fields: &[(&str, Value)]) {
        self.write(event, message, fields);
        if let Some(mut out) = self.lock().take() {
            let _ = out.flush();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Box<dyn Write + Send>>> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file whose flush reaches the disk.
struct SyncedFile(std::fs::File);

impl Write for SyncedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }
}

fn line(time: SystemTime, service: &str, event: Event, message: &str, fields: &[(&str, Value)]) -> String {
    let level = match event.level() {
        Level::Info => "info",
        Level::Warning => "warning",
        Level::Error => "error",
    };
    let mut line = format!(
        r#"{{"time":"{}","level":"{level}","event_id":{},"event":"{}","service":{},"message":{},"fields":{{"#,
        rfc3339(time),
        event as u16,
        event.name(),
        quoted(service),
        quoted(message)
    );
    for (index, (name, value)) in fields.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let value = match value {
            Value::Text(text) => quoted(text),
            Value::Number(number) => number.to_string(),
        };
        let _ = write!(line, "{comma}{}:{value}", quoted(name));
    }
    line.push_str("}}\n");
    line
}

/// A JSON string (RFC 8259, section 7) in which every control character and line separator is escaped, also those
/// that JSON would allow: they could move a terminal's cursor or start a line of their own.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            _ if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}') => {
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            _ => out.push(character),
        }
    }
    out.push('"');
    out
}

/// RFC 3339 in UTC with milliseconds; a clock before 1970 reads as 1970.
fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil_from_days(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", since.subsec_millis())
}

/// The proleptic Gregorian date `days` after 1970-01-01 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468; // from 0000-03-01, so that the leap day ends a year
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn times_are_rfc_3339() {
        let at = |seconds, milliseconds| {
            rfc3339(UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_millis(milliseconds))
        };
        assert_eq!(at(0, 0), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(951_782_400, 7), "2000-02-29T00:00:00.007Z");
        assert_eq!(at(1_709_251_199, 999), "2024-02-29T23:59:59.999Z");
        assert_eq!(at(4_107_542_399, 0), "2100-02-28T23:59:59.000Z");
        assert_eq!(at(4_107_542_400, 0), "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn every_character_survives_and_none_breaks_the_line() {
        let hostile: String = (0..0x3000).filter_map(char::from_u32).collect();
        let fields = [("key\n", Value::Text(hostile.clone())), ("number", Value::Number(-1))];
        let line = line(UNIX_EPOCH, "s\"", Event::WorkloadOutput, &hostile, &fields);
        assert_eq!(
            line.chars().filter(|character| character.is_control()).count(),
            1,
            "only the last newline"
        );
        assert!(!line.contains(['\u{2028}', '\u{2029}', '\u{85}']));
        let json: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(json["message"], hostile.as_str());
        assert_eq!(json["service"], "s\"");
        assert_eq!(json["fields"]["key\n"], hostile.as_str());
        assert_eq!(json["fields"]["number"], -1);
        assert_eq!(json["event_id"], 206);
    }

    #[test]
    fn nothing_follows_the_last_record() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("log");
        let log = Log::to_file("s", &path).expect("a log");
        log.write(Event::Ready, "one", &[]);
        log.finish(Event::Stopped, "two", &[]);
        log.write(Event::WorkloadOutput, "three", &[]);
        let text = std::fs::read_to_string(&path).expect("the log");
        assert_eq!(text.lines().count(), 2);
        assert!(text.ends_with("\"message\":\"two\",\"fields\":{}}\n"), "{text}");
    }
}
