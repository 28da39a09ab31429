//! The pid file: for people and scripts. The first line is the pid, the second the process's start time (clock ticks since
//! boot, field 22 of proc(5)'s `stat`), so that a pid which another process has by now is not taken for the daemon.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::procfs::Entry;
use crate::failure::{Cause, Failure};

/// A longer file is none of ours. Bytes.
pub(super) const LONGEST: u64 = 64;

/// A written pid file, removed when dropped.
#[derive(Debug)]
pub(crate) struct PidFile {
    path: PathBuf,
}

impl PidFile {
    /// Writes this process into it. Whoever reads it sees the old one or the whole new one, also after a crash.
    pub(crate) fn write(path: &Path) -> Result<Self, Failure> {
        let replace = || {
            let mut temporary = path.as_os_str().to_owned();
            temporary.push(".new");
            let temporary = PathBuf::from(temporary);
            match std::fs::remove_file(&temporary) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            // Created anew: a link that somebody has put there is not followed.
            let mut file = File::options().write(true).create_new(true).mode(0o644).open(&temporary)?;
            file.write_all(own_text().as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&temporary, path)?;
            let folder =
                path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(folder)?.sync_all()
        };
        replace().map_err(|error| {
            let message = format!("cannot write pid file {}: {error}", path.display());
            Failure::new(Cause::System, message, "create its folder and let the daemon's user write in it")
        })?;
        Ok(Self { path: path.to_owned() })
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if read(&self.path).is_ok_and(|text| text == own_text()) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Whether the process that a pid file names still runs: that process, and not another that got its number since.
pub(crate) fn names_a_running_process(path: &Path) -> io::Result<bool> {
    let Some((pid, start)) = parse(&read(path)?) else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it does not hold a pid and a start time"));
    };
    Ok(Entry::read(pid).is_some_and(|entry| entry.start == start && entry.is_alive()))
}

/// What the file of this process holds.
pub(super) fn own_text() -> String {
    let pid = rustix::process::getpid().as_raw_pid();
    format!("{pid}\n{}\n", Entry::read(pid).map_or(0, |entry| entry.start))
}

/// Pid and start time.
pub(super) fn parse(text: &str) -> Option<(i32, u64)> {
    let mut lines = text.lines();
    let (pid, start) = (lines.next()?.parse().ok()?, lines.next()?.parse().ok()?);
    (pid > 0).then_some((pid, start))
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(LONGEST).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_names_this_process_and_goes_with_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pid");
        let file = PidFile::write(&path).expect("written");
        let text = std::fs::read_to_string(&path).expect("there");
        assert_eq!(text.lines().next(), Some(std::process::id().to_string().as_str()));
        assert!(names_a_running_process(&path).expect("readable"));
        drop(file);
        assert!(!path.exists());
        // A successor's file is left alone.
        let file = PidFile::write(&path).expect("written");
        std::fs::write(&path, "1\n1\n").expect("written");
        drop(file);
        assert!(path.exists());
    }

    #[test]
    fn a_stranger_with_the_same_number_is_not_the_daemon() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pid");
        let mut stranger = stranger();
        // A real process has the pid, but started at another time than the file says.
        std::fs::write(&path, format!("{}\n1\n", stranger.id())).expect("written");
        assert!(!names_a_running_process(&path).expect("readable"));
        stranger.kill().expect("a child");
        stranger.wait().expect("a child");
        for broken in ["", "1", "a\n1\n", "-1\n1\n", "0\n1\n", "1\nb\n"] {
            std::fs::write(&path, broken).expect("written");
            names_a_running_process(&path).expect_err(broken);
        }
    }

    #[expect(clippy::disallowed_methods, reason = "a process that is none of ours")]
    fn stranger() -> std::process::Child {
        std::process::Command::new("sleep").arg("1000").spawn().expect("sleep runs")
    }
}
