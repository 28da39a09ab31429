//! Base relocations, counted: without any, the loader cannot move the image, whatever its flags say.

use super::{Image, RELOCATIONS, directory, locate};
use crate::bytes::Survey;
use crate::facts::{BaseRelocations, Pe};
use crate::limits;

/// Counts blocks and entries.
pub(super) fn count(image: Image<'_>, pe: &Pe, survey: &mut Survey) -> BaseRelocations {
    const PART: &str = "base relocations";
    let mut counted = BaseRelocations::default();
    let Some(place) = directory(pe, RELOCATIONS) else { return counted };
    let Some(mut offset) = locate(pe, place.address) else {
        survey.anomaly(PART, format!("address {:#x} is in no section", place.address));
        return counted;
    };
    let end = offset + u64::from(place.size);
    while offset + 8 <= end {
        let Some(size) = image.bytes.u32(offset + 4) else {
            survey.anomaly(PART, format!("the block at {offset:#x} is outside the file"));
            break;
        };
        let entries = image.bytes.slice(offset + 8, u64::from(size).saturating_sub(8));
        let (Some(entries), true) = (entries, size >= 8) else {
            // Padding behind the last block reads as a block of no size.
            if size != 0 {
                survey.anomaly(PART, format!("the block at {offset:#x} says it has {size} bytes"));
            }
            break;
        };
        counted.blocks += 1;
        // The upper four bits are the type; type 0 (ABSOLUTE) only pads.
        let real = entries.chunks_exact(2).filter(|entry| entry[1] >> 4 != 0).count();
        counted.entries = counted.entries.saturating_add(real as u32);
        if counted.entries as usize > limits::BASE_RELOCATIONS {
            survey.anomaly(PART, format!("more than {}: not read further", limits::BASE_RELOCATIONS));
            break;
        }
        offset += u64::from(size);
    }
    counted
}
