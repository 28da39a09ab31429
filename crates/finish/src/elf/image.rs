//! An ELF file's tables, checked against its length. Everything later relies on these checks.

use std::ops::Range;

use object::elf::{
    ELFCLASS64, ELFDATA2LSB, ELFMAG, ET_DYN, ET_EXEC, FileHeader64, PT_LOAD, ProgramHeader64, SHF_ALLOC,
    SHN_LORESERVE, SHT_NOBITS, SHT_NOTE, SHT_NULL, SHT_STRTAB, SectionHeader64,
};
use object::{LittleEndian, pod};

use crate::{Error, Job};

/// The byte order of every target.
pub(super) const ENDIAN: LittleEndian = LittleEndian;

/// Bytes of one entry of the section table.
pub(super) const SECTION_HEADER: usize = size_of::<Section>();

/// Linked programs have some dozens; more would only cost a hostile file's reader time.
const MOST_SECTIONS: usize = 4096;
const MOST_SEGMENTS: usize = 128;
const LONGEST_NAME: usize = 255;

pub(super) type Header = FileHeader64<LittleEndian>;
pub(super) type Section = SectionHeader64<LittleEndian>;
pub(super) type Segment = ProgramHeader64<LittleEndian>;

/// A file and its tables. Every range in the tables lies within the bytes.
pub(super) struct Image<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) header: Header,
    pub(super) segments: Vec<Segment>,
    pub(super) sections: Vec<Section>,
    /// Section names, one a section.
    pub(super) names: Vec<&'a [u8]>,
    /// The index of the section that holds the names.
    pub(super) names_index: usize,
    /// Where the last byte ends that a segment, a loaded section or a header table before them holds.
    pub(super) loaded_end: usize,
}

impl<'a> Image<'a> {
    pub(super) fn parse(job: &Job<'_>, bytes: &'a [u8]) -> Result<Image<'a>, Error> {
        let cut = || job.malformed("is cut off within its ELF tables");
        let (header, _) = pod::from_bytes::<Header>(bytes).map_err(|()| cut())?;
        check_kind(job, header)?;
        let segment_count = usize::from(header.e_phnum.get(ENDIAN));
        let segments: &[Segment] = table(bytes, header.e_phoff.get(ENDIAN), segment_count).ok_or_else(cut)?;
        let section_count = usize::from(header.e_shnum.get(ENDIAN));
        let sections: &[Section] = table(bytes, header.e_shoff.get(ENDIAN), section_count).ok_or_else(cut)?;
        check_ranges(job, bytes, segments, sections)?;
        let names_index = usize::from(header.e_shstrndx.get(ENDIAN).0);
        let names = names(bytes, sections, names_index)
            .ok_or_else(|| job.malformed("has section names that cannot be read"))?;
        let mut image = Image {
            bytes,
            header: *header,
            segments: segments.to_vec(),
            sections: sections.to_vec(),
            names,
            names_index,
            loaded_end: 0,
        };
        if image.is_loaded(names_index) {
            return Err(job.unsupported("keeps its section names in loaded memory"));
        }
        image.loaded_end = image.end_of_loaded();
        image.check_appended(job)?;
        Ok(image)
    }

    /// Whether the program has the section in memory at run time (`SHF_ALLOC`). The reserved section 0 counts as such:
    /// it stays where it is.
    pub(super) fn is_loaded(&self, index: usize) -> bool {
        index == 0 || self.sections[index].sh_flags.get(ENDIAN).contains(SHF_ALLOC)
    }

    pub(super) fn name_text(&self, index: usize) -> String {
        String::from_utf8_lossy(self.names[index]).into_owned()
    }

    pub(super) fn indices_named(&self, name: &str) -> impl Iterator<Item = usize> {
        (1..self.sections.len()).filter(move |index| self.names[*index] == name.as_bytes())
    }

    pub(super) fn section_named(&self, name: &str) -> Option<&Section> {
        self.indices_named(name).next().map(|index| &self.sections[index])
    }

    fn end_of_loaded(&self) -> usize {
        let segment_table =
            self.header.e_phoff.get(ENDIAN) as usize + self.segments.len() * size_of::<Segment>();
        let loaded = (1..self.sections.len()).filter(|index| self.is_loaded(*index));
        let sections = loaded.map(|index| range(&self.sections[index]).end);
        let segments = self.segments.iter().map(|segment| segment_range(segment).end);
        sections.chain(segments).chain([segment_table, size_of::<Header>()]).max().unwrap_or_default()
    }

    /// Bytes that no table mentions are somebody's data, such as an archive that the program reads from its own file.
    fn check_appended(&self, job: &Job<'_>) -> Result<(), Error> {
        let section_table = self.header.e_shoff.get(ENDIAN) as usize + self.sections.len() * SECTION_HEADER;
        let sections = self.sections.iter().map(|section| range(section).end);
        let end = sections.chain([section_table, self.loaded_end]).max().unwrap_or_default();
        if end < self.bytes.len() {
            return Err(job
                .unsupported(&format!("has {} bytes appended behind its ELF tables", self.bytes.len() - end))
                .with_hint("append the data after finishing"));
        }
        Ok(())
    }
}

