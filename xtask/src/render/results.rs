//! Results as text for people.

use artifact::{Finding, Outcome, Report};
use manifest::{FileKind, Smoke, Waived};
use plan::ReleasePlan;
use serde::Serialize;
use toolchain::{BuilderStatus, MadeImage, RowDifference, VerifiedTool};

use super::{BAD, FAINT, GOOD, NOTE, outcome, plain};
use crate::documents::Field;
use crate::pipeline::Released;

/// A plan: every choice.
pub(crate) fn planned(plan: &ReleasePlan) -> String {
    let source = &plan.source;
    let dirty = if source.dirty { ", work tree differs" } else { "" };
    let mut text = format!(
        "{NOTE}{} {}{NOTE:#}  commit {}{dirty}\n",
        source.product,
        source.version,
        source.commit.get(..12).unwrap_or(&source.commit)
    );
    text += &format!("builder    {} ({})\n", plan.builder.kind.name(), plan.builder.why);
    text += &format!("workspace  {}\n", plan.workspace.display());
    text += &format!("release    {}\n", plan.layout.out_dir.join(plan.layout.release_name()).display());
    text += &format!("start      {} {}\n", "PROGRAM", plan.smoke.args.join(" "));
    for waiver in &plan.waivers {
        text += &format!(
            "waived     {} of {} until {} ({})\n",
            waiver.rule, waiver.path, waiver.expires, waiver.ticket
        );
    }
    for job in &plan.jobs {
        let compile = &job.compile;
        text += &format!(
            "\n{NOTE}{}{NOTE:#}  {} ({})\n",
            compile.target,
            compile.binary,
            compile.target.triple()
        );
        text += &format!("  build    package {}, profile {}\n", compile.package, compile.profile);
        if let Some(floor) = &job.policy.glibc_floor {
            text += &format!("  glibc    {floor} or newer\n");
        }
        let subsystem =
            job.finish.subsystem.map(|subsystem| format!(", subsystem {subsystem:?}").to_lowercase());
        let strip = format!("{:?}", job.finish.strip).to_lowercase();
        text += &format!("  finish   strip {strip}{}\n", subsystem.unwrap_or_default());
        let bundled = plan.layout.bundle.iter();
        let bundled: Vec<_> = bundled
            .filter(|file| file.targets.is_empty() || file.targets.contains(&compile.target))
            .map(|file| file.to.as_str())
            .collect();
        if !bundled.is_empty() {
            text += &format!("  bundle   {}\n", bundled.join(", "));
        }
    }
    text
}

/// A release: what each program went through, then the folder.
pub(crate) fn released(released: &Released) -> String {
    let manifest = &released.manifest;
    let mut text = String::new();
    for program in &manifest.artifacts {
        let smaller = 100.0 - 100.0 * program.size as f64 / program.built_size.max(1) as f64;
        let passed = program.rules.iter().filter(|rule| rule.outcome == Outcome::Pass).count();
        let builder = manifest.builders.get(&program.target).map_or("?", |builder| builder.kind.name());
        text += &format!(
            "{GOOD}{}{GOOD:#}  {}: {} -> {} kB ({smaller:.0} % smaller), built by {builder}, {passed} rules passed, ",
            program.target,
            program.binary,
            thousands(program.built_size / 1000),
            thousands(program.size / 1000),
        );
        text += &match &program.smoke {
            Smoke::Ran { runner, .. } => format!("started ({runner})\n"),
            Smoke::NotRun { why } => format!("{BAD}not started{BAD:#}: {why}\n"),
        };
        for rule in &program.rules {
            if let Some(Waived { reason, ticket, expires, .. }) = &rule.waived {
                text += &format!("  {BAD}waived{BAD:#} {} until {expires}: {reason} ({ticket})\n", rule.rule);
            }
        }
    }
    text += &format!("\n{NOTE}{}/{NOTE:#}\n", released.folder.display());
    for file in &manifest.files {
        text += &format!("  {:>9} kB  {}", thousands(file.size / 1000), file.name);
        if file.kind == FileKind::Symbols {
            text += &format!("  {FAINT}symbols{FAINT:#}");
        }
        text.push('\n');
    }
    text + "                manifest.json  SHA256SUMS\n"
}

/// Reports: a line a file, then what refused it; with `verbose` every rule.
pub(crate) fn verified(reports: &[Report], verbose: bool) -> String {
    let mut text = String::new();
    for report in reports {
        let passed = report.findings.iter().filter(|finding| finding.outcome == Outcome::Pass).count();
        let refused = report.refusals().count();
        let (word, style) = if report.passed() { ("pass", GOOD) } else { ("REFUSED", BAD) };
        text += &format!(
            "{style}{word:>8}{style:#}  {}  {FAINT}{passed} passed, {refused} refused{FAINT:#}\n",
            plain(&report.path)
        );
        text += &findings(report, |finding| verbose || finding.outcome.refuses());
    }
    text
}

