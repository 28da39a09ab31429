//! One JSON object a line: whatever a workload prints, a record stays one line and one object.

mod event;
mod time;

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

pub(crate) use event::Event;
#[cfg(windows)]
pub(crate) use event::Level;
use time::rfc3339;

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
    let level = event.level().name();
    let mut line = format!(
        r#"{{"time":"{}","level":"{level}","event_id":{},"event":"{}","service":{},"message":{},"fields":{{"#,
        rfc3339(time),
        event.id(),
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

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

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
