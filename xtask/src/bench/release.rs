//! A release against the cargo builds inside it, measured in one run.

use std::collections::HashMap;
use std::fs;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use artifact::Event;
use serde::Serialize;

use crate::args::{BenchArgs, PlanArgs};
use crate::failure::{Failure, Message};
use crate::pipeline::{self, Conduct};
use crate::render::Renderer;
use crate::{builders, commands};

/// How often an unchanged release is repeated; the median counts.
const REPEATED: usize = 5;

#[derive(Serialize)]
struct Measured {
    builder: &'static str,
    /// A release with empty target folders.
    cold: Run,
    /// Releases of which nothing changed, sorted by their time beyond cargo's own.
    unchanged: Vec<Run>,
}

/// Seconds of one release.
#[derive(Clone, Copy, Serialize)]
struct Run {
    all: f64,
    /// While at least one target was in cargo.
    cargo: f64,
    /// While at least one program was being started, and none was in cargo.
    start: f64,
}

impl Run {
    /// Seconds that are neither cargo's nor the started programs'.
    fn own(self) -> f64 {
        self.all - self.cargo - self.start
    }
}

/// Measures and prints.
pub(crate) fn run(args: &BenchArgs, renderer: &Renderer) -> Result<(), Failure> {
    let plan_args = PlanArgs { builder: args.builder, workspace: ".".into(), ..PlanArgs::default() };
    let mut plan = commands::make_plan(&plan_args)?;
    let context = builders::context(&plan.workspace, false)?;
    let folder = plan.work_dir.join(format!("bench-{}", std::process::id()));
    for job in &mut plan.jobs {
        job.compile.target_dir = folder.join(job.compile.target.name());
    }
    plan.layout.out_dir = folder.join("dist");
    let measured = (|| {
        // Builders are made once for a machine, not once for a release.
        for target in &plan.targets {
            toolchain::provision(plan.builder.kind, *target, &context, &artifact::ignore_events)?;
        }
        let once = || {
            let clock = Clock::default();
            let begun = Instant::now();
            pipeline::release(&plan, &context, Conduct { strict: true, prove: false }, &|event| {
                clock.note(event)
            })?;
            Ok::<_, Failure>(clock.run(begun.elapsed()))
        };
        let cold = once()?;
        let mut unchanged = (0..REPEATED).map(|_| once()).collect::<Result<Vec<_>, _>>()?;
        unchanged.sort_by(|a, b| a.own().total_cmp(&b.own()));
        Ok::<_, Failure>(Measured { builder: plan.builder.kind.name(), cold, unchanged })
    })();
    let removed = fs::remove_dir_all(&folder);
    let measured = measured?;
    removed.map_err(|error| {
        let sentence = format!("cannot remove {}: {error}", folder.display());
        Failure::Package(Message::new(sentence, "remove it by hand"))
    })?;
    renderer.result(&measured, text);
    Ok(())
}

fn text(measured: &Measured) -> String {
    let Measured { builder, cold, unchanged } = measured;
    let (least, median, most) = (unchanged[0], unchanged[REPEATED / 2], unchanged[REPEATED - 1]);
    format!(
        "builder {builder}\n\
         cold       {:.1} s, cargo {:.1} s, started programs {:.1} s: {:.2} times cargo alone, starts left out\n\
         unchanged  {:.2} s beyond cargo and the started programs (median of {REPEATED}; {:.2} to {:.2}), {:.2} s in all\n",
        cold.all,
        cold.cargo,
        cold.start,
        (cold.all - cold.start) / cold.cargo,
        median.own(),
        least.own(),
        most.own(),
        median.all,
    )
}

/// When steps began and ended.
#[derive(Default)]
struct Clock {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: HashMap<String, Instant>,
    spans: Vec<(Kind, Instant, Instant)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Cargo,
    Start,
}

impl Clock {
    fn note(&self, event: Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Started { step } => {
                state.running.insert(step, Instant::now());
            }
            Event::Finished { step, .. } => {
                let Some(begun) = state.running.remove(&step) else { return };
                let kind = match step.split(' ').next() {
                    Some("build") => Kind::Cargo,
                    Some("start") => Kind::Start,
                    _ => return,
                };
                state.spans.push((kind, begun, Instant::now()));
            }
            _ => {}
        }
    }

    fn run(self, all: Duration) -> Run {
        let spans = self.state.into_inner().unwrap_or_else(PoisonError::into_inner).spans;
        let covered = |kinds: &[Kind]| {
            let chosen = spans.iter().filter(|(kind, ..)| kinds.contains(kind));
            covered(chosen.map(|(_, begun, ended)| (*begun, *ended)).collect()).as_secs_f64()
        };
        let cargo = covered(&[Kind::Cargo]);
        Run { all: all.as_secs_f64(), cargo, start: covered(&[Kind::Cargo, Kind::Start]) - cargo }
    }
}

/// How much time at least one span covers.
fn covered(mut spans: Vec<(Instant, Instant)>) -> Duration {
    spans.sort_unstable();
    let mut sum = Duration::ZERO;
    let mut until: Option<Instant> = None;
    for (begun, ended) in spans {
        let from = until.map_or(begun, |until| until.max(begun));
        sum += ended.saturating_duration_since(from);
        until = Some(until.map_or(ended, |until| until.max(ended)));
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_spans_are_counted_once() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        assert_eq!(
            covered(vec![(at(5), at(6)), (at(0), at(2)), (at(1), at(4)), (at(1), at(2))]),
            Duration::from_secs(5)
        );
    }
}
