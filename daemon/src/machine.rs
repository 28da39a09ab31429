//! One workload's life as pure code: what happens and what time it is goes in, what to do comes out. The supervisor does
//! it, and nothing here knows of processes, threads or clocks.

use std::time::{Duration, Instant};

use crate::backoff::Backoff;
use crate::config::Restart;
use crate::state::{Control, Refusal, State, Step};

/// After the kill: how long the system may take to end a process before it is given up.
pub(crate) const KILL_GRACE: Duration = Duration::from_secs(5);

/// How a workload is to be treated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) restart: Restart,
    /// Whether a probe says when it is ready; else it is once it has been started.
    pub(crate) is_probed: bool,
    /// How long it may take to become ready.
    pub(crate) start: Duration,
    /// How long it may take to end when asked; then it is killed.
    pub(crate) stop: Duration,
    /// After so many short runs in a row it is not started again.
    pub(crate) give_up_after: Option<u32>,
}

/// What happens to a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// Somebody asks for something.
    Control(Control),
    /// The process that was to be started exists.
    Spawned,
    /// The process could not be started.
    SpawnFailed,
    /// The readiness probe passed.
    Ready,
    /// The process must not run on: a liveness probe failed, or it took too much memory.
    Unhealthy,
    /// The process has ended.
    Exited { success: bool },
    /// It is wanted again, though it was to go for good; a stop that is under way ends first.
    Revived,
    /// Time has passed: due things are done.
    Time,
}

/// What the supervisor has to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Start the process, and say how that went.
    Spawn,
    /// Ask the process to end.
    AskToStop,
    /// End the process and everything it started.
    Kill,
}

/// What comes after a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Afterwards {
    StayStopped,
    StartAgain,
    /// As if it had ended by itself.
    Recover,
}

/// Where a workload stands.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    policy: Policy,
    state: State,
    has_process: bool,
    afterwards: Afterwards,
    was_killed: bool,
    /// When a pending state or a backoff ends.
    deadline: Option<Instant>,
    /// When the process was last started.
    started: Instant,
    backoff: Backoff,
}

impl Machine {
    pub(crate) fn new(policy: Policy, now: Instant) -> Self {
        Self {
            policy,
            state: State::Stopped,
            has_process: false,
            afterwards: Afterwards::StayStopped,
            was_killed: false,
            deadline: None,
            started: now,
            backoff: Backoff::default(),
        }
    }

    /// From now on it is treated like this; a deadline that runs stays.
    pub(crate) fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// Whether a process exists, or is about to.
    pub(crate) fn has_process(&self) -> bool {
        self.has_process
    }

