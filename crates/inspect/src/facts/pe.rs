//! What a PE file says, by the names of the PE/COFF specification.

mod load_config;
mod resources;
mod signature;

use schemars::JsonSchema;
use serde::Serialize;

use super::Names;
use crate::constants::pe as constants;

pub use load_config::LoadConfig;
pub use resources::*;
pub use signature::*;

/// A PE file.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(extend("x-source" = "PE/COFF specification"))]
pub struct Pe {
    /// File offset of the `PE\0\0` signature (`e_lfanew`).
    pub header_offset: u32,
    /// COFF `Machine`: the processor (0x8664 x86-64, 0xaa64 AArch64, 0x14c x86).
    pub machine: u16,
    /// COFF `TimeDateStamp`: seconds since 1970, 0, or a part of a hash.
    pub timestamp: u32,
    /// COFF `Characteristics`: 1 relocations stripped, 2 executable, 0x20 addresses above 2 GiB, 0x2000 DLL …
    pub characteristics: u16,
    /// COFF `PointerToSymbolTable`: file offset of the COFF symbols; 0 where there are none.
    pub symbol_table_offset: u32,
    /// COFF `NumberOfSymbols`: how many entries that table has.
    pub symbol_count: u32,
    /// Optional header `Magic`: 0x10b (PE32) or 0x20b (PE32+).
    pub magic: u16,
    /// Linker version, major and minor.
    pub linker_version: (u8, u8),
    /// `AddressOfEntryPoint`, relative to the image base.
    pub entry: u32,
    /// `ImageBase`: the preferred address of the first byte in memory.
    pub image_base: u64,
    /// `SectionAlignment`: alignment of sections in memory, in bytes.
    pub section_alignment: u32,
    /// `FileAlignment`: alignment of sections in the file, in bytes.
    pub file_alignment: u32,
    /// Operating system version, major and minor.
    pub os_version: (u16, u16),
    /// Image version, major and minor.
    pub image_version: (u16, u16),
    /// Subsystem version, major and minor.
    pub subsystem_version: (u16, u16),
    /// `SizeOfImage`: size in memory of headers and sections, in bytes.
    pub size_of_image: u32,
    /// `SizeOfHeaders`: size in the file of all headers, in bytes.
    pub size_of_headers: u32,
    /// `CheckSum` as stored; 0 where the linker wrote none.
    pub checksum: u32,
    /// `Subsystem`: 2 GUI, 3 console.
    pub subsystem: u16,
    /// `DllCharacteristics`: 0x20 high-entropy addresses, 0x40 may be moved, 0x100 data is not executed, 0x4000 control flow guard …
    pub dll_characteristics: u16,
    /// Stack reserve and commit, heap reserve and commit, in bytes.
    pub stack_and_heap: [u64; 4],
    /// The data directories, in the specification's order.
    pub data_directories: Vec<DataDirectory>,
    /// The section table.
    pub sections: Vec<PeSection>,
    /// Imported libraries, in file order; delay-loaded ones after the others.
    pub imports: Vec<PeImport>,
    /// Bound imports: libraries whose addresses were written into the file ahead of time.
    pub bound_imports: Vec<BoundImport>,
    /// Exported names, in file order.
    pub exports: Names,
    /// The name in the export directory.
    pub export_name: Option<String>,
    /// Exported addresses, with and without a name.
    pub export_count: u32,
    /// The ordinal of the first exported address.
    pub export_ordinal_base: u32,
    /// Of the exported addresses, those that no name leads to.
    pub exports_by_ordinal: u32,
    /// `TimeDateStamp` of the export directory; 0 where there is none.
    pub export_timestamp: u32,
    /// Exports that are another library's.
    pub forwarders: Vec<PeForwarder>,
    /// Base relocations.
    pub base_relocations: BaseRelocations,
    /// The debug directory's entries.
    pub debug: Vec<PeDebug>,
    /// The thread-local storage directory.
    pub tls: Option<PeTls>,
    /// The load configuration directory.
    pub load_config: Option<LoadConfig>,
    /// The linker's undocumented record between the DOS stub and the PE header ("Rich" header).
    pub rich_header: Option<RichHeader>,
    /// The header of .NET code.
    pub clr: Option<ClrHeader>,
    /// The resource directory.
    pub resources: Option<Resources>,
    /// COFF symbols of the stack protector, and `__chk_fail` of `_FORTIFY_SOURCE`, where the symbol table is still there.
    pub protector_symbols: Vec<String>,
    /// Bytes of the attribute certificate table (0: not signed).
    pub certificate_size: u32,
    /// The entries of the attribute certificate table.
    pub certificates: Vec<Certificate>,
    /// File offset of the first byte that nothing accounts for; 0 where there is none.
    pub overlay_offset: u64,
    /// Bytes behind the last section and the COFF symbols, without the certificate table.
    pub overlay_size: u64,
}

