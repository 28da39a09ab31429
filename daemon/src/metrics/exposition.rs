//! The two text formats: OpenMetrics 1.0 (its specification, sections "Text Format" and "Metric Types"), and the older one
//! of Prometheus, version 0.0.4 (its documentation, "Exposition formats").

use std::fmt::Write as _;

use super::Metrics;
use super::family::{Family, Kind};
use super::instrument::{Exemplar, Histogram, bound_name, unix_seconds};
use super::visit::Sample;

/// A text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus 0.0.4.
    Prometheus,
}

impl Format {
    /// What an `Accept` field asks for (RFC 9110, section 12.5.1): OpenMetrics, unless it likes plain text better.
    pub fn for_accept(accept: &str) -> Self {
        if quality(accept, "text", "plain") > quality(accept, "application", "openmetrics-text") {
            Self::Prometheus
        } else {
            Self::OpenMetrics
        }
    }

    /// Its media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// How much a media type is wanted, 0 to 1; what is named more exactly counts, and then what comes first.
fn quality(accept: &str, kind: &str, subtype: &str) -> f32 {
    let mut best = (0, 0.0);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let (range_kind, range_subtype) =
            parts.next().and_then(|range| range.split_once('/')).unwrap_or_default();
        let exactness =
            if range_kind.eq_ignore_ascii_case(kind) && range_subtype.eq_ignore_ascii_case(subtype) {
                3
            } else if range_kind.eq_ignore_ascii_case(kind) && range_subtype == "*" {
                2
            } else if (range_kind, range_subtype) == ("*", "*") {
                1
            } else {
                continue;
            };
        let wanted = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let wanted = wanted.map_or(1.0, |text| text.parse().unwrap_or(0.0));
        if exactness > best.0 {
            best = (exactness, wanted);
        }
    }
    best.1
}

impl Metrics {
    /// Everything as it is now.
    pub fn render(&self, format: Format) -> String {
        // About what a daemon with a few workloads says.
        let mut page = Page { format, text: String::with_capacity(24 * 1024), current: "" };
        self.visit_observed(&mut |family, labels, sample| page.add(family, labels, &sample));
        self.visit_counted(&mut |family, labels, sample| page.add(family, labels, &sample));
        if format == Format::OpenMetrics {
            page.text.push_str("# EOF\n");
        }
        page.text
    }
}

struct Page {
    format: Format,
    text: String,
    /// The name of the family whose samples are being written.
    current: &'static str,
}

impl Page {
    fn add(&mut self, family: &'static Family, labels: &[&str], sample: &Sample<'_>) {
        if self.current != family.name {
            self.current = family.name;
            self.head(family);
        }
        match sample {
            Sample::Counter(counter, _) => {
                self.line(family, family.kind.suffix(), labels, None, counter.value());
            }
            Sample::Total(value, _) | Sample::Number(value) => {
                self.line(family, family.kind.suffix(), labels, None, Number(*value));
            }
            Sample::Histogram(histogram, _) => self.histogram(family, labels, histogram),
        }
    }

    fn head(&mut self, family: &Family) {
        // The older format names the samples, and knows no type for information.
        let (name, kind) = match self.format {
            Format::OpenMetrics => (family.name.to_owned(), family.kind),
            Format::Prometheus => (
                format!("{}{}", family.name, family.kind.suffix()),
                if family.kind == Kind::Info { Kind::Gauge } else { family.kind },
            ),
        };
        let _ = writeln!(self.text, "# HELP {name} {}", escaped(family.help));
        let _ = writeln!(self.text, "# TYPE {name} {}", kind.name());
        let unit = family.unit();
        if self.format == Format::OpenMetrics && !unit.is_empty() {
            let _ = writeln!(self.text, "# UNIT {name} {unit}");
        }
    }

    fn histogram(&mut self, family: &Family, labels: &[&str], histogram: &Histogram) {
        let mut total = 0;
        for (index, exemplar) in histogram.exemplars().iter().enumerate() {
            total += histogram.buckets[index].value();
            self.line(family, "_bucket", labels, Some(&bound_name(index)), total);
            if let (Format::OpenMetrics, Some(exemplar)) = (self.format, exemplar) {
                self.exemplar(exemplar);
            }
        }
        self.line(family, "_sum", labels, None, Number(histogram.sum.value() as f64 / 1e6));
        self.line(family, "_count", labels, None, total);
    }

    /// Goes behind the line that was just written.
    fn exemplar(&mut self, exemplar: &Exemplar) {
        self.text.truncate(self.text.trim_end_matches('\n').len());
        let (trace, value, time) = (exemplar.trace(), exemplar.value, unix_seconds(exemplar.time));
        let _ = writeln!(self.text, " # {{trace_id=\"{trace}\"}} {value} {time:.3}");
    }

    fn line(
        &mut self,
        family: &Family,
        suffix: &str,
        labels: &[&str],
        bound: Option<&str>,
        value: impl std::fmt::Display,
    ) {
        self.text.push_str(family.name);
        self.text.push_str(suffix);
        write_labels(&mut self.text, family, labels, bound);
        let _ = writeln!(self.text, " {value}");
    }
}

/// `{name="value",…}`, or nothing.
pub(super) fn write_labels(text: &mut String, family: &Family, values: &[&str], bound: Option<&str>) {
    let labels =
        family.labels.iter().copied().zip(values.iter().copied()).chain(bound.map(|bound| ("le", bound)));
    let mut separator = '{';
    for (name, value) in labels {
        let _ = write!(text, "{separator}{name}=\"{}\"", escaped(value));
        separator = ',';
    }
    if separator == ',' {
        text.push('}');
    }
}

/// As both formats want it in a label's value and OpenMetrics in a help text.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"")
}

/// A float as both formats write it.
struct Number(f64);

impl std::fmt::Display for Number {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0 == f64::INFINITY {
            out.write_str("+Inf")
        } else if self.0 == f64::NEG_INFINITY {
            out.write_str("-Inf")
        } else {
            write!(out, "{}", self.0)
        }
    }
}

#[cfg(test)]
mod tests;
