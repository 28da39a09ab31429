//! Base relocations, counted: without any, the loader cannot move the image, whatever its flags say.

use std::collections::BTreeSet;

use super::{Image, LOAD_CONFIG, RELOCATIONS, directory, load_config, locate, thread_storage};
use crate::bytes::Survey;
use crate::constants::pe as constants;
use crate::facts::{BaseRelocations, Pe};
use crate::limits;

/// Bytes that one block is about.
const PAGE: u32 = 0x1000;

/// Counts blocks and entries, and finds the pointers without one. The directories that have them were read before.
pub(super) fn read(image: Image<'_>, pe: &Pe, wide: bool, survey: &mut Survey) -> BaseRelocations {
    let mut pointers = pointers(pe, wide);
    let counted = count(image, pe, &mut pointers, survey);
    BaseRelocations { unrelocated: pointers.into_iter().collect(), ..counted }
}

/// Pointers of the TLS directory and the load configuration into the image, as addresses relative to its base.
fn pointers(pe: &Pe, wide: bool) -> BTreeSet<u32> {
    let tls = pe.tls.iter().flat_map(|tls| thread_storage::pointers(pe, tls, wide));
    let start = directory(pe, LOAD_CONFIG).map_or(0, |place| u64::from(place.address));
    let config = pe.load_config.iter().flat_map(|config| load_config::pointers(config, wide));
    let all = tls.chain(config.map(|(at, address)| (start + at, address)));
    let inside = all.filter(|(_, address)| pe.relative(*address).is_some_and(|to| to < pe.size_of_image));
    inside.filter_map(|(at, _)| u32::try_from(at).ok()).collect()
}

/// Leaves those of `pointers` that no entry names.
fn count(image: Image<'_>, pe: &Pe, pointers: &mut BTreeSet<u32>, survey: &mut Survey) -> BaseRelocations {
    const PART: &str = "base relocations";
    let mut counted = BaseRelocations::default();
    let Some(place) = directory(pe, RELOCATIONS) else { return counted };
    let Some(mut offset) = locate(pe, place.address) else {
        survey.anomaly(PART, format!("address {:#x} is in no section", place.address));
        return counted;
    };
    let end = offset + u64::from(place.size);
    let mut wrong = None;
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
        let page = image.bytes.u32(offset).unwrap_or(0);
        let mut real = 0;
        // A block has the entries of its page, and few pages have pointers that somebody asks for.
        let asked = pointers.range(page..page.saturating_add(PAGE)).next().is_some();
        for entry in entries.chunks_exact(2).filter(|entry| entry[1] >> 4 != 0) {
            real += 1;
            let (kind, inside) = (entry[1] >> 4, u16::from_le_bytes([entry[0], entry[1]]) & 0xfff);
            let address = u64::from(page) + u64::from(inside);
            if asked {
                pointers.remove(&page.wrapping_add(u32::from(inside)));
            }
            if address >= u64::from(pe.size_of_image) {
                wrong.get_or_insert(format!("{address:#x} is relocated, behind the image's end"));
            } else if !applied(pe.machine, kind) {
                wrong.get_or_insert(format!(
                    "{address:#x} has type {kind}, which no loader of this machine applies"
                ));
            }
        }
        counted.entries = counted.entries.saturating_add(real as u32);
        if counted.entries as usize > limits::BASE_RELOCATIONS {
            survey.anomaly(PART, format!("more than {}: not read further", limits::BASE_RELOCATIONS));
            break;
        }
        offset += u64::from(size);
    }
    if let Some(wrong) = wrong {
        survey.anomaly(PART, wrong);
    }
    counted
}

/// Whether Windows applies relocations of this type (PE/COFF specification, Base Relocation Types); all where that is not known.
fn applied(machine: u16, kind: u8) -> bool {
    const HIGH_LOW_AND_64: [u8; 4] = [1, 2, 3, 10];
    match machine {
        constants::IMAGE_FILE_MACHINE_I386
        | constants::IMAGE_FILE_MACHINE_AMD64
        | constants::IMAGE_FILE_MACHINE_ARM64 => HIGH_LOW_AND_64.contains(&kind),
        _ => true,
    }
}
