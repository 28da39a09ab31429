//! The files that make a reader take the most: as many of everything as fit, each as long as it may be.

use std::alloc::System;
use std::io::{Write, stderr};

use cap::Cap;

/// What one file may take, in bytes of memory beside itself.
const MOST: usize = 64 << 20;

/// Refuses more; a single test, so that nothing else is counted with it.
#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

#[test]
fn the_worst_files_take_no_more_than_they_may() {
    let files: [(&str, Vec<u8>); 10] = [
        ("a version that is needed again and again", versions(20_000, 60_000)),
        ("a million imports", symbols(1_000_000, 0, 60)),
        ("a million exports", symbols(0, 1_000_000, 60)),
        ("as many imports and exports as are read", symbols(149_000, 249_000, 41)),
        ("imports of the longest names", symbols(2_000, 0, 16_000)),
        ("a million sections of a long name", sections(1_000_000)),
        ("sixty thousand sections of a long name", sections(60_000)),
        ("notes of four kilobytes", notes(5_000, 4096)),
        ("a million empty notes", notes(1_000_000, 0)),
        ("as many segments as there may be", elf(&vec![segment(1, 7, 0, 4096); 65_534], &[], 0)),
    ];
    for (name, bytes) in files {
        for reader in ["inspect_elf", "verify_elf"] {
            // Not captured, because more than the limit ends the process: this line then says what was read.
            writeln!(stderr(), "{reader} reads {name}").unwrap();
            MEMORY.set_limit(MEMORY.allocated() + MOST).unwrap();
            hostile::read(reader, &bytes);
            MEMORY.set_limit(usize::MAX).unwrap();
        }
    }
}

/// An x86-64 ELF file (gABI, ELF-64) of these program headers and `content`; its section headers begin at `sections`.
fn elf(segments: &[[u64; 8]], content: &[u8], sections: u64) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0\x01\0\0\0".to_vec();
    for word in [0x1000, 64, sections] {
        bytes.extend(u64::to_le_bytes(word));
    }
    bytes.extend([0; 4]);
    for half in [64, 56, segments.len() as u16, 64, 0, u16::from(sections > 0)] {
        bytes.extend(half.to_le_bytes());
    }
    for [kind, flags, rest @ ..] in segments {
        bytes.extend((*kind as u32).to_le_bytes());
        bytes.extend((*flags as u32).to_le_bytes());
        rest.iter().for_each(|word| bytes.extend(word.to_le_bytes()));
    }
    bytes.extend(content);
    bytes
}

/// `p_type`, `p_flags`, then offset, both addresses, both sizes and the alignment.
fn segment(kind: u64, flags: u64, offset: u64, size: u64) -> [u64; 8] {
    [kind, flags, offset, offset, offset, size, size, 8]
}

/// A library of so many dynamic symbols, each with the same name of `length` letters.
fn symbols(imports: usize, exports: usize, length: usize) -> Vec<u8> {
    let count = imports + exports;
    let dynamic = 64 + 2 * 56;
    let table = dynamic + 6 * 16;
    let strings = table + 24 * count as u64;
    let hash = strings + length as u64 + 2;
    let mut content = Vec::new();
    // DT_SYMTAB, DT_STRTAB, DT_STRSZ, DT_SYMENT, DT_HASH, DT_NULL
    for word in [6, table, 5, strings, 10, length as u64 + 2, 11, 24, 4, hash, 0, 0] {
        content.extend(u64::to_le_bytes(word));
    }
    for (count, section) in [(imports, 0), (exports, 1)] {
        let symbol = [&[1, 0, 0, 0, 0x12, 0, section, 0][..], &[0; 16]].concat();
        content.extend(symbol.repeat(count));
    }
    content.push(0);
    content.extend(vec![b'a'; length]);
    content.extend([0, 1, 0, 0, 0]);
    content.extend((count as u32).to_le_bytes());
    let size = dynamic + content.len() as u64;
    elf(&[segment(1, 5, 0, size), segment(2, 6, dynamic, 6 * 16)], &content, 0)
}

