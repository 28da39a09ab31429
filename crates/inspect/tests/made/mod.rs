//! Windows files made by hand.

// Each suite uses its part.
#![allow(dead_code)]

use std::time::{Duration, Instant};

use inspect::Facts;
use inspect::facts::{Binary, Pe};

/// Where the only section is loaded, and where it is in the file.
pub(crate) const ADDRESS: u32 = 0x1000;
pub(crate) const IMAGE_BASE: u64 = 0x1_4000_0000;
/// Fields of the headers that [`file`] writes, as places in the file.
pub(crate) const SIZE_OF_IMAGE: usize = 0x80 + 24 + 56;
pub(crate) const CHARACTERISTICS: usize = 0x96;

/// A PE32+ file of one section with `content`, whose data directories are `(index, address in the section, size)`.
pub(crate) fn file(content: &[u8], directories: &[(usize, u32, u32)]) -> Vec<u8> {
    file_of_sections(content, directories, 1)
}

/// The same with more sections, all but the first without bytes.
pub(crate) fn file_of_sections(content: &[u8], directories: &[(usize, u32, u32)], sections: u16) -> Vec<u8> {
    let headers = (0x80 + 24 + 240 + 40 * usize::from(sections)).next_multiple_of(0x200);
    let mut bytes = vec![0; headers];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(0, b"MZ");
    put(0x3c, &0x80_u32.to_le_bytes());
    put(0x80, b"PE\0\0");
    put(0x84, &0x8664_u16.to_le_bytes());
    put(0x86, &sections.to_le_bytes());
    put(0x80 + 20, &240_u16.to_le_bytes());
    // A library: nothing starts here.
    put(CHARACTERISTICS, &0x2002_u16.to_le_bytes());
    let optional = 0x80 + 24;
    put(optional, &0x20b_u16.to_le_bytes());
    put(optional + 24, &IMAGE_BASE.to_le_bytes());
    put(optional + 32, &0x1000_u32.to_le_bytes());
    put(optional + 36, &0x200_u32.to_le_bytes());
    put(SIZE_OF_IMAGE, &0x1000_0000_u32.to_le_bytes());
    put(optional + 60, &(headers as u32).to_le_bytes());
    put(optional + 108, &16_u32.to_le_bytes());
    for (index, address, size) in directories {
        put(optional + 112 + 8 * index, &(ADDRESS + address).to_le_bytes());
        put(optional + 116 + 8 * index, &size.to_le_bytes());
    }
    let size = content.len() as u32;
    let behind = ADDRESS + size.next_multiple_of(0x1000);
    for index in 0..u32::from(sections) {
        let header = optional + 240 + 40 * index as usize;
        let first = index == 0;
        let (address, size) = if first { (ADDRESS, size) } else { (behind + index * 0x1000, 0) };
        put(header, b".data\0\0\0");
        put(header + 8, &(if first { size } else { 0x1000 }).to_le_bytes());
        put(header + 12, &address.to_le_bytes());
        put(header + 16, &size.to_le_bytes());
        put(header + 20, &(if first { headers as u32 } else { 0 }).to_le_bytes());
    }
    bytes.extend_from_slice(content);
    bytes
}

/// The facts, which must be there soon: a test build on a busy machine is some ten times slower than a release.
#[track_caller]
pub(crate) fn inspect(bytes: &[u8]) -> Facts {
    let begun = Instant::now();
    let facts = inspect::inspect(bytes).expect("the headers can be read");
    inspect::dump(&facts);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    facts
}

pub(crate) fn pe(facts: &Facts) -> &Pe {
    match &facts.binary {
        Binary::Pe(pe) => pe,
        Binary::Elf(_) => panic!("a PE file was made"),
    }
}

#[track_caller]
pub(crate) fn assert_says(facts: &Facts, words: &str) {
    assert!(facts.anomalies.iter().any(|anomaly| anomaly.detail.contains(words)), "{:?}", facts.anomalies);
}
