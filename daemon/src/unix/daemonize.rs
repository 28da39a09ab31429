//! Becoming a daemon the old way (daemon(7), "SysV daemons"), for systems without systemd. The launcher stays until the
//! daemon says that it is ready, so that its exit status is true.
//!
//! What the daemon has in the end: a session without terminal that it does not lead, umask 027, `/` as its folder,
//! `/dev/null` for its streams (so it needs a log file), no other descriptor than the lock's, no supplementary group if it
//! was started by root, default signals, and of the environment `PATH`, `LANG`, `LC_*`, `TZ`, `HOME`, `USER`, `LOGNAME`.
//!
//! Exit status of the launcher: 0 only once the daemon is ready; 3 for an unknown user or group; 1 for a held lock, a
//! pid file that cannot be written, a user that cannot be changed to, or a daemon that ended before it was ready; else
//! the code of the failure that the daemon reports. The message is on its standard error.
#![expect(unsafe_code, reason = "fork, and what a process inherits, have no safe interface")]

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::process;

use super::inheritance;
use super::lock::Lock;
use super::pid_file::PidFile;
use super::privileges::{Identity, plan};
use crate::failure::{Cause, Failure};

/// New files are not for others.
const UMASK: libc::mode_t = 0o027;
/// A longer message of a daemon that failed is cut. Bytes.
const LONGEST_MESSAGE: u64 = 64 * 1024;

/// How to become a daemon.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// Decides whether an instance runs.
    pub(crate) lock_file: PathBuf,
    pub(crate) pid_file: Option<PathBuf>,
    /// A name or number to run as; the launcher's own user when `None`.
    pub(crate) user: Option<String>,
    /// A name or number; the user's primary group when `None`.
    pub(crate) group: Option<String>,
}

/// The daemon's end of the pipe to its launcher, with what it holds while it runs: to be dropped last.
#[derive(Debug)]
pub(crate) struct Readiness {
    launcher: Option<File>,
    _pid_file: Option<PidFile>,
    _lock: Lock,
}

impl Readiness {
    /// The launcher exits with 0.
    pub(crate) fn ready(&mut self) {
        report(self.launcher.take(), 0, "");
    }

    /// The launcher prints the failure and exits with its code, with the lock free for whoever tries again then.
    pub(crate) fn failed(mut self, failure: &Failure) {
        let launcher = self.launcher.take();
        drop(self);
        report(launcher, failure.code(), &failure.to_string());
    }
}

/// Returns in the daemon; the launcher exits in here, with the daemon's outcome. To be called before any thread is started,
/// any workload and any file: other descriptors are closed, whoever they belong to, and the pid is another afterwards.
pub(crate) fn daemonize(options: &Options) -> Result<Readiness, Failure> {
    let identity =
        Identity::named(options.user.as_deref(), options.group.as_deref(), &[]).map_err(|error| {
            Failure::new(
                Cause::Config,
                format!("cannot run as asked: {error}"),
                "name an existing user and group",
            )
        })?;
    let pid_file = options.pid_file.as_deref().map(absolute).transpose()?;
    // Before the fork, so that the launcher itself can tell; the lock goes on to whoever inherits it.
    let lock = Lock::acquire(&absolute(&options.lock_file)?)?;
    let (reader, writer) = std::io::pipe().map_err(|error| system("cannot make a pipe", &error))?;
    let writer = File::from(std::os::fd::OwnedFd::from(writer));
    match fork()? {
        Side::Parent(child) => {
            drop((writer, lock));
            exit_as_told(File::from(std::os::fd::OwnedFd::from(reader)), child)
        }
        Side::Child => drop(reader),
    }
    let mut launcher = Some(writer);
    let become_daemon = || {
        leave_session()?;
        let kept = [lock.as_fd().as_raw_fd(), launcher.as_ref().map_or(-1, AsRawFd::as_raw_fd)];
        let user = options.user.as_deref();
        shed(&kept, user).map_err(|error| system("cannot leave the launcher's surroundings", &error))?;
        change_identity(&identity)?;
        lock.name_holder()?;
        pid_file.as_deref().map(PidFile::write).transpose()
    };
    match become_daemon() {
        Ok(pid_file) => Ok(Readiness { launcher, _pid_file: pid_file, _lock: lock }),
        Err(failure) => {
            drop(lock);
            report(launcher.take(), failure.code(), &failure.to_string());
            Err(failure)
        }
    }
}

