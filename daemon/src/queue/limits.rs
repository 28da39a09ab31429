//! What the queue may hold and how often it tries; also the `[queue]` table of the configuration.

use std::time::Duration;

use serde::Deserialize;

/// No segment is longer, whatever the configuration said when it was written; what lies beyond is not read. Bytes.
pub(super) const LARGEST_SEGMENT: u64 = 128 << 20;
/// The longest order key and idempotency key. Bytes.
pub(super) const LONGEST_KEY: usize = 255;
/// What a record needs beside a task's body, at most, and the header of its segment. Bytes.
const OVERHEAD: u32 = 1024;

/// Bounds of a queue.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Records of all tasks together, dead ones included. Bytes; the folder takes up to twice as much and three segments.
    pub max_bytes: u64,
    /// Tasks, dead ones included.
    pub max_tasks: u32,
    /// One task's body. Bytes.
    pub max_body_bytes: u32,
    /// Dead tasks; the oldest give way.
    pub max_dead: u32,
    /// Idempotency keys of tasks that are done, which are still answered with their first id.
    pub remembered_keys: u32,
    /// What a push into a full queue does.
    pub when_full: WhenFull,
    /// How often a task may fail before it is dead; an attempt that ends with the daemon's death counts.
    pub max_attempts: u8,
    /// The pause after the first failure. Milliseconds; it doubles with each further one.
    pub first_pause_ms: u64,
    /// No pause is longer. Milliseconds.
    pub longest_pause_ms: u64,
    /// A segment is closed when it would grow beyond. Bytes.
    pub segment_bytes: u32,
}

/// What a push into a full queue does, once no dead task is left to give way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhenFull {
    /// Is refused.
    #[default]
    Refuse,
    /// Drops the oldest tasks that are not in flight.
    DropOldest,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 256 << 20,
            max_tasks: 100_000,
            max_body_bytes: 1 << 20,
            max_dead: 1000,
            remembered_keys: 10_000,
            when_full: WhenFull::Refuse,
            max_attempts: 20,
            first_pause_ms: 500,
            longest_pause_ms: 300_000,
            segment_bytes: 8 << 20,
        }
    }
}

impl Limits {
    /// Whether the bounds fit together.
    ///
    /// # Errors
    /// Names the key and what it may be.
    pub fn check(&self) -> Result<(), String> {
        let ranges = [
            ("max_bytes", self.max_bytes, 64 << 10, 1 << 40),
            ("max_tasks", self.max_tasks.into(), 1, 10_000_000),
            ("max_dead", self.max_dead.into(), 0, 100_000),
            ("remembered_keys", self.remembered_keys.into(), 0, 1_000_000),
            ("max_attempts", self.max_attempts.into(), 1, 255),
            ("first_pause_ms", self.first_pause_ms, 1, 3_600_000),
            ("longest_pause_ms", self.longest_pause_ms, self.first_pause_ms, 86_400_000),
            ("segment_bytes", self.segment_bytes.into(), 4 << 10, 64 << 20),
            (
                "max_body_bytes",
                self.max_body_bytes.into(),
                1,
                u64::from(self.segment_bytes.saturating_sub(OVERHEAD)),
            ),
        ];
        for (key, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                return Err(format!("{key} must be {least} to {most}, not {value}"));
            }
        }
        Ok(())
    }

    /// The pause before the next attempt when `steps` attempts in a row found nobody or failed; `random` spreads it over
    /// 75 % to 100 % of its length, so that what failed together does not return together.
    pub(super) fn pause(&self, steps: u8, random: u32) -> Duration {
        let doublings = u32::from(steps.saturating_sub(1)).min(30);
        let full = self.first_pause_ms.saturating_mul(1 << doublings).min(self.longest_pause_ms);
        let spread = (full / 4).saturating_mul(u64::from(random)) / u64::from(u32::MAX);
        Duration::from_millis((full - full / 4 + spread).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_each_bound_is_named() {
        assert_eq!(Limits::default().check(), Ok(()));
        let parse = |text: &str| toml::from_str::<Limits>(text).map_err(|error| error.message().to_owned());
        let cases = [
            ("max_bytes = 1", "max_bytes must be 65536 to"),
            ("max_tasks = 0", "max_tasks must be 1 to"),
            ("max_attempts = 0", "max_attempts must be 1 to 255"),
            ("first_pause_ms = 400000", "longest_pause_ms must be 400000 to"),
            ("max_body_bytes = 8388608", "max_body_bytes must be 1 to 8387584"),
            ("segment_bytes = 70000000", "segment_bytes must be 4096 to"),
        ];
        for (text, expected) in cases {
            let error = parse(text).expect(text).check().expect_err(text);
            assert!(error.starts_with(expected), "{error}");
        }
        assert_eq!(parse("when_full = \"drop-oldest\"").expect("valid").when_full, WhenFull::DropOldest);
        assert!(parse("max_byte = 1").expect_err("unknown").contains("max_byte"));
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let limits = Limits { first_pause_ms: 100, longest_pause_ms: 1000, ..Limits::default() };
        let pauses: Vec<u128> = (1..=255).map(|steps| limits.pause(steps, u32::MAX).as_millis()).collect();
        assert_eq!(pauses[..5], [100, 200, 400, 800, 1000]);
        assert_eq!(pauses[254], 1000);
        assert_eq!(limits.pause(1, 0), Duration::from_millis(75));
    }
}
