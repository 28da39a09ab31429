//! GNU readelf's text.

use std::collections::BTreeMap;
use std::path::PathBuf;

use xshell::{Shell, cmd};

use crate::ours::sorted;
use crate::{Reading, Table};

const ARM: u16 = 40;
const X86_64: u16 = 62;

pub(crate) fn read(files: &[PathBuf]) -> Reading {
    let shell = Shell::new().unwrap();
    // An archive member's name in the output would be ambiguous for one file: `-H` prints none, so one is named twice.
    let first = &files[0];
    let text = cmd!(shell, "readelf -hldVnSW --dyn-syms -p .comment -p .gnu_debuglink {first} {files...}")
        .env("LC_ALL", "C")
        .quiet()
        .ignore_status()
        .ignore_stderr()
        .output()
        .expect("readelf runs: apt-get install binutils");
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    let mut tables = BTreeMap::new();
    for part in format!("\n{text}").split("\nFile: ").skip(1) {
        let (name, text) = part.split_once('\n').unwrap_or((part, ""));
        tables.insert(PathBuf::from(name), Ok(table(text)));
    }
    for path in files {
        tables.entry(path.clone()).or_insert_with(|| Err("readelf printed nothing".to_owned()));
    }
    Reading { reader: "readelf", tables }
}

fn table(text: &str) -> Table {
    let mut table = header(text, "Size of program headers", "Size of section headers");
    let mut put = |name: &str, texts: Vec<String>| table.insert(name.to_owned(), texts);
    let flags = field(text, "Flags").map(|flags| flags.split(',').next().unwrap_or_default().to_owned());
    put("flags", flags.into_iter().collect());
    put("section table", sections(text));
    put("segments", segments(text));
    put("interpreter", interpreter(text));
    for (fact, tag) in
        [("needed", "NEEDED"), ("soname", "SONAME"), ("rpath", "RPATH"), ("runpath", "RUNPATH")]
    {
        put(fact, bracketed(text, &format!("({tag})")));
    }
    let tags = text.lines().filter(|line| line.starts_with(" 0x") && line.contains('('));
    let tags = tags.filter_map(|line| u64::from_str_radix(line.trim().get(2..)?.split(' ').next()?, 16).ok());
    put(
        "dynamic tags",
        tags.filter(|tag| *tag != 0).map(|tag| format!("{:#x}", tag & 0xffff_ffff)).collect(),
    );
    let (needed, defined) = versions(text);
    put("versions needed, without hashes", needed);
    put("versions defined", defined);
    let symbols: Vec<_> = text.lines().filter_map(Symbol::parse).collect();
    let imports = || sorted(symbols.iter().filter(|symbol| symbol.undefined).map(Symbol::as_import));
    put("imports", imports());
    // A local symbol is nobody's to bind.
    let bound = symbols.iter().filter(|symbol| symbol.undefined && !symbol.local);
    put("imports of the linkage", sorted(bound.map(Symbol::as_import)));
    let exports = symbols.iter().filter(|symbol| !symbol.undefined && !symbol.local);
    put("exports", sorted(exports.clone().map(|symbol| symbol.bare().to_owned())));
    put(
        "exports with versions",
        sorted(exports.filter(|symbol| symbol.bindable).map(|symbol| symbol.name.clone())),
    );
    put("build ID", build_id(text));
    put("ABI tag", abi_tag(text));
    put("notes, without types", notes(text));
    let after = |words: &str| {
        text.lines().filter_map(|line| Some(line.split_once(words)?.1.trim())).collect::<Vec<_>>()
    };
    put("GNU properties", vec![after(" Properties: ").join(", ")]);
    put("package", after("Packaging Metadata: ").iter().take(1).map(|text| (*text).to_owned()).collect());
    put("comments", dumped(text, ".comment"));
    put("debug link", dumped(text, ".gnu_debuglink").into_iter().take(1).collect());
    table
}

