//! The daemon's own signs of life, for whoever asks over HTTP: written by the supervisor's loop, read by other threads.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::http::Health;

/// A loop that has not turned for so long hangs; it turns at each pulse of the guardian, every 5 s at the latest.
const LONGEST_TURN: Duration = Duration::from_secs(15);

/// What the loop last told of itself.
#[derive(Debug)]
pub(crate) struct Vital {
    begun: Instant,
    /// Milliseconds after `begun`.
    turned: AtomicU64,
    is_running: AtomicBool,
}

impl Vital {
    pub(crate) fn new() -> Self {
        Self { begun: Instant::now(), turned: AtomicU64::new(0), is_running: AtomicBool::new(false) }
    }

    /// The loop went round.
    pub(crate) fn turn(&self) {
        let since = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.turned.store(since, Ordering::Relaxed);
    }

    /// Whether the service is in the state Running.
    pub(crate) fn set_running(&self, is_running: bool) {
        self.is_running.store(is_running, Ordering::Relaxed);
    }

    /// Whether the daemon works: its loop has turned lately.
    pub(crate) fn live(&self) -> Health {
        self.live_at(self.begun.elapsed())
    }

    fn live_at(&self, now: Duration) -> Health {
        let ago = now.saturating_sub(Duration::from_millis(self.turned.load(Ordering::Relaxed)));
        let told = format!("the loop turned {} ms ago", ago.as_millis());
        if ago <= LONGEST_TURN { Ok(told) } else { Err(told) }
    }

    /// Whether the service is running.
    pub(crate) fn ready(&self) -> Health {
        match self.is_running.load(Ordering::Relaxed) {
            true => Ok("running".to_owned()),
            false => Err("the service is not running".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_does_not_turn_is_not_live() {
        let vital = Vital::new();
        vital.turn();
        assert!(vital.live_at(LONGEST_TURN).is_ok());
        assert!(vital.live_at(LONGEST_TURN * 2).is_err());
        assert!(vital.ready().is_err());
        vital.set_running(true);
        assert!(vital.ready().is_ok());
    }
}
