//! What metrics there are; the rows are in `catalogue.rs`.

/// The four layers: the machine, the daemon with its workloads, the queue, and what it is all for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// The host.
    Infrastructure,
    /// The daemon and its workloads.
    Service,
    /// The queue and its tries.
    Application,
    /// A task from accepted to acknowledged.
    Business,
}

/// A metric's type, as in OpenMetrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only rises; its samples end with `_total`.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Counts by size; its samples end with `_bucket`, `_sum` and `_count`.
    Histogram,
    /// Says something by its labels; its sample ends with `_info`.
    Info,
}

/// A metric: one name with all its label values.
#[derive(Debug)]
pub struct Family {
    /// Without the suffix of its samples.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Names of its labels, in order.
    pub labels: &'static [&'static str],
    /// What it belongs to.
    pub layer: Layer,
    /// What it says.
    pub help: &'static str,
}

impl Family {
    /// The unit that the name ends with; empty without one.
    pub fn unit(&self) -> &'static str {
        ["seconds", "bytes"]
            .into_iter()
            .find(|unit| self.name.strip_suffix(unit).is_some_and(|rest| rest.ends_with('_')))
            .unwrap_or_default()
    }

    /// The names that its samples have.
    pub fn sample_names(&self) -> Vec<String> {
        let suffixes: &[&str] = match self.kind {
            Kind::Counter => &["_total"],
            Kind::Gauge => &[""],
            Kind::Histogram => &["_bucket", "_sum", "_count"],
            Kind::Info => &["_info"],
        };
        suffixes.iter().map(|suffix| format!("{}{suffix}", self.name)).collect()
    }
}

impl Kind {
    /// The word for it in OpenMetrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Info => "info",
        }
    }
}

macro_rules! catalogue {
    ($($constant:ident = $name:literal, $kind:ident, $labels:expr, $layer:ident, $help:literal;)*) => {
        $(pub(super) static $constant: Family = Family {
            name: $name,
            kind: Kind::$kind,
            labels: &$labels,
            layer: Layer::$layer,
            help: $help,
        };)*

        /// Every metric, in the catalogue's order.
        pub static FAMILIES: &[&Family] = &[$(&$constant),*];
    };
}

include!("catalogue.rs");
