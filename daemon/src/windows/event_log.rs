//! The Windows Event Log as a place for records ("Reporting Events" in the Windows documentation).
#![expect(unsafe_code, reason = "the Event Log has no safe interface")]

use std::io;
use std::ptr;

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::EventLog::{DeregisterEventSource, RegisterEventSourceW, ReportEventW};

use super::wide::{check, wide};
use crate::event_text::strings;
use crate::identity::NAME;
use crate::log::{Event, Level, Value};

/// The event source of this program. What it reports has its text from the program's own message table.
#[derive(Debug)]
pub(crate) struct EventLog(HANDLE);

// SAFETY: the handle is only passed to ReportEventW, which any thread may call, and closed once.
unsafe impl Send for EventLog {}

impl EventLog {
    /// Opens the source. One that is not registered reports too, but its events have no texts.
    pub(crate) fn open() -> io::Result<Self> {
        let name = wide(NAME);
        // SAFETY: null means this machine; the name ends with a NUL.
        let handle = unsafe { RegisterEventSourceW(ptr::null(), name.as_ptr()) };
        if handle.is_null() { Err(io::Error::last_os_error()) } else { Ok(Self(handle)) }
    }

    /// Reports one event: its number, the type of its level, the message and the fields.
    pub(crate) fn report(&self, event: Event, message: &str, fields: &[(&str, Value)]) -> io::Result<()> {
        let fields = fields.iter().map(|(name, value)| match value {
            Value::Text(text) => (*name, text.clone()),
            Value::Number(number) => (*name, number.to_string()),
        });
        let strings = strings(message, fields).map(|text| wide(&text));
        let pointers = strings.each_ref().map(|text| text.as_ptr());
        // SAFETY: the handle is open; there is no SID and no data; each of the two strings ends with a NUL.
        check(unsafe {
            ReportEventW(
                self.0,
                kind(event.level()),
                0,
                u32::from(event.id()),
                ptr::null_mut(),
                pointers.len() as u16,
                0,
                pointers.as_ptr(),
                ptr::null(),
            )
        })
    }
}

impl Drop for EventLog {
    fn drop(&mut self) {
        // SAFETY: the handle is open, and nobody else closes it.
        unsafe { DeregisterEventSource(self.0) };
    }
}

/// `wType` of `ReportEventW`.
fn kind(level: Level) -> u16 {
    match level {
        Level::Error => 0x1,
        Level::Warning => 0x2,
        Level::Info => 0x4,
        Level::AuditSuccess => 0x8,
        Level::AuditFailure => 0x10,
    }
}
