//! Results that are told one by one, so that a long list needs no more memory than a short one.

use std::io::IsTerminal;

use serde::Serialize;

use super::Renderer;
use crate::args::Format;

/// How much text is gathered before it is written, where nobody watches.
const GATHERED: usize = 64 << 10;

/// A list that is being written: a JSON array, or texts one after the other.
pub(crate) struct List<'r> {
    renderer: &'r Renderer,
    gathered: String,
    told: bool,
    /// Whether somebody watches, who wants to see each result at once.
    watched: bool,
}

/// One result of a list, as it will be written.
pub(crate) struct Line(String);

impl Renderer {
    /// How one result of a list looks: any thread can make it.
    pub(crate) fn line<T: Serialize>(&self, value: &T, text: impl FnOnce(&T) -> String) -> Line {
        Line(match self.format {
            // A JSON text has line breaks only between its parts, so this only indents.
            Format::Json => serde_json::to_string_pretty(value).unwrap_or_default().replace('\n', "\n  "),
            _ => text(value),
        })
    }

    /// Begins a list.
    pub(crate) fn list(&self) -> List<'_> {
        List {
            renderer: self,
            gathered: String::new(),
            told: false,
            watched: std::io::stdout().is_terminal(),
        }
    }
}

impl List<'_> {
    /// Writes the next result.
    pub(crate) fn tell(&mut self, line: &Line) {
        if self.renderer.format == Format::Json {
            self.gathered += if self.told { ",\n  " } else { "[\n  " };
        }
        self.told = true;
        self.gathered += &line.0;
        if self.gathered.len() >= GATHERED || self.watched {
            self.write();
        }
    }

    /// Writes what ends the list.
    pub(crate) fn end(mut self) {
        if self.renderer.format == Format::Json {
            self.gathered += if self.told { "\n]\n" } else { "[]\n" };
        }
        self.write();
    }

    fn write(&mut self) {
        self.renderer.raw(&self.gathered);
        self.gathered.clear();
    }
}
