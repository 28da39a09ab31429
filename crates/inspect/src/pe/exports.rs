//! Exported names, and exports that are another library's.

use super::{EXPORTS, Image, directory, locate};
use crate::bytes::Survey;
use crate::facts::{DataDirectory, Pe, PeForwarder};

const PART: &str = "exports";
/// Ordinals have 16 bits.
const MOST: u32 = 0x1_0000;

/// Reads the export directory: its name and stamp, the addresses, and the names that lead to them.
pub(super) fn read(image: Image<'_>, pe: &mut Pe, survey: &mut Survey) {
    let Some(place) = directory(pe, EXPORTS) else { return };
    let Some(offset) = locate(pe, place.address) else {
        survey.anomaly(PART, format!("address {:#x} is in no section", place.address));
        return;
    };
    let field = |at: u64| image.bytes.u32(offset + at);
    let (Some(count), Some(names), Some(ordinals)) = (field(24), field(32), field(36)) else {
        survey.anomaly(PART, format!("the directory at {offset:#x} is outside the file"));
        return;
    };
    pe.export_timestamp = field(4).unwrap_or(0);
    let name = field(12).and_then(|name| locate(pe, name));
    pe.export_name = name.and_then(|name| survey.text(image.bytes, PART, name, image.bytes.len()));
    // Of each address, whether nothing but its ordinal leads to it.
    let mut nameless = addresses(image, pe, place, offset, survey);
    if count > 0 {
        read_names(image, pe, (count, names, ordinals), &mut nameless, survey);
    }
    pe.exports_by_ordinal = nameless.iter().filter(|nameless| **nameless).count() as u32;
}

fn read_names(
    image: Image<'_>,
    pe: &mut Pe,
    (count, names, ordinals): (u32, u32, u32),
    nameless: &mut [bool],
    survey: &mut Survey,
) {
    let Some(table) = locate(pe, names) else {
        survey.anomaly(PART, format!("the name table {names:#x} is in no section"));
        return;
    };
    let Some(ordinals) = locate(pe, ordinals) else {
        survey.anomaly(PART, format!("the ordinal table {ordinals:#x} is in no section"));
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
        let ordinal = image.bytes.u16(ordinals + 2 * index);
        match ordinal.and_then(|ordinal| nameless.get_mut(usize::from(ordinal))) {
            Some(nameless) => *nameless = false,
            None => {
                survey.anomaly(PART, format!("name {index} of {count} leads to no address"));
                return;
            }
        }
    }
}

/// Reads the address table. An address that lies in the export directory itself is that of a text naming another library's
/// function. Gives for each ordinal, from the base on, whether it has an address.
fn addresses(
    image: Image<'_>,
    pe: &mut Pe,
    place: DataDirectory,
    offset: u64,
    survey: &mut Survey,
) -> Vec<bool> {
    let mut there = Vec::new();
    let field = |at: u64| image.bytes.u32(offset + at).unwrap_or(0);
    let count = field(20);
    pe.export_ordinal_base = field(16);
    if count == 0 {
        return there;
    }
    if count > MOST {
        survey.anomaly(PART, format!("{count} addresses, more than there are ordinals"));
        return there;
    }
    let Some(table) = locate(pe, field(28)) else {
        survey.anomaly(PART, format!("the address table {:#x} is in no section", field(28)));
        return there;
    };
    for index in 0..count {
        let Some(address) = image.bytes.u32(table + 4 * u64::from(index)) else {
            survey.anomaly(PART, format!("address {index} of {count} is outside the file"));
            return there;
        };
        // An ordinal without an address is a hole in the table.
        there.push(address != 0);
        pe.export_count += u32::from(address != 0);
        if address.checked_sub(place.address).is_none_or(|inside| inside >= place.size) {
            continue;
        }
        if !survey.admit(PART) {
            return there;
        }
        let target = locate(pe, address);
        let target = target.and_then(|target| survey.text(image.bytes, PART, target, image.bytes.len()));
        if let Some(target) = target {
            let ordinal = pe.export_ordinal_base.wrapping_add(index);
            pe.forwarders.push(PeForwarder { ordinal, target });
        }
    }
    there
}
