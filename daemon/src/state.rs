//! The states of the service and of each workload, and the controls they take in each: one table for command lines, Linux
//! signals and the Windows service manager (the first seven states are those of Microsoft's `SERVICE_STATUS`).

use serde::{Deserialize, Serialize};

/// What the service or a workload is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It does not run, as wanted.
    Stopped,
    /// It has been started and is not ready yet.
    StartPending,
    /// It runs and is ready.
    Running,
    /// It finishes what it has begun.
    PausePending,
    /// It takes no new work; what has ended stays ended.
    Paused,
    /// A pause is ending.
    ContinuePending,
    /// It has been asked to end.
    StopPending,
    /// It has ended by itself and will be started again.
    Backoff,
    /// It does not run, and not because that is wanted.
    Failed,
}

/// What is asked of the service or of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Control {
    /// To run.
    Start,
    /// To end.
    Stop,
    /// To end and to run again.
    Restart,
    /// To take no new work.
    Pause,
    /// To end a pause.
    #[serde(rename = "resume")]
    Continue,
    /// To read the configuration again.
    Reload,
}

/// What a control does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It leads here.
    To(State),
    /// Nothing: what was asked is so already, or on its way.
    Already,
    /// Something that is no change of state.
    Stay,
}

/// Why a control is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// Another change is under way; ask again when it is done.
    Busy,
    /// It does not run.
    NotRunning,
}

impl State {
    /// Every state, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::Stopped,
        Self::StartPending,
        Self::Running,
        Self::PausePending,
        Self::Paused,
        Self::ContinuePending,
        Self::StopPending,
        Self::Backoff,
        Self::Failed,
    ];

    /// What `control` does in this state. Asking twice does no harm: the second time is [`Step::Already`].
    pub(crate) fn after(self, control: Control) -> Result<Step, Refusal> {
        use State::{
            Backoff, ContinuePending, Failed, PausePending, Paused, Running, StartPending, StopPending,
            Stopped,
        };
        match (control, self) {
            (Control::Start, Stopped | Backoff | Failed) => Ok(Step::To(StartPending)),
            (Control::Start, StopPending) => Err(Refusal::Busy),
            (Control::Start, _) => Ok(Step::Already),

            // A stop is the one wish that overtakes any other.
            (Control::Stop, StartPending | Running | PausePending | Paused | ContinuePending) => {
                Ok(Step::To(StopPending))
            }
            (Control::Stop, Backoff | Failed) => Ok(Step::To(Stopped)),
            (Control::Stop, StopPending | Stopped) => Ok(Step::Already),

            (Control::Restart, Stopped | Backoff | Failed) => Ok(Step::To(StartPending)),
            (Control::Restart, StopPending) => Err(Refusal::Busy),
            (Control::Restart, _) => Ok(Step::To(StopPending)),

            (Control::Pause, Running | Backoff) => Ok(Step::To(PausePending)),
            (Control::Pause, PausePending | Paused) => Ok(Step::Already),
            (Control::Continue, Paused) => Ok(Step::To(ContinuePending)),
            (Control::Continue, Running | Backoff | ContinuePending) => Ok(Step::Already),
            (Control::Reload, Running | Paused | Backoff) => Ok(Step::Stay),
            (Control::Pause | Control::Continue | Control::Reload, Stopped | Failed) => {
                Err(Refusal::NotRunning)
            }
            (Control::Pause, StartPending | ContinuePending | StopPending)
            | (Control::Continue, StartPending | PausePending | StopPending)
            | (Control::Reload, StartPending | PausePending | ContinuePending | StopPending) => {
                Err(Refusal::Busy)
            }
        }
    }

    /// Whether a change is under way; it ends by itself, at its deadline at the latest.
    pub(crate) fn is_pending(self) -> bool {
        matches!(self, Self::StartPending | Self::PausePending | Self::ContinuePending | Self::StopPending)
    }

    /// The word for logs and for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::StartPending => "start-pending",
            Self::Running => "running",
            Self::PausePending => "pause-pending",
            Self::Paused => "paused",
            Self::ContinuePending => "continue-pending",
            Self::StopPending => "stop-pending",
            Self::Backoff => "backoff",
            Self::Failed => "failed",
        }
    }
}

impl Control {
    /// Every control.
    pub const ALL: [Self; 6] =
        [Self::Start, Self::Stop, Self::Restart, Self::Pause, Self::Continue, Self::Reload];

    /// The command's word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Pause => "pause",
            Self::Continue => "resume",
            Self::Reload => "reload",
        }
    }
}

impl Refusal {
    /// The word for logs and for scripts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::NotRunning => "not-running",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Refusal::{Busy, NotRunning};
    use super::State::{
        Backoff, ContinuePending, Failed, PausePending, Paused, Running, StartPending, StopPending, Stopped,
    };
    use super::Step::{Already, Stay, To};
    use super::*;

    /// Every state by every control, written out by hand: start, stop, restart, pause, resume, reload.
    #[test]
    fn every_control_in_every_state() {
        let start = Ok(To(StartPending));
        let stop = Ok(To(StopPending));
        let same = Ok(Already);
        let (busy, down) = (Err(Busy), Err(NotRunning));
        let table = [
            (Stopped, [start, same, start, down, down, down]),
            (StartPending, [same, stop, stop, busy, busy, busy]),
            (Running, [same, stop, stop, Ok(To(PausePending)), same, Ok(Stay)]),
            (PausePending, [same, stop, stop, same, busy, busy]),
            (Paused, [same, stop, stop, same, Ok(To(ContinuePending)), Ok(Stay)]),
            (ContinuePending, [same, stop, stop, busy, same, busy]),
            (StopPending, [busy, same, busy, busy, busy, busy]),
            (Backoff, [start, Ok(To(Stopped)), start, Ok(To(PausePending)), same, Ok(Stay)]),
            (Failed, [start, Ok(To(Stopped)), start, down, down, down]),
        ];
        assert_eq!(table.map(|row| row.0), State::ALL);
        for (state, expected) in table {
            for (control, expected) in Control::ALL.into_iter().zip(expected) {
                assert_eq!(state.after(control), expected, "{control:?} in {state:?}");
            }
        }
    }

    #[test]
    fn words_are_the_same_for_people_and_for_scripts() {
        for state in State::ALL {
            assert_eq!(serde_json::to_value(state).expect("a word"), state.name());
        }
        for control in Control::ALL {
            assert_eq!(serde_json::to_value(control).expect("a word"), control.name());
        }
        for refusal in [Busy, NotRunning] {
            assert_eq!(serde_json::to_value(refusal).expect("a word"), refusal.name());
        }
    }
}
