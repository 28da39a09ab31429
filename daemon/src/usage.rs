//! What a workload's process uses, looked at again and again, and when that is too much: memory near its limit, and
//! descriptors or threads that only ever become more. Pure code; the supervisor looks and acts.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::metrics::Usage;

/// How often the supervisor looks, at least.
pub(crate) const LOOK: Duration = Duration::from_secs(5);
/// Above this part of its limit, in percent, memory is high; not before it is below the second that is over. What comes and
/// goes around one border would be told, or acted upon, again and again.
const HIGH: (u64, u64) = (80, 70);
/// So many looks in a row must find it high: a moment's need is no reason to act. At the limit itself one is enough.
const LOOKS: u32 = 3;
/// In so many windows in a row the least of what is counted must have risen.
const RISES: usize = 6;
/// By so much at least in all of them.
const LEAST_RISE: u64 = 20;
const MOST_SECONDS: u64 = 86_400;

/// How much memory a workload may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MemorySettings {
    /// Resident, of its main process.
    pub(crate) limit_bytes: u64,
    /// What to do when that is nearly used.
    #[serde(default)]
    pub(crate) action: MemoryAction,
}

/// What to do about a workload whose memory is high.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum MemoryAction {
    /// Stop it as gracefully as it can, and start it again.
    #[default]
    Restart,
    /// Tell it.
    Warn,
}

/// How leaks are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LeakSettings {
    /// Of the windows of which [`RISES`] make a leak.
    pub(crate) window_seconds: u64,
}

impl Default for LeakSettings {
    fn default() -> Self {
        Self { window_seconds: 600 }
    }
}

impl MemorySettings {
    /// Names the key and the limit that it breaks.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self.limit_bytes {
            0..1024 => Err(format!("limit_bytes must be 1024 or more, not {}", self.limit_bytes)),
            _ => Ok(()),
        }
    }
}

impl LeakSettings {
    /// Names the key and the limit that it breaks.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self.window_seconds {
            1..=MOST_SECONDS => Ok(()),
            other => Err(format!("window_seconds must be 1 to {MOST_SECONDS}, not {other}")),
        }
    }
}

/// What a look found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// Memory is near its limit, both in bytes.
    MemoryHigh { bytes: u64, limit: u64 },
    /// It is no longer.
    MemoryNormal { bytes: u64, limit: u64 },
    /// The process has more and more of them.
    Leak { what: &'static str, from: u64, to: u64 },
}

/// What is known of one run's use.
#[derive(Debug)]
pub(crate) struct Watch {
    memory: Option<MemorySettings>,
    window: Duration,
    /// How many looks in a row found memory high.
    high_looks: u32,
    is_high: bool,
    descriptors: Growth,
    threads: Growth,
}

impl Watch {
    pub(crate) fn new(memory: Option<MemorySettings>, leaks: LeakSettings, now: Instant) -> Self {
        Self {
            memory,
            window: Duration::from_secs(leaks.window_seconds),
            high_looks: 0,
            is_high: false,
            descriptors: Growth::new(now),
            threads: Growth::new(now),
        }
    }

    /// From now on it is judged like this.
    pub(crate) fn adopt(&mut self, memory: Option<MemorySettings>, leaks: LeakSettings) {
        (self.memory, self.window) = (memory, Duration::from_secs(leaks.window_seconds));
        self.rearm();
    }

    /// What is high is told, and acted upon, again.
    pub(crate) fn rearm(&mut self) {
        (self.is_high, self.high_looks) = (false, 0);
    }

    /// Takes a look's result. What the system does not tell is not judged.
    pub(crate) fn look(&mut self, usage: Usage, now: Instant) -> Vec<Finding> {
        let leak = |growth: &mut Growth, what, count: Option<u64>| {
            let (from, to) = growth.look(count?, self.window, now)?;
            Some(Finding::Leak { what, from, to })
        };
        let leaks = [
            leak(&mut self.descriptors, "descriptors", usage.descriptors),
            leak(&mut self.threads, "threads", usage.threads),
        ];
        self.look_at_memory(usage.resident).into_iter().chain(leaks.into_iter().flatten()).collect()
    }

    fn look_at_memory(&mut self, bytes: Option<u64>) -> Option<Finding> {
        let (limit, bytes) = (self.memory?.limit_bytes, bytes?);
        let is_above = |percent: u64| u128::from(bytes) * 100 > u128::from(limit) * u128::from(percent);
        if self.is_high {
            self.is_high = is_above(HIGH.1);
            return (!self.is_high).then_some(Finding::MemoryNormal { bytes, limit });
        }
        self.high_looks = if is_above(HIGH.0) { self.high_looks + 1 } else { 0 };
        if self.high_looks < LOOKS && !is_above(100) {
            return None;
        }
        (self.is_high, self.high_looks) = (true, 0);
        Some(Finding::MemoryHigh { bytes, limit })
    }
}

/// A count over time. What is opened and closed again comes and goes within a window; only what is never closed raises the
/// least of each.
#[derive(Debug)]
struct Growth {
    /// The least of each window that is over, the last `RISES + 1`.
    least: VecDeque<u64>,
    began: Instant,
    /// Of the window that is not.
    lowest: Option<u64>,
    is_told: bool,
}

