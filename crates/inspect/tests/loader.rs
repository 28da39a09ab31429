//! Files of which a loader reads something else than who goes by the headers: one field edited, and the anomaly that says so.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;

use inspect::facts::{Binary, Elf, Facts};
use xshell::{Shell, cmd};

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const PT_NOTE: u32 = 4;
const PT_GNU_EH_FRAME: u32 = 0x6474_e550;
const PT_GNU_RELRO: u32 = 0x6474_e552;
const PT_GNU_PROPERTY: u32 = 0x6474_e553;
const PF_X: u32 = 1;
/// `R_X86_64_NONE` and `R_X86_64_RELATIVE`.
const R_NONE: u64 = 0;
const R_RELATIVE: u64 = 8;
const SIGSEGV: i32 = 11;
const DT_PLTRELSZ: i64 = 2;
const DT_RELA: i64 = 7;
const DT_RELASZ: i64 = 8;
const DT_RELAENT: i64 = 9;
const DT_DEBUG: i64 = 21;
const DT_RELRSZ: i64 = 35;
const DT_RELR: i64 = 36;
const DT_GNU_HASH: i64 = 0x6fff_fef5;
const DT_RELACOUNT: i64 = 0x6fff_fff9;
const DT_VERNEED: i64 = 0x6fff_fffe;
const DT_VERNEEDNUM: i64 = 0x6fff_ffff;

/// Fields of a program header, as offsets in it (ELF gABI, class 64).
const TYPE: u64 = 0;
const OFFSET: u64 = 8;
const ADDRESS: u64 = 16;
const FILE_SIZE: u64 = 32;
const MEMORY_SIZE: u64 = 40;
const ALIGNMENT: u64 = 48;

/// A program for x86-64 that exports what it defines.
struct Program {
    bytes: Vec<u8>,
    elf: Elf,
}

impl Program {
    fn new() -> Program {
        Program::linked("-rdynamic -Wl,-z,relro")
    }

    fn linked(options: &str) -> Program {
        let options = options.split_whitespace();
        let shell = Shell::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (source, path) = (folder.path().join("a.c"), folder.path().join("a"));
        let code = "#include <stdio.h>\n#include <unistd.h>\nint one(void) { return 1; }\nint main(void) { return puts(\"hello\") + getpid() < 0; }\n";
        fs::write(&source, code).unwrap();
        cmd!(shell, "x86_64-linux-gnu-gcc -s -fcf-protection=full {options...} -o {path} {source}")
            .quiet()
            .run()
            .expect("cc links: apt-get install gcc libc6-dev");
        let bytes = fs::read(path).unwrap();
        let facts = inspect::inspect(&bytes).unwrap();
        assert_eq!(facts.anomalies, []);
        let Binary::Elf(elf) = facts.binary else { panic!("made as ELF") };
        Program { bytes, elf: *elf }
    }

    /// Where the header of the first segment of `kind` has its `field`.
    fn header(&self, kind: u32, field: u64) -> usize {
        let index = self.elf.segments.iter().position(|segment| segment.kind == kind).expect("it is there");
        (self.elf.program_header_offset + 56 * index as u64 + field) as usize
    }

    fn segment(&self, kind: u32) -> &inspect::facts::ElfSegment {
        self.elf.segments.iter().find(|segment| segment.kind == kind).expect("it is there")
    }

    fn segment_with(&self, flags: u32) -> &inspect::facts::ElfSegment {
        self.elf.segments.iter().find(|segment| segment.flags & flags != 0).expect("it is there")
    }

    /// Where the header of that segment lies.
    fn header_with(&self, flags: u32) -> u64 {
        let index = self.elf.segments.iter().position(|segment| segment.flags & flags != 0);
        self.elf.program_header_offset + 56 * index.expect("it is there") as u64
    }

    /// Where the dynamic entry with `tag` lies.
    fn entry(&self, tag: i64) -> usize {
        let index = self.elf.dynamic.iter().position(|entry| entry.tag == tag).expect("it is there");
        self.segment(PT_DYNAMIC).offset as usize + 16 * index
    }

    fn with(&self, at: usize, bytes: &[u8]) -> Facts {
        self.with_all(&[(at, bytes)])
    }