impl Pe {
    /// Whether programs load it: `IMAGE_FILE_DLL`.
    pub fn is_library(&self) -> bool {
        self.characteristics & constants::IMAGE_FILE_DLL != 0
    }

    /// Whether firmware loads it, by a loader of its own: `IMAGE_SUBSYSTEM_EFI_APPLICATION` to `…_EFI_ROM`.
    pub fn is_for_firmware(&self) -> bool {
        (10..=13).contains(&self.subsystem)
    }

    /// The data directory at `index`, where it is there and not empty.
    pub fn directory(&self, index: usize) -> Option<DataDirectory> {
        let directory = self.data_directories.get(index).copied();
        directory.filter(|directory| directory.address != 0 && directory.size != 0)
    }

    /// The section that an address relative to the image base is in.
    pub fn section_at(&self, address: u32) -> Option<&PeSection> {
        // A loader takes sections in ascending order only; a list of thousands is not walked for each address.
        if self.sections.len() > 96 {
            let behind = self.sections.partition_point(|section| section.virtual_address <= address);
            return self.sections.get(behind.checked_sub(1)?).filter(|section| section.holds(address));
        }
        self.sections.iter().find(|section| section.holds(address))
    }

    /// The file offset of an address relative to the image base; `None` where no byte of the file is loaded there.
    pub fn file_offset(&self, address: u32) -> Option<u64> {
        match self.section_at(address) {
            Some(section) => {
                let inside = address - section.virtual_address;
                (inside < section.raw_size).then(|| section.file_start(self) + u64::from(inside))
            }
            None => (address < self.size_of_headers).then_some(u64::from(address)),
        }
    }

    /// The address relative to the image base of an absolute one.
    pub fn relative(&self, address: u64) -> Option<u32> {
        address.checked_sub(self.image_base)?.try_into().ok()
    }
}

/// One data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(extend("x-source" = "PE/COFF specification, Optional Header Data Directories"))]
pub struct DataDirectory {
    /// `VirtualAddress` (for the certificate table: a file offset).
    pub address: u32,
    /// `Size` in bytes.
    pub size: u32,
}

/// One section header.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(extend("x-source" = "PE/COFF specification, Section Table"))]
pub struct PeSection {
    /// Its name, with a `/4`-style name resolved through the COFF string table where there is one.
    pub name: String,
    /// `VirtualSize`: size in memory, in bytes.
    pub virtual_size: u32,
    /// `VirtualAddress`: address relative to the image base.
    pub virtual_address: u32,
    /// `SizeOfRawData`: size in the file, in bytes.
    pub raw_size: u32,
    /// `PointerToRawData`: file offset of its bytes.
    pub raw_offset: u32,
    /// `Characteristics`: 0x20 code, 0x1000_0000 shared, 0x2000_0000 executable, 0x4000_0000 readable, 0x8000_0000 writable …
    pub characteristics: u32,
}

impl PeSection {
    /// Whether an address relative to the image base is in it. Windows maps whole pages; bytes of the file beyond the last one
    /// that its size in memory reaches are not loaded.
    pub fn holds(&self, address: u32) -> bool {
        let pages = u64::from(self.virtual_size).next_multiple_of(4096);
        let size = if self.virtual_size == 0 { u64::from(self.raw_size) } else { pages };
        address.checked_sub(self.virtual_address).is_some_and(|inside| u64::from(inside) < size)
    }

    /// Where Windows reads its bytes from: it takes whole sectors of 512 bytes.
    pub fn file_start(&self, pe: &Pe) -> u64 {
        let sectors = pe.file_alignment >= 0x200;
        u64::from(if sectors { self.raw_offset & !0x1ff } else { self.raw_offset })
    }
}

