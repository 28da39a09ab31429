//! The mark that every process of a workload inherits in its environment: by it a process is attributed that its
//! parents have left, and one that a killed daemon left behind is found.

use std::sync::OnceLock;

use super::procfs::{self, Entry};

/// The variable: `<instance>:<workload>`.
pub(super) const VARIABLE: &str = "SEAWORTHYD_RUN";

/// This daemon, among all that ever ran since boot: `<pid>-<start time>`. From that alone another daemon can tell
/// whether it still runs.
pub(super) fn instance() -> &'static str {
    static INSTANCE: OnceLock<String> = OnceLock::new();
    INSTANCE.get_or_init(|| {
        let pid = rustix::process::getpid().as_raw_pid();
        format!("{pid}-{}", Entry::read(pid).map_or(0, |entry| entry.start))
    })
}

/// What processes of `workload` carry.
pub(super) fn of(workload: &str) -> String {
    format!("{}:{workload}", instance())
}

/// What `pid` carries.
pub(super) fn carried_by(pid: i32) -> Option<String> {
    procfs::environment_value(pid, VARIABLE)
}

/// Whether the daemon that wrote `marker` has ended; a marker that no daemon writes is nobody's.
pub(super) fn is_of_dead_instance(marker: &str) -> bool {
    let parse = || {
        let (instance, _) = marker.split_once(':')?;
        let (pid, start) = instance.split_once('-')?;
        Some((pid.parse::<i32>().ok().filter(|pid| *pid > 0)?, start.parse::<u64>().ok()?))
    };
    parse().is_some_and(|(pid, start)| {
        !Entry::read(pid).is_some_and(|entry| entry.start == start && entry.is_alive())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_instance_lives_and_forgeries_are_nobodys() {
        assert!(!is_of_dead_instance(&of("web")));
        let (pid, start) = instance().split_once('-').expect("two numbers");
        let start: u64 = start.parse().expect("a number");
        assert!(is_of_dead_instance(&format!("{pid}-{}:web", start - 1)), "a recycled pid");
        for forged in
            ["", ":", "1:web", "1-:web", "-1-1:web", "0-0:web", "a-b:web", "99999999999-1:web", "1-1"]
        {
            assert!(!is_of_dead_instance(forged), "{forged}");
        }
    }
}
