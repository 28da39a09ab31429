//! A record as a syslog message (RFC 5424, section 6).

use std::fmt::Write as _;

use crate::log::event::Level;
use crate::log::record::{Record, Value, is_plain};
use crate::log::time::rfc3339;

/// A receiver should take 2048 bytes (section 6.1); rsyslog takes about 8 KiB and cuts what is longer.
const LONGEST_MESSAGE: usize = 8000;
/// Section 6.
const LONGEST_HOST: usize = 255;
const LONGEST_SERVICE: usize = 48;
const LONGEST_PROCESS: usize = 128;
const LONGEST_NAME: usize = 32;
/// A field's value in the structured data; the message itself is more important. Bytes, before they are escaped.
const LONGEST_VALUE: usize = 512;
/// Of the structured data. Bytes.
const LONGEST_DATA: usize = 4096;
/// The number is the one for documentation (RFC 5612): Seaworthy has no enterprise number of its own.
const DATA_ID: &str = "seaworthyd@32473";
/// Facilities (section 6.2.1): system daemons, and private authorization messages.
const DAEMON: u8 = 3;
const AUTHPRIV: u8 = 10;

/// The parts of the header that stay.
pub(super) struct Sender {
    host: String,
    process: String,
}

impl Sender {
    pub(super) fn of_this_process() -> Self {
        let (mut host, mut process) = (String::new(), String::new());
        put_name(&host_name(), LONGEST_HOST, &mut host);
        put_name(&std::process::id().to_string(), LONGEST_PROCESS, &mut process);
        Self { host, process }
    }

    /// Appends the message, at most [`LONGEST_MESSAGE`] bytes.
    pub(super) fn write_message(&self, record: &Record<'_>, out: &mut String) {
        let _ = write!(out, "<{}>1 ", priority(record.event.level()));
        rfc3339(record.time, out);
        let _ = write!(out, " {} ", self.host);
        put_name(record.service, LONGEST_SERVICE, out);
        let _ = write!(out, " {} ", self.process);
        put_name(record.event.name(), LONGEST_NAME, out);
        write_data(record, out);
        out.push(' ');
        put_text(record.message, LONGEST_MESSAGE, false, out);
    }
}

fn write_data(record: &Record<'_>, out: &mut String) {
    let _ = write!(out, " [{DATA_ID} event=\"{}\" event_id=\"{}\"", record.event.name(), record.event.id());
    if let Some(build) = record.build {
        put_parameter("build", build, out);
    }
    let end = out.len() + LONGEST_DATA;
    for (name, value) in record.raised().chain(record.rest()) {
        let before = out.len();
        match value {
            Value::Text(text) => put_parameter(name, text, out),
            Value::Number(number) => put_parameter(name, &number.to_string(), out),
        }
        if out.len() > end {
            out.truncate(before);
        }
    }
    out.push(']');
}

fn put_parameter(name: &str, value: &str, out: &mut String) {
    out.push(' ');
    put_name(name, LONGEST_NAME, out);
    out.push_str("=\"");
    put_text(value, out.len() + LONGEST_VALUE, true, out);
    out.push('"');
}

/// Appends a name of printable ASCII; what else is in it becomes `_`, and no name `-` (section 6, `NILVALUE`).
fn put_name(name: &str, longest: usize, out: &mut String) {
    if name.is_empty() {
        out.push('-');
    }
    out.extend(name.chars().take(longest).map(|character| match character {
        '=' | ']' | '"' => '_',
        '!'..='~' => character,
        _ => '_',
    }));
}

/// Appends text, at most until `out` has `end` bytes; what was cut ends in `…`. Characters that are not plain are written
/// as `\uXXXX`, and in a parameter those are escaped that could end it (section 6.3.3).
fn put_text(text: &str, end: usize, in_parameter: bool, out: &mut String) {
    for character in text.chars() {
        let before = out.len();
        if !is_plain(character) {
            let _ = write!(out, "{}u{:04x}", if in_parameter { "\\\\" } else { "\\" }, u32::from(character));
        } else {
            if in_parameter && matches!(character, '"' | '\\' | ']') {
                out.push('\\');
            }
            out.push(character);
        }
        if out.len() > end - '…'.len_utf8() {
            out.truncate(before);
            out.push('…');
            return;
        }
    }
}

/// Facility and severity; an audit record goes where others of its kind do.
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => DAEMON * 8 + 3,
        Level::Warning => DAEMON * 8 + 4,
        Level::Info => DAEMON * 8 + 6,
        Level::AuditFailure => AUTHPRIV * 8 + 4,
        Level::AuditSuccess => AUTHPRIV * 8 + 5,
    }
}

#[cfg(unix)]
fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(windows)]
fn host_name() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::log::Event;

    fn message(event: Event, message: &str, fields: &[(&str, Value)]) -> String {
        let sender = Sender { host: "host".to_owned(), process: "7".to_owned() };
        let (time, service, build) = (UNIX_EPOCH, "sea worthyd", Some("b1"));
        let mut out = String::new();
        sender.write_message(&Record { time, service, build, event, message, fields }, &mut out);
        out
    }

    #[test]
    fn a_message_is_as_rfc_5424_wants_it() {
        let fields = [
            ("stream", Value::text("a\"b]c\\d\ne\u{1b}ä")),
            ("a=b ü", Value::Number(-3)),
            ("workload", Value::text("web")),
        ];
        let expected = "<30>1 1970-01-01T00:00:00.000Z host sea_worthyd 7 workload-output [seaworthyd@32473 \
            event=\"workload-output\" event_id=\"206\" build=\"b1\" workload=\"web\" \
            stream=\"a\\\"b\\]c\\\\d\\\\u000ae\\\\u001bä\" a_b__=\"-3\"] x \\u001b[2J \\u000a<0>1 ö\\";
        assert_eq!(message(Event::WorkloadOutput, "x \u{1b}[2J \n<0>1 ö\\", &fields), expected);
        assert!(message(Event::Refused, "", &[]).starts_with("<27>1 "));
        assert!(message(Event::WorkloadKilled, "", &[]).starts_with("<28>1 "));
    }

    #[test]
    fn audit_goes_to_authpriv() {
        assert_eq!((priority(Level::AuditFailure), priority(Level::AuditSuccess)), (84, 85));
    }

    #[test]
    fn nothing_is_longer_than_receivers_take() {
        let large = "ä\n]".repeat(10_000);
        let fields: Vec<_> = (0..50).map(|_| ("name", Value::text(&large))).collect();
        let message = message(Event::WorkloadOutput, &large, &fields);
        assert!((7900..=LONGEST_MESSAGE).contains(&message.len()), "{}", message.len());
        assert!(message.contains("\"] ä\\u000a"), "the message has its room: {message}");
        assert!(message.ends_with('…') && message.contains("…\""), "what was cut says so: {message}");
    }

    #[test]
    fn an_empty_name_is_the_nil_value() {
        let mut out = String::new();
        put_name("", 5, &mut out);
        assert_eq!(out, "-");
    }
}
