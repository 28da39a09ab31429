//! systemd as the daemon's host, through its notification socket (sd_notify(3)).

use std::io;
use std::time::Duration;

use sd_notify::NotifyState;

use crate::guardian::Host;
use crate::state::State;

/// systemd, if it gave us a `NOTIFY_SOCKET` (sd_notify(3)); otherwise nobody.
pub(super) struct Systemd;

impl Host for Systemd {
    fn report(&mut self, state: State, patience: Duration) -> io::Result<()> {
        let microseconds = u32::try_from(patience.as_micros()).unwrap_or(u32::MAX);
        match state {
            State::Running => sd_notify::notify(&[NotifyState::Ready]),
            State::StopPending => {
                sd_notify::notify(&[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(microseconds)])
            }
            _ => Ok(()),
        }
    }

    fn reloading(&mut self) -> io::Result<()> {
        // The time tells systemd which of two reloads a READY=1 ends (sd_notify(3)).
        sd_notify::notify(&[NotifyState::Reloading, NotifyState::monotonic_usec_now()?])
    }

    fn pulse(&self) -> Option<Duration> {
        // sd_watchdog_enabled(3) advises half of it at the least. At a quarter the guardian still has time to find that its
        // worker hangs, and to start another, before systemd ends both.
        sd_notify::watchdog_enabled().map(|limit| limit / 4)
    }

    fn alive(&mut self) -> io::Result<()> {
        match sd_notify::watchdog_enabled() {
            Some(_) => sd_notify::notify(&[NotifyState::Watchdog]),
            None => Ok(()),
        }
    }
}
