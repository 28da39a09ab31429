//! A record and its one line of JSON: whatever a workload prints, a record stays one line and one object.

use std::fmt::Write as _;
use std::time::SystemTime;

use super::event::Event;
use super::time::rfc3339;

/// The value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Number(i64),
}

impl Value {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A number that does not fit is told as the largest that does.
    pub(crate) fn number(number: impl TryInto<i64>) -> Self {
        Self::Number(number.try_into().unwrap_or(i64::MAX))
    }
}

/// These fields stand beside `fields` in a record, not in it, and have a place of their own in journald and syslog.
const RAISED: &[&str] = &["workload", "trace_id", "task_id"];

/// What happened, as every sink gets it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) time: SystemTime,
    pub(crate) service: &'a str,
    /// The build key of the program; `None` in a development build.
    pub(crate) build: Option<&'a str>,
    pub(crate) event: Event,
    pub(crate) message: &'a str,
    /// As they were given, [`RAISED`] ones among them.
    pub(crate) fields: &'a [(&'a str, Value)],
}

impl<'a> Record<'a> {
    /// The fields that stand beside `fields`.
    pub(crate) fn raised(&self) -> impl Iterator<Item = &'a (&'a str, Value)> {
        RAISED.iter().filter_map(|name| self.fields.iter().find(|(field, _)| field == name))
    }

    /// The fields that are none of those.
    pub(crate) fn rest(&self) -> impl Iterator<Item = &'a (&'a str, Value)> {
        self.fields.iter().filter(|(name, _)| !RAISED.contains(name))
    }

    /// Appends the record's line, newline included.
    pub(crate) fn write_line(&self, line: &mut String) {
        line.push_str("{\"time\":\"");
        rfc3339(self.time, line);
        line.push_str("\",\"level\":\"");
        line.push_str(self.event.level().name());
        let _ = write!(line, "\",\"event_id\":{},\"event\":\"", self.event.id());
        line.push_str(self.event.name());
        line.push_str("\",\"service\":");
        quote(self.service, line);
        if let Some(build) = self.build {
            line.push_str(",\"build\":");
            quote(build, line);
        }
        for field in self.raised() {
            line.push(',');
            write_field(field, line);
        }
        line.push_str(",\"message\":");
        quote(self.message, line);
        line.push_str(",\"fields\":{");
        for (index, field) in self.rest().enumerate() {
            if index > 0 {
                line.push(',');
            }
            write_field(field, line);
        }
        line.push_str("}}\n");
    }
}

fn write_field((name, value): &(&str, Value), line: &mut String) {
    quote(name, line);
    line.push(':');
    match value {
        Value::Text(text) => quote(text, line),
        Value::Number(number) => {
            let _ = write!(line, "{number}");
        }
    }
}

/// Appends a JSON string (RFC 8259, section 7) in which every character is escaped that is not a plain one.
fn quote(text: &str, line: &mut String) {
    line.push('"');
    let mut plain = 0;
    for (at, character) in text.char_indices() {
        let escaped = match character {
            '"' | '\\' => true,
            _ if character.is_ascii() => character.is_ascii_control(),
            _ => !is_plain(character),
        };
        if !escaped {
            continue;
        }
        line.push_str(&text[plain..at]);
        plain = at + character.len_utf8();
        match character {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            _ => {
                let _ = write!(line, "\\u{:04x}", u32::from(character));
            }
        }
    }
    line.push_str(&text[plain..]);
    line.push('"');
}

/// Whether a character may stand in a log as it is. The others could move a terminal's cursor, start a line of their own,
/// or make a line read otherwise than it is written (the bidirectional controls of Unicode UAX #9). None of them is
/// outside of the Basic Multilingual Plane: `\uXXXX` can write each.
pub(super) fn is_plain(character: char) -> bool {
    !character.is_control()
        && !matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn line_of(message: &str, fields: &[(&str, Value)], build: Option<&str>) -> String {
        let (time, service, event) = (UNIX_EPOCH, "s\"", Event::WorkloadOutput);
        let mut line = String::new();
        Record { time, service, build, event, message, fields }.write_line(&mut line);
        line
    }

    #[test]
    fn every_character_survives_and_none_breaks_the_line() {
        let hostile: String =
            (0..0x3000).filter_map(char::from_u32).chain(['\u{1f600}', '\u{10ffff}']).collect();
        let fields = [("key\n", Value::text(&hostile)), ("number", Value::Number(-1))];
        let line = line_of(&hostile, &fields, Some("b\u{1b}"));
        let controls = line.chars().filter(|character| character.is_control()).count();
        assert_eq!(controls, 1, "only the last newline");
        assert!(!line.contains(['\u{2028}', '\u{2029}', '\u{85}', '\u{202e}', '\u{2066}']));
        let json: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(json["message"], hostile.as_str());
        assert_eq!((&json["service"], &json["build"]), (&"s\"".into(), &"b\u{1b}".into()));
        assert_eq!(json["fields"]["key\n"], hostile.as_str());
        assert_eq!(json["fields"]["number"], -1);
        assert_eq!(json["event_id"], 206);
    }

    #[test]
    fn workload_trace_and_task_stand_beside_the_fields() {
        let fields = [
            ("stream", Value::text("stdout")),
            ("task_id", Value::text("t")),
            ("trace_id", Value::text("4bf92f3577b34da6a3ce929d0e0e4736")),
            ("workload", Value::text("web")),
        ];
        let expected = "{\"time\":\"1970-01-01T00:00:00.000Z\",\"level\":\"info\",\"event_id\":206,\
            \"event\":\"workload-output\",\"service\":\"s\\\"\",\"workload\":\"web\",\
            \"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\",\"task_id\":\"t\",\"message\":\"m\",\
            \"fields\":{\"stream\":\"stdout\"}}\n";
        assert_eq!(line_of("m", &fields, None), expected);
    }
}
