//! What dynamic relocations write to: the slots through which functions and data are reached, and memory that is not writable.

use crate::constants::elf as constants;

use super::Image;
use super::dynamic::{Tables, value};
use super::text_relocations::{Search, Write};
use crate::bytes::{Bytes, Survey};
use crate::facts::{Elf, RelocationCount};
use crate::limits;

/// What anomalies here are about.
pub(super) const PART: &str = "relocations";

/// Looks through all relocation tables. Those that only add where the file was loaded come first, and their number
/// (`DT_RELACOUNT`, `DT_RELCOUNT`) is what loaders believe. There may be hundreds of thousands, sorted by address (linkers give
/// their number only then), so that the first and the last tell whether to look at them all. Gives one past the highest symbol
/// that a relocation names.
pub(super) fn read(image: Image<'_>, elf: &mut Elf, tables: &Tables<'_>, survey: &mut Survey) -> u64 {
    elf.relocations = counted(elf);
    let kinds = slot_kinds(elf.machine);
    let mut slots = [None, None];
    let mut symbols = 0;
    let mut budget = limits::DYNAMIC_RELOCATIONS;
    let mut search = Search::new(&elf.segments);
    for Tags { table, size, relative, addends } in with_symbols(elf) {
        let Some(table) = located(image, elf, (table, size), survey) else { continue };
        let entries = rows(table, if addends { 3 } else { 2 });
        let relative = relative.and_then(|tag| value(elf, tag)).unwrap_or(0);
        let relative = relative.min(budget).min(entries.len() as u64);
        budget -= relative;
        let write = |entry: Image<'_>| {
            let (address, info) = entry.word(0).zip(entry.word(entry.word_size()))?;
            let (symbol, kind) = parts(image, elf.machine, info);
            Some(Write { address, symbol, kind: Some(kind) })
        };
        let relatives = entries.clone().take(relative as usize);
        let mut inner = relatives.clone();
        let mut ends = [inner.next(), inner.next_back()].into_iter().flatten().filter_map(write);
        if !ends.all(|write| search.is_writable(write.address)) {
            relatives.filter_map(write).for_each(|write| search.look(write));
        }
        for entry in entries.skip(relative as usize) {
            if !admit(&mut budget, survey) {
                break;
            }
            let Some(write) = write(entry) else { break };
            search.look(write);
            let Write { address, symbol, kind } = write;
            symbols = symbols.max(symbol.saturating_add(1));
            if let Some(at) = kinds.iter().position(|of| of.is_some() && *of == kind) {
                let (lowest, highest) = slots[at].unwrap_or((address, address));
                slots[at] = Some((address.min(lowest), address.max(highest)));
            }
        }
    }
    if let Some(table) = located(image, elf, (constants::DT_RELR, constants::DT_RELRSZ), survey) {
        let words = rows(table, 1).map_while(|row| row.word(0));
        for address in packed(words, image.word_size()) {
            if !admit(&mut budget, survey) {
                break;
            }
            search.look(Write { address, symbol: 0, kind: None });
        }
    }
    let text_relocations = search.told(image, elf, tables, survey);
    [elf.relocations.data_slots, elf.relocations.function_slots] = slots;
    elf.marks.text_relocations = text_relocations;
    symbols
}

/// Which symbols a loader looks up: whether a relocation names each of the first `count`. `None` where that cannot be told: a
/// table is outside the file, has more entries than are read or is of a kind that is not, or it is MIPS, whose slots have none.
pub(super) fn named(image: Image<'_>, elf: &Elf, count: usize) -> Option<Vec<bool>> {
    let other_tables = elf.dynamic.iter().any(|entry| NOT_READ.contains(&entry.tag));
    if elf.machine == constants::EM_MIPS || other_tables {
        return None;
    }
    let mut named = vec![false; count];
    let (mut survey, mut budget) = (Survey::default(), limits::DYNAMIC_RELOCATIONS);
    for Tags { table, size, addends, .. } in with_symbols(elf) {
        if value(elf, table).is_none() {
            continue;
        }
        let found = located(image, elf, (table, size), &mut survey)?;
        if found.bytes.len() < value(elf, size)? {
            return None;
        }
        for entry in rows(found, if addends { 3 } else { 2 }) {
            if !admit(&mut budget, &mut survey) {
                return None;
            }
            let (symbol, _) = parts(image, elf.machine, entry.word(entry.word_size())?);
            if let Some(named) = named.get_mut(symbol as usize) {
                *named = true;
            }
        }
    }
    Some(named)
}

/// Relocations in other forms: those of Android, packed, and LLVM's compact ones (`DT_ANDROID_REL`, `DT_ANDROID_RELA`, `DT_CREL`).
const NOT_READ: [i64; 3] = [0x6000_000f, 0x6000_0011, 0x4000_0026];

/// By which dynamic entries a table is found, and whether its entries have addends of their own.
struct Tags {
    table: i64,
    size: i64,
    relative: Option<i64>,
    addends: bool,
}

/// The tables whose entries name symbols.
fn with_symbols(elf: &Elf) -> [Tags; 3] {
    let plt_is_rel = value(elf, constants::DT_PLTREL) == Some(constants::DT_REL);
    let tags = |table, size, relative, addends| Tags { table, size, relative, addends };
    [
        tags(constants::DT_RELA, constants::DT_RELASZ, Some(constants::DT_RELACOUNT), true),
        tags(constants::DT_REL as i64, constants::DT_RELSZ, Some(constants::DT_RELCOUNT), false),
        tags(constants::DT_JMPREL, constants::DT_PLTRELSZ, None, !plt_is_rel),
    ]
}