    fn with_all(&self, changes: &[(usize, &[u8])]) -> Facts {
        inspect::inspect(&self.changed(changes)).unwrap()
    }

    fn changed(&self, changes: &[(usize, &[u8])]) -> Vec<u8> {
        let mut changed = self.bytes.clone();
        for (at, bytes) in changes {
            changed[*at..at + bytes.len()].copy_from_slice(bytes);
        }
        changed
    }

    #[track_caller]
    fn assert_untold(&self, changes: &[(usize, &[u8])], text: &str) {
        let told = self.with_all(changes).anomalies;
        assert!(told.iter().all(|anomaly| !anomaly.detail.contains(text)), "{text}: {told:?}");
    }

    #[track_caller]
    fn assert_told(&self, at: usize, bytes: &[u8], text: &str) {
        self.assert_all_told(&[(at, bytes)], text);
    }

    #[track_caller]
    fn assert_all_told(&self, changes: &[(usize, &[u8])], text: &str) {
        let told = self.with_all(changes).anomalies;
        assert!(told.iter().any(|anomaly| anomaly.detail.contains(text)), "{text}: {told:?}");
    }
}

#[test]
fn versions_and_padding_that_glibc_refuses() {
    let program = Program::new();
    program.assert_told(6, &[9], "EI_VERSION is 9, not 1");
    program.assert_told(20, &[7], "e_version is 7, not 1");
    for at in [9, 15] {
        program.assert_told(at, &[1], "the padding of e_ident is not zero");
    }
}

#[test]
fn a_dynamic_section_that_is_another_in_memory() {
    let program = Program::new();
    let offset = program.segment(PT_DYNAMIC).offset + 16;
    program.assert_told(program.header(PT_DYNAMIC, OFFSET), &offset.to_le_bytes(), "and loaded from");
    let second = program.header(PT_GNU_EH_FRAME, TYPE);
    program.assert_told(second, &PT_DYNAMIC.to_le_bytes(), "there are several PT_DYNAMIC");
    program.assert_told(program.header(PT_DYNAMIC, FILE_SIZE), &[0; 8], "it has no entry");
    for kind in [PT_NOTE, PT_GNU_PROPERTY] {
        let offset = program.segment(kind).offset + 16;
        program.assert_told(program.header(kind, OFFSET), &offset.to_le_bytes(), "and loaded from");
    }
}

#[test]
fn a_tag_that_is_there_twice() {
    let program = Program::new();
    let at = program.entry(DT_DEBUG);
    for tag in [5_i64, 6, 0x6fff_fffb, DT_VERNEED] {
        program.assert_told(at, &tag.to_le_bytes(), &format!("tag {tag:#x} is there twice"));
    }
    for tag in [1_i64, 0x6fff_fefc] {
        let facts = program.with(at, &tag.to_le_bytes());
        assert!(facts.anomalies.iter().all(|anomaly| !anomaly.detail.contains("twice")), "{tag:#x}");
    }
}

#[test]
fn relocations_of_another_size() {
    let program = Program::new();
    for size in [0_u64, 12] {
        let at = program.entry(DT_RELAENT) + 8;
        program.assert_told(at, &size.to_le_bytes(), &format!("tag 0x9 says {size}: an entry has 24 bytes"));
        let none = (program.entry(DT_RELASZ) + 8, &[0; 8][..]);
        program.assert_untold(&[(at, &size.to_le_bytes()), none], "an entry has 24 bytes");
    }
    // The same table without addends, of 24 bytes an entry.
    let [table, size, entry] = [DT_RELA, DT_RELASZ, DT_RELAENT].map(|tag| program.entry(tag));
    let changes: [(usize, &[u8]); 3] = [(table, &[17]), (size, &[18]), (entry, &[19])];
    program.assert_all_told(&changes, "tag 0x13 says 24: an entry has 16 bytes");
}

