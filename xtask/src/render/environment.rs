//! Places and drift, as text for people.

use environment::{Capture, Difference, Drift, FleetDrift, Verdict};

use super::{BAD, FAINT, GOOD, NOTE};
use crate::environment::{Checked, Trend};

/// So many differences are told where nobody asked for all.
const TOLD: usize = 20;

fn word(verdict: Verdict) -> (&'static str, anstyle::Style) {
    match verdict {
        Verdict::Within => ("within", GOOD),
        Verdict::Drifted => ("DRIFTED", BAD),
        Verdict::NotComparable => ("NOT COMPARABLE", BAD),
        Verdict::Gated => ("FAILS", BAD),
    }
}

/// A capture, counted.
pub(crate) fn captured(capture: &Capture) -> String {
    let system = capture.system.as_deref().unwrap_or("unknown system");
    let architecture = capture.architecture.as_deref().unwrap_or("no loader");
    let mut text = format!("{NOTE}{}{NOTE:#}  {system}, {architecture}\n", capture.name);
    for (class, facts) in &capture.facts {
        text += &format!("  {:<10} {:>6} facts\n", class.name(), facts.len());
    }
    for unknown in capture.unknown.iter().take(TOLD) {
        text +=
            &format!("  {BAD}unknown{BAD:#}    {}/{}: {}\n", unknown.class.name(), unknown.key, unknown.why);
    }
    text
}

/// Two places: the verdict, gates, then differences by weight.
pub(crate) fn drift(drift: &Drift, verbose: bool) -> String {
    let (word, style) = word(drift.verdict);
    let mut text = format!(
        "{style}{word}{style:#}  drift rate {NOTE}{:.1}{NOTE:#} of 100, {:.0} % known  {FAINT}A {}, B {}{FAINT:#}\n",
        drift.score,
        100.0 * drift.coverage,
        drift.a,
        drift.b
    );
    for gate in &drift.gates {
        text += &difference(gate, "gate");
    }
    for (class, found) in &drift.classes {
        text += &format!(
            "  {FAINT}{:<10} weight {:>2}, {:>5} of {:>5} differ, distance {:.3}{FAINT:#}\n",
            class.name(),
            found.weight,
            found.differing,
            found.keys,
            found.distance
        );
    }
    let shown = if verbose { usize::MAX } else { TOLD };
    for one in drift.differences.iter().take(shown) {
        text += &difference(one, &format!("{:.2}", one.points));
    }
    let more = drift.differences.len().saturating_sub(shown);
    if more > 0 {
        text += &format!("  {FAINT}and {more} more: --verbose{FAINT:#}\n");
    }
    for unknown in drift.unknown.iter().take(shown) {
        text += &format!("  {BAD}unknown{BAD:#} {unknown}\n");
    }
    text
}

fn difference(difference: &Difference, points: &str) -> String {
    let style = if difference.points > 0.0 { NOTE } else { BAD };
    if let Some(waiver) = &difference.waived {
        let (ticket, expires) = (&waiver.ticket, &waiver.expires);
        return format!(
            "  {FAINT}waived  {}  ({ticket}, until {expires}: {}){FAINT:#}\n",
            difference.why, waiver.reason
        );
    }
    let mut text = format!("  {style}{points:>6}{style:#}  {}\n", difference.why);
    if !difference.fix.is_empty() {
        text += &format!("          {FAINT}fix:{FAINT:#} {}\n", difference.fix);
    }
    text
}

/// A fleet: how many, the worst, and what differs most often.
pub(crate) fn fleet(fleet: &FleetDrift) -> String {
    let mut text = format!(
        "{NOTE}{:.1} %{NOTE:#} of {} places differ from {} in what programs depend on\n",
        100.0 * fleet.prevalence,
        fleet.places,
        fleet.baseline
    );
    for (verdict, count) in &fleet.verdicts {
        let (word, style) = word(*verdict);
        text += &format!("  {style}{word:<15}{style:#} {count:>6}\n");
    }
    for place in fleet.worst.iter().take(TOLD) {
        let (word, style) = word(place.verdict);
        text += &format!(
            "  {style}{word:<8}{style:#} {:>5.1}  {}  {FAINT}{}{FAINT:#}\n",
            place.score, place.name, place.first
        );
    }
    for key in fleet.keys.iter().take(TOLD) {
        let values: Vec<_> = key.values.iter().map(|(value, count)| format!("{value} ({count})")).collect();
        text += &format!(
            "  {:>6}  {}/{}  {FAINT}{}{FAINT:#}\n",
            key.places,
            key.class.name(),
            key.key,
            values.join(", ")
        );
    }
    text
}

/// The course of time, a line a capture.
pub(crate) fn trend(trend: &Trend) -> String {
    let mut text = String::new();
    for point in &trend.points {
        let (word, style) = word(point.verdict);
        text += &format!(
            "{:<10}  {:>5.1}  {style}{word:<8}{style:#} {}\n",
            point.taken.as_deref().unwrap_or("-"),
            point.score,
            point.name
        );
        for (sign, keys) in [("+", &point.appeared), ("-", &point.vanished)] {
            for key in keys.iter().take(5) {
                text += &format!("             {FAINT}{sign} {key}{FAINT:#}\n");
            }
            if keys.len() > 5 {
                text += &format!("             {FAINT}{sign} and {} more{FAINT:#}\n", keys.len() - 5);
            }
        }
    }
    let style = if trend.change > 0.0 { BAD } else { GOOD };
    text + &format!(
        "{style}{:+.1}{style:#} from the first to the last, beside {}\n",
        trend.change, trend.baseline
    )
}

/// Each program of a release at a place.
pub(crate) fn checked(checked: &Checked) -> String {
    let mut text = String::new();
    for program in &checked.programs {
        let (word, style) = if program.missing.is_empty() { ("runs", GOOD) } else { ("FAILS", BAD) };
        text += &format!(
            "{style}{word:<6}{style:#} {} ({}) at {}\n",
            program.name, program.target, checked.place
        );
        for missing in &program.missing {
            text += &format!("         {missing}\n");
        }
    }
    if checked.programs.is_empty() {
        let here = checked.architecture.as_deref().unwrap_or("a processor that is not known");
        text += &format!("{BAD}FAILS{BAD:#}  the release has no program for {here}\n");
    }
    text
}
