//! The debug directory: which debug file belongs to the program, and where it was on the build machine.

use super::{DEBUG, Image, directory, locate};
use crate::bytes::Survey;
use crate::facts::{Pe, PeDebug};

const CODE_VIEW: u32 = 2;

/// Reads the debug directory's entries.
pub(super) fn read(image: Image<'_>, pe: &mut Pe, survey: &mut Survey) {
    const PART: &str = "debug directory";
    let Some(place) = directory(pe, DEBUG) else { return };
    let Some(start) = locate(pe, place.address) else {
        survey.anomaly(PART, format!("address {:#x} is in no section", place.address));
        return;
    };
    for index in 0..u64::from(place.size) / 28 {
        if !survey.admit(PART) {
            return;
        }
        let offset = start + 28 * index;
        let field = |at: u64| image.bytes.u32(offset + at);
        let (Some(timestamp), Some(kind), Some(size), Some(data)) =
            (field(4), field(12), field(16), field(24))
        else {
            survey.anomaly(PART, format!("entry {index} is outside the file"));
            return;
        };
        let (signature, pdb_path) = match kind {
            CODE_VIEW => code_view(image, survey, u64::from(data), u64::from(size)),
            _ => (Vec::new(), None),
        };
        pe.debug.push(PeDebug { kind, timestamp, signature, pdb_path });
    }
}

/// The PDB 7.0 form: `RSDS`, a GUID, an age, and the path with a NUL.
fn code_view(image: Image<'_>, survey: &mut Survey, data: u64, size: u64) -> (Vec<u8>, Option<String>) {
    let Some([b'R', b'S', b'D', b'S', signature @ ..]) = image.bytes.slice(data, 24) else {
        return (Vec::new(), None);
    };
    let path =
        if size > 24 { survey.text(image.bytes, "debug directory", data + 24, data + size) } else { None };
    (signature[..16].to_vec(), path.filter(|path| !path.is_empty()))
}
