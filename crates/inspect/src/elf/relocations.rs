//! What dynamic relocations write to: the slots through which functions and data are reached, and memory that is not writable.

use crate::constants::elf as constants;

use super::Image;
use super::dynamic::{Tables, value};
use crate::bytes::Survey;
use crate::facts::{Elf, ElfSegment, RelocationCount, TextRelocation, TextRelocations};
use crate::limits;

/// How many relocations into memory that is not writable are listed.
const LISTED: usize = 10;

/// Looks through all relocation tables. Those that only add where the file was loaded come first, and their number
/// (`DT_RELACOUNT`, `DT_RELCOUNT`) is what loaders believe: they are passed over, unless the file announces relocations
/// into memory that is not writable. Gives one past the highest symbol that a relocation names.
pub(super) fn read(image: Image<'_>, elf: &mut Elf, tables: &Tables<'_>, survey: &mut Survey) -> u64 {
    elf.relocations = counted(elf);
    let announced = value(elf, constants::DT_TEXTREL).is_some()
        || value(elf, constants::DT_FLAGS).is_some_and(|flags| flags & constants::DF_TEXTREL != 0);
    let plt_is_rel = value(elf, constants::DT_PLTREL) == Some(constants::DT_REL);
    let parts = [
        (constants::DT_RELA, constants::DT_RELASZ, Some(constants::DT_RELACOUNT), true),
        (constants::DT_REL as i64, constants::DT_RELSZ, Some(constants::DT_RELCOUNT), false),
        (constants::DT_JMPREL, constants::DT_PLTRELSZ, None, !plt_is_rel),
    ];
    let kinds = slot_kinds(elf.machine);
    let (mut text, mut slots) = (TextRelocations::default(), [None, None]);
    let mut symbols = 0;
    let mut budget = limits::RELOCATIONS as u64;
    for (table, size, relative, addends) in parts {
        let Some((address, size)) = value(elf, table).zip(value(elf, size)) else { continue };
        let Some((offset, end)) = image.locate(elf, address) else {
            survey.anomaly("relocations", format!("their table at {address:#x} is in no segment"));
            continue;
        };
        let entry = image.word_size() * if addends { 3 } else { 2 };
        let count = (size.min(end.min(image.bytes.len()).saturating_sub(offset)) / entry).min(budget);
        let passed_over =
            relative.and_then(|tag| value(elf, tag)).filter(|_| !announced).unwrap_or(0).min(count);
        budget -= count - passed_over;
        for index in passed_over..count {
            let Some((address, symbol, kind)) = relocation(image, elf.machine, offset + index * entry) else {
                break;
            };
            symbols = symbols.max(symbol.saturating_add(1));
            if let Some(at) = kinds.iter().position(|of| *of == Some(kind)) {
                let (lowest, highest) = slots[at].unwrap_or((address, address));
                slots[at] = Some((address.min(lowest), address.max(highest)));
            }
            if announced {
                look(image, elf, tables, (address, symbol, kind), survey, &mut text);
            }
        }
    }
    [elf.relocations.data_slots, elf.relocations.function_slots] = slots;
    elf.marks.text_relocations = text;
    symbols
}

fn counted(elf: &Elf) -> RelocationCount {
    let entries_of = |size: i64, entry: i64| {
        let (size, entry) = (value(elf, size).unwrap_or(0), value(elf, entry).unwrap_or(0));
        size.checked_div(entry).unwrap_or(0)
    };
    let plt_words = if value(elf, constants::DT_PLTREL) == Some(constants::DT_REL) { 2 } else { 3 };
    let plt_entry = plt_words * u64::from(elf.class / 8);
    let entries = entries_of(constants::DT_RELASZ, constants::DT_RELAENT)
        .saturating_add(entries_of(constants::DT_RELSZ, constants::DT_RELENT))
        .saturating_add(value(elf, constants::DT_PLTRELSZ).unwrap_or(0) / plt_entry);
    let packed_bytes = value(elf, constants::DT_RELRSZ).unwrap_or(0);
    RelocationCount { entries, packed_bytes, ..RelocationCount::default() }
}

