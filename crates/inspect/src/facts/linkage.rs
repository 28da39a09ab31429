//! What binds a file to others at load time.

use std::sync::Arc;

use serde::Serialize;

use super::{Anomaly, ElfImport, PeImport, VersionDefinition, VersionNeed};

/// What an ELF loader reads of a program or a library to bind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ElfLinkage {
    /// `EI_CLASS`: 32 or 64.
    pub class: u8,
    /// `EI_DATA`: whether the file is big endian.
    pub big_endian: bool,
    /// `e_type`.
    pub file_type: u16,
    /// `e_machine`.
    pub machine: u16,
    /// `PT_INTERP`.
    pub interpreter: Option<String>,
    /// `EI_OSABI` and `EI_ABIVERSION`.
    pub os_abi: (u8, u8),
    /// `DT_NEEDED`, in order.
    pub needed: Vec<String>,
    /// `DT_FILTER`: libraries that must be there, as this one stands before them.
    pub filtered: Vec<String>,
    /// `DT_SONAME`.
    pub soname: Option<String>,
    /// `DT_RPATH`.
    pub rpath: Option<String>,
    /// `DT_RUNPATH`.
    pub runpath: Option<String>,
    /// `DT_FLAGS_1` (0 where absent).
    pub flags_1: u64,
    /// Versions needed (`DT_VERNEED`).
    pub versions_needed: Vec<VersionNeed>,
    /// Versions defined (`DT_VERDEF`).
    pub versions_defined: Vec<VersionDefinition>,
    /// Whether symbols have versions (`DT_VERSYM`).
    pub versioned: bool,
    /// Whether it has relative relocations in packed form (`DT_RELR`).
    pub packed_relocations: bool,
    /// Undefined dynamic symbols.
    pub imports: Vec<ElfImport>,
    /// For each of `imports`, whether a loader looks it up, which it does where a relocation names it. Linkers that take out
    /// sections after they entered symbols leave others. All of them where the relocations could not be read.
    pub looked_up: Vec<bool>,
    /// Dynamic symbols that a loader may bind others to, in file order.
    pub exports: Vec<ElfExport>,
    /// Parts that could not be read or were cut off by a cap.
    pub anomalies: Vec<Anomaly>,
}

/// A defined dynamic symbol, of global, weak or unique binding and a type that can be bound to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ElfExport {
    /// The symbol's name.
    pub name: String,
    /// The version at `version_index`, where it has one that is not the base version.
    pub version: Option<Arc<str>>,
    /// For a version of `DT_VERNEED`: the library it belongs to. Such a definition is a copy of that library's.
    pub library: Option<Arc<str>>,
    /// The version index without its highest bit; 0 and 1 are no version, and what a file without versions has is 1.
    pub version_index: u16,
    /// `VERSYM_HIDDEN`: not the default version, only found by who asks for this version.
    pub hidden: bool,
}

/// What the loader of Windows reads of a program or a DLL to bind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PeLinkage {
    /// COFF `Machine`.
    pub machine: u16,
    /// Imported DLLs, in file order; delay-loaded ones after the others.
    pub imports: Vec<PeImport>,
    /// What it offers, by ordinal.
    pub exports: Vec<PeExport>,
    /// Parts that could not be read or were cut off by a cap.
    pub anomalies: Vec<Anomaly>,
}

/// One exported function or variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PeExport {
    /// Its name; `None` where it has an ordinal only.
    pub name: Option<String>,
    /// Its ordinal, with the directory's base added.
    pub ordinal: u32,
    /// Where it really is, such as `NTDLL.RtlAllocateHeap`; `None` where it is in this file.
    pub forwarder: Option<String>,
}
