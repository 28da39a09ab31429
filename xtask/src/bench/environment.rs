//! A fleet of 10,000 captures compared with one, beside programs that only read them.

use std::fs;
use std::path::Path;

use environment::{Capture, Class, Fact};
use serde::Serialize;

use super::measure::{self, Line, Times};
use crate::failure::{Failure, Message};
use crate::render::Renderer;

/// How many places there are.
const PLACES: u32 = 10_000;
/// How often everything is repeated, in turns; the median counts.
const REPEATED: usize = 3;
/// What is asked for, in seconds and MiB.
const BARS: (f64, u64) = (20.0, 500);
/// Nothing is refused, so that an exit code says only that it ran.
const POLICY: &str = "threshold = 100.0\n";

#[derive(Serialize)]
struct Measured {
    machine: String,
    places: u32,
    facts: usize,
    megabytes: u64,
    contenders: Vec<Contender>,
}

#[derive(Serialize)]
struct Contender {
    name: &'static str,
    times: Times,
    peak_kib: u64,
}

/// Measures and prints.
pub(super) fn run(renderer: &Renderer) -> Result<(), Failure> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    renderer.status("build", "xtask as it ships");
    let ours = measure::release_binary(workspace)?;
    let folder = tempfile::Builder::new().prefix("bench-").tempdir_in(ours.parent().unwrap_or(workspace));
    let folder = folder.map_err(|error| cannot("make a folder", &error))?;
    let (baseline, fleet) = (folder.path().join("baseline.json"), folder.path().join("fleet"));
    let policy = folder.path().join("drift.toml");
    renderer.status("write", &format!("{PLACES} captures"));
    let (facts, megabytes) = write(&baseline, &fleet)?;
    fs::write(&policy, POLICY).map_err(|error| cannot("write a policy", &error))?;
    let text = |path: &Path| path.display().to_string();
    let ours = Line::new(
        ours,
        &["env", "diff", &text(&baseline), &text(&fleet), "--policy", &text(&policy), "--quiet"],
    );
    let list = format!("find '{}' -name '*.json' -print0 | xargs -0 ", fleet.display());
    let python = "import sys, json\nfor line in sys.stdin.buffer.read().split(b'\\0'):\n  line and json.load(open(line))";
    let reads = format!("find '{}' -name '*.json' -print0 | python3 -c \"{python}\"", fleet.display());
    let lines = [
        ("ours, env diff", ours),
        ("sha256sum over the same files", Line::new("sh", &["-c", &(list + "sha256sum >/dev/null")])),
        ("python3, json.load of each", Line::new("sh", &["-c", &reads])),
    ];
    let mut times = [Times::default(), Times::default(), Times::default()];
    for _ in 0..REPEATED {
        for ((_, line), times) in lines.iter().zip(&mut times) {
            times.push(line.seconds()?);
        }
    }
    let mut contenders = Vec::new();
    for ((name, line), times) in lines.into_iter().zip(times) {
        contenders.push(Contender { name, times, peak_kib: line.peak(folder.path())? });
    }
    let measured = Measured { machine: measure::machine(), places: PLACES, facts, megabytes, contenders };
    renderer.result(&measured, shown);
    Ok(())
}

/// Captures of 300 facts, each place with some of its own. Gives the facts of one, and how many megabytes all take.
fn write(baseline: &Path, fleet: &Path) -> Result<(usize, u64), Failure> {
    let failed = |error: std::io::Error| cannot("write captures", &error);
    fs::create_dir_all(fleet).map_err(failed)?;
    let good = place(0);
    fs::write(baseline, good.to_bytes()).map_err(failed)?;
    let mut bytes = 0;
    for number in 1..=PLACES {
        let capture = place(number).to_bytes();
        bytes += capture.len() as u64;
        fs::write(fleet.join(format!("host-{number:05}.json")), capture).map_err(failed)?;
    }
    Ok((good.facts.values().map(|facts| facts.len()).sum(), bytes / 1_000_000))
}

/// Place 0 is as it should be; in every other one some versions and settings are its own, by its number.
fn place(number: u32) -> Capture {
    let mut capture = Capture {
        schema_version: environment::SCHEMA_VERSION,
        name: format!("host-{number:05}"),
        architecture: Some("aarch64".to_owned()),
        ..Capture::default()
    };
    let mut add = |class: Class, key: String, index: u32| {
        // A fixed scrambling of place and fact: one in 64 differs.
        let mixed = (number.wrapping_mul(2_654_435_761) ^ index.wrapping_mul(40_503))
            .wrapping_mul(2_246_822_519)
            >> 16;
        let revision = if number > 0 && mixed.is_multiple_of(64) { 2 } else { 1 };
        let version = format!("2.{index}-{revision}+deb12u{revision}");
        let fact = Fact {
            value: version.clone(),
            source: "/var/lib/dpkg/status".to_owned(),
            version: Some(version.clone()),
            package: Some(format!("{key}={version}")),
            weight: None,
        };
        capture.facts.entry(class).or_default().insert(key, fact);
    };
    for (class, name, count) in [
        (Class::Abi, "lib", 10),
        (Class::Config, "/etc/setting-", 100),
        (Class::Runtime, "user ", 20),
        (Class::Inventory, "package-", 170),
    ] {
        (0..count).for_each(|index| add(class, format!("{name}{index}"), index));
    }
    capture
}

fn shown(measured: &Measured) -> String {
    let Measured { machine, places, facts, megabytes, contenders } = measured;
    let mut text =
        format!("{machine}\n\n{places} captures of {facts} facts, {megabytes} MB; medians of {REPEATED}\n");
    text += &format!("{:<32} {:>8} {:>20} {:>9}\n", "", "seconds", "least to most", "peak MiB");
    for Contender { name, times, peak_kib } in contenders {
        let (least, most) = times.span();
        let span = format!("{least:.2} to {most:.2}");
        text += &format!("{name:<32} {:>8.2} {span:>20} {:>9}\n", times.median(), peak_kib / 1024);
    }
    let (seconds, mebibytes) = BARS;
    for (met, bar) in [
        (contenders[0].times.median() < seconds, format!("under {seconds} s")),
        (contenders[0].peak_kib / 1024 < mebibytes, format!("under {mebibytes} MiB")),
    ] {
        text += &format!("  {:<7} {bar}\n", if met { "met" } else { "MISSED" });
    }
    text
}

fn cannot(what: &str, error: &std::io::Error) -> Failure {
    Failure::Usage(Message::new(format!("cannot {what}: {error}"), "make room on the disk"))
}
