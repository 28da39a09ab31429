//! The one place that starts programs: a container engine that writes an image to a pipe.
#![expect(clippy::disallowed_methods, reason = "this is the crate's one command module")]

use std::io::Read;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::{self, JoinHandle};

use crate::{Error, ErrorKind};

/// How much of the engine's complaints is kept.
const KEPT: u64 = 16 << 10;

/// `ENGINE save IMAGE`, running.
pub(crate) struct Save {
    command: String,
    child: Child,
    complaints: Option<JoinHandle<String>>,
}

impl Save {
    /// Starts the engine, and gives what it writes.
    pub(crate) fn start(engine: &str, image: &str) -> Result<(Save, ChildStdout), Error> {
        let command = format!("{engine} save {image}");
        let refused = |what: String| {
            Error::new(ErrorKind::Engine, format!("`{command}`: {what}"))
                .with_hint(format!("start {engine}, or save the image to a file and name that"))
        };
        let mut child = Command::new(engine)
            .args(["save", "--", image])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| refused(error.to_string()))?;
        let complaints = child.stderr.take().map(|mut stream| {
            thread::spawn(move || {
                let mut kept = Vec::new();
                let _ = (&mut stream).take(KEPT).read_to_end(&mut kept);
                // Read on to the end, so that a talkative engine is not stopped by a full pipe.
                let _ = std::io::copy(&mut stream, &mut std::io::sink());
                String::from_utf8_lossy(&kept).trim().to_owned()
            })
        });
        let Some(output) = child.stdout.take() else { return Err(refused("it has no output".to_owned())) };
        Ok((Save { command, child, complaints }, output))
    }

    /// Waits for the engine, whose output was read to its end or dropped before it.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        let status = self.child.wait();
        let complaints = self.complaints.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => {
                let message = format!("`{}` ended with {status}: {complaints}", self.command);
                Err(Error::new(ErrorKind::Engine, message)
                    .with_hint("name an image that the engine lists, such as docker://NAME:TAG"))
            }
            Err(error) => Err(Error::new(
                ErrorKind::Engine,
                format!("`{}` cannot be waited for: {error}", self.command),
            )),
        }
    }
}

impl Drop for Save {
    fn drop(&mut self) {
        // Nothing is left running when reading ends early; after `finish` it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
