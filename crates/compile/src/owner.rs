//! Whose container is it? Each one says which process wanted it, so that what a killed one left can be taken away.

use std::fmt;
use std::fs;
use std::path::PathBuf;

use artifact::Engine;

use crate::command::{self, CommandLine, Stream};
use crate::error::Faults as _;
use crate::{Error, ErrorKind};

/// The label of every container that is started here; its value is an [`Owner`].
pub(crate) const LABEL: &str = "org.seaworthy.owner";

/// A process, told apart from every other one that had or will have its number, here or on another machine that
/// uses the same engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// The machine since its start, and the process-ID namespace: only there does `process` mean anything.
    place: String,
    pid: u32,
    /// In clock ticks since the machine's start: proc(5), `/proc/PID/stat` field 22.
    started: u64,
}

impl Owner {
    /// The process that runs this.
    pub(crate) fn this_process() -> Result<Owner, Error> {
        let pid = std::process::id();
        let boot = PathBuf::from("/proc/sys/kernel/random/boot_id");
        let boot_id = fs::read_to_string(&boot).map_err(|cause| Error::io(&boot, cause))?;
        let link = PathBuf::from("/proc/self/ns/pid");
        let namespace = fs::read_link(&link).map_err(|cause| Error::io(&link, cause))?;
        let number: String = namespace.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
        let started = started(pid).ok_or_else(|| {
            Error::new(ErrorKind::Io, format!("/proc/{pid}/stat does not say when this process started"))
        })?;
        Ok(Owner { place: format!("{}.{number}", boot_id.trim()), pid, started })
    }

    /// `<pid>-<start time>`
    pub(crate) fn process(&self) -> String {
        format!("{}-{}", self.pid, self.started)
    }

    /// Whether `label` names a process of this place that is gone.
    fn outlived(&self, label: &str) -> bool {
        let Some((place, process)) = label.split_once('/') else { return false };
        let Some((pid, start)) = process.split_once('-') else { return false };
        match (pid.parse(), start.parse()) {
            (Ok(pid), Ok(start)) => place == self.place && started(pid) != Some(start),
            _ => false,
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.place, self.process())
    }
}

/// When the process started; `None` if it is gone, or dead and not yet waited for.
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after_name = stat.rsplit_once(')')?.1; // the name may hold spaces and brackets
    let mut fields = after_name.split_whitespace();
    let state = fields.next()?; // field 3
    let started = fields.nth(18)?; // field 22
    (state != "Z" && state != "X").then(|| started.parse().ok())?
}

/// Takes away containers of processes that are gone, such as one that was killed before its container started.
pub(crate) fn sweep(engine: Engine, owner: &Owner) -> Result<(), Error> {
    let filter = format!("label={LABEL}");
    let ids = read(engine, &["ps", "--all", "--quiet", "--no-trunc", "--filter", &filter])?;
    for id in ids.lines() {
        let format = format!("{{{{index .Config.Labels \"{LABEL}\"}}}}");
        // One that ended meanwhile is no longer there to be asked.
        let Ok(label) = read(engine, &["container", "inspect", "--format", &format, id]) else { continue };
        if owner.outlived(label.trim()) {
            remove(engine, id);
        }
    }
    Ok(())
}

/// Ends and removes the container, if it is there.
pub(crate) fn remove(engine: Engine, container: &str) {
    // An engine that does not answer says so to the build itself.
    let _ = read(engine, &["rm", "--force", container]);
}

fn read(engine: Engine, args: &[&str]) -> Result<String, Error> {
    let command = CommandLine {
        program: engine.program().to_owned(),
        args: args.iter().copied().map(str::to_owned).collect(),
        env: Default::default(),
        inherits_env: true,
        folder: PathBuf::from("/"),
    };
    let (mut out, mut err) = (String::new(), String::new());
    let ended = command::run(&command, &mut |stream, line| {
        let text = if stream == Stream::Out { &mut out } else { &mut err };
        text.push_str(line);
        text.push('\n');
    })?;
    if ended.success {
        return Ok(out);
    }
    let program = engine.program();
    Err(Error::new(ErrorKind::EngineFailed, format!("`{program} {}` failed: {}", args.join(" "), err.trim()))
        .with_hint(format!("see whether `{program} info` answers")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_living_owner_is_left_alone_and_a_dead_one_is_not() {
        let me = Owner::this_process().unwrap();
        assert!(!me.outlived(&me.to_string()));
        let earlier = Owner { started: me.started - 1, ..me.clone() };
        assert!(me.outlived(&earlier.to_string()), "the number was used again");
        let elsewhere = Owner { place: "other.1".to_owned(), ..earlier };
        assert!(!me.outlived(&elsewhere.to_string()), "another machine's processes cannot be seen from here");
    }

    #[test]
    fn a_label_of_somebody_else_is_left_alone() {
        let me = Owner::this_process().unwrap();
        for label in ["", "x", "1-2", &format!("{}/one-two", me.place)] {
            assert!(!me.outlived(label), "{label}");
        }
    }
}
