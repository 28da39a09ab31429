//! Which relocations make the loader write into memory that is not writable.

use crate::constants::elf as constants;

use super::Image;
use super::dynamic::{Tables, value};
use crate::bytes::Survey;
use crate::facts::{Elf, ElfSegment, TextRelocation, TextRelocations};
use crate::limits;

/// How many are listed.
const LISTED: usize = 10;

/// Looks through all relocation tables of a file that announces such relocations.
pub(super) fn read(image: Image<'_>, elf: &Elf, tables: &Tables, survey: &mut Survey) -> TextRelocations {
    let announced = value(elf, constants::DT_TEXTREL).is_some()
        || value(elf, constants::DT_FLAGS).is_some_and(|flags| flags & constants::DF_TEXTREL != 0);
    let mut found = TextRelocations::default();
    if !announced {
        return found;
    }
    let plt_is_rel = value(elf, constants::DT_PLTREL) == Some(constants::DT_REL);
    let parts = [
        (constants::DT_RELA, constants::DT_RELASZ, true),
        (constants::DT_REL as i64, constants::DT_RELSZ, false),
        (constants::DT_JMPREL, constants::DT_PLTRELSZ, !plt_is_rel),
    ];
    let mut budget = limits::RELOCATIONS as u64;
    for (table, size, addends) in parts {
        let Some((address, size)) = value(elf, table).zip(value(elf, size)) else { continue };
        let Some((offset, end)) = image.locate(elf, address) else {
            survey.anomaly("relocations", format!("their table at {address:#x} is in no segment"));
            continue;
        };
        let entry = image.word_size() * if addends { 3 } else { 2 };
        let count = (size.min(end.min(image.bytes.len()).saturating_sub(offset)) / entry).min(budget);
        budget -= count;
        for index in 0..count {
            look(image, elf, tables, offset + index * entry, survey, &mut found);
        }
    }
    found
}

fn look(
    image: Image<'_>,
    elf: &Elf,
    tables: &Tables,
    entry: u64,
    survey: &mut Survey,
    found: &mut TextRelocations,
) {
    let (Some(address), Some(info)) = (image.word(entry), image.word(entry + image.word_size())) else {
        return;
    };
    let (symbol, kind) = parts(image, elf.machine, info);
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

fn name(image: Image<'_>, elf: &Elf, tables: &Tables, index: u64, survey: &mut Survey) -> Option<String> {
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
