//! The values that flow through a release. Nothing here runs, reads or writes anything but a file's digest.
//!
//! A file leaves the yard only as [`Artifact<Verified>`]: [`Artifact::accept`] is the one door, and it opens for a
//! [`Report`] about the same bytes, with findings, none of which failed.

pub mod contract;
mod date;
mod digest;
mod event;
mod fault;
pub mod matching;
mod nearest;
mod pieces;
mod report;
mod source;
mod stage;
mod target;
mod toolchain;

pub use date::Date;
pub use digest::{Digest, Hasher};
pub use event::{Event, Events, ignore_events};
pub use fault::{Fault, FaultKind};
pub use nearest::{nearest, nearest_in};
pub use pieces::Pieces;
pub use report::{Evidence, Finding, Outcome, READABLE, Report, Waiver};
pub use source::Source;
pub use stage::{Artifact, Built, Edit, Finished, Refusal, Verified};
pub use target::{BinaryFormat, Linkage, Machine, Target, TargetRow, UnknownTarget};
pub use toolchain::{BuilderKind, Engine, Launcher, Toolchain, ToolchainIdentity};
