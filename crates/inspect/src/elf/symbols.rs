//! Dynamic symbols: what a file wants of others and offers to them.

use std::sync::Arc;

use crate::constants::elf as constants;

use super::Image;
use super::dynamic::Tables;
use crate::bytes::Survey;
use crate::facts::{Elf, ElfImport};
use crate::limits;

/// Entries of every `SHT_SYMTAB`.
pub(super) fn static_count(elf: &Elf) -> u64 {
    let tables = elf.sections.iter().filter(|section| section.kind == constants::SHT_SYMTAB);
    let entries = tables.map(|table| table.size.checked_div(table.entry_size).unwrap_or(table.size));
    entries.fold(0, u64::saturating_add)
}

/// Which of the `wanted` names stand in the symbol table. The gABI allows one such table, so one is looked at.
pub(super) fn static_names(image: Image<'_>, elf: &Elf, wanted: &[&str]) -> Vec<String> {
    let mut left: Vec<_> = wanted.iter().map(|name| (*name, [name.as_bytes(), b"\0"].concat())).collect();
    let mut found = Vec::new();
    let table = elf.sections.iter().find(|section| section.kind == constants::SHT_SYMTAB);
    let strings = table.and_then(|table| elf.sections.get(table.link as usize));
    let (Some(table), Some(strings)) = (table, strings) else { return found };
    let size = if image.wide { 24 } else { 16 };
    for index in 0..table.size.min(image.bytes.len()) / size {
        let place = table.offset.checked_add(index * size).and_then(|offset| image.bytes.u32(offset));
        let Some(name) = place.and_then(|name| strings.offset.checked_add(u64::from(name))) else { break };
        // Most names differ in the third byte, so that nothing is compared for them.
        if image.bytes.slice(name, 2) != Some(b"__") {
            continue;
        }
        left.retain(|(wanted, text)| {
            let stands = image.bytes.slice(name, text.len() as u64) == Some(text.as_slice());
            if stands {
                found.push((*wanted).to_owned());
            }
            !stands
        });
    }
    found
}

/// Reads imports and exports from `DT_SYMTAB`; relocations have `named` symbols below this number.
pub(super) fn read(image: Image<'_>, elf: &mut Elf, tables: &Tables<'_>, named: u64, survey: &mut Survey) {
    const PART: &str = "dynamic symbols";
    let Some(address) = tables.symbols else { return };
    let Some((start, _)) = image.locate(elf, address) else {
        survey.anomaly(PART, format!("DT_SYMTAB {address:#x} is in no segment"));
        return;
    };
    let size = if image.wide { 24 } else { 16 };
    let mut count = count(image, elf, tables, size, survey);
    if count < named {
        survey
            .anomaly(PART, format!("there are {count} of them, and a relocation names symbol {}", named - 1));
        count = named;
    }
    let versions =
        tables.version_table.and_then(|address| image.locate(elf, address)).map(|(offset, _)| offset);
    let strings = tables.strings(image);
    if let Some(exports) = &mut elf.exports {
        exports.reserve(strings.len().min(limits::TEXT));
    }
    let ends = strings.last() == Some(&0);
    for index in 1..count {
        let Some(symbol) = start.checked_add(index * size).and_then(|offset| Symbol::read(image, offset))
        else {
            survey.anomaly(PART, format!("symbol {index} of {count} is outside the file"));
            break;
        };
        if !(if symbol.defined { survey.admit_export(PART) } else { survey.admit(PART) }) {
            break;
        }
        // In a table that ends with a zero every name ends, too.
        if symbol.defined && elf.exports.is_none() && ends && (symbol.name as usize) < strings.len() {
            continue;
        }
        let Some(name) = tables.name(image, survey, PART, symbol.name) else { continue };
        if symbol.defined {
            if let Some(exports) = elf.exports.as_mut().filter(|_| symbol.binding != constants::STB_LOCAL) {
                exports.push(&name);
            }
            continue;
        }
        let version = versions.and_then(|table| image.bytes.u16(table.checked_add(2 * index)?));
        // The highest bit says "not the default version" (gABI symbol versioning, `VERSYM_HIDDEN`); up to 1 is none, though
        // the file's own base version has that number.
        let version = version.map(|index| index & 0x7fff).filter(|index| *index > constants::VER_NDX_GLOBAL);
        let version = version.and_then(|index| tables.versions.get(&index));
        elf.imports.push(ElfImport {
            name: name.into_owned(),
            weak: symbol.binding == constants::STB_WEAK,
            version: version.map(|version| Arc::clone(&version.name)),
            library: version.and_then(|version| version.library.clone()),
        });
    }
}

struct Symbol {
    name: u32,
    binding: u8,
    defined: bool,
}

impl Symbol {
    fn read(image: Image<'_>, offset: u64) -> Option<Symbol> {
        let (info, section) = if image.wide { (4, 6) } else { (12, 14) };
        Some(Symbol {
            name: image.bytes.u32(offset)?,
            binding: image.bytes.u8(offset + info)? >> 4,
            defined: image.bytes.u16(offset + section)? != constants::SHN_UNDEF,
        })
    }
}