impl Growth {
    fn new(now: Instant) -> Self {
        Self { least: VecDeque::new(), began: now, lowest: None, is_told: false }
    }

    /// The counts from which to which it rose without end, the first time that is seen.
    fn look(&mut self, count: u64, window: Duration, now: Instant) -> Option<(u64, u64)> {
        let lowest = self.lowest.map_or(count, |lowest| lowest.min(count));
        self.lowest = Some(lowest);
        if now.saturating_duration_since(self.began) < window {
            return None;
        }
        (self.began, self.lowest) = (now, None);
        self.least.push_back(lowest);
        if self.least.len() > RISES + 1 {
            self.least.pop_front();
        }
        let (first, last) = (*self.least.front()?, *self.least.back()?);
        let rises = self.least.iter().is_sorted_by(|left, right| left < right);
        let leaks = rises && self.least.len() > RISES && last - first >= LEAST_RISE;
        let is_news = leaks && !self.is_told;
        self.is_told = rises && (self.is_told || leaks);
        is_news.then_some((first, last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u64 = 100_000;

    fn watch(now: Instant) -> Watch {
        let memory = MemorySettings { limit_bytes: LIMIT, action: MemoryAction::Restart };
        Watch::new(Some(memory), LeakSettings { window_seconds: 600 }, now)
    }

    fn memory(watch: &mut Watch, bytes: u64) -> Vec<Finding> {
        watch.look(Usage { resident: Some(bytes), ..Usage::default() }, Instant::now())
    }

    #[test]
    fn memory_is_high_when_it_stays_above_80_percent_and_until_it_is_below_70() {
        let mut watch = watch(Instant::now());
        let (high, normal) = (
            |bytes| vec![Finding::MemoryHigh { bytes, limit: LIMIT }],
            |bytes| vec![Finding::MemoryNormal { bytes, limit: LIMIT }],
        );
        // Exactly 80 % is not above it, and a moment's need is no reason.
        for bytes in [80_000, 90_000, 90_000, 79_000, 80_001, 80_001] {
            assert_eq!(memory(&mut watch, bytes), [], "{bytes}");
        }
        assert_eq!(memory(&mut watch, 80_001), high(80_001));
        // Told once, however it comes and goes around the border.
        for bytes in [79_000, 81_000, 95_000, 70_001, 99_000] {
            assert_eq!(memory(&mut watch, bytes), [], "{bytes}");
        }
        assert_eq!(memory(&mut watch, 70_000), normal(70_000));
        assert_eq!(memory(&mut watch, 70_000), []);
        // At the limit one look is enough.
        assert_eq!(memory(&mut watch, LIMIT), []);
        assert_eq!(memory(&mut watch, LIMIT + 1), high(LIMIT + 1));
        watch.rearm();
        assert_eq!(memory(&mut watch, LIMIT + 1), high(LIMIT + 1));
    }

    #[test]
    fn what_is_not_told_or_not_limited_is_not_judged() {
        let now = Instant::now();
        assert_eq!(watch(now).look(Usage::default(), now), []);
        let mut unlimited = Watch::new(None, LeakSettings::default(), now);
        assert_eq!(memory(&mut unlimited, u64::MAX), []);
        let mut largest = watch(now);
        largest.memory = Some(MemorySettings { limit_bytes: u64::MAX, action: MemoryAction::Warn });
        assert_eq!(memory(&mut largest, u64::MAX / 2), []);
    }

    /// The findings of a day in which `count` tells how many descriptors there are in each minute.
    fn day(count: impl Fn(u64) -> u64) -> Vec<(u64, Finding)> {
        let begin = Instant::now();
        let mut watch = watch(begin);
        let findings = (1..24 * 60).flat_map(|minute| {
            let usage = Usage { descriptors: Some(count(minute)), threads: Some(4), ..Usage::default() };
            let found = watch.look(usage, begin + Duration::from_secs(minute * 60));
            found.into_iter().map(move |finding| (minute, finding))
        });
        findings.collect()
    }

    #[test]
    fn a_leak_is_told_once_until_it_pauses() {
        // One a minute: told after seven windows.
        let steady = day(|minute| 10 + minute);
        assert!(
            matches!(steady[..], [(70, Finding::Leak { what: "descriptors", from: 11, to: 71 })]),
            "{steady:?}"
        );
        // A leak that a burst of other work hides from whoever looks at the highest.
        assert_eq!(day(|minute| 10 + minute + if minute % 3 == 0 { 500 } else { 0 }).len(), 1);
        // It stands still for an hour around noon, and goes on.
        assert_eq!(day(|minute| 10 + minute.min(720) + minute.saturating_sub(780)).len(), 2);
    }

    #[test]
    fn what_comes_and_goes_is_no_leak() {
        for (what, found) in [
            ("standing still", day(|_| 900)),
            ("load by the hour", day(|minute| 100 + (minute % 60) * 10)),
            ("a warm start", day(|minute| 10 + minute.min(50) * 10)),
            ("a few in a day", day(|minute| 10 + minute / 70)),
            ("less and less", day(|minute| 5000 - minute)),
        ] {
            assert_eq!(found, [], "{what}");
        }
    }
}
