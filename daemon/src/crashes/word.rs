//! What a worker says when it crashes or panics.

use std::io::{Cursor, Write};

use serde::{Deserialize, Serialize};

/// Longer than any line of a crash. Bytes.
pub(crate) const LONGEST_LINE: usize = 160;

/// A crash as the handler says it: numbers alone, so that it can be written without memory, locks or trust.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Crash {
    /// The signal (signal(7)), on Windows the exception's code.
    pub(crate) what: u32,
    /// `si_code` of sigaction(2): 0 when a process sent the signal. Always 0 on Windows.
    pub(crate) code: i32,
    /// What could not be accessed, or the instruction; 0 when a process sent the signal.
    pub(crate) address: u64,
    /// The stack pointer.
    pub(crate) stack: u64,
    /// The thread, by the system's number.
    pub(crate) thread: u32,
    /// Where the worker has two addresses: the system's record of the crash, and the registers.
    pub(crate) pointers: u64,
}

impl Crash {
    /// The line in `memory`, between two ends: another thread may have begun one. Neither allocates nor locks.
    pub(crate) fn line<'a>(&self, memory: &'a mut [u8; LONGEST_LINE]) -> &'a [u8] {
        let Self { what, code, address, stack, thread, pointers } = self;
        let mut line = Cursor::new(&mut memory[..]);
        // Six numbers are never too long.
        let _ = writeln!(line, "\ncrashed {what} {code} {address} {stack} {thread} {pointers}");
        let length = line.position() as usize;
        &memory[..length]
    }

    /// From what stands behind `crashed ` in a line.
    pub(crate) fn parse(words: &str) -> Option<Self> {
        let mut words = words.split(' ');
        let crash = Self {
            what: words.next()?.parse().ok()?,
            code: words.next()?.parse().ok()?,
            address: words.next()?.parse().ok()?,
            stack: words.next()?.parse().ok()?,
            thread: words.next()?.parse().ok()?,
            pointers: words.next()?.parse().ok()?,
        };
        words.next().is_none().then_some(crash)
    }
}

/// A panic, by the panic itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Panic {
    pub(crate) message: String,
    /// File, line and column.
    pub(crate) place: String,
    /// The thread's name, where it has one.
    pub(crate) thread: Option<String>,
}
