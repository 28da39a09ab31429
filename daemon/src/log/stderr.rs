//! Standard error as a sink. Whoever reads it may stop reading: nothing here waits in the caller's time.

use std::io::{self, Write};

use super::record::Record;
use super::sink::Sink;

/// Standard error, a line of JSON a record.
#[derive(Default)]
pub(super) struct Stderr {
    line: String,
    /// The last line was not written to its end.
    torn: bool,
}

impl Sink for Stderr {
    fn name(&self) -> &'static str {
        "stderr"
    }

    fn offer(&mut self, record: &Record<'_>) -> io::Result<()> {
        self.render(record);
        if !takes_at_once(self.line.len()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.send()
    }

    fn write(&mut self, record: &Record<'_>) -> io::Result<()> {
        self.render(record);
        self.send()
    }
}

impl Stderr {
    fn render(&mut self, record: &Record<'_>) {
        self.line.clear();
        if self.torn {
            self.line.push('\n');
        }
        record.write_line(&mut self.line);
    }

    fn send(&mut self) -> io::Result<()> {
        let mut left = self.line.as_bytes();
        let mut stderr = io::stderr();
        while !left.is_empty() {
            match stderr.write(left) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    left = &left[written..];
                    self.torn = !left.is_empty();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Someone who shares the descriptor made it non-blocking.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && self.torn => wait_for_room(),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Whether so many bytes can be written without waiting.
#[cfg(unix)]
fn takes_at_once(length: usize) -> bool {
    use rustix::fs::FileType;

    /// A pipe that can be written to has room for this (pipe(7), `PIPE_BUF`). Bytes.
    const ROOM: usize = 4096;

    let kind = rustix::fs::fstat(rustix::stdio::stderr()).map(|stat| FileType::from_raw_mode(stat.st_mode));
    match kind {
        Ok(FileType::RegularFile) => true,
        Ok(FileType::Fifo | FileType::Socket) => {
            length <= ROOM && has_room(rustix::event::Timespec::default())
        }
        _ => false,
    }
}

/// A console waits while someone marks text in it.
#[cfg(windows)]
fn takes_at_once(_length: usize) -> bool {
    false
}

#[cfg(unix)]
fn has_room(patience: rustix::event::Timespec) -> bool {
    use rustix::event::{PollFd, PollFlags, poll};

    let stderr = rustix::stdio::stderr();
    let mut wanted = [PollFd::new(&stderr, PollFlags::OUT)];
    matches!(poll(&mut wanted, Some(&patience)), Ok(1)) && wanted[0].revents() == PollFlags::OUT
}

#[cfg(unix)]
fn wait_for_room() {
    has_room(rustix::event::Timespec { tv_sec: 1, tv_nsec: 0 });
}

#[cfg(windows)]
fn wait_for_room() {
    std::thread::sleep(std::time::Duration::from_millis(100));
}
