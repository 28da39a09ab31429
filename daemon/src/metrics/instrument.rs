//! Counters, histograms and states: a few atomic numbers each, changed from any thread without a lock.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::labels::{LabelValue, STATES};

/// The upper bounds of a histogram's buckets, in seconds: from a local answer to a collector that is down for a day.
pub(super) const BOUNDS: [f64; 18] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 300.0, 3600.0,
    21600.0, 86400.0,
];
/// With the one above all bounds.
pub(super) const BUCKETS: usize = BOUNDS.len() + 1;

/// Only rises. The numbers are independent of each other, so no order among them is asked of the processor.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn increment(&self) {
        self.add(1);
    }

    pub(super) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Since when counters count, in nanoseconds since 1970; 0 if that is not known. As long as they go on it stays the same.
#[derive(Debug, Default)]
pub(super) struct Since(AtomicU64);

impl Since {
    pub(super) fn now() -> Self {
        Self(AtomicU64::new(unix_nanos(SystemTime::now())))
    }

    pub(super) fn set(&self, nanoseconds: u64) {
        self.0.store(nanoseconds, Ordering::Relaxed);
    }

    pub(super) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A counter for each value of a label.
#[derive(Debug)]
pub(super) struct Counters<L> {
    counters: Box<[Counter]>,
    label: std::marker::PhantomData<fn(L)>,
}

impl<L: LabelValue> Default for Counters<L> {
    fn default() -> Self {
        let counters = L::ALL.iter().map(|_| Counter::default()).collect();
        Self { counters, label: std::marker::PhantomData }
    }
}

impl<L: LabelValue> Counters<L> {
    pub(super) fn of(&self, value: L) -> &Counter {
        &self.counters[value.index()]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &Counter)> {
        L::ALL.iter().map(|value| (value.name(), self.of(*value)))
    }
}

/// Counts durations by size.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    /// Each on its own, not summed up as they are shown.
    pub(super) buckets: [Counter; BUCKETS],
    /// Microseconds: nanoseconds of a million tasks that waited for days would not fit.
    pub(super) sum: Counter,
    exemplars: Mutex<[Option<Exemplar>; BUCKETS]>,
}

/// One observation by name: with it a reader finds the trace of a slow one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exemplar {
    trace: [u8; 32],
    /// Seconds.
    pub(super) value: f64,
    pub(super) time: SystemTime,
}

impl Histogram {
    /// `trace` is a trace id of W3C Trace Context (32 lower-case hexadecimal digits); anything else is left out.
    pub(super) fn observe(&self, duration: Duration, trace: Option<&str>) {
        let value = duration.as_secs_f64();
        let index = BOUNDS.iter().position(|bound| value <= *bound).unwrap_or(BOUNDS.len());
        self.buckets[index].increment();
        self.sum.add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
        let is_hex = |bytes: &[u8; 32]| bytes.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if let Some(trace) = trace.and_then(|text| text.as_bytes().try_into().ok()).filter(is_hex) {
            let time = SystemTime::now();
            let mut exemplars = self.exemplars.lock().unwrap_or_else(PoisonError::into_inner);
            exemplars[index] = Some(Exemplar { trace, value, time });
        }
    }

    pub(super) fn exemplars(&self) -> [Option<Exemplar>; BUCKETS] {
        *self.exemplars.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Exemplar {
    pub(super) fn trace(&self) -> &str {
        std::str::from_utf8(&self.trace).expect("hexadecimal digits are ASCII")
    }
}

/// One of [`STATES`], or none yet.
#[derive(Debug)]
pub(super) struct StateCell(AtomicUsize);

impl Default for StateCell {
    fn default() -> Self {
        Self(AtomicUsize::new(usize::MAX))
    }
}

impl StateCell {
    pub(super) fn set(&self, name: &str) {
        let index = STATES.iter().position(|state| *state == name).unwrap_or(usize::MAX);
        self.0.store(index, Ordering::Relaxed);
    }

    /// Each state with 1 for the current one, else 0.
    pub(super) fn values(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let current = self.0.load(Ordering::Relaxed);
        STATES.iter().enumerate().map(move |(index, state)| (*state, f64::from(index == current)))
    }
}

/// Seconds since 1970; a clock before that reads as 0.
pub(super) fn unix_seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Nanoseconds since 1970; a clock before that reads as 0.
pub(super) fn unix_nanos(time: SystemTime) -> u64 {
    u64::try_from(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
}

/// The upper bound of bucket `index` as both formats write it; OpenMetrics wants a point in it.
pub(super) fn bound_name(index: usize) -> String {
    BOUNDS.get(index).map_or_else(|| "+Inf".to_owned(), |bound| format!("{bound:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_into_the_bucket_whose_bound_it_does_not_exceed() {
        let histogram = Histogram::default();
        for (millis, bucket) in
            [(0, 0), (1, 0), (2, 1), (1000, 9), (1001, 10), (86_400_000, 17), (86_400_001, 18)]
        {
            let before = histogram.buckets[bucket].value();
            histogram.observe(Duration::from_millis(millis), None);
            assert_eq!(histogram.buckets[bucket].value(), before + 1, "{millis} ms");
        }
        histogram.observe(Duration::MAX, None);
        assert!(BOUNDS.is_sorted_by(|left, right| left < right));
        assert_eq!(
            (bound_name(9), bound_name(0), bound_name(18)),
            ("1.0".into(), "0.001".into(), "+Inf".into())
        );
    }

    #[test]
    fn only_a_trace_id_becomes_an_exemplar() {
        let histogram = Histogram::default();
        for wrong in ["", "short", "4BF92F3577B34DA6A3CE929D0E0E4736", "\"}4bf92f3577b34da6a3ce929d0e0e47"] {
            histogram.observe(Duration::ZERO, Some(wrong));
            assert!(histogram.exemplars()[0].is_none(), "{wrong}");
        }
        histogram.observe(Duration::ZERO, Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        let exemplar = histogram.exemplars()[0].expect("kept");
        assert_eq!(exemplar.trace(), "4bf92f3577b34da6a3ce929d0e0e4736");
    }
}
