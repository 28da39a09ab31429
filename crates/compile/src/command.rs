//! The one place of this crate that starts other programs.
#![expect(
    clippy::disallowed_methods,
    reason = "output is streamed line by line as it comes, which xshell cannot"
)]

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

use crate::{Error, ErrorKind};

/// A line longer than this is handed on in pieces: memory stays bounded whatever a build script prints.
const LONGEST_LINE: u64 = 1 << 20;

/// One program to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommandLine {
    /// A name on PATH, or a path.
    pub(crate) program: String,
    /// Its arguments.
    pub(crate) args: Vec<String>,
    /// Variables it gets.
    pub(crate) env: BTreeMap<String, String>,
    /// Whether it also inherits this process's variables. A build never does; a fetch must (proxies, credentials).
    pub(crate) inherits_env: bool,
    /// The folder it is started in.
    pub(crate) folder: PathBuf,
}

/// Which of its outputs a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Whether its exit code was 0.
    pub(crate) success: bool,
    /// Its exit code; `None` where a signal ended it.
    pub(crate) code: Option<i32>,
    /// The same in words: `exit status: 101`.
    pub(crate) status: String,
}

/// Starts it without input, gives every line of its output to `on_line` in the order of arrival, and waits.
pub(crate) fn run(command: &CommandLine, on_line: &mut dyn FnMut(Stream, &str)) -> Result<Ended, Error> {
    let mut process = prepare(command);
    process.stdin(Stdio::null());
    follow(command, process, on_line)
}

/// The same for a program that ends itself when its standard input does: nothing is ever written there, and it is
/// closed when this process ends, however that happens. A signal to this process's group does not reach the program,
/// which has time to clear up.
pub(crate) fn run_tied(command: &CommandLine, on_line: &mut dyn FnMut(Stream, &str)) -> Result<Ended, Error> {
    let mut process = prepare(command);
    process.stdin(Stdio::piped()).process_group(0);
    follow(command, process, on_line)
}

/// Starts it at this process's own terminal, and waits.
pub(crate) fn run_attached(command: &CommandLine) -> Result<Ended, Error> {
    let mut process = prepare(command);
    process.stdin(Stdio::inherit()).stdout(Stdio::inherit()).stderr(Stdio::inherit());
    let status = process.status().map_err(|cause| not_started(command, cause))?;
    Ok(Ended { success: status.success(), code: status.code(), status: status.to_string() })
}

fn prepare(command: &CommandLine) -> Command {
    let mut process = Command::new(&command.program);
    if !command.inherits_env {
        process.env_clear();
    }
    process.args(&command.args).envs(&command.env).current_dir(&command.folder);
    process.stdout(Stdio::piped()).stderr(Stdio::piped());
    process
}

fn follow(
    command: &CommandLine,
    mut process: Command,
    on_line: &mut dyn FnMut(Stream, &str),
) -> Result<Ended, Error> {
    let mut child = process.spawn().map_err(|cause| not_started(command, cause))?;
    let outputs = (child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        let (sender, lines) = mpsc::sync_channel(1024);
        if let Some(out) = outputs.0 {
            let sender = sender.clone();
            scope.spawn(move || read_lines(out, |line| sender.send((Stream::Out, line)).is_ok()));
        }
        if let Some(err) = outputs.1 {
            let sender = sender.clone();
            scope.spawn(move || read_lines(err, |line| sender.send((Stream::Err, line)).is_ok()));
        }
        drop(sender);
        lines.iter().for_each(|(stream, line)| on_line(stream, &line));
    });
    let status = child.wait().map_err(|cause| not_started(command, cause))?;
    Ok(Ended { success: status.success(), code: status.code(), status: status.to_string() })
}

/// Lines without their ends, until the output is closed or nobody listens.
fn read_lines(output: impl Read, mut send: impl FnMut(String) -> bool) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    // A broken pipe ends the output as its end does; the exit status tells the rest.
    while matches!(output.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line), Ok(1..)) {
        let text = String::from_utf8_lossy(&line);
        if !send(text.trim_end_matches(['\n', '\r']).to_owned()) {
            return;
        }
        line.clear();
    }
}

fn not_started(command: &CommandLine, cause: io::Error) -> Error {
    let kind = if cause.kind() == io::ErrorKind::NotFound { ErrorKind::MissingTool } else { ErrorKind::Io };
    let message = format!("`{}` cannot be started in {}", command.program, command.folder.display());
    Error::new(kind, message).with_hint("run `cargo xtask doctor`").with_source(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> CommandLine {
        CommandLine {
            program: "sh".to_owned(),
            args: vec!["-c".to_owned(), script.to_owned()],
            env: BTreeMap::from([("GIVEN".to_owned(), "yes".to_owned())]),
            inherits_env: false,
            folder: PathBuf::from("/"),
        }
    }

    #[test]
    fn gives_both_outputs_line_by_line_and_the_status() {
        let mut seen = Vec::new();
        let ended = run(&shell("echo one; echo two >&2; printf three; exit 7"), &mut |stream, line| {
            seen.push((stream, line.to_owned()));
        })
        .unwrap();
        seen.sort_by(|left, right| left.1.cmp(&right.1));
        let expected = [(Stream::Out, "one"), (Stream::Out, "three"), (Stream::Err, "two")];
        assert_eq!(seen, expected.map(|(stream, line)| (stream, line.to_owned())));
        assert_eq!((ended.success, ended.code), (false, Some(7)));
    }

    #[test]
    fn a_tied_program_has_input_that_stays_open() {
        let waits = shell("if read -t 1 line; then echo read; else echo $?; fi");
        let mut seen = Vec::new();
        let bash = CommandLine { program: "bash".to_owned(), ..waits };
        run_tied(&bash, &mut |_, line| seen.push(line.to_owned())).unwrap();
        run(&bash, &mut |_, line| seen.push(line.to_owned())).unwrap();
        assert_eq!(seen, ["142", "1"], "a time-out, then an end of input");
    }

    #[test]
    fn the_environment_is_the_one_that_was_given() {
        let mut seen = String::new();
        run(&shell("echo $GIVEN-$CARGO_MANIFEST_DIR"), &mut |_, line| seen.push_str(line)).unwrap();
        assert_eq!(seen, "yes-");
    }

    #[test]
    fn a_line_without_end_arrives_in_pieces() {
        let mut pieces = 0;
        run(&shell("head -c 2500000 /dev/zero"), &mut |_, _| pieces += 1).unwrap();
        assert_eq!(pieces, 3);
    }

    #[test]
    fn a_missing_program_is_named() {
        let missing = CommandLine { program: "no-such-program".to_owned(), ..shell("") };
        let error = run(&missing, &mut |_, _| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::MissingTool);
        assert!(error.to_string().contains("no-such-program"), "{error}");
    }
}
