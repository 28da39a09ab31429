//! Notes, and the small sections that say where a file comes from.

use std::ops::Range;

use crate::constants::elf as constants;

use super::{Image, marks};
use crate::bytes::Survey;
use crate::facts::{Elf, ElfSegment, Note};
use crate::limits;

const PART: &str = "notes";
const GNU_BUILD_ID: u32 = 3;
const GNU_PROPERTY: u32 = 5;

/// Reads notes, build-id, debug link and comments. Returns which of the notes hold properties that a loader sees.
pub(super) fn read(image: Image<'_>, elf: &mut Elf, survey: &mut Survey) -> Range<usize> {
    let segments = elf.segments.iter().filter(|segment| segment.kind == constants::PT_NOTE);
    let mut places: Vec<_> =
        segments.map(|segment| (segment.offset, segment.file_size, segment.alignment)).collect();
    if places.is_empty() {
        let sections = elf.sections.iter().filter(|section| section.kind == constants::SHT_NOTE);
        places.extend(sections.map(|section| (section.offset, section.size, section.alignment)));
    }
    // How many notes a loader sees, which goes by the segment alone.
    let mut seen = usize::MAX;
    for (offset, size, alignment) in places {
        let Some(broken) = walk(image, elf, survey, offset, size, alignment) else { continue };
        // mold before 2.0 puts notes of both alignments into one segment; their sections tell them apart.
        // What is loaded has few segments, so that sections may be looked at for each.
        let is_loaded = matches!(elf.file_type, constants::ET_EXEC | constants::ET_DYN);
        let end = offset.saturating_add(size);
        let rest = (is_loaded && alignment == 8).then(|| sections_of(elf, broken.behind, end));
        match rest.flatten() {
            None => broken.tell(survey),
            Some(rest) => {
                seen = seen.min(elf.notes.len());
                for (offset, size, alignment) in rest {
                    read_notes(image, elf, survey, offset, size, alignment);
                }
            }
        }
    }
    // The kernel reads this segment for AArch64 and RISC-V, and no note segment needs to cover it.
    let has_properties = elf.notes.iter().any(|note| note.owner == "GNU" && note.kind == GNU_PROPERTY);
    if let (false, Some((offset, size, alignment))) = (has_properties, marks::property_segment(elf)) {
        read_notes(image, elf, survey, offset, size, alignment);
    }
    let loaded = 0..elf.notes.len().min(seen);
    for (offset, size, alignment) in unloaded(elf) {
        read_notes(image, elf, survey, offset, size, alignment);
    }
    let build_id = elf.notes.iter().find(|note| note.owner == "GNU" && note.kind == GNU_BUILD_ID);
    elf.build_id = build_id.map(|note| note.description.clone());
    read_links(image, elf, survey);
    if sees_properties(image, elf) { loaded } else { 0..0 }
}

/// Whether a loader looks for properties here: in a `PT_GNU_PROPERTY`, and glibc on x86 also in a `PT_NOTE` where that is
/// not there; both only where words of the file's class are aligned (x86-64 psABI, "Program Property"; glibc,
/// sysdeps/generic/dl-prop.h and elf/dl-load.c; Linux, arch_parse_elf_property). An object's are the linker's to read.
fn sees_properties(image: Image<'_>, elf: &Elf) -> bool {
    let of = |kind: u32| elf.segments.iter().filter(move |segment| segment.kind == kind);
    let is_aligned = |segment: &ElfSegment| segment.alignment == image.word_size();
    if of(constants::PT_GNU_PROPERTY).next().is_some() {
        return of(constants::PT_GNU_PROPERTY).any(is_aligned);
    }
    elf.file_type == constants::ET_REL
        || (elf.machine != constants::EM_AARCH64 && of(constants::PT_NOTE).any(is_aligned))
}

