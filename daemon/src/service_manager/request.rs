//! The controls of a service manager: their numbers, what they ask of the service, and which it takes when.

use super::ServiceState;
use crate::state::Control;

/// `SERVICE_CONTROL_*` (winsvc.h).
pub(crate) const STOP: u32 = 1;
pub(crate) const PAUSE: u32 = 2;
pub(crate) const CONTINUE: u32 = 3;
pub(crate) const INTERROGATE: u32 = 4;
pub(crate) const SHUTDOWN: u32 = 5;
pub(crate) const PARAMCHANGE: u32 = 6;
pub(crate) const PRESHUTDOWN: u32 = 15;
/// The first of the controls that each service defines for itself, up to 255.
pub(crate) const REOPEN: u32 = 128;
pub(crate) const DUMP_STATUS: u32 = 129;

/// `SERVICE_ACCEPT_*` (winsvc.h).
pub(crate) const ACCEPT_STOP: u32 = 0x1;
pub(crate) const ACCEPT_PAUSE_CONTINUE: u32 = 0x2;
pub(crate) const ACCEPT_SHUTDOWN: u32 = 0x4;
pub(crate) const ACCEPT_PARAMCHANGE: u32 = 0x8;
pub(crate) const ACCEPT_PRESHUTDOWN: u32 = 0x100;

/// What a control asks of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Stop,
    Pause,
    Continue,
    /// Read the configuration again.
    Reload,
    /// Open the log files again, after something else has moved them.
    Reopen,
    /// Write the status into the log.
    DumpStatus,
}

/// What the control `code` asks; `None` for one that the service does not know. (Interrogate asks nothing of it.)
pub(crate) fn request_of(code: u32) -> Option<Request> {
    match code {
        STOP | SHUTDOWN | PRESHUTDOWN => Some(Request::Stop),
        PAUSE => Some(Request::Pause),
        CONTINUE => Some(Request::Continue),
        PARAMCHANGE => Some(Request::Reload),
        REOPEN => Some(Request::Reopen),
        DUMP_STATUS => Some(Request::DumpStatus),
        _ => None,
    }
}

impl Request {
    /// The supervisor's word for it; `None` while it has none.
    pub(crate) fn control(self) -> Option<Control> {
        match self {
            Self::Stop => Some(Control::Stop),
            Self::Pause => Some(Control::Pause),
            Self::Continue => Some(Control::Continue),
            Self::Reload | Self::Reopen | Self::DumpStatus => None,
        }
    }
}

/// The `SERVICE_ACCEPT_*` bits of a service in `state`: a stop overtakes any other change, everything else waits.
pub(crate) fn accepted(state: ServiceState) -> u32 {
    let stop = ACCEPT_STOP | ACCEPT_SHUTDOWN | ACCEPT_PRESHUTDOWN;
    let reload = if Request::Reload.control().is_some() { ACCEPT_PARAMCHANGE } else { 0 };
    match state {
        ServiceState::Running | ServiceState::Paused => stop | ACCEPT_PAUSE_CONTINUE | reload,
        ServiceState::StartPending | ServiceState::PausePending | ServiceState::ContinuePending => stop,
        ServiceState::StopPending | ServiceState::Stopped => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_control_has_one_meaning() {
        let known: Vec<_> = (0..=300).filter_map(|code| Some((code, request_of(code)?))).collect();
        let expected = [
            (1, Request::Stop),
            (2, Request::Pause),
            (3, Request::Continue),
            (5, Request::Stop),
            (6, Request::Reload),
            (15, Request::Stop),
            (128, Request::Reopen),
            (129, Request::DumpStatus),
        ];
        assert_eq!(known, expected);
    }

    #[test]
    fn nothing_is_taken_while_stopping_and_only_a_stop_while_changing() {
        assert_eq!(accepted(ServiceState::StopPending) | accepted(ServiceState::Stopped), 0);
        for state in [ServiceState::StartPending, ServiceState::PausePending, ServiceState::ContinuePending] {
            assert_eq!(accepted(state), 0x105, "{state:?}");
        }
        assert_eq!(accepted(ServiceState::Running) & 0x107, 0x107);
        assert_eq!(accepted(ServiceState::Running), accepted(ServiceState::Paused));
    }
}
