//! The command line's side of the control channel.

use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use super::protocol::{self, Answer, Request};
use crate::failure::{Cause, Failure};
use crate::os::socket;

/// A daemon answers at once, but for a control, which ends at a deadline of the daemon's own.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks the daemon that listens at `path`, and gives it `body` after that.
pub(crate) fn ask(path: &Path, request: &Request, body: &[u8]) -> Result<Answer, Failure> {
    let explain = |error: io::Error| {
        let (message, next) = match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => (
                format!("no daemon listens at {}", path.display()),
                "start it, or name its socket with --socket",
            ),
            io::ErrorKind::PermissionDenied => (
                format!("{} may only be used by its owner and its group", path.display()),
                "ask as the daemon's user, or as root",
            ),
            _ => (
                format!("the daemon at {} gave no answer: {error}", path.display()),
                "look at its log; it may just have ended",
            ),
        };
        Failure::new(Cause::NotRunning, message, next)
    };
    let mut stream = socket::connect(path).map_err(explain)?;
    let patience = (!matches!(request, Request::Control { .. })).then_some(PATIENCE);
    stream.set_timeout(patience).map_err(explain)?;
    // A daemon that refuses whoever asks may close before it has heard all.
    let sent = protocol::write(&mut stream, request)
        .and_then(|()| stream.write_all(body))
        .and_then(|()| stream.flush());
    protocol::read(&mut stream).map_err(|error| explain(sent.err().unwrap_or(error)))
}
