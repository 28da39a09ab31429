//! PE files, as the PE/COFF specification lays them out: PE32 and PE32+.

pub(crate) mod authenticode;
mod checksum;
mod debug;
mod exports;
mod imports;
mod layout;
pub(crate) mod linkage;
mod load_config;
mod managed;
mod manifest;
mod relocations;
mod resources;
mod rich;
mod symbols;
mod thread_storage;
mod version_info;

use crate::bytes::{Bytes, Survey};
use crate::constants::pe as constants;
use crate::facts::{Anomaly, DataDirectory, Pe, PeSection};
use crate::{Error, ErrorKind};

pub use checksum::PeChecksum;

/// Indexes of the data directories that are read.
const EXPORTS: usize = 0;
const IMPORTS: usize = 1;
const RESOURCES: usize = 2;
const CERTIFICATES: usize = 4;
const RELOCATIONS: usize = 5;
const DEBUG: usize = 6;
const TLS: usize = 9;
const LOAD_CONFIG: usize = 10;
const BOUND_IMPORTS: usize = 11;
const DELAY_IMPORTS: usize = 13;
/// What Windows looks up by RtlImageDirectoryEntryToData, which asks for an address alone.
const FOUND_BY_ADDRESS: [(usize, &str); 3] = [(EXPORTS, "export"), (IMPORTS, "import"), (TLS, "TLS")];
const CLR: usize = 14;

const COFF_HEADER: u64 = 20;
const SECTION_HEADER: u64 = 40;
const SYMBOL: u64 = 18;

/// Reads a PE file.
pub(crate) fn read(data: &[u8]) -> Result<(Pe, Vec<Anomaly>), Error> {
    let image = Image { bytes: Bytes { data, big_endian: false } };
    let mut survey = Survey::default();
    let header_offset = image.bytes.u32(0x3c).ok_or_else(truncated)?;
    let coff = u64::from(header_offset) + 4;
    match image.bytes.slice(u64::from(header_offset), 4) {
        Some(b"PE\0\0") => {}
        Some(_) => {
            return Err(Error::new(ErrorKind::Malformed, format!("no PE signature at {header_offset:#x}"))
                .with_hint("a DOS program, or not a program at all"));
        }
        None => return Err(truncated()),
    }
    let magic = image.bytes.u16(coff + COFF_HEADER).ok_or_else(truncated)?;
    let wide = match magic {
        0x10b => false,
        0x20b => true,
        _ => {
            let message = format!("the optional header's magic is {magic:#x}, not 0x10b or 0x20b");
            return Err(Error::new(ErrorKind::Malformed, message));
        }
    };
    let mut pe = image.header(header_offset, magic, wide).ok_or_else(truncated)?;
    let optional_size = image.bytes.u16(coff + 16).ok_or_else(truncated)?;
    pe.data_directories = image.directories(coff, wide, optional_size, &mut survey);
    pe.sections = image.sections(&pe, coff, u64::from(optional_size), &mut survey);
    layout::note_contradictions(&pe, &mut survey);
    note_entry_point(&pe, &mut survey);
    imports::read(image, &mut pe, wide, &mut survey);
    exports::read(image, &mut pe, &mut survey);
    debug::read(image, &mut pe, &mut survey);
    pe.tls = thread_storage::read(image, &pe, wide, &mut survey);
    pe.load_config = load_config::read(image, &pe, wide, &mut survey);
    pe.base_relocations = relocations::read(image, &pe, wide, &mut survey);
    pe.rich_header = rich::read(image, &pe);
    pe.clr = managed::read(image, &pe, &mut survey);
    pe.resources = resources::read(image, &pe, &mut survey);
    pe.protector_symbols = symbols::of_the_protector(image, &pe);
    pe.certificate_size = directory(&pe, CERTIFICATES).map_or(0, |certificates| certificates.size);
    pe.certificates = authenticode::read(image, &pe, &mut survey);
    (pe.overlay_offset, pe.overlay_size) = layout::overlay(image, &pe, &mut survey);
    Ok((pe, survey.anomalies))
}

/// The bytes of the file.
#[derive(Clone, Copy)]
struct Image<'a> {
    bytes: Bytes<'a>,
}

