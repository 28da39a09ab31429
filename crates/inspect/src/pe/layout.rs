//! Whether the parts of the file fit together, and what is left over.

use super::{CERTIFICATES, COFF_HEADER, Image, SECTION_HEADER, directory, string_table};
use crate::bytes::Survey;
use crate::constants::pe as constants;
use crate::facts::Pe;

/// What Authenticode's entries of the certificate table are called.
const WIN_CERT_TYPE_PKCS_SIGNED_DATA: u16 = 2;

/// What an image base is a multiple of.
const IMAGE_BASE: u64 = 64 << 10;

/// Notes headers that Windows refuses, and sections that overlap, in memory or in the file: two tools then see two programs.
pub(super) fn note_contradictions(pe: &Pe, survey: &mut Survey) {
    const PART: &str = "section table";
    let is_for_windows = !pe.is_for_firmware();
    // Windows refuses each of these (ntoskrnl, MiVerifyImageHeader and MiCreateImageFileMap).
    if is_for_windows && pe.characteristics & constants::IMAGE_FILE_EXECUTABLE_IMAGE == 0 {
        survey.anomaly("PE header", "EXECUTABLE_IMAGE is clear: nothing loads it");
    }
    if is_for_windows && !pe.image_base.is_multiple_of(IMAGE_BASE) {
        survey.anomaly(
            "PE header",
            format!("the image base {:#x} is no multiple of {IMAGE_BASE:#x}", pe.image_base),
        );
    }
    let mut end = 0;
    for section in &pe.sections {
        let start = u64::from(section.virtual_address);
        if is_for_windows && pe.section_alignment > 0 && start % u64::from(pe.section_alignment) != 0 {
            let what = format!(
                "section {} at {start:#x} is not aligned to {:#x}",
                section.name, pe.section_alignment
            );
            survey.anomaly(PART, what);
        }
        if start < end {
            let what =
                format!("section {} at {start:#x} begins before {end:#x}, where another ends", section.name);
            survey.anomaly(PART, what);
        }
        // A size of 0 means that of the bytes in the file.
        let size = if section.virtual_size == 0 { section.raw_size } else { section.virtual_size };
        end = end.max(start + u64::from(size));
    }
    if end > u64::from(pe.size_of_image) {
        let what = format!("sections end at {end:#x}, the image at {:#x}", pe.size_of_image);
        survey.anomaly(PART, what);
    }
    let mut ranges: Vec<_> =
        pe.sections.iter().filter(|section| section.raw_size > 0 && section.raw_offset > 0).collect();
    ranges.sort_by_key(|section| section.raw_offset);
    for pair in ranges.windows(2) {
        let end = u64::from(pair[0].raw_offset) + u64::from(pair[0].raw_size);
        if u64::from(pair[1].raw_offset) < end {
            survey.anomaly(
                PART,
                format!("sections {} and {} share bytes of the file", pair[0].name, pair[1].name),
            );
        }
    }
}

/// How many bytes of the string table the names of sections reach; the first four are its length.
fn names_end(image: Image<'_>, pe: &Pe) -> u64 {
    let coff = u64::from(pe.header_offset) + 4;
    let table = coff + COFF_HEADER + u64::from(image.bytes.u16(coff + 16).unwrap_or(0));
    let ends = pe.sections.iter().zip(0..).filter_map(|(section, index)| {
        let name = image.bytes.slice(table + index * SECTION_HEADER, 8)?;
        let digits = str::from_utf8(name).ok()?.trim_end_matches('\0').strip_prefix('/')?;
        Some(digits.parse::<u64>().ok()? + section.name.len() as u64 + 1)
    });
    ends.max().unwrap_or(4)
}

/// Offset and size of what no header, section, symbol or certificate accounts for at the file's end.
pub(super) fn overlay(image: Image<'_>, pe: &Pe, survey: &mut Survey) -> (u64, u64) {
    let length = image.bytes.len();
    // Headers end where the first section begins, whatever they say.
    let first =
        pe.sections.iter().filter(|section| section.raw_size > 0).map(|section| section.raw_offset).min();
    let mut end = u64::from(first.map_or(pe.size_of_headers, |first| first.min(pe.size_of_headers)));
    for section in pe.sections.iter().filter(|section| section.raw_size > 0) {
        end = end.max(u64::from(section.raw_offset) + u64::from(section.raw_size));
    }
    // It is there for symbols, and for the names of sections that are longer than their headers have room for.
    let is_used = pe.symbol_count > 0 || pe.sections.iter().any(|section| section.name.chars().count() > 8);
    if let Some(strings) = string_table(pe).filter(|_| is_used) {
        // The string table starts with its own length; a file may also end right after its symbols.
        let said = u64::from(image.bytes.u32(strings).unwrap_or(0));
        // Without symbols nobody names more of it than sections do.
        let used = if pe.symbol_count > 0 { said } else { said.min(names_end(image, pe)) };
        let symbols_end = strings + used;
        if symbols_end > length {
            let what = format!("symbols and strings end at {symbols_end:#x}, the file at {length:#x}");
            survey.anomaly("COFF symbols", what);
        }
        end = end.max(symbols_end);
    }
    let Some(certificates) = directory(pe, CERTIFICATES) else {
        return if end < length { (end, length - end) } else { (0, 0) };
    };
    let start = u64::from(certificates.address);
    let certificates_end = start + u64::from(certificates.size);
    if certificates_end > length {
        survey.anomaly("certificates", format!("end at {certificates_end:#x}, outside the file"));
        return (0, 0);
    }
    // The table begins at a multiple of eight; zeros up to there belong to nobody's payload.
    let before = image.bytes.slice(end, start.saturating_sub(end)).unwrap_or(&[]);
    let padding = before.len() < 8 && before.iter().all(|byte| *byte == 0);
    let before = if padding { 0 } else { before.len() as u64 };
    let behind = length - certificates_end.max(end).min(length);
    let (within, foreign) = foreign_bytes(image, pe);
    let first = if before > 0 { end } else { within.unwrap_or(length - behind) };
    match before + foreign + behind {
        0 => (0, 0),
        size => (first, size),
    }
}

/// What the certificate table holds beside signed data: entries of another kind, and bytes behind an entry's. Where the first
/// of them lie, and how many there are. Zeros fill up to the next entry.
fn foreign_bytes(image: Image<'_>, pe: &Pe) -> (Option<u64>, u64) {
    let (mut first, mut size) = (None, 0);
    for entry in &pe.certificates {
        let start = entry.offset + 8;
        let end = entry.offset + u64::from(entry.size);
        let is_signed_data = entry.kind == WIN_CERT_TYPE_PKCS_SIGNED_DATA;
        let own = if is_signed_data { der_size(image, start) } else { None };
        let from = start.saturating_add(own.unwrap_or(0)).min(end);
        let rest = image.bytes.slice(from, end - from).unwrap_or(&[]);
        if rest.iter().any(|byte| *byte != 0) {
            first.get_or_insert(from);
            size += end - from;
        }
    }
    (first, size)
}

/// The bytes of the DER element at `offset`, its header included (X.690, 8.1): signed data is never in the indefinite form.
fn der_size(image: Image<'_>, offset: u64) -> Option<u64> {
    let length = image.bytes.u8(offset + 1)?;
    if length < 0x80 {
        return Some(2 + u64::from(length));
    }
    let digits = u64::from(length & 0x7f);
    let bytes = image.bytes.slice(offset + 2, digits).filter(|_| (1..=4).contains(&digits))?;
    Some(2 + digits + bytes.iter().fold(0, |size, byte| size << 8 | u64::from(*byte)))
}
