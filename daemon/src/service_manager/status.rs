//! What a service does, in the system's numbers.

use crate::state::State;
use std::time::Duration;

/// `dwCurrentState` of `SERVICE_STATUS_PROCESS` ([MS-SCMR] 2.2.49).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum ServiceState {
    Stopped = 1,
    StartPending = 2,
    StopPending = 3,
    Running = 4,
    ContinuePending = 5,
    PausePending = 6,
    Paused = 7,
}

impl ServiceState {
    /// `None` for a number that is none of the seven.
    pub(crate) fn from_raw(number: u32) -> Option<Self> {
        use ServiceState::{
            ContinuePending, PausePending, Paused, Running, StartPending, StopPending, Stopped,
        };
        [Stopped, StartPending, StopPending, Running, ContinuePending, PausePending, Paused]
            .into_iter()
            .find(|state| *state as u32 == number)
    }

    /// Whether a change is under way.
    pub(crate) fn is_pending(self) -> bool {
        self != self.settled()
    }

    /// What a pending change ends in.
    pub(crate) fn settled(self) -> Self {
        match self {
            Self::StartPending | Self::ContinuePending | Self::Running => Self::Running,
            Self::PausePending | Self::Paused => Self::Paused,
            Self::StopPending | Self::Stopped => Self::Stopped,
        }
    }

    /// The word that `seaworthyd status` prints, on every system.
    pub(crate) fn name(self) -> &'static str {
        State::from(self).name()
    }
}

impl From<ServiceState> for State {
    fn from(state: ServiceState) -> Self {
        match state {
            ServiceState::Stopped => Self::Stopped,
            ServiceState::StartPending => Self::StartPending,
            ServiceState::Running => Self::Running,
            ServiceState::PausePending => Self::PausePending,
            ServiceState::Paused => Self::Paused,
            ServiceState::ContinuePending => Self::ContinuePending,
            ServiceState::StopPending => Self::StopPending,
        }
    }
}

/// `SERVICE_STATUS_PROCESS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) state: ServiceState,
    /// `SERVICE_ACCEPT_*` bits.
    pub(crate) accepted: u32,
    /// A system error number; 1066 says that `service_exit_code` tells more.
    pub(crate) exit_code: u32,
    pub(crate) service_exit_code: u32,
    /// Goes up while a change is under way.
    pub(crate) checkpoint: u32,
    /// Within this time the checkpoint moves, or something is wrong.
    pub(crate) wait_hint: Duration,
    /// 0 without a process.
    pub(crate) pid: u32,
}

impl Status {
    /// A line for people: the state, then what is known beyond it.
    pub(crate) fn describe(&self) -> String {
        let mut line = self.state.name().to_owned();
        if self.pid != 0 {
            line += &format!(" (pid {})", self.pid);
        }
        match (self.exit_code, self.service_exit_code) {
            _ if self.state != ServiceState::Stopped => {}
            (0, _) => {}
            (super::code::SERVICE_SPECIFIC_ERROR, code) => line += &format!(" (exit code {code})"),
            (super::code::SERVICE_NEVER_STARTED, _) => line += " (never started)",
            (code, _) => line += &format!(" (system error {code})"),
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seven_states_have_their_numbers() {
        let names: Vec<_> = (0..10).filter_map(ServiceState::from_raw).map(ServiceState::name).collect();
        let expected = [
            "stopped",
            "start-pending",
            "stop-pending",
            "running",
            "continue-pending",
            "pause-pending",
            "paused",
        ];
        assert_eq!(names, expected);
        assert_eq!(ServiceState::from_raw(0), None);
        assert_eq!(ServiceState::from_raw(8), None);
    }

    #[test]
    fn the_line_says_why_it_stopped() {
        let status = Status {
            state: ServiceState::Stopped,
            accepted: 0,
            exit_code: 1066,
            service_exit_code: 3,
            checkpoint: 0,
            wait_hint: Duration::ZERO,
            pid: 0,
        };
        assert_eq!(status.describe(), "stopped (exit code 3)");
        assert_eq!(Status { exit_code: 5, ..status }.describe(), "stopped (system error 5)");
        assert_eq!(Status { exit_code: 1077, ..status }.describe(), "stopped (never started)");
        assert_eq!(Status { exit_code: 0, ..status }.describe(), "stopped");
        let running = Status { state: ServiceState::Running, pid: 7, exit_code: 0, ..status };
        assert_eq!(running.describe(), "running (pid 7)");
    }
}