/// A table, as much of it as the file has.
fn located<'a>(
    image: Image<'a>,
    elf: &Elf,
    (table, size): (i64, i64),
    survey: &mut Survey,
) -> Option<Image<'a>> {
    let (address, size) = value(elf, table).zip(value(elf, size))?;
    let Some((offset, end)) = image.locate(elf, address) else {
        survey.anomaly(PART, format!("their table at {address:#x} is in no segment"));
        return None;
    };
    let size = size.min(end.min(image.bytes.len()).saturating_sub(offset));
    let data = image.bytes.slice(offset, size)?;
    Some(Image { bytes: Bytes { data, ..image.bytes }, ..image })
}

/// Its entries of so many words.
fn rows(
    table: Image<'_>,
    words: u64,
) -> impl ExactSizeIterator<Item = Image<'_>> + DoubleEndedIterator + Clone {
    let size = (words * table.word_size()) as usize;
    table
        .bytes
        .data
        .chunks_exact(size)
        .map(move |data| Image { bytes: Bytes { data, ..table.bytes }, ..table })
}

/// Whether one more is read; tells where that is not so.
fn admit(budget: &mut u64, survey: &mut Survey) -> bool {
    let Some(left) = budget.checked_sub(1) else {
        survey.anomaly(
            PART,
            format!("more than {} of them; the rest is not read", limits::DYNAMIC_RELOCATIONS),
        );
        return false;
    };
    *budget = left;
    true
}

/// The addresses in a packed table (gABI, `SHT_RELR`): an even word is one, and an odd word has a bit for each of the words
/// that follow what was told last.
fn packed(words: impl Iterator<Item = u64>, word_size: u64) -> impl Iterator<Item = u64> {
    let mut next = 0_u64;
    words.flat_map(move |word| {
        let (start, mut bits, words) =
            if word & 1 == 0 { (word, 1, 1) } else { (next, word >> 1, word_size * 8 - 1) };
        next = start.wrapping_add(words * word_size);
        std::iter::from_fn(move || {
            let bit = (bits != 0).then(|| bits.trailing_zeros())?;
            bits &= bits - 1;
            Some(start.wrapping_add(u64::from(bit) * word_size))
        })
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relocations_of_mips64_keep_symbol_and_type_where_no_other_processor_does() {
        // A symbol, R_MIPS_REL32 (3) and then R_MIPS_64 (18): what a file of MIPS64 has most of.
        for (stored, big_endian) in [([0, 9, 0, 0, 0, 0, 18, 3], false), ([0, 0, 9, 0, 0, 0, 18, 3], true)] {
            let image = Image { bytes: Bytes { data: &stored, big_endian }, wide: true };
            assert_eq!(parts(image, constants::EM_MIPS, image.word(0).unwrap()), (0x900, 3));
            assert_eq!(parts(image, 62, 0x7_0000_0008), (7, 8));
            let narrow = Image { wide: false, ..image };
            assert_eq!(parts(narrow, constants::EM_MIPS, 0x703), (7, 3));
        }
    }

    #[test]
    fn slots_have_the_types_of_the_c_library_s_header() {
        let header = std::fs::read_to_string("/usr/include/elf.h").expect("apt-get install libc6-dev");
        fn number(header: &str, name: &str) -> Option<u32> {
            let defined = header.lines().filter_map(|line| line.strip_prefix("#define"));
            let mut words = defined.map(str::split_whitespace);
            let value = words.find_map(|mut words| (words.next() == Some(name)).then(|| words.next()))??;
            value.parse().ok().or_else(|| number(header, value))
        }
        for (machine, data, function) in [
            ("EM_386", "R_386_GLOB_DAT", "R_386_JMP_SLOT"),
            ("EM_X86_64", "R_X86_64_GLOB_DAT", "R_X86_64_JUMP_SLOT"),
            ("EM_ARM", "R_ARM_GLOB_DAT", "R_ARM_JUMP_SLOT"),
            ("EM_AARCH64", "R_AARCH64_GLOB_DAT", "R_AARCH64_JUMP_SLOT"),
            ("EM_PPC64", "R_PPC64_GLOB_DAT", "R_PPC64_JMP_SLOT"),
            ("EM_S390", "R_390_GLOB_DAT", "R_390_JMP_SLOT"),
            ("EM_RISCV", "", "R_RISCV_JUMP_SLOT"),
            ("EM_LOONGARCH", "", "R_LARCH_JUMP_SLOT"),
            ("EM_MIPS", "", "R_MIPS_JUMP_SLOT"),
        ] {
            let expected = [data, function].map(|name| number(&header, name));
            assert!(expected[1].is_some(), "{function} is not in elf.h");
            let machine = number(&header, machine).expect(machine) as u16;
            assert_eq!(slot_kinds(machine), expected, "{function}");
        }
    }

    #[test]
    fn a_packed_table_tells_an_address_and_the_words_that_follow_it() {
        let told = |words: &[u64], word_size| packed(words.iter().copied(), word_size).collect::<Vec<_>>();
        assert_eq!(told(&[0x1000, 0b1011, 0x2000], 8), [0x1000, 0x1008, 0x1018, 0x2000]);
        // The second of two bitmaps goes on 63 words behind the first.
        assert_eq!(told(&[0x1000, 1, 0b11], 8), [0x1000, 0x1008 + 63 * 8]);
        assert_eq!(told(&[0x1000, 1, 0b11], 4), [0x1000, 0x1004 + 31 * 4]);
        assert_eq!(told(&[u64::MAX - 1, u64::MAX], 8).len(), 64);
    }
}
