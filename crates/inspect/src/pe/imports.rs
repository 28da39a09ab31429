//! Imported libraries: those loaded at start, then those loaded at first use.

use super::{DELAY_IMPORTS, IMPORTS, Image, directory, locate};
use crate::bytes::Survey;
use crate::facts::{Pe, PeFunction, PeImport};

const PART: &str = "imports";

/// Reads both import directories.
pub(super) fn read(image: Image<'_>, pe: &mut Pe, wide: bool, survey: &mut Survey) {
    let mut imports = table(image, pe, wide, survey, IMPORTS);
    imports.extend(table(image, pe, wide, survey, DELAY_IMPORTS));
    pe.imports = imports;
}

fn table(image: Image<'_>, pe: &Pe, wide: bool, survey: &mut Survey, index: usize) -> Vec<PeImport> {
    let mut imports = Vec::new();
    let Some(place) = directory(pe, index) else { return imports };
    let Some(mut offset) = locate(pe, place.address) else {
        survey.anomaly(PART, format!("address {:#x} is in no section", place.address));
        return imports;
    };
    let delayed = index == DELAY_IMPORTS;
    loop {
        let Some(descriptor) = Descriptor::read(image, offset, delayed, pe) else {
            survey.anomaly(PART, format!("the descriptor at {offset:#x} is outside the file"));
            return imports;
        };
        // The loader stops at a descriptor without a name, whatever the directory's size says.
        if descriptor.name == 0 || !survey.admit(PART) {
            return imports;
        }
        let name = locate(pe, descriptor.name);
        let Some(library) = name.and_then(|name| survey.text(image.bytes, PART, name, image.bytes.len()))
        else {
            survey.anomaly(PART, format!("the descriptor at {offset:#x} names no library"));
            return imports;
        };
        let functions = functions(image, pe, wide, survey, descriptor.names);
        imports.push(PeImport { library, delayed, functions });
        offset += if delayed { 32 } else { 20 };
    }
}

struct Descriptor {
    name: u32,
    names: u32,
}

impl Descriptor {
    fn read(image: Image<'_>, offset: u64, delayed: bool, pe: &Pe) -> Option<Descriptor> {
        let field = |at: u64| image.bytes.u32(offset + at);
        if !delayed {
            // Where a binder left no lookup table, the address table still holds the names.
            let (lookup, addresses) = (field(0)?, field(16)?);
            return Some(Descriptor {
                name: field(12)?,
                names: if lookup == 0 { addresses } else { lookup },
            });
        }
        // Bit 0 of the attributes: addresses are relative. Old linkers wrote absolute ones.
        let relative = |address: u32| match field(0) {
            Some(attributes) if attributes & 1 == 1 || address == 0 => address,
            _ => address.wrapping_sub(pe.image_base as u32),
        };
        Some(Descriptor { name: relative(field(4)?), names: relative(field(16)?) })
    }
}

fn functions(image: Image<'_>, pe: &Pe, wide: bool, survey: &mut Survey, table: u32) -> Vec<PeFunction> {
    let mut functions = Vec::new();
    let Some(mut offset) = locate(pe, table) else {
        survey.anomaly(PART, format!("the lookup table {table:#x} is in no section"));
        return functions;
    };
    loop {
        let entry = if wide { image.bytes.u64(offset) } else { image.bytes.u32(offset).map(u64::from) };
        let Some(entry) = entry else {
            survey.anomaly(PART, format!("the lookup table {table:#x} does not end inside the file"));
            return functions;
        };
        if entry == 0 || !survey.admit(PART) {
            return functions;
        }
        let by_ordinal = entry >> (if wide { 63 } else { 31 }) == 1;
        if by_ordinal {
            functions.push(PeFunction::Ordinal(entry as u16));
        } else {
            // A 31-bit address of a two-byte hint and the name (PE/COFF, "Hint/Name Table").
            let name = locate(pe, (entry & 0x7fff_ffff) as u32);
            let name = name.and_then(|name| survey.text(image.bytes, PART, name + 2, image.bytes.len()));
            let Some(name) = name else {
                survey.anomaly(PART, format!("the lookup entry at {offset:#x} names no function"));
                return functions;
            };
            functions.push(PeFunction::Name(name));
        }
        offset += if wide { 8 } else { 4 };
    }
}