/// How many symbols there are, which no dynamic tag says: from the hash tables that loaders find them by, from the section
/// header where it describes the same table, or from what the table behind it leaves room for.
pub(super) fn count(image: Image<'_>, elf: &Elf, tables: &Tables<'_>, size: u64, survey: &mut Survey) -> u64 {
    let described = elf
        .sections
        .iter()
        .find(|section| section.kind == constants::SHT_DYNSYM && Some(section.address) == tables.symbols)
        .map(|section| section.size / size);
    let at = |address: Option<u64>| address.and_then(|address| image.locate(elf, address));
    let hashed = at(tables.hash).and_then(|(hash, _)| {
        if wide_hash(image, elf) {
            image.bytes.u64(hash.saturating_add(8))
        } else {
            image.bytes.u32(hash.saturating_add(4)).map(u64::from)
        }
    });
    let hashed = hashed.max(at(tables.gnu_hash).and_then(|(hash, end)| gnu_hash_count(image, hash, end)));
    match (described, hashed) {
        (Some(described), Some(hashed)) if described < hashed => {
            let what = format!("their section header tells of {described}, their hash table of {hashed}");
            survey.anomaly("dynamic symbols", what);
            return hashed;
        }
        (Some(described), _) => return described,
        (None, Some(hashed @ 1..)) => return hashed,
        (None, _) => {}
    }
    // Nothing is offered, so nothing is hashed: symbols end at the latest where the next table begins.
    let begins = elf.dynamic.iter().filter(|entry| TABLES.contains(&entry.tag)).map(|entry| entry.value);
    let next = begins.filter(|begin| Some(*begin) > tables.symbols).min();
    next.zip(tables.symbols).map_or(0, |(next, symbols)| (next - symbols) / size)
}

/// Whether words of `DT_HASH` have 64 bits: on S/390 and Alpha, against the gABI.
fn wide_hash(image: Image<'_>, elf: &Elf) -> bool {
    image.wide && matches!(elf.machine, constants::EM_S390 | constants::EM_ALPHA)
}

/// Tags that say where a table begins, of those that linkers put beside the symbols.
const TABLES: [i64; 10] = [
    constants::DT_STRTAB,
    constants::DT_HASH,
    constants::DT_GNU_HASH,
    constants::DT_VERSYM,
    constants::DT_VERDEF,
    constants::DT_VERNEED,
    constants::DT_RELA,
    constants::DT_REL as i64,
    constants::DT_JMPREL,
    constants::DT_RELR,
];

/// One past the highest symbol that a `DT_GNU_HASH` table reaches.
fn gnu_hash_count(image: Image<'_>, hash: u64, end: u64) -> Option<u64> {
    let (buckets, first, words) =
        (image.bytes.u32(hash)?, image.bytes.u32(hash + 4)?, image.bytes.u32(hash.checked_add(8)?)?);
    let table = hash + 16 + u64::from(words) * image.word_size();
    let chains = table + 4 * u64::from(buckets);
    // A segment may claim more bytes than the file has, and a table of four thousand million buckets with it.
    let end = end.min(image.bytes.len());
    if chains > end {
        return None;
    }
    let last = (0..u64::from(buckets)).filter_map(|bucket| image.bytes.u32(table + 4 * bucket)).max()?;
    let mut index = u64::from(last.checked_sub(first)?);
    while chains + 4 * index < end && image.bytes.u32(chains + 4 * index)? & 1 == 0 {
        index += 1;
    }
    Some(u64::from(first) + index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::ElfSegment;

    /// The count behind a `DT_HASH` of 235 buckets and 124 symbols, in words of `width` bytes, right behind the header.
    fn counted(machine: u16, width: usize) -> u64 {
        let mut bytes = vec![0; 64];
        bytes[..7].copy_from_slice(b"\x7fELF\x02\x02\x01");
        bytes[18..20].copy_from_slice(&machine.to_be_bytes());
        for word in [235_u64, 124] {
            bytes.extend(&word.to_be_bytes()[8 - width..]);
        }
        let image = Image::new(&bytes).unwrap();
        let mut elf = image.header().unwrap();
        elf.segments.push(ElfSegment {
            kind: constants::PT_LOAD,
            flags: 4,
            offset: 0,
            virtual_address: 0,
            physical_address: 0,
            file_size: bytes.len() as u64,
            memory_size: bytes.len() as u64,
            alignment: 1,
        });
        count(image, &elf, &Tables { hash: Some(64), ..Tables::default() }, 24, &mut Survey::default())
    }

    #[test]
    fn the_hash_table_of_s390_has_words_of_eight_bytes() {
        assert_eq!(counted(constants::EM_S390, 8), 124);
        assert_eq!(counted(43, 4), 124, "SPARC's are the gABI's");
    }
}
