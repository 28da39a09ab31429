//! What an ELF file says, by the names of the gABI.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::constants::elf as constants;

use super::{ElfMarks, Names};

/// An ELF file.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(extend("x-source" = "ELF gABI"))]
pub struct Elf {
    /// `EI_CLASS`: 32 or 64.
    pub class: u8,
    /// `EI_DATA`: whether the file is big endian.
    pub big_endian: bool,
    /// `EI_OSABI`: the system whose extensions the file uses; 0 is none, 3 GNU.
    pub os_abi: u8,
    /// `EI_ABIVERSION`: the version of that system's interface, by its own count.
    pub abi_version: u8,
    /// `e_type` (`ET_EXEC` 2, `ET_DYN` 3 …).
    pub file_type: u16,
    /// `e_machine`: the processor (`EM_X86_64` 62, `EM_AARCH64` 183 …).
    pub machine: u16,
    /// `e_flags`: the processor's own flags, such as the ABI of ARM, MIPS and RISC-V.
    pub flags: u32,
    /// `e_entry`: the address where execution begins; 0 where there is none.
    pub entry: u64,
    /// `e_phoff`: file offset of the program headers, in bytes.
    pub program_header_offset: u64,
    /// `e_shoff`: file offset of the section headers, in bytes; 0 where there are none.
    pub section_header_offset: u64,
    /// `e_ehsize`: size of the file header, in bytes.
    pub header_size: u16,
    /// `e_phentsize`: size of one program header, in bytes.
    pub program_header_entry_size: u16,
    /// `e_shentsize`: size of one section header, in bytes.
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
    /// `DT_SONAME`: the name that others who link with this library will ask for.
    pub soname: Option<String>,
    /// `DT_RPATH`: folders to search before `LD_LIBRARY_PATH`, separated by colons; passed over where `DT_RUNPATH` is.
    pub rpath: Option<String>,
    /// `DT_RUNPATH`: folders to search after `LD_LIBRARY_PATH`, separated by colons.
    pub runpath: Option<String>,
    /// Versions needed (`DT_VERNEED`).
    pub versions_needed: Vec<VersionNeed>,
    /// Versions defined (`DT_VERDEF`): name and whether it is the file's base version.
    pub versions_defined: Vec<VersionDefinition>,
    /// Undefined dynamic symbols: what must be found in a library at load time.
    pub imports: Vec<ElfImport>,
    /// Defined dynamic symbols of global or weak binding, in the symbol table's order.
    // `None` where they were left out: `inspect_without_exports`.
    #[schemars(with = "Names")]
    pub exports: Option<Names>,
    /// Number of entries of `.symtab` (0 where stripped).
    pub symbol_count: u64,
    /// Dynamic relocations, by what they are.
    pub relocations: RelocationCount,
    /// All notes: those of note segments, then those of note sections outside of them.
    pub notes: Vec<Note>,
    /// The GNU build-id note's bytes.
    pub build_id: Option<Vec<u8>>,
    /// The file name in `.gnu_debuglink`.
    pub debug_link: Option<String>,
    /// Strings of `.comment`: which compilers and linkers say they took part.
    pub comments: Vec<String>,
    /// Notes decoded, and evidence of languages and of protections.
    pub marks: ElfMarks,
}

/// What an ELF file is to the system that loads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ElfShape {
    /// `ET_EXEC`: a program at a fixed address.
    Executable,
    /// A program that a loader moves: `ET_DYN` that says `DF_1_PIE` or has the `DT_DEBUG` that only programs get.
    PositionIndependent,
    /// The same without an interpreter and without libraries: it moves itself.
    StaticPositionIndependent,
    /// `ET_DYN` that nothing marks as a program.
    SharedLibrary,
    /// `ET_REL`, `ET_CORE`, or a type of the system's or processor's own.
    Other,
}

impl Elf {
    /// What the file is to the system that loads it. Neither a `PT_INTERP` nor a `PT_PHDR` makes a program: libc.so.6 has
    /// the one, libraries of lld have the other.
    pub fn shape(&self) -> ElfShape {
        match self.file_type {
            constants::ET_EXEC => return ElfShape::Executable,
            constants::ET_DYN => {}
            _ => return ElfShape::Other,
        }
        let says_pie = |entry: &DynamicEntry| match entry.tag {
            constants::DT_DEBUG => true,
            constants::DT_FLAGS_1 => entry.value & constants::DF_1_PIE != 0,
            _ => false,
        };
        match (self.dynamic.iter().any(says_pie), self.interpreter.is_none() && self.needed.is_empty()) {
            (true, true) => ElfShape::StaticPositionIndependent,
            (true, false) => ElfShape::PositionIndependent,
            (false, _) => ElfShape::SharedLibrary,
        }
    }
}

