//! Facts made by hand, of files that every rule passes: a unit test changes one and asks one rule.

use artifact::{Outcome, Target};
use inspect::facts::*;

use crate::rule::{Judgement, Rule};
use crate::{Policy, Subject};

/// A dynamically linked AArch64 PIE.
pub(crate) fn elf_facts() -> Facts {
    let symbol = |name: &str, library: &str, version: &str| ElfImport {
        name: name.to_owned(),
        weak: false,
        version: Some(version.into()),
        library: Some(library.into()),
    };
    let needed = |library: &str, version: &str, index: u16| VersionNeed {
        library: library.to_owned(),
        versions: vec![NeededVersion { name: version.to_owned(), flags: 0, index, hash: 0 }],
    };
    let elf = Elf {
        class: 64,
        big_endian: false,
        os_abi: 0,
        abi_version: 0,
        file_type: 3,
        machine: 183,
        flags: 0,
        entry: 0x1000,
        program_header_offset: 64,
        section_header_offset: 0x3040,
        header_size: 64,
        program_header_entry_size: 56,
        section_header_entry_size: 64,
        section_name_index: 5,
        sections: vec![
            section("", 0, 0, 0, 0, 0),
            section(".text", 1, 6, 0x1000, 0x1000, 0x200),
            section(".got", 1, 3, 0x12000, 0x2000, 0x1000),
            section(".data", 1, 3, 0x13000, 0x3000, 0x20),
            section(".comment", 1, 0x30, 0, 0x3020, 0x10),
            section(".shstrtab", 3, 0, 0, 0x3030, 0x10),
        ],
        segments: vec![
            segment(1, 4, 0, 0, 0x1000),
            segment(1, 5, 0x1000, 0x1000, 0x200),
            segment(1, 6, 0x2000, 0x12000, 0x1020),
            segment(2, 6, 0x2000, 0x12000, 0x100),
            segment(0x6474_e551, 6, 0, 0, 0),
            segment(0x6474_e552, 4, 0x2000, 0x12000, 0x1000),
        ],
        interpreter: Some("/lib/ld-linux-aarch64.so.1".to_owned()),
        dynamic: vec![dynamic(30, 8), dynamic(0x6fff_fffb, 0x0800_0001), dynamic(3, 0x12100)],
        needed: vec!["libgcc_s.so.1".to_owned(), "libc.so.6".to_owned()],
        soname: None,
        rpath: None,
        runpath: None,
        versions_needed: vec![needed("libgcc_s.so.1", "GCC_3.3", 2), needed("libc.so.6", "GLIBC_2.17", 3)],
        versions_defined: Vec::new(),
        imports: vec![
            symbol("_Unwind_Backtrace", "libgcc_s.so.1", "GCC_3.3"),
            symbol("write", "libc.so.6", "GLIBC_2.17"),
        ],
        exports: Some(Names::new()),
        symbol_count: 0,
        relocations: RelocationCount { entries: 4, ..RelocationCount::default() },
        notes: Vec::new(),
        build_id: Some(vec![1; 20]),
        debug_link: None,
        comments: Vec::new(),
        marks: ElfMarks::default(),
    };
    // Section headers: six of 64 bytes.
    facts(Binary::Elf(Box::new(elf)), 0x3040 + 6 * 64)
}

/// A statically linked AArch64 PIE.
pub(crate) fn static_facts() -> Facts {
    let mut facts = elf_facts();
    let elf = elf_of(&mut facts);
    elf.interpreter = None;
    elf.needed.clear();
    elf.versions_needed.clear();
    elf.imports.clear();
    facts
}

/// A bit of `Characteristics`.
pub(crate) const IMAGE_FILE_DLL: u16 = 0x2000;

/// An x86-64 console program with the three mitigations and the relocations that make them true.
pub(crate) fn pe_facts() -> Facts {
    let pe = Pe {
        header_offset: 0x80,
        machine: 0x8664,
        timestamp: 0,
        characteristics: 0x22e,
        symbol_table_offset: 0,
        symbol_count: 0,
        magic: 0x20b,
        linker_version: (2, 40),
        entry: 0x1000,
        image_base: 0x1_4000_0000,
        section_alignment: 0x1000,
        file_alignment: 0x200,
        os_version: (4, 0),
        image_version: (0, 0),
        subsystem_version: (5, 2),
        size_of_image: 0x4000,
        size_of_headers: 0x400,
        checksum: 0xd67b,
        subsystem: 3,
        dll_characteristics: 0x160,
        stack_and_heap: [0x20_0000, 0x1000, 0x10_0000, 0x1000],
        data_directories: vec![DataDirectory { address: 0, size: 0 }; 16],
        sections: vec![
            pe_section(".text", 0x1000, 0x6000_0020),
            pe_section(".data", 0x2000, 0xc000_0040),
            pe_section(".reloc", 0x3000, 0x4200_0040),
        ],
        imports: vec![PeImport {
            library: "KERNEL32.dll".to_owned(),
            delayed: false,
            address_table: 0x2100,
            functions: vec![PeFunction::Name("Sleep".to_owned())],
        }],
        bound_imports: Vec::new(),
        exports: Names::new(),
        export_name: None,
        export_count: 0,
        export_ordinal_base: 0,
        exports_by_ordinal: 0,
        export_timestamp: 0,
        forwarders: Vec::new(),
        base_relocations: BaseRelocations { blocks: 1, entries: 12, unrelocated: Vec::new() },
        debug: Vec::new(),
        tls: None,
        load_config: None,
        rich_header: None,
        clr: None,
        resources: None,
        protector_symbols: Vec::new(),
        certificate_size: 0,
        certificates: Vec::new(),
        overlay_offset: 0,
        overlay_size: 0,
    };
    facts(Binary::Pe(Box::new(pe)), 0x1000)
}

