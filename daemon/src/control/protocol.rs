//! What is said on the control channel: a [`Request`] and an [`Answer`], each one line of JSON.

use std::io::{self, BufRead, BufReader, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::status::Status;
use crate::metrics::ControlOutcome;
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
    /// To take in a task. Its body follows the line.
    Push {
        /// The body's length. Bytes.
        length: u64,
        /// What is to be done with it.
        #[serde(default)]
        task: Task,
    },
    /// To list dead letters, some at a time.
    DeadLetters {
        /// Those after this task; 0 for the first.
        #[serde(default)]
        after: u64,
    },
    /// To try a dead letter again.
    Replay {
        /// Which; all of them if `None`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        task: Option<u64>,
    },
    /// To throw a dead letter away.
    Discard {
        /// Which; all of them if `None`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        task: Option<u64>,
    },
}

/// A task that a client pushes, but for its body.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// The configured command that gets the body; the collector does if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Tasks of one order key are done one at a time, in the order of their pushes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_key: Option<String>,
    /// A second task with this key is not taken in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// After so many seconds it is given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_seconds: Option<u64>,
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
    /// The task is on disk.
    Pushed {
        /// Its number.
        task: u64,
        /// It was there before, by its idempotency key.
        is_repeat: bool,
    },
    /// Some dead letters; none when there are no more.
    DeadLetters {
        /// In the order of their numbers.
        letters: Vec<DeadLetter>,
    },
    /// So many tasks were dealt with.
    Tasks {
        /// How many.
        count: u64,
    },
    /// It was not done.
    Refused(Refused),
}

impl Answer {
    /// What it is to who counts.
    pub(crate) fn outcome(&self) -> ControlOutcome {
        match self {
            Self::Done { outcome: Outcome::Already, .. } | Self::Pushed { is_repeat: true, .. } => {
                ControlOutcome::Already
            }
            Self::Refused(refused) if refused.kind == RefusedKind::NotReached => ControlOutcome::Failed,
            Self::Refused(_) => ControlOutcome::Refused,
            _ => ControlOutcome::Done,
        }
    }
}

/// A task that was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeadLetter {
    /// Its number.
    pub task: u64,
    /// `deliver` or `command`; `None` if its record is damaged.
    pub kind: Option<String>,
    /// As it was pushed.
    pub order_key: Option<String>,
    /// As it was pushed, or made up then; `None` if its record is damaged.
    pub idempotency_key: Option<String>,
    /// When it was given up. Milliseconds since 1970.
    pub died_unix_ms: u64,
    /// How many attempts failed.
    pub failures: u32,
    /// Why.
    pub reason: String,
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
    /// The daemon has no queue.
    NoQueue,
    /// The queue or its disk is full.
    Full,
    /// The queue's disk fails.
    DiskFailed,
    /// No dead letter has that number.
    UnknownTask,
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

/// Reads one line of at most [`LONGEST_LINE`] bytes; fails on anything that is not a `T`. What follows the line may be
/// lost.
pub fn read<T: DeserializeOwned>(from: impl Read) -> io::Result<T> {
    read_line(&mut BufReader::with_capacity(1024, from))
}

/// Reads one line as [`read`] does, and nothing after it.
pub fn read_line<T: DeserializeOwned>(from: &mut impl BufRead) -> io::Result<T> {
    let mut line = Vec::new();
    from.take(LONGEST_LINE).read_until(b'\n', &mut line)?;
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
            (
                Request::Push { length: 3, task: Task { run: Some("x".to_owned()), ..Task::default() } },
                r#"{"command":"push","length":3,"task":{"run":"x"}}"#,
            ),
            (Request::Replay { task: None }, r#"{"command":"replay"}"#),
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
        let cases: [&[u8]; 10] = [
            b"",
            b"{\"command\":\"status\"}",
            b"{\"command\":\"dance\"}\n",
            b"{\"command\":\"status\",\"and\":1}\n",
            b"{\"command\":\"control\",\"control\":\"pause\",\"workload\":7}\n",
            b"{\"command\":\"push\",\"length\":-1}\n",
            b"{\"command\":\"push\",\"length\":1,\"task\":{\"urgent\":true}}\n",
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
