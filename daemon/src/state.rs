//! The states of the service and the controls it takes in each: one table for Linux signals and the Windows service
//! manager (names and order as in Microsoft's `SERVICE_STATUS`).

/// What the service is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Stopped,
    StartPending,
    Running,
    PausePending,
    Paused,
    ContinuePending,
    StopPending,
}

/// What is asked of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    Start,
    Stop,
    #[cfg_attr(not(windows), allow(dead_code, reason = "only the Windows service manager pauses, so far"))]
    Pause,
    #[cfg_attr(not(windows), allow(dead_code, reason = "only the Windows service manager continues, so far"))]
    Continue,
}

/// Why a control is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The service is already there, or on its way.
    Already,
    /// Another change is under way; ask again when it is done.
    Busy,
    /// The service does not run.
    NotRunning,
}

impl State {
    /// The state that `control` leads to.
    pub(crate) fn after(self, control: Control) -> Result<State, Refusal> {
        use State::{ContinuePending, PausePending, Paused, Running, StartPending, StopPending, Stopped};
        match (control, self) {
            (Control::Start, Stopped) => Ok(StartPending),
            (Control::Start, StopPending) => Err(Refusal::Busy),
            (Control::Start, _) => Err(Refusal::Already),

            // A stop is the one wish that overtakes any other.
            (Control::Stop, StartPending | Running | PausePending | Paused | ContinuePending) => {
                Ok(StopPending)
            }
            (Control::Stop, StopPending) => Err(Refusal::Already),
            (Control::Stop, Stopped) => Err(Refusal::NotRunning),

            (Control::Pause, Running) => Ok(PausePending),
            (Control::Pause, PausePending | Paused) => Err(Refusal::Already),
            (Control::Continue, Paused) => Ok(ContinuePending),
            (Control::Continue, Running | ContinuePending) => Err(Refusal::Already),
            (Control::Pause, StartPending | ContinuePending | StopPending)
            | (Control::Continue, StartPending | PausePending | StopPending) => Err(Refusal::Busy),
            (Control::Pause | Control::Continue, Stopped) => Err(Refusal::NotRunning),
        }
    }

    /// The state that a pending change ends in; a settled state stays.
    pub(crate) fn settled(self) -> State {
        match self {
            State::StartPending | State::ContinuePending => State::Running,
            State::PausePending => State::Paused,
            State::StopPending => State::Stopped,
            State::Stopped | State::Running | State::Paused => self,
        }
    }

    /// The word for logs and for people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            State::Stopped => "stopped",
            State::StartPending => "start-pending",
            State::Running => "running",
            State::PausePending => "pause-pending",
            State::Paused => "paused",
            State::ContinuePending => "continue-pending",
            State::StopPending => "stop-pending",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Control::{Continue, Pause, Start, Stop};
    use super::Refusal::{Already, Busy, NotRunning};
    use super::State::{ContinuePending, PausePending, Paused, Running, StartPending, StopPending, Stopped};

    /// Every state by every control, written out by hand.
    #[test]
    fn every_control_in_every_state() {
        let controls = [Start, Stop, Pause, Continue];
        let table = [
            (Stopped, [Ok(StartPending), Err(NotRunning), Err(NotRunning), Err(NotRunning)]),
            (StartPending, [Err(Already), Ok(StopPending), Err(Busy), Err(Busy)]),
            (Running, [Err(Already), Ok(StopPending), Ok(PausePending), Err(Already)]),
            (PausePending, [Err(Already), Ok(StopPending), Err(Already), Err(Busy)]),
            (Paused, [Err(Already), Ok(StopPending), Err(Already), Ok(ContinuePending)]),
            (ContinuePending, [Err(Already), Ok(StopPending), Err(Busy), Err(Already)]),
            (StopPending, [Err(Busy), Err(Already), Err(Busy), Err(Busy)]),
        ];
        for (state, expected) in table {
            for (control, expected) in controls.into_iter().zip(expected) {
                assert_eq!(state.after(control), expected, "{control:?} in {state:?}");
            }
        }
    }

    #[test]
    fn a_pending_change_settles_once() {
        let pairs = [
            (Stopped, Stopped),
            (StartPending, Running),
            (Running, Running),
            (PausePending, Paused),
            (Paused, Paused),
            (ContinuePending, Running),
            (StopPending, Stopped),
        ];
        for (state, expected) in pairs {
            assert_eq!(state.settled(), expected, "{}", state.name());
            assert_eq!(expected.settled(), expected);
        }
    }
}
