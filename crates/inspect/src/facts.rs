//! What is true of a file, as owned plain data. No opinions: `verify` has those.
//!
//! Names follow the ELF gABI and the PE/COFF specification; numbers are as stored unless a field says otherwise.

mod elf;
mod linkage;
mod marks;
mod names;
mod pe;

use schemars::JsonSchema;
use serde::Serialize;

pub use elf::*;
pub use linkage::*;
pub use marks::*;
pub use names::Names;
pub use pe::*;

/// Everything read from one file.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(extend("x-source" = "Seaworthy"))]
pub struct Facts {
    /// Size in bytes.
    pub size: u64,
    /// What the format tells.
    pub binary: Binary,
    /// Parts that could not be read or were cut off by a cap. A gate treats each as cannot-tell.
    pub anomalies: Vec<Anomaly>,
}

/// The two formats.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Binary {
    /// Executable and Linkable Format.
    Elf(Box<Elf>),
    /// Portable Executable.
    Pe(Box<Pe>),
}

/// A part of the file that is damaged, contradictory, or larger than a cap.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Anomaly {
    /// The part: `section headers`, `imports`, `verneed` …
    pub part: String,
    /// What is wrong, with offset in bytes where there is one.
    pub detail: String,
}