/// Note sections outside of the note segments: probes for a tracer, the linker's version, or, as Go links, the build-id.
fn unloaded(elf: &Elf) -> Vec<(u64, u64, u64)> {
    let kinds = [constants::PT_NOTE, constants::PT_GNU_PROPERTY];
    let segments = elf.segments.iter().filter(|segment| kinds.contains(&segment.kind));
    let mut covered: Vec<_> =
        segments.map(|segment| (segment.offset, segment.offset.saturating_add(segment.file_size))).collect();
    if !elf.segments.iter().any(|segment| segment.kind == constants::PT_NOTE) {
        return Vec::new();
    }
    // Ends become the furthest so far, so that one look tells whether any segment holds a section.
    covered.sort_unstable();
    let mut furthest = 0;
    covered.iter_mut().for_each(|(_, end)| {
        furthest = furthest.max(*end);
        *end = furthest;
    });
    let is_covered = |offset: u64, size: u64| {
        let before = covered.partition_point(|(start, _)| *start <= offset);
        let end = before.checked_sub(1).map_or(0, |last| covered[last].1);
        end >= offset.saturating_add(size)
    };
    let sections = elf.sections.iter().filter(|section| section.kind == constants::SHT_NOTE);
    let places = sections.map(|section| (section.offset, section.size, section.alignment));
    places.filter(|(offset, size, _)| !is_covered(*offset, *size)).collect()
}

/// The note sections between these places in the file, in order; `None` where they leave something out.
fn sections_of(elf: &Elf, start: u64, end: u64) -> Option<Vec<(u64, u64, u64)>> {
    let sections = elf.sections.iter().filter(|section| section.kind == constants::SHT_NOTE);
    let places = sections.map(|section| (section.offset, section.size, section.alignment));
    let mut places: Vec<_> = places.filter(|(offset, ..)| (start..end).contains(offset)).collect();
    places.sort_unstable();
    let mut behind = start;
    for (offset, size, _) in &places {
        // Notes of 8 bytes' alignment have a gap before them.
        if offset.checked_sub(behind).is_none_or(|gap| gap >= 8) {
            return None;
        }
        behind = offset.checked_add(*size)?;
    }
    (behind == end).then_some(places)
}

/// A note that ends outside of where notes are, and where the last one before it ends.
struct Broken {
    note: u64,
    behind: u64,
}

impl Broken {
    fn tell(self, survey: &mut Survey) {
        survey.anomaly(PART, format!("the note at {:#x} ends outside its segment", self.note));
    }
}

fn read_notes(image: Image<'_>, elf: &mut Elf, survey: &mut Survey, start: u64, size: u64, alignment: u64) {
    if let Some(broken) = walk(image, elf, survey, start, size, alignment) {
        broken.tell(survey);
    }
}

/// Reads notes up to the first that cannot be one.
fn walk(
    image: Image<'_>,
    elf: &mut Elf,
    survey: &mut Survey,
    start: u64,
    size: u64,
    alignment: u64,
) -> Option<Broken> {
    let alignment = if alignment == 8 { 8 } else { 4 };
    let bytes = image.bytes;
    let end = start.saturating_add(size).min(bytes.len());
    let (mut offset, mut behind) = (start, start);
    while offset.saturating_add(12) <= end {
        if !survey.admit(PART) {
            return None;
        }
        let (Some(name_size), Some(size), Some(kind)) =
            (bytes.u32(offset), bytes.u32(offset + 4), bytes.u32(offset + 8))
        else {
            return None;
        };
        let name = bytes.slice(offset + 12, u64::from(name_size));
        let description = offset + (12 + u64::from(name_size)).next_multiple_of(alignment);
        let kept = u64::from(size).min(limits::NOTE as u64);
        let inside = description + u64::from(size) <= end;
        let (Some(name), Some(kept), true) = (name, bytes.slice(description, kept), inside) else {
            return Some(Broken { note: offset, behind });
        };
        if !survey.keep_note(PART, kept.len()) {
            return None;
        }
        // Go counts the padding in: `Go\0\0`, 4 bytes.
        let owner = name.split(|byte| *byte == 0).next().unwrap_or(name);
        let owner = String::from_utf8_lossy(&owner[..owner.len().min(256)]).into_owned();
        elf.notes.push(Note { owner, kind, description: kept.to_owned() });
        behind = description + u64::from(size);
        offset = description + u64::from(size).next_multiple_of(alignment);
    }
    None
}

