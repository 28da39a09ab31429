//! Exported names.

use super::{EXPORTS, Image, directory, locate};
use crate::bytes::Survey;
use crate::facts::Pe;

/// Reads the export directory's name and the names in it.
pub(super) fn read(image: Image<'_>, pe: &mut Pe, survey: &mut Survey) {
    const PART: &str = "exports";
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
