//! The header of .NET code (`IMAGE_COR20_HEADER`, ECMA-335 II.25.3.3).

use super::{CLR, Image, directory, locate};
use crate::bytes::Survey;
use crate::facts::{ClrHeader, Pe};

/// Reads the header.
pub(super) fn read(image: Image<'_>, pe: &Pe, survey: &mut Survey) -> Option<ClrHeader> {
    let place = directory(pe, CLR)?;
    let header = locate(pe, place.address).and_then(|offset| {
        Some(ClrHeader {
            runtime_version: (image.bytes.u16(offset + 4)?, image.bytes.u16(offset + 6)?),
            flags: image.bytes.u32(offset + 16)?,
        })
    });
    if header.is_none() {
        survey.anomaly("CLR header", format!("address {:#x} is outside the file", place.address));
    }
    header
}
