//! The symbols file of an ELF: what `objcopy --only-keep-debug` makes.
//!
//! Every section keeps its index, address and size. Loaded ones become `SHT_NOBITS`, notes excepted (the build-id pairs
//! the two files); the others keep their bytes.

use object::elf::{PT_NOTE, PT_PHDR, SHT_NOBITS, SHT_NOTE, SHT_NULL};
use object::pod;

use super::image::{ENDIAN, Header, Image, Section, Segment, align, range, segment_range};

pub(super) fn split(image: &Image<'_>) -> Vec<u8> {
    let mut header = image.header;
    header.e_phoff.set(ENDIAN, if image.segments.is_empty() { 0 } else { size_of::<Header>() as u64 });
    let mut file = pod::bytes_of(&header).to_vec();
    file.resize(file.len() + image.segments.len() * size_of::<Segment>(), 0);

    let sections: Vec<Section> =
        (0..image.sections.len()).map(|index| keep(image, index, &mut file)).collect();
    let segments: Vec<Segment> =
        image.segments.iter().map(|segment| moved(image, &sections, *segment)).collect();
    let table = pod::bytes_of_slice(&segments);
    file[size_of::<Header>()..][..table.len()].copy_from_slice(table);
    super::close(file, &sections, image.names_index)
}

/// Copies what is kept of a section and gives its new header.
fn keep(image: &Image<'_>, index: usize, file: &mut Vec<u8>) -> Section {
    let mut section = image.sections[index];
    let kind = section.sh_type.get(ENDIAN);
    if kind == SHT_NULL {
        return section;
    }
    if image.is_loaded(index) && kind != SHT_NOTE {
        section.sh_type.set(ENDIAN, SHT_NOBITS);
    } else if kind != SHT_NOBITS {
        align(file, section.sh_addralign.get(ENDIAN));
    }
    section.sh_offset.set(ENDIAN, file.len() as u64);
    if section.sh_type.get(ENDIAN) != SHT_NOBITS {
        file.extend(&image.bytes[range(&image.sections[index])]);
    }
    section
}

/// A segment keeps its address; in the file it is empty, unless it is the notes or the segment table itself.
fn moved(image: &Image<'_>, sections: &[Section], mut segment: Segment) -> Segment {
    let old = segment_range(&segment);
    let table_size = image.segments.len() * size_of::<Segment>();
    let (offset, size) = match segment.p_type.get(ENDIAN) {
        PT_PHDR => (size_of::<Header>(), table_size),
        PT_NOTE => notes_within(image, sections, &old),
        _ => (size_of::<Header>() + table_size, 0),
    };
    segment.p_offset.set(ENDIAN, offset as u64);
    segment.p_filesz.set(ENDIAN, size as u64);
    segment
}

fn notes_within(image: &Image<'_>, sections: &[Section], old: &std::ops::Range<usize>) -> (usize, usize) {
    let is_within = |index: &usize| {
        let section = range(&image.sections[*index]);
        let is_note = image.sections[*index].sh_type.get(ENDIAN) == SHT_NOTE;
        is_note && !section.is_empty() && old.start <= section.start && section.end <= old.end
    };
    let inside = || (1..sections.len()).filter(is_within).map(|index| range(&sections[index]));
    let start = inside().map(|range| range.start).min().unwrap_or(size_of::<Header>());
    let end = inside().map(|range| range.end).max().unwrap_or(start);
    (start, end - start)
}
