//! What GNU objdump prints: of ELF files the machine's own, of PE files those that are built for their processors.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use xshell::{Shell, cmd};

use crate::ours::sorted;
use crate::{Reading, Table, readelf};

/// An objdump and the Debian package it is in, by what stands in a PE file's `Machine`.
const FOR_MACHINE: [(u16, &str, &str); 3] = [
    (0x14c, "x86_64-w64-mingw32-objdump", "binutils-mingw-w64-x86-64"),
    (0x8664, "x86_64-w64-mingw32-objdump", "binutils-mingw-w64-x86-64"),
    (0xaa64, "aarch64-linux-gnu-objdump", "binutils-aarch64-linux-gnu"),
];

/// Reads PE files.
pub(crate) fn read(files: &[PathBuf]) -> Reading {
    let shell = Shell::new().unwrap();
    let mut tables = BTreeMap::new();
    for path in files {
        let machine = machine(path);
        let Some((_, program, package)) = FOR_MACHINE.iter().find(|row| Some(row.0) == machine) else {
            continue;
        };
        let output = cmd!(shell, "{program} -p {path}")
            .env("LC_ALL", "C")
            .quiet()
            .ignore_status()
            .output()
            .unwrap_or_else(|error| panic!("{program} runs: apt-get install {package}: {error}"));
        let text = String::from_utf8_lossy(&output.stdout);
        let read = text.contains("The Data Directory").then(|| table(&text));
        tables.insert(path.clone(), read.ok_or_else(|| String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    Reading { reader: "objdump", tables }
}

fn machine(path: &Path) -> Option<u16> {
    let bytes = fs::read(path).ok()?;
    let header = u32::from_le_bytes(bytes.get(0x3c..0x40)?.try_into().ok()?) as usize;
    let machine = bytes.get(header.checked_add(4)?..header.checked_add(6)?)?;
    Some(u16::from_le_bytes(machine.try_into().ok()?))
}

/// Reads ELF files: the private headers, which BFD reads for processors that this objdump was not built for, too.
pub(crate) fn read_elf(files: &[PathBuf]) -> Reading {
    let shell = Shell::new().unwrap();
    let text = cmd!(shell, "objdump -p {files...}")
        .env("LC_ALL", "C")
        .quiet()
        .ignore_status()
        .ignore_stderr()
        .output()
        .expect("objdump runs: apt-get install binutils");
    let text = String::from_utf8_lossy(&text.stdout);
    let mut tables = BTreeMap::new();
    let mut rest = &*text;
    for path in files.iter().rev() {
        let title = format!("\n{}:     file format ", path.display());
        let Some((before, part)) = rest.rsplit_once(&title) else {
            tables.insert(path.clone(), Err("objdump printed nothing".to_owned()));
            continue;
        };
        tables.insert(path.clone(), Ok(table_of_elf(part)));
        rest = before;
    }
    Reading { reader: "objdump", tables }
}

fn table_of_elf(text: &str) -> Table {
    let mut table = Table::new();
    let mut put = |name: &str, texts: Vec<String>| table.insert(name.to_owned(), texts);
    put("segments", segments(part(text, "Program Header:")));
    let dynamic = part(text, "Dynamic Section:");
    for (fact, tag) in
        [("needed", "NEEDED"), ("soname", "SONAME"), ("rpath", "RPATH"), ("runpath", "RUNPATH")]
    {
        let entries = dynamic.lines().filter_map(|line| line.strip_prefix("  ")?.strip_prefix(tag));
        put(
            fact,
            entries.filter(|text| text.starts_with(' ')).map(|text| text.trim_start().to_owned()).collect(),
        );
    }
    // `1 0x01 0x0bbd0d71 libblkid.so.1`, and parents' names below it.
    let defined = part(text, "Version definitions:").lines().filter(|line| !line.starts_with('\t'));
    let defined = defined.map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let number = words.first().and_then(|word| word.parse::<u64>().ok());
        let flags = words.get(1).map_or("?".to_owned(), |flags| readelf::hexadecimal(flags));
        format!("{} {flags} {:#x}", words.get(3).unwrap_or(&"?"), number.unwrap_or(u64::MAX))
    });
    put("versions defined", defined.collect());
    let mut library = "?";
    let mut needed = Vec::new();
    for line in part(text, "Version References:").lines() {
        if let Some(name) = line.strip_prefix("  required from ") {
            library = name.trim_end_matches(':');
            continue;
        }
        // `    0x06969185 0x00 16 GLIBC_2.25`
        let words: Vec<_> = line.split_whitespace().collect();
        if let [hash, flags, index, name] = words.as_slice() {
            let [hash, flags] = [hash, flags].map(|word| readelf::hexadecimal(word));
            let index = index.parse::<u64>().unwrap_or(u64::MAX);
            needed.push(format!("{library} {name} {hash} {flags} {index:#x}"));
        }
    }
    put("versions needed", needed);
    table
}

/// The lines below a title, up to an empty one.
fn part<'a>(text: &'a str, title: &str) -> &'a str {
    let rest = text.split_once(&format!("\n{title}\n")).map_or("", |(_, rest)| rest);
    rest.split_once("\n\n").map_or(rest, |(part, _)| part)
}

