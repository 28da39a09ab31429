//! The optional header's `CheckSum`, as `CheckSumMappedFile` computes it.

/// The one's complement sum of the file's 16-bit words, without the checksum's own four bytes at `field`, plus the
/// file's length in bytes.
pub(super) fn of(file: &[u8], field: usize) -> u32 {
    let mut sum = 0u32;
    for (index, word) in file.chunks(2).enumerate() {
        let at = index * 2;
        let byte = |offset: usize| match word.get(offset) {
            Some(byte) if !(field..field + 4).contains(&(at + offset)) => *byte,
            _ => 0,
        };
        sum += u32::from(u16::from_le_bytes([byte(0), byte(1)]));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum.wrapping_add(file.len() as u32)
}

#[cfg(test)]
mod tests {
    #[test]
    fn folds_carries_skips_its_field_and_adds_the_length() {
        assert_eq!(super::of(&[0xff, 0xff, 1, 0, 9, 9, 9, 9, 7], 4), 1 + 7 + 9);
    }
}
