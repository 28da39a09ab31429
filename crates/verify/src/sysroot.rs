//! The root folder that a policy names: read when a rule first asks, and once for all files.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use closure::Sysroot;
use serde::{Deserialize, Serialize};

/// A root folder by its path. Copies of a policy share what was read of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SysrootPolicy {
    path: PathBuf,
    #[serde(skip)]
    opened: Arc<OnceLock<Result<Sysroot, String>>>,
}

impl SysrootPolicy {
    /// The root folder at `path`, not looked at yet.
    pub fn new(path: &Path) -> SysrootPolicy {
        SysrootPolicy { path: path.to_owned(), opened: Arc::default() }
    }

    /// The path as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The root, or why it cannot be read.
    pub(crate) fn root(&self) -> Result<&Sysroot, &str> {
        let opened = self.opened.get_or_init(|| Sysroot::open(&self.path).map_err(|error| error.to_string()));
        opened.as_ref().map_err(String::as_str)
    }
}

impl PartialEq for SysrootPolicy {
    fn eq(&self, other: &SysrootPolicy) -> bool {
        self.path == other.path
    }
}

impl Eq for SysrootPolicy {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_alike_where_they_name_the_same_root_opened_or_not() {
        let named = |path: &str| SysrootPolicy::new(Path::new(path));
        let opened = named("/nowhere");
        assert!(opened.root().is_err());
        assert_eq!(opened, named("/nowhere"));
        assert_ne!(named("/nowhere"), named("/elsewhere"));
    }
}
