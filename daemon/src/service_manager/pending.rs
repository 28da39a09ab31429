//! Checkpoints of a change that is under way: they move within the wait hint, and no longer once the change is overdue,
//! so that whoever waits sees that it hangs.

use std::time::{Duration, Instant};

use super::ServiceState;

/// How often a checkpoint moves.
const STEP: Duration = Duration::from_secs(1);
/// Told to whoever waits: within this time the checkpoint moves. Many steps, because a busy machine is late.
const HINT: Duration = Duration::from_secs(10);

/// The state that was reported last, with its progress.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    state: ServiceState,
    checkpoint: u32,
    /// When the change must be over.
    deadline: Instant,
}

impl Pending {
    /// A service that has reported nothing.
    pub(crate) fn new(now: Instant) -> Self {
        Self { state: ServiceState::Stopped, checkpoint: 0, deadline: now }
    }

    /// A state to be reported. A change that is reported again goes on, and keeps its first deadline.
    pub(crate) fn enter(&mut self, state: ServiceState, patience: Duration, now: Instant) {
        if state.is_pending() && state == self.state {
            self.checkpoint = self.checkpoint.saturating_add(1);
            return;
        }
        (self.state, self.checkpoint, self.deadline) = (state, u32::from(state.is_pending()), now + patience);
    }

    /// Moves the checkpoint; `false` if there is nothing to report: no change is under way, or it is overdue.
    pub(crate) fn advance(&mut self, now: Instant) -> bool {
        let moves = self.state.is_pending() && now < self.deadline;
        self.checkpoint = self.checkpoint.saturating_add(u32::from(moves));
        moves
    }

    /// How often [`Pending::advance`] wants to be called.
    pub(crate) fn pulse(&self) -> Option<Duration> {
        self.state.is_pending().then_some(STEP)
    }

    pub(crate) fn state(&self) -> ServiceState {
        self.state
    }

    /// 0 unless a change is under way.
    pub(crate) fn checkpoint(&self) -> u32 {
        self.checkpoint
    }

    /// Zero unless a change is under way.
    pub(crate) fn wait_hint(&self, now: Instant) -> Duration {
        if !self.state.is_pending() {
            return Duration::ZERO;
        }
        self.deadline.saturating_duration_since(now).clamp(STEP, HINT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_move_until_the_deadline_and_no_longer() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut pending = Pending::new(begin);
        assert!(!pending.advance(begin));
        assert_eq!((pending.checkpoint(), pending.pulse()), (0, None));
        pending.enter(ServiceState::StopPending, Duration::from_secs(15), begin);
        assert_eq!((pending.checkpoint(), pending.wait_hint(begin)), (1, HINT));
        for second in 1..15 {
            assert!(pending.advance(at(second)));
            assert_eq!(pending.checkpoint(), second as u32 + 1);
            assert!(pending.pulse().unwrap() < pending.wait_hint(at(second)) || second == 14);
        }
        // Reported again: the deadline stays.
        pending.enter(ServiceState::StopPending, Duration::from_secs(15), at(14));
        assert!(!pending.advance(at(15)));
        assert_eq!(pending.checkpoint(), 16);
        pending.enter(ServiceState::Stopped, Duration::ZERO, at(16));
        assert_eq!((pending.checkpoint(), pending.wait_hint(at(16))), (0, Duration::ZERO));
    }
}
