//! `manifest.json`, schema version 1: what a release says about itself. The one crate with a semver promise.
//!
//! Everything in it comes from the commit and from the files, so two releases of one commit, made in two folders,
//! have equal manifests: no wall-clock time, no path of the machine, every list sorted when it is written.

mod error;
mod model;
mod schema;

pub use error::{Error, ErrorKind};
pub use model::{
    Artifact, Builder, Edit, File, FileKind, Manifest, Member, RuleResult, SCHEMA_VERSION, Smoke, Waived,
};
pub use schema::schema;