pub(crate) fn elf_of(facts: &mut Facts) -> &mut Elf {
    match &mut facts.binary {
        Binary::Elf(elf) => elf,
        Binary::Pe(_) => panic!("the facts of an ELF file were asked for"),
    }
}

pub(crate) fn pe_of(facts: &mut Facts) -> &mut Pe {
    match &mut facts.binary {
        Binary::Pe(pe) => pe,
        Binary::Elf(_) => panic!("the facts of a PE file were asked for"),
    }
}

pub(crate) fn section(name: &str, kind: u32, flags: u64, address: u64, offset: u64, size: u64) -> ElfSection {
    let name = name.to_owned();
    ElfSection { name, kind, flags, address, offset, size, link: 0, info: 0, alignment: 1, entry_size: 0 }
}

pub(crate) fn segment(kind: u32, flags: u32, offset: u64, address: u64, size: u64) -> ElfSegment {
    ElfSegment {
        kind,
        flags,
        offset,
        virtual_address: address,
        physical_address: address,
        file_size: size,
        memory_size: size,
        alignment: 0x1000,
    }
}

pub(crate) fn dynamic(tag: i64, value: u64) -> DynamicEntry {
    DynamicEntry { tag, value, text: None }
}

pub(crate) fn pe_section(name: &str, address: u32, characteristics: u32) -> PeSection {
    PeSection {
        name: name.to_owned(),
        virtual_size: 0x200,
        virtual_address: address,
        raw_size: 0x200,
        raw_offset: address - 0xc00,
        characteristics,
    }
}

/// An entry of the certificate table with a signature that nothing can be computed of.
pub(crate) fn signed_by_test() -> Certificate {
    let signer = X509Certificate { subject: "CN=Test".to_owned(), ..X509Certificate::default() };
    let signature = Signature { signer: Some(0), certificates: vec![signer], ..Signature::default() };
    Certificate { offset: 0x600, size: 0x100, revision: 0x200, kind: 2, signature: Some(signature) }
}

/// What `rule` says about the AArch64 program after `change`.
pub(crate) fn judge_elf(rule: &Rule, change: impl FnOnce(&mut Elf, &mut Policy)) -> Judgement {
    let (mut facts, mut policy) = (elf_facts(), Policy::for_target(Target::Aarch64Linux));
    change(elf_of(&mut facts), &mut policy);
    judge(rule, &facts, b"", &policy)
}

/// What `rule` says about the static AArch64 program after `change`.
pub(crate) fn judge_static(rule: &Rule, change: impl FnOnce(&mut Elf, &mut Policy)) -> Judgement {
    let (mut facts, mut policy) = (static_facts(), Policy::for_target(Target::Aarch64LinuxMusl));
    change(elf_of(&mut facts), &mut policy);
    judge(rule, &facts, b"", &policy)
}

/// What `rule` says about the x86-64 Windows program after `change`.
pub(crate) fn judge_pe(rule: &Rule, change: impl FnOnce(&mut Pe, &mut Policy)) -> Judgement {
    let (mut facts, mut policy) = (pe_facts(), Policy::for_target(Target::X86_64Windows));
    change(pe_of(&mut facts), &mut policy);
    judge(rule, &facts, b"", &policy)
}

pub(crate) fn judge(rule: &Rule, facts: &Facts, bytes: &[u8], policy: &Policy) -> Judgement {
    rule.judge(&Subject::new("test", bytes, facts), policy)
}

/// Panics unless `judgement` ended so and its evidence contains `evidence`.
#[track_caller]
pub(crate) fn assert_ends(judgement: &Judgement, outcome: Outcome, evidence: &str) {
    assert!(judgement.outcome == outcome && judgement.observed.contains(evidence), "{judgement:?}");
}

fn facts(binary: Binary, size: u64) -> Facts {
    Facts { size, binary, anomalies: Vec::new() }
}
