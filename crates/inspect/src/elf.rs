//! ELF files, as the System V gABI lays them out: both classes and both byte orders through one reader.

mod dynamic;
pub(crate) mod linkage;
mod loader;
mod marks;
mod notes;
mod properties;
mod relocations;
mod symbols;
mod text_relocations;

use crate::constants::elf as constants;

use crate::bytes::{Bytes, Survey};
use crate::facts::{Anomaly, Elf, ElfSection, ElfSegment, Names};
use crate::{Error, ErrorKind, limits};

/// Reads an ELF file, with the names that it exports or without them.
pub(crate) fn read(data: &[u8], with_exports: bool) -> Result<(Elf, Vec<Anomaly>), Error> {
    let image = Image::new(data)?;
    let mut survey = Survey::default();
    let mut elf = image.header()?;
    let counts = image.counts(&elf, &mut survey);
    elf.section_name_index = counts.section_name_index;
    elf.segments = image.segments(&elf, counts.segments, &mut survey);
    elf.sections = image.sections(&elf, counts.sections, &mut survey);
    elf.interpreter = interpreter(image, &elf, &mut survey);
    elf.symbol_count = symbols::static_count(&elf);
    elf.exports = with_exports.then(Names::new);
    dynamic::read(image, &mut elf, &mut survey);
    loader::check(image, &elf, &mut survey);
    let loaded = notes::read(image, &mut elf, &mut survey);
    marks::read(image, &mut elf, loaded, &mut survey);
    Ok((elf, survey.anomalies))
}

/// The bytes, and how wide their words are.
#[derive(Clone, Copy)]
struct Image<'a> {
    bytes: Bytes<'a>,
    wide: bool,
}

/// How many of each table, after the escapes through section 0.
struct Counts {
    segments: u32,
    sections: u64,
    section_name_index: u32,
}

