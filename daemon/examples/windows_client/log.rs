//! Stands for the daemon's log: its events, and the values of their fields.

#[path = "../../src/log/event.rs"]
mod event;

pub(crate) use event::{Event, Level};

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    Number(i64),
}
