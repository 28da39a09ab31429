//! Names of constants, as `readelf` and `objdump` print them. What has no name here is printed as a number.

/// The name of `value`, or the number in hexadecimal.
pub(crate) fn name_of<T: Copy + Into<i64>>(table: &[(i64, &str)], value: T) -> String {
    let value = value.into();
    let named = table.iter().find(|(number, _)| *number == value);
    named.map_or_else(|| format!("{value:#x}"), |(_, name)| (*name).to_owned())
}

/// The names of all set bits, joined by `|`; bits without a name as one number.
pub(crate) fn flags_of(table: &[(u64, &str)], flags: u64) -> String {
    let mut names = Vec::new();
    let mut rest = flags;
    for (bit, name) in table {
        if rest & bit == *bit {
            names.push((*name).to_owned());
            rest &= !bit;
        }
    }
    if rest != 0 {
        names.push(format!("{rest:#x}"));
    }
    if names.is_empty() { "0".to_owned() } else { names.join(" | ") }
}

/// `e_type` (gABI).
pub(crate) const ELF_TYPES: &[(i64, &str)] = &[(1, "ET_REL"), (2, "ET_EXEC"), (3, "ET_DYN"), (4, "ET_CORE")];

/// `e_machine` (gABI and its registry).
pub(crate) const ELF_MACHINES: &[(i64, &str)] = &[
    (2, "EM_SPARC"),
    (3, "EM_386"),
    (4, "EM_68K"),
    (8, "EM_MIPS"),
    (15, "EM_PARISC"),
    (20, "EM_PPC"),
    (21, "EM_PPC64"),
    (22, "EM_S390"),
    (40, "EM_ARM"),
    (42, "EM_SH"),
    (43, "EM_SPARCV9"),
    (50, "EM_IA_64"),
    (62, "EM_X86_64"),
    (183, "EM_AARCH64"),
    (243, "EM_RISCV"),
    (247, "EM_BPF"),
    (258, "EM_LOONGARCH"),
];

/// What `e_flags` means on `machine`, as readelf words it; empty where no bit is set or the processor defines none.
pub(crate) fn elf_flags(machine: u16, flags: u32) -> String {
    let bits = |table: &[(u32, &str)]| -> Vec<String> {
        let set = table.iter().filter(|(bit, _)| flags & bit == *bit);
        set.map(|(_, name)| (*name).to_owned()).collect()
    };
    let parts = match machine {
        // Arm: ELF for the Arm Architecture.
        40 => {
            let mut parts = vec![format!("Version{} EABI", flags >> 24)];
            parts.extend(bits(&[(0x80_0000, "BE8"), (0x200, "soft-float ABI"), (0x400, "hard-float ABI")]));
            parts
        }
        // RISC-V: psABI.
        243 => {
            let float = ["soft", "single", "double", "quad"][(flags >> 1 & 3) as usize];
            let mut parts = bits(&[(1, "RVC"), (8, "RVE"), (0x10, "TSO")]);
            parts.push(format!("{float}-float ABI"));
            parts
        }
        // 64-bit PowerPC: function descriptors (1) or not (2).
        21 => bits(&[(1, "abiv1"), (2, "abiv2")]),
        8 => mips_flags(flags, bits),
        // LoongArch: psABI.
        258 => {
            let float = ["", "SOFT-FLOAT", "SINGLE-FLOAT", "DOUBLE-FLOAT"].get((flags & 7) as usize);
            let float = float.filter(|float| !float.is_empty()).map(|float| (*float).to_owned());
            float.into_iter().chain(bits(&[(0x40, "OBJ-v1")])).collect()
        }
        _ => Vec::new(),
    };
    parts.join(", ")
}

fn mips_flags(flags: u32, bits: impl Fn(&[(u32, &str)]) -> Vec<String>) -> Vec<String> {
    let mut parts = bits(&[
        (1, "noreorder"),
        (2, "pic"),
        (4, "cpic"),
        (0x20, "abi2"),
        (0x100, "32bitmode"),
        (0x200, "fp64"),
        (0x400, "nan2008"),
    ]);
    let abi = ["", "o32", "o64", "eabi32", "eabi64"].get((flags >> 12 & 15) as usize);
    parts.extend(abi.filter(|abi| !abi.is_empty()).map(|abi| (*abi).to_owned()));
    let levels = [
        "mips1", "mips2", "mips3", "mips4", "mips5", "mips32", "mips64", "mips32r2", "mips64r2", "mips32r6",
        "mips64r6",
    ];
    parts.extend(levels.get((flags >> 28) as usize).map(|level| (*level).to_owned()));
    parts
}

