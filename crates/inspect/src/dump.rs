//! Facts as stable text: what `file`, `readelf -hdlV` and `objdump -p` would tell, in one form for both formats.

use std::fmt::Write;

use crate::constants::{elf as elf_constants, pe as pe_constants};

use crate::facts::{Binary, Elf, Facts, Pe, PeFunction};
use crate::names::*;

/// One line, as `file` would say it.
pub fn headline(facts: &Facts) -> String {
    match &facts.binary {
        Binary::Elf(elf) => elf_headline(elf),
        Binary::Pe(pe) => pe_headline(pe),
    }
}

/// Everything, a part a paragraph.
pub fn dump(facts: &Facts) -> String {
    let mut text = format!("{}\nsize {} bytes, sha256 {}\n", headline(facts), facts.size, facts.digest);
    for anomaly in &facts.anomalies {
        line(&mut text, format_args!("ANOMALY {}: {}", anomaly.part, anomaly.detail));
    }
    match &facts.binary {
        Binary::Elf(elf) => dump_elf(&mut text, elf),
        Binary::Pe(pe) => dump_pe(&mut text, pe),
    }
    text
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Names come from hostile files: nothing of theirs may move the cursor or begin a line.
    let written = arguments.to_string();
    let shown = written.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter });
    text.extend(shown);
    text.push('\n');
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn elf_headline(elf: &Elf) -> String {
    let order = if elf.big_endian { "big-endian" } else { "little-endian" };
    let flags_1 = elf.dynamic.iter().find(|entry| entry.tag == elf_constants::DT_FLAGS_1);
    let is_pie = flags_1.is_some_and(|entry| entry.value & elf_constants::DF_1_PIE != 0);
    let kind = match (elf.file_type, elf.interpreter.is_some() || is_pie) {
        (elf_constants::ET_EXEC, _) => "executable",
        (elf_constants::ET_DYN, true) => "position independent executable",
        (elf_constants::ET_DYN, false) => "shared object",
        (elf_constants::ET_REL, _) => "relocatable object",
        (elf_constants::ET_CORE, _) => "core file",
        _ => "file",
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

fn dump_elf(text: &mut String, elf: &Elf) {
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
            "  OS ABI {}, ABI version {}, flags {:#x}",
            name_of(ELF_OS_ABIS, elf.os_abi),
            elf.abi_version,
            elf.flags
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
    if let Some(link) = &elf.debug_link {
        line(text, format_args!("Debug link {link}"));
    }
    for comment in &elf.comments {
        line(text, format_args!("Comment {comment}"));
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
        format_args!("Dynamic symbols: {} imported, {} exported", elf.imports.len(), elf.exports.len()),
    );
}

fn pe_headline(pe: &Pe) -> String {
    let format = if pe.magic == 0x20b { "PE32+" } else { "PE32" };
    let kind = if pe.characteristics & pe_constants::IMAGE_FILE_DLL != 0 { "DLL" } else { "executable" };
    let subsystem = match pe.subsystem {
        pe_constants::IMAGE_SUBSYSTEM_WINDOWS_GUI => "GUI".to_owned(),
        pe_constants::IMAGE_SUBSYSTEM_WINDOWS_CUI => "console".to_owned(),
        other => name_of(PE_SUBSYSTEMS, other),
    };
    let stripped = if pe.symbol_count == 0 { "stripped" } else { "not stripped" };
    let machine = name_of(PE_MACHINES, pe.machine);
    let signed = if pe.certificate_size > 0 { ", signed" } else { "" };
    format!("{format} {kind} ({subsystem}), {machine}, {} sections, {stripped}{signed}", pe.sections.len())
}

fn dump_pe(text: &mut String, pe: &Pe) {
    line(text, format_args!("Header"));
    line(
        text,
        format_args!(
            "  machine {}, magic {:#x}, linker {}.{}",
            name_of(PE_MACHINES, pe.machine),
            pe.magic,
            pe.linker_version.0,
            pe.linker_version.1
        ),
    );
    line(text, format_args!("  characteristics {}", flags_of(PE_CHARACTERISTICS, pe.characteristics.into())));
    line(
        text,
        format_args!(
            "  DLL characteristics {}",
            flags_of(PE_DLL_CHARACTERISTICS, pe.dll_characteristics.into())
        ),
    );
    line(
        text,
        format_args!(
            "  subsystem {} {}.{}",
            name_of(PE_SUBSYSTEMS, pe.subsystem),
            pe.subsystem_version.0,
            pe.subsystem_version.1
        ),
    );
    line(
        text,
        format_args!(
            "  image base {:#x}, entry {:#x}, size of image {:#x}",
            pe.image_base, pe.entry, pe.size_of_image
        ),
    );
    line(
        text,
        format_args!(
            "  section alignment {:#x}, file alignment {:#x}",
            pe.section_alignment, pe.file_alignment
        ),
    );
    line(
        text,
        format_args!(
            "  time stamp {:#010x}, checksum {:#010x} (computed {:#010x})",
            pe.timestamp, pe.checksum, pe.computed_checksum
        ),
    );
    line(
        text,
        format_args!(
            "  operating system {}.{}, image {}.{}",
            pe.os_version.0, pe.os_version.1, pe.image_version.0, pe.image_version.1
        ),
    );
    line(text, format_args!("  COFF symbols {} at {:#x}", pe.symbol_count, pe.symbol_table_offset));
    let [stack, stack_commit, heap, heap_commit] = pe.stack_and_heap;
    line(
        text,
        format_args!(
            "  stack {stack:#x} (commit {stack_commit:#x}), heap {heap:#x} (commit {heap_commit:#x})"
        ),
    );
    for (index, directory) in
        pe.data_directories.iter().enumerate().filter(|(_, directory)| directory.size != 0)
    {
        let name = PE_DIRECTORIES.get(index).unwrap_or(&"?");
        line(
            text,
            format_args!("  directory {name:<16} {:#010x} size {:#x}", directory.address, directory.size),
        );
    }
    line(text, format_args!("Sections (name, address, virtual size, offset, raw size, flags)"));
    for section in &pe.sections {
        line(
            text,
            format_args!(
                "  {:<16} {:#010x} {:#010x} {:#010x} {:#010x} {}",
                section.name,
                section.virtual_address,
                section.virtual_size,
                section.raw_offset,
                section.raw_size,
                flags_of(PE_SECTION_FLAGS, u64::from(section.characteristics & 0xfe00_00e0))
            ),
        );
    }
    dump_pe_tables(text, pe);
}

fn dump_pe_tables(text: &mut String, pe: &Pe) {
    for import in &pe.imports {
        let delayed = if import.delayed { " (delay-loaded)" } else { "" };
        line(text, format_args!("Imports of {}{delayed}: {}", import.library, import.functions.len()));
        for function in &import.functions {
            match function {
                PeFunction::Name(name) => line(text, format_args!("  {name}")),
                PeFunction::Ordinal(ordinal) => line(text, format_args!("  ordinal {ordinal}")),
            }
        }
    }
    if let Some(name) = &pe.export_name {
        line(text, format_args!("Exports as {name}: {}", pe.exports.len()));
    }
    for export in &pe.exports {
        line(text, format_args!("  {export}"));
    }
    let relocations = pe.base_relocations;
    line(
        text,
        format_args!("Base relocations: {} entries in {} blocks", relocations.entries, relocations.blocks),
    );
    for debug in &pe.debug {
        let path = debug.pdb_path.as_deref().unwrap_or("-");
        let signature = hexadecimal(&debug.signature);
        line(
            text,
            format_args!(
                "Debug entry type {}, time stamp {:#x}, signature {signature}, file {path}",
                debug.kind, debug.timestamp
            ),
        );
    }
    if let Some(config) = pe.load_config {
        line(
            text,
            format_args!(
                "Load configuration: {:#x} bytes, security cookie {:#x}, guard flags {:#x}",
                config.size, config.security_cookie, config.guard_flags
            ),
        );
    }
    if pe.has_tls {
        line(text, format_args!("Thread-local storage directory"));
    }
    if pe.certificate_size > 0 {
        line(text, format_args!("Certificate table: {} bytes", pe.certificate_size));
    }
    if pe.overlay_size > 0 {
        line(text, format_args!("Overlay: {} bytes", pe.overlay_size));
    }
}
