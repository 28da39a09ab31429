//! The context of a crash: what is known without the dump, as JSON beside it, whose schema is
//! `docs/schema/seaworthyd-crash.json`.

use std::time::SystemTime;

use serde::Serialize;

use super::{Crash, Dump, Panic};
use crate::identity::Identity;
use crate::log::rfc3339;
use crate::os;
use crate::state::State;

/// How far from the stack pointer an access is one of the stack: a call's, or a probe's of a large frame. Bytes.
const NEAR_STACK: u64 = 64 * 1024;

/// All of it; what is not known is null.
#[derive(Debug, Serialize)]
pub(crate) struct Context {
    /// RFC 3339, UTC: when the worker had ended.
    pub(crate) time: String,
    /// Its number as a process.
    pub(crate) process: u32,
    /// How the process ended, as the system tells.
    pub(crate) ended: String,
    /// Whether the guardian ended it, for it gave no sign of life.
    pub(crate) hung: bool,
    pub(crate) crash: Option<Place>,
    pub(crate) panic: Option<Panic>,
    pub(crate) uptime_ms: u64,
    /// The last state of the service that the worker told.
    pub(crate) state: Option<State>,
    /// Why it ends, by its own words.
    pub(crate) last_words: Option<String>,
    pub(crate) program: Identity,
    pub(crate) dump: Option<Dump>,
    /// Why there is no dump.
    pub(crate) no_dump: Option<String>,
}

/// Where it crashed, for people and for programs.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Place {
    /// The signal's or exception's name.
    name: String,
    /// As [`Crash`] has them.
    number: u32,
    code: i32,
    /// Hexadecimal, like all addresses in a dump.
    address: String,
    is_stack_overflow: bool,
    thread: u32,
    thread_name: Option<String>,
}

impl Place {
    /// Of a crash of `process`, while that still waits.
    pub(crate) fn of(crash: &Crash, process: u32) -> Self {
        Self {
            name: os::crash::name(crash.what),
            number: crash.what,
            code: crash.code,
            address: format!("{:#x}", crash.address),
            is_stack_overflow: os::crash::is_stack_overflow(crash),
            thread: crash.thread,
            thread_name: os::crash::thread_name(process, crash.thread),
        }
    }
}

impl Crash {
    /// Whether what could not be accessed is about where the stack ends.
    pub(crate) fn is_near_stack(&self) -> bool {
        self.address.abs_diff(self.stack) <= NEAR_STACK
    }
}

impl Context {
    /// One object, for people too.
    pub(super) fn json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("texts, numbers and flags always serialise");
        text.push('\n');
        text
    }
}

/// RFC 3339, UTC.
pub(crate) fn now() -> String {
    let mut time = String::new();
    rfc3339(SystemTime::now(), &mut time);
    time
}