/// The findings of `report` that `shown` picks.
pub(super) fn findings(report: &Report, shown: impl Fn(&Finding) -> bool) -> String {
    let mut text = String::new();
    for finding in report.findings.iter().filter(|finding| shown(finding)) {
        let (word, style) = outcome(finding.outcome);
        text += &format!("  {style}{word:>11}{style:#} {}  {}\n", finding.rule, plain(&finding.observed));
        if let Some(waiver) = &finding.waived {
            text += &format!(
                "              {NOTE}waived{NOTE:#} until {} ({}): {}\n",
                waiver.expires, waiver.ticket, waiver.reason
            );
        }
        if finding.refuses() {
            text += &format!("              expected {}\n", plain(&finding.expected));
            text += &format!("              {FAINT}why:{FAINT:#} {}\n", finding.why);
            text += &format!("              {NOTE}fix:{NOTE:#} {}\n", finding.fix);
        }
    }
    text
}

/// The rules with their reasons.
pub(crate) fn rules(rules: &[&verify::Rule]) -> String {
    let line = |rule: &&verify::Rule| {
        format!("{NOTE}{}{NOTE:#}\n  {}\n  {FAINT}fix:{FAINT:#} {}\n", rule.id, rule.why, rule.fix)
    };
    rules.iter().map(line).collect()
}

/// A rule in full.
#[derive(Serialize)]
pub(crate) struct Explained {
    id: &'static str,
    summary: &'static str,
    looks_at: &'static str,
    why: &'static str,
    fix: &'static str,
    references: &'static [&'static str],
}

impl Explained {
    /// What `rule` says about itself.
    pub(crate) fn of(rule: &verify::Rule) -> Explained {
        let verify::Rule { id, summary, why, fix, references, .. } = *rule;
        Explained { id, summary, looks_at: rule.looks_at(), why, fix, references }
    }
}

/// Rules in full, then what each outcome means.
pub(crate) fn explained(rules: &[Explained]) -> String {
    let mut text = String::new();
    for rule in rules {
        text += &format!("{NOTE}{}{NOTE:#}  {}\n", rule.id, rule.summary);
        text += &format!("  looks at    {}\n  why         {}\n", rule.looks_at, rule.why);
        text += &format!("  fix         {}\n", rule.fix);
        for reference in rule.references {
            text += &format!("  reference   {reference}\n");
        }
        text.push('\n');
    }
    for (_, name, meaning) in verify::OUTCOMES {
        text += &format!("{FAINT}{name:<15}{FAINT:#} {meaning}\n");
    }
    text
}

/// Fields of the JSON documents: where each is, what it means, and who says so.
pub(crate) fn fields(fields: &[Field]) -> String {
    let told = |field: &Field| {
        let Field { command, path, meaning, source } = field;
        format!("{NOTE}{path}{NOTE:#}  {FAINT}{command}{FAINT:#}\n  {meaning}\n  source: {source}\n")
    };
    fields.iter().map(told).collect()
}

/// Rows of two locks; those that can change programs stand out.
pub(crate) fn rows(rows: &[RowDifference]) -> String {
    let line = |row: &RowDifference| {
        let (word, style) = if row.changes_programs { ("programs", BAD) } else { ("-", FAINT) };
        let said = |said: &Option<String>| said.clone().unwrap_or_else(|| "absent".to_owned());
        format!("{style}{word:>8}{style:#}  {}  {} -> {}\n", row.row, said(&row.a), said(&row.b))
    };
    if rows.is_empty() {
        return format!("{GOOD}the two are the same{GOOD:#}\n");
    }
    rows.iter().map(line).collect()
}

/// Images, and whether they had to be made.
pub(crate) fn images(images: &[MadeImage]) -> String {
    let line = |image: &MadeImage| {
        let (word, style) = if image.made { ("made", GOOD) } else { ("there", FAINT) };
        format!("{style}{word:>7}{style:#}  {:<16} {}  {}\n", image.name, image.id, image.compiler)
    };
    images.iter().map(line).collect()
}

/// Tools that are the locked ones.
pub(crate) fn verified_tools(tools: &[VerifiedTool]) -> String {
    let line = |tool: &VerifiedTool| {
        format!("{GOOD}locked{GOOD:#}  {}  {}  ({})\n", tool.row, tool.version, tool.how)
    };
    tools.iter().map(line).collect()
}

/// The builders of this machine.
pub(crate) fn statuses(statuses: &[BuilderStatus]) -> String {
    let line = |status: &BuilderStatus| {
        let (word, style) = if status.ready { ("ready", GOOD) } else { ("-", FAINT) };
        format!(
            "{style}{word:>7}{style:#}  {:<7} {:<19} {}\n",
            status.kind.name(),
            status.target.name(),
            status.detail
        )
    };
    statuses.iter().map(line).collect()
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