/// `EI_OSABI` (gABI).
pub(crate) const ELF_OS_ABIS: &[(i64, &str)] = &[
    (0, "ELFOSABI_SYSV"),
    (3, "ELFOSABI_GNU"),
    (6, "ELFOSABI_SOLARIS"),
    (9, "ELFOSABI_FREEBSD"),
    (12, "ELFOSABI_OPENBSD"),
    (97, "ELFOSABI_ARM"),
    (255, "ELFOSABI_STANDALONE"),
];

/// The system in `NT_GNU_ABI_TAG` (LSB).
pub(crate) const ABI_TAG_SYSTEMS: &[(i64, &str)] =
    &[(0, "Linux"), (1, "Hurd"), (2, "Solaris"), (3, "FreeBSD"), (4, "NetBSD"), (5, "Syllable")];

/// `p_type` (gABI and GNU).
pub(crate) const SEGMENT_TYPES: &[(i64, &str)] = &[
    (0, "PT_NULL"),
    (1, "PT_LOAD"),
    (2, "PT_DYNAMIC"),
    (3, "PT_INTERP"),
    (4, "PT_NOTE"),
    (5, "PT_SHLIB"),
    (6, "PT_PHDR"),
    (7, "PT_TLS"),
    (0x6474_e550, "PT_GNU_EH_FRAME"),
    (0x6474_e551, "PT_GNU_STACK"),
    (0x6474_e552, "PT_GNU_RELRO"),
    (0x6474_e553, "PT_GNU_PROPERTY"),
    (0x6474_e554, "PT_GNU_SFRAME"),
];

/// `sh_type` (gABI and GNU).
pub(crate) const SECTION_TYPES: &[(i64, &str)] = &[
    (0, "SHT_NULL"),
    (1, "SHT_PROGBITS"),
    (2, "SHT_SYMTAB"),
    (3, "SHT_STRTAB"),
    (4, "SHT_RELA"),
    (5, "SHT_HASH"),
    (6, "SHT_DYNAMIC"),
    (7, "SHT_NOTE"),
    (8, "SHT_NOBITS"),
    (9, "SHT_REL"),
    (11, "SHT_DYNSYM"),
    (14, "SHT_INIT_ARRAY"),
    (15, "SHT_FINI_ARRAY"),
    (16, "SHT_PREINIT_ARRAY"),
    (17, "SHT_GROUP"),
    (19, "SHT_RELR"),
    (0x6fff_fff6, "SHT_GNU_HASH"),
    (0x6fff_fffd, "SHT_GNU_verdef"),
    (0x6fff_fffe, "SHT_GNU_verneed"),
    (0x6fff_ffff, "SHT_GNU_versym"),
];

/// `d_tag` (gABI and GNU).
pub(crate) const DYNAMIC_TAGS: &[(i64, &str)] = &[
    (1, "DT_NEEDED"),
    (2, "DT_PLTRELSZ"),
    (3, "DT_PLTGOT"),
    (4, "DT_HASH"),
    (5, "DT_STRTAB"),
    (6, "DT_SYMTAB"),
    (7, "DT_RELA"),
    (8, "DT_RELASZ"),
    (9, "DT_RELAENT"),
    (10, "DT_STRSZ"),
    (11, "DT_SYMENT"),
    (12, "DT_INIT"),
    (13, "DT_FINI"),
    (14, "DT_SONAME"),
    (15, "DT_RPATH"),
    (16, "DT_SYMBOLIC"),
    (17, "DT_REL"),
    (18, "DT_RELSZ"),
    (19, "DT_RELENT"),
    (20, "DT_PLTREL"),
    (21, "DT_DEBUG"),
    (22, "DT_TEXTREL"),
    (23, "DT_JMPREL"),
    (24, "DT_BIND_NOW"),
    (25, "DT_INIT_ARRAY"),
    (26, "DT_FINI_ARRAY"),
    (27, "DT_INIT_ARRAYSZ"),
    (28, "DT_FINI_ARRAYSZ"),
    (29, "DT_RUNPATH"),
    (30, "DT_FLAGS"),
    (32, "DT_PREINIT_ARRAY"),
    (33, "DT_PREINIT_ARRAYSZ"),
    (35, "DT_RELRSZ"),
    (36, "DT_RELR"),
    (37, "DT_RELRENT"),
    (0x6fff_fef5, "DT_GNU_HASH"),
    (0x6fff_fff0, "DT_VERSYM"),
    (0x6fff_fff9, "DT_RELACOUNT"),
    (0x6fff_fffa, "DT_RELCOUNT"),
    (0x6fff_fffb, "DT_FLAGS_1"),
    (0x6fff_fffc, "DT_VERDEF"),
    (0x6fff_fffd, "DT_VERDEFNUM"),
    (0x6fff_fffe, "DT_VERNEED"),
    (0x6fff_ffff, "DT_VERNEEDNUM"),
];

