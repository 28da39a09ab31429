//! What the loader of Windows binds by: imports, and exports with ordinals and forwarders.

use std::collections::BTreeMap;

use super::{COFF_HEADER, EXPORTS, Image, directory, imports, locate, truncated};
use crate::bytes::{Bytes, Survey};
use crate::facts::{Pe, PeExport, PeLinkage};
use crate::{Error, ErrorKind};

/// Reads the headers, the imports and the export directory.
pub(crate) fn read(data: &[u8]) -> Result<PeLinkage, Error> {
    let image = Image { bytes: Bytes { data, big_endian: false } };
    let mut survey = Survey::default();
    let header_offset = image.bytes.u32(0x3c).ok_or_else(truncated)?;
    let coff = u64::from(header_offset) + 4;
    if image.bytes.slice(0, 2) != Some(b"MZ") || image.bytes.slice(coff - 4, 4) != Some(b"PE\0\0") {
        return Err(Error::new(ErrorKind::NotAProgram, "not a PE file"));
    }
    let magic = image.bytes.u16(coff + COFF_HEADER).ok_or_else(truncated)?;
    let wide = magic == 0x20b;
    let mut pe = image.header(header_offset, magic, wide).ok_or_else(truncated)?;
    let optional_size = image.bytes.u16(coff + 16).ok_or_else(truncated)?;
    pe.data_directories = image.directories(coff, wide, optional_size, &mut survey);
    pe.sections = image.sections(&pe, coff, u64::from(optional_size), &mut survey);
    imports::read(image, &mut pe, wide, &mut survey);
    let exports = exports(image, &pe, &mut survey);
    Ok(PeLinkage { machine: pe.machine, imports: pe.imports, exports, anomalies: survey.anomalies })
}

fn exports(image: Image<'_>, pe: &Pe, survey: &mut Survey) -> Vec<PeExport> {
    const PART: &str = "exports";
    let mut exports = Vec::new();
    let Some(place) = directory(pe, EXPORTS) else { return exports };
    let field = |at: u64| locate(pe, place.address).and_then(|offset| image.bytes.u32(offset + at));
    let (Some(base), Some(count)) = (field(16), field(20)) else {
        survey.anomaly(PART, format!("the directory at {:#x} is outside the file", place.address));
        return exports;
    };
    let names = names(image, pe, [field(24), field(32), field(36)], survey);
    let Some(addresses) = field(28).and_then(|table| locate(pe, table)).filter(|_| count > 0) else {
        return exports;
    };
    for index in 0..count {
        if !survey.admit(PART) {
            break;
        }
        let Some(address) = image.bytes.u32(addresses + 4 * u64::from(index)) else {
            survey.anomaly(PART, format!("address {index} of {count} is outside the file"));
            break;
        };
        // An address inside the export directory is the text of a forwarder (PE/COFF, "Export Address Table").
        let inside = address.checked_sub(place.address).is_some_and(|inside| inside < place.size);
        let forwarder = inside.then(|| locate(pe, address)).flatten();
        let forwarder = forwarder.and_then(|text| survey.text(image.bytes, PART, text, image.bytes.len()));
        let ordinal = base.wrapping_add(index);
        let known = names.get(&index).cloned().unwrap_or_default();
        if address == 0 {
            continue;
        }
        if known.is_empty() {
            exports.push(PeExport { name: None, ordinal, forwarder });
            continue;
        }
        exports.extend(known.into_iter().map(|name| PeExport {
            name: Some(name),
            ordinal,
            forwarder: forwarder.clone(),
        }));
    }
    exports
}

/// The names of each index into the address table: several may share one.
fn names(
    image: Image<'_>,
    pe: &Pe,
    [count, names, ordinals]: [Option<u32>; 3],
    survey: &mut Survey,
) -> BTreeMap<u32, Vec<String>> {
    const PART: &str = "exports";
    let mut found: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    let place = |table: Option<u32>| table.and_then(|table| locate(pe, table));
    let (Some(count), Some(names), Some(ordinals)) = (count, place(names), place(ordinals)) else {
        return found;
    };
    for index in 0..u64::from(count) {
        if !survey.admit(PART) {
            break;
        }
        let name = image.bytes.u32(names + 4 * index).and_then(|name| locate(pe, name));
        let name = name.and_then(|name| survey.text(image.bytes, PART, name, image.bytes.len()));
        let (Some(name), Some(ordinal)) = (name, image.bytes.u16(ordinals + 2 * index)) else {
            survey.anomaly(PART, format!("name {index} of {count} is outside the file"));
            break;
        };
        found.entry(u32::from(ordinal)).or_default().push(name);
    }
    found
}