/// `  GNU                  0x00000014`, a tab, `NT_GNU_BUILD_ID (unique build ID bitstring)`: owners and sizes, each pair once.
fn notes(text: &str) -> Vec<String> {
    let lines = text
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("  GA") && line.contains('\t'));
    let mut notes: Vec<_> = lines
        .filter_map(|line| {
            let (owner, size) = line.split_once('\t')?.0.trim().rsplit_once(' ')?;
            let size = size.strip_prefix("0x").filter(|size| size.len() == 8)?;
            Some(format!("{} {}", owner.trim(), hexadecimal(size)))
        })
        .collect();
    notes.sort();
    notes.dedup();
    notes
}

/// The oldest kernel, of a note that is Linux's.
pub(crate) fn abi_tag(text: &str) -> Vec<String> {
    let tag = text.lines().find_map(|line| line.split_once("OS: Linux, ABI: "));
    tag.map(|(_, version)| version.trim().to_owned()).into_iter().collect()
}

/// The facts of the file header that readelf and eu-readelf print alike.
pub(crate) fn header(text: &str, program_headers: &str, section_headers: &str) -> Table {
    let number = |name: &str| field(text, name).and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    let hexadecimal = |value: Option<u64>| value.map(|value| format!("{value:#x}")).into_iter().collect();
    let mut table = Table::new();
    let mut put = |name: &str, texts: Vec<String>| table.insert(name.to_owned(), texts);
    let class = field(text, "Class").and_then(|class| class.strip_prefix("ELF").map(str::to_owned));
    put("class", class.into_iter().collect());
    let data = field(text, "Data").unwrap_or_default();
    put("byte order", vec![if data.contains("big endian") { "big" } else { "little" }.to_owned()]);
    put("ABI version", hexadecimal(number("ABI Version")));
    let kinds = [("REL", 1), ("EXEC", 2), ("DYN", 3), ("CORE", 4)];
    let kind = field(text, "Type").and_then(|text| text.split(' ').next().map(str::to_owned));
    let kind = kinds.iter().find(|(name, _)| kind.as_deref() == Some(name));
    put("type", hexadecimal(kind.map(|(_, number)| *number)));
    let entry = field(text, "Entry point address");
    put("entry", entry.map(|entry| self::hexadecimal(&entry)).into_iter().collect());
    put("program header offset", hexadecimal(number("Start of program headers")));
    put("section header offset", hexadecimal(number("Start of section headers")));
    let sizes = ["Size of this header", program_headers, section_headers].map(number);
    let sizes = sizes.map(|size| format!("{:#x}", size.unwrap_or(u64::MAX)));
    put("header sizes", vec![sizes.join(" ")]);
    put("section name index", hexadecimal(number("Section header string table index")));
    table
}

fn field(text: &str, name: &str) -> Option<String> {
    let line = text
        .lines()
        .find(|line| line.trim_start().strip_prefix(name).is_some_and(|rest| rest.starts_with(':')));
    line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
}

/// `  [ 1] .interp  PROGBITS  0000000000000318 000318 00001c 00   A  0   0  1`, where name and flags may be missing.
fn sections(text: &str) -> Vec<String> {
    let Some((_, rest)) = text.split_once("\nSection Headers:\n") else { return Vec::new() };
    let lines = rest.lines().skip(1).take_while(|line| line.starts_with("  ["));
    lines
        .map(|line| {
            let words: Vec<_> =
                line.split_once(']').map_or("", |(_, rest)| rest).split_whitespace().collect();
            let mut back = words.iter().rev();
            let mut take = || back.next().copied().unwrap_or("?");
            let (alignment, info, link) = (decimal(take()), decimal(take()), decimal(take()));
            let mut size_of_entry = take();
            let mut flags = "";
            if size_of_entry.chars().any(|letter| letter.is_uppercase() || "xoplyv".contains(letter)) {
                (flags, size_of_entry) = (size_of_entry, take());
            }
            let (size, offset, address) = (hexadecimal(take()), hexadecimal(take()), hexadecimal(take()));
            let kind = take();
            let mut name: Vec<_> = back.copied().collect();
            name.reverse();
            let numbers = [address, offset, size, hexadecimal(size_of_entry)].join(" ");
            format!("{} {kind} {numbers} {flags} {link} {info} {alignment}", name.join(" "))
        })
        .collect()
}

