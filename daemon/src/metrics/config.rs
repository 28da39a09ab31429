//! The part `[metrics]` of the configuration.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;

use super::OtlpConfig;

/// Where metrics and health are asked for, who gets metrics sent, and what counts as slow.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsConfig {
    /// Where `/metrics` and `/health` are; nowhere by default. Whoever reaches the address may read them.
    pub listen: Option<SocketAddr>,
    /// A try of a task that takes longer is counted as slow. Seconds.
    pub slow_task_seconds: u64,
    /// Who gets the metrics sent; nobody by default.
    pub otlp: Option<OtlpConfig>,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self { listen: None, slow_task_seconds: 5, otlp: None }
    }
}

impl MetricsConfig {
    /// Checks what the types do not.
    ///
    /// # Errors
    /// A value outside its limits, by its key.
    pub fn check(&self) -> Result<(), String> {
        if !(1..=86_400).contains(&self.slow_task_seconds) {
            return Err(format!("slow_task_seconds must be 1 to 86400, not {}", self.slow_task_seconds));
        }
        self.otlp.as_ref().map_or(Ok(()), OtlpConfig::check).map_err(|why| format!("otlp.{why}"))
    }

    /// From when on a try is slow.
    pub fn slow_task(&self) -> Duration {
        Duration::from_secs(self.slow_task_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_mistakes() {
        let config: MetricsConfig =
            toml::from_str("listen = \"[::1]:9690\"\nslow_task_seconds = 1\n").expect("valid");
        assert_eq!(config.listen, Some("[::1]:9690".parse().expect("an address")));
        assert_eq!((config.slow_task(), config.check()), (Duration::from_secs(1), Ok(())));
        let empty: MetricsConfig = toml::from_str("").expect("valid");
        assert_eq!((empty.check(), &empty), (Ok(()), &MetricsConfig::default()));
        let wrong = MetricsConfig { slow_task_seconds: 0, ..empty };
        assert!(wrong.check().expect_err("refused").starts_with("slow_task_seconds must be"));
        assert!(toml::from_str::<MetricsConfig>("listen = \"localhost\"").is_err());
        assert!(toml::from_str::<MetricsConfig>("lissten = \"127.0.0.1:1\"").is_err());
    }
}
