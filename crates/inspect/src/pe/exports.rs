//! Exported names, and exports that are another library's.

use super::{EXPORTS, Image, directory, locate};
use crate::bytes::Survey;
use crate::facts::{Pe, PeForwarder};

const PART: &str = "exports";
/// Ordinals have 16 bits.
const MOST: u32 = 0x1_0000;

/// Reads the export directory's name and the names in it.
pub(super) fn read(image: Image<'_>, pe: &mut Pe, survey: &mut Survey) {
    let Some(place) = directory(pe, EXPORTS) else { return };
    let Some(offset) = locate(pe, place.address) else {
        survey.anomaly(PART, format!("address {:#x} is in no section", place.address));
        return;
    };
    let (Some(name), Some(count), Some(names)) =
        (image.bytes.u32(offset + 12), image.bytes.u32(offset + 24), image.bytes.u32(offset + 32))
    else {
        survey.anomaly(PART, format!("the directory at {offset:#x} is outside the file"));
        return;
    };
    let name = locate(pe, name);
    pe.export_name = name.and_then(|name| survey.text(image.bytes, PART, name, image.bytes.len()));
    forwarders(image, pe, offset, survey);
    if count == 0 {
        return;
    }
    let Some(table) = locate(pe, names) else {
        survey.anomaly(PART, format!("the name table {names:#x} is in no section"));
        return;
    };
    for index in 0..u64::from(count) {
        if !survey.admit(PART) {
            return;
        }
        let name = image.bytes.u32(table + 4 * index).and_then(|name| locate(pe, name));
        let Some(name) = name.and_then(|name| survey.name(image.bytes, PART, name, image.bytes.len())) else {
            survey.anomaly(PART, format!("name {index} of {count} is outside the file"));
            return;
        };
        pe.exports.push(&name);
    }
}

/// An address that lies in the export directory itself is that of a text naming another library's function.
fn forwarders(image: Image<'_>, pe: &mut Pe, offset: u64, survey: &mut Survey) {
    let Some(place) = directory(pe, EXPORTS) else { return };
    let field = |at: u64| image.bytes.u32(offset + at).unwrap_or(0);
    let count = field(20);
    pe.export_ordinal_base = field(16);
    if count == 0 {
        return;
    }
    if count > MOST {
        survey.anomaly(PART, format!("{count} addresses, more than there are ordinals"));
        return;
    }
    let Some(table) = locate(pe, field(28)) else {
        survey.anomaly(PART, format!("the address table {:#x} is in no section", field(28)));
        return;
    };
    for index in 0..count {
        let Some(address) = image.bytes.u32(table + 4 * u64::from(index)) else {
            survey.anomaly(PART, format!("address {index} of {count} is outside the file"));
            return;
        };
        // An ordinal without an address is a hole in the table.
        pe.export_count += u32::from(address != 0);
        if address.checked_sub(place.address).is_none_or(|inside| inside >= place.size) {
            continue;
        }
        if !survey.admit(PART) {
            return;
        }
        let target = locate(pe, address);
        let target = target.and_then(|target| survey.text(image.bytes, PART, target, image.bytes.len()));
        if let Some(target) = target {
            let ordinal = pe.export_ordinal_base.wrapping_add(index);
            pe.forwarders.push(PeForwarder { ordinal, target });
        }
    }
}