impl<'a> Image<'a> {
    fn new(data: &'a [u8]) -> Result<Image<'a>, Error> {
        let malformed = |what: &str| Error::new(ErrorKind::Malformed, format!("not an ELF header: {what}"));
        let (class, order) = match data {
            [_, _, _, _, class, order, ..] => (*class, *order),
            _ => return Err(truncated()),
        };
        let wide = match class {
            1 => false,
            2 => true,
            _ => return Err(malformed(&format!("EI_CLASS is {class}, not 1 or 2"))),
        };
        let big_endian = match order {
            1 => false,
            2 => true,
            _ => return Err(malformed(&format!("EI_DATA is {order}, not 1 or 2"))),
        };
        Ok(Image { bytes: Bytes { data, big_endian }, wide })
    }

    /// A class-sized word.
    fn word(self, offset: u64) -> Option<u64> {
        if self.wide { self.bytes.u64(offset) } else { self.bytes.u32(offset).map(u64::from) }
    }

    fn word_size(self) -> u64 {
        if self.wide { 8 } else { 4 }
    }

    fn header(self) -> Result<Elf, Error> {
        self.header_fields().ok_or_else(truncated)
    }

    fn header_fields(self) -> Option<Elf> {
        let bytes = self.bytes;
        let tail = if self.wide { 48 } else { 36 };
        Some(Elf {
            class: if self.wide { 64 } else { 32 },
            big_endian: bytes.big_endian,
            os_abi: bytes.u8(7)?,
            abi_version: bytes.u8(8)?,
            file_type: bytes.u16(16)?,
            machine: bytes.u16(18)?,
            entry: self.word(24)?,
            program_header_offset: self.word(24 + self.word_size())?,
            section_header_offset: self.word(24 + 2 * self.word_size())?,
            flags: bytes.u32(tail)?,
            header_size: bytes.u16(tail + 4)?,
            program_header_entry_size: bytes.u16(tail + 6)?,
            section_header_entry_size: bytes.u16(tail + 10)?,
            section_name_index: u32::from(bytes.u16(tail + 14)?),
            sections: Vec::new(),
            segments: Vec::new(),
            interpreter: None,
            dynamic: Vec::new(),
            needed: Vec::new(),
            soname: None,
            rpath: None,
            runpath: None,
            versions_needed: Vec::new(),
            versions_defined: Vec::new(),
            imports: Vec::new(),
            exports: None,
            symbol_count: 0,
            relocations: Default::default(),
            notes: Vec::new(),
            build_id: None,
            debug_link: None,
            comments: Vec::new(),
            marks: Default::default(),
        })
    }

    /// The counts in the header, or in section 0 where they do not fit there (gABI, "Section Headers").
    fn counts(self, elf: &Elf, survey: &mut Survey) -> Counts {
        let tail = if self.wide { 56 } else { 44 };
        let segments = self.bytes.u16(tail).unwrap_or(0);
        let sections = self.bytes.u16(tail + 4).unwrap_or(0);
        let mut counts = Counts {
            segments: u32::from(segments),
            sections: u64::from(sections),
            section_name_index: elf.section_name_index,
        };
        let escaped =
            segments == constants::PN_XNUM || sections == 0 || elf.section_name_index == u32::from(u16::MAX);
        if elf.section_header_offset == 0 || !escaped {
            return counts;
        }
        let Some(first) = self.section(elf.section_header_offset) else {
            survey.anomaly(
                "section headers",
                format!("start at {:#x}, outside the file", elf.section_header_offset),
            );
            return counts;
        };
        if segments == constants::PN_XNUM {
            counts.segments = first.info;
        }
        if sections == 0 {
            counts.sections = first.size;
        }
        if elf.section_name_index == u32::from(u16::MAX) {
            counts.section_name_index = first.link;
        }
        counts
    }

    fn segments(self, elf: &Elf, count: u32, survey: &mut Survey) -> Vec<ElfSegment> {
        const PART: &str = "program headers";
        let size = if self.wide { 56 } else { 32 };
        let mut segments = Vec::new();
        if count > 0 && u64::from(elf.program_header_entry_size) != size {
            survey.anomaly(PART, format!("e_phentsize is {}, not {size}", elf.program_header_entry_size));
            return segments;
        }
        let is_loaded = matches!(elf.file_type, constants::ET_EXEC | constants::ET_DYN);
        for index in 0..u64::from(count) {
            if is_loaded && (index + 1) * size > limits::SEGMENTS {
                let most = limits::SEGMENTS;
                survey.anomaly(
                    PART,
                    format!("{count} of them, and no more are read: over {most} bytes, which Linux refuses"),
                );
                break;
            }
            if !survey.admit(PART) {
                break;
            }
            let Some(segment) =
                elf.program_header_offset.checked_add(index * size).and_then(|offset| self.segment(offset))
            else {
                survey.anomaly(
                    PART,
                    format!("{count} of them at {:#x} end outside the file", elf.program_header_offset),
                );
                break;
            };
            let end = segment.offset.checked_add(segment.file_size);
            if segment.file_size > 0 && end.is_none_or(|end| end > self.bytes.len()) {
                let what = format!(
                    "segment {index} holds {:#x} bytes from {:#x} on, the file has {:#x}",
                    segment.file_size,
                    segment.offset,
                    self.bytes.len()
                );
                survey.anomaly(PART, what);
            }
            segments.push(segment);
        }
        segments
    }

    fn segment(self, offset: u64) -> Option<ElfSegment> {
        let bytes = self.bytes;
        bytes.slice(offset, if self.wide { 56 } else { 32 })?;
        let flags = bytes.u32(offset + if self.wide { 4 } else { 24 })?;
        let at = |index: u64| {
            let start = if self.wide { offset + 8 } else { offset + 4 };
            self.word(start + index * self.word_size())
        };
        let alignment = if self.wide { self.word(offset + 48)? } else { self.word(offset + 28)? };
        Some(ElfSegment {
            kind: bytes.u32(offset)?,
            flags,
            offset: at(0)?,
            virtual_address: at(1)?,
            physical_address: at(2)?,
            file_size: at(3)?,
            memory_size: at(4)?,
            alignment,
        })
    }

    fn sections(self, elf: &Elf, count: u64, survey: &mut Survey) -> Vec<ElfSection> {
        const PART: &str = "section headers";
        let size = if self.wide { 64 } else { 40 };
        let mut sections = Vec::new();
        if elf.section_header_offset == 0 || count == 0 {
            return sections;
        }
        if u64::from(elf.section_header_entry_size) != size {
            survey.anomaly(PART, format!("e_shentsize is {}, not {size}", elf.section_header_entry_size));
            return sections;
        }
        if count > limits::SECTIONS {
            survey.anomaly(PART, format!("{count}: no more than {} are read", limits::SECTIONS));
        }
        for index in 0..count.min(limits::SECTIONS) {
            if !survey.admit(PART) {
                break;
            }
            let offset =
                index.checked_mul(size).and_then(|offset| offset.checked_add(elf.section_header_offset));
            let Some(section) = offset.and_then(|offset| self.section(offset)) else {
                survey.anomaly(
                    PART,
                    format!("{count} of them at {:#x} end outside the file", elf.section_header_offset),
                );
                break;
            };
            sections.push(section);
        }
        self.name_sections(&mut sections, elf.section_name_index, survey);
        for section in &sections {
            let holds_bytes = !matches!(section.kind, constants::SHT_NULL | constants::SHT_NOBITS);
            let end = section.offset.checked_add(section.size);
            if holds_bytes && end.is_none_or(|end| end > self.bytes.len()) {
                let what = format!(
                    "holds {:#x} bytes from {:#x} on, the file has {:#x}",
                    section.size,
                    section.offset,
                    self.bytes.len()
                );
                survey.anomaly(format!("section {}", section.name), what);
            }
        }
        sections
    }

    /// The header at `offset`; its name is still the offset into the name table, as text.
    fn section(self, offset: u64) -> Option<ElfSection> {
        let bytes = self.bytes;
        bytes.slice(offset, if self.wide { 64 } else { 40 })?;
        let word = self.word_size();
        let after = offset + 8 + 4 * word;
        Some(ElfSection {
            name: String::new(),
            kind: bytes.u32(offset + 4)?,
            flags: self.word(offset + 8)?,
            address: self.word(offset + 8 + word)?,
            offset: self.word(offset + 8 + 2 * word)?,
            size: self.word(offset + 8 + 3 * word)?,
            link: bytes.u32(after)?,
            info: bytes.u32(after + 4)?,
            alignment: self.word(after + 8)?,
            entry_size: self.word(after + 8 + word)?,
        })
    }

    fn name_sections(self, sections: &mut [ElfSection], index: u32, survey: &mut Survey) {
        if index == 0 {
            return;
        }
        let Some((start, size)) = sections.get(index as usize).map(|names| (names.offset, names.size)) else {
            survey.anomaly("section headers", format!("e_shstrndx is {index}, there are {}", sections.len()));
            return;
        };
        // The name offsets were not kept: they are read again, next to where each header was.
        let table = self.section_header_table();
        for (header, section) in (0u64..).zip(sections) {
            let size_of_header = if self.wide { 64 } else { 40 };
            let name = table.and_then(|table| self.bytes.u32(table + header * size_of_header));
            let Some(name) = name.and_then(|name| start.checked_add(u64::from(name))) else { continue };
            let end = start.saturating_add(size);
            section.name = survey.text(self.bytes, "section names", name, end).unwrap_or_default();
        }
    }

    fn section_header_table(self) -> Option<u64> {
        self.word(24 + 2 * self.word_size())
    }

    /// The file offset of a virtual address, through the loadable segment that holds it, and where that segment's
    /// bytes end.
    fn locate(self, elf: &Elf, address: u64) -> Option<(u64, u64)> {
        let holds = |segment: &&ElfSegment| {
            segment.kind == constants::PT_LOAD
                && address
                    .checked_sub(segment.virtual_address)
                    .is_some_and(|inside| inside < segment.file_size)
        };
        let segment = elf.segments.iter().find(holds)?;
        // Inside the file, so that what is read next to it needs no care about overflow.
        let offset = segment.offset.checked_add(address - segment.virtual_address)?;
        (offset < self.bytes.len()).then_some((offset, segment.offset.checked_add(segment.file_size)?))
    }
}

fn interpreter(image: Image<'_>, elf: &Elf, survey: &mut Survey) -> Option<String> {
    let segment = elf.segments.iter().find(|segment| segment.kind == constants::PT_INTERP)?;
    let end = segment.offset.saturating_add(segment.file_size);
    survey.text(image.bytes, "interpreter", segment.offset, end)
}

fn truncated() -> Error {
    Error::new(ErrorKind::Truncated, "the file ends inside its ELF header")
        .with_hint("copy or build the file again")
}