#[test]
fn segments_that_are_mapped_over_each_other() {
    let program = Program::new();
    let over = program.header(PT_GNU_EH_FRAME, TYPE);
    program.assert_told(over, &PT_LOAD.to_le_bytes(), "is mapped over one before it");
    let loaded = program.header(PT_LOAD, ALIGNMENT);
    program.assert_told(loaded, &3_u64.to_le_bytes(), "not at the place in its page");
    let at = program.header_with(PF_X) + OFFSET;
    let offset = program.segment_with(PF_X).offset + 16;
    program.assert_told(at as usize, &offset.to_le_bytes(), "not at the place in its page");
    // Nothing of it is mapped from the file: no bytes there, as much memory as before, and the alignment.
    let memory = program.segment(PT_LOAD).memory_size;
    let words = [0, memory, 3].map(u64::to_le_bytes).concat();
    let sizes = program.header(PT_LOAD, FILE_SIZE);
    program.assert_untold(&[(sizes, &words)], "not at the place in its page");
    let relro = program.header(PT_GNU_RELRO, MEMORY_SIZE);
    // None at all, wherever it would be.
    let elsewhere = (program.header(PT_GNU_RELRO, ADDRESS), &(1_u64 << 40).to_le_bytes()[..]);
    program.assert_untold(&[elsewhere, (relro, &[0; 8])], "PT_GNU_RELRO reaches beyond");
    program.assert_told(relro, &(1_u64 << 20).to_le_bytes(), "PT_GNU_RELRO reaches beyond what is loaded");
}

#[test]
fn a_version_whose_name_was_edited_is_not_what_loaders_look_for() {
    let program = Program::new();
    let name = b"GLIBC_2.34\0";
    let at = program
        .bytes
        .windows(name.len())
        .position(|bytes| bytes == name)
        .expect("glibc 2.34 or newer is here");
    program.assert_told(at + 9, b"3", "GLIBC_2.33 has the hash 0x69691b4 of another name, not 0x69691b3");
    let needs =
        program.elf.dynamic.iter().find(|entry| entry.tag == DT_VERNEED).expect("it is there").value as usize;
    program.assert_told(needs, &[2], "has format 2, not 1");
    // Its loader says the same.
    let told = |bytes: &[u8]| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("changed");
        fs::write(&path, bytes).unwrap();
        let loader = "/lib64/ld-linux-x86-64.so.2";
        let shell = Shell::new().unwrap();
        let run = cmd!(shell, "{loader} {path}").quiet().ignore_status().output().unwrap();
        String::from_utf8(run.stderr).unwrap()
    };
    assert_eq!(told(&program.bytes), "");
    let edited = told(&program.changed(&[(at + 9, b"2")]));
    assert!(edited.contains("version `GLIBC_2.32' not found"), "{edited}");
    let edited = told(&program.changed(&[(needs, &[2])]));
    assert!(edited.contains("unsupported version 2 of Verneed record"), "{edited}");
}

#[test]
fn more_program_headers_than_linux_takes() {
    let program = Program::new();
    let mut bytes = program.bytes.clone();
    let headers = &program.bytes[64..64 + 56 * program.elf.segments.len()];
    let begin = bytes.len() as u64;
    bytes[32..40].copy_from_slice(&begin.to_le_bytes());
    bytes.extend(headers);
    // PT_NULL: nothing.
    bytes.resize(bytes.len() + 56 * 1200, 0);
    let count = |most: u16| {
        let mut bytes = bytes.clone();
        bytes[56..58].copy_from_slice(&most.to_le_bytes());
        let facts = inspect::inspect(&bytes).unwrap();
        let Binary::Elf(elf) = facts.binary else { panic!("made as ELF") };
        (
            elf.segments.len(),
            facts.anomalies.iter().any(|anomaly| anomaly.detail.contains("which Linux refuses")),
        )
    };
    assert_eq!(count(1170), (1170, false));
    assert_eq!(count(1171), (1170, true));
    // A core dump has one for each mapping.
    bytes[16] = 4;
    bytes[56..58].copy_from_slice(&1171_u16.to_le_bytes());
    let Binary::Elf(core) = inspect::inspect(&bytes).unwrap().binary else { panic!("made as ELF") };
    assert_eq!(core.segments.len(), 1171);
}

