//! What is true of a file, as owned plain data. No opinions: `verify` has those.
//!
//! Names follow the ELF gABI and the PE/COFF specification; numbers are as stored unless a field says otherwise.

use artifact::Digest;
use serde::Serialize;

/// Everything read from one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// The digest of all bytes.
    pub digest: Digest,
    /// Size in bytes.
    pub size: u64,
    /// What the format tells.
    pub binary: Binary,
    /// Parts that could not be read or were cut off by a cap. A gate treats each as cannot-tell.
    pub anomalies: Vec<Anomaly>,
}

/// The two formats.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Binary {
    /// Executable and Linkable Format.
    Elf(Box<Elf>),
    /// Portable Executable.
    Pe(Box<Pe>),
}

/// A part of the file that is damaged, contradictory, or larger than a cap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Anomaly {
    /// The part: `section headers`, `imports`, `verneed` …
    pub part: String,
    /// What is wrong, with offset in bytes where there is one.
    pub detail: String,
}

// ---- ELF --------------------------------------------------------------------------------------------------------

/// An ELF file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Elf {
    /// `EI_CLASS`: 32 or 64.
    pub class: u8,
    /// `EI_DATA`: whether the file is big endian.
    pub big_endian: bool,
    /// `EI_OSABI`.
    pub os_abi: u8,
    /// `EI_ABIVERSION`.
    pub abi_version: u8,
    /// `e_type` (`ET_EXEC` 2, `ET_DYN` 3 …).
    pub file_type: u16,
    /// `e_machine`.
    pub machine: u16,
    /// `e_flags`.
    pub flags: u32,
    /// `e_entry`.
    pub entry: u64,
    /// `e_phoff`.
    pub program_header_offset: u64,
    /// `e_shoff`.
    pub section_header_offset: u64,
    /// `e_ehsize`.
    pub header_size: u16,
    /// `e_phentsize`.
    pub program_header_entry_size: u16,
    /// `e_shentsize`.
    pub section_header_entry_size: u16,
    /// The index of the section name table, after the escape through section 0 (`SHN_XINDEX`).
    pub section_name_index: u32,
    /// Section headers, in file order; empty where the file has none.
    pub sections: Vec<ElfSection>,
    /// Program headers, in file order.
    pub segments: Vec<ElfSegment>,
    /// The path in `PT_INTERP`.
    pub interpreter: Option<String>,
    /// Entries of `PT_DYNAMIC` up to and without `DT_NULL`.
    pub dynamic: Vec<DynamicEntry>,
    /// `DT_NEEDED`, in order.
    pub needed: Vec<String>,
    /// `DT_SONAME`.
    pub soname: Option<String>,
    /// `DT_RPATH`.
    pub rpath: Option<String>,
    /// `DT_RUNPATH`.
    pub runpath: Option<String>,
    /// Versions needed (`DT_VERNEED`).
    pub versions_needed: Vec<VersionNeed>,
    /// Versions defined (`DT_VERDEF`): name and whether it is the file's base version.
    pub versions_defined: Vec<VersionDefinition>,
    /// Undefined dynamic symbols: what must be found in a library at load time.
    pub imports: Vec<ElfImport>,
    /// Defined dynamic symbols of global or weak binding, sorted by name.
    pub exports: Vec<String>,
    /// Number of entries of `.symtab` (0 where stripped).
    pub symbol_count: u64,
    /// Dynamic relocations, by what they are.
    pub relocations: RelocationCount,
    /// All notes, from note segments, or note sections where there is no segment.
    pub notes: Vec<Note>,
    /// The GNU build-id note's bytes.
    pub build_id: Option<Vec<u8>>,
    /// The file name in `.gnu_debuglink`.
    pub debug_link: Option<String>,
    /// Strings of `.comment`: which compilers and linkers say they took part.
    pub comments: Vec<String>,
}

/// One section header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ElfSection {
    /// Its name, lossily decoded.
    pub name: String,
    /// `sh_type`.
    pub kind: u32,
    /// `sh_flags`.
    pub flags: u64,
    /// `sh_addr`.
    pub address: u64,
    /// `sh_offset`.
    pub offset: u64,
    /// `sh_size`.
    pub size: u64,
    /// `sh_link`.
    pub link: u32,
    /// `sh_info`.
    pub info: u32,
    /// `sh_addralign`.
    pub alignment: u64,
    /// `sh_entsize`.
    pub entry_size: u64,
}

/// One program header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ElfSegment {
    /// `p_type`.
    pub kind: u32,
    /// `p_flags`.
    pub flags: u32,
    /// `p_offset`.
    pub offset: u64,
    /// `p_vaddr`.
    pub virtual_address: u64,
    /// `p_paddr`.
    pub physical_address: u64,
    /// `p_filesz`.
    pub file_size: u64,
    /// `p_memsz`.
    pub memory_size: u64,
    /// `p_align`.
    pub alignment: u64,
}

/// One entry of the dynamic section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DynamicEntry {
    /// `d_tag`.
    pub tag: i64,
    /// `d_val` or `d_ptr`.
    pub value: u64,
    /// The string it names, for tags that name one.
    pub text: Option<String>,
}

/// The versions needed of one library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VersionNeed {
    /// The library (`vn_file`).
    pub library: String,
    /// Its versions, in file order.
    pub versions: Vec<NeededVersion>,
}

/// One version needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NeededVersion {
    /// `GLIBC_2.17`, `GLIBC_ABI_DT_RELR` …
    pub name: String,
    /// `vna_flags`; `VER_FLG_WEAK` is 2.
    pub flags: u16,
    /// `vna_other`: the index symbols refer to.
    pub index: u16,
    /// `vna_hash`.
    pub hash: u32,
}

/// One version defined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VersionDefinition {
    /// Its name.
    pub name: String,
    /// `vd_flags`; `VER_FLG_BASE` is 1.
    pub flags: u16,
    /// `vd_ndx`.
    pub index: u16,
}

/// An undefined dynamic symbol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ElfImport {
    /// The symbol's name.
    pub name: String,
    /// Whether its binding is weak: it may stay unresolved.
    pub weak: bool,
    /// The version it is bound to, where it has one.
    pub version: Option<String>,
    /// The library that version belongs to.
    pub library: Option<String>,
}

/// How many dynamic relocations a file has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RelocationCount {
    /// Entries of `DT_REL`, `DT_RELA` and `DT_JMPREL` together.
    pub entries: u64,
    /// Bytes of the packed table (`DT_RELRSZ`).
    pub packed_bytes: u64,
}

/// One note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// The owner: `GNU`, `FDO` …
    pub owner: String,
    /// The type, whose meaning depends on the owner.
    pub kind: u32,
    /// The description's bytes, at most 4 KiB of them.
    pub description: Vec<u8>,
}

// ---- PE ---------------------------------------------------------------------------------------------------------

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
    /// The checksum of the bytes as they are (the algorithm of `CheckSumMappedFile`).
    pub computed_checksum: u32,
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
    pub exports: Vec<String>,
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
