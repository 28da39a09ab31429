//! The thread-local storage directory and its callbacks.

use super::{Image, TLS, directory, locate, locate_absolute};
use crate::bytes::Survey;
use crate::facts::{Pe, PeTls};

const PART: &str = "thread-local storage";

/// Reads the directory.
pub(super) fn read(image: Image<'_>, pe: &Pe, wide: bool, survey: &mut Survey) -> Option<PeTls> {
    let place = directory(pe, TLS)?;
    let size = if wide { 8 } else { 4 };
    let word =
        |offset: u64| if wide { image.bytes.u64(offset) } else { image.bytes.u32(offset).map(u64::from) };
    let tls = locate(pe, place.address).and_then(|offset| {
        Some(PeTls {
            data: (word(offset)?, word(offset + size)?),
            index: word(offset + 2 * size)?,
            callbacks_address: word(offset + 3 * size)?,
            callbacks: Vec::new(),
        })
    });
    let Some(mut tls) = tls else {
        survey.anomaly(PART, format!("address {:#x} is outside the file", place.address));
        return None;
    };
    if tls.callbacks_address == 0 {
        return Some(tls);
    }
    let Some(mut offset) = locate_absolute(pe, tls.callbacks_address) else {
        // Uninitialised memory is a list of none.
        if pe.relative(tls.callbacks_address).and_then(|address| pe.section_at(address)).is_none() {
            survey.anomaly(PART, format!("callbacks at {:#x}, in no section", tls.callbacks_address));
        }
        return Some(tls);
    };
    loop {
        match word(offset) {
            Some(0) => return Some(tls),
            Some(callback) if survey.admit(PART) => tls.callbacks.push(callback),
            Some(_) => return Some(tls),
            None => {
                survey.anomaly(PART, "the list of callbacks does not end inside the file");
                return Some(tls);
            }
        }
        offset += size;
    }
}

/// Where addresses are, relative to the image's base, and which: the directory's own, and those of the callbacks.
pub(super) fn pointers(pe: &Pe, tls: &PeTls, wide: bool) -> Vec<(u64, u64)> {
    let size = if wide { 8 } else { 4 };
    let words = |start: u32| (0..).map(move |index| u64::from(start) + index * size);
    let start = directory(pe, TLS).map_or(0, |place| place.address);
    let fields = [tls.data.0, tls.data.1, tls.index, tls.callbacks_address];
    let list = words(pe.relative(tls.callbacks_address).unwrap_or(0)).zip(tls.callbacks.iter().copied());
    words(start).zip(fields).chain(list).collect()
}
