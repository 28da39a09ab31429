//! Tables of code addresses that a load configuration points to: what Windows lets be called.

use inspect::facts::{Pe, PeSection};

use crate::pe_kind::EXECUTE;

/// The addresses, relative to the image base, in a table of `count` entries of `size` bytes at the absolute address
/// `table`; `None` where it is empty, or its section does not hold it.
pub(crate) fn addresses<'a>(
    pe: &Pe,
    bytes: &'a [u8],
    table: u64,
    count: u64,
    size: u64,
) -> Option<impl Iterator<Item = u32> + use<'a>> {
    let length = count.checked_mul(size).filter(|length| *length > 0)?;
    let address = pe.relative(table)?;
    let section = pe.section_at(address)?;
    let left = u64::from(section.raw_size).checked_sub(u64::from(address - section.virtual_address))?;
    let start = usize::try_from(pe.file_offset(address)?).ok()?;
    let table =
        bytes.get(start..start.checked_add(usize::try_from(length).ok()?)?).filter(|_| length <= left)?;
    let entries = table.chunks_exact(usize::try_from(size).ok()?);
    Some(entries.map(|entry| u32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]])))
}

/// Whether they ascend, as Windows requires, and each is in a section of code.
pub(crate) fn are_code(pe: &Pe, functions: impl Iterator<Item = u32>) -> bool {
    let mut last = None;
    let mut section: Option<&PeSection> = None;
    for function in functions {
        section = section.filter(|section| section.holds(function)).or_else(|| pe.section_at(function));
        // The rest of its last page is mapped, and nothing's code.
        let is_code = section.is_some_and(|section| {
            let size = section.virtual_size.max(section.raw_size);
            section.characteristics & EXECUTE != 0 && function - section.virtual_address < size
        });
        if !is_code || last.replace(function).is_some_and(|last| last >= function) {
            return false;
        }
    }
    true
}
