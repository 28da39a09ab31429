//! Notes, and the small sections that say where a file comes from.

use crate::constants::elf as constants;

use super::{Image, marks};
use crate::bytes::Survey;
use crate::facts::{Elf, Note};
use crate::limits;

const GNU_BUILD_ID: u32 = 3;
const GNU_PROPERTY: u32 = 5;

/// Reads notes, build-id, debug link and comments.
pub(super) fn read(image: Image<'_>, elf: &mut Elf, survey: &mut Survey) {
    let segments = elf.segments.iter().filter(|segment| segment.kind == constants::PT_NOTE);
    let mut places: Vec<_> =
        segments.map(|segment| (segment.offset, segment.file_size, segment.alignment)).collect();
    if places.is_empty() {
        let sections = elf.sections.iter().filter(|section| section.kind == constants::SHT_NOTE);
        places.extend(sections.map(|section| (section.offset, section.size, section.alignment)));
    }
    for (offset, size, alignment) in places {
        read_notes(image, elf, survey, offset, size, if alignment == 8 { 8 } else { 4 });
    }
    // The kernel reads this segment for AArch64 and RISC-V, and no note segment needs to cover it.
    let has_properties = elf.notes.iter().any(|note| note.owner == "GNU" && note.kind == GNU_PROPERTY);
    if let (false, Some((offset, size, alignment))) = (has_properties, marks::property_segment(elf)) {
        read_notes(image, elf, survey, offset, size, if alignment == 8 { 8 } else { 4 });
    }
    let build_id = elf.notes.iter().find(|note| note.owner == "GNU" && note.kind == GNU_BUILD_ID);
    elf.build_id = build_id.map(|note| note.description.clone());
    read_links(image, elf, survey);
}

fn read_notes(image: Image<'_>, elf: &mut Elf, survey: &mut Survey, start: u64, size: u64, alignment: u64) {
    const PART: &str = "notes";
    let bytes = image.bytes;
    let end = start.saturating_add(size).min(bytes.len());
    let mut offset = start;
    while offset.saturating_add(12) <= end {
        if !survey.admit(PART) {
            return;
        }
        let (Some(name_size), Some(size), Some(kind)) =
            (bytes.u32(offset), bytes.u32(offset + 4), bytes.u32(offset + 8))
        else {
            return;
        };
        let name = bytes.slice(offset + 12, u64::from(name_size));
        let description = offset + (12 + u64::from(name_size)).next_multiple_of(alignment);
        let kept = u64::from(size).min(limits::NOTE as u64);
        let inside = description + u64::from(size) <= end;
        let (Some(name), Some(kept), true) = (name, bytes.slice(description, kept), inside) else {
            survey.anomaly(PART, format!("the note at {offset:#x} ends outside its segment"));
            return;
        };
        if !survey.keep(PART, kept.len()) {
            return;
        }
        let owner = name.strip_suffix(&[0]).unwrap_or(name);
        let owner = String::from_utf8_lossy(&owner[..owner.len().min(256)]).into_owned();
        elf.notes.push(Note { owner, kind, description: kept.to_owned() });
        offset = description + u64::from(size).next_multiple_of(alignment);
    }
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
