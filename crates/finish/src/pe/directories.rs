//! Data directories that edits read or change: base relocations, export, debug (PE format, "Optional Header Data
//! Directories").

use object::pe::{
    IMAGE_DIRECTORY_ENTRY_BASERELOC, IMAGE_DIRECTORY_ENTRY_DEBUG, IMAGE_DIRECTORY_ENTRY_EXPORT,
    IMAGE_REL_BASED_ABSOLUTE,
};

use super::image::{Image, Move, word};
use crate::{Error, Job};

/// Bytes of one `IMAGE_DEBUG_DIRECTORY`.
const DEBUG_ENTRY: usize = 28;

/// Offset of `TimeDateStamp` in `IMAGE_EXPORT_DIRECTORY` and `IMAGE_DEBUG_DIRECTORY`.
const STAMP: usize = 4;

/// Base relocations that are not padding.
pub(super) fn relocation_count(job: &Job<'_>, image: &mut Image) -> Result<usize, Error> {
    let cut = || job.malformed("has a base relocation table that is cut off");
    let Some(mut table) = directory(job, image, IMAGE_DIRECTORY_ENTRY_BASERELOC)? else { return Ok(0) };
    let mut count = 0;
    while !table.is_empty() {
        let size = word(table, 4).ok_or_else(cut)? as usize;
        if size < 8 {
            return Err(cut());
        }
        let entries = table.get(8..size).ok_or_else(cut)?;
        let kinds = entries.chunks_exact(2).map(|entry| entry[1] >> 4);
        count += kinds.filter(|kind| u16::from(*kind) != IMAGE_REL_BASED_ABSOLUTE.0).count();
        table = &mut table[size..];
    }
    Ok(count)
}

/// Sets the stamps of the export and debug directories that are not zero.
pub(super) fn set_stamps(job: &Job<'_>, image: &mut Image, stamp: u32) -> Result<(), Error> {
    let set = |entry: &mut [u8]| {
        if let Some(field) = entry.get_mut(STAMP..STAMP + 4).filter(|field| **field != [0; 4]) {
            field.copy_from_slice(&stamp.to_le_bytes());
        }
    };
    if let Some(export) = directory(job, image, IMAGE_DIRECTORY_ENTRY_EXPORT)? {
        set(export);
    }
    if let Some(debug) = directory(job, image, IMAGE_DIRECTORY_ENTRY_DEBUG)? {
        debug.chunks_exact_mut(DEBUG_ENTRY).for_each(set);
    }
    Ok(())
}

/// Makes the debug directory's file offsets follow the sections.
pub(super) fn move_debug_data(job: &Job<'_>, image: &mut Image, moves: &[Move]) -> Result<(), Error> {
    let Some(debug) = directory(job, image, IMAGE_DIRECTORY_ENTRY_DEBUG)? else { return Ok(()) };
    for entry in debug.chunks_exact_mut(DEBUG_ENTRY) {
        let old = word(entry, 24).unwrap_or(0); // PointerToRawData
        if old != 0 {
            let address = word(entry, 20).unwrap_or(0); // AddressOfRawData
            let new = moves.iter().find_map(|place| place.of(old, address));
            let new = new.ok_or_else(|| job.unsupported("keeps debug data outside of its kept sections"))?;
            entry[24..28].copy_from_slice(&new.to_le_bytes());
        }
    }
    Ok(())
}

/// A directory's bytes; `None` where there is none, or where its section has none in the file (in a symbols file).
fn directory<'a>(job: &Job<'_>, image: &'a mut Image, index: usize) -> Result<Option<&'a mut [u8]>, Error> {
    let (address, size) = image.directory(index);
    if address == 0 || size == 0 {
        return Ok(None);
    }
    let section =
        image.section_at(address).ok_or_else(|| job.malformed("has a directory outside of its sections"))?;
    let section = &mut image.sections[section];
    if section.is_emptied {
        return Ok(None);
    }
    let start = (address - section.address()) as usize;
    let range = start..start.saturating_add(size as usize);
    match section.data.get_mut(range) {
        Some(bytes) => Ok(Some(bytes)),
        None => Err(job.malformed("has a directory that ends behind its section")),
    }
}