#[test]
fn as_many_program_headers_as_linux_takes() {
    // 65,536 bytes of them, which only those of class 32 come to.
    let segments = |count: u16| {
        let mut bytes = vec![0; 52 + 32 * 2100];
        bytes[..7].copy_from_slice(b"\x7fELF\x01\x01\x01");
        for (at, value) in [(16, 3_u16), (18, 3), (20, 1), (28, 52), (40, 52), (42, 32), (44, count)] {
            bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
        }
        let facts = inspect::inspect(&bytes).unwrap();
        let refused = facts.anomalies.iter().any(|anomaly| anomaly.detail.contains("which Linux refuses"));
        let Binary::Elf(elf) = facts.binary else { panic!("made as ELF") };
        (elf.segments.len(), refused)
    };
    assert_eq!(segments(2048), (2048, false));
    assert_eq!(segments(2049), (2048, true));
}

#[test]
fn a_start_that_cannot_be() {
    let program = Program::new();
    let interpreter = program.segment(PT_INTERP);
    let last = (interpreter.offset + interpreter.file_size - 1) as usize;
    program.assert_told(last, b"x", "its last byte is not zero");
    let code = program.segment_with(PF_X);
    let behind = code.virtual_address + code.memory_size;
    for entry in [0, program.segment(PT_DYNAMIC).virtual_address, behind] {
        program.assert_told(24, &entry.to_le_bytes(), "is in no executable segment");
    }
    // On 64-bit PowerPC (e_machine 21) it is a descriptor's, but for the second version of the ABI (e_flags 2).
    let descriptor = program.segment(PT_DYNAMIC).virtual_address.to_le_bytes();
    for flags in [0, 1, 3] {
        let changes: [(usize, &[u8]); 3] = [(18, &[21, 0]), (24, &descriptor), (48, &[flags])];
        program.assert_untold(&changes, "is in no executable segment");
    }
    let second: [(usize, &[u8]); 3] = [(18, &[21, 0]), (24, &descriptor), (48, &[2])];
    program.assert_all_told(&second, "is in no executable segment");
}

#[test]
fn versions_are_read_to_the_end_of_their_chain() {
    let program = Program::new();
    let needs = |facts: &Facts| {
        let Binary::Elf(elf) = &facts.binary else { panic!("made as ELF") };
        elf.versions_needed.iter().map(|need| need.versions.len()).sum::<usize>()
    };
    let all: usize = program.elf.versions_needed.iter().map(|need| need.versions.len()).sum();
    assert!(all > 1, "one version would show nothing");
    let at = program.entry(DT_VERNEEDNUM) + 8;
    for count in [0_u64, 2] {
        program.assert_told(at, &count.to_le_bytes(), &format!("the dynamic section says {count}"));
        assert_eq!(needs(&program.with(at, &count.to_le_bytes())), all);
    }
    // It lies in the first segment, where an address is a place.
    let at = program.elf.dynamic.iter().find(|entry| entry.tag == DT_VERNEED).unwrap().value as usize + 2;
    for count in [0_u16, 1, 9] {
        program.assert_told(at, &count.to_le_bytes(), &format!("its entry says {count}"));
        assert_eq!(needs(&program.with(at, &count.to_le_bytes())), all);
    }
}

#[test]
fn symbols_that_the_section_header_hides() {
    let program = Program::new();
    let index = program.elf.sections.iter().position(|section| section.name == ".dynsym").unwrap();
    let at = (program.elf.section_header_offset + 64 * index as u64 + 32) as usize;
    program.assert_told(at, &48_u64.to_le_bytes(), "their section header tells of 2, their hash table of");
    let Binary::Elf(elf) = program.with(at, &48_u64.to_le_bytes()).binary else { panic!("made as ELF") };
    assert_eq!(elf.exports, program.elf.exports);
    assert!(elf.exports.is_some_and(|exports| exports.iter().any(|name| name == "one")));
    // A header of symbols elsewhere says nothing of these.
    let [elsewhere, size] = [0x100_u64, 48].map(u64::to_le_bytes);
    program.assert_untold(&[(at - 16, &elsewhere), (at, &size)], "their section header tells of 2");

    // Nothing is hashed, as where nothing is offered; relocations still name what is wanted.
    let mut program = Program::linked("");
    let tag = program.entry(DT_GNU_HASH);
    program.bytes[tag..tag + 8].copy_from_slice(&0x6fff_fe00_i64.to_le_bytes());
    let at = (program.elf.section_header_offset + 64 * index as u64 + 32) as usize;
    assert_eq!(program.elf.sections[index].name, ".dynsym");
    let cut = program.with(at, &24_u64.to_le_bytes());
    program.assert_told(at, &24_u64.to_le_bytes(), "there are 1 of them, and a relocation names symbol ");
    let Binary::Elf(elf) = cut.binary else { panic!("made as ELF") };
    assert_eq!(elf.imports, program.elf.imports);
}

