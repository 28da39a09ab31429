//! The only file that prints. Results go to standard output, progress and failures to standard error.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is the one place that prints")]

mod progress;
mod results;

use std::io::{IsTerminal, Write};

use anstream::{eprint, eprintln, print, println};
use anstyle::{AnsiColor, Style};
use artifact::{Event, Outcome, Report};
use serde::Serialize;

use crate::args::{Color, Format};
use crate::failure::Failure;
use progress::Progress;

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const NOTE: Style = AnsiColor::Cyan.on_default().bold();
const FAINT: Style = Style::new().dimmed();

/// Draws events, results and failures, the way the command line asked for.
#[derive(Debug)]
pub struct Renderer {
    format: Format,
    progress: Progress,
}

impl Renderer {
    /// A renderer for this process.
    pub fn new(format: Format, color: Color, quiet: bool) -> Renderer {
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
        Renderer { format, progress }
    }

    /// Draws one event of a stage.
    pub fn event(&self, event: Event) {
        self.progress.draw(event);
    }

    /// One line of progress that is not part of a step: `verb` is right-aligned as cargo's are.
    pub fn status(&self, verb: &str, text: &str) {
        self.progress.line(&format!("{GOOD}{verb:>12}{GOOD:#} {text}"));
    }

    /// Something a person should know although nothing failed.
    pub fn note(&self, text: &str) {
        self.progress.line(&format!("{NOTE}{:>12}{NOTE:#} {text}", "note"));
    }

    /// A result: `text` for people, `value` for programs.
    pub fn result<T: Serialize>(&self, value: &T, text: impl FnOnce(&T) -> String) {
        match self.format {
            Format::Json => match serde_json::to_string_pretty(value) {
                Ok(json) => self.raw(&(json + "\n")),
                Err(error) => eprintln!("{BAD}error{BAD:#}: the result has no JSON form: {error}"),
            },
            Format::Text => self.raw(&text(value)),
        }
    }

    /// Text that is a result as it stands: a script, a schema, a dump. A closed pipe is not an error.
    pub fn raw(&self, text: &str) {
        self.progress.suspended(|| {
            print!("{text}");
            std::io::stdout().flush().ok();
        });
    }

    /// A failure, in full.
    pub fn failure(&self, failure: &Failure) {
        self.progress.suspended(|| match failure {
            Failure::Refused(reports) => {
                eprint!("{}", refused(reports));
            }
            Failure::Checks(names) => eprintln!("{BAD}error{BAD:#}: failed: {}", names.join(", ")),
            _ => {
                let Some(message) = failure.message() else { return };
                eprintln!("{BAD}error{BAD:#}: {}", message.sentence);
                for cause in &message.causes {
                    eprintln!("  {FAINT}because:{FAINT:#} {}", cause.replace('\n', "\n    "));
                }
                if let Some(hint) = &message.hint {
                    eprintln!("  {NOTE}next:{NOTE:#} {hint}");
                }
            }
        });
        if self.format == Format::Json {
            let document = FailureDocument {
                error: failure.message().map(|message| message.sentence.clone()),
                causes: failure.message().map(|message| message.causes.clone()).unwrap_or_default(),
                next: failure.message().and_then(|message| message.hint.clone()),
                exit_code: failure.code(),
                reports: match failure {
                    Failure::Refused(reports) => reports,
                    _ => &[],
                },
            };
            match serde_json::to_string_pretty(&document) {
                Ok(json) => println!("{json}"),
                Err(error) => eprintln!("{BAD}error{BAD:#}: the failure has no JSON form: {error}"),
            }
        }
    }
}

#[derive(Serialize)]
struct FailureDocument<'a> {
    error: Option<String>,
    causes: Vec<String>,
    next: Option<String>,
    exit_code: u8,
    reports: &'a [Report],
}

pub use results::{inspected, planned, released, rules, toolchains, verified};

/// What refused which file, and what to do about it.
fn refused(reports: &[Report]) -> String {
    let mut text = String::new();
    for report in reports.iter().filter(|report| !report.passed()) {
        text += &format!("{BAD}refused{BAD:#}: {}\n", report.path);
        text += &results::findings(report, |finding| finding.outcome.refuses());
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
