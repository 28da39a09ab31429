//! What a PE file says, by the names of the PE/COFF specification.

use serde::Serialize;

use super::Names;

/// A PE file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pe {
    /// File offset of the `PE\0\0` signature (`e_lfanew`).
    pub header_offset: u32,
    /// COFF `Machine`.
    pub machine: u16,
    /// COFF `TimeDateStamp`.
    pub timestamp: u32,
    /// COFF `Characteristics`.
    pub characteristics: u16,
    /// COFF `PointerToSymbolTable`.
    pub symbol_table_offset: u32,
    /// COFF `NumberOfSymbols`.
    pub symbol_count: u32,
    /// Optional header `Magic`: 0x10b (PE32) or 0x20b (PE32+).
    pub magic: u16,
    /// Linker version, major and minor.
    pub linker_version: (u8, u8),
    /// `AddressOfEntryPoint`, relative to the image base.
    pub entry: u32,
    /// `ImageBase`.
    pub image_base: u64,
    /// `SectionAlignment`.
    pub section_alignment: u32,
    /// `FileAlignment`.
    pub file_alignment: u32,
    /// Operating system version, major and minor.
    pub os_version: (u16, u16),
    /// Image version, major and minor.
    pub image_version: (u16, u16),
    /// Subsystem version, major and minor.
    pub subsystem_version: (u16, u16),
    /// `SizeOfImage`.
    pub size_of_image: u32,
    /// `SizeOfHeaders`.
    pub size_of_headers: u32,
    /// `CheckSum` as stored.
    pub checksum: u32,
    /// `Subsystem`: 2 GUI, 3 console.
    pub subsystem: u16,
    /// `DllCharacteristics`.
    pub dll_characteristics: u16,
    /// Stack reserve and commit, heap reserve and commit, in bytes.
    pub stack_and_heap: [u64; 4],
    /// The data directories, in the specification's order.
    pub data_directories: Vec<DataDirectory>,
    /// The section table.
    pub sections: Vec<PeSection>,
    /// Imported libraries, in file order; delay-loaded ones after the others.
    pub imports: Vec<PeImport>,
    /// Exported names, in file order.
    pub exports: Names,
    /// The name in the export directory.
    pub export_name: Option<String>,
    /// Base relocations.
    pub base_relocations: BaseRelocations,
    /// The debug directory's entries.
    pub debug: Vec<PeDebug>,
    /// Whether there is a TLS directory.
    pub has_tls: bool,
    /// The load configuration directory's size and guard flags, where there is one.
    pub load_config: Option<LoadConfig>,
    /// Bytes of the attribute certificate table (0: not signed).
    pub certificate_size: u32,
    /// Bytes after the last section, the COFF symbol table and the certificate table.
    pub overlay_size: u64,
}

/// One data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DataDirectory {
    /// `VirtualAddress` (for the certificate table: a file offset).
    pub address: u32,
    /// `Size` in bytes.
    pub size: u32,
}

/// One section header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PeSection {
    /// Its name, with a `/4`-style name resolved through the COFF string table where there is one.
    pub name: String,
    /// `VirtualSize`.
    pub virtual_size: u32,
    /// `VirtualAddress`.
    pub virtual_address: u32,
    /// `SizeOfRawData`.
    pub raw_size: u32,
    /// `PointerToRawData`.
    pub raw_offset: u32,
    /// `Characteristics`.
    pub characteristics: u32,
}

/// One imported library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PeImport {
    /// Its name as written.
    pub library: String,
    /// Whether it is delay-loaded.
    pub delayed: bool,
    /// What is imported from it.
    pub functions: Vec<PeFunction>,
}

/// One imported function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PeFunction {
    /// By name.
    Name(String),
    /// By ordinal.
    Ordinal(u16),
}

/// The base relocation table, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BaseRelocations {
    /// Blocks (one a 4 KiB page).
    pub blocks: u32,
    /// Entries that are not padding (`IMAGE_REL_BASED_ABSOLUTE`).
    pub entries: u32,
}

/// One entry of the debug directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PeDebug {
    /// `Type`: 2 CodeView, 16 Repro, 20 extended DLL characteristics …
    pub kind: u32,
    /// `TimeDateStamp`.
    pub timestamp: u32,
    /// For CodeView: the signature (a GUID in the PDB 7.0 form) as bytes.
    pub signature: Vec<u8>,
    /// For CodeView: the path of the PDB file.
    pub pdb_path: Option<String>,
}

/// What of the load configuration matters for mitigations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LoadConfig {
    /// Its size in bytes, from its own first field.
    pub size: u32,
    /// `SecurityCookie`.
    pub security_cookie: u64,
    /// `GuardFlags` (0 where the structure ends before them).
    pub guard_flags: u32,
}
