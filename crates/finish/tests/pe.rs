//! Finished PE programs, judged by binutils, `file`, and the checksum's definition.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use artifact::Target;
use seaworthy_finish::{ErrorKind, FinishOptions, Subsystem};
use support::{COMMIT_TIME, address_of, c_program, finish_into, finished, needs, rust_program, shell};
use tempfile::TempDir;
use xshell::cmd;

const TARGET: Target = Target::X86_64Windows;

#[test]
fn a_c_program_is_finished() {
    let folder = TempDir::new().unwrap();
    let program = c_program(TARGET, folder.path(), &[]);
    judge(&program, folder.path());
}

#[test]
fn a_rust_program_is_finished_and_much_smaller() {
    let folder = TempDir::new().unwrap();
    let program = rust_program(TARGET, folder.path());
    judge(&program, folder.path());
    let [before, after] =
        [&program, &folder.path().join("out/prog.exe")].map(|path| fs::metadata(path).unwrap().len());
    assert!(after * 10 <= before * 7, "{before} -> {after} bytes: at least 30 % smaller");
}

/// Everything that must hold, by tools that share no code with this crate.
fn judge(program: &Path, folder: &Path) {
    let options = FinishOptions { subsystem: Some(Subsystem::Gui), ..FinishOptions::default() };
    let artifact = finished(TARGET, program, &folder.join("out"), options.clone());
    let again = finished(TARGET, program, &folder.join("again"), options);
    assert_eq!(again.digest(), artifact.digest(), "the same bytes every time");
    let edits = &artifact.stage().edits;
    assert!(edits.iter().all(|edit| (edit.bytes_saved > 0) == (edit.name == "strip-symbols")), "{edits:?}");
    let (after, symbols) = (artifact.path(), artifact.stage().symbols.clone().expect("symbols were split"));

    needs("x86_64-w64-mingw32-objdump", "binutils-mingw-w64-x86-64");
    let shell = shell();
    let headers = cmd!(shell, "x86_64-w64-mingw32-objdump -p {after}").env("TZ", "UTC").read().unwrap();
    assert!(headers.contains("(Windows GUI)"), "{headers}");
    for bit in ["HIGH_ENTROPY_VA", "DYNAMIC_BASE", "NX_COMPAT"] {
        assert!(headers.contains(bit), "{bit} is missing: {headers}");
    }
    assert!(headers.contains("Tue Nov 14 22:13:20 2023"), "{headers}");
    let bytes = fs::read(after).unwrap();
    let sum = format!("CheckSum\t\t{:08x}", checksum(&bytes));
    assert!(headers.contains(&sum), "{sum}: {headers}");
    assert_eq!(stamp(&bytes), COMMIT_TIME as u32);

    let told = cmd!(shell, "file -b {after}").read().unwrap();
    assert!(told.contains("(GUI)") && told.contains("stripped"), "{told}");
    assert!(!objdump_sections(after).contains(".debug_"));
    assert_eq!(contents(program), contents(after), "kept sections keep address and bytes");

    let address = address_of("x86_64-w64-mingw32-nm", program, "work");
    let resolve =
        |file: &Path| cmd!(shell, "x86_64-w64-mingw32-addr2line -f -e {file} {address}").read().unwrap();
    let answer = resolve(program);
    assert!(answer.contains("work") && answer.contains("program."), "{answer}");
    assert_eq!(resolve(&symbols), answer);
    // The finished file leads there by itself: addr2line follows its debug link, checksum included.
    assert!(objdump_sections(after).contains(".gnu_debuglink"));
    assert_eq!(resolve(after).lines().last(), answer.lines().last());
}

fn objdump_sections(file: &Path) -> String {
    let shell = shell();
    cmd!(shell, "x86_64-w64-mingw32-objdump -h {file}").read().unwrap()
}

/// Name, address and bytes of what both files must share, as objdump disassembles and dumps it.
fn contents(file: &Path) -> Vec<String> {
    let shell = shell();
    let kept = [".text", ".data", ".rdata", ".pdata", ".xdata", ".idata", ".CRT", ".tls", ".reloc"];
    kept.iter()
        .map(|name| {
            let dump = cmd!(shell, "x86_64-w64-mingw32-objdump -s -j {name} {file}").read().unwrap();
            dump.lines().skip(2).collect::<Vec<_>>().join("\n")
        })
        .collect()
}

/// The definition: the sum of all 16-bit words with its carries folded in, without the field itself, plus the length.
fn checksum(file: &[u8]) -> u32 {
    let field = header(file) + 24 + 64;
    let mut padded = file.to_vec();
    padded[field..field + 4].fill(0);
    padded.resize(file.len().next_multiple_of(2), 0);
    let words = padded.chunks_exact(2).map(|word| u64::from(u16::from_le_bytes([word[0], word[1]])));
    let mut sum: u64 = words.sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u32 + file.len() as u32
}

fn header(file: &[u8]) -> usize {
    u32::from_le_bytes(file[0x3c..0x40].try_into().unwrap()) as usize
}

