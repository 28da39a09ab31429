//! Starts the command that builds, follows it, and finds what it made.

use std::path::PathBuf;

use artifact::{Event, Events};

use crate::cargo::{self, Layout, Messages};
use crate::command::{CommandLine, Ended, Stream};
use crate::{CompileRequest, Error, ErrorKind};

/// So much of cargo's standard error is kept for an error message, in bytes.
const KEPT_ERRORS: usize = 256 * 1024;

/// A build that came to its end, well or not.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    /// How the command ended.
    pub(crate) ended: Ended,
    /// Cargo's standard error, from its start up to a bound.
    pub(crate) stderr: String,
    messages: Messages,
}

/// How a command is run: [`run`](crate::command::run) or [`run_tied`](crate::command::run_tied).
pub(crate) type Run = fn(&CommandLine, &mut dyn FnMut(Stream, &str)) -> Result<Ended, Error>;

/// Runs `command` (cargo, or an engine that runs cargo), passing on what it says.
pub(crate) fn watch(
    request: &CompileRequest,
    command: &CommandLine,
    run: Run,
    events: Events<'_>,
) -> Result<Watched, Error> {
    let step = format!("build {}", request.target);
    events(Event::Started { step: step.clone() });
    let (mut messages, mut stderr) = (Messages::default(), String::new());
    let ended = run(command, &mut |stream, line| {
        let before = messages.crates_done;
        let shown = match stream {
            Stream::Out => messages.take(&request.binary, line),
            Stream::Err => {
                if stderr.len() + line.len() < KEPT_ERRORS {
                    stderr.push_str(line);
                    stderr.push('\n');
                }
                Some(line)
            }
        };
        if messages.crates_done > before {
            events(Event::Advanced { step: step.clone(), done: messages.crates_done, total: 0 });
        }
        if let Some(line) = shown {
            events(Event::Output { step: step.clone(), line: line.to_owned() });
        }
    })?;
    if ended.success {
        events(Event::Finished { step, result: format!("{} crates", messages.crates_done) });
    }
    Ok(Watched { ended, stderr, messages })
}

impl Watched {
    /// The executable on this machine, or why there is none.
    pub(crate) fn executable(&self, request: &CompileRequest, layout: &Layout) -> Result<PathBuf, Error> {
        if !self.ended.success {
            return Err(self.failure(request));
        }
        let CompileRequest { target, package, binary, .. } = request;
        let Some(path) = &self.messages.executable else {
            let message = format!("cargo made no executable `{binary}` of package `{package}` for {target}");
            return Err(Error::new(ErrorKind::NoExecutable, message));
        };
        cargo::on_this_machine(path, layout, request).ok_or_else(|| {
            let message = format!("{path}: cargo put the executable for {target} outside its target folder");
            Error::new(ErrorKind::NoExecutable, message)
        })
    }

    fn failure(&self, request: &CompileRequest) -> Error {
        let target = request.target;
        let told = cargo::error_text(&self.stderr);
        if is_lock_out_of_date(&told) {
            return lock_out_of_date(request, told);
        }
        if told.contains("--offline") || told.contains("offline mode") {
            let message = format!("a dependency of {target}'s build is not on this machine:\n{told}");
            return Error::new(ErrorKind::FetchFailed, message)
                .with_hint("run `cargo fetch --locked` with the network on");
        }
        let message =
            format!("cargo did not build `{}` for {target} ({}):\n{told}", request.binary, self.ended.status);
        Error::new(ErrorKind::CompileFailed, message)
    }
}

/// Whether cargo says that `--locked` kept it from changing `Cargo.lock`.
pub(crate) fn is_lock_out_of_date(told: &str) -> bool {
    told.contains("because --locked was passed") || told.contains("but --locked was passed")
}

fn lock_out_of_date(request: &CompileRequest, told: String) -> Error {
    let lock = request.workspace_root.join("Cargo.lock");
    lock_error(&lock, &told)
}

/// `Cargo.lock` at `lock` does not fit, in cargo's words.
pub(crate) fn lock_error(lock: &std::path::Path, told: &str) -> Error {
    let message = format!("{} does not fit the manifests:\n{told}", lock.display());
    Error::new(ErrorKind::LockOutOfDate, message)
        .with_hint("run `cargo update --workspace` and commit Cargo.lock")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cargo::tests::{layout, request};
    use artifact::Target;

    fn watched(success: bool, stderr: &str, executable: Option<&str>) -> Watched {
        let executable = executable.map(str::to_owned);
        Watched {
            ended: Ended { success, code: Some(101), status: "exit status: 101".to_owned() },
            stderr: stderr.to_owned(),
            messages: Messages { executable, crates_done: 1 },
        }
    }

    fn kind(watched: &Watched) -> ErrorKind {
        watched.executable(&request(Target::X86_64Windows), &layout()).unwrap_err().kind()
    }

    #[test]
    fn a_compile_error_holds_the_compilers_words_and_the_target() {
        let watched = watched(false, "error[E0308]: mismatched types\n", None);
        let error = watched.executable(&request(Target::X86_64Windows), &layout()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CompileFailed);
        let message = error.to_string();
        assert!(
            message.contains("x86_64-windows") && message.contains("error[E0308]: mismatched"),
            "{message}"
        );
    }

    #[test]
    fn cargos_own_refusals_have_their_kinds() {
        let lock =
            "error: cannot update the lock file /src/Cargo.lock because --locked was passed to prevent this";
        assert_eq!(kind(&watched(false, lock, None)), ErrorKind::LockOutOfDate);
        let offline =
            "error: no matching package named `serde` found\nAs a reminder, you're using offline mode";
        assert_eq!(kind(&watched(false, offline, None)), ErrorKind::FetchFailed);
    }

    #[test]
    fn success_without_the_executable_is_an_error() {
        assert_eq!(kind(&watched(true, "", None)), ErrorKind::NoExecutable);
        assert_eq!(kind(&watched(true, "", Some("/elsewhere/productd.exe"))), ErrorKind::NoExecutable);
    }
}
