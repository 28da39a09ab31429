//! What a loader binds by: the dynamic part of a file alone, with the version of every symbol.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::dynamic::{self, Tables, Version, value};
use super::{Image, interpreter, loader, relocations, symbols};
use crate::Error;
use crate::bytes::Survey;
use crate::constants::elf as constants;
use crate::facts::{Elf, ElfExport, ElfImport, ElfLinkage, NeededVersion, VersionDefinition};
use crate::limits;

/// The types that a loader binds to: none, object, function, common, TLS and GNU indirect function (glibc, `check_match`).
const BINDABLE: [u8; 6] = [0, 1, 2, 5, 6, 10];
const STT_TLS: u8 = 6;
/// The base version's entry, which names the file itself and is no version of a symbol.
const VER_FLG_BASE: u16 = 1;

/// Reads headers of segments, the dynamic section and what it points to. No sections, no notes.
pub(crate) fn read(data: &[u8]) -> Result<ElfLinkage, Error> {
    let image = Image::new(data)?;
    let mut survey = Survey::default();
    let mut elf = image.header()?;
    let counts = image.counts(&elf, &mut survey);
    elf.segments = image.segments(&elf, counts.segments, &mut survey);
    elf.interpreter = interpreter(image, &elf, &mut survey);
    let tables = dynamic::read_names(image, &mut elf, &mut survey);
    loader::check(image, &elf, &mut survey);
    let mut symbols = read_symbols(image, &elf, &tables, &mut survey);
    // Loaders find symbols by their hashes alone.
    if tables.hash.is_none() && tables.gnu_hash.is_none() {
        symbols.exports.clear();
    }
    let filters = elf.dynamic.iter().filter(|entry| entry.tag == constants::DT_FILTER);
    let filtered = filters.filter_map(|entry| entry.text.clone()).collect();
    Ok(ElfLinkage {
        class: elf.class,
        big_endian: elf.big_endian,
        file_type: elf.file_type,
        machine: elf.machine,
        flags_1: value(&elf, constants::DT_FLAGS_1).unwrap_or(0),
        packed_relocations: value(&elf, constants::DT_RELR).is_some(),
        interpreter: elf.interpreter,
        os_abi: (elf.os_abi, elf.abi_version),
        filtered,
        needed: elf.needed,
        soname: elf.soname,
        rpath: elf.rpath,
        runpath: elf.runpath,
        versions_needed: elf.versions_needed,
        versions_defined: elf.versions_defined,
        versioned: tables.version_table.is_some(),
        imports: symbols.imports,
        looked_up: symbols.looked_up,
        exports: symbols.exports,
        anomalies: survey.anomalies,
    })
}

/// Symbols of both directions, in file order.
#[derive(Default)]
struct Symbols {
    imports: Vec<ElfImport>,
    /// In step with `imports`.
    looked_up: Vec<bool>,
    exports: Vec<ElfExport>,
}

fn read_symbols(image: Image<'_>, elf: &Elf, tables: &Tables<'_>, survey: &mut Survey) -> Symbols {
    const PART: &str = "dynamic symbols";
    let mut read = Symbols::default();
    let Some(address) = tables.symbols else { return read };
    let Some((start, _)) = image.locate(elf, address) else {
        survey.anomaly(PART, format!("DT_SYMTAB {address:#x} is in no segment"));
        return read;
    };
    let size = if image.wide { 24 } else { 16 };
    let count = symbols::count(image, elf, tables, size, survey);
    // Of more symbols than that, the rest is not read.
    let named = relocations::named(image, elf, count.min(limits::ITEMS as u64) as usize);
    let versions = tables.version_table.and_then(|address| image.locate(elf, address));
    let meanings = meanings(elf);
    for index in 1..count {
        if !survey.admit(PART) {
            break;
        }
        let Some(symbol) = start.checked_add(index * size).and_then(|offset| Symbol::read(image, offset))
        else {
            survey.anomaly(PART, format!("symbol {index} of {count} is outside the file"));
            break;
        };
        if symbol.binding == constants::STB_LOCAL || !(symbol.undefined || symbol.bindable()) {
            continue;
        }
        let Some(name) = tables.text(image, survey, PART, symbol.name) else { continue };
        let stored = versions.and_then(|(table, _)| image.bytes.u16(table.checked_add(2 * index)?));
        let stored = stored.unwrap_or(1);
        let meaning = meanings.get(&(stored & 0x7fff));
        let version = meaning.map(|version| Arc::clone(&version.name));
        let library = meaning.and_then(|version| version.library.clone());
        if symbol.undefined {
            read.looked_up.push(named.as_ref().is_none_or(|named| named.get(index as usize) != Some(&false)));
            read.imports.push(ElfImport {
                name,
                weak: symbol.binding == constants::STB_WEAK,
                version,
                library,
            });
        } else {
            let (version_index, hidden) = (stored & 0x7fff, stored & 0x8000 != 0);
            read.exports.push(ElfExport { name, version, library, version_index, hidden });
        }
    }
    read
}

/// What a symbol's version index means, without the base version: its name is the file's and matches no request.
fn meanings(elf: &Elf) -> BTreeMap<u16, Version> {
    let needed = elf.versions_needed.iter().flat_map(|need| {
        let library: Arc<str> = need.library.as_str().into();
        need.versions.iter().map(move |NeededVersion { name, index, .. }| {
            (index & 0x7fff, Version { name: name.as_str().into(), library: Some(Arc::clone(&library)) })
        })
    });
    let defined = elf.versions_defined.iter().filter(|version| version.flags & VER_FLG_BASE == 0);
    let defined = defined.map(|VersionDefinition { name, index, .. }| {
        (index & 0x7fff, Version { name: name.as_str().into(), library: None })
    });
    needed.chain(defined).collect()
}

struct Symbol {
    name: u32,
    binding: u8,
    kind: u8,
    undefined: bool,
    absolute: bool,
    value: u64,
}

impl Symbol {
    fn read(image: Image<'_>, offset: u64) -> Option<Symbol> {
        let (info, section, value) = if image.wide { (4, 6, 8) } else { (12, 14, 4) };
        let information = image.bytes.u8(offset.checked_add(info)?)?;
        let section = image.bytes.u16(offset.checked_add(section)?)?;
        Some(Symbol {
            name: image.bytes.u32(offset)?,
            binding: information >> 4,
            kind: information & 15,
            undefined: section == constants::SHN_UNDEF,
            absolute: section == SHN_ABS,
            value: image.word(offset.checked_add(value)?)?,
        })
    }

    /// Whether a loader takes this definition: it has an address, or needs none (glibc, `check_match`).
    fn bindable(&self) -> bool {
        BINDABLE.contains(&self.kind) && (self.value != 0 || self.absolute || self.kind == STT_TLS)
    }
}

const SHN_ABS: u16 = 0xfff1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_linkage_of_this_very_program_agrees_with_its_facts() {
        let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let linkage = read(&bytes).unwrap();
        let facts = crate::inspect(&bytes).unwrap();
        let crate::facts::Binary::Elf(elf) = facts.binary else { panic!("tests are built for Linux") };
        assert!(linkage.needed == elf.needed && linkage.versions_needed == elf.versions_needed);
        // This one found the end of the symbols without the section headers.
        let names =
            |imports: &[ElfImport]| imports.iter().map(|import| import.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&linkage.imports).last(), names(&elf.imports).last());
        assert!(linkage.imports == elf.imports);
        let exports = elf.exports.unwrap();
        assert!(linkage.exports.iter().map(|export| export.name.as_str()).eq(exports.iter()));
        assert!(linkage.imports.iter().any(|import| import.version.is_some()));
    }
}
