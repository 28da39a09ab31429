//! The process that writes a dump: this program once more, with the file as its standard output. The guardian waits for
//! it, and ends it when that takes too long.

use std::fs::File;
use std::io::{self, Read};
use std::process::Child;
use std::time::{Duration, Instant};

use super::{Dump, Folder};
use crate::failure::{Cause, Failure};
use crate::os;

/// The command line's word; nothing that a person would give.
pub(crate) const WORD: &str = "dump-worker";
/// More of what it says is not read. Bytes.
const LONGEST_EXPLANATION: u64 = 4096;

/// Of whom, and what is known of the crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) process: u32,
    /// The thread that crashed, or the first.
    pub(crate) thread: u32,
    /// [`super::Crash::pointers`]; `None` for a worker that hangs.
    pub(crate) pointers: Option<u64>,
    /// Most bytes.
    pub(crate) limit: u64,
}

impl Request {
    /// From the words behind [`WORD`].
    pub(crate) fn parse(words: &[&str]) -> Option<Self> {
        let [process, thread, pointers, limit] = words else { return None };
        Some(Self {
            process: process.parse().ok()?,
            thread: thread.parse().ok()?,
            pointers: Some(pointers.parse().ok()?).filter(|pointers| *pointers != 0),
            limit: limit.parse().ok()?,
        })
    }

    fn words(&self) -> [String; 5] {
        let Self { process, thread, pointers, limit } = self;
        let pointers = pointers.unwrap_or(0);
        [WORD.to_owned(), process.to_string(), thread.to_string(), pointers.to_string(), limit.to_string()]
    }

    /// Writes the dump to standard output, in the process that was started for it.
    pub(crate) fn carry_out(&self) -> Result<(), Failure> {
        os::dump::write(self).map_err(|error| {
            let message = format!("cannot dump process {}: {error}", self.process);
            Failure::new(Cause::System, message, "")
        })
    }
}

/// Has the dump written, under `stem`.
pub(super) fn write(
    folder: &Folder,
    stem: &str,
    request: &Request,
    patience: Duration,
) -> Result<Dump, String> {
    let name = format!("{stem}.dmp");
    let refused = |error: io::Error| format!("{} is not written: {error}", folder.directory.display());
    let file = folder.begin(&name).map_err(refused)?;
    let request = Request { limit: request.limit.min(folder.max_bytes), ..*request };
    let written = run(&file, &request, patience).and_then(|()| {
        let bytes = file.metadata()?.len();
        match bytes {
            0 => Err(io::Error::other("it is empty")),
            _ if bytes > folder.max_bytes => {
                Err(io::Error::other(format!("it has {bytes} bytes, more than {}", folder.max_bytes)))
            }
            _ => Ok(bytes),
        }
    });
    // Windows renames no file that is open.
    drop(file);
    let bytes = folder.finish(&name, written).map_err(|error| error.to_string())?;
    Ok(Dump { file: name, bytes })
}

fn run(file: &File, request: &Request, patience: Duration) -> io::Result<()> {
    let mut child = os::spawn_dumper(&request.words(), file.try_clone()?)?;
    let ended = wait(&mut child, patience)?;
    if ended.is_none() {
        child.kill()?;
    }
    let status = child.wait()?;
    match ended {
        None => Err(io::Error::other(format!("it took longer than {} ms", patience.as_millis()))),
        Some(_) if status.success() => Ok(()),
        Some(_) => Err(io::Error::other(explanation(&mut child).unwrap_or_else(|| status.to_string()))),
    }
}

/// What it said on standard error, which a pipe still holds.
fn explanation(child: &mut Child) -> Option<String> {
    let mut text = Vec::new();
    child.stderr.take()?.take(LONGEST_EXPLANATION).read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text);
    let text = text.trim().trim_start_matches("error: ");
    (!text.is_empty()).then(|| text.to_owned())
}

/// The status of a process once it has ended; `None` when that takes longer than `patience`.
pub(crate) fn wait(child: &mut Child, patience: Duration) -> io::Result<Option<std::process::ExitStatus>> {
    let deadline = Instant::now() + patience;
    let mut pause = Duration::from_millis(1);
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
    child.try_wait()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_survives_the_command_line() {
        let request = Request { process: 1, thread: 2, pointers: Some(u64::MAX), limit: 4 };
        for request in [request, Request { pointers: None, ..request }] {
            let words = request.words();
            let words: Vec<_> = words.iter().skip(1).map(String::as_str).collect();
            assert_eq!(Request::parse(&words), Some(request));
        }
        for words in [&["1", "2", "3"][..], &["1", "2", "3", "-4"], &["1", "2", "3", "4", "5"]] {
            assert_eq!(Request::parse(words), None, "{words:?}");
        }
    }
}
