//! What a place is made of, and how much two places differ.
//!
//! [`Place::open`] takes a folder with a root file system, a tar archive of one, or an image in an engine; [`capture()`] reads
//! it without starting anything that is in it and gives facts in a canonical form. [`diff()`] compares two captures:
//! a drift rate, and gates that fail whatever the rate. [`Fleet`] compares thousands with one. `docs/drift.md` has the formula.

mod archive;
mod capture;
mod config;
mod diff;
mod engine;
mod error;
mod fleet;
mod libraries;
mod packages;
mod place;
mod policy;
mod runtime;
mod secret;
mod version;

pub use capture::{Capture, Class, Fact, Request, SCHEMA_VERSION, Unknown, Wanted, capture};
pub use diff::{ClassDrift, Difference, Drift, Verdict, diff};
pub use error::{Error, ErrorKind};
pub use fleet::{Fleet, FleetDrift, KeyDrift, PlaceDrift};
pub use libraries::missing;
pub use place::Place;
pub use policy::{DriftPolicy, DriftWaiver};
pub use secret::Key;
pub use version::{Version, distance};
