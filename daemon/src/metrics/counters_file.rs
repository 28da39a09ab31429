//! The file in which counters outlive the worker: one line of text each, with a checksum behind them.
//!
//! ```text
//! seaworthyd-counters 1
//! since 1764115200000000000
//! since{workload="web"} 1764115200000000000
//! seaworthyd_workload_starts_total{workload="web"} 12
//! seaworthyd_task_duration_seconds_bucket{le="0.5"} 3
//! crc32 0a1b2c3d
//! ```
//!
//! `since` is when counting began, in nanoseconds since 1970: of all counters, and of a workload's. It stays as long as the
//! values do: where those begin at 0 again, it does too. A bucket's count is its own, not summed up; a `_sum` is in
//! microseconds. The checksum is CRC-32 (as in zip) of all bytes before its line. A name that this version does not know is
//! left out, one that the file does not have begins at 0.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use super::Metrics;
use super::exposition::write_labels;
use super::family::Family;
use super::instrument::{BUCKETS, Counter, Since, bound_name};
use super::visit::Sample;

const NAME: &str = "metrics.counters";
const FIRST_LINE: &str = "seaworthyd-counters 1\n";
/// More than a thousand workloads need. Bytes.
const LARGEST: usize = 4 << 20;
/// More did not happen. A count beyond it would come to its end, and could no longer rise.
const HIGHEST: u64 = u64::MAX / 4;

/// Where the counters of one daemon are kept.
#[derive(Debug)]
pub struct Kept {
    path: PathBuf,
}

/// Why a file of counters is not taken.
#[derive(Debug)]
pub enum Damage {
    /// It cannot be read.
    Unreadable(io::Error),
    /// It is not, or no longer, what was written.
    Invalid(&'static str),
}

impl fmt::Display for Damage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(out, "it cannot be read: {error}"),
            Self::Invalid(why) => out.write_str(why),
        }
    }
}

impl std::error::Error for Damage {}

impl Kept {
    /// In the daemon's state folder.
    pub fn in_folder(folder: &Path) -> Self {
        Self { path: folder.join(NAME) }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds what the file has to `metrics`, whose workloads are set; how many counters it had. Without a file: none.
    ///
    /// # Errors
    /// The file is not what [`Kept::save`] wrote; then nothing is added.
    pub fn restore(&self, metrics: &Metrics) -> Result<usize, Damage> {
        let Some(text) = read(&self.path, LARGEST)? else { return Ok(0) };
        let mut values = parse(&text).map_err(Damage::Invalid)?;
        each_since(metrics, &mut |name, since| {
            if let Some(nanoseconds) = values.remove(name) {
                since.set(nanoseconds);
            }
        });
        metrics.visit_counted(&mut |family, labels, sample| {
            each_line(family, labels, &sample, &mut |name, counter| {
                counter.add(values.get(name).copied().unwrap_or(0));
            });
        });
        // Of a workload that is gone, only since when it was counted.
        Ok(values.keys().filter(|name| !name.starts_with("since{")).count())
    }

    /// Replaces the file by `text` (from [`Kept::text`]). It outlives the process; with `durable` also the machine's end.
    ///
    /// # Errors
    /// The folder cannot be written; the old file stays.
    pub fn save(&self, text: &str, durable: bool) -> io::Result<()> {
        if text.len() > LARGEST {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "more counters than 4 MiB hold"));
        }
        replace(&self.path, text, durable)
    }

    /// The file's text for the counters of `metrics` as they are now.
    pub fn text(metrics: &Metrics) -> String {
        let mut text = FIRST_LINE.to_owned();
        each_since(metrics, &mut |name, since| {
            let _ = writeln!(text, "{name} {}", since.value());
        });
        metrics.visit_counted(&mut |family, labels, sample| {
            each_line(family, labels, &sample, &mut |name, counter| {
                // Zeros say nothing.
                if counter.value() > 0 {
                    let _ = writeln!(text, "{name} {}", counter.value());
                }
            });
        });
        let last = checksum_line(&text);
        text + &last
    }
}

