//! This repository's own speed, measured beside what else there is, in one run.

mod corpus;
mod daemon;
mod environment;
mod measure;
mod peers;
mod queue;
mod release;
mod table;
mod verify;

use crate::args::{BenchArgs, Benchmark};
use crate::failure::Failure;
use crate::render::Renderer;

/// Measures and prints.
pub(crate) fn run(args: &BenchArgs, renderer: &Renderer) -> Result<(), Failure> {
    match args.what {
        Benchmark::Release => release::run(args, renderer),
        Benchmark::Verify => verify::run(renderer),
        Benchmark::Daemon => daemon::run(renderer),
        Benchmark::Queue => queue::run(renderer),
        Benchmark::Env => environment::run(renderer),
    }
}
