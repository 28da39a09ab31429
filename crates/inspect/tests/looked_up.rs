//! Which imports a loader looks up, beside readelf's list of relocations.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

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
