//! A fixed slot inside a program that says which source and build it is.
//!
//! The slot is one static, empty as the compiler leaves it. `finish` writes it after linking, so that a new commit
//! recompiles nothing; the running program reads itself with [`me`].
//!
//! Its bytes are an ELF note as systemd's "Package Metadata for Executable Files" lays it out (owner `FDO`, type
//! `0xcafe1a7e`, a JSON description), so that `readelf -n` and `coredumpctl` show it. A PE file carries the same bytes
//! in a section of its own.

mod note;
mod slot;

pub use note::{Error, SLOT_SIZE, decode, encode, offsets};

use serde::{Deserialize, Serialize};

/// The section that holds the slot in an ELF file.
pub const ELF_SECTION: &str = ".note.package";

/// The section that holds the slot in a PE file.
pub const PE_SECTION: &str = ".xprov";

/// Which source and which build a program is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The product the program was released with.
    pub product: String,
    /// The product's version.
    pub version: String,
    /// The commit's full object name in hexadecimal.
    pub commit: String,
    /// Whether the work tree differed from the commit.
    pub dirty: bool,
    /// Committer time in seconds since 1970-01-01 UTC.
    pub commit_time: i64,
    /// The target's name in Seaworthy's table, such as `aarch64-linux`.
    pub target: String,
    /// The build key: a short digest over everything that determines the build. Equal keys, equal bytes.
    pub build: String,
}

/// What the running program is; `None` for a development build, which no release ever wrote.
pub fn me() -> Option<Provenance> {
    decode(slot::bytes()).ok().flatten()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_test_program_was_never_released() {
        assert_eq!(super::me(), None);
        assert_eq!(super::decode(super::slot::bytes()), Ok(None));
    }
}
