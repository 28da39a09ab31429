//! The part `[metrics.otlp]` of the configuration.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::http::{Url, check_header};

/// More headers, or attributes, are a mistake.
const MOST: usize = 32;
/// A longer name or value is a mistake. Bytes.
const LONGEST: usize = 4096;
/// What every export has anyway.
const OWN_HEADERS: [&str; 2] = ["content-type", "user-agent"];

/// Which collector gets the metrics, and how often.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtlpConfig {
    /// Where exports go, usually `http://HOST:4318/v1/metrics`.
    pub url: Url,
    /// Seconds between two exports.
    #[serde(default = "a_minute")]
    pub interval_seconds: u64,
    /// Sent with each export.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// What else the collector is to know of this daemon; it wins over what the daemon says of itself.
    #[serde(default)]
    pub resource: BTreeMap<String, String>,
}

fn a_minute() -> u64 {
    60
}

impl OtlpConfig {
    /// Checks what the types do not.
    ///
    /// # Errors
    /// A value outside its limits, by its key.
    pub(in crate::metrics) fn check(&self) -> Result<(), String> {
        if !(1..=3600).contains(&self.interval_seconds) {
            return Err(format!("interval_seconds must be 1 to 3600, not {}", self.interval_seconds));
        }
        for (key, table) in [("headers", &self.headers), ("resource", &self.resource)] {
            if table.len() > MOST {
                return Err(format!("{key} has {} entries, more than {MOST}", table.len()));
            }
            if let Some((name, _)) = table.iter().find(|(name, value)| name.len() + value.len() > LONGEST) {
                let name: String = name.chars().take(64).collect();
                return Err(format!("{key}: {name:?} and its value are longer than {LONGEST} bytes"));
            }
        }
        for (name, value) in &self.headers {
            check_header(name, value).map_err(|why| format!("headers: {name:?}: {why}"))?;
            if OWN_HEADERS.iter().any(|own| name.eq_ignore_ascii_case(own)) {
                return Err(format!("headers: {name:?} is set by the daemon itself"));
            }
        }
        match self.resource.keys().find(|name| name.is_empty() || name.chars().any(char::is_control)) {
            Some(name) => Err(format!("resource: {name:?} cannot be an attribute's name")),
            None => Ok(()),
        }
    }

    pub(super) fn interval(&self) -> Duration {
        Duration::from_secs(self.interval_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<OtlpConfig, String> {
        let config: OtlpConfig = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        config.check().map(|()| config)
    }

    #[test]
    fn values_and_their_defaults() {
        let config = parse("url = \"http://c:4318/v1/metrics\"").expect("valid");
        assert_eq!(config.interval(), Duration::from_secs(60));
        let config = parse(
            "url = \"http://c/\"\ninterval_seconds = 3600\nheaders = { X-Scope-OrgID = \"a\" }\n\
             [resource]\n\"host.name\" = \"a\\nb\"\n",
        )
        .expect("valid");
        assert_eq!((config.headers.len(), config.resource["host.name"].as_str()), (1, "a\nb"));
    }

    #[test]
    fn each_mistake_names_its_key() {
        let many: String = (0..33).map(|index| format!("a{index} = \"\"\n")).collect();
        let long = format!("a = \"{}\"", "x".repeat(4096));
        for (more, expected) in [
            ("interval_seconds = 0", "interval_seconds must be 1 to 3600, not 0"),
            ("interval_seconds = 3601", "interval_seconds must be 1 to 3600, not 3601"),
            ("interval = 5", "unknown field `interval`"),
            ("headers = { \"a b\" = \"\" }", "headers: \"a b\": a header's name has"),
            ("headers = { a = \"b\\r\\nc: d\" }", "headers: \"a\": a header's value has"),
            ("headers = { HOST = \"b\" }", "headers: \"HOST\": a header's name is one"),
            ("headers = { Content-type = \"b\" }", "headers: \"Content-type\" is set by"),
            ("resource = { \"\" = \"b\" }", "resource: \"\" cannot be"),
            ("resource = { \"a\\u0007\" = \"b\" }", "resource: \"a\\u{7}\" cannot be"),
            ("resource = { a = 1 }", "invalid type: integer"),
            (&format!("[headers]\n{many}"), "headers has 33 entries, more than 32"),
            (&format!("[resource]\n{long}"), "resource: \"a\" and its value are longer"),
        ] {
            let error = parse(&format!("url = \"http://c/\"\n{more}")).expect_err(more);
            assert!(error.starts_with(expected), "{error:?} for {more}");
        }
        assert!(parse("").expect_err("refused").starts_with("missing field `url`"));
        assert!(parse("url = \"https://c/\"").expect_err("refused").contains("https is not spoken"));
    }
}
