//! A PE file's facts as text.

mod parts;

use super::line;
use crate::constants::pe as pe_constants;
use crate::facts::{Pe, PeFunction};
use crate::names::*;

pub(super) fn headline(pe: &Pe) -> String {
    let format = if pe.magic == 0x20b { "PE32+" } else { "PE32" };
    let kind = if pe.is_library() { "DLL" } else { "executable" };
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

pub(super) fn dump(text: &mut String, pe: &Pe) {
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
    line(text, format_args!("  time stamp {:#010x}, checksum {:#010x}", pe.timestamp, pe.checksum));
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
    dump_tables(text, pe);
}

fn dump_tables(text: &mut String, pe: &Pe) {
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
    for export in pe.exports.iter() {
        line(text, format_args!("  {export}"));
    }
    parts::dump(text, pe);
}
