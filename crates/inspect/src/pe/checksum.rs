//! The checksum that covers the whole file: the one part of a PE file that headers alone do not tell.

use crate::facts::Pe;

/// Where the field is, from the `PE\0\0` signature on: signature, COFF header, then 64 bytes of the optional header.
const FIELD: usize = 4 + 20 + 64;

/// The checksum of `CheckSumMappedFile`: 16-bit words added with carry, the checksum's own field left out, plus the length.
///
/// Reads every byte of the file, unlike everything else that is known of it.
pub(crate) fn checksum(data: &[u8], pe: &Pe) -> u32 {
    // The end-around carry of 16 bits can wait: 2^16 is 1 modulo 2^16 - 1, so wider words have the same sum.
    let words = data.chunks_exact(4);
    let mut rest = [0; 4];
    rest[..words.remainder().len()].copy_from_slice(words.remainder());
    let word = |bytes: &[u8]| u64::from(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
    let mut sum = word(&rest) + words.map(word).sum::<u64>();
    // The header is aligned to eight bytes in every file that a loader takes, so the field is two whole 16-bit words.
    let field = (pe.header_offset as usize).saturating_add(FIELD);
    if let (0, Some(stored)) = (field % 2, data.get(field..field.saturating_add(4))) {
        sum -= (word(stored) & 0xffff) + (word(stored) >> 16);
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (sum as u32).wrapping_add(data.len() as u32)
}
