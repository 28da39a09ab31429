//! The tree of a `.rsrc` section: types, then names, then languages ("PE Format", "The .rsrc Section").

/// One resource. Its language is always [`LANGUAGE`].
pub(crate) struct Resource {
    /// Such as [`super::VERSION`].
    pub(crate) kind: u32,
    pub(crate) bytes: Vec<u8>,
}

/// Every resource is the first of its kind: number 1.
const NAME: u32 = 1;
/// United States English (LANGID).
pub(super) const LANGUAGE: u16 = 0x409;
/// Sizes of a directory table, of an entry in it, and of a data entry. Bytes.
const TABLE: usize = 16;
const ENTRY: usize = 8;
const DATA_ENTRY: usize = 16;
/// Set in an entry that leads to another table.
const SUBTABLE: u32 = 0x8000_0000;

/// The section's bytes and the offsets of its address fields: each holds an offset from the section's start, to which the
/// linker adds the section's address.
pub(crate) fn section(resources: &[Resource]) -> (Vec<u8>, Vec<u32>) {
    let mut sorted: Vec<_> = resources.iter().collect();
    sorted.sort_by_key(|resource| resource.kind);
    let count = sorted.len();
    let names = TABLE + count * ENTRY;
    let languages = names + count * (TABLE + ENTRY);
    let data_entries = languages + count * (TABLE + ENTRY);
    let mut data = data_entries + count * DATA_ENTRY;

    let mut out = table(count);
    for (index, resource) in sorted.iter().enumerate() {
        entry(&mut out, resource.kind, SUBTABLE | (names + index * (TABLE + ENTRY)) as u32);
    }
    for index in 0..count {
        out.extend(table(1));
        entry(&mut out, NAME, SUBTABLE | (languages + index * (TABLE + ENTRY)) as u32);
    }
    for index in 0..count {
        out.extend(table(1));
        entry(&mut out, u32::from(LANGUAGE), (data_entries + index * DATA_ENTRY) as u32);
    }
    let mut addresses = Vec::new();
    for resource in &sorted {
        addresses.push(out.len() as u32);
        // Address, size, code page, reserved.
        for field in [data as u32, resource.bytes.len() as u32, 0, 0] {
            out.extend(field.to_le_bytes());
        }
        data = (data + resource.bytes.len()).next_multiple_of(8);
    }
    for resource in &sorted {
        out.extend(&resource.bytes);
        out.resize(out.len().next_multiple_of(8), 0);
    }
    (out, addresses)
}

/// Characteristics, time and version are zero; no entry has a name, `count` have a number.
fn table(count: usize) -> Vec<u8> {
    let mut table = vec![0; TABLE];
    table[14..].copy_from_slice(&(count as u16).to_le_bytes());
    table
}

fn entry(out: &mut Vec<u8>, number: u32, offset: u32) {
    out.extend(number.to_le_bytes());
    out.extend(offset.to_le_bytes());
}