/// The second fork: a process that leads no session never gets a terminal.
fn leave_session() -> Result<(), Failure> {
    rustix::process::setsid().map_err(|error| system("cannot open a session", &error.into()))?;
    if let Side::Parent(_) = fork()? {
        // SAFETY: ends the process at once; everything it holds is the daemon's too.
        unsafe { libc::_exit(0) };
    }
    Ok(())
}

/// Everything that a daemon must not have from whoever started it.
fn shed(kept: &[i32], user: Option<&str>) -> std::io::Result<()> {
    inheritance::reset_signals()?;
    // SAFETY: takes a number and cannot fail.
    unsafe { libc::umask(UMASK) };
    std::env::set_current_dir("/")?;
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    for stream in 0..=2 {
        // SAFETY: `null` is open; the streams belong to nobody but std, which only ever uses their numbers.
        if unsafe { libc::dup2(null.as_raw_fd(), stream) } == -1 {
            return Err(std::io::Error::last_os_error());
        }
    }
    drop(null);
    // SAFETY: our caller was told that nothing else may be open.
    unsafe { inheritance::close_all_but(kept)? };
    // SAFETY: this process has one thread, and nobody holds on to what the environment said.
    unsafe { inheritance::reduce_environment(user) }
}

fn change_identity(identity: &Identity) -> Result<(), Failure> {
    let is_root = rustix::process::geteuid().is_root();
    let change = || {
        if is_root || identity.user.is_some() || identity.group.is_some() {
            plan::set_groups(&identity.groups)?;
        }
        identity.group.map_or(Ok(()), plan::set_group)?;
        let Some(user) = identity.user else { return Ok(()) };
        plan::set_user(user)?;
        if user != 0 && plan::set_user(0).is_ok() {
            return Err(std::io::Error::other("it could change back"));
        }
        Ok(())
    };
    change().map_err(|error| {
        Failure::new(
            Cause::System,
            format!("cannot change user: {error}"),
            "start it as root, or without a user",
        )
    })
}

/// The launcher's rest: waits for the daemon's word.
#[expect(clippy::print_stderr, reason = "the daemon's own standard error is closed by now")]
fn exit_as_told(reader: File, child: libc::pid_t) -> ! {
    let mut told = Vec::new();
    let result = reader.take(LONGEST_MESSAGE).read_to_end(&mut told);
    // SAFETY: waits for our own child, the one between; the status is not asked for.
    unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    match (result, told.split_first()) {
        (Ok(_), Some((0, _))) => process::exit(0),
        (Ok(_), Some((code, text))) => {
            eprintln!("error: {}", String::from_utf8_lossy(text));
            process::exit(i32::from(*code))
        }
        _ => {
            eprintln!("error: the daemon ended before it was ready\n  next: look into its log file");
            process::exit(Cause::System as i32)
        }
    }
}

fn report(launcher: Option<File>, code: u8, text: &str) {
    if let Some(mut launcher) = launcher {
        // A launcher that was ended in the meantime need not know.
        let _ = launcher.write_all(&[&[code], text.as_bytes()].concat());
    }
}

enum Side {
    Parent(libc::pid_t),
    Child,
}

fn fork() -> Result<Side, Failure> {
    // SAFETY: this process has one thread, so nothing is left half done in the child.
    match unsafe { libc::fork() } {
        -1 => Err(system("cannot fork", &std::io::Error::last_os_error())),
        0 => Ok(Side::Child),
        child => Ok(Side::Parent(child)),
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| system(&format!("cannot find {}", path.display()), &error))
}

fn system(what: &str, error: &std::io::Error) -> Failure {
    Failure::new(Cause::System, format!("{what}: {error}"), "look at the system's limits and its kernel log")
}

#[cfg(test)]
#[path = "daemonize_tests.rs"]
mod tests;