/// The types that fill a slot with an address: of data or of a function that is called through it, and of a function that may
/// be bound when it is first called (`R_…_GLOB_DAT`, `R_…_JUMP_SLOT`). RISC-V and LoongArch have one type for all addresses,
/// so only the second tells; MIPS has its slots without relocations.
fn slot_kinds(machine: u16) -> [Option<u32>; 2] {
    match machine {
        constants::EM_386 | constants::EM_X86_64 => [Some(6), Some(7)],
        constants::EM_ARM => [Some(21), Some(22)],
        constants::EM_AARCH64 => [Some(1025), Some(1026)],
        constants::EM_PPC64 => [Some(20), Some(21)],
        constants::EM_S390 => [Some(10), Some(11)],
        constants::EM_RISCV | constants::EM_LOONGARCH => [None, Some(5)],
        constants::EM_MIPS => [None, Some(127)],
        _ => [None, None],
    }
}

/// Address, symbol and type.
fn relocation(image: Image<'_>, machine: u16, entry: u64) -> Option<(u64, u64, u32)> {
    let (address, info) = (image.word(entry)?, image.word(entry + image.word_size())?);
    let (symbol, kind) = parts(image, machine, info);
    Some((address, symbol, kind))
}

fn look(
    image: Image<'_>,
    elf: &Elf,
    tables: &Tables<'_>,
    (address, symbol, kind): (u64, u64, u32),
    survey: &mut Survey,
    found: &mut TextRelocations,
) {
    // `R_…_NONE` writes nothing; it is 0 on every processor.
    if kind == 0 {
        return;
    }
    let holds = |segment: &&ElfSegment| {
        let inside = address.checked_sub(segment.virtual_address);
        segment.kind == constants::PT_LOAD && inside.is_some_and(|inside| inside < segment.memory_size)
    };
    let Some(segment) = elf.segments.iter().find(holds) else { return };
    if segment.flags & constants::PF_W != 0 {
        return;
    }
    found.count += 1;
    if found.first.len() < LISTED {
        let symbol = (symbol != 0).then(|| name(image, elf, tables, symbol, survey)).flatten();
        let file_offset = segment.offset.saturating_add(address - segment.virtual_address);
        found.first.push(TextRelocation { address, file_offset, kind, symbol });
    }
}

/// The symbol's index and the type in `r_info`.
fn parts(image: Image<'_>, machine: u16, info: u64) -> (u64, u32) {
    match (image.wide, machine, image.bytes.big_endian) {
        // MIPS64 has a word for the symbol and, behind it, one byte each for a second symbol and three types: the last is
        // the first to be applied, in either byte order.
        (true, constants::EM_MIPS, false) => (info & 0xffff_ffff, (info >> 56) as u32),
        (true, constants::EM_MIPS, true) => (info >> 32, info as u32 & 0xff),
        (true, _, _) => (info >> 32, info as u32),
        (false, _, _) => (info >> 8, info as u32 & 0xff),
    }
}

fn name(image: Image<'_>, elf: &Elf, tables: &Tables<'_>, index: u64, survey: &mut Survey) -> Option<String> {
    let (start, _) = image.locate(elf, tables.symbols?)?;
    let size = if image.wide { 24 } else { 16 };
    let offset = start.checked_add(index.checked_mul(size)?)?;
    tables.text(image, survey, "relocations", image.bytes.u32(offset)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::Bytes;

    #[test]
    fn relocations_of_mips64_keep_symbol_and_type_where_no_other_processor_does() {
        // Symbol 0, R_MIPS_REL32 (3) and then R_MIPS_64 (18): what a file of MIPS64 has most of.
        let stored = [0, 0, 0, 0, 0, 0, 18, 3];
        let image = |big_endian| Image { bytes: Bytes { data: &stored, big_endian }, wide: true };
        for big_endian in [false, true] {
            let image = image(big_endian);
            assert_eq!(parts(image, constants::EM_MIPS, image.word(0).unwrap()), (0, 3));
        }
        assert_eq!(parts(image(false), 62, 0x7_0000_0008), (7, 8));
    }
}
