//! Linux: /proc (proc(5)), sysinfo(2) and statvfs(3). Under systemd's `ProcSubset=pid` the files of the host are hidden;
//! then load, memory size and uptime still come from sysinfo(2).

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::observed::{Disk, Host, Process};

/// Ticks in a second of the times in /proc: part of the kernel's interface on every architecture that Rust has.
const TICKS: f64 = 100.0;
/// Longer files are cut: only their beginnings are read. Bytes.
const LONGEST: u64 = 16 * 1024;
/// Before Linux 6.2 descriptors are counted one by one; a process with more is not worth more time.
const MOST_COUNTED: usize = 100_000;

pub(super) fn host() -> Host {
    let system = rustix::system::sysinfo();
    // The kernel's fixed point for loads (SI_LOAD_SHIFT).
    let load = system.loads.map(|load| load as f64 / 65_536.0);
    let uptime = read("/proc/uptime").and_then(|text| first_number(&text)).unwrap_or(system.uptime as f64);
    let stat = read("/proc/stat");
    Host {
        load: Some(load),
        booted: stat.as_deref().and_then(boot_time),
        cpu: stat.as_deref().map(cpu_times).unwrap_or_default(),
        memory_size: Some(system.totalram as f64 * f64::from(system.mem_unit)),
        memory_available: read("/proc/meminfo").and_then(|text| kilobytes(&text, "MemAvailable:")),
        uptime: Some(uptime),
    }
}

pub(super) fn disk(folder: &Path) -> Option<Disk> {
    let system = rustix::fs::statvfs(folder).ok()?;
    let block = system.f_frsize as f64;
    Some(Disk { size: system.f_blocks as f64 * block, free: system.f_bavail as f64 * block })
}

pub(super) fn process(pid: u32) -> Process {
    let status = read(&format!("/proc/{pid}/status"));
    let status = |key| status.as_deref().and_then(|text| line(text, key));
    let limits = read(&format!("/proc/{pid}/limits"));
    Process {
        cpu: read(&format!("/proc/{pid}/stat")).and_then(|text| process_time(&text)),
        resident: status("VmRSS:").and_then(first_number).map(|kilobytes| kilobytes * 1024.0),
        descriptors: descriptors(pid),
        descriptors_limit: limits.and_then(|text| first_number(line(&text, "Max open files")?)),
        threads: status("Threads:").and_then(first_number),
    }
}

/// User and system time: fields 14 and 15 of /proc/PID/stat. The second field is the program's name in brackets, which
/// may hold brackets and blanks of its own.
fn process_time(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let user: f64 = fields.nth(11)?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS)
}

fn descriptors(pid: u32) -> Option<f64> {
    let folder = format!("/proc/{pid}/fd");
    // Since Linux 6.2 the folder's size is their number.
    match std::fs::metadata(&folder).ok()?.len() {
        0 => Some(std::fs::read_dir(&folder).ok()?.take(MOST_COUNTED).count() as f64),
        size => Some(size as f64),
    }
}

/// The first line of /proc/stat; guest time is in user time already.
fn cpu_times(stat: &str) -> Vec<(&'static str, f64)> {
    let Some(times) = line(stat, "cpu ") else { return Vec::new() };
    let times: Vec<f64> = times.split_ascii_whitespace().map_while(|time| time.parse().ok()).collect();
    let [user, nice, system, idle, iowait, irq, softirq, steal, ..] = times[..] else { return Vec::new() };
    let modes = [
        ("user", user + nice),
        ("system", system + irq + softirq),
        ("idle", idle),
        ("iowait", iowait),
        ("steal", steal),
    ];
    modes.map(|(mode, ticks)| (mode, ticks / TICKS)).to_vec()
}

/// What stays the same while the host runs, unless its clock is set; now less the uptime would not.
fn boot_time(stat: &str) -> Option<SystemTime> {
    let seconds = line(stat, "btime ")?.trim().parse().ok()?;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

fn kilobytes(text: &str, key: &str) -> Option<f64> {
    first_number(line(text, key)?).map(|kilobytes| kilobytes * 1024.0)
}

/// What follows `key` at the beginning of a line.
fn line<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(key))
}

fn first_number(text: &str) -> Option<f64> {
    text.split_ascii_whitespace().next()?.parse().ok().filter(|number: &f64| number.is_finite())
}

fn read(path: &str) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(LONGEST).read_to_end(&mut bytes).ok()?;
    // A program's name in it may be anything.
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_cannot_forge_its_times_by_its_name() {
        let stat = "7 (a) R 1 2 (b) S 1 7 7 0 -1 4194304 1 2 3 4 250 150 5 6 20 0 3 0 99";
        assert_eq!(process_time(stat), Some(4.0));
        assert_eq!(process_time("7 (a"), None);
        assert_eq!(process_time("7 (a) S 1 2"), None);
    }

    #[test]
    fn what_is_not_there_is_left_out() {
        assert!(cpu_times("cpu0 1 2 3\n").is_empty());
        assert!(cpu_times("cpu  1 2 x\n").is_empty());
        assert_eq!(boot_time("cpu 1\nbtime 7\n"), Some(UNIX_EPOCH + Duration::from_secs(7)));
        assert_eq!((boot_time("btime \n"), boot_time("btime 99999999999999999999\n")), (None, None));
        assert_eq!(kilobytes("MemFree: 1 kB\nMemAvailable:  12 kB\n", "MemAvailable:"), Some(12_288.0));
        assert_eq!(first_number("unlimited"), None);
        let gone = process(u32::MAX);
        assert!(gone.cpu.is_none() && gone.resident.is_none() && gone.descriptors.is_none(), "{gone:?}");
        assert!(disk(Path::new("/no/such/folder")).is_none());
    }

    /// Beside what the system's own tools say.
    #[test]
    fn this_process_and_host_as_others_see_them() {
        let mine = process(std::process::id());
        let threads = std::fs::read_dir("/proc/self/task").expect("threads").count() as f64;
        assert!(mine.threads.is_some_and(|count| (count - threads).abs() <= 64.0), "{mine:?}");
        assert!(mine.resident.is_some_and(|bytes| bytes > 1e5) && mine.cpu.is_some(), "{mine:?}");
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        assert_eq!(mine.descriptors_limit, limit.map(|limit| limit as f64));

        let host = host();
        let meminfo = std::fs::read_to_string("/proc/meminfo").expect("/proc");
        assert_eq!(host.memory_size, kilobytes(&meminfo, "MemTotal:"));
        assert!(host.memory_available <= host.memory_size && host.memory_available.is_some());
        assert!(host.cpu.iter().any(|(mode, seconds)| *mode == "idle" && *seconds > 0.0), "{host:?}");
        let disk = disk(Path::new("/")).expect("a file system");
        assert!(disk.size > 0.0 && disk.free <= disk.size, "{disk:?}");
    }

    #[test]
    fn descriptors_are_counted() {
        let before = descriptors(std::process::id()).expect("counted");
        let files: Vec<File> = (0..200).map(|_| File::open("/dev/null").expect("opened")).collect();
        let after = descriptors(std::process::id()).expect("counted");
        // Other tests open and close some too.
        assert!(after >= before + 100.0, "{before} {after}");
        drop(files);
    }
}