/// `DT_FLAGS`.
pub(crate) const DYNAMIC_FLAGS: &[(u64, &str)] =
    &[(1, "DF_ORIGIN"), (2, "DF_SYMBOLIC"), (4, "DF_TEXTREL"), (8, "DF_BIND_NOW"), (16, "DF_STATIC_TLS")];

/// `DT_FLAGS_1`.
pub(crate) const DYNAMIC_FLAGS_1: &[(u64, &str)] = &[
    (1, "DF_1_NOW"),
    (2, "DF_1_GLOBAL"),
    (8, "DF_1_NODELETE"),
    (0x40, "DF_1_NOOPEN"),
    (0x80, "DF_1_ORIGIN"),
    (0x400, "DF_1_INTERPOSE"),
    (0x800_0000, "DF_1_PIE"),
];

/// `sh_flags`.
pub(crate) const SECTION_FLAGS: &[(u64, &str)] = &[
    (1, "WRITE"),
    (2, "ALLOC"),
    (4, "EXECINSTR"),
    (0x10, "MERGE"),
    (0x20, "STRINGS"),
    (0x40, "INFO_LINK"),
    (0x80, "LINK_ORDER"),
    (0x200, "GROUP"),
    (0x400, "TLS"),
    (0x800, "COMPRESSED"),
];

/// COFF `Machine` (PE/COFF specification).
pub(crate) const PE_MACHINES: &[(i64, &str)] = &[
    (0x14c, "IMAGE_FILE_MACHINE_I386"),
    (0x1c0, "IMAGE_FILE_MACHINE_ARM"),
    (0x1c4, "IMAGE_FILE_MACHINE_ARMNT"),
    (0x200, "IMAGE_FILE_MACHINE_IA64"),
    (0xebc, "IMAGE_FILE_MACHINE_EBC"),
    (0x5064, "IMAGE_FILE_MACHINE_RISCV64"),
    (0x8664, "IMAGE_FILE_MACHINE_AMD64"),
    (0xaa64, "IMAGE_FILE_MACHINE_ARM64"),
];

/// COFF `Characteristics`.
pub(crate) const PE_CHARACTERISTICS: &[(u64, &str)] = &[
    (0x1, "RELOCS_STRIPPED"),
    (0x2, "EXECUTABLE_IMAGE"),
    (0x4, "LINE_NUMS_STRIPPED"),
    (0x8, "LOCAL_SYMS_STRIPPED"),
    (0x20, "LARGE_ADDRESS_AWARE"),
    (0x100, "32BIT_MACHINE"),
    (0x200, "DEBUG_STRIPPED"),
    (0x400, "REMOVABLE_RUN_FROM_SWAP"),
    (0x800, "NET_RUN_FROM_SWAP"),
    (0x1000, "SYSTEM"),
    (0x2000, "DLL"),
    (0x4000, "UP_SYSTEM_ONLY"),
];

/// `Subsystem`.
pub(crate) const PE_SUBSYSTEMS: &[(i64, &str)] = &[
    (1, "IMAGE_SUBSYSTEM_NATIVE"),
    (2, "IMAGE_SUBSYSTEM_WINDOWS_GUI"),
    (3, "IMAGE_SUBSYSTEM_WINDOWS_CUI"),
    (9, "IMAGE_SUBSYSTEM_WINDOWS_CE_GUI"),
    (10, "IMAGE_SUBSYSTEM_EFI_APPLICATION"),
    (11, "IMAGE_SUBSYSTEM_EFI_BOOT_SERVICE_DRIVER"),
    (12, "IMAGE_SUBSYSTEM_EFI_RUNTIME_DRIVER"),
];

