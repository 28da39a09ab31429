//! The controls of a service manager: their numbers, what they ask of the service, and which it takes when.

use super::ServiceState;
use crate::guardian::Notice;
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

/// `SERVICE_ACCEPT_*` (winsvc.h).
pub(crate) const ACCEPT_STOP: u32 = 0x1;
pub(crate) const ACCEPT_PAUSE_CONTINUE: u32 = 0x2;
pub(crate) const ACCEPT_SHUTDOWN: u32 = 0x4;
pub(crate) const ACCEPT_PARAMCHANGE: u32 = 0x8;
pub(crate) const ACCEPT_PRESHUTDOWN: u32 = 0x100;

/// What the control `code` asks of the guardian; `None` for one that the service does not know. (Interrogate asks nothing
/// of it.)
pub(crate) fn notice_of(code: u32) -> Option<Notice> {
    match code {
        STOP | SHUTDOWN | PRESHUTDOWN => Some(Notice::Control(Control::Stop)),
        PAUSE => Some(Notice::Control(Control::Pause)),
        CONTINUE => Some(Notice::Control(Control::Continue)),
        // The configuration is to be read again.
        PARAMCHANGE => Some(Notice::Control(Control::Reload)),
        // Something else has moved the log files.
        REOPEN => Some(Notice::Reopen),
        _ => None,
    }
}

/// The `SERVICE_ACCEPT_*` bits of a service in `state`: a stop overtakes any other change, everything else waits.
pub(crate) fn accepted(state: ServiceState) -> u32 {
    let stop = ACCEPT_STOP | ACCEPT_SHUTDOWN | ACCEPT_PRESHUTDOWN;
    match state {
        ServiceState::Running | ServiceState::Paused => stop | ACCEPT_PAUSE_CONTINUE | ACCEPT_PARAMCHANGE,
        ServiceState::StartPending | ServiceState::PausePending | ServiceState::ContinuePending => stop,
        ServiceState::StopPending | ServiceState::Stopped => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_control_has_one_meaning() {
        let known: Vec<_> = (0..=300).filter_map(|code| Some((code, notice_of(code)?))).collect();
        let expected = [
            (1, Notice::Control(Control::Stop)),
            (2, Notice::Control(Control::Pause)),
            (3, Notice::Control(Control::Continue)),
            (5, Notice::Control(Control::Stop)),
            (6, Notice::Control(Control::Reload)),
            (15, Notice::Control(Control::Stop)),
            (128, Notice::Reopen),
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
