//! What metrics there are; the rows are in `catalogue.in`.

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
            Kind::Histogram => &["_bucket", "_sum", "_count"],
            kind => &[kind.suffix()],
        };
        suffixes.iter().map(|suffix| format!("{}{suffix}", self.name)).collect()
    }
}

impl Kind {
    /// What a sample's name has behind the family's; a histogram has several.
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Self::Counter => "_total",
            Self::Info => "_info",
            Self::Gauge | Self::Histogram => "",
        }
    }

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

include!("catalogue.in");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_used_once_and_follow_the_rules() {
        let mut names: Vec<_> = FAMILIES.iter().flat_map(|family| family.sample_names()).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
        for family in FAMILIES {
            assert!(!family.name.ends_with("_total") && !family.name.ends_with("_info"), "{}", family.name);
            assert!(family.help.ends_with('.') && !family.help.contains(['\n', '|']), "{}", family.name);
            assert!(family.kind != Kind::Histogram || family.unit() == "seconds", "{}", family.name);
        }
    }

    /// Written with `SEAWORTHYD_BLESS=1`.
    #[test]
    fn the_documentation_lists_them_all() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/monitoring.md");
        let page = std::fs::read_to_string(path).expect("the page");
        let (before, rest) = page.split_once("<!-- metrics -->\n").expect("a mark before the tables");
        let (_, after) = rest.split_once("<!-- end of metrics -->").expect("a mark after the tables");
        let mut tables = String::new();
        for layer in [Layer::Infrastructure, Layer::Service, Layer::Application, Layer::Business] {
            tables += &format!(
                "### {layer:?}\n\n| Metric | Type | Unit | Labels | Meaning |\n|---|---|---|---|---|\n"
            );
            for family in FAMILIES.iter().filter(|family| family.layer == layer) {
                let samples = family.sample_names();
                let name = if family.kind == Kind::Histogram { family.name } else { &samples[0] };
                let unit = if family.unit().is_empty() { "–" } else { family.unit() };
                let labels: Vec<_> = family.labels.iter().map(|label| format!("`{label}`")).collect();
                let labels = if labels.is_empty() { "–".to_owned() } else { labels.join(", ") };
                tables +=
                    &format!("| `{name}` | {} | {unit} | {labels} | {} |\n", family.kind.name(), family.help);
            }
            tables += "\n";
        }
        let tables = tables.trim_end();
        let wanted = format!("{before}<!-- metrics -->\n{tables}\n<!-- end of metrics -->{after}");
        if std::env::var_os("SEAWORTHYD_BLESS").is_some() {
            std::fs::write(path, &wanted).expect("written");
        }
        assert!(page == wanted, "the tables of metrics are old: run this test with SEAWORTHYD_BLESS=1");
    }
}
