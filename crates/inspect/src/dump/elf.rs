//! An ELF file's facts as text.

use super::{hexadecimal, line};
use crate::constants::elf as elf_constants;
use crate::facts::{Elf, ElfShape, Names};
use crate::names::*;

pub(super) fn headline(elf: &Elf) -> String {
    let order = if elf.big_endian { "big-endian" } else { "little-endian" };
    let kind = match (elf.shape(), elf.file_type) {
        (ElfShape::Executable, _) => "executable",
        (ElfShape::PositionIndependent | ElfShape::StaticPositionIndependent, _) => {
            "position independent executable"
        }
        (ElfShape::SharedLibrary, _) => "shared object",
        (ElfShape::Other, elf_constants::ET_REL) => "relocatable object",
        (ElfShape::Other, elf_constants::ET_CORE) => "core file",
        (ElfShape::Other, _) => "file",
    };
    let linkage = match (&elf.interpreter, elf.dynamic.is_empty()) {
        (Some(interpreter), _) => format!("dynamically linked, interpreter {interpreter}"),
        (None, false) if elf.needed.is_empty() => "statically linked".to_owned(),
        (None, false) => "dynamically linked".to_owned(),
        (None, true) => "statically linked".to_owned(),
    };
    let stripped = if elf.symbol_count == 0 { "stripped" } else { "not stripped" };
    let build_id = match &elf.build_id {
        Some(id) => format!(", build-id {}", hexadecimal(id)),
        None => String::new(),
    };
    let machine = name_of(ELF_MACHINES, elf.machine);
    let mut text = String::new();
    line(
        &mut text,
        format_args!("ELF {}-bit {order} {kind}, {machine}, {linkage}{build_id}, {stripped}", elf.class),
    );
    text.truncate(text.trim_end().len());
    text
}

pub(super) fn dump(text: &mut String, elf: &Elf) {
    line(text, format_args!("Header"));
    line(
        text,
        format_args!(
            "  type {}, machine {}",
            name_of(ELF_TYPES, elf.file_type),
            name_of(ELF_MACHINES, elf.machine)
        ),
    );
    line(
        text,
        format_args!(
            "  OS ABI {}, ABI version {}, flags {:#x}{}",
            name_of(ELF_OS_ABIS, elf.os_abi),
            elf.abi_version,
            elf.flags,
            match elf_flags(elf.machine, elf.flags) {
                meaning if meaning.is_empty() => meaning,
                meaning => format!(" ({meaning})"),
            }
        ),
    );
    line(text, format_args!("  entry {:#x}", elf.entry));
    let (segments, sections) = (elf.segments.len(), elf.sections.len());
    line(
        text,
        format_args!(
            "  {segments} program headers at {:#x}, {sections} section headers at {:#x}",
            elf.program_header_offset, elf.section_header_offset
        ),
    );

    line(text, format_args!("Segments (type, offset, address, file size, memory size, flags, alignment)"));
    for segment in &elf.segments {
        let flag = |bit: u32, letter: char| if segment.flags & bit != 0 { letter } else { ' ' };
        let flags: String = [flag(4, 'R'), flag(2, 'W'), flag(1, 'E')].into_iter().collect();
        line(
            text,
            format_args!(
                "  {:<16} {:#010x} {:#018x} {:#010x} {:#010x} {flags} {:#x}",
                name_of(SEGMENT_TYPES, segment.kind),
                segment.offset,
                segment.virtual_address,
                segment.file_size,
                segment.memory_size,
                segment.alignment
            ),
        );
    }
    line(text, format_args!("Sections (name, type, address, offset, size, flags)"));
    for section in &elf.sections {
        line(
            text,
            format_args!(
                "  {:<20} {:<16} {:#018x} {:#010x} {:#010x} {}",
                section.name,
                name_of(SECTION_TYPES, section.kind),
                section.address,
                section.offset,
                section.size,
                flags_of(SECTION_FLAGS, section.flags)
            ),
        );
    }
    dump_dynamic(text, elf);
    for note in &elf.notes {
        line(
            text,
            format_args!("Note {} type {:#x}: {}", note.owner, note.kind, note_text(&note.description)),
        );
    }
    dump_marks(text, elf);
    if let Some(link) = &elf.debug_link {
        line(text, format_args!("Debug link {link}"));
    }
    for comment in &elf.comments {
        line(text, format_args!("Comment {comment}"));
    }
}

