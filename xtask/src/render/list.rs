//! Results that are told one by one, so that a long list needs no more memory than a short one.

use std::io::{self, IsTerminal};

use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter};

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
            Format::Json => inside_a_list(value),
            _ => text(value),
        })
    }

    /// Begins a list.
    pub(crate) fn list(&self) -> List<'_> {
        List { renderer: self, gathered: String::new(), told: false, watched: io::stdout().is_terminal() }
    }
}

/// `value` as JSON, indented as what stands in a list.
fn inside_a_list<T: Serialize>(value: &T) -> String {
    let (mut json, mut formatter) = (Vec::new(), PrettyFormatter::new());
    // The list itself is written by who tells; this only counts its level in.
    let begun = formatter.begin_array(&mut io::sink());
    let written = begun
        .map_err(serde_json::Error::io)
        .and_then(|()| value.serialize(&mut serde_json::Serializer::with_formatter(&mut json, formatter)));
    written.ok().and_then(|()| String::from_utf8(json).ok()).unwrap_or_default()
}

impl List<'_> {
    /// Writes the next result.
    pub(crate) fn tell(&mut self, line: &Line) {
        if self.renderer.format == Format::Json {
            self.gathered += if self.told { ",\n  " } else { "[\n  " };
        }
        self.told = true;
        if line.0.len() >= GATHERED {
            self.write();
            return self.renderer.raw(&line.0);
        }
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