/// A program that needs one version of glibc `needs` times, and that many symbols of it.
fn versions(needs: usize, symbols: usize) -> Vec<u8> {
    const HASH: u32 = 0x0969_1a75;
    let strings = b"\0libc.so.6\0GLIBC_2.2.5\0f\0";
    let dynamic = 64 + 2 * 56;
    let text = dynamic + 10 * 16;
    let table = text + 32;
    let marks = table + 24 * (symbols as u64 + 1);
    let need = (marks + 2 * (symbols as u64 + 1)).next_multiple_of(8);
    let hash = need + 16 + 16 * needs as u64;
    let mut content = Vec::new();
    // DT_NEEDED, DT_STRTAB, DT_STRSZ, DT_SYMTAB, DT_SYMENT, DT_HASH, DT_VERSYM, DT_VERNEED, DT_VERNEEDNUM, DT_NULL
    let entries = [(1, 1), (5, text), (10, strings.len() as u64), (6, table), (11, 24), (4, hash)];
    for (tag, value) in
        entries.into_iter().chain([(0x6fff_fff0, marks), (0x6fff_fffe, need), (0x6fff_ffff, 1), (0, 0)])
    {
        content.extend([tag, value].map(u64::to_le_bytes).concat());
    }
    content.extend(strings);
    content.resize((table - dynamic) as usize + 24, 0);
    content.extend([&[23, 0, 0, 0, 0x12, 0, 0, 0][..], &[0; 16]].concat().repeat(symbols));
    content.extend([0, 0]);
    content.extend([2, 0].repeat(symbols));
    content.resize((need - dynamic) as usize, 0);
    content.extend([[1, 0], (needs as u16).to_le_bytes()].concat());
    content.extend([1, 16, 0].map(u32::to_le_bytes).concat());
    for left in (0..needs).rev() {
        content.extend(HASH.to_le_bytes());
        content.extend([0, 0, 2, 0]);
        content.extend([11, if left > 0 { 16 } else { 0 }].map(u32::to_le_bytes).concat());
    }
    content.extend([1, symbols as u32 + 1].map(u32::to_le_bytes).concat());
    let size = dynamic + content.len() as u64;
    elf(&[segment(1, 5, 0, size), segment(2, 6, dynamic, 10 * 16)], &content, 0)
}

/// `count` section headers, whose number stands in the first one (gABI, extended section numbering), all of one name.
fn sections(count: u64) -> Vec<u8> {
    let start = 64 + 56;
    let name = [b"\0", &[b'x'; 1000][..], b"\0"].concat();
    let header = |fields: [u64; 10]| {
        let mut bytes = Vec::new();
        for (index, field) in fields.into_iter().enumerate() {
            match index {
                0 | 1 | 6 | 7 => bytes.extend((field as u32).to_le_bytes()),
                _ => bytes.extend(field.to_le_bytes()),
            }
        }
        bytes
    };
    let mut content = header([0, 0, 0, 0, 0, count, 0, 0, 0, 0]);
    content.extend(header([1, 3, 0, 0, start + 64 * count, name.len() as u64, 0, 0, 1, 0]));
    content.extend(header([1, 1, 2, 0x1000, 0, 1, 0, 0, 1, 0]).repeat(count as usize - 2));
    content.extend(name);
    let mut bytes = elf(&[segment(1, 5, 0, 4096)], &content, start);
    // e_shnum 0: it stands in the first header; e_shstrndx 1.
    bytes[60..62].copy_from_slice(&[0, 0]);
    bytes[62..64].copy_from_slice(&[1, 0]);
    bytes
}

/// `count` notes of `size` bytes.
fn notes(count: usize, size: usize) -> Vec<u8> {
    let note =
        [&4_u32.to_le_bytes()[..], &(size as u32).to_le_bytes(), &[1, 0, 0, 0], b"GNU\0", &vec![b'x'; size]];
    let content = note.concat().repeat(count);
    let start = 64 + 2 * 56;
    elf(&[segment(1, 5, 0, 4096), segment(4, 4, start, content.len() as u64)], &content, 0)
}