fn stamp(file: &[u8]) -> u32 {
    let at = header(file) + 8;
    u32::from_le_bytes(file[at..at + 4].try_into().unwrap())
}

#[test]
fn a_program_without_relocations_is_refused() {
    let folder = TempDir::new().unwrap();
    let built = c_program(TARGET, folder.path(), &[]);
    let (out, bare) = (folder.path().join("out"), folder.path().join("bare"));
    let shell = shell();
    cmd!(shell, "x86_64-w64-mingw32-strip -R .reloc -o {bare} {built}").run().unwrap();
    let error = finish_into(TARGET, &bare, &out, FinishOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoRelocations);
    assert!(error.hint().is_some());
    // The flag alone is enough: the loader believes it.
    let mut bytes = fs::read(&built).unwrap();
    let characteristics = header(&bytes) + 22;
    bytes[characteristics] |= 1;
    fs::write(&bare, bytes).unwrap();
    let error = finish_into(TARGET, &bare, &out, FinishOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoRelocations);
    assert!(!out.exists());
}

#[test]
fn bits_that_the_linker_left_out_are_set() {
    let folder = TempDir::new().unwrap();
    let program = c_program(TARGET, folder.path(), &[]);
    let mut bytes = fs::read(&program).unwrap();
    let bits = header(&bytes) + 24 + 70;
    bytes[bits..bits + 2].fill(0);
    fs::write(&program, bytes).unwrap();
    let artifact = finished(TARGET, &program, &folder.path().join("out"), FinishOptions::default());
    let edits = &artifact.stage().edits;
    let edit = edits.iter().find(|edit| edit.name == "mitigations").expect("listed");
    assert_eq!(edit.detail, "0x0000 -> 0x0160");
}

#[test]
fn signed_and_appended_files_and_needed_sections_are_refused() {
    let folder = TempDir::new().unwrap();
    let program = c_program(TARGET, folder.path(), &[]);
    let good = fs::read(&program).unwrap();
    let refused = |bytes: &[u8], options: FinishOptions| {
        fs::write(&program, bytes).unwrap();
        finish_into(TARGET, &program, &folder.path().join("out"), options).unwrap_err().kind()
    };
    let mut signed = good.clone();
    let certificates = header(&signed) + 24 + 112 + 4 * 8;
    signed[certificates..certificates + 8].copy_from_slice(&[0, 2, 0, 0, 8, 0, 0, 0]);
    assert_eq!(refused(&signed, FinishOptions::default()), ErrorKind::Signed);
    let appended = [&good[..], b"payload"].concat();
    assert_eq!(refused(&appended, FinishOptions::default()), ErrorKind::Unsupported);
    for name in [".reloc", ".idata", ".text"] {
        let options = FinishOptions { drop_sections: vec![name.to_owned()], ..FinishOptions::default() };
        assert_eq!(refused(&good, options), ErrorKind::SectionNeeded, "{name}");
    }
}

#[test]
fn neighbours_are_merged_and_keep_every_address_and_byte() {
    let folder = TempDir::new().unwrap();
    let program = c_program(TARGET, folder.path(), &[]);
    let merge = |from: &str, into: &str| FinishOptions {
        merge_sections: BTreeMap::from([(from.to_owned(), into.to_owned())]),
        ..FinishOptions::default()
    };
    let plain = finished(TARGET, &program, &folder.path().join("plain"), FinishOptions::default());
    let merged = finished(TARGET, &program, &folder.path().join("merged"), merge(".pdata", ".rdata"));
    let edit = merged.stage().edits.iter().find(|edit| edit.name == "merge-sections").expect("listed");
    assert!(edit.detail.starts_with(".pdata into .rdata: "), "{}", edit.detail);
    let sections = objdump_sections(merged.path());
    assert!(sections.contains(" .rdata ") && !sections.contains(" .pdata "), "{sections}");

    // What the loader maps is the same, byte for byte: objcopy lays both out as memory.
    let memory = |file: &Path| {
        let (shell, image) = (shell(), folder.path().join("memory"));
        cmd!(shell, "x86_64-w64-mingw32-objcopy -O binary -R .gnu_debuglink {file} {image}").run().unwrap();
        fs::read(image).unwrap()
    };
    assert!(memory(merged.path()) == memory(plain.path()), "memory differs");
    let shell = shell();
    let functions = |file: &Path| {
        let text = cmd!(shell, "x86_64-w64-mingw32-objdump -p {file}").read().unwrap();
        text.lines()
            .filter(|line| line.contains("Exception Directory"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(functions(merged.path()), functions(plain.path()));

    for (from, into, why) in
        [(".rdata", ".text", "right behind"), (".data", ".text", "written to"), (".idata", ".bss", "file")]
    {
        let error = finish_into(TARGET, &program, &folder.path().join("refused"), merge(from, into));
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SectionsApart, "{from}");
        assert!(error.to_string().contains(why) || error.to_string().contains("written to"), "{error}");
    }
}
