//! The only file that prints. Results go to standard output, progress and failures to standard error.

mod environment;
mod list;
mod progress;
mod reports;
mod reproduction;
mod results;

use std::borrow::Cow;
use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use anstream::{eprint, eprintln, println};
use anstyle::{AnsiColor, Style};
use artifact::{Event, Outcome, Report};
use serde::Serialize;

use crate::args::{Color, Format};
use crate::failure::{Failure, Message};
use progress::Progress;

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const NOTE: Style = AnsiColor::Cyan.on_default().bold();
const FAINT: Style = Style::new().dimmed();

/// Draws events, results and failures, the way the command line asked for.
#[derive(Debug)]
pub(crate) struct Renderer {
    format: Format,
    progress: Progress,
    /// Whether a result was written, or its beginning.
    is_told: AtomicBool,
    /// Whether a result could not be written, which is said once.
    is_lost: AtomicBool,
}

impl Renderer {
    /// A renderer for this process.
    pub(crate) fn new(format: Format, color: Color, quiet: bool) -> Renderer {
        match color {
            Color::Auto => {}
            Color::Always => anstream::ColorChoice::Always.write_global(),
            Color::Never => anstream::ColorChoice::Never.write_global(),
        }
        let progress = match (quiet, std::io::stderr().is_terminal()) {
            (true, _) => Progress::silent(),
            (false, true) => Progress::bars(),
            (false, false) => Progress::lines(),
        };
        Renderer { format, progress, is_told: AtomicBool::new(false), is_lost: AtomicBool::new(false) }
    }

    /// Draws one event of a stage.
    pub(crate) fn event(&self, event: Event) {
        self.progress.draw(event);
    }

    /// One line of progress that is not part of a step: `verb` is right-aligned as cargo's are.
    pub(crate) fn status(&self, verb: &str, text: &str) {
        self.progress.line(&format!("{GOOD}{verb:>12}{GOOD:#} {text}"));
    }

    /// Something a person should know although nothing failed.
    pub(crate) fn note(&self, text: &str) {
        self.progress.line(&format!("{NOTE}{:>12}{NOTE:#} {}", "note", plain(text)));
    }

    /// A result: `text` for people, `value` for programs.
    pub(crate) fn result<T: Serialize>(&self, value: &T, text: impl FnOnce(&T) -> String) {
        match self.format {
            Format::Json => match serde_json::to_string_pretty(value) {
                Ok(json) => self.raw(&(json + "\n")),
                Err(error) => eprintln!("{BAD}error{BAD:#}: the result has no JSON form: {error}"),
            },
            _ => self.raw(&text(value)),
        }
    }

    /// How results are written.
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// All reports as the one document that they are in a format of reports.
    pub(crate) fn reports(&self, reports: &[Report]) {
        match self.format {
            Format::Sarif => self.raw(&format!("{:#}\n", reports::sarif(reports))),
            Format::Junit => self.raw(&reports::junit(reports)),
            Format::Github => self.raw(&reports::github(reports)),
            Format::Text | Format::Json => {}
        }
    }

    /// Text that is a result as it stands: a script, a schema, a dump. A closed pipe is not an error.
    pub(crate) fn raw(&self, text: &str) {
        self.is_told.store(true, Relaxed);
        self.progress.suspended(|| {
            let mut stdout = std::io::stdout().lock();
            let written = match self.format {
                // Whatever could be a terminal's escape sequence is written out in JSON, so nothing is to be taken away.
                Format::Json => stdout.write_all(text.as_bytes()),
                _ => write!(anstream::AutoStream::auto(&mut stdout), "{text}"),
            };
            if let Err(error) = written.and_then(|()| stdout.flush())
                && error.kind() != ErrorKind::BrokenPipe
                && !self.is_lost.swap(true, Relaxed)
            {
                eprintln!("{BAD}error{BAD:#}: cannot write the result: {error}");
            }
        });
    }

    /// Whether a result could not be written.
    pub(crate) fn is_lost(&self) -> bool {
        self.is_lost.load(Relaxed)
    }

    /// A failure, in full: for people on standard error, for programs as one JSON document, unless there is a result, which
    /// is that one.
    pub(crate) fn failure(&self, failure: &Failure) {
        let text = told(failure);
        self.progress.suspended(|| eprint!("{text}"));
        if self.format == Format::Json && !self.is_told.load(Relaxed) {
            match serde_json::to_string_pretty(&FailureDocument::of(failure)) {
                Ok(json) => println!("{json}"),
                Err(error) => eprintln!("{BAD}error{BAD:#}: the failure has no JSON form: {error}"),
            }
        }
    }
}

