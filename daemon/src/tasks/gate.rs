//! Who may begin what: commands not while the service is paused, deliveries not while the collector is away, nothing once
//! the daemon stops.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::queue::Kind;

/// How long the collector is left alone after the first attempt that found it away; it doubles with each further scout that
/// finds it away.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// It is never left alone for longer on its own account: so soon its return is noticed.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Nor on its wish.
const LONGEST_WISH: Duration = Duration::from_secs(3600);
/// The collector that has taken something so lately is not to blame for what fails now.
const LATELY: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    paused: bool,
    closing: bool,
    /// What runs is to be interrupted.
    is_over: bool,
    /// How many are under way, by kind.
    busy: [usize; 2],
    away: Option<Away>,
    last_taken: Option<Instant>,
}

/// The collector does not answer.
#[derive(Debug)]
struct Away {
    until: Instant,
    pause: Duration,
    /// A scout is under way.
    is_scouted: bool,
}

/// How a courier came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Free,
    /// To look whether the collector is back; nobody else does meanwhile.
    Scout,
}

impl Gate {
    /// Waits until work of `kind` may begin; `None` when no more will. `patience` is for a scout.
    pub(super) fn enter(&self, kind: Kind, patience: Duration) -> Option<Entry> {
        let mut state = self.lock();
        loop {
            if state.closing {
                return None;
            }
            let now = Instant::now();
            let paused = state.paused;
            match (kind, &mut state.away) {
                (Kind::Command, _) if paused => {
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                (Kind::Deliver, Some(away)) if away.until > now => {
                    let left = away.until - now;
                    state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
                }
                (Kind::Deliver, Some(away)) => {
                    (away.until, away.is_scouted) = (now + patience, true);
                    state.busy[kind as usize] += 1;
                    return Some(Entry::Scout);
                }
                _ => {
                    state.busy[kind as usize] += 1;
                    return Some(Entry::Free);
                }
            }
        }
    }

    /// It is over; whether that was what a pause or a stop waits for.
    pub(super) fn leave(&self, kind: Kind) -> bool {
        let mut state = self.lock();
        state.busy[kind as usize] -= 1;
        self.changed.notify_all();
        kind == Kind::Command && (state.paused || state.closing) && state.busy[kind as usize] == 0
    }

    /// The scout's work is over. Where it did not find out whether the collector is back, the next may look at once.
    pub(super) fn recall(&self) {
        if let Some(away) = &mut self.lock().away
            && std::mem::take(&mut away.is_scouted)
        {
            away.until = Instant::now();
        }
        self.changed.notify_all();
    }

    /// The collector took something; whether it was away.
    pub(super) fn taken(&self) -> bool {
        let mut state = self.lock();
        state.last_taken = Some(Instant::now());
        let was_away = state.away.take().is_some();
        self.changed.notify_all();
        was_away
    }

    /// Whether the collector took anything since a minute before `begun`.
    pub(super) fn has_taken_lately(&self, begun: Instant) -> bool {
        self.lock().last_taken.is_some_and(|taken| taken + LATELY > begun)
    }

    /// Who came in by `entry` found the collector away, and it may wish to be left alone for so long; whether that is news.
    pub(super) fn is_away(&self, entry: Entry, wish: Option<Duration>) -> bool {
        let mut state = self.lock();
        let (now, wish) = (Instant::now(), wish.unwrap_or_default().min(LONGEST_WISH));
        let pause = match &mut state.away {
            None => FIRST_PAUSE,
            Some(away) if entry == Entry::Scout => (away.pause * 2).min(LONGEST_PAUSE),
            // It had begun before that was known.
            Some(away) => {
                away.until = away.until.max(now + wish);
                return false;
            }
        };
        let away = Away { until: now + pause.max(wish), pause, is_scouted: false };
        state.away.replace(away).is_none()
    }

    /// There is another collector: nothing is known of it.
    pub(super) fn forget_collector(&self) {
        let mut state = self.lock();
        (state.away, state.last_taken) = (None, None);
        self.changed.notify_all();
    }

    /// Whether deliveries wait for the collector.
    pub(super) fn waits_for_collector(&self) -> bool {
        self.lock().away.is_some()
    }

    pub(super) fn set_paused(&self, paused: bool) {
        self.lock().paused = paused;
        self.changed.notify_all();
    }

    /// Nothing more begins.
    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.changed.notify_all();
    }

