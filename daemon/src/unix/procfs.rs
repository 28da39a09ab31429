//! What `/proc` tells of processes (proc(5)). Everything read here may be gone, or another process, a moment later: who
//! acts on it checks [`Entry::is_same`] while holding a pidfd.

use std::fs::File;
use std::io::Read;

/// More of an environment is not searched. Bytes; Linux allows a quarter of the stack limit.
const LONGEST_ENVIRONMENT: usize = 4 << 20;

/// Most fit. Bytes.
const TYPICAL_ENVIRONMENT: usize = 16 * 1024;

/// A process at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) pid: i32,
    pub(super) parent: i32,
    pub(super) group: i32,
    pub(super) session: i32,
    state: u8,
    threads: u32,
    /// Clock ticks from boot to its start; with the pid it names one process for ever.
    pub(super) start: u64,
}

impl Entry {
    /// `None` when there is no such process.
    pub(super) fn read(pid: i32) -> Option<Self> {
        let mut bytes = [0; 1024];
        // Of the program itself, an emulator of user programs makes up the shorter path's content.
        let own = rustix::process::getpid().as_raw_pid();
        let path =
            if pid == own { format!("/proc/{pid}/task/{pid}/stat") } else { format!("/proc/{pid}/stat") };
        let length = read_into(&path, &mut bytes)?;
        Self::parse(pid, &bytes[..length])
    }

    fn parse(pid: i32, stat: &[u8]) -> Option<Self> {
        // The name is in parentheses and may hold any byte, parentheses included.
        let end_of_name = stat.iter().rposition(|byte| *byte == b')')?;
        let rest = std::str::from_utf8(&stat[end_of_name + 1..]).ok()?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().take(20).collect();
        let number = |index: usize| fields.get(index)?.parse::<i32>().ok();
        Some(Self {
            pid,
            state: *fields.first()?.as_bytes().first()?,
            parent: number(1)?,
            group: number(2)?,
            session: number(3)?,
            threads: fields.get(17)?.parse().ok()?,
            start: fields.get(19)?.parse().ok()?,
        })
    }

    /// A zombie is dead, unless only its first thread has ended.
    pub(super) fn is_alive(&self) -> bool {
        !matches!(self.state, b'Z' | b'X' | b'x') || self.threads > 1
    }

    /// Whether its pid still belongs to the same process.
    pub(super) fn is_same(&self) -> bool {
        Self::read(self.pid).is_some_and(|now| now.start == self.start)
    }
}

/// The pids of every process that may be seen, dead ones included, in the order of their numbers or against it.
pub(super) fn pids(highest_first: bool) -> Vec<i32> {
    let folders = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut pids: Vec<i32> = folders.filter_map(|folder| folder.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    if highest_first {
        pids.reverse();
    }
    pids
}

/// The value of `name` in the environment that the process was started with; `None` also when it may not be read.
pub(super) fn environment_value(pid: i32, name: &str) -> Option<String> {
    let mut file = File::open(format!("/proc/{pid}/environ")).ok()?;
    let (mut environment, mut length) = (vec![0; TYPICAL_ENVIRONMENT], 0);
    // A short read is the end: asking again would be a third of the cost, and every process is asked at each start.
    loop {
        length += file.read(&mut environment[length..]).ok()?;
        if length < environment.len() || length >= LONGEST_ENVIRONMENT {
            break;
        }
        environment.resize(length * 2, 0);
    }
    environment.truncate(length);
    let mut variables = environment.split(|byte| *byte == 0);
    let value = variables.find_map(|variable| variable.strip_prefix(name.as_bytes())?.strip_prefix(b"="))?;
    Some(String::from_utf8_lossy(value).into_owned())
}

/// Which pid namespace a process is in: pids of another one mean nothing here.
pub(super) fn pid_namespace(pid: i32) -> Option<std::path::PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok()
}

/// `/proc/self/status`, for [`status_line`].
pub(super) fn own_status() -> std::io::Result<String> {
    std::fs::read_to_string("/proc/self/status")
}

/// One line of a status, such as `CapEff`.
pub(super) fn status_line<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

fn read_into(path: &str, buffer: &mut [u8]) -> Option<usize> {
    // These files come whole in one read.
    File::open(path).ok()?.read(buffer).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_is_not_taken_for_fields() {
        let stat = b"7 (a) Z 9 9 (\xff) S 1 2 3 0 -1 4 0 0 0 0 0 0 0 0 20 0 5 0 600 0 0\n";
        let entry = Entry::parse(7, stat).expect("fields");
        assert_eq!((entry.parent, entry.group, entry.session), (1, 2, 3));
        assert_eq!((entry.threads, entry.start, entry.is_alive()), (5, 600, true));
        for broken in [&b""[..], b"7", b"7 (a)", b"7 (a) S 1 2", b"7 (a) S x 2 3"] {
            assert_eq!(Entry::parse(7, broken), None);
        }
    }

    #[test]
    fn a_zombie_is_dead_unless_other_threads_live() {
        let stat = |threads| format!("7 (a) Z 1 2 3 0 -1 4 0 0 0 0 0 0 0 0 20 0 {threads} 0 600 0 0\n");
        assert!(!Entry::parse(7, stat(1).as_bytes()).expect("fields").is_alive());
        assert!(Entry::parse(7, stat(2).as_bytes()).expect("fields").is_alive());
    }

    #[test]
    fn a_value_is_found_behind_a_long_environment() {
        let long = "x".repeat(3 * TYPICAL_ENVIRONMENT);
        #[expect(clippy::disallowed_methods, reason = "a process that is none of ours")]
        let mut child = std::process::Command::new("sleep")
            .arg("1000")
            .env_clear()
            .envs([("A", long.as_str()), ("WANTED_NOT", "no"), ("Z_WANTED", "no"), ("WANTED", "a=b")])
            .spawn()
            .expect("sleep runs");
        let pid = i32::try_from(child.id()).expect("a pid");
        assert_eq!(environment_value(pid, "WANTED").as_deref(), Some("a=b"));
        assert_eq!(environment_value(pid, "A").map(|value| value.len()), Some(long.len()));
        assert_eq!(environment_value(pid, "WANT"), None);
        child.kill().expect("it runs");
        child.wait().expect("it ends");
        assert_eq!(environment_value(pid, "WANTED"), None);
    }

    #[test]
    fn this_process_is_there() {
        let me = i32::try_from(std::process::id()).expect("a pid");
        let entry = pids(false).into_iter().find(|pid| *pid == me).and_then(Entry::read).expect("listed");
        assert!(entry.is_alive() && entry.is_same());
        assert_eq!(entry.parent, rustix::process::getppid().expect("a parent").as_raw_pid());
        let other = Entry { start: entry.start + 1, ..entry };
        assert!(!other.is_same());
    }
}
