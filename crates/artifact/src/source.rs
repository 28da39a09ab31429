//! Which source a release is made from.

use serde::{Deserialize, Serialize};

/// The product, version and commit that a release says it is, and every file in it must say too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The product's name, from `release.toml`: the archive's first word.
    pub product: String,
    /// The version of the product's package, from cargo metadata.
    pub version: String,
    /// The commit's full object name in hexadecimal (git).
    pub commit: String,
    /// Committer time in seconds since 1970-01-01 UTC; every stamp in the release is this one (SOURCE_DATE_EPOCH).
    pub commit_time: i64,
    /// Whether the work tree differed from the commit (allowed only on request).
    pub dirty: bool,
}
