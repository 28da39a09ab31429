//! The body of an export: `ExportMetricsServiceRequest` (opentelemetry-proto, `metrics.proto`) in OTLP's JSON encoding, where
//! names are in lowerCamelCase, integers of 64 bits are texts, enums are numbers, and trace ids are hexadecimal digits.
//!
//! Metrics have the names that their samples have on the page, and units as in UCUM. A point is written when the walk
//! comes to it, so that there is no second copy of everything in memory.

use std::time::SystemTime;

use serde::{Serialize, Serializer};

use crate::identity::NAME;
use crate::metrics::Metrics;
use crate::metrics::family::{Family, Kind};
use crate::metrics::instrument::{BOUNDS, Histogram, unix_nanos};
use crate::metrics::visit::Sample;

/// The whole of `metrics` at `now`, from the daemon that `resource` describes.
pub(super) fn request(metrics: &Metrics, resource: &[(&str, &str)], now: SystemTime) -> Vec<u8> {
    // About what a daemon with a few workloads says.
    let mut request = Request { text: Vec::with_capacity(96 * 1024), now: unix_nanos(now), current: None };
    request.raw(r#"{"resourceMetrics":[{"resource":{"attributes":"#);
    let attributes: Vec<_> = resource.iter().map(|(key, value)| Attribute::new(key, value)).collect();
    request.json(&attributes);
    request.raw(r#"},"scopeMetrics":[{"scope":"#);
    request.json(&Scope { name: NAME, version: &metrics.build.version });
    request.raw(r#","metrics":["#);
    metrics.visit_observed(&mut |family, labels, sample| request.add(family, labels, &sample));
    metrics.visit_counted(&mut |family, labels, sample| request.add(family, labels, &sample));
    if request.current.is_some() {
        request.raw(END_OF_METRIC);
    }
    request.raw("]}]}]}");
    request.text
}

const END_OF_METRIC: &str = "]}}";

struct Request {
    text: Vec<u8>,
    /// Nanoseconds since 1970.
    now: u64,
    /// The name of the family whose points are being written.
    current: Option<&'static str>,
}

impl Request {
    fn add(&mut self, family: &'static Family, labels: &[&str], sample: &Sample<'_>) {
        if self.current == Some(family.name) {
            self.raw(",");
        } else {
            if self.current.replace(family.name).is_some() {
                self.raw(END_OF_METRIC);
                self.raw(",");
            }
            self.begin(family);
        }
        let attributes = family.labels.iter().zip(labels).map(|(key, value)| Attribute::new(key, value));
        let attributes = attributes.collect();
        match sample {
            Sample::Counter(counter, since) => self.number(attributes, *since, Some(counter.value()), None),
            Sample::Total(value, since) => self.number(attributes, *since, None, Some(*value)),
            Sample::Number(value) => self.number(attributes, 0, None, Some(*value)),
            Sample::Histogram(histogram, since) => self.histogram(attributes, *since, histogram),
        }
    }

    /// Up to the metric's first point.
    fn begin(&mut self, family: &Family) {
        let unit = match family.unit() {
            "seconds" => "s",
            "bytes" => "By",
            other => other,
        };
        self.raw("{\"name\":");
        self.json(&format!("{}{}", family.name, family.kind.suffix()));
        self.raw(",\"description\":");
        self.json(family.help);
        self.raw(",\"unit\":");
        self.json(unit);
        // Temporality 2 is cumulative.
        self.raw(match family.kind {
            Kind::Counter => r#","sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":["#,
            Kind::Histogram => r#","histogram":{"aggregationTemporality":2,"dataPoints":["#,
            Kind::Gauge | Kind::Info => r#","gauge":{"dataPoints":["#,
        });
    }

    fn number(&mut self, attributes: Vec<Attribute<'_>>, since: u64, whole: Option<u64>, real: Option<f64>) {
        let time = self.time(since);
        let (as_int, as_double) = (whole.map(Integer), real.map(Real));
        self.json(&NumberPoint {
            attributes,
            start_time_unix_nano: Integer(since),
            time_unix_nano: time,
            as_int,
            as_double,
        });
    }

    fn histogram(&mut self, attributes: Vec<Attribute<'_>>, since: u64, histogram: &Histogram) {
        let counts: Vec<_> = histogram.buckets.iter().map(|bucket| Integer(bucket.value())).collect();
        let exemplars = histogram.exemplars();
        let exemplars = exemplars.iter().flatten().map(|exemplar| ExemplarPoint {
            time_unix_nano: Integer(unix_nanos(exemplar.time)),
            as_double: Real(exemplar.value),
            trace_id: exemplar.trace(),
        });
        self.json(&HistogramPoint {
            attributes,
            start_time_unix_nano: Integer(since),
            time_unix_nano: self.time(since),
            count: Integer(counts.iter().map(|count| count.0).sum()),
            sum: Real(histogram.sum.value() as f64 / 1e6),
            bucket_counts: counts,
            explicit_bounds: &BOUNDS,
            exemplars: exemplars.collect(),
        });
    }

    /// The time of a point that counts since then: a clock that was set back must not put its end before its beginning.
    fn time(&self, since: u64) -> Integer {
        Integer(self.now.max(since))
    }

    fn raw(&mut self, text: &str) {
        self.text.extend_from_slice(text.as_bytes());
    }

    fn json(&mut self, value: &(impl Serialize + ?Sized)) {
        serde_json::to_writer(&mut self.text, value).expect("texts and numbers always serialise into memory");
    }
}

#[derive(Serialize)]
struct Scope<'a> {
    name: &'a str,
    version: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NumberPoint<'a> {
    attributes: Vec<Attribute<'a>>,
    #[serde(skip_serializing_if = "Integer::is_zero")]
    start_time_unix_nano: Integer,
    time_unix_nano: Integer,
    #[serde(skip_serializing_if = "Option::is_none")]
    as_int: Option<Integer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    as_double: Option<Real>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HistogramPoint<'a> {
    attributes: Vec<Attribute<'a>>,
    #[serde(skip_serializing_if = "Integer::is_zero")]
    start_time_unix_nano: Integer,
    time_unix_nano: Integer,
    count: Integer,
    sum: Real,
    /// Each on its own, as they are counted; one more than there are bounds.
    bucket_counts: Vec<Integer>,
    explicit_bounds: &'static [f64],
    exemplars: Vec<ExemplarPoint<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExemplarPoint<'a> {
    time_unix_nano: Integer,
    as_double: Real,
    trace_id: &'a str,
}

#[derive(Serialize)]
struct Attribute<'a> {
    key: &'a str,
    value: Text<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Text<'a> {
    string_value: &'a str,
}

impl<'a> Attribute<'a> {
    fn new(key: &'a str, value: &'a str) -> Self {
        Self { key, value: Text { string_value: value } }
    }
}

/// An integer of 64 bits, which a number of JSON may not hold.
#[derive(Clone, Copy)]
struct Integer(u64);

impl Integer {
    /// As a beginning: not known.
    fn is_zero(&self) -> bool {
        self.0 == 0
    }
}

impl Serialize for Integer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A double; what is no number in JSON is a text (Protobuf's JSON mapping).
struct Real(f64);

impl Serialize for Real {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            number if number.is_finite() => serializer.serialize_f64(number),
            number if number.is_nan() => serializer.serialize_str("NaN"),
            number if number > 0.0 => serializer.serialize_str("Infinity"),
            _ => serializer.serialize_str("-Infinity"),
        }
    }
}

#[cfg(test)]
mod tests;
