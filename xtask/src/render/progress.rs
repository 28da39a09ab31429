//! Events drawn as they come: bars on a terminal, plain lines elsewhere, or nothing.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use artifact::Event;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::{FAINT, GOOD};

#[derive(Debug)]
pub(super) struct Progress {
    mode: Mode,
    running: Mutex<HashMap<String, Step>>,
}

#[derive(Debug)]
enum Mode {
    Silent,
    Lines,
    Bars(MultiProgress),
}

#[derive(Debug)]
struct Step {
    since: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    pub(super) fn silent() -> Progress {
        Progress::new(Mode::Silent)
    }

    pub(super) fn lines() -> Progress {
        Progress::new(Mode::Lines)
    }

    pub(super) fn bars() -> Progress {
        Progress::new(Mode::Bars(MultiProgress::new()))
    }

    fn new(mode: Mode) -> Progress {
        Progress { mode, running: Mutex::default() }
    }

    pub(super) fn draw(&self, event: Event) {
        match event {
            Event::Started { step } => self.started(step),
            Event::Advanced { step, done, total } => self.advanced(&step, done, total),
            Event::Output { step, line } => self.output(&step, &line),
            Event::Finished { step, result } => self.finished(&step, &result),
            _ => {}
        }
    }

    /// A line above the bars.
    pub(super) fn line(&self, line: &str) {
        match &self.mode {
            Mode::Silent => {}
            Mode::Lines => anstream::eprintln!("{line}"),
            Mode::Bars(bars) => bars.suspend(|| anstream::eprintln!("{line}")),
        }
    }

    /// Runs `print` while no bar is on the screen.
    pub(super) fn suspended(&self, print: impl FnOnce()) {
        match &self.mode {
            Mode::Bars(bars) => bars.suspend(print),
            Mode::Silent | Mode::Lines => print(),
        }
    }

    fn started(&self, step: String) {
        let bar = match &self.mode {
            Mode::Bars(bars) => {
                let bar = bars.add(ProgressBar::new_spinner().with_style(spinner()));
                bar.set_prefix(step.clone());
                bar.enable_steady_tick(Duration::from_millis(120));
                Some(bar)
            }
            Mode::Silent | Mode::Lines => None,
        };
        if matches!(self.mode, Mode::Lines) {
            self.line(&format!("{FAINT}{:>12}{FAINT:#} {step}", "start"));
        }
        self.running().insert(step, Step { since: Instant::now(), bar });
    }

    fn advanced(&self, step: &str, done: u64, total: u64) {
        let running = self.running();
        let Some(bar) = running.get(step).and_then(|step| step.bar.as_ref()) else { return };
        if total > 0 && bar.length() != Some(total) {
            bar.set_length(total);
            bar.set_style(bar_style());
        }
        bar.set_position(done);
    }

    fn output(&self, step: &str, line: &str) {
        let running = self.running();
        match running.get(step).and_then(|step| step.bar.as_ref()) {
            Some(bar) => bar.set_message(line.trim().to_owned()),
            None => self.line(&format!("{FAINT}{step:>12} |{FAINT:#} {line}")),
        }
    }

    fn finished(&self, step: &str, result: &str) {
        let Some(Step { since, bar }) = self.running().remove(step) else { return };
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        let result = if result.is_empty() { String::new() } else { format!(": {result}") };
        let seconds = since.elapsed().as_secs_f32();
        self.line(&format!("{GOOD}{:>12}{GOOD:#} {step}{result} {FAINT}({seconds:.1} s){FAINT:#}", "done"));
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, Step>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn spinner() -> ProgressStyle {
    ProgressStyle::with_template("{spinner:>12.cyan} {prefix} {elapsed:.dim} {wide_msg:.dim}")
        .expect("the template is constant and drawn by every run on a terminal")
}

fn bar_style() -> ProgressStyle {
    ProgressStyle::with_template(
        "{spinner:>12.cyan} {prefix} {bar:24} {binary_bytes}/{binary_total_bytes} {wide_msg:.dim}",
    )
    .expect("the template is constant and drawn by every run on a terminal")
}