fn read_links(image: Image<'_>, elf: &mut Elf, survey: &mut Survey) {
    let place = |name: &str| {
        let section = elf.sections.iter().find(|section| section.name == name);
        section
            .filter(|section| section.kind != constants::SHT_NOBITS)
            .map(|section| (section.offset, section.size))
    };
    let (link, comment) = (place(".gnu_debuglink"), place(".comment"));
    if let Some((offset, size)) = link {
        elf.debug_link = survey.text(image.bytes, ".gnu_debuglink", offset, offset.saturating_add(size));
    }
    if let Some(text) = comment.and_then(|(offset, size)| image.bytes.slice(offset, size)) {
        let texts = text.split(|byte| *byte == 0).filter(|text| !text.is_empty()).take(64);
        elf.comments =
            texts.map(|text| String::from_utf8_lossy(&text[..text.len().min(1024)]).into_owned()).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Binary;

    const SECTIONS: u64 = 200;

    /// A note of owner, type, and a description of 20 bytes.
    fn note(owner: &[u8; 4], kind: u32) -> Vec<u8> {
        let mut bytes: Vec<u8> = [4, 20, kind].iter().flat_map(|word: &u32| word.to_le_bytes()).collect();
        bytes.extend(owner);
        bytes.extend([7; 20]);
        bytes
    }

    /// A file with a note of Go's in a segment and a section, and the build-id behind it in a section only.
    fn file(segment_type: u32) -> Vec<u8> {
        let mut bytes = vec![0; 64];
        bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        for (at, value) in [
            (16, 3),
            (18, 62),
            (20, 1),
            (32, 64),
            (40, SECTIONS),
            (52, 64),
            (54, 56),
            (56, 1),
            (58, 64),
            (60, 3),
        ] {
            bytes[at..at + 2].copy_from_slice(&(value as u16).to_le_bytes());
        }
        bytes.extend(segment_type.to_le_bytes().into_iter().chain(4_u32.to_le_bytes()));
        bytes.extend([120, 0, 0, 36, 36, 4].iter().flat_map(|word: &u64| word.to_le_bytes()));
        bytes.extend(note(b"Go\0\0", 4));
        bytes.extend(note(b"GNU\0", GNU_BUILD_ID));
        bytes.resize(SECTIONS as usize + 64, 0);
        for offset in [120_u64, 156] {
            bytes.extend([0, constants::SHT_NOTE].iter().flat_map(|word: &u32| word.to_le_bytes()));
            bytes.extend([2, 0, offset, 36, 0, 4, 0].iter().flat_map(|word: &u64| word.to_le_bytes()));
        }
        bytes
    }

    #[test]
    fn notes_of_two_alignments_in_one_segment_are_told_apart_by_their_sections() {
        // The second begins where the first ends, which is no multiple of 8.
        let mut bytes = file(constants::PT_NOTE);
        for (at, value) in [(64 + 32, 72), (64 + 40, 72), (64 + 48, 8), (SECTIONS as usize + 48, 8)] {
            bytes[at..at + 8].copy_from_slice(&u64::to_le_bytes(value));
        }
        assert_eq!(owners(&bytes), ["Go", "GNU"]);
        // Where sections leave something out, nobody knows what is there.
        bytes[SECTIONS as usize + 128 + 24] += 4;
        let facts = crate::inspect(&bytes).unwrap();
        assert!(
            facts.anomalies.iter().any(|anomaly| anomaly.detail.contains("the note at 0xa0 ends outside")),
            "{facts:?}"
        );
    }

    fn owners(bytes: &[u8]) -> Vec<String> {
        let facts = crate::inspect(bytes).unwrap();
        assert_eq!(facts.anomalies, []);
        let Binary::Elf(elf) = facts.binary else { panic!("made as ELF") };
        assert_eq!(elf.build_id.as_deref(), Some([7; 20].as_slice()));
        elf.notes.into_iter().map(|note| note.owner).collect()
    }

    #[test]
    fn a_build_id_that_no_segment_holds_is_read_from_its_section_and_no_note_is_read_twice() {
        assert_eq!(owners(&file(constants::PT_NOTE)), ["Go", "GNU"]);
        assert_eq!(owners(&file(constants::PT_LOAD)), ["Go", "GNU"]);
    }
}
