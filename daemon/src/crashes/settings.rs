//! The part `[crashes]` of the configuration.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Folder;

const MIB: u64 = 1 << 20;

/// Where dumps of crashed workers are kept, and how many.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CrashSettings {
    /// Else `crashes` in the state directory.
    directory: Option<PathBuf>,
    /// How many crashes; none with 0.
    keep: u32,
    /// All of them together, but for the last one's context. Bytes.
    max_bytes: u64,
}

impl Default for CrashSettings {
    fn default() -> Self {
        Self { directory: None, keep: 5, max_bytes: 64 * MIB }
    }
}

impl CrashSettings {
    /// Checks what the types do not.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.keep > 1000 {
            return Err(format!("keep must be 0 to 1000, not {}", self.keep));
        }
        if !(MIB..=1024 * 1024 * MIB).contains(&self.max_bytes) {
            return Err(format!("max_bytes must be {MIB} to {}, not {}", 1024 * 1024 * MIB, self.max_bytes));
        }
        if self.directory.as_ref().is_some_and(|directory| directory.as_os_str().is_empty()) {
            return Err("directory is empty".to_owned());
        }
        Ok(())
    }

    /// Where they are kept, if anywhere.
    pub(crate) fn folder(&self, state_directory: Option<&Path>) -> Option<Folder> {
        let in_state = || state_directory.map(|directory| directory.join("crashes"));
        let directory = self.directory.clone().or_else(in_state).filter(|_| self.keep > 0)?;
        // It is told to the guardian as a text.
        let directory = std::path::absolute(directory).ok().filter(|path| path.to_str().is_some())?;
        Some(Folder { directory, keep: self.keep as usize, max_bytes: self.max_bytes })
    }
}