fn decimal(text: &str) -> String {
    text.parse::<u64>().map_or("?".to_owned(), |number| format!("{number:#x}"))
}

pub(crate) fn hexadecimal(text: &str) -> String {
    u64::from_str_radix(text.trim_start_matches("0x"), 16)
        .map_or("?".to_owned(), |number| format!("{number:#x}"))
}

/// `  LOAD  0x000000 0x0000000000000000 0x0000000000000000 0x02e6b8 0x02e6b8 R   0x1000`.
pub(crate) fn segments(text: &str) -> Vec<String> {
    let Some((_, rest)) = text.split_once("\nProgram Headers:\n") else { return Vec::new() };
    let lines = rest.lines().skip(1).take_while(|line| !line.is_empty());
    let lines = lines.filter(|line| line.starts_with("  ") && !line.contains("[Requesting"));
    lines
        .map(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            let number = |index: usize| words.get(index).map_or("?".to_owned(), |word| hexadecimal(word));
            let letters = || words[6..words.len() - 1].iter().flat_map(|word| word.chars());
            let flags: u32 = letters()
                .map(|letter| match letter {
                    'R' => 4,
                    'W' => 2,
                    'E' => 1,
                    _ => 64,
                })
                .sum();
            let numbers = [1, 2, 3, 4, 5, words.len() - 1].map(number).join(" ");
            format!("{} {flags:#x} {numbers}", segment_type(words[0]))
        })
        .collect()
}

pub(crate) fn segment_type(name: &str) -> String {
    let number: u32 = match name {
        "NULL" => 0,
        "LOAD" => 1,
        "DYNAMIC" => 2,
        "INTERP" => 3,
        "NOTE" => 4,
        "SHLIB" => 5,
        "PHDR" => 6,
        "TLS" => 7,
        "GNU_EH_FRAME" => 0x6474_e550,
        "GNU_STACK" => 0x6474_e551,
        "GNU_RELRO" => 0x6474_e552,
        "GNU_PROPERTY" => 0x6474_e553,
        "REGINFO" | "MIPS_REGINFO" => 0x7000_0000,
        "EXIDX" | "ARM_EXIDX" => 0x7000_0001,
        "ABIFLAGS" | "MIPS_ABIFLAGS" | "RISCV_ATTRIBUT" | "RISCV_ATTRIBUTES" => 0x7000_0003,
        _ => match name.split_once("+0x").map(|(base, rest)| (base, u32::from_str_radix(rest, 16))) {
            Some(("LOOS", Ok(rest))) => 0x6000_0000 + rest,
            Some(("LOPROC", Ok(rest))) => 0x7000_0000 + rest,
            // As elfutils writes it.
            _ => match name.strip_prefix("LOPROC+").map(str::parse::<u32>) {
                Some(Ok(rest)) => 0x7000_0000 + rest,
                _ => return name.to_owned(),
            },
        },
    };
    format!("{number:#x}")
}

pub(crate) fn interpreter(text: &str) -> Vec<String> {
    let requested = text.split_once("[Requesting program interpreter: ");
    requested
        .and_then(|(_, rest)| rest.split_once(']'))
        .map(|(path, _)| path.to_owned())
        .into_iter()
        .collect()
}

/// The texts in brackets at the ends of lines of the dynamic section with `tag`.
pub(crate) fn bracketed(text: &str, tag: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| line.contains(tag));
    lines.filter_map(|line| Some(line.split_once(": [")?.1.strip_suffix(']')?.to_owned())).collect()
}

/// Versions needed and defined, from the lines that both readers print.
pub(crate) fn versions(text: &str) -> (Vec<String>, Vec<String>) {
    let (mut needed, mut defined) = (Vec::new(), Vec::new());
    let mut library = "?";
    for line in text.lines() {
        let after = |name: &str| line.split_once(name).map(|(_, rest)| rest.trim());
        let word = |name: &str| after(name).and_then(|rest| rest.split_whitespace().next()).unwrap_or("?");
        let flags = |next: &str| {
            after("Flags: ").and_then(|rest| rest.split_once(next)).map_or("", |(flags, _)| flags)
        };
        if line.contains("Version: ") && line.contains("  File: ") {
            library = word("  File: ");
        } else if line.contains("Index: ") && line.contains("Cnt: ") && line.contains("Name: ") {
            let flags = version_flags(flags("Index:"));
            defined.push(format!("{} {flags} {}", word("Name: "), decimal(word("Index: "))));
        } else if line.contains("Name: ") && line.contains("Flags: ") && line.contains("Version: ") {
            let flags = version_flags(flags("Version:"));
            needed.push(format!("{library} {} {flags} {}", word("Name: "), decimal(word("Version: "))));
        }
    }
    (needed, defined)
}

