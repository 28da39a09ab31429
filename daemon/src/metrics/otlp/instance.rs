//! Which daemon this is, for a collector that hears many: an id that stays over restarts, as its counters do.

use std::hash::{BuildHasher, RandomState};
use std::path::Path;

use crate::metrics::counters_file::{read, replace};

const NAME: &str = "instance.id";
/// With the line's end of a careful editor.
const LARGEST: usize = 64;

/// The id that is kept in the state folder; a new one where there is none, or no folder.
pub(super) fn id(state_folder: Option<&Path>) -> String {
    let Some(path) = state_folder.map(|folder| folder.join(NAME)) else { return new_id() };
    if let Ok(Some(text)) = read(&path, LARGEST)
        && is_id(text.trim())
    {
        return text.trim().to_owned();
    }
    let id = new_id();
    // If it cannot be kept, counters cannot either, and that is told.
    let _ = replace(&path, &format!("{id}\n"), true);
    id
}

/// A UUID as it is written.
fn is_id(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

/// A random UUID (RFC 9562, version 4). The standard library's hasher has its key from the system's random numbers.
fn new_id() -> String {
    let random = RandomState::new();
    let [high, low] = [0_u8, 1].map(|index| random.hash_one(index));
    let (high, low) = (high & !0xf000 | 0x4000, low & !(3 << 62) | 1 << 63);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_until_it_is_spoilt() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let first = id(Some(folder.path()));
        assert!(
            is_id(&first) && first.as_bytes()[14] == b'4' && b"89ab".contains(&first.as_bytes()[19]),
            "{first}"
        );
        assert_eq!(id(Some(folder.path())), first);
        assert_ne!(id(None), first);
        for spoilt in ["", "x", &first.to_uppercase().replace('-', "_"), &first.repeat(1000)] {
            std::fs::write(folder.path().join(NAME), spoilt).expect("written");
            let next = id(Some(folder.path()));
            assert!(is_id(&next) && next != first, "{next}");
            assert_eq!(id(Some(folder.path())), next);
        }
        // Nowhere to keep it.
        assert!(is_id(&id(Some(&folder.path().join("missing")))));
    }
}