/// `DllCharacteristics`.
pub(crate) const PE_DLL_CHARACTERISTICS: &[(u64, &str)] = &[
    (0x20, "HIGH_ENTROPY_VA"),
    (0x40, "DYNAMIC_BASE"),
    (0x80, "FORCE_INTEGRITY"),
    (0x100, "NX_COMPAT"),
    (0x200, "NO_ISOLATION"),
    (0x400, "NO_SEH"),
    (0x800, "NO_BIND"),
    (0x1000, "APPCONTAINER"),
    (0x2000, "WDM_DRIVER"),
    (0x4000, "GUARD_CF"),
    (0x8000, "TERMINAL_SERVER_AWARE"),
];

/// Section `Characteristics` that say how a section is mapped.
pub(crate) const PE_SECTION_FLAGS: &[(u64, &str)] = &[
    (0x20, "CODE"),
    (0x40, "DATA"),
    (0x80, "BSS"),
    (0x0200_0000, "DISCARDABLE"),
    (0x1000_0000, "SHARED"),
    (0x2000_0000, "EXECUTE"),
    (0x4000_0000, "READ"),
    (0x8000_0000, "WRITE"),
];

/// `IMAGE_DEBUG_TYPE_…`
pub(crate) const PE_DEBUG_TYPES: &[(i64, &str)] = &[
    (1, "COFF"),
    (2, "CODEVIEW"),
    (3, "FPO"),
    (4, "MISC"),
    (5, "EXCEPTION"),
    (6, "FIXUP"),
    (9, "BORLAND"),
    (11, "CLSID"),
    (12, "VC_FEATURE"),
    (13, "POGO"),
    (14, "ILTCG"),
    (15, "MPX"),
    (16, "REPRO"),
    (17, "EMBEDDED_PORTABLE_PDB"),
    (19, "PDB_CHECKSUM"),
    (20, "EX_DLLCHARACTERISTICS"),
];

/// `IMAGE_GUARD_…`
pub(crate) const PE_GUARD_FLAGS: &[(u64, &str)] = &[
    (0x100, "CF_INSTRUMENTED"),
    (0x200, "CFW_INSTRUMENTED"),
    (0x400, "CF_FUNCTION_TABLE_PRESENT"),
    (0x800, "SECURITY_COOKIE_UNUSED"),
    (0x1000, "PROTECT_DELAYLOAD_IAT"),
    (0x2000, "DELAYLOAD_IAT_IN_ITS_OWN_SECTION"),
    (0x4000, "CF_EXPORT_SUPPRESSION_INFO_PRESENT"),
    (0x8000, "CF_ENABLE_EXPORT_SUPPRESSION"),
    (0x1_0000, "CF_LONGJUMP_TABLE_PRESENT"),
    (0x40_0000, "EH_CONTINUATION_TABLE_PRESENT"),
];

/// `RT_…`, the first level of the resource tree.
pub(crate) const PE_RESOURCE_TYPES: &[(i64, &str)] = &[
    (1, "CURSOR"),
    (2, "BITMAP"),
    (3, "ICON"),
    (4, "MENU"),
    (5, "DIALOG"),
    (6, "STRING"),
    (7, "FONTDIR"),
    (8, "FONT"),
    (9, "ACCELERATOR"),
    (10, "RCDATA"),
    (11, "MESSAGETABLE"),
    (12, "GROUP_CURSOR"),
    (14, "GROUP_ICON"),
    (16, "VERSION"),
    (17, "DLGINCLUDE"),
    (19, "PLUGPLAY"),
    (20, "VXD"),
    (21, "ANICURSOR"),
    (22, "ANIICON"),
    (23, "HTML"),
    (24, "MANIFEST"),
];

/// Data directories by index.
pub(crate) const PE_DIRECTORIES: [&str; 16] = [
    "Export",
    "Import",
    "Resource",
    "Exception",
    "Certificate",
    "BaseRelocation",
    "Debug",
    "Architecture",
    "GlobalPtr",
    "TLS",
    "LoadConfig",
    "BoundImport",
    "IAT",
    "DelayImport",
    "CLR",
    "Reserved",
];
