//! Deterministic archives of verified programs, and a release folder that appears at once or not at all.
//!
//! [`Staging::begin`] takes the release lock and a private folder; [`pack()`] writes a target's archives there;
//! [`read_back()`] opens them again; [`Staging::publish`] adds checksums and manifest and puts the folder in its place.

mod error;
mod formats;
mod layout;
mod pack;
mod read_back;
mod staging;

pub use error::{Error, ErrorKind};
pub use layout::{BundleFile, Layout};
pub use pack::{Archive, pack};
pub use read_back::{read_back, read_release};
pub use staging::Staging;
