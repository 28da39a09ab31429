//! What workloads print: each line of standard output and standard error becomes a record.
//!
//! A thread of its own reads each stream, in memory that no output can grow, so that a workload never waits for the
//! daemon. It ends with the stream, or, where a process that the workload left behind still holds the stream, soon after
//! the workload.

mod limit;
mod lines;
mod source;

use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::thread;
use std::time::Instant;

use crate::log::{Event, Log, Value};
pub(crate) use limit::CaptureOptions;
pub(crate) use limit::OutputSettings;
use limit::{Suppressed, Verdict};
use lines::{Line, Lines};
pub(crate) use source::Output;
use source::{Ready, Source, Waker};

/// The thread's stack. Bytes.
const STACK: usize = 64 * 1024;

/// The reading of one stream. Dropping it is [`Capture::close`].
#[derive(Debug)]
pub(crate) struct Capture {
    waker: Option<Waker>,
    /// Disconnected when the thread has ended.
    over: Receiver<()>,
}

/// Reads `reader` to its end, a record a line. `options` are shared by all streams of a workload, over its restarts.
/// An error means that nobody reads: the workload would wait for ever when its pipe is full, so `reader` is dropped.
pub(crate) fn capture(
    workload: &str,
    stream: &'static str,
    reader: impl Output,
    log: &Log,
    options: &CaptureOptions,
) -> io::Result<Capture> {
    let (waker, source) = Source::new(reader)?;
    let (alive, over) = mpsc::channel();
    let reader = Reader {
        workload: workload.to_owned(),
        stream,
        log: log.clone(),
        options: options.clone(),
        _alive: alive,
    };
    thread::Builder::new().name("output".to_owned()).stack_size(STACK).spawn(move || reader.run(source))?;
    Ok(Capture { waker: Some(waker), over })
}

impl Capture {
    /// The workload has ended: what is in the stream is still read, but a process that was left behind is not waited
    /// for. On Windows such a process does not exist (its job has ended with the workload), and nothing changes.
    pub(crate) fn close(&mut self) {
        self.waker = None;
    }

    /// Whether the last record is written.
    pub(crate) fn is_over(&self) -> bool {
        self.over.try_recv() == Err(TryRecvError::Disconnected)
    }

    /// Closes it and waits for the last record; `false` if `deadline` was first.
    pub(crate) fn wait(mut self, deadline: Instant) -> bool {
        self.close();
        let patience = deadline.saturating_duration_since(Instant::now());
        self.over.recv_timeout(patience) == Err(RecvTimeoutError::Disconnected)
    }
}

/// The thread that reads one stream.
struct Reader {
    workload: String,
    stream: &'static str,
    log: Log,
    options: CaptureOptions,
    _alive: Sender<()>,
}

impl Reader {
    fn run(self, mut source: Source<impl Output>) {
        let mut lines = Lines::default();
        loop {
            match source.wait(self.options.has_suppressed()) {
                Ready::Output => {}
                // A workload that has become quiet: say what is missing.
                Ready::Quiet => {
                    self.tell(self.options.take_suppressed());
                    continue;
                }
                Ready::Abandoned => {
                    self.abandon();
                    break;
                }
            }
            match source.read(lines.room()) {
                Ok(0) => break,
                Ok(length) => lines.take(length, |line| self.record(&line)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The stream is gone, as at its end.
                Err(_) => break,
            }
        }
        lines.finish(|line| self.record(&line));
        self.tell(self.options.take_suppressed());
    }

    fn record(&self, line: &Line<'_>) {
        match self.options.admit(Instant::now(), line.bytes.len()) {
            Verdict::Suppress => return,
            Verdict::Admit(suppressed) => self.tell(suppressed),
        }
        let mut fields =
            vec![("workload", Value::text(&self.workload)), ("stream", Value::text(self.stream))];
        if let Some(part) = line.part {
            fields.push(("part", Value::number(part)));
            if line.is_last {
                fields.push(("parts", Value::number(part)));
            }
        }
        self.log.write(Event::WorkloadOutput, &String::from_utf8_lossy(line.bytes), &fields);
    }

    fn tell(&self, suppressed: Option<Suppressed>) {
        let Some(Suppressed { records, bytes }) = suppressed else { return };
        let fields = [
            ("workload", Value::text(&self.workload)),
            ("records", Value::number(records)),
            ("bytes", Value::number(bytes)),
        ];
        let message = "workload printed more than it may: output is missing here";
        self.log.write(Event::WorkloadOutputSuppressed, message, &fields);
    }

    fn abandon(&self) {
        let fields = [("workload", Value::text(&self.workload)), ("stream", Value::text(self.stream))];
        let message = "a process that the workload left behind holds its output, which is not read any more";
        self.log.write(Event::WorkloadOutputAbandoned, message, &fields);
    }
}

#[cfg(all(test, unix))]
mod tests;
