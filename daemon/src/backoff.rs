//! When a workload that ended is started again: at once the first time, then later and later, and at once again after
//! it has run well for a while.

use std::time::Duration;

/// A run this long is a good one: what came before is forgotten.
const STABLE: Duration = Duration::from_secs(10);
/// The pause before the second restart in a row.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// No pause is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A workload's recent restarts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Backoff {
    short_runs: u32,
}

impl Backoff {
    /// How long to wait after a run of `uptime`. `random` spreads the pauses over 75 % to 100 % of their length, so that
    /// workloads which died together do not return together.
    pub(crate) fn next_pause(&mut self, uptime: Duration, random: u32) -> Duration {
        if uptime >= STABLE {
            self.short_runs = 0;
        }
        self.short_runs = self.short_runs.saturating_add(1);
        if self.short_runs == 1 {
            return Duration::ZERO;
        }
        let doublings = (self.short_runs - 2).min(16);
        let full = (FIRST_PAUSE * (1 << doublings)).min(LONGEST_PAUSE);
        full * 3 / 4 + (full / 4).mul_f64(f64::from(random) / f64::from(u32::MAX))
    }

    /// How many runs in a row were short.
    pub(crate) fn short_runs(&self) -> u32 {
        self.short_runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CRASH: Duration = Duration::from_millis(1);

    #[test]
    fn the_first_restart_is_at_once_and_later_ones_wait_longer() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..40).map(|_| backoff.next_pause(CRASH, u32::MAX)).collect();
        assert_eq!(pauses[0], Duration::ZERO);
        assert_eq!(pauses[1], FIRST_PAUSE);
        assert_eq!(pauses[2], FIRST_PAUSE * 2);
        assert!(pauses.is_sorted());
        assert_eq!(pauses[39], LONGEST_PAUSE);
    }

    #[test]
    fn a_good_run_forgives() {
        let mut backoff = Backoff::default();
        for _ in 0..9 {
            backoff.next_pause(CRASH, 0);
        }
        assert_eq!(backoff.next_pause(STABLE, 0), Duration::ZERO);
        assert_eq!(backoff.short_runs(), 1);
    }

    #[test]
    fn a_crash_loop_starts_at_most_twelve_times_in_ten_seconds() {
        for random in [0, u32::MAX / 2, u32::MAX] {
            let mut backoff = Backoff::default();
            let mut clock = Duration::ZERO;
            let mut starts = 0;
            while clock < Duration::from_secs(10) {
                starts += 1;
                clock += backoff.next_pause(CRASH, random);
            }
            assert!(starts <= 12, "{starts} starts");
        }
    }
}