    /// When [`Input::Time`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    pub(crate) fn short_runs(&self) -> u32 {
        self.backoff.short_runs()
    }

    /// Takes `input`. `random` spreads restarts.
    pub(crate) fn take(
        &mut self,
        input: Input,
        now: Instant,
        random: u32,
    ) -> Result<(Step, Option<Action>), Refusal> {
        let before = self.state;
        let action = match input {
            Input::Control(control) => {
                let step = self.state.after(control)?;
                // A process that even a kill did not end is still there.
                if self.has_process && step == Step::To(State::StartPending) {
                    return Err(Refusal::Busy);
                }
                if control == Control::Stop {
                    // A stop overtakes what was to come after another one.
                    self.afterwards = Afterwards::StayStopped;
                }
                let Step::To(next) = step else { return Ok((step, None)) };
                if self.has_process && next == State::Stopped {
                    self.kill(now)
                } else {
                    self.go(next, control, now)
                }
            }
            Input::Spawned => self.spawned(now),
            Input::Exited { success } => self.exited(success, now, random),
            Input::SpawnFailed => self.exited(false, now, random),
            Input::Ready => {
                if matches!(self.state, State::StartPending | State::ContinuePending) {
                    self.settle(State::Running);
                }
                None
            }
            Input::Unhealthy => match self.state {
                State::StartPending | State::Running | State::ContinuePending => {
                    self.stop(Afterwards::Recover, now)
                }
                _ => None,
            },
            Input::Revived => match self.state {
                State::StopPending => {
                    self.backoff = Backoff::default();
                    self.afterwards = Afterwards::StartAgain;
                    None
                }
                State::Stopped => {
                    self.backoff = Backoff::default();
                    self.start(State::StartPending, now)
                }
                _ => None,
            },
            Input::Time => match self.deadline {
                Some(deadline) if deadline <= now => self.time_is_up(now),
                _ => None,
            },
        };
        let step = if self.state == before { Step::Stay } else { Step::To(self.state) };
        Ok((step, action))
    }

    fn go(&mut self, next: State, control: Control, now: Instant) -> Option<Action> {
        match next {
            State::StartPending => {
                self.backoff = Backoff::default();
                self.start(State::StartPending, now)
            }
            State::StopPending => {
                let again = control == Control::Restart;
                self.backoff = Backoff::default();
                self.stop(if again { Afterwards::StartAgain } else { Afterwards::StayStopped }, now)
            }
            // There is nothing of the workload's own to wait for.
            State::PausePending => {
                self.settle(State::Paused);
                None
            }
            State::ContinuePending if self.has_process => {
                self.settle(State::Running);
                None
            }
            State::ContinuePending => self.start(State::ContinuePending, now),
            other => {
                self.settle(other);
                None
            }
        }
    }

    fn start(&mut self, pending: State, now: Instant) -> Option<Action> {
        (self.state, self.has_process, self.was_killed) = (pending, true, false);
        self.started = now;
        self.deadline = Some(now + self.policy.start);
        Some(Action::Spawn)
    }

    fn spawned(&mut self, now: Instant) -> Option<Action> {
        self.started = now;
        if !self.policy.is_probed && matches!(self.state, State::StartPending | State::ContinuePending) {
            self.settle(State::Running);
        }
        None
    }

    fn stop(&mut self, afterwards: Afterwards, now: Instant) -> Option<Action> {
        (self.afterwards, self.was_killed) = (afterwards, false);
        if !self.has_process {
            return self.stopped(now, 0);
        }
        self.state = State::StopPending;
        self.deadline = Some(now + self.policy.stop);
        Some(Action::AskToStop)
    }

    fn exited(&mut self, success: bool, now: Instant, random: u32) -> Option<Action> {
        self.has_process = false;
        match self.state {
            State::StopPending => self.stopped(now, random),
            State::StartPending | State::ContinuePending | State::Running => {
                self.recover(success, now, random)
            }
            _ => None,
        }
    }

    fn stopped(&mut self, now: Instant, random: u32) -> Option<Action> {
        match self.afterwards {
            Afterwards::StayStopped => {
                self.settle(State::Stopped);
                None
            }
            Afterwards::StartAgain => self.start(State::StartPending, now),
            Afterwards::Recover => self.recover(false, now, random),
        }
    }

    fn recover(&mut self, success: bool, now: Instant, random: u32) -> Option<Action> {
        let is_wanted = match self.policy.restart {
            Restart::Always => true,
            Restart::OnFailure => !success,
            Restart::Never => false,
        };
        let pause = self.backoff.next_pause(now.saturating_duration_since(self.started), random);
        let has_given_up = self.policy.give_up_after.is_some_and(|most| self.backoff.short_runs() > most);
        if !is_wanted || has_given_up {
            self.settle(if success { State::Stopped } else { State::Failed });
            return None;
        }
        self.state = State::Backoff;
        self.deadline = Some(now + pause);
        None
    }

    fn time_is_up(&mut self, now: Instant) -> Option<Action> {
        match self.state {
            State::Backoff => self.start(State::StartPending, now),
            State::StartPending | State::ContinuePending => self.stop(Afterwards::Recover, now),
            State::StopPending if !self.was_killed => self.kill(now),
            State::StopPending => {
                self.settle(State::Failed);
                None
            }
            _ => None,
        }
    }

    fn kill(&mut self, now: Instant) -> Option<Action> {
        (self.state, self.was_killed) = (State::StopPending, true);
        self.deadline = Some(now + KILL_GRACE);
        Some(Action::Kill)
    }

    fn settle(&mut self, state: State) {
        (self.state, self.deadline) = (state, None);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashSet, VecDeque};

    use super::*;

    fn policy(restart: Restart, is_probed: bool) -> Policy {
        let (start, stop) = (Duration::from_secs(30), Duration::from_secs(10));
        Policy { restart, is_probed, start, stop, give_up_after: Some(3) }
    }

    /// What tells two machines apart; times are all alike but for whether there is one.
    fn key(machine: &Machine) -> (State, bool, Afterwards, bool, bool, u32) {
        (
            machine.state,
            machine.has_process,
            machine.afterwards,
            machine.was_killed,
            machine.deadline.is_some(),
            machine.backoff.short_runs(),
        )
    }

    /// Gives `input` as the supervisor would, and says what else it had to do; a start succeeds or fails.
    fn give(machine: &Machine, input: Input, now: Instant) -> Vec<Machine> {
        let mut next = machine.clone();
        let had_process = next.has_process;
        let Ok((_, action)) = next.take(input, now, 0) else {
            assert_eq!(key(&next), key(machine), "{input:?} was refused and changed something");
            return Vec::new();
        };
        if action != Some(Action::Spawn) {
            let needs_process = action.is_some();
            assert!(!needs_process || had_process, "{action:?} for nothing after {input:?} in {machine:?}");
            return vec![next];
        }
        assert!(
            !had_process || matches!(input, Input::Exited { .. }),
            "two processes after {input:?} in {machine:?}"
        );
        [Input::Spawned, Input::SpawnFailed]
            .into_iter()
            .flat_map(|outcome| give(&next, outcome, now))
            .collect()
    }

    fn inputs(machine: &Machine) -> Vec<Input> {
        let mut inputs: Vec<_> = Control::ALL.into_iter().map(Input::Control).collect();
        inputs.extend([Input::Ready, Input::Unhealthy, Input::Revived, Input::Time]);
        if machine.has_process {
            inputs.extend([Input::Exited { success: true }, Input::Exited { success: false }]);
        }
        inputs
    }

    fn check(machine: &Machine) {
        let state = machine.state;
        let ends_by_itself = state.is_pending() || state == State::Backoff;
        assert_eq!(machine.deadline.is_some(), ends_by_itself, "{machine:?}");
        match state {
            State::Stopped | State::Backoff => assert!(!machine.has_process, "{machine:?}"),
            State::Running | State::StopPending | State::StartPending | State::ContinuePending => {
                assert!(machine.has_process, "{machine:?}");
            }
            // What was paused may have ended since; what failed may be deaf even to a kill.
            State::Paused | State::Failed => {}
            State::PausePending => panic!("a pause settles at once"),
        }
    }

    /// However many clients ask at once, their wishes come one after the other; so every order of every input from every
    /// state that can be reached is all there is.
    #[test]
    fn no_order_of_inputs_breaks_a_rule() {
        let mut total = 0;
        for restart in [Restart::Always, Restart::OnFailure, Restart::Never] {
            for is_probed in [false, true] {
                let start = Instant::now();
                let first = Machine::new(policy(restart, is_probed), start);
                let mut seen = HashSet::from([key(&first)]);
                let mut open = VecDeque::from([first]);
                while let Some(machine) = open.pop_front() {
                    check(&machine);
                    stop_always_ends(&machine);
                    let now = machine.deadline.unwrap_or(machine.started);
                    for input in inputs(&machine) {
                        for next in give(&machine, input, now) {
                            if seen.insert(key(&next)) {
                                open.push_back(next);
                            }
                        }
                    }
                    assert!(seen.len() < 10_000, "something counts without end: {machine:?}");
                }
                let states: HashSet<_> = seen.iter().map(|key| key.0).collect();
                // Only a probe keeps it waiting; a pause settles at once; what is never restarted does not back off.
                let unreachable = 1 + 2 * usize::from(!is_probed) + usize::from(restart == Restart::Never);
                assert_eq!(
                    states.len(),
                    State::ALL.len() - unreachable,
                    "{restart:?} {is_probed}: {states:?}"
                );
                total += seen.len();
            }
        }
        assert!(total > 100, "{total} machines are too few to have looked at all");
    }

    /// A stop is never refused, and time alone ends it, whatever the process does.
    fn stop_always_ends(machine: &Machine) {
        let now = machine.deadline.unwrap_or(machine.started);
        let mut stopped = machine.clone();
        stopped.take(Input::Control(Control::Stop), now, 0).expect("a stop is never refused");
        for _ in 0..2 {
            let Some(deadline) = stopped.deadline else { break };
            stopped.take(Input::Time, deadline, 0).expect("time is never refused");
        }
        assert!(matches!(stopped.state, State::Stopped | State::Failed), "{stopped:?}");
        let mut kind = machine.clone();
        kind.take(Input::Control(Control::Stop), now, 0).expect("a stop is never refused");
        if kind.has_process {
            kind.take(Input::Exited { success: true }, now, 0).expect("an end is never refused");
        }
        assert!(kind.state == State::Stopped && !kind.has_process, "{kind:?}");
    }

    #[test]
    fn a_crash_is_followed_by_a_start_at_once_and_then_by_pauses() {
        let now = Instant::now();
        let mut machine = Machine::new(Policy { give_up_after: None, ..policy(Restart::Always, false) }, now);
        let step = |machine: &mut Machine, input, now| machine.take(input, now, u32::MAX).expect("taken");
        assert_eq!(
            step(&mut machine, Input::Control(Control::Start), now),
            (Step::To(State::StartPending), Some(Action::Spawn))
        );
        assert_eq!(step(&mut machine, Input::Spawned, now), (Step::To(State::Running), None));
        assert_eq!(
            step(&mut machine, Input::Exited { success: false }, now),
            (Step::To(State::Backoff), None)
        );
        assert_eq!(machine.deadline(), Some(now));
        assert_eq!(step(&mut machine, Input::Time, now).1, Some(Action::Spawn));
        step(&mut machine, Input::Spawned, now);
        step(&mut machine, Input::Exited { success: false }, now);
        let due = machine.deadline().expect("a pause");
        assert!(due > now);
        assert_eq!(step(&mut machine, Input::Time, now), (Step::Stay, None));
        assert_eq!(step(&mut machine, Input::Time, due).1, Some(Action::Spawn));
    }

    #[test]
    fn what_does_not_become_ready_is_stopped_killed_and_tried_again() {
        let now = Instant::now();
        let mut machine = Machine::new(policy(Restart::Always, true), now);
        let mut step = |input, now| machine.take(input, now, 0).expect("taken");
        step(Input::Control(Control::Start), now);
        step(Input::Spawned, now);
        let late = now + Duration::from_secs(30);
        assert_eq!(step(Input::Time, late), (Step::To(State::StopPending), Some(Action::AskToStop)));
        let later = late + Duration::from_secs(10);
        assert_eq!(step(Input::Time, later), (Step::Stay, Some(Action::Kill)));
        assert_eq!(step(Input::Exited { success: false }, later), (Step::To(State::Backoff), None));
    }

    #[test]
    fn what_crashes_for_ever_is_given_up_where_that_is_wanted() {
        let now = Instant::now();
        let mut machine = Machine::new(policy(Restart::Always, false), now);
        machine.take(Input::Control(Control::Start), now, 0).expect("taken");
        let mut starts = 1;
        while machine.state() != State::Failed {
            machine.take(Input::SpawnFailed, now, 0).expect("taken");
            let Some(due) = machine.deadline() else { break };
            machine.take(Input::Time, due, 0).expect("taken");
            starts += 1;
        }
        assert_eq!(starts, 4, "the first and three more");
    }
}
