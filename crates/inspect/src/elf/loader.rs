//! Where a loader reads something else than who goes by the headers: then what was judged is not what runs, and each such
//! place is an anomaly. What the kernel and glibc's loader do is read from Linux, fs/binfmt_elf.c, and glibc, elf/.

use std::collections::BTreeSet;

use super::Image;
use super::dynamic::value;
use crate::bytes::Survey;
use crate::constants::elf as constants;
use crate::facts::{Elf, ElfSegment};

const HEADER: &str = "ELF header";
const SEGMENTS: &str = "program headers";
const DYNAMIC: &str = "dynamic section";
/// Segments are mapped by pages; no system has smaller ones.
const PAGE: u64 = 4096;

/// Looks at what is read already: header, segments and dynamic entries. Objects and core dumps are loaded by nobody.
pub(super) fn check(image: Image<'_>, elf: &Elf, survey: &mut Survey) {
    if matches!(elf.file_type, constants::ET_EXEC | constants::ET_DYN) {
        identification(image, survey);
        mappings(elf, survey);
        places(image, elf, survey);
        entry_point(elf, survey);
        repeated_tags(elf, survey);
        entry_sizes(image, elf, survey);
    }
}

/// glibc refuses a library of another version, or with anything in the padding.
fn identification(image: Image<'_>, survey: &mut Survey) {
    let versions = [("EI_VERSION", image.bytes.u8(6).map(u32::from)), ("e_version", image.bytes.u32(20))];
    for (field, version) in versions {
        if version != Some(1) {
            survey.anomaly(HEADER, format!("{field} is {}, not 1", version.unwrap_or(0)));
        }
    }
    if image.bytes.slice(9, 7).is_none_or(|padding| padding.iter().any(|byte| *byte != 0)) {
        survey.anomaly(HEADER, "the padding of e_ident is not zero");
    }
}

/// Later mappings lie over earlier ones, page by page.
fn mappings(elf: &Elf, survey: &mut Survey) {
    let mut mapped = 0;
    for (index, segment) in elf.segments.iter().enumerate() {
        if segment.kind != constants::PT_LOAD || segment.memory_size == 0 {
            continue;
        }
        if segment.virtual_address / PAGE * PAGE < mapped {
            survey.anomaly(SEGMENTS, format!("segment {index} is mapped over one before it"));
        }
        mapped = mapped.max(pages_end(segment));
        let differ = segment.offset ^ segment.virtual_address;
        let is_aligned = match segment.alignment {
            0 | 1 => true,
            alignment => alignment.is_power_of_two() && differ & (alignment - 1) == 0,
        };
        if segment.file_size > 0 && !is_aligned {
            let what = "is not at the place in its page that its address says";
            survey.anomaly(SEGMENTS, format!("segment {index} {what}"));
        }
    }
}

