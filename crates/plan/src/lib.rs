//! Every choice of a release, made before anything runs.
//!
//! [`plan`] reads `release.toml`, asks cargo and git, chooses the builder, and returns a complete [`ReleasePlan`]:
//! what `release --dry-run` prints is what `release` does. Nothing is built, written or downloaded here.

mod config;
mod error;
mod git;
mod resolve;
mod waivers;
mod workspace;

pub use config::{Config, DEFAULT as DEFAULT_CONFIG};
pub use error::{Error, ErrorKind};
pub use resolve::{Job, PlanRequest, ReleasePlan, plan, policy, target};
pub use waivers::{in_force, waivers};