/// What notes, comments and names mean.
fn dump_marks(text: &mut String, elf: &Elf) {
    let marks = &elf.marks;
    for property in &marks.properties {
        let value = match (property.meaning.as_slice(), property.value) {
            ([], Some(value)) => format!("{value:#x}"),
            ([], None) => format!("{} bytes", property.size),
            (names, _) => names.join(", "),
        };
        line(text, format_args!("Property {}: {value}", property.name));
    }
    if let Some(tag) = marks.abi_tag {
        let system = name_of(ABI_TAG_SYSTEMS, i64::from(tag.system));
        let [major, minor, patch] = tag.kernel;
        line(text, format_args!("ABI tag: {system} {major}.{minor}.{patch} or newer"));
    }
    if let Some(package) = &marks.package {
        line(text, format_args!("Package metadata {package}"));
    }
    for mark in &marks.languages {
        line(text, format_args!("Language {:?}: {}", mark.language, mark.evidence));
    }
    let listed = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    line(text, format_args!("Stack protector symbols: {}", listed(&marks.stack_protector)));
    let (checked, unchecked) = (&marks.fortified, &marks.fortifiable);
    line(
        text,
        format_args!("Fortified: {}; not, though they could be: {}", listed(checked), listed(unchecked)),
    );
    for relocation in &marks.text_relocations.first {
        let kind = relocation.kind.map_or("packed".to_owned(), |kind| format!("of type {kind}"));
        let symbol = relocation.symbol.as_deref().unwrap_or("no symbol");
        line(
            text,
            format_args!("Relocation {kind} into read-only memory at {:#x}: {symbol}", relocation.address),
        );
    }
}

/// A note's description: as text where it is text (an FDO package note), else in hexadecimal.
fn note_text(description: &[u8]) -> String {
    let content = &description[..description.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)];
    match str::from_utf8(content) {
        Ok(text) if text.len() > 3 && text.chars().all(|letter| !letter.is_control()) => text.to_owned(),
        _ => hexadecimal(&description[..description.len().min(64)]),
    }
}

fn dump_dynamic(text: &mut String, elf: &Elf) {
    if elf.dynamic.is_empty() {
        return;
    }
    line(text, format_args!("Dynamic section"));
    for entry in &elf.dynamic {
        let value = match (&entry.text, entry.tag) {
            (Some(text), _) => format!("[{text}]"),
            (None, elf_constants::DT_FLAGS) => flags_of(DYNAMIC_FLAGS, entry.value),
            (None, elf_constants::DT_FLAGS_1) => flags_of(DYNAMIC_FLAGS_1, entry.value),
            (None, _) => format!("{:#x}", entry.value),
        };
        line(text, format_args!("  {:<20} {value}", name_of(DYNAMIC_TAGS, entry.tag)));
    }
    for need in &elf.versions_needed {
        let versions = need.versions.iter().map(|version| {
            let weak = if version.flags & elf_constants::VER_FLG_WEAK != 0 { " (weak)" } else { "" };
            format!("{}{weak}", version.name)
        });
        line(text, format_args!("Needs of {}: {}", need.library, versions.collect::<Vec<_>>().join(", ")));
    }
    for version in &elf.versions_defined {
        line(text, format_args!("Defines version {}", version.name));
    }
    let relocations = elf.relocations;
    line(
        text,
        format_args!(
            "Dynamic relocations: {} entries, {} packed bytes",
            relocations.entries, relocations.packed_bytes
        ),
    );
    line(
        text,
        format_args!(
            "Dynamic symbols: {} imported, {} exported",
            elf.imports.len(),
            elf.exports.as_ref().map_or(0, Names::len)
        ),
    );
}