    /// What runs is to be interrupted.
    pub(super) fn interrupt(&self) {
        self.lock().is_over = true;
    }

    pub(super) fn is_over(&self) -> bool {
        self.lock().is_over
    }

    /// Whether no command runs.
    pub(super) fn is_quiet(&self) -> bool {
        self.lock().busy[Kind::Command as usize] == 0
    }

    /// Waits until nothing is under way; `false` if `patience` was over before.
    pub(super) fn wait_until_idle(&self, patience: Duration) -> bool {
        let state = self.lock();
        let is_busy = |state: &mut State| state.busy.iter().sum::<usize>() > 0;
        let waited = self.changed.wait_timeout_while(state, patience, is_busy);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn one_scout_looks_for_a_collector_that_is_away() {
        let gate = Gate::default();
        assert_eq!(gate.enter(Kind::Deliver, PATIENCE), Some(Entry::Free));
        assert!(gate.is_away(Entry::Free, None), "that is news");
        assert!(!gate.is_away(Entry::Free, None), "another that had begun before");
        assert_eq!(gate.lock().away.as_ref().map(|away| away.pause), Some(FIRST_PAUSE));
        let begun = Instant::now();
        assert_eq!(gate.enter(Kind::Deliver, PATIENCE), Some(Entry::Scout));
        assert!(begun.elapsed() >= FIRST_PAUSE - Duration::from_millis(1));
        assert!(!gate.is_away(Entry::Scout, None), "no news");
        assert_eq!(gate.lock().away.as_ref().map(|away| away.pause), Some(2 * FIRST_PAUSE));
        // Commands do not wait for it.
        assert_eq!(gate.enter(Kind::Command, PATIENCE), Some(Entry::Free));
        assert!(gate.taken() && !gate.taken());
        assert_eq!(gate.enter(Kind::Deliver, PATIENCE), Some(Entry::Free));
    }

    #[test]
    fn a_wish_to_be_left_alone_is_heard_up_to_an_hour() {
        let gate = Gate::default();
        gate.is_away(Entry::Free, None);
        // The wish counts even if it comes second.
        gate.is_away(Entry::Free, Some(Duration::from_secs(1_000_000)));
        let until = gate.lock().away.as_ref().map(|away| away.until).expect("away");
        let left = until - Instant::now();
        assert!(left > LONGEST_WISH - PATIENCE && left <= LONGEST_WISH, "{left:?}");
        gate.recall();
        assert!(gate.lock().away.as_ref().is_some_and(|away| away.until == until), "no scout was there");
        gate.lock().away.as_mut().expect("away").until = Instant::now();
        // Nothing to bring: the next may look at once.
        for _ in 0..2 {
            assert_eq!(gate.enter(Kind::Deliver, PATIENCE), Some(Entry::Scout));
            gate.recall();
        }
        gate.is_away(Entry::Scout, Some(LONGEST_WISH));
        gate.forget_collector();
        assert_eq!(gate.enter(Kind::Deliver, PATIENCE), Some(Entry::Free));
    }

    #[test]
    fn a_pause_ends_when_the_last_command_has_and_a_stop_ends_all() {
        let gate = Gate::default();
        gate.enter(Kind::Command, PATIENCE).expect("open");
        gate.enter(Kind::Command, PATIENCE).expect("open");
        gate.enter(Kind::Deliver, PATIENCE).expect("open");
        assert!(!gate.leave(Kind::Command), "nobody waits");
        gate.set_paused(true);
        assert!(!gate.is_quiet());
        assert!(gate.leave(Kind::Command), "that was the last one");
        assert!(gate.is_quiet() && !gate.wait_until_idle(Duration::ZERO));
        gate.close();
        assert_eq!((gate.enter(Kind::Deliver, PATIENCE), gate.enter(Kind::Command, PATIENCE)), (None, None));
        gate.leave(Kind::Deliver);
        assert!(gate.wait_until_idle(PATIENCE));
    }
}
