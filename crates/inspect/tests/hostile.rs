//! Cut, bent and inflated files: an answer in bounded time, never a panic.

use std::fs;
use std::time::{Duration, Instant};

use inspect::ErrorKind;
use inspect::facts::Binary;
use xshell::{Shell, cmd};

/// A small ELF and a small PE file, linked here.
fn samples() -> [Vec<u8>; 2] {
    let shell = Shell::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (source, elf, pe) =
        (folder.path().join("a.c"), folder.path().join("a.elf"), folder.path().join("a.exe"));
    fs::write(&source, "#include <stdio.h>\nint main(void) { return puts(\"hello\"); }\n").unwrap();
    cmd!(shell, "cc -s -o {elf} {source}").quiet().run().expect("cc links: apt-get install gcc libc6-dev");
    cmd!(shell, "x86_64-w64-mingw32-gcc -s -o {pe} {source}")
        .quiet()
        .run()
        .expect("mingw links: apt-get install gcc-mingw-w64-x86-64");
    [fs::read(elf).unwrap(), fs::read(pe).unwrap()]
}

#[test]
fn a_file_cut_anywhere_is_an_error_or_an_anomaly() {
    for sample in samples() {
        let whole = inspect::inspect(&sample).unwrap();
        assert!(whole.anomalies.is_empty(), "{:?}", whole.anomalies);
        for length in (0..sample.len().min(4096)).chain((4096..sample.len()).step_by(97)) {
            match inspect::inspect(&sample[..length]) {
                Ok(facts) => {
                    assert!(!facts.anomalies.is_empty(), "cut at {length} of {} goes unseen", sample.len())
                }
                Err(error) => assert!(
                    matches!(
                        error.kind(),
                        ErrorKind::Truncated | ErrorKind::NotAProgram | ErrorKind::Malformed
                    ),
                    "{error:?}"
                ),
            }
        }
    }
}

#[test]
fn bent_bytes_never_panic_and_never_take_long() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for sample in samples() {
        for _ in 0..3000 {
            let mut bent = sample.clone();
            for _ in 0..=random() % 8 {
                // Most fields that matter are at the front.
                let range = if random().is_multiple_of(4) { bent.len() } else { 1024 };
                let at = random() as usize % range;
                bent[at] = if random().is_multiple_of(3) { 0xff } else { random() as u8 };
            }
            let begun = Instant::now();
            if let Ok(facts) = inspect::inspect(&bent) {
                inspect::dump(&facts);
            }
            assert!(
                begun.elapsed() < Duration::from_secs(10),
                "bounded work takes milliseconds, this took {:?}",
                begun.elapsed()
            );
        }
    }
}

#[test]
fn millions_of_imports_hit_the_cap_and_say_so() {
    let [_, mut pe] = samples();
    // One lookup table that fills the rest of a larger file, every entry naming the same function.
    let header = u32::from_le_bytes(pe[0x3c..0x40].try_into().unwrap()) as usize;
    let optional_size = usize::from(u16::from_le_bytes(pe[header + 20..header + 22].try_into().unwrap()));
    let first_section = header + 24 + optional_size;
    let count = usize::from(u16::from_le_bytes(pe[header + 6..header + 8].try_into().unwrap()));
    let last = first_section + 40 * (count - 1);
    let raw = pe.len().next_multiple_of(512);
    pe.resize(raw, 0);
    let address: u32 = 0x10_0000;
    let mut table = Vec::new();
    table.extend_from_slice(&(address + 64).to_le_bytes()); // OriginalFirstThunk
    table.extend_from_slice(&[0; 8]);
    table.extend_from_slice(&(address + 48).to_le_bytes()); // Name
    table.extend_from_slice(&(address + 64).to_le_bytes()); // FirstThunk
    table.resize(48, 0);
    table.extend_from_slice(b"a.dll\0");
    table.resize(64, 0);
    for _ in 0..2_000_000 {
        table.extend_from_slice(&u64::from(address + 46).to_le_bytes());
    }
    pe.extend_from_slice(&table);
    let write =
        |pe: &mut Vec<u8>, at: usize, value: u32| pe[at..at + 4].copy_from_slice(&value.to_le_bytes());
    write(&mut pe, last + 8, table.len() as u32);
    write(&mut pe, last + 12, address);
    write(&mut pe, last + 16, table.len() as u32);
    write(&mut pe, last + 20, raw as u32);
    write(&mut pe, header + 24 + 112 + 8, address);
    write(&mut pe, header + 24 + 112 + 12, 40);

    let facts = inspect::inspect(&pe).unwrap();
    assert!(
        facts
            .anomalies
            .iter()
            .any(|anomaly| anomaly.part == "imports" && anomaly.detail.contains("more than")),
        "{:?}",
        facts.anomalies
    );
    let Binary::Pe(read) = facts.binary else { panic!("a PE file") };
    assert!(read.imports.iter().map(|import| import.functions.len()).sum::<usize>() <= 150_000);
}

#[test]
fn more_relocations_than_are_looked_at_are_told() {
    const LOOKED_AT: u64 = 4 << 20;
    // Ten that DT_RELACOUNT counts; then packed ones: an address, bitmaps of 63 each, and addresses for the rest.
    for (count, told) in [(LOOKED_AT - 10, false), (LOOKED_AT - 9, true)] {
        let mut packed = vec![0x1000_u64];
        packed.extend(vec![u64::MAX; ((count - 1) / 63) as usize]);
        packed.resize(packed.len() + ((count - 1) % 63) as usize, 0x1000);
        let (dynamic, relative) = (64 + 2 * 56, 64 + 2 * 56 + 7 * 16);
        let (table, size) = (relative + 240, 8 * packed.len() as u64);
        let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0\x01\0\0\0".to_vec();
        // The entry point; program headers; no section headers.
        bytes.extend([0, 64, 0].map(u64::to_le_bytes).concat());
        bytes.extend([0, 0, 64, 56, 2, 64, 0, 0].map(u16::to_le_bytes).concat());
        let whole = table + size;
        // PT_LOAD, readable and writable, then PT_DYNAMIC: type and flags, offset, addresses, sizes, alignment.
        for (kind, offset, size) in [(1_u64, 0, whole), (2, dynamic, 7 * 16)] {
            let words = [6 << 32 | kind, offset, offset, offset, size, size, 8];
            bytes.extend(words.map(u64::to_le_bytes).concat());
        }
        // DT_RELA, DT_RELASZ, DT_RELAENT, DT_RELACOUNT, DT_RELR, DT_RELRSZ, DT_NULL
        let tags = [7, relative, 8, 240, 9, 24, 0x6fff_fff9, 10, 36, table, 35, size, 0, 0];
        bytes.extend(tags.map(u64::to_le_bytes).concat());
        bytes.extend([0x1000_u64, 8, 0].map(u64::to_le_bytes).concat().repeat(10));
        bytes.extend(packed.iter().flat_map(|word| word.to_le_bytes()));

        let facts = inspect::inspect(&bytes).unwrap();
        let more = facts.anomalies.iter().any(|anomaly| anomaly.detail.contains("more than 4194304 of them"));
        assert_eq!(more, told, "{:?}", facts.anomalies);
    }
}