/// What loaders look up by its address, while others go by its place in the file.
fn places(image: Image<'_>, elf: &Elf, survey: &mut Survey) {
    let of = |kind: u32| elf.segments.iter().filter(move |segment| segment.kind == kind);
    let kinds = [
        (constants::PT_DYNAMIC, "PT_DYNAMIC"),
        (constants::PT_NOTE, "PT_NOTE"),
        (constants::PT_GNU_PROPERTY, "PT_GNU_PROPERTY"),
    ];
    for (kind, name) in kinds {
        for segment in of(kind).filter(|segment| segment.virtual_address != 0) {
            let loaded = image.locate(elf, segment.virtual_address).map(|(offset, _)| offset);
            if let Some(loaded) = loaded.filter(|loaded| *loaded != segment.offset) {
                let what = format!("{name} is at {:#x}, and loaded from {loaded:#x}", segment.offset);
                survey.anomaly(SEGMENTS, what);
            }
        }
    }
    if of(constants::PT_DYNAMIC).count() > 1 {
        survey.anomaly(SEGMENTS, "there are several PT_DYNAMIC: loaders take the last, others the first");
    }
    for segment in of(constants::PT_DYNAMIC) {
        // Where debugging symbols lie by themselves, the segments have no bytes.
        if elf.dynamic.is_empty() && image.locate(elf, segment.virtual_address).is_some() {
            survey.anomaly(DYNAMIC, "it has no entry; loaders read on to DT_NULL, whatever its size");
        }
    }
    for segment in of(constants::PT_INTERP) {
        let last = segment.file_size.checked_sub(1).and_then(|last| segment.offset.checked_add(last));
        if last.is_some_and(|last| image.bytes.u8(last).is_some_and(|byte| byte != 0)) {
            survey.anomaly("interpreter", "its last byte is not zero, so the kernel does not start it");
        }
    }
    for segment in of(constants::PT_GNU_RELRO).filter(|segment| segment.memory_size > 0) {
        let holds = |load: &ElfSegment| {
            load.virtual_address <= segment.virtual_address && pages_end(segment) <= pages_end(load)
        };
        if !of(constants::PT_LOAD).any(holds) {
            survey.anomaly(SEGMENTS, "PT_GNU_RELRO reaches beyond what is loaded");
        }
    }
}

/// The first address behind the last page of `segment`.
fn pages_end(segment: &ElfSegment) -> u64 {
    segment.virtual_address.saturating_add(segment.memory_size).div_ceil(PAGE).saturating_mul(PAGE)
}

fn entry_point(elf: &Elf, survey: &mut Survey) {
    // There the entry point is that of a descriptor, among the data.
    let by_descriptor = match elf.machine {
        constants::EM_PPC64 => elf.flags & 3 != 2,
        machine => matches!(machine, constants::EM_PARISC | constants::EM_IA_64),
    };
    let is_program = value(elf, constants::DT_FLAGS_1).unwrap_or(0) & constants::DF_1_PIE != 0;
    let is_library = elf.file_type == constants::ET_DYN && elf.entry == 0 && !is_program;
    let is_code = |segment: &ElfSegment| {
        segment.kind == constants::PT_LOAD
            && segment.flags & constants::PF_X != 0
            && elf.entry.checked_sub(segment.virtual_address).is_some_and(|at| at < segment.memory_size)
    };
    if !by_descriptor && !is_library && !elf.segments.iter().any(is_code) {
        survey.anomaly(HEADER, format!("the entry point {:#x} is in no executable segment", elf.entry));
    }
}

/// Of a repeated tag glibc takes the last, others the first.
fn repeated_tags(elf: &Elf, survey: &mut Survey) {
    const LISTS: [i64; 3] = [constants::DT_NEEDED, constants::DT_AUDIT, constants::DT_DEPAUDIT];
    let mut seen = BTreeSet::new();
    for tag in elf.dynamic.iter().map(|entry| entry.tag) {
        // The generic tags, and GNU's; what else a processor or a system has may come as often as it likes.
        let is_known = matches!(tag, 1..=0x26 | 0x6fff_fd00..=0x6fff_ffff) && !LISTS.contains(&tag);
        if is_known && !seen.insert(tag) {
            survey.anomaly(DYNAMIC, format!("tag {tag:#x} is there twice"));
        }
    }
}

/// glibc takes relocations to be as large as they are, others divide by what the entry says.
fn entry_sizes(image: Image<'_>, elf: &Elf, survey: &mut Survey) {
    let word = image.word_size();
    let tables = [
        (constants::DT_RELASZ, constants::DT_RELAENT, 3 * word),
        (constants::DT_RELSZ, constants::DT_RELENT, 2 * word),
    ];
    for (size, entry, expected) in tables {
        let found = value(elf, entry).unwrap_or(0);
        if value(elf, size).is_some_and(|size| size > 0) && found != expected {
            survey.anomaly(DYNAMIC, format!("tag {entry:#x} says {found}: an entry has {expected} bytes"));
        }
    }
}
