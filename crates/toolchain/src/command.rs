//! The one place of this crate that starts other programs.
#![expect(
    clippy::disallowed_methods,
    reason = "output is followed as it comes and a silent program is given up"
)]

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Error, ErrorKind};

/// A line longer than this is handed on in pieces.
const LONGEST_LINE: u64 = 1 << 20;

/// One program to start, without input and with this process's own variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    name: String,
    args: Vec<String>,
    env: Vec<(String, String)>,
    folder: Option<PathBuf>,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Whether its exit code was 0.
    pub(crate) success: bool,
    /// Its exit code or signal in words.
    pub(crate) status: String,
    /// Standard output; where it was followed, both outputs in the order of arrival, at most their last 64 KiB.
    pub(crate) out: String,
    /// Standard error, unless it was followed.
    pub(crate) err: String,
}

impl Program {
    /// `name` is a name on PATH, or a path.
    pub(crate) fn new(name: impl Into<String>) -> Program {
        Program { name: name.into(), args: Vec::new(), env: Vec::new(), folder: None }
    }

    /// Adds one argument.
    pub(crate) fn arg(mut self, arg: impl Into<String>) -> Program {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    pub(crate) fn args<I: Into<String>>(mut self, args: impl IntoIterator<Item = I>) -> Program {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets one variable.
    pub(crate) fn env(mut self, name: &str, value: impl Into<String>) -> Program {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// Sets the folder it starts in.
    pub(crate) fn folder(mut self, folder: &Path) -> Program {
        self.folder = Some(folder.to_owned());
        self
    }

    /// The command line, for messages.
    pub(crate) fn line(&self) -> String {
        [self.name.as_str()]
            .into_iter()
            .chain(self.args.iter().map(String::as_str))
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Runs it to its end.
    pub(crate) fn run(&self) -> Result<Ended, Error> {
        let output = self.command().output().map_err(|cause| self.not_started(cause))?;
        Ok(Ended {
            success: output.status.success(),
            status: output.status.to_string(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Runs it and gives its standard output without the last line end; a failure is an error of `kind`.
    pub(crate) fn read(&self, kind: ErrorKind) -> Result<String, Error> {
        let ended = self.run()?;
        if !ended.success {
            return Err(self.failed(kind, &ended));
        }
        Ok(ended.out.trim_end_matches('\n').to_owned())
    }

    /// Whether it ends well within `patience`; one that does not answer is ended.
    pub(crate) fn answers(&self, patience: Duration) -> bool {
        let mut command = self.command();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let Ok(mut child) = command.spawn() else { return false };
        let start = Instant::now();
        while start.elapsed() < patience {
            match child.try_wait() {
                Ok(Some(status)) => return status.success(),
                Ok(None) => thread::sleep(Duration::from_millis(10)),
                Err(_) => break,
            }
        }
        end(&mut child);
        false
    }

    /// Runs it and gives every line of both outputs to `on_line`; a failure is an error of `kind` with the last lines.
    pub(crate) fn follow(&self, kind: ErrorKind, on_line: &mut dyn FnMut(&str)) -> Result<String, Error> {
        self.follow_with(None, kind, on_line)
    }

    /// The same, with its standard output written to `file`, from where that stands.
    pub(crate) fn follow_into(
        &self,
        file: &File,
        kind: ErrorKind,
        on_line: &mut dyn FnMut(&str),
    ) -> Result<(), Error> {
        let file = file.try_clone().map_err(|cause| self.not_started(cause))?;
        self.follow_with(Some(file), kind, on_line).map(drop)
    }

    fn follow_with(
        &self,
        out: Option<File>,
        kind: ErrorKind,
        on_line: &mut dyn FnMut(&str),
    ) -> Result<String, Error> {
        let (read, write) = io::pipe().map_err(|cause| self.not_started(cause))?;
        let out = match out {
            Some(file) => Stdio::from(file),
            None => Stdio::from(write.try_clone().map_err(|cause| self.not_started(cause))?),
        };
        let mut command = self.command();
        command.stdin(Stdio::null()).stdout(out).stderr(write);
        let mut child = command.spawn().map_err(|cause| self.not_started(cause))?;
        drop(command); // its ends of the pipe, so that the reading below ends
        let output = read_lines(read, on_line);
        let status = child.wait().map_err(|cause| self.not_started(cause))?;
        if !status.success() {
            let ended = Ended { success: false, status: status.to_string(), out: output, err: String::new() };
            return Err(self.failed(kind, &ended));
        }
        Ok(output)
    }

    /// The error for a program that ended badly, with its own last words.
    pub(crate) fn failed(&self, kind: ErrorKind, ended: &Ended) -> Error {
        let told = if ended.err.trim().is_empty() { &ended.out } else { &ended.err };
        let lines: Vec<_> = told.trim_end().lines().collect();
        let last = lines[lines.len().saturating_sub(20)..].join("\n");
        Error::new(kind, format!("`{}` failed ({}):\n{last}", self.line(), ended.status))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.name);
        command.args(&self.args).stdin(Stdio::null());
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command
    }

    fn not_started(&self, cause: io::Error) -> Error {
        let kind =
            if cause.kind() == io::ErrorKind::NotFound { ErrorKind::MissingTool } else { ErrorKind::Io };
        Error::new(kind, format!("`{}` cannot be started", self.name))
            .with_hint("run `cargo xtask doctor`")
            .with_source(cause)
    }
}

fn end(child: &mut Child) {
    // It may have ended by itself in between; either way it is waited for.
    let _ = child.kill();
    let _ = child.wait();
}

/// Hands on each line and keeps the last 64 KiB.
fn read_lines(output: impl Read, on_line: &mut dyn FnMut(&str)) -> String {
    const KEPT: usize = 64 * 1024;
    let (mut output, mut line, mut kept) = (BufReader::new(output), Vec::new(), String::new());
    while matches!(output.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line), Ok(1..)) {
        let text = String::from_utf8_lossy(&line);
        on_line(text.trim_end_matches(['\n', '\r']));
        kept.push_str(&text);
        if kept.len() > 2 * KEPT {
            let cut = kept.ceil_char_boundary(kept.len() - KEPT);
            kept.drain(..cut);
        }
        line.clear();
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Program {
        Program::new("sh").args(["-c", script])
    }

    #[test]
    fn reads_what_is_printed() {
        assert_eq!(shell("echo one; echo two").read(ErrorKind::Io).unwrap(), "one\ntwo");
        let moved = shell("echo $GIVEN $PWD").env("GIVEN", "yes").folder(Path::new("/"));
        assert_eq!(moved.read(ErrorKind::Io).unwrap(), "yes /");
    }

    #[test]
    fn a_failure_shows_the_command_and_its_last_words() {
        let error = shell("echo because >&2; exit 3").read(ErrorKind::EngineFailed).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::EngineFailed);
        assert!(error.to_string().contains("because") && error.to_string().contains("exit 3"), "{error}");
    }

    #[test]
    fn follows_both_outputs() {
        let mut lines = Vec::new();
        shell("echo one; echo two >&2")
            .follow(ErrorKind::Io, &mut |line| lines.push(line.to_owned()))
            .unwrap();
        assert_eq!(lines, ["one", "two"]);
    }

    #[test]
    fn a_silent_program_is_given_up() {
        assert!(shell("true").answers(Duration::from_secs(5)));
        assert!(!shell("false").answers(Duration::from_secs(5)));
        assert!(!shell("sleep 60").answers(Duration::from_millis(50)));
        assert!(!Program::new("no-such-program").answers(Duration::from_secs(5)));
    }
}