/// `    LOAD off    0x… vaddr 0x… paddr 0x… align 2**16`, and a second line `filesz 0x… memsz 0x… flags r-x`.
fn segments(text: &str) -> Vec<String> {
    let lines: Vec<_> = text.lines().collect();
    let segments = lines.chunks(2).map(|pair| {
        let words: Vec<_> = pair.iter().flat_map(|line| line.split_whitespace()).collect();
        let after = |name: &str| {
            words.iter().position(|word| *word == name).and_then(|at| words.get(at + 1).copied())
        };
        let number = |name: &str| after(name).map_or("?".to_owned(), readelf::hexadecimal);
        let names = [("STACK", "GNU_STACK"), ("RELRO", "GNU_RELRO"), ("EH_FRAME", "GNU_EH_FRAME")];
        let kind = words.first().copied().unwrap_or("?");
        let kind = names.iter().find(|(name, _)| *name == kind).map_or(kind, |(_, name)| name);
        let kind =
            if kind.starts_with("0x") { readelf::hexadecimal(kind) } else { readelf::segment_type(kind) };
        let bits = [('r', 4), ('w', 2), ('x', 1)].map(|(letter, bit)| {
            if after("flags").is_some_and(|flags| flags.contains(letter)) { bit } else { 0 }
        });
        let alignment = after("align").and_then(|text| text.strip_prefix("2**")?.parse::<u32>().ok());
        let numbers = ["off", "vaddr", "paddr", "filesz", "memsz"].map(number).join(" ");
        format!(
            "{kind} {:#x} {numbers} {:#x}",
            bits.iter().sum::<u32>(),
            alignment.map_or(0, |bits| 1_u64 << bits)
        )
    });
    segments.collect()
}