/// One section header.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(extend("x-source" = "ELF gABI, Sections"))]
pub struct ElfSection {
    /// Its name, lossily decoded.
    pub name: String,
    /// `sh_type`: what the section holds (`SHT_PROGBITS` 1, `SHT_NOBITS` 8 …).
    pub kind: u32,
    /// `sh_flags`: 1 writable, 2 loaded, 4 executable …
    pub flags: u64,
    /// `sh_addr`: address in memory; 0 where it is not loaded.
    pub address: u64,
    /// `sh_offset`: file offset of its bytes.
    pub offset: u64,
    /// `sh_size`: size in bytes; of `SHT_NOBITS` in memory only.
    pub size: u64,
    /// `sh_link`: index of a section it belongs with, such as a symbol table's strings.
    pub link: u32,
    /// `sh_info`: more about it, by its type.
    pub info: u32,
    /// `sh_addralign`: alignment of its address, in bytes; 0 and 1 are none.
    pub alignment: u64,
    /// `sh_entsize`: size of one entry, in bytes, where it is a table; else 0.
    pub entry_size: u64,
}

/// One program header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(extend("x-source" = "ELF gABI, Program Header"))]
pub struct ElfSegment {
    /// `p_type`: what the segment is for (`PT_LOAD` 1, `PT_DYNAMIC` 2, `PT_INTERP` 3 …).
    pub kind: u32,
    /// `p_flags`: 1 executable, 2 writable, 4 readable.
    pub flags: u32,
    /// `p_offset`: file offset of its bytes.
    pub offset: u64,
    /// `p_vaddr`: address in memory.
    pub virtual_address: u64,
    /// `p_paddr`: physical address, where that matters.
    pub physical_address: u64,
    /// `p_filesz`: size in the file, in bytes.
    pub file_size: u64,
    /// `p_memsz`: size in memory, in bytes; what the file does not have is zeros.
    pub memory_size: u64,
    /// `p_align`: alignment in memory and file, in bytes.
    pub alignment: u64,
}

/// One entry of the dynamic section.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(extend("x-source" = "ELF gABI, Dynamic Section"))]
pub struct DynamicEntry {
    /// `d_tag`: what the entry is (`DT_NEEDED` 1, `DT_FLAGS` 30 …).
    pub tag: i64,
    /// `d_val` or `d_ptr`.
    pub value: u64,
    /// The string it names, for tags that name one.
    pub text: Option<String>,
}

/// The versions needed of one library.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(extend("x-source" = "LSB Core, Symbol Versioning"))]
pub struct VersionNeed {
    /// The library (`vn_file`).
    pub library: String,
    /// Its versions, in file order.
    pub versions: Vec<NeededVersion>,
}

/// One version needed.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(extend("x-source" = "LSB Core, Symbol Versioning"))]
pub struct NeededVersion {
    /// `GLIBC_2.17`, `GLIBC_ABI_DT_RELR` …
    pub name: String,
    /// `vna_flags`; `VER_FLG_WEAK` is 2.
    pub flags: u16,
    /// `vna_other`: the index symbols refer to.
    pub index: u16,
    /// `vna_hash`: the System V hash of its name.
    pub hash: u32,
}

/// One version defined.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(extend("x-source" = "LSB Core, Symbol Versioning"))]
pub struct VersionDefinition {
    /// Its name.
    pub name: String,
    /// `vd_flags`; `VER_FLG_BASE` is 1.
    pub flags: u16,
    /// `vd_ndx`: the index that symbols refer to.
    pub index: u16,
}

/// An undefined dynamic symbol.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(extend("x-source" = "ELF gABI, Symbol Table"))]
pub struct ElfImport {
    /// The symbol's name.
    pub name: String,
    /// Whether its binding is weak: it may stay unresolved.
    pub weak: bool,
    /// The version it is bound to, where it has one; thousands of imports share a few.
    pub version: Option<Arc<str>>,
    /// The library that version belongs to.
    pub library: Option<Arc<str>>,
}

/// How many dynamic relocations a file has, and where the slots are that they fill.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(extend("x-source" = "ELF gABI, Relocation"))]
pub struct RelocationCount {
    /// Entries of `DT_REL`, `DT_RELA` and `DT_JMPREL` together.
    pub entries: u64,
    /// Bytes of the packed table (`DT_RELRSZ`).
    pub packed_bytes: u64,
    /// Lowest and highest address that `R_…_GLOB_DAT` fills, while loading.
    pub data_slots: Option<(u64, u64)>,
    /// Lowest and highest address that `R_…_JUMP_SLOT` fills, while loading or when the function is first called.
    pub function_slots: Option<(u64, u64)>,
}

/// One note.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(extend("x-source" = "ELF gABI, Note Section"))]
pub struct Note {
    /// The owner: `GNU`, `FDO` …
    pub owner: String,
    /// The type, whose meaning depends on the owner.
    pub kind: u32,
    /// The description's bytes, at most 4 KiB of them.
    pub description: Vec<u8>,
}
