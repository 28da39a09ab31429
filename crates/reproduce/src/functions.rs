//! Where functions begin and end in a program without symbols: what stack unwinding is told.
//!
//! ELF: the descriptions in `.eh_frame` (LSB Core, "Exception Frames"); PE: the table of `RUNTIME_FUNCTION` (PE/COFF,
//! "The .pdata Section"). Compilers write one for every function, and neither linkers nor `strip` take them out.

use std::ops::Range;

use gimli::{BaseAddresses, CieOrFde, EhFrame, LittleEndian, UnwindSection as _};

use crate::view::View;

/// More functions are not told apart.
const MOST: usize = 1 << 18;
/// `IMAGE_DIRECTORY_ENTRY_EXCEPTION`
const EXCEPTION_DIRECTORY: usize = 3;
/// Size of one `RUNTIME_FUNCTION` of x86-64, in bytes: begin, end, unwind data.
const RUNTIME_FUNCTION: usize = 12;

/// The file ranges of the functions of `view`, in order; the whole of its code where no table tells.
pub(crate) fn of(view: &View<'_>) -> Vec<Range<usize>> {
    let addresses = match view.pe() {
        Some(_) => from_pdata(view),
        None => from_eh_frame(view),
    };
    let code: Vec<_> = view.code().collect();
    let mut functions: Vec<Range<usize>> = addresses
        .into_iter()
        .filter_map(|addresses| {
            let piece = code.iter().find(|piece| {
                let end = piece.address.saturating_add(piece.range.len() as u64);
                piece.address <= addresses.start && addresses.end <= end && addresses.start < addresses.end
            })?;
            let start = piece.range.start + (addresses.start - piece.address) as usize;
            Some(start..start + (addresses.end - addresses.start) as usize)
        })
        .collect();
    functions.sort_by_key(|range| (range.start, range.end));
    functions.dedup();
    // A hostile table tells of functions that lie on each other.
    let mut left = view.bytes.len().saturating_mul(2);
    functions.retain(|range| {
        let fits = range.len() <= left;
        left -= if fits { range.len() } else { 0 };
        fits
    });
    if functions.is_empty() {
        functions = code.iter().map(|piece| piece.range.clone()).collect();
    }
    functions
}

fn from_eh_frame(view: &View<'_>) -> Vec<Range<u64>> {
    let Some(piece) = view.piece(".eh_frame") else { return Vec::new() };
    let frames = EhFrame::new(view.content(piece), LittleEndian);
    let bases = BaseAddresses::default().set_eh_frame(piece.address);
    let (mut entries, mut found) = (frames.entries(&bases), Vec::new());
    // A damaged table tells of the functions before the damage.
    while let Ok(Some(entry)) = entries.next() {
        let CieOrFde::Fde(partial) = entry else { continue };
        let parsed = partial.parse(|frames, bases, offset| frames.cie_from_offset(bases, offset));
        if let Ok(function) = parsed {
            let start = function.initial_address();
            found.push(start..start.saturating_add(function.len()));
        }
        if found.len() == MOST {
            break;
        }
    }
    found
}

fn from_pdata(view: &View<'_>) -> Vec<Range<u64>> {
    let table = || {
        let pe = view.pe()?;
        let directory = pe.directory(EXCEPTION_DIRECTORY)?;
        let start = usize::try_from(pe.file_offset(directory.address)?).ok()?;
        view.bytes.get(start..)?.get(..directory.size as usize)
    };
    let word = |bytes: &[u8]| bytes.try_into().map_or(0, |bytes| u64::from(u32::from_le_bytes(bytes)));
    let entries = table().unwrap_or_default().chunks_exact(RUNTIME_FUNCTION).take(MOST);
    entries.map(|entry| word(&entry[..4])..word(&entry[4..8])).collect()
}