fn table(text: &str) -> Table {
    let field = |name: &str| {
        let line = text.lines().find(|line| line.split_whitespace().next() == Some(name));
        line.and_then(|line| line.split_whitespace().nth(1)).unwrap_or("?")
    };
    let hexadecimal = |name: &str| format!("{:#x}", u64::from_str_radix(field(name), 16).unwrap_or(u64::MAX));
    let decimal = |name: &str| format!("{:#x}", field(name).parse::<u64>().unwrap_or(u64::MAX));
    let mut table = Table::new();
    let mut put = |name: &str, texts: Vec<String>| table.insert(name.to_owned(), texts);
    let joined =
        |names: &[&str]| vec![names.iter().map(|name| hexadecimal(name)).collect::<Vec<_>>().join(" ")];
    put("magic", joined(&["Magic"]));
    put("entry", joined(&["AddressOfEntryPoint"]));
    put("image base", joined(&["ImageBase"]));
    put("alignments", joined(&["SectionAlignment", "FileAlignment"]));
    put("sizes", joined(&["SizeOfImage", "SizeOfHeaders"]));
    put("checksum", joined(&["CheckSum"]));
    put("subsystem", joined(&["Subsystem"]));
    put("DLL characteristics", joined(&["DllCharacteristics"]));
    let memory = ["SizeOfStackReserve", "SizeOfStackCommit", "SizeOfHeapReserve", "SizeOfHeapCommit"];
    put("stack and heap", joined(&memory));
    put("linker version", vec![["MajorLinkerVersion", "MinorLinkerVersion"].map(decimal).join(" ")]);
    let versions = [
        "MajorOSystemVersion",
        "MinorOSystemVersion",
        "MajorImageVersion",
        "MinorImageVersion",
        "MajorSubsystemVersion",
        "MinorSubsystemVersion",
    ];
    put("versions", vec![versions.map(decimal).join(" ")]);
    let characteristics = text.lines().find_map(|line| line.strip_prefix("Characteristics "));
    put("characteristics", characteristics.map(str::to_owned).into_iter().collect());
    let entries = text.lines().filter_map(|line| line.strip_prefix("Entry "));
    let entries = entries.map(|line| {
        let numbers = line.split_whitespace().skip(1).take(2).map(|text| u64::from_str_radix(text, 16));
        numbers.map(|number| format!("{:#x}", number.unwrap_or(u64::MAX))).collect::<Vec<_>>().join(" ")
    });
    put("directories", entries.collect());
    let (libraries, imports) = imports(text);
    put("libraries", libraries);
    put("imports", imports);
    put("exports", exports(text));
    put("base relocations", base_relocations(text));
    table
}

/// `\t[   0] __chk_fail` below the title of the table of names.
fn exports(text: &str) -> Vec<String> {
    let names = text.split_once("\n[Ordinal/Name Pointer] Table\n").map_or("", |(_, rest)| rest).lines();
    let names = names.take_while(|line| line.starts_with("\t["));
    sorted(names.filter_map(|line| Some(line.split_once("] ")?.1.to_owned())))
}

/// Blocks, and their entries that are not padding.
fn base_relocations(text: &str) -> Vec<String> {
    let Some((_, rest)) = text.split_once("\nPE File Base Relocations ") else {
        return vec!["0x0 0x0".to_owned()];
    };
    let blocks = rest.lines().filter(|line| line.starts_with("Virtual Address: ")).count();
    let entries =
        rest.lines().filter(|line| line.starts_with("\treloc ") && !line.ends_with("ABSOLUTE")).count();
    vec![format!("{blocks:#x} {entries:#x}")]
}

/// `DLL Name: advapi32.dll`, a title, then `vma hint name` lines up to an empty one.
fn imports(text: &str) -> (Vec<String>, Vec<String>) {
    let (mut libraries, mut imports) = (Vec::new(), Vec::new());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(library) = line.trim_start().strip_prefix("DLL Name: ") else { continue };
        libraries.push(library.to_owned());
        for line in lines.by_ref().skip(1).take_while(|line| !line.is_empty()) {
            let words: Vec<_> = line.split_whitespace().collect();
            match words.as_slice() {
                [_, ordinal, "<none>", ..] => imports.push(format!("{library} #{}", number(ordinal))),
                [_, _, name, ..] => imports.push(format!("{library} {name}")),
                _ => {}
            }
        }
    }
    (libraries, imports)
}

/// An ordinal, which it writes in decimal for PE32 and, with nine digits, in hexadecimal for PE32+.
fn number(ordinal: &str) -> u64 {
    let radix = if ordinal.len() == 9 { 16 } else { 10 };
    u64::from_str_radix(ordinal, radix).unwrap_or(u64::MAX)
}
