//! Why a request was not done, and whether it is worth another try.

use std::fmt;
use std::io;
use std::time::Duration;

/// A request that did not end with a status of 200 to 299.
#[derive(Debug)]
pub enum Error {
    /// What was to be sent is not HTTP; the same again would be refused again.
    Request(&'static str),
    /// The host's name has no address now.
    Unresolved {
        /// The name.
        host: String,
        /// What the system's resolver said.
        cause: io::Error,
    },
    /// No address of the host took the connection.
    Refused {
        /// Host and port.
        authority: String,
        /// What the last address answered.
        cause: io::Error,
    },
    /// The deadline came first.
    TimedOut {
        /// What was under way.
        step: &'static str,
        /// How long the whole exchange was given.
        limit: Duration,
    },
    /// The connection broke before the answer was whole.
    Broken(io::Error),
    /// What came back is not an HTTP answer, or not a whole one.
    BadAnswer(&'static str),
    /// A whole answer, with a status outside 200 to 299; redirects are not followed.
    Status {
        /// The status code.
        code: u16,
        /// The server's `Retry-After`, where it is a number of seconds (RFC 9110, section 10.2.3).
        retry_after: Option<Duration>,
    },
}

impl Error {
    /// Whether the same request may succeed later. A request with an idempotency key may be sent again even when the
    /// server did its work and only the answer was lost.
    pub fn is_worth_a_retry(&self) -> bool {
        match self {
            Self::Request(_) => false,
            Self::Unresolved { .. }
            | Self::Refused { .. }
            | Self::TimedOut { .. }
            | Self::Broken(_)
            | Self::BadAnswer(_) => true,
            // Request timeout, too early, too many requests; then all server errors but "not implemented" and "version
            // not supported", which do not mend themselves.
            Self::Status { code, .. } => {
                matches!(code, 408 | 425 | 429) || (500..600).contains(code) && !matches!(code, 501 | 505)
            }
        }
    }

    /// One lasting word for metrics and logs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Request(_) => "bad-request",
            Self::Unresolved { .. } => "unresolved",
            Self::Refused { .. } => "refused",
            Self::TimedOut { .. } => "timed-out",
            Self::Broken(_) => "broken",
            Self::BadAnswer(_) => "bad-answer",
            Self::Status { .. } => "status",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(why) => write!(out, "the request cannot be sent: {why}"),
            Self::Unresolved { host, cause } => write!(out, "host {host:?} has no address: {cause}"),
            Self::Refused { authority, cause } => write!(out, "cannot connect to {authority}: {cause}"),
            Self::TimedOut { step, limit } => {
                write!(
                    out,
                    "{step} was not done when the {:.1} s for the exchange ended",
                    limit.as_secs_f64()
                )
            }
            Self::Broken(cause) => write!(out, "the connection broke: {cause}"),
            Self::BadAnswer(why) => write!(out, "the answer is not HTTP: {why}"),
            Self::Status { code, .. } => write!(out, "the server answered with status {code}"),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_mend_itself_is_tried_again() {
        let status = |code| Error::Status { code, retry_after: None };
        for code in [408, 425, 429, 500, 502, 503, 504, 507, 599] {
            assert!(status(code).is_worth_a_retry(), "{code}");
        }
        for code in [300, 301, 304, 400, 401, 404, 409, 410, 413, 422, 501, 505] {
            assert!(!status(code).is_worth_a_retry(), "{code}");
        }
        assert!(!Error::Request("x").is_worth_a_retry());
        assert!(Error::BadAnswer("x").is_worth_a_retry());
        assert!(Error::TimedOut { step: "x", limit: Duration::ZERO }.is_worth_a_retry());
    }
}