/// The bytes a section has in the file. Exact once [`Image::parse`] has checked the section.
pub(super) fn range(section: &Section) -> Range<usize> {
    let start = section.sh_offset.get(ENDIAN) as usize;
    match section.sh_type.get(ENDIAN) {
        SHT_NOBITS | SHT_NULL => 0..0,
        _ => start..start + section.sh_size.get(ENDIAN) as usize,
    }
}

/// The bytes a segment has in the file. Exact once [`Image::parse`] has checked the segment.
pub(super) fn segment_range(segment: &Segment) -> Range<usize> {
    let start = segment.p_offset.get(ENDIAN) as usize;
    start..start + segment.p_filesz.get(ENDIAN) as usize
}

/// Pads `file` with zeros to a checked alignment.
pub(super) fn align(file: &mut Vec<u8>, alignment: u64) {
    file.resize(file.len().next_multiple_of((alignment as usize).max(1)), 0);
}

fn check_kind(job: &Job<'_>, header: &Header) -> Result<(), Error> {
    let ident = &header.e_ident;
    if ident.magic != ELFMAG {
        return Err(job.malformed("is not an ELF file"));
    }
    if ident.class != ELFCLASS64 || ident.data != ELFDATA2LSB {
        return Err(job.unsupported("is not a 64-bit little-endian ELF"));
    }
    if !matches!(header.e_type.get(ENDIAN), ET_EXEC | ET_DYN) {
        return Err(job.unsupported("is neither an executable nor a shared object"));
    }
    let sizes = (header.e_phentsize.get(ENDIAN), header.e_shentsize.get(ENDIAN));
    if (usize::from(sizes.0), usize::from(sizes.1)) != (size_of::<Segment>(), SECTION_HEADER) {
        return Err(job.malformed("has table entries of an unknown size"));
    }
    let (segments, sections) = (header.e_phnum.get(ENDIAN), header.e_shnum.get(ENDIAN));
    if sections == 0 {
        return Err(job.unsupported("has no section table"));
    }
    if usize::from(segments) > MOST_SEGMENTS || usize::from(sections) > MOST_SECTIONS {
        return Err(job.unsupported(&format!("has {segments} segments and {sections} sections")));
    }
    Ok(())
}

/// Every range lies in the file, and together they are no larger than it: overlapping ones would multiply when copied.
fn check_ranges(
    job: &Job<'_>,
    bytes: &[u8],
    segments: &[Segment],
    sections: &[Section],
) -> Result<(), Error> {
    let length = bytes.len() as u64;
    let fits = |start: u64, size: u64| start.checked_add(size).is_some_and(|end| end <= length);
    if let Some(at) =
        segments.iter().position(|segment| !fits(segment.p_offset.get(ENDIAN), segment.p_filesz.get(ENDIAN)))
    {
        return Err(job.malformed(&format!("segment {at} ends behind the file")));
    }
    let mut copied = 0u64;
    for (index, section) in sections.iter().enumerate().skip(1) {
        let kind = section.sh_type.get(ENDIAN);
        if kind == SHT_NOBITS || kind == SHT_NULL {
            continue;
        }
        if !fits(section.sh_offset.get(ENDIAN), section.sh_size.get(ENDIAN)) {
            return Err(job.malformed(&format!("section {index} ends behind the file")));
        }
        if !section.sh_flags.get(ENDIAN).contains(SHF_ALLOC) || kind == SHT_NOTE {
            copied += section.sh_size.get(ENDIAN);
            let alignment = section.sh_addralign.get(ENDIAN);
            if alignment > 4096 || alignment & alignment.wrapping_sub(1) != 0 && alignment != 0 {
                return Err(job.malformed(&format!("section {index} has alignment {alignment}")));
            }
        }
    }
    if copied > length {
        return Err(job.malformed("has sections that overlap"));
    }
    let mapped = segments.iter().filter(|segment| segment.p_type.get(ENDIAN) == PT_LOAD);
    if mapped.map(|segment| segment.p_filesz.get(ENDIAN)).fold(0, u64::saturating_add) > length {
        return Err(job.malformed("has segments that overlap"));
    }
    Ok(())
}

fn table<T: pod::Pod>(bytes: &[u8], offset: u64, count: usize) -> Option<&[T]> {
    if count == 0 {
        return Some(&[]);
    }
    let tail = bytes.get(usize::try_from(offset).ok()?..)?;
    pod::slice_from_bytes(tail, count).ok().map(|(table, _)| table)
}

fn names<'a>(bytes: &'a [u8], sections: &[Section], names_index: usize) -> Option<Vec<&'a [u8]>> {
    let holder = sections.get(names_index).filter(|section| section.sh_type.get(ENDIAN) == SHT_STRTAB)?;
    let strings = &bytes[range(holder)];
    let name = |section: &Section| {
        let tail = strings.get(section.sh_name.get(ENDIAN) as usize..)?;
        let tail = &tail[..tail.len().min(LONGEST_NAME + 1)];
        tail.iter().position(|byte| *byte == 0).map(|end| &tail[..end])
    };
    sections.iter().map(name).collect()
}

const _: () =
    assert!(MOST_SECTIONS < SHN_LORESERVE as usize, "indices never need the escape through section 0");
