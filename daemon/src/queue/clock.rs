//! Two clocks: one that only goes forward rules the running process, the other only what crosses a restart.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// One reading of both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Never set back.
    pub monotonic: Instant,
    /// What people set.
    pub wall: SystemTime,
}

impl Now {
    /// Reads them.
    pub fn read() -> Self {
        Self { monotonic: Instant::now(), wall: SystemTime::now() }
    }
}

/// Counts milliseconds from when the queue was opened; 0 stands for "never".
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticks(pub(super) Instant);

impl Ticks {
    pub(super) fn at(self, now: Now) -> u64 {
        let since = now.monotonic.saturating_duration_since(self.0).as_millis();
        u64::try_from(since).unwrap_or(u64::MAX - 1).saturating_add(1)
    }
}

/// Milliseconds since 1970; a clock before reads as 1970.
pub(super) fn unix_ms(time: SystemTime) -> u64 {
    u64::try_from(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

/// The time that many milliseconds after 1970; what the system cannot name is 1970.
pub(super) fn from_unix_ms(ms: u64) -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::from_millis(ms)).unwrap_or(UNIX_EPOCH)
}
