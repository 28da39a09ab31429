//! The one place that starts programs: a container engine that writes an image's files to a pipe. Nothing in the image runs.
#![expect(clippy::disallowed_methods, reason = "this is the crate's one command module")]

use std::io::Read as _;
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::{Error, ErrorKind};

/// `ENGINE export`, running, of a container that was made for it and is never started.
pub(crate) struct Export {
    engine: String,
    image: String,
    container: String,
    child: Child,
}

impl Export {
    pub(crate) fn start(engine: &str, image: &str) -> Result<(Export, ChildStdout), Error> {
        let refused = |what: &str| {
            Error::new(ErrorKind::Engine, format!("{engine} does not give the image {image}: {what}"))
                .with_hint(format!(
                    "see whether `{engine} image ls` has it, or name an archive that `{engine} export` wrote"
                ))
        };
        // Some images have no command; one that is never started may be anything.
        let made = Command::new(engine).args(["create", "--network", "none", "--", image, "true"]).output();
        let made = made.map_err(|error| refused(&error.to_string()))?;
        if !made.status.success() {
            return Err(refused(String::from_utf8_lossy(&made.stderr).trim()));
        }
        let container = String::from_utf8_lossy(&made.stdout).trim().to_owned();
        let mut export = Command::new(engine);
        let export = export
            .args(["export", &container])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = export.spawn().map_err(|error| refused(&error.to_string()))?;
        let stream = child.stdout.take().ok_or_else(|| refused("it has no output"))?;
        Ok((Export { engine: engine.to_owned(), image: image.to_owned(), container, child }, stream))
    }

    /// Waits for its end. Reading may have ended before: then its broken pipe says nothing.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        let mut complaints = String::new();
        if let Some(stream) = self.child.stderr.take() {
            let _ = stream.take(4096).read_to_string(&mut complaints);
        }
        let status = self.child.wait();
        if status.is_ok_and(|status| status.success()) || complaints.contains("broken pipe") {
            return Ok(());
        }
        let message =
            format!("{} does not give the image {}: {}", self.engine, self.image, complaints.trim());
        Err(Error::new(ErrorKind::Engine, message)
            .with_hint(format!("see whether `{} info` answers", self.engine)))
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = Command::new(&self.engine).args(["rm", "--force", &self.container]).output();
    }
}
