//! Imported libraries: those loaded at start, then those loaded at first use.

use super::{BOUND_IMPORTS, DELAY_IMPORTS, IMPORTS, Image, directory, locate};
use crate::bytes::Survey;
use crate::facts::{BoundImport, Pe, PeFunction, PeImport};

const PART: &str = "imports";

/// Reads both import directories.
pub(super) fn read(image: Image<'_>, pe: &mut Pe, wide: bool, survey: &mut Survey) {
    let mut imports = table(image, pe, wide, survey, IMPORTS);
    imports.extend(table(image, pe, wide, survey, DELAY_IMPORTS));
    pe.imports = imports;
    bound(image, pe, survey);
}

/// Bound imports: a time stamp, the name's offset in the directory, and how many forwarders' entries follow.
fn bound(image: Image<'_>, pe: &mut Pe, survey: &mut Survey) {
    const PART: &str = "bound imports";
    let Some(place) = directory(pe, BOUND_IMPORTS) else { return };
    let Some(start) = locate(pe, place.address) else {
        survey.anomaly(PART, format!("address {:#x} is in no section", place.address));
        return;
    };
    let end = start + u64::from(place.size);
    let mut offset = start;
    while offset + 8 <= end && survey.admit(PART) {
        let entry = image.bytes.u32(offset).zip(image.bytes.u16(offset + 4)).zip(image.bytes.u16(offset + 6));
        let Some(((timestamp, name), forwarders)) = entry else {
            survey.anomaly(PART, format!("the entry at {offset:#x} is outside the file"));
            return;
        };
        if (timestamp, name) == (0, 0) {
            return;
        }
        let Some(library) = survey.text(image.bytes, PART, start + u64::from(name), end) else { return };
        pe.bound_imports.push(BoundImport { library, timestamp });
        offset += 8 * (1 + u64::from(forwarders));
    }
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
        let address_table = descriptor.addresses;
        imports.push(PeImport { library, delayed, address_table, functions });
        offset += if delayed { 32 } else { 20 };
    }
}

struct Descriptor {
    name: u32,
    names: u32,
    addresses: u32,
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
                addresses,
            });
        }
        // Bit 0 of the attributes: addresses are relative. Old linkers wrote absolute ones.
        let relative = |address: u32| match field(0) {
            Some(attributes) if attributes & 1 == 1 || address == 0 => address,
            _ => address.wrapping_sub(pe.image_base as u32),
        };
        let (name, addresses, names) = (field(4)?, field(12)?, field(16)?);
        Some(Descriptor { name: relative(name), names: relative(names), addresses: relative(addresses) })
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