/// One imported library.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(extend("x-source" = "PE/COFF specification, The .idata Section"))]
pub struct PeImport {
    /// Its name as written.
    pub library: String,
    /// Whether it is delay-loaded.
    pub delayed: bool,
    /// Where the loader writes the addresses of what is imported (`FirstThunk`, of a delayed import `ImportAddressTable`),
    /// relative to the image base.
    pub address_table: u32,
    /// What is imported from it.
    pub functions: Vec<PeFunction>,
}

/// One imported function.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
#[schemars(extend("x-source" = "PE/COFF specification, Import Lookup Table"))]
pub enum PeFunction {
    /// By name.
    Name(String),
    /// By ordinal.
    Ordinal(u16),
}

/// The base relocation table, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(extend("x-source" = "PE/COFF specification, The .reloc Section"))]
pub struct BaseRelocations {
    /// Blocks (one a 4 KiB page).
    pub blocks: u32,
    /// Entries that are not padding (`IMAGE_REL_BASED_ABSOLUTE`).
    pub entries: u32,
    /// Pointers of the TLS directory and the load configuration that no entry names, as addresses relative to the image's base.
    /// Windows follows them after it moved the image.
    pub unrelocated: Vec<u32>,
}

/// One exported address that is another library's.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(extend("x-source" = "PE/COFF specification, Export Address Table"))]
pub struct PeForwarder {
    /// Its ordinal, with the base.
    pub ordinal: u32,
    /// `library.function` or `library.#ordinal`.
    pub target: String,
}

/// One bound import.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(extend("x-source" = "PE/COFF specification, Optional Header Data Directories: Bound Import"))]
pub struct BoundImport {
    /// The library's name.
    pub library: String,
    /// The library's `TimeDateStamp` when it was bound.
    pub timestamp: u32,
}

/// One entry of the debug directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(extend("x-source" = "PE/COFF specification, The .debug Section"))]
pub struct PeDebug {
    /// `Type`: 2 CodeView, 13 POGO, 16 Repro, 20 extended DLL characteristics …
    pub kind: u32,
    /// `TimeDateStamp`: seconds since 1970, or a part of a hash.
    pub timestamp: u32,
    /// `PointerToRawData`: file offset of the entry's data.
    pub offset: u32,
    /// `SizeOfData` in bytes.
    pub size: u32,
    /// For CodeView: the signature (a GUID in the PDB 7.0 form) as bytes.
    pub signature: Vec<u8>,
    /// For CodeView: how often the PDB file was written.
    pub age: Option<u32>,
    /// For CodeView: the path of the PDB file.
    pub pdb_path: Option<String>,
    /// For Repro: the hash, where the linker wrote one.
    pub hash: Vec<u8>,
    /// For extended DLL characteristics: the flags (1: compatible with CET shadow stacks).
    pub extended_dll_characteristics: Option<u32>,
}

/// The thread-local storage directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(extend("x-source" = "PE/COFF specification, The .tls Section"))]
pub struct PeTls {
    /// `StartAddressOfRawData` and `EndAddressOfRawData`, absolute.
    pub data: (u64, u64),
    /// `AddressOfIndex`, absolute.
    pub index: u64,
    /// `AddressOfCallBacks`, absolute.
    pub callbacks_address: u64,
    /// The callbacks, absolute: what runs before the entry point, in each thread.
    pub callbacks: Vec<u64>,
}

/// The "Rich" header.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(extend("x-source" = "Microsoft's linker, undocumented"))]
pub struct RichHeader {
    /// File offset of its first byte.
    pub offset: u32,
    /// What its words are combined with (exclusive or): a checksum over it and the DOS stub.
    pub key: u32,
    /// Product, build and count of each tool that made an object of the program.
    pub tools: Vec<(u16, u16, u32)>,
}

/// The header of .NET code (ECMA-335 II.25.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(extend("x-source" = "ECMA-335, II.25.3.3"))]
pub struct ClrHeader {
    /// Runtime version, major and minor.
    pub runtime_version: (u16, u16),
    /// `Flags`: 1 intermediate language only, 2 needs 32 bits, 8 strong name signed.
    pub flags: u32,
}
