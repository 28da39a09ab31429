//! How much a workload may print: a token bucket of records, shared by its streams.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::Deserialize;

/// No more, for any workload: beyond it the log itself would be the load.
const MOST_RECORDS: u32 = 1_000_000;

/// The limits of what a workload may print, in its table of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct OutputSettings {
    /// Records (lines, or parts of very long ones) that it may print a second, in the long run; 0: any number.
    pub(crate) lines_per_second: u32,
    /// Records that it may print at once.
    pub(crate) burst: u32,
}

impl Default for OutputSettings {
    fn default() -> Self {
        Self { lines_per_second: 2000, burst: 20_000 }
    }
}

impl OutputSettings {
    /// Refuses what cannot work; the message names key and limit.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.lines_per_second > MOST_RECORDS {
            let found = self.lines_per_second;
            return Err(format!("lines_per_second must be 0 to {MOST_RECORDS}, not {found}"));
        }
        if !(1..=MOST_RECORDS).contains(&self.burst) {
            return Err(format!("burst must be 1 to {MOST_RECORDS}, not {}", self.burst));
        }
        Ok(())
    }
}

/// What the captures of a workload share; clones share it too.
#[derive(Clone, Debug)]
pub(crate) struct CaptureOptions(Arc<Mutex<Bucket>>);

impl Default for CaptureOptions {
    fn default() -> Self {
        Self::new(OutputSettings::default())
    }
}

/// Whether a record is written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is, after telling what was suppressed before it.
    Admit(Option<Suppressed>),
    Suppress,
}

/// What was left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Suppressed {
    pub(super) records: u64,
    pub(super) bytes: u64,
}

#[derive(Debug)]
struct Bucket {
    settings: OutputSettings,
    tokens: f64,
    filled: Option<Instant>,
    /// Once empty, nothing passes before a second's worth has come together: gaps stay few and are told once a second.
    muted: bool,
    suppressed: Suppressed,
}

impl CaptureOptions {
    pub(crate) fn new(settings: OutputSettings) -> Self {
        let tokens = f64::from(settings.burst);
        let suppressed = Suppressed::default();
        Self(Arc::new(Mutex::new(Bucket { settings, tokens, filled: None, muted: false, suppressed })))
    }

    pub(super) fn admit(&self, now: Instant, bytes: usize) -> Verdict {
        self.lock().admit(now, bytes)
    }

    pub(super) fn has_suppressed(&self) -> bool {
        self.lock().suppressed != Suppressed::default()
    }

    /// What was left out and is not yet told.
    pub(super) fn take_suppressed(&self) -> Option<Suppressed> {
        self.lock().take_suppressed()
    }

    fn lock(&self) -> MutexGuard<'_, Bucket> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bucket {
    fn admit(&mut self, now: Instant, bytes: usize) -> Verdict {
        let (rate, burst) = (f64::from(self.settings.lines_per_second), f64::from(self.settings.burst));
        if rate == 0.0 {
            return Verdict::Admit(None);
        }
        let since = self.filled.replace(now).map(|then| now.saturating_duration_since(then));
        self.tokens = (self.tokens + since.unwrap_or_default().as_secs_f64() * rate).min(burst);
        let needed = if self.muted { rate.min(burst) } else { 1.0 };
        if self.tokens < needed {
            self.muted = true;
            self.suppressed.records += 1;
            self.suppressed.bytes += bytes as u64;
            return Verdict::Suppress;
        }
        self.muted = false;
        self.tokens -= 1.0;
        Verdict::Admit(self.take_suppressed())
    }

    fn take_suppressed(&mut self) -> Option<Suppressed> {
        let suppressed = std::mem::take(&mut self.suppressed);
        (suppressed != Suppressed::default()).then_some(suppressed)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_flood_is_cut_to_its_rate_and_every_line_is_counted() {
        let options = CaptureOptions::new(OutputSettings { lines_per_second: 100, burst: 500 });
        let start = Instant::now();
        let (mut admitted, mut suppressed, mut told) = (0, Suppressed::default(), 0);
        // 60 s of 10,000 lines a second, of seven bytes each.
        for line in 0..600_000_u32 {
            match options.admit(start + Duration::from_micros(100) * line, 7) {
                Verdict::Admit(None) => admitted += 1,
                Verdict::Admit(Some(more)) => {
                    admitted += 1;
                    told += 1;
                    suppressed.records += more.records;
                    suppressed.bytes += more.bytes;
                }
                Verdict::Suppress => {}
            }
        }
        let rest = options.take_suppressed().expect("the last second");
        assert_eq!(admitted + suppressed.records + rest.records, 600_000);
        assert_eq!(suppressed.bytes + rest.bytes, 7 * (suppressed.records + rest.records));
        assert!((6_300..=6_500).contains(&admitted), "500 at once and 100 a second: {admitted}");
        assert!((55..=60).contains(&told), "told about once a second: {told}");
        assert_eq!(options.take_suppressed(), None);
    }

    #[test]
    fn who_stays_below_the_rate_loses_nothing_and_who_waits_may_burst_again() {
        let options = CaptureOptions::new(OutputSettings { lines_per_second: 100, burst: 500 });
        let start = Instant::now();
        for line in 0..10_000 {
            let now = start + Duration::from_millis(10) * line;
            assert_eq!(options.admit(now, 1), Verdict::Admit(None), "{line}");
        }
        let later = start + Duration::from_secs(1000);
        let burst = (0..600).filter(|_| options.admit(later, 1) != Verdict::Suppress).count();
        assert_eq!(burst, 500);
    }

    #[test]
    fn a_clock_that_stands_still_and_no_limit_are_fine() {
        let unlimited = CaptureOptions::new(OutputSettings { lines_per_second: 0, burst: 1 });
        let now = Instant::now();
        assert!((0..1000).all(|_| unlimited.admit(now, 1) == Verdict::Admit(None)));
        let slow = CaptureOptions::new(OutputSettings { lines_per_second: 1, burst: 1 });
        assert_eq!(slow.admit(now + Duration::from_secs(1), 1), Verdict::Admit(None));
        assert_eq!(slow.admit(now, 3), Verdict::Suppress);
        let told = Verdict::Admit(Some(Suppressed { records: 1, bytes: 3 }));
        assert_eq!(slow.admit(now + Duration::from_secs(2), 1), told);
    }

    #[test]
    fn each_mistake_names_its_key() {
        for (text, expected) in [
            ("lines_per_second = 1000001", "lines_per_second must be 0 to 1000000"),
            ("burst = 0", "burst must be 1 to 1000000, not 0"),
            ("brst = 1", "unknown field `brst`"),
        ] {
            let settings: Result<OutputSettings, _> = toml::from_str(text);
            let message = match settings {
                Ok(settings) => settings.check().expect_err(text),
                Err(error) => error.message().to_owned(),
            };
            assert!(message.starts_with(expected), "{message:?} for {text:?}");
        }
        assert_eq!(OutputSettings::default().check(), Ok(()));
    }
}