/// The text of a file of the state folder; `None` where there is none.
pub(super) fn read(path: &Path, largest: usize) -> Result<Option<String>, Damage> {
    let about = match fs::symlink_metadata(path) {
        Ok(about) => about,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Damage::Unreadable(error)),
    };
    // Opening a pipe would wait for ever.
    if !about.is_file() {
        return Err(Damage::Invalid("it is not a plain file"));
    }
    let mut text = Vec::new();
    let file = File::open(path).map_err(Damage::Unreadable)?;
    file.take(largest as u64 + 1).read_to_end(&mut text).map_err(Damage::Unreadable)?;
    if text.len() > largest {
        return Err(Damage::Invalid("it is larger than it may be"));
    }
    String::from_utf8(text).map(Some).map_err(|_| Damage::Invalid("it is not text"))
}

/// Replaces a file of the state folder in one step: a reader, or a daemon after a crash, finds the old or the new one.
pub(super) fn replace(path: &Path, text: &str, durable: bool) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    // Left by a crash. What is created below is new, not what somebody's link points to.
    let _ = fs::remove_file(&new);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&new)?;
    let written =
        file.write_all(text.as_bytes()).and_then(|()| if durable { file.sync_data() } else { Ok(()) });
    drop(file);
    written.and_then(|()| fs::rename(&new, path)).inspect_err(|_| {
        let _ = fs::remove_file(&new);
    })?;
    #[cfg(unix)]
    if let (true, Some(folder)) = (durable, path.parent()) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// When counting began, by name.
fn each_since(metrics: &Metrics, act: &mut dyn FnMut(&str, &Since)) {
    act("since", &metrics.counted_since);
    for workload in metrics.workloads.read().unwrap_or_else(PoisonError::into_inner).iter() {
        // A workload's name needs no escapes.
        act(&format!("since{{workload=\"{}\"}}", workload.name), &workload.counted_since);
    }
}

/// The counters behind a sample, by name.
fn each_line(family: &Family, labels: &[&str], sample: &Sample<'_>, act: &mut dyn FnMut(&str, &Counter)) {
    let name = |suffix: &str, bound: Option<&str>| {
        let mut name = format!("{}{suffix}", family.name);
        write_labels(&mut name, family, labels, bound);
        name
    };
    match sample {
        Sample::Counter(counter, _) => act(&name("_total", None), counter),
        Sample::Histogram(histogram, _) => {
            for index in 0..BUCKETS {
                act(&name("_bucket", Some(&bound_name(index))), &histogram.buckets[index]);
            }
            act(&name("_sum", None), &histogram.sum);
        }
        Sample::Total(..) | Sample::Number(_) => {}
    }
}

fn checksum_line(lines: &str) -> String {
    format!("crc32 {:08x}\n", crc32fast::hash(lines.as_bytes()))
}

fn parse(text: &str) -> Result<BTreeMap<&str, u64>, &'static str> {
    let cut = text.rfind("crc32 ").ok_or("its last line has no checksum")?;
    let (lines, last) = text.split_at(cut);
    if last != checksum_line(lines) {
        return Err("its checksum does not fit");
    }
    parse_lines(lines)
}

fn parse_lines(lines: &str) -> Result<BTreeMap<&str, u64>, &'static str> {
    let lines = lines.strip_prefix(FIRST_LINE).ok_or("its first line is not that of this version")?;
    let mut values = BTreeMap::new();
    for line in lines.lines() {
        let (name, value) = line.rsplit_once(' ').ok_or("a line has no value")?;
        let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        let value = Some(value).filter(|_| is_number).and_then(|value| value.parse().ok());
        let value = value.filter(|value| *value <= HIGHEST).ok_or("a value is not a count")?;
        if values.insert(name, value).is_some() {
            return Err("a name is there twice");
        }
    }
    Ok(values)
}

/// Reads a file of counters, as a daemon does when it starts; for fuzzing, which seldom finds a checksum, also without one.
/// Whether it was taken.
pub fn read_counters_file(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let _ = parse_lines(text);
    parse(text).is_ok()
}

#[cfg(test)]
mod tests;
