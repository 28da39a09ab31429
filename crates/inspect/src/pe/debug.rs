//! The debug directory: which debug file belongs to the program, where it was on the build machine, and what the
//! linker vouches for.

use super::{DEBUG, Image, directory, locate};
use crate::bytes::Survey;
use crate::facts::{Pe, PeDebug};

/// `IMAGE_DEBUG_TYPE_…`
const CODE_VIEW: u32 = 2;
const REPRO: u32 = 16;
const EXTENDED_DLL_CHARACTERISTICS: u32 = 20;

const PART: &str = "debug directory";

/// Reads the debug directory's entries.
pub(super) fn read(image: Image<'_>, pe: &mut Pe, survey: &mut Survey) {
    let Some(place) = directory(pe, DEBUG) else { return };
    let Some(start) = locate(pe, place.address) else {
        survey.anomaly(PART, format!("address {:#x} is in no section", place.address));
        return;
    };
    for index in 0..u64::from(place.size) / 28 {
        if !survey.admit(PART) {
            return;
        }
        let at = start + 28 * index;
        let field = |from: u64| image.bytes.u32(at + from);
        let (Some(timestamp), Some(kind), Some(size), Some(address), Some(offset)) =
            (field(4), field(12), field(16), field(20), field(24))
        else {
            survey.anomaly(PART, format!("entry {index} is outside the file"));
            return;
        };
        // Some readers go by the address where there is no offset.
        let offset = match locate(pe, address) {
            Some(loaded) if offset == 0 && address != 0 => loaded as u32,
            _ => offset,
        };
        let mut entry = PeDebug { kind, timestamp, offset, size, ..PeDebug::default() };
        match kind {
            CODE_VIEW => code_view(image, survey, &mut entry),
            REPRO => entry.hash = hash(image, &entry),
            EXTENDED_DLL_CHARACTERISTICS if size >= 4 => {
                entry.extended_dll_characteristics = image.bytes.u32(offset.into());
            }
            _ => {}
        }
        pe.debug.push(entry);
    }
}

/// The PDB 7.0 form: `RSDS`, a GUID, an age, and the path with a NUL; or the 2.0 form: `NB10`, zero, a time stamp, an
/// age, and the path.
fn code_view(image: Image<'_>, survey: &mut Survey, entry: &mut PeDebug) {
    let (start, size) = (u64::from(entry.offset), u64::from(entry.size));
    let header = match image.bytes.slice(start, 4) {
        Some(b"RSDS") => {
            entry.signature = image.bytes.slice(start + 4, 16).unwrap_or(&[]).to_vec();
            24
        }
        Some(b"NB10") => {
            entry.signature = image.bytes.slice(start + 8, 4).unwrap_or(&[]).to_vec();
            16
        }
        // Older forms, which hold no path of a PDB.
        Some([b'N', b'B', _, _]) => return,
        _ => {
            survey.anomaly(PART, format!("the CodeView entry at {start:#x} is of no known form"));
            return;
        }
    };
    entry.age = image.bytes.u32(start + header - 4);
    if size > header {
        let path = survey.text(image.bytes, PART, start + header, start + size);
        entry.pdb_path = path.filter(|path| !path.is_empty());
    }
}

/// The length of a hash and the hash; some linkers write neither.
fn hash(image: Image<'_>, entry: &PeDebug) -> Vec<u8> {
    const LONGEST: u64 = 64;
    let start = u64::from(entry.offset);
    let length = image.bytes.u32(start).filter(|_| entry.size > 4).unwrap_or(0);
    let length = u64::from(length.min(entry.size - entry.size.min(4))).min(LONGEST);
    image.bytes.slice(start + 4, length).unwrap_or(&[]).to_vec()
}