impl Image<'_> {
    fn header(self, header_offset: u32, magic: u16, wide: bool) -> Option<Pe> {
        let bytes = self.bytes;
        let coff = u64::from(header_offset) + 4;
        let optional = coff + COFF_HEADER;
        let word = |offset: u64| if wide { bytes.u64(offset) } else { bytes.u32(offset).map(u64::from) };
        let size = if wide { 8 } else { 4 };
        let pair = |offset: u64| Some((bytes.u16(offset)?, bytes.u16(offset + 2)?));
        Some(Pe {
            header_offset,
            machine: bytes.u16(coff)?,
            timestamp: bytes.u32(coff + 4)?,
            symbol_table_offset: bytes.u32(coff + 8)?,
            symbol_count: bytes.u32(coff + 12)?,
            characteristics: bytes.u16(coff + 18)?,
            magic,
            linker_version: (bytes.u8(optional + 2)?, bytes.u8(optional + 3)?),
            entry: bytes.u32(optional + 16)?,
            image_base: if wide { bytes.u64(optional + 24)? } else { bytes.u32(optional + 28)?.into() },
            section_alignment: bytes.u32(optional + 32)?,
            file_alignment: bytes.u32(optional + 36)?,
            os_version: pair(optional + 40)?,
            image_version: pair(optional + 44)?,
            subsystem_version: pair(optional + 48)?,
            size_of_image: bytes.u32(optional + 56)?,
            size_of_headers: bytes.u32(optional + 60)?,
            checksum: bytes.u32(optional + 64)?,
            subsystem: bytes.u16(optional + 68)?,
            dll_characteristics: bytes.u16(optional + 70)?,
            stack_and_heap: [
                word(optional + 72)?,
                word(optional + 72 + size)?,
                word(optional + 72 + 2 * size)?,
                word(optional + 72 + 3 * size)?,
            ],
            data_directories: Vec::new(),
            sections: Vec::new(),
            imports: Vec::new(),
            bound_imports: Vec::new(),
            exports: Default::default(),
            export_name: None,
            export_count: 0,
            exports_by_ordinal: 0,
            export_timestamp: 0,
            export_ordinal_base: 0,
            forwarders: Vec::new(),
            base_relocations: Default::default(),
            debug: Vec::new(),
            tls: None,
            load_config: None,
            rich_header: None,
            clr: None,
            resources: None,
            protector_symbols: Vec::new(),
            certificate_size: 0,
            certificates: Vec::new(),
            overlay_offset: 0,
            overlay_size: 0,
        })
    }

    fn directories(
        self,
        coff: u64,
        wide: bool,
        optional_size: u16,
        survey: &mut Survey,
    ) -> Vec<DataDirectory> {
        let optional = coff + COFF_HEADER;
        let (count, first) = if wide { (108, 112) } else { (92, 96) };
        let count = self.bytes.u32(optional + count).unwrap_or(0);
        let room = u64::from(optional_size).saturating_sub(first) / 8;
        if u64::from(count) > room {
            let what = format!("NumberOfRvaAndSizes is {count}, the optional header has room for {room}");
            survey.anomaly("data directories", what);
        }
        // The specification knows 16; what a larger count would cover has no meaning.
        let directories = (0..u64::from(count).min(room).min(16)).filter_map(|index| {
            let at = optional + first + 8 * index;
            Some(DataDirectory { address: self.bytes.u32(at)?, size: self.bytes.u32(at + 4)? })
        });
        let directories: Vec<_> = directories.collect();
        for (index, name) in FOUND_BY_ADDRESS {
            if directories.get(index).is_some_and(|directory| directory.address != 0 && directory.size == 0) {
                let what =
                    format!("the {name} directory has an address and no bytes; loaders go by the address");
                survey.anomaly("data directories", what);
            }
        }
        directories
    }

    fn sections(self, pe: &Pe, coff: u64, optional_size: u64, survey: &mut Survey) -> Vec<PeSection> {
        const PART: &str = "section table";
        let table = coff + COFF_HEADER + optional_size;
        let count = self.bytes.u16(coff + 2).unwrap_or(0);
        let mut sections = Vec::new();
        for index in 0..u64::from(count) {
            let offset = table + index * SECTION_HEADER;
            let Some(header) = self.bytes.slice(offset, SECTION_HEADER) else {
                survey.anomaly(PART, format!("{count} headers at {table:#x} end outside the file"));
                break;
            };
            if !survey.admit(PART) {
                break;
            }
            let name = self.section_name(&header[..8], pe, survey);
            let field = |at: u64| self.bytes.u32(offset + at).unwrap_or(0);
            let section = PeSection {
                name,
                virtual_size: field(8),
                virtual_address: field(12),
                raw_size: field(16),
                raw_offset: field(20),
                characteristics: field(36),
            };
            let end = u64::from(section.raw_offset) + u64::from(section.raw_size);
            if section.raw_size > 0 && section.raw_offset > 0 && end > self.bytes.len() {
                let what = format!("holds bytes up to {end:#x}, the file has {:#x}", self.bytes.len());
                survey.anomaly(format!("section {}", section.name), what);
            }
            sections.push(section);
        }
        sections
    }

    /// A name of up to eight bytes, or `/` and an offset into the COFF string table, as GNU linkers write longer ones.
    fn section_name(self, name: &[u8], pe: &Pe, survey: &mut Survey) -> String {
        let length = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        let short = String::from_utf8_lossy(&name[..length]).into_owned();
        let offset = short.strip_prefix('/').and_then(|digits| digits.parse::<u64>().ok());
        let Some((offset, strings)) = offset.zip(string_table(pe)) else { return short };
        survey.text(self.bytes, "section table", strings + offset, self.bytes.len()).unwrap_or(short)
    }
}

/// Notes an entry point that is no code. A library may have none, and a program of .NET is started by its runtime.
fn note_entry_point(pe: &Pe, survey: &mut Survey) {
    let is_code = |section: &PeSection| section.characteristics & constants::IMAGE_SCN_MEM_EXECUTE != 0;
    let may_have_none = pe.is_library() || directory(pe, CLR).is_some();
    let has_none = pe.entry == 0 && may_have_none;
    if !has_none && !pe.section_at(pe.entry).is_some_and(is_code) {
        survey.anomaly("PE header", format!("the entry point {:#x} is in no executable section", pe.entry));
    }
}

/// The data directory at `index`, where it is there and not empty.
fn directory(pe: &Pe, index: usize) -> Option<DataDirectory> {
    pe.directory(index)
}

/// The file offset of an address relative to the image base.
fn locate(pe: &Pe, address: u32) -> Option<u64> {
    pe.file_offset(address)
}

/// The file offset of an absolute address.
fn locate_absolute(pe: &Pe, address: u64) -> Option<u64> {
    pe.file_offset(pe.relative(address)?)
}

/// Where the COFF string table starts: right behind the symbols.
fn string_table(pe: &Pe) -> Option<u64> {
    let start = u64::from(pe.symbol_table_offset);
    (start != 0).then_some(start + u64::from(pe.symbol_count) * SYMBOL)
}

fn truncated() -> Error {
    Error::new(ErrorKind::Truncated, "the file ends inside its PE header")
        .with_hint("copy or build the file again")
}
