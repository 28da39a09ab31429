//! What is said on the control channel: a [`Request`] and an [`Answer`], each one line of JSON.

use std::io::{self, BufRead, BufReader, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::status::Status;
use crate::state::{Control, Refusal, State};

/// A longer line is refused before it is read. Bytes.
pub const LONGEST_LINE: u64 = 256 * 1024;

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// To change a state, and to answer when the change is done.
    Control {
        /// The change.
        control: Control,
        /// Whose; the service's if `None`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        workload: Option<String>,
    },
    /// To tell everything that is known.
    Status {},
    /// To open the log file again, which somebody has moved away.
    Reopen {},
}

/// What the daemon answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Answer {
    /// It is as was asked.
    Done {
        /// Whether it was so before.
        outcome: Outcome,
        /// The state it is in now.
        state: State,
    },
    /// What is known.
    Status {
        /// All of it.
        status: Box<Status>,
    },
    /// It was not done.
    Refused(Refused),
}

/// Whether a control changed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It did.
    Changed,
    /// It was so already.
    Already,
}

/// Why something was not done, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    /// For scripts.
    pub kind: RefusedKind,
    /// For people.
    pub message: String,
    /// The next step.
    pub next: String,
}

/// The kinds of refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusedKind {
    /// Another change is under way.
    Busy,
    /// It does not run.
    NotRunning,
    /// No workload has that name.
    UnknownWorkload,
    /// It ended in another state than the one that was asked for.
    NotReached,
    /// The configuration is not valid; the old one stays.
    BadConfiguration,
    /// This cannot be done here.
    NotSupported,
    /// The client may not ask.
    NotPermitted,
    /// The request cannot be understood.
    BadRequest,
    /// Too many clients ask at the same time.
    TooMany,
}

impl Refused {
    /// A refusal of `kind`.
    pub fn new(kind: RefusedKind, message: impl Into<String>, next: impl Into<String>) -> Self {
        Self { kind, message: message.into(), next: next.into() }
    }

    /// That `control` does not fit `state`; `whose` is the service or a workload.
    pub fn by_state(refusal: Refusal, control: Control, whose: &str, state: State) -> Self {
        let (kind, next) = match refusal {
            Refusal::Busy => (RefusedKind::Busy, "ask again when that is done"),
            Refusal::NotRunning => (RefusedKind::NotRunning, "start it first"),
        };
        Self::new(kind, format!("{whose} is {}: {} is not possible now", state.name(), control.name()), next)
    }
}

/// Reads one line of at most [`LONGEST_LINE`] bytes; fails on anything that is not a `T`.
pub fn read<T: DeserializeOwned>(from: impl Read) -> io::Result<T> {
    let mut line = Vec::new();
    BufReader::with_capacity(1024, from.take(LONGEST_LINE)).read_until(b'\n', &mut line)?;
    if line.last() != Some(&b'\n') {
        let kind = if line.is_empty() { io::ErrorKind::UnexpectedEof } else { io::ErrorKind::InvalidData };
        return Err(io::Error::new(kind, format!("no whole line in {} bytes", line.len())));
    }
    Ok(serde_json::from_slice(&line)?)
}

/// Writes one line.
pub fn write(mut to: impl Write, what: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(what)?;
    line.push(b'\n');
    to.write_all(&line)?;
    to.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_one_form() {
        let cases = [
            (
                Request::Control { control: Control::Continue, workload: Some("web".to_owned()) },
                r#"{"command":"control","control":"resume","workload":"web"}"#,
            ),
            (
                Request::Control { control: Control::Stop, workload: None },
                r#"{"command":"control","control":"stop"}"#,
            ),
            (Request::Status {}, r#"{"command":"status"}"#),
        ];
        for (request, text) in cases {
            let mut line = Vec::new();
            write(&mut line, &request).expect("written");
            assert_eq!(String::from_utf8(line.clone()).expect("UTF-8"), format!("{text}\n"));
            assert_eq!(read::<Request>(line.as_slice()).expect("read"), request);
        }
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let endless = vec![b' '; LONGEST_LINE as usize + 2];
        let deep = format!("{}\n", "[".repeat(100_000));
        let cases: [&[u8]; 8] = [
            b"",
            b"{\"command\":\"status\"}",
            b"{\"command\":\"dance\"}\n",
            b"{\"command\":\"status\",\"and\":1}\n",
            b"{\"command\":\"control\",\"control\":\"pause\",\"workload\":7}\n",
            b"\xff\xfe\n",
            deep.as_bytes(),
            &endless,
        ];
        for bytes in cases {
            assert!(
                read::<Request>(bytes).is_err(),
                "{}",
                String::from_utf8_lossy(&bytes[..bytes.len().min(60)])
            );
        }
    }
}