/// A failure for programs.
#[derive(Serialize)]
struct FailureDocument<'a> {
    exit_code: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    causes: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    reports: &'a [Report],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    files: &'a [reproduce::FileComparison],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    checks: &'a [String],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    several: Vec<FailureDocument<'a>>,
}

impl<'a> FailureDocument<'a> {
    fn of(failure: &'a Failure) -> FailureDocument<'a> {
        let message = failure.message();
        FailureDocument {
            exit_code: failure.code(),
            error: message.map(|message| message.sentence.as_str()),
            causes: message.map_or(&[], |message| &message.causes),
            next: message.and_then(|message| message.hint.as_deref()),
            reports: if let Failure::Refused(reports) = failure { reports } else { &[] },
            files: if let Failure::NotReproduced(_, files) = failure { files } else { &[] },
            checks: if let Failure::Checks(names) = failure { names } else { &[] },
            several: match failure {
                Failure::Several(failures) => failures.iter().map(FailureDocument::of).collect(),
                _ => Vec::new(),
            },
        }
    }
}

/// A failure for people.
fn told(failure: &Failure) -> String {
    match failure {
        Failure::Refused(reports) => refused(reports),
        Failure::Several(failures) => failures.iter().map(told).collect(),
        Failure::NotReproduced(_, files) if files.is_empty() => String::new(),
        Failure::NotReproduced(_, files) => {
            let list = differences(files);
            format!(
                "{list}{BAD}error{BAD:#}: built again elsewhere, the release is another one: not published\n"
            )
        }
        Failure::Checks(names) => format!("{BAD}error{BAD:#}: failed: {}\n", names.join(", ")),
        _ => failure.message().map(message).unwrap_or_default(),
    }
}

/// Text that came out of a file, as a terminal may show it: what would move its cursor, or begin a command in a log, is
/// written out.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let safe = |letter: char| -> String {
        if letter.is_control() { letter.escape_default().to_string() } else { letter.to_string() }
    };
    Cow::Owned(text.chars().map(safe).collect())
}

fn message(message: &Message) -> String {
    let lines: Vec<_> = message.sentence.split('\n').map(plain).collect();
    let mut text = format!("{BAD}error{BAD:#}: {}\n", lines.join("\n"));
    // A cause that the sentence already quotes would only say it twice.
    for cause in message.causes.iter().filter(|cause| !message.sentence.contains(cause.as_str())) {
        text += &format!("  {FAINT}because:{FAINT:#} {}\n", cause.trim_end().replace('\n', "\n    "));
    }
    if let Some(hint) = &message.hint {
        text += &format!("  {NOTE}next:{NOTE:#} {hint}\n");
    }
    text
}

pub(crate) use environment::{captured, checked, drift, fleet, trend};
pub(crate) use reproduction::{challenged, differences, reproduced};
pub(crate) use results::{
    Explained, explained, fields, images, planned, released, rows, rules, statuses, verified, verified_tools,
};

/// What refused which file, and what to do about it.
fn refused(reports: &[Report]) -> String {
    let mut text = String::new();
    for report in reports.iter().filter(|report| !report.passed()) {
        text += &format!("{BAD}refused{BAD:#}: {}\n", plain(&report.path));
        text += &results::findings(report, |finding| finding.refuses());
        if report.findings.is_empty() {
            text += "  no rule looked at it\n";
        }
    }
    text
}

/// The word and style of an outcome.
fn outcome(outcome: Outcome) -> (&'static str, Style) {
    match outcome {
        Outcome::Pass => ("pass", GOOD),
        Outcome::Fail => ("FAIL", BAD),
        Outcome::NotApplicable => ("n/a", FAINT),
        Outcome::CannotTell => ("CANNOT TELL", BAD),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_move_a_cursor_or_begin_a_line_is_written_out() {
        assert_eq!(plain("libschiff-ü.so.1"), "libschiff-ü.so.1");
        assert_eq!(
            plain("a\u{1b}[1A\r\u{1b}[Jb\n::stop::x\u{9b}2K"),
            "a\\u{1b}[1A\\r\\u{1b}[Jb\\n::stop::x\\u{9b}2K"
        );
    }
}
