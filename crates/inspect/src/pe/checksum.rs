//! The checksum that covers the whole file: the one part of a PE file that headers alone do not tell.

/// Where the field is, from the `PE\0\0` signature on: signature, COFF header, then 64 bytes of the optional header.
const FIELD: usize = 4 + 20 + 64;

/// The checksum of `CheckSumMappedFile`: 16-bit words added with carry, the checksum's own field left out, plus the length.
///
/// It takes every byte of the file, unlike everything else that is known of it, a piece after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeChecksum {
    /// The end-around carry of 16 bits can wait: 2^16 is 1 modulo 2^16 - 1, so wider words have the same sum.
    sum: u128,
    size: u64,
}

impl PeChecksum {
    /// Adds the bytes that stand at `offset`; no byte may be added twice.
    pub fn add(&mut self, offset: usize, piece: &[u8]) {
        let (head, rest) = piece.split_at(piece.len().min(offset.next_multiple_of(4) - offset));
        let words = rest.chunks_exact(4);
        let one = |at: usize, byte: &u8| u64::from(*byte) << (8 * (at % 4));
        let rest: u64 = words.remainder().iter().enumerate().map(|(at, byte)| one(at, byte)).sum();
        let head: u64 = head.iter().enumerate().map(|(at, byte)| one(offset + at, byte)).sum();
        // A piece has fewer than 2^32 words: no file that is looked at is as large as 16 GiB.
        self.sum += u128::from(words.map(word).sum::<u64>()) + u128::from(head) + u128::from(rest);
        self.size += piece.len() as u64;
    }

    /// The checksum once all bytes were added; `data` are at least those up to the field itself, which stands behind the
    /// header at `header_offset`.
    pub fn finish(self, data: &[u8], header_offset: u32) -> u32 {
        let mut sum = self.sum;
        // The header is aligned to eight bytes in every file that a loader takes, so the field is two whole 16-bit words.
        let field = (header_offset as usize).saturating_add(FIELD);
        if let (0, Some(stored)) = (field % 2, data.get(field..field.saturating_add(4))) {
            sum -= u128::from((word(stored) & 0xffff) + (word(stored) >> 16));
        }
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        (sum as u32).wrapping_add(self.size as u32)
    }
}

fn word(bytes: &[u8]) -> u64 {
    u64::from(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words one by one, with the carry brought back each time.
    fn slow(data: &[u8]) -> u32 {
        let words =
            data.chunks(2).map(|word| u32::from(word[0]) | u32::from(word.get(1).copied().unwrap_or(0)) << 8);
        let sum = words.fold(0, |sum, word| ((sum + word) & 0xffff) + ((sum + word) >> 16));
        sum + data.len() as u32
    }

    #[test]
    fn pieces_of_any_size_have_the_sum_of_the_whole() {
        let data: Vec<u8> = (0..997_u32).map(|at| (at * at + 7) as u8).collect();
        for piece in [1, 2, 3, 4, 5, 7, 64, 500, 997] {
            let mut sum = PeChecksum::default();
            for (index, bytes) in data.chunks(piece).enumerate() {
                sum.add(index * piece, bytes);
            }
            // The field lies behind the end, so nothing is left out.
            assert_eq!(sum.finish(&data, 1000), slow(&data), "pieces of {piece}");
        }
    }

    #[test]
    fn the_field_itself_is_left_out() {
        let mut data = vec![3; 400];
        data[FIELD..FIELD + 4].fill(0);
        let expected = slow(&data);
        data[FIELD..FIELD + 4].fill(0xee);
        let mut sum = PeChecksum::default();
        sum.add(0, &data);
        assert_eq!(sum.finish(&data, 0), expected);
    }
}