#[test]
fn without_exports_all_else_is_the_same() {
    let without = |facts: Facts| {
        let Binary::Elf(mut elf) = facts.binary else { panic!("made as ELF") };
        elf.exports = None;
        (elf, facts.anomalies)
    };
    let program = Program::new();
    let section = |name: &str| program.elf.sections.iter().find(|section| section.name == name).unwrap();
    let (symbols, strings) = (section(".dynsym"), section(".dynstr"));
    let first_export = (0..symbols.size / 24)
        .map(|index| (symbols.offset + 24 * index) as usize)
        .find(|at| program.bytes[at + 6..at + 8] != [0, 0])
        .unwrap();
    // A name outside of the table or right behind it, a table without its last zero, with a name at its end, too, and a table
    // whose names are no UTF-8.
    let endless = ((strings.offset + strings.size - 1) as usize, &b"x"[..]);
    let (behind, last) = ((strings.size as u32).to_le_bytes(), (strings.size as u32 - 1).to_le_bytes());
    let changes: [&[(usize, &[u8])]; 6] = [
        &[],
        &[(first_export, &[0xff; 4])],
        &[(first_export, &behind)],
        &[endless],
        &[endless, (first_export, &last)],
        &[(strings.offset as usize + 1, &[0xff])],
    ];
    for changes in changes {
        let changed = program.changed(changes);
        let whole = inspect::inspect(&changed).unwrap();
        let sparing = inspect::inspect_without_exports(&changed).unwrap();
        let Binary::Elf(elf) = &sparing.binary else { panic!("made as ELF") };
        assert_eq!(elf.exports, None);
        assert_eq!(without(sparing), without(whole), "{changes:x?}");
        let Binary::Elf(elf) = inspect::inspect(&changed).unwrap().binary else { panic!("made as ELF") };
        assert_eq!(inspect::elf_exports(&changed), elf.exports);
    }
    for name in [[0xff; 4], behind] {
        program.assert_told(first_export, &name, "does not end inside its table");
    }
}

#[test]
fn slots_are_what_relocations_fill() {
    let word = 8;
    for (options, lazy) in [("-Wl,-z,now", None), ("-Wl,-z,lazy", Some(".got.plt"))] {
        let program = Program::linked(options);
        let slots = program.elf.relocations;
        let section = |name: &str| {
            let section = program.elf.sections.iter().find(|section| section.name == name).unwrap();
            section.address..section.address + section.size
        };
        let inside = |slots: Option<(u64, u64)>, name: &str| {
            let ((lowest, highest), section) = (slots.unwrap(), section(name));
            section.contains(&lowest) && highest >= lowest && highest + word <= section.end
        };
        assert!(inside(slots.data_slots, ".got"), "{slots:x?}");
        assert!(inside(slots.function_slots, lazy.unwrap_or(".got")), "{slots:x?}");
        // From the first to the last of DT_JMPREL, which has 24 bytes a relocation.
        let size = program.elf.dynamic.iter().find(|entry| entry.tag == DT_PLTRELSZ).unwrap().value;
        let (lowest, highest) = slots.function_slots.unwrap();
        assert_eq!((size % 24, (highest - lowest) / word + 1), (0, size / 24), "{slots:x?}");
        assert!(size > 24, "one would show nothing");
    }
}

