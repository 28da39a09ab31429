//! Whether the parts of the file fit together, and what is left over.

use super::{CERTIFICATES, Image, directory, string_table};
use crate::bytes::Survey;
use crate::facts::Pe;

/// Notes sections that overlap, in memory or in the file: two tools then see two programs.
pub(super) fn note_contradictions(pe: &Pe, survey: &mut Survey) {
    const PART: &str = "section table";
    let mut end = 0;
    for section in &pe.sections {
        let start = u64::from(section.virtual_address);
        if start < end {
            let what =
                format!("section {} at {start:#x} begins before {end:#x}, where another ends", section.name);
            survey.anomaly(PART, what);
        }
        // A size of 0 means that of the bytes in the file.
        let size = if section.virtual_size == 0 { section.raw_size } else { section.virtual_size };
        end = end.max(start + u64::from(size));
    }
    let mut ranges: Vec<_> = pe.sections.iter().filter(|section| section.raw_size > 0).collect();
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

/// Offset and size of what no header, section, symbol or certificate accounts for at the file's end.
pub(super) fn overlay(image: Image<'_>, pe: &Pe, survey: &mut Survey) -> (u64, u64) {
    let length = image.bytes.len();
    let mut end = u64::from(pe.size_of_headers);
    for section in pe.sections.iter().filter(|section| section.raw_size > 0) {
        end = end.max(u64::from(section.raw_offset) + u64::from(section.raw_size));
    }
    if let Some(strings) = string_table(pe) {
        // The string table starts with its own length; a file may also end right after its symbols.
        let symbols_end = strings + u64::from(image.bytes.u32(strings).unwrap_or(0));
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
    match (before, behind) {
        (0, 0) => (0, 0),
        (0, behind) => (length - behind, behind),
        (before, behind) => (end, before + behind),
    }
}
