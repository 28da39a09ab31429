//! A stream that can be given up while nothing comes from it.

use std::io::{self, Read};

#[cfg(unix)]
pub(super) use unix::{Source, Waker};
#[cfg(windows)]
pub(super) use windows::{Source, Waker};

/// What a capture can read from: a pipe.
#[cfg(unix)]
pub(crate) trait Output: Read + std::os::fd::AsFd + Send + 'static {}
#[cfg(unix)]
impl<T: Read + std::os::fd::AsFd + Send + 'static> Output for T {}

/// What a capture can read from: a pipe.
#[cfg(windows)]
pub(crate) trait Output: Read + Send + 'static {}
#[cfg(windows)]
impl<T: Read + Send + 'static> Output for T {}

/// Why waiting has ended.
#[cfg_attr(windows, expect(dead_code, reason = "reading itself waits there"))]
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ready {
    /// Reading will not wait.
    Output,
    /// Nothing came for a while.
    Quiet,
    /// The workload has ended, and so has the patience with what it left behind.
    Abandoned,
}

#[cfg(unix)]
mod unix {
    use std::io::PipeWriter;
    use std::time::{Duration, Instant};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::Errno;

    use super::{Output, Ready, io};

    /// What counts as a while.
    const QUIET: Duration = Duration::from_secs(1);
    /// How long an ended workload's stream may be silent. What the workload itself wrote is there already.
    const SILENCE: Duration = Duration::from_millis(500);
    /// No pipe holds more (pipe(7), `pipe-max-size`): what comes after that was not written by the workload. Bytes.
    const LARGEST_PIPE: usize = 1 << 20;
    /// How long an ended workload's stream is read at the most.
    const PATIENCE: Duration = Duration::from_secs(10);

    /// Ends the patience when dropped.
    pub(in super::super) type Waker = PipeWriter;

    #[derive(Debug)]
    pub(in super::super) struct Source<R> {
        output: R,
        /// At its end when the waker is dropped; `None` from then on.
        waker: Option<io::PipeReader>,
        /// From then on: when the patience ends, and how many bytes may still come.
        end: Option<Instant>,
        left: usize,
    }

    impl<R: Output> Source<R> {
        pub(in super::super) fn new(output: R) -> io::Result<(Waker, Self)> {
            let (reader, writer) = io::pipe()?;
            Ok((writer, Self { output, waker: Some(reader), end: None, left: LARGEST_PIPE }))
        }

        /// Waits for output; if `until_quiet`, not for long.
        pub(in super::super) fn wait(&mut self, until_quiet: bool) -> Ready {
            loop {
                if self.end.is_some_and(|end| self.left == 0 || Instant::now() >= end) {
                    return Ready::Abandoned;
                }
                let patience = match self.end {
                    Some(_) => Some(SILENCE),
                    None => until_quiet.then_some(QUIET),
                };
                let (has_output, was_dropped) = match self.poll(patience) {
                    Ok(found) => found,
                    Err(Errno::INTR) => continue,
                    // Reading tells what is wrong.
                    Err(_) => return Ready::Output,
                };
                if was_dropped {
                    self.waker = None;
                    self.end = Some(Instant::now() + PATIENCE);
                }
                match (has_output, was_dropped, self.end) {
                    (true, ..) => return Ready::Output,
                    (false, true, _) => {}
                    (false, false, Some(_)) => return Ready::Abandoned,
                    (false, false, None) => return Ready::Quiet,
                }
            }
        }

        /// Whether there is output, or its end, and whether the waker was dropped.
        fn poll(&self, patience: Option<Duration>) -> Result<(bool, bool), Errno> {
            let patience = patience.map(|patience| Timespec {
                tv_sec: patience.as_secs().cast_signed(),
                tv_nsec: i64::from(patience.subsec_nanos()),
            });
            let output = PollFd::new(&self.output, PollFlags::IN);
            let Some(waker) = &self.waker else {
                return Ok((poll(&mut [output], patience.as_ref())? > 0, false));
            };
            let mut both = [output, PollFd::new(waker, PollFlags::IN)];
            poll(&mut both, patience.as_ref())?;
            Ok((!both[0].revents().is_empty(), !both[1].revents().is_empty()))
        }

        pub(in super::super) fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            let length = self.output.read(room)?;
            if self.end.is_some() {
                self.left = self.left.saturating_sub(length);
            }
            Ok(length)
        }
    }
}

#[cfg(windows)]
mod windows {
    use super::{Output, Ready, io};

    /// A process of the workload's job cannot outlive it: the stream ends by itself.
    pub(in super::super) type Waker = ();

    #[derive(Debug)]
    pub(in super::super) struct Source<R>(R);

    impl<R: Output> Source<R> {
        #[expect(clippy::unnecessary_wraps, reason = "as on Linux")]
        pub(in super::super) fn new(output: R) -> io::Result<(Waker, Self)> {
            Ok(((), Self(output)))
        }

        /// Reading waits.
        pub(in super::super) fn wait(&mut self, _until_quiet: bool) -> Ready {
            Ready::Output
        }

        pub(in super::super) fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            self.0.read(room)
        }
    }
}