fn version_flags(text: &str) -> String {
    let bits = text.split(['|', ' ']).map(|name| match name {
        "BASE" => 1u32,
        "WEAK" => 2,
        "INFO" => 4,
        "" | "none" => 0,
        _ => 64,
    });
    format!("{:#x}", bits.sum::<u32>())
}

struct Symbol {
    name: String,
    undefined: bool,
    local: bool,
    weak: bool,
    bindable: bool,
}

impl Symbol {
    /// `     4: 00000000     0 FUNC    GLOBAL DEFAULT  UND wmemset@GLIBC_2.4 (49)`
    fn parse(line: &str) -> Option<Symbol> {
        let (index, rest) = line.split_once(": ")?;
        let index: u64 = index.trim().parse().ok()?;
        // A binding or a type of the system's that the file does not say it is for.
        let rest = rest.replacen("<OS specific>: ", "<OS specific>:", 2).replace("<OS ", "<OS-");
        let rest = rest.as_str();
        // Six words in columns, then the name, in which Go has spaces.
        let mut rest = rest;
        let mut word = || {
            rest = rest.trim_start();
            let (word, left) = rest.split_at(rest.find(' ').unwrap_or(rest.len()));
            rest = left;
            (!word.is_empty()).then_some(word)
        };
        let value = word().filter(|value| matches!(value.len(), 8 | 16))?;
        let value = u64::from_str_radix(value, 16).ok()?;
        let (_size, kind, binding, _visibility) = (word()?, word()?, word()?, word()?);
        let mut section = word()?;
        // Some processors add `[<localentry>: 8]` or `[VARIANT_PCS]` before the index.
        while section.starts_with('[') || section.ends_with(']') {
            section = word()?;
        }
        let name = rest.strip_prefix(' ').unwrap_or(rest);
        // The number of the version needed follows it.
        let name = match name.rsplit_once(" (") {
            Some((name, number))
                if number.strip_suffix(')').is_some_and(|number| number.parse::<u16>().is_ok()) =>
            {
                name
            }
            _ => name,
        };
        let name = name.to_owned();
        let types = ["NOTYPE", "OBJECT", "FUNC", "COMMON", "TLS", "IFUNC"];
        let bindable = types.contains(&kind) && (value != 0 || section == "ABS" || kind == "TLS");
        let (undefined, local) = (section == "UND", binding == "LOCAL");
        (index > 0).then_some(Symbol { name, undefined, local, weak: binding == "WEAK", bindable })
    }

    fn bare(&self) -> &str {
        self.name.split_once('@').map_or(&self.name, |(bare, _)| bare)
    }

    fn as_import(&self) -> String {
        let version = self.name.split_once('@').map_or("-", |(_, version)| version);
        format!("{} {version} {}", self.bare(), if self.weak { "weak" } else { "strong" })
    }
}

pub(crate) fn build_id(text: &str) -> Vec<String> {
    let id = text.lines().find_map(|line| line.split_once("Build ID: "));
    id.map(|(_, id)| id.trim().to_owned()).into_iter().collect()
}

/// The texts of a section: `  [     0]  GCC: (Debian 12.2.0-14) 12.2.0`
fn dumped(text: &str, section: &str) -> Vec<String> {
    let title = format!("String dump of section '{section}':\n");
    let lines = text
        .split_once(&title)
        .map_or("", |(_, rest)| rest)
        .lines()
        .take_while(|line| line.starts_with("  ["));
    lines.filter_map(|line| Some(line.split_once("]  ")?.1.to_owned())).collect()
}

