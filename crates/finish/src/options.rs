//! The `[finish]` table of `release.toml`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Which edits [`finish`](crate::finish()) makes. Stamps, checksum and provenance are always set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct FinishOptions {
    /// The Windows subsystem; `None` keeps what the linker wrote. Says nothing about ELF.
    pub subsystem: Option<Subsystem>,
    /// What is taken out of the program.
    pub strip: Strip,
    /// Whether what `strip` takes out is kept in a symbols file, linked by name and checksum.
    pub split_symbols: bool,
    /// Further sections to drop, by name. One that the program needs is refused; one that is not there is no matter.
    pub drop_sections: Vec<String>,
    /// PE sections to merge into the section right before them, `".rdata" = ".text"`, as the linker's `/MERGE` does.
    /// Merged data takes that section's permissions, so constants in `.text` can be executed: verify says so. Says
    /// nothing about ELF.
    pub merge_sections: BTreeMap<String, String>,
}

impl Default for FinishOptions {
    fn default() -> FinishOptions {
        FinishOptions {
            subsystem: None,
            strip: Strip::Symbols,
            split_symbols: true,
            drop_sections: Vec::new(),
            merge_sections: BTreeMap::new(),
        }
    }
}

/// The `Subsystem` field of a PE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subsystem {
    /// `IMAGE_SUBSYSTEM_WINDOWS_CUI` (3): a console opens when it is started from the desktop.
    Console,
    /// `IMAGE_SUBSYSTEM_WINDOWS_GUI` (2): no console.
    Gui,
}

/// What is taken out of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strip {
    /// Nothing.
    None,
    /// Symbol tables that no loader reads, and debug sections.
    Symbols,
}
