//! Whether two runs of bytes hold the same things in another order.

use std::collections::HashSet;

/// The length of the pieces that are looked for elsewhere, in bytes.
const SHINGLE: usize = 8;
/// Size of an entry of a jump table, in bytes.
const ENTRY: usize = 4;
/// So many entries whose distances from one to the next are found elsewhere are a table that moved.
const ENTRIES: usize = 3;

/// Of the bytes that differ, one in so many may be new: a distance to something that moved.
const TOLERATED: usize = 20;

/// Whether the bytes that differ are the same ones on both sides, each as often: what must hold where things are only
/// moved about.
pub(crate) fn same_bytes(published: &[u8], rebuilt: &[u8]) -> bool {
    if published.len() != rebuilt.len() {
        return false;
    }
    let (mut surplus, mut differing) = ([0_i64; 256], 0);
    for (one, other) in published.iter().zip(rebuilt).filter(|(one, other)| one != other) {
        surplus[usize::from(*one)] += 1;
        surplus[usize::from(*other)] -= 1;
        differing += 1;
    }
    let new: i64 = surplus.iter().filter(|count| **count > 0).sum();
    usize::try_from(new).is_ok_and(|new| new * TOLERATED <= differing)
}

/// Which part of `rebuilt` is found in `published`, wherever: 1 is all. Tables of distances count as found where their
/// entries are all farther by the same number, as they are when the table has moved.
pub(crate) fn found_again(published: &[u8], rebuilt: &[u8]) -> f64 {
    if rebuilt.len() < SHINGLE {
        return if published == rebuilt { 1.0 } else { 0.0 };
    }
    let mut found = vec![false; rebuilt.len()];
    let pieces: HashSet<&[u8]> = published.windows(SHINGLE).collect();
    for (at, piece) in rebuilt.windows(SHINGLE).enumerate() {
        if pieces.contains(piece) {
            found[at..at + SHINGLE].fill(true);
        }
    }
    let (ours, theirs) = (steps(published), steps(rebuilt));
    let runs: HashSet<&[u32]> = ours.windows(ENTRIES - 1).collect();
    for (at, run) in theirs.windows(ENTRIES - 1).enumerate() {
        if runs.contains(run) {
            found[at * ENTRY..(at + ENTRIES) * ENTRY].fill(true);
        }
    }
    let count = |found: usize| f64::from(u32::try_from(found).unwrap_or(u32::MAX));
    count(found.iter().filter(|found| **found).count()) / count(rebuilt.len())
}

/// The distances from each aligned word to the next.
fn steps(bytes: &[u8]) -> Vec<u32> {
    let words: Vec<_> = bytes
        .chunks_exact(ENTRY)
        .map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
        .collect();
    words.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_that_moved_are_the_same_bytes_and_are_found() {
        let (one, two) = (b"alphabetical order, numerical order", b"numerical order, alphabetical order");
        assert!(same_bytes(one, two));
        assert!(found_again(one, two) > 0.8, "{}", found_again(one, two));
        assert!(!same_bytes(one, b"numerical order, alphabetical orders"));
        assert!(found_again(one, b"7391846205738210496573829105647382910").abs() < 0.1);
    }

    #[test]
    fn a_jump_table_that_moved_is_found() {
        let table =
            |by: i32| [-7301, -950, -88123, -4, -777, -31007].map(|at: i32| (at + by).to_le_bytes()).concat();
        assert!((found_again(&table(0), &table(0x1234_5678)) - 1.0).abs() < f64::EPSILON);
        let other = [-5, 44, 1900, -80000, 3, 12].map(|at: i32| at.to_le_bytes()).concat();
        assert!(found_again(&table(0), &other) < 0.1);
    }

    #[test]
    fn what_is_short_is_found_or_not() {
        assert!((found_again(b"abc", b"abc") - 1.0).abs() < f64::EPSILON);
        assert!(found_again(b"abc", b"abd") < 0.1);
        assert!((found_again(b"", b"") - 1.0).abs() < f64::EPSILON);
    }
}
