//! Damaged files through the real program: never passed, exit code 2, within 2 seconds and 64 MiB.
#![expect(clippy::disallowed_methods, reason = "the tests start the real program and measure what it costs")]

use std::fs;
use std::path::Path;
use std::process::Command;

use support::{Ended, ended, repository, xtask};

fn fixture(name: &str) -> Vec<u8> {
    let path = repository().join("crates/verify/tests/fixtures").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// `verify` of a file with these bytes, whatever it costs.
fn verified(folder: &Path, name: &str, bytes: &[u8]) -> Ended {
    let file = folder.join(name);
    fs::write(&file, bytes).unwrap();
    // The seconds and KiB that it took come last on standard error.
    let mut measured = Command::new("/usr/bin/time");
    measured.args(["--quiet", "-f", "%e %M"]).arg(xtask()).args(["verify", "--preset", "distro"]);
    ended(measured.arg(&file).current_dir(folder))
}

#[track_caller]
fn assert_unreadable(ended: &Ended, part: &str) {
    assert_eq!(ended.code, Some(2), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("SW-READABLE"), "{}", ended.stdout);
    assert!(ended.stdout.contains(part), "`{part}` is not in {}", ended.stdout);
    let cost = ended.stderr.lines().last().and_then(|line| line.split_once(' '));
    let (seconds, kibibytes) = cost.expect("`time` tells both: apt-get install time");
    assert!(seconds.parse::<f64>().unwrap() < 2.0, "{seconds} s");
    assert!(kibibytes.parse::<u64>().unwrap() < 64 * 1024, "{kibibytes} KiB");
}

/// Case 30 of `crates/verify/tests/gate/cases.rs`.
#[test]
fn case_30_a_file_cut_in_half_ends_with_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["aarch64-glibc", "aarch64-musl", "x86_64-console.exe", "x86_64-hardened.exe"] {
        let whole = fixture(name);
        let half = verified(folder.path(), name, &whole[..whole.len() / 2]);
        assert_unreadable(&half, &format!("{:#x}", whole.len() / 2));
    }
}

/// Case 30: one number in a section header.
#[test]
fn case_30_a_section_past_the_end_ends_with_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let mut elf = fixture("aarch64-glibc");
    // The size of section 1 (ELF gABI, Sections: sh_size) of a 64-bit file.
    let sections = u64::from_le_bytes(elf[40..48].try_into().unwrap()) as usize;
    elf[sections + 64 + 32..][..8].copy_from_slice(&0x7fff_ffff_u64.to_le_bytes());
    assert_unreadable(&verified(folder.path(), "elf", &elf), "section");
    let mut pe = fixture("x86_64-console.exe");
    let first = first_section(&pe);
    put(&mut pe, first + 20, 0x7fff_fe00);
    assert_unreadable(&verified(folder.path(), "pe.exe", &pe), "section");
}

/// Case 30: like Corkami's `manyimportsW7.exe`, a megabyte in which thousands of libraries share one long table.
#[test]
fn case_30_millions_of_imports_end_with_exit_code_2_and_cost_little() {
    let folder = tempfile::tempdir().unwrap();
    let mut pe = fixture("x86_64-console.exe");
    let header = number(&pe, 0x3c) as usize;
    let sections = u16::from_le_bytes([pe[header + 6], pe[header + 7]]);
    let last = first_section(&pe) + 40 * (usize::from(sections) - 1);
    pe.resize(pe.len().next_multiple_of(512), 0);
    let (raw, address) = (pe.len() as u32, 0x10_0000_u32);
    let (libraries, functions) = (20_000_u32, 60_000_u32);
    let names = address + 20 * (libraries + 1);
    let table = names + 16;
    for _ in 0..libraries {
        // OriginalFirstThunk, TimeDateStamp, ForwarderChain, Name, FirstThunk.
        pe.extend([table, 0, 0, names, table].into_iter().flat_map(u32::to_le_bytes));
    }
    pe.extend([0; 20]);
    pe.extend(b"a.dll\0\0\0\0\0f\0\0\0\0\0");
    for _ in 0..functions {
        pe.extend(u64::from(names + 8).to_le_bytes());
    }
    pe.extend([0; 8]);
    let size = pe.len() as u32 - raw;
    for (field, value) in [(8, size), (12, address), (16, size), (20, raw)] {
        put(&mut pe, last + field, value);
    }
    // The import directory is the second one of PE32+.
    put(&mut pe, header + 24 + 112 + 8, address);
    put(&mut pe, header + 24 + 112 + 12, 20 * (libraries + 1));
    assert_unreadable(&verified(folder.path(), "many.exe", &pe), "imports: more than");
}

fn first_section(pe: &[u8]) -> usize {
    let header = number(pe, 0x3c) as usize;
    header + 24 + usize::from(u16::from_le_bytes([pe[header + 20], pe[header + 21]]))
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn put(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}
