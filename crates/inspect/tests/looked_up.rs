//! Which imports a loader looks up, beside readelf's list of relocations.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use inspect::facts::Binary;
use xshell::{Shell, cmd};

/// Programs and libraries of this machine, and libraries for AArch64, in order of their paths.
fn files() -> Vec<PathBuf> {
    let folders = [("/usr/bin", 20), ("/usr/lib/x86_64-linux-gnu", 10), ("/usr/aarch64-linux-gnu/lib", 1)];
    let mut files = vec![std::env::current_exe().unwrap()];
    for (folder, each) in folders {
        let entries = fs::read_dir(folder).expect("Debian: apt-get install libc6-arm64-cross");
        let mut found: Vec<_> =
            entries.map(|entry| entry.unwrap().path()).filter(|path| !path.is_symlink()).collect();
        found.sort_unstable();
        files.extend(found.into_iter().step_by(each));
    }
    files
}

/// The names, without versions, that `readelf -r` gives after address, information, type and value.
fn named(relocations: &str) -> BTreeSet<String> {
    let bare = |name: &str| name.split('@').next().map(str::to_owned);
    let rows = relocations.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let rows = rows.filter(|row| row.len() > 4 && u64::from_str_radix(row[0], 16).is_ok());
    rows.filter_map(|row| bare(row[4])).collect()
}

#[test]
fn a_loader_looks_up_what_relocations_name() {
    let shell = Shell::new().unwrap();
    let (mut compared, mut left_out) = (0, 0);
    for path in files() {
        let Ok(linkage) =
            fs::read(&path).map_err(|_| ()).and_then(|bytes| inspect::elf_linkage(&bytes).map_err(|_| ()))
        else {
            continue;
        };
        if linkage.imports.is_empty() {
            continue;
        }
        let relocations = cmd!(shell, "readelf -rW {path}").quiet().ignore_stderr().read();
        let named = named(&relocations.expect("readelf runs: apt-get install binutils"));
        assert_eq!(linkage.looked_up.len(), linkage.imports.len());
        for (import, looked_up) in linkage.imports.iter().zip(&linkage.looked_up) {
            assert_eq!(*looked_up, named.contains(&import.name), "{}: {}", path.display(), import.name);
            compared += 1;
            left_out += usize::from(!looked_up);
        }
    }
    assert!(compared > 1000, "{compared} imports compared");
    assert!(left_out > 0, "this very program, of Rust, has __tls_get_addr, which the linker needed no more");
}

/// `__tls_get_addr` of this very program is not looked up; it is where nobody can tell.
#[test]
fn where_relocations_are_not_all_read_everything_is_looked_up() {
    const DT_DEBUG: u64 = 21;
    let bytes = fs::read(std::env::current_exe().unwrap()).unwrap();
    let all =
        |bytes: &[u8]| inspect::elf_linkage(bytes).unwrap().looked_up.iter().all(|looked_up| *looked_up);
    assert!(!all(&bytes));
    let changed = |at: usize, value: &[u8]| {
        let mut bytes = bytes.clone();
        bytes[at..at + value.len()].copy_from_slice(value);
        bytes
    };
    let mips = 8_u16.to_le_bytes();
    assert!(all(&changed(18, &mips)), "MIPS has slots without relocations");

    let Binary::Elf(elf) = inspect::inspect(&bytes).unwrap().binary else {
        panic!("tests are built for Linux")
    };
    let dynamic = elf.segments.iter().find(|segment| segment.kind == 2).unwrap().offset as usize;
    let entry = |tag: u64| {
        let position = elf.dynamic.iter().position(|entry| entry.tag as u64 == tag).unwrap();
        dynamic + 16 * position
    };
    for tag in [0x6000_000f_u64, 0x6000_0011, 0x4000_0026] {
        assert!(all(&changed(entry(DT_DEBUG), &tag.to_le_bytes())), "{tag:#x}");
    }
    let (table, size) = (entry(7), entry(8) + 8);
    // The last entry that the file has room for, and more of them.
    let data = elf.segments.iter().rfind(|segment| segment.kind == 1).unwrap();
    let last = data.virtual_address + data.file_size - 24;
    let mut longer = changed(table + 8, &last.to_le_bytes());
    longer[size..size + 8].copy_from_slice(&48_u64.to_le_bytes());
    assert!(all(&longer), "longer than the file");
    longer[size..size + 8].copy_from_slice(&24_u64.to_le_bytes());
    assert!(!all(&longer));
    assert!(all(&changed(table + 8, &(1_u64 << 40).to_le_bytes())), "outside of the file");
}