/// The name that readelf prints for `sh_type`, in the columns of its wide form.
pub(crate) fn section_type(kind: u32, machine: u16) -> String {
    let name = match (kind, machine) {
        (0, _) => "NULL",
        (1, _) => "PROGBITS",
        (2, _) => "SYMTAB",
        (3, _) => "STRTAB",
        (4, _) => "RELA",
        (5, _) => "HASH",
        (6, _) => "DYNAMIC",
        (7, _) => "NOTE",
        (8, _) => "NOBITS",
        (9, _) => "REL",
        (11, _) => "DYNSYM",
        (14, _) => "INIT_ARRAY",
        (15, _) => "FINI_ARRAY",
        (16, _) => "PREINIT_ARRAY",
        (17, _) => "GROUP",
        (0x6fff_fff5, _) => "GNU_ATTRIBUTES",
        (18, _) => "SYMTAB SECTION INDICES",
        (19, _) => "RELR",
        (0x6fff_fff6, _) => "GNU_HASH",
        (0x6fff_fffd, _) => "VERDEF",
        (0x6fff_fffe, _) => "VERNEED",
        (0x6fff_ffff, _) => "VERSYM",
        (0x7000_0001, ARM) => "ARM_EXIDX",
        (0x7000_0003, ARM) => "ARM_ATTRIBUTES",
        (0x7000_0001, X86_64) => "X86_64_UNWIND",
        (0x7000_0003, 243) => "RISCV_ATTRIBUTES",
        (0x7000_0003, 183) => "AARCH64_ATTRIBUTES",
        (0x7000_0006, 8) => "MIPS_REGINFO",
        (0x7000_000d, 8) => "MIPS_OPTIONS",
        (0x7000_001e, 8) => "MIPS_DWARF",
        (0x7000_0020, 8) => "MIPS_SYMBOL_LIB",
        (0x7000_002a, 8) => "MIPS_ABIFLAGS",
        (0x7000_002b, 8) => "MIPS_XHASH",
        (0x6000_0000..=0x6fff_ffff, _) => return format!("LOOS+{:#09x}", kind - 0x6000_0000),
        (0x7000_0000..=0x7fff_ffff, _) => return format!("LOPROC+{:#09x}", kind - 0x7000_0000),
        _ => "?",
    };
    name.to_owned()
}

/// The letters that readelf prints for `sh_flags`, lowest bit first.
pub(crate) fn section_flags(flags: u64, machine: u16, os_abi: u8) -> String {
    let os_is_gnu = matches!(os_abi, 3 | 9);
    let letters = [
        (0x1, 'W'),
        (0x2, 'A'),
        (0x4, 'X'),
        (0x10, 'M'),
        (0x20, 'S'),
        (0x40, 'I'),
        (0x80, 'L'),
        (0x100, 'O'),
        (0x200, 'G'),
        (0x400, 'T'),
        (0x800, 'C'),
        // `SHF_GNU_RETAIN` and `SHF_GNU_MBIND`, where the file says that it is GNU's or FreeBSD's.
        (0x20_0000, if os_is_gnu { 'R' } else { '-' }),
        (0x100_0000, if os_is_gnu { 'D' } else { '-' }),
    ];
    let mut text: String =
        letters.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, letter)| letter).collect();
    // One letter stands for all bits of the system that are none of these.
    let others = 0x0ff0_0000 & if os_is_gnu { !0x120_0000 } else { u64::MAX };
    text.retain(|letter| letter != '-');
    if flags & others != 0 {
        text.push('o');
    }
    let processor = [
        (0x1000_0000, if machine == X86_64 { 'l' } else { 'p' }),
        (0x2000_0000, if machine == ARM { 'y' } else { 'p' }),
        (0x4000_0000, 'p'),
        (0x8000_0000, 'E'),
    ];
    let mut seen = false;
    for (_, letter) in processor.iter().filter(|(bit, _)| flags & bit != 0) {
        // One letter stands for all bits that are the processor's.
        if *letter != 'p' || !std::mem::replace(&mut seen, *letter == 'p') {
            text.push(*letter);
        }
    }
    text
}