/// glibc, which makes no memory writable without a mark, agrees: the program ends by a fault before it starts.
#[test]
fn relocations_into_code_that_nothing_announces() {
    for (tag, options) in [(DT_RELA, ""), (DT_RELR, "-Wl,-z,pack-relative-relocs")] {
        let program = Program::linked(options);
        assert_eq!(program.elf.marks.text_relocations.count, 0, "{options}");
        let size = program.elf.dynamic.iter().find(|entry| entry.tag == DT_RELRSZ).map(|entry| entry.value);
        assert_eq!(program.elf.relocations.packed_bytes, size.unwrap_or(0), "{options}");
        let value = program.elf.dynamic.iter().find(|entry| entry.tag == tag).expect("it is there").value;
        // What is in the first segment lies at the same place in the file.
        let table = usize::try_from(value).unwrap();
        let code = program.segment_with(PF_X).virtual_address;

        let Binary::Elf(changed) = program.with(table, &code.to_le_bytes()).binary else { panic!("ELF") };
        let told = &changed.marks.text_relocations.first[0];
        assert_eq!((told.address, told.kind.is_none()), (code, tag == DT_RELR));
        assert_eq!(signal(&program.bytes), None);
        assert_eq!(signal(&program.changed(&[(table, &code.to_le_bytes())])), Some(SIGSEGV));
    }

    // Without others beside it: the only one that DT_RELACOUNT counts, none that it counts, and one that does nothing.
    let program = Program::linked("");
    let value = |tag| program.elf.dynamic.iter().find(|entry| entry.tag == tag).expect("it is there").value;
    let (table, code) = (value(DT_RELA) as usize, program.segment_with(PF_X).virtual_address);
    let count = program.entry(DT_RELACOUNT) + 8;
    for (counted, kind, expected) in [(1, R_RELATIVE, 1), (0, R_RELATIVE, 1), (0, R_NONE, 0)] {
        let words = [code, kind].map(u64::to_le_bytes).concat();
        let changed = program.with_all(&[(table, &words), (count, &[counted])]);
        let Binary::Elf(elf) = changed.binary else { panic!("made as ELF") };
        assert_eq!(elf.marks.text_relocations.count, expected, "{counted} counted, type {kind}");
    }
    // Sorted, so that the last tells as the first does.
    let last = table + 24 * (value(DT_RELACOUNT) as usize - 1);
    let Binary::Elf(elf) = program.with(last, &code.to_le_bytes()).binary else { panic!("made as ELF") };
    assert_eq!(elf.marks.text_relocations.count, 1);
    // The first behind them is about a symbol. Segments lie at their addresses in the file, but for this one.
    let at = table + 24 * value(DT_RELACOUNT) as usize;
    let segment = program.header_with(PF_X) as usize;
    let moved = (segment + ADDRESS as usize, &(code + 0x10_0000).to_le_bytes()[..]);
    let changed = program.with_all(&[(at, &(code + 0x10_0010).to_le_bytes()), moved]);
    let Binary::Elf(elf) = changed.binary else { panic!("made as ELF") };
    let [told] = &elf.marks.text_relocations.first[..] else { panic!("one of them") };
    assert_eq!((told.address, told.file_offset), (code + 0x10_0010, code + 0x10));
    let name = told.symbol.as_ref().unwrap();
    assert!(elf.imports.iter().any(|import| import.name == *name), "{name}");
}

/// Which signal ends the program, started on this machine.
fn signal(program: &[u8]) -> Option<i32> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("program");
    fs::write(&path, program).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let shell = Shell::new().unwrap();
    let ended = cmd!(shell, "{path}").quiet().ignore_status().output();
    ended.expect("an x86-64 machine").status.signal()
}

#[test]
fn properties_count_where_a_loader_looks_for_them() {
    let program = Program::new();
    let properties = |bytes: &[u8]| {
        let Binary::Elf(elf) = inspect::inspect(bytes).unwrap().binary else { panic!("made as ELF") };
        elf.marks.properties.len()
    };
    assert!(properties(&program.bytes) > 0);
    let mut changed = program.bytes.clone();
    // Where words are of 8 bytes, notes that are aligned to 4 are not looked at.
    changed[program.header(PT_GNU_PROPERTY, ALIGNMENT)] = 4;
    assert_eq!(properties(&changed), 0);
    // Without the segment glibc looks at the notes on x86, and nobody does on AArch64.
    let mut changed = program.bytes.clone();
    let at = program.header(PT_GNU_PROPERTY, TYPE);
    changed[at..at + 4].fill(0);
    assert!(properties(&changed) > 0);
    changed[18] = 183;
    assert_eq!(properties(&changed), 0);
}
