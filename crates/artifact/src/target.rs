//! The closed list of targets, in one table. Adding one is a row, a folder of docker/ and fixtures.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A system that a release can be made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum Target {
    /// `aarch64-linux`
    Aarch64Linux,
    /// `aarch64-linux-musl`
    Aarch64LinuxMusl,
    /// `x86_64-linux`
    X86_64Linux,
    /// `x86_64-linux-musl`
    X86_64LinuxMusl,
    /// `x86_64-windows`
    X86_64Windows,
}

/// The container format of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BinaryFormat {
    /// Executable and Linkable Format (ELF gABI).
    Elf,
    /// Portable Executable (PE/COFF specification).
    Pe,
}

/// The processor a program is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Machine {
    /// Arm 64-bit: ELF `EM_AARCH64` (183), PE `IMAGE_FILE_MACHINE_ARM64` (0xaa64).
    Aarch64,
    /// AMD64: ELF `EM_X86_64` (62), PE `IMAGE_FILE_MACHINE_AMD64` (0x8664).
    X86_64,
}

/// How a program finds its C library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Linkage {
    /// Through a loader on the target system.
    Dynamic,
    /// It carries everything and is still position independent (static PIE).
    StaticPie,
}

/// One row of the table: what is true of every program for the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetRow {
    /// Which target the row is about.
    pub target: Target,
    /// Its name on the command line, in `release.toml` and in archive names.
    pub name: &'static str,
    /// The Rust target triple.
    pub triple: &'static str,
    /// The format its programs have.
    pub format: BinaryFormat,
    /// The processor they are for.
    pub machine: Machine,
    /// How they find their C library.
    pub linkage: Linkage,
    /// The loader they must name (`PT_INTERP`); `None` where there is none.
    pub interpreter: Option<&'static str>,
    /// The oldest glibc they must start on, as declared by default; `None` without glibc.
    pub glibc_floor: Option<&'static str>,
    /// The folder of `docker/` whose image builds it.
    pub image: &'static str,
    /// The suffix of an executable's file name.
    pub executable_suffix: &'static str,
    /// Whether a release makes it when nothing is asked for.
    pub is_default: bool,
}

const TABLE: &[TargetRow] = &[
    TargetRow {
        target: Target::Aarch64Linux,
        name: "aarch64-linux",
        triple: "aarch64-unknown-linux-gnu",
        format: BinaryFormat::Elf,
        machine: Machine::Aarch64,
        linkage: Linkage::Dynamic,
        interpreter: Some("/lib/ld-linux-aarch64.so.1"),
        glibc_floor: Some("2.31"),
        image: "aarch64-linux",
        executable_suffix: "",
        is_default: true,
    },
    TargetRow {
        target: Target::Aarch64LinuxMusl,
        name: "aarch64-linux-musl",
        triple: "aarch64-unknown-linux-musl",
        format: BinaryFormat::Elf,
        machine: Machine::Aarch64,
        linkage: Linkage::StaticPie,
        interpreter: None,
        glibc_floor: None,
        image: "aarch64-linux",
        executable_suffix: "",
        is_default: false,
    },
    TargetRow {
        target: Target::X86_64Linux,
        name: "x86_64-linux",
        triple: "x86_64-unknown-linux-gnu",
        format: BinaryFormat::Elf,
        machine: Machine::X86_64,
        linkage: Linkage::Dynamic,
        interpreter: Some("/lib64/ld-linux-x86-64.so.2"),
        glibc_floor: Some("2.31"),
        image: "x86_64-linux",
        executable_suffix: "",
        is_default: false,
    },
    TargetRow {
        target: Target::X86_64LinuxMusl,
        name: "x86_64-linux-musl",
        triple: "x86_64-unknown-linux-musl",
        format: BinaryFormat::Elf,
        machine: Machine::X86_64,
        linkage: Linkage::StaticPie,
        interpreter: None,
        glibc_floor: None,
        image: "x86_64-linux",
        executable_suffix: "",
        is_default: false,
    },
    TargetRow {
        target: Target::X86_64Windows,
        name: "x86_64-windows",
        triple: "x86_64-pc-windows-gnu",
        format: BinaryFormat::Pe,
        machine: Machine::X86_64,
        linkage: Linkage::Dynamic,
        interpreter: None,
        glibc_floor: None,
        image: "x86_64-windows",
        executable_suffix: ".exe",
        is_default: true,
    },
];

impl JsonSchema for Target {
    fn schema_name() -> Cow<'static, str> {
        "Target".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": Target::all().map(Target::name).collect::<Vec<_>>() })
    }

    fn inline_schema() -> bool {
        true
    }
}

impl Target {
    /// Every target, in the table's order.
    pub fn all() -> impl Iterator<Item = Target> {
        TABLE.iter().map(|row| row.target)
    }

    /// What is true of every program for it.
    pub fn row(self) -> &'static TargetRow {
        TABLE.iter().find(|row| row.target == self).expect("every target has a row, see the test")
    }

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The Rust target triple.
    pub fn triple(self) -> &'static str {
        self.row().triple
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl From<Target> for &'static str {
    fn from(target: Target) -> &'static str {
        target.name()
    }
}

impl TryFrom<String> for Target {
    type Error = UnknownTarget;

    fn try_from(name: String) -> Result<Target, UnknownTarget> {
        name.parse()
    }
}

impl FromStr for Target {
    type Err = UnknownTarget;

    /// Takes the name or the triple.
    fn from_str(name: &str) -> Result<Target, UnknownTarget> {
        let row = TABLE.iter().find(|row| row.name == name || row.triple == name);
        row.map(|row| row.target).ok_or_else(|| UnknownTarget { name: name.to_owned() })
    }
}

/// No row of the table has this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownTarget {
    /// What was asked for.
    pub name: String,
}

impl fmt::Display for UnknownTarget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = Target::all().map(Target::name).collect();
        write!(formatter, "unknown target `{}`; the targets are {}", self.name, names.join(", "))
    }
}

impl std::error::Error for UnknownTarget {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_one_row_and_both_its_names_lead_to_it() {
        for target in [
            Target::Aarch64Linux,
            Target::Aarch64LinuxMusl,
            Target::X86_64Linux,
            Target::X86_64LinuxMusl,
            Target::X86_64Windows,
        ] {
            assert_eq!(target.name().parse(), Ok(target));
            assert_eq!(target.triple().parse(), Ok(target));
        }
    }

    #[test]
    fn an_unknown_target_is_refused_with_the_list() {
        let refused = "aarch64-linus".parse::<Target>().unwrap_err().to_string();
        assert!(refused.contains("aarch64-linus") && refused.contains("x86_64-windows"), "{refused}");
    }
}
