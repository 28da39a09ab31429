//! What GNU objdump, built for mingw, prints of PE files for x86.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use xshell::{Shell, cmd};

use crate::{Reading, Table};

/// It was built for two of the machines that PE files are for.
const MACHINES: [&[u8]; 2] = [&[0x4c, 0x01], &[0x64, 0x86]];

pub(crate) fn read(files: &[PathBuf]) -> Reading {
    let shell = Shell::new().unwrap();
    let mut tables = BTreeMap::new();
    for path in files.iter().filter(|path| for_x86(path)) {
        let output = cmd!(shell, "x86_64-w64-mingw32-objdump -p {path}")
            .env("LC_ALL", "C")
            .quiet()
            .ignore_status()
            .output()
            .expect("objdump runs: apt-get install binutils-mingw-w64-x86-64");
        let text = String::from_utf8_lossy(&output.stdout);
        let read = text.contains("The Data Directory").then(|| table(&text));
        tables.insert(path.clone(), read.ok_or_else(|| String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    Reading { reader: "objdump", tables }
}

fn for_x86(path: &Path) -> bool {
    let bytes = fs::read(path).unwrap_or_default();
    let header = bytes.get(0x3c..0x40).map(|bytes| u32::from_le_bytes(bytes.try_into().unwrap()) as usize);
    let machine = header.and_then(|header| bytes.get(header.checked_add(4)?..header.checked_add(6)?));
    machine.is_some_and(|machine| MACHINES.contains(&machine))
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
    table
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
