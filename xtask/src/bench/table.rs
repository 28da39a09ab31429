//! What `bench verify` found, as data and as a table for people.

use serde::Serialize;

use super::measure::Times;

/// The contender that the bars are about: every rule as it is by default, every byte looked at, JSON written.
pub(super) const OURS: &str = "ours, default policy";
/// The same without the two policy keys that need every byte.
pub(super) const OURS_HEADERS: &str = "ours, headers and tables";

#[derive(Serialize)]
pub(super) struct Measured {
    pub(super) machine: String,
    pub(super) formats: Vec<Format>,
    pub(super) growth: Vec<Grown>,
    pub(super) bars: Vec<Bar>,
    pub(super) missing: Vec<Missing>,
}

/// The files of one format, and everyone who looked at them.
#[derive(Serialize)]
pub(super) struct Format {
    pub(super) name: &'static str,
    pub(super) files: usize,
    pub(super) bytes: u64,
    pub(super) contenders: Vec<Contender>,
}

#[derive(Serialize)]
pub(super) struct Contender {
    pub(super) name: String,
    pub(super) threads: usize,
    pub(super) seconds: Times,
    /// Of the median, to that of the reference on as many threads.
    pub(super) ratio: f64,
    pub(super) peak_kib: u64,
}

/// How time and memory grow with the number of files, on one thread.
#[derive(Serialize)]
pub(super) struct Grown {
    pub(super) files: usize,
    pub(super) seconds: f64,
    pub(super) peak_kib: u64,
}

/// What must be true of a release of this toolkit.
#[derive(Serialize)]
pub(super) struct Bar {
    pub(super) what: &'static str,
    pub(super) bar: f64,
    pub(super) measured: f64,
    pub(super) met: bool,
}

/// What could not be measured here, and the command that changes it.
#[derive(Serialize)]
pub(super) struct Missing {
    pub(super) name: &'static str,
    pub(super) install: &'static str,
}

/// What must hold, and whether it does.
pub(super) fn bars(elf: &[Contender], growth: &[Grown]) -> Vec<Bar> {
    let ours = |threads| elf.iter().find(|row| row.name == OURS && row.threads == threads);
    let (Some(one), Some(two)) = (ours(1), ours(2)) else { return Vec::new() };
    let most = |what, bar, measured: f64| Bar { what, bar, measured, met: measured <= bar };
    let least = |what, bar, measured: f64| Bar { what, bar, measured, met: measured >= bar };
    let each = |grown: &Grown| grown.seconds / grown.files as f64;
    let (few, many) = (&growth[0], &growth[growth.len() - 1]);
    vec![
        most("of readelf's time, one thread, at most", 0.12, one.ratio),
        least("times faster on two threads, at least", 1.6, one.seconds.median() / two.seconds.median()),
        most("MiB at its peak, two threads, at most", 32.0, mebibytes(two.peak_kib)),
        most("times the time a file at 20,000 files as at 300, at most", 1.25, each(many) / each(few)),
        most("MiB at its peak over 20,000 files, at most", 32.0, mebibytes(many.peak_kib)),
    ]
}

/// For people.
pub(super) fn text(measured: &Measured) -> String {
    let mut text = format!("{}\n", measured.machine);
    for format in &measured.formats {
        let size = format.bytes as f64 / 1e6;
        text += &format!("\n{} {} files, {size:.0} MB; medians\n", format.files, format.name);
        text += &format!(
            "{:<26} {:>7} {:>10} {:>22} {:>8} {:>9}\n",
            "", "threads", "seconds", "least to most", "ratio", "peak MiB"
        );
        for row in &format.contenders {
            let (least, most) = row.seconds.span();
            let span =
                if row.seconds.count() > 1 { format!("{least:.4} to {most:.4}") } else { "once".to_owned() };
            let peak =
                if row.peak_kib == 0 { "-".to_owned() } else { format!("{:.1}", mebibytes(row.peak_kib)) };
            text += &format!(
                "{:<26} {:>7} {:>10.4} {span:>22} {:>8.2} {peak:>9}\n",
                row.name,
                row.threads,
                row.seconds.median(),
                row.ratio
            );
        }
    }
    text += "\nmore and more ELF files, one thread, default policy\n";
    for grown in &measured.growth {
        let each = grown.seconds / grown.files as f64 * 1e6;
        text += &format!(
            "{:>8} files {:>8.3} s {each:>8.1} µs each {:>8.1} MiB at its peak\n",
            grown.files,
            grown.seconds,
            mebibytes(grown.peak_kib)
        );
    }
    text += "\nbars\n";
    for bar in &measured.bars {
        let word = if bar.met { "met" } else { "MISSED" };
        text += &format!("  {word:<7} {:.3} {} {}\n", bar.measured, bar.what, bar.bar);
    }
    for missing in &measured.missing {
        text += &format!("not measured: {}; {}\n", missing.name, missing.install);
    }
    text
}

fn mebibytes(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
