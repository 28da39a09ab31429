//! The numbers of the specifications that decide how something is read, as the fields' own integer types.

/// ELF: System V gABI and GNU extensions.
pub(crate) mod elf {
    pub(crate) const ET_REL: u16 = 1;
    pub(crate) const ET_EXEC: u16 = 2;
    pub(crate) const ET_DYN: u16 = 3;
    pub(crate) const ET_CORE: u16 = 4;
    /// `e_phnum` when the number of segments is in section 0.
    pub(crate) const PN_XNUM: u16 = 0xffff;

    pub(crate) const PT_LOAD: u32 = 1;
    pub(crate) const PT_DYNAMIC: u32 = 2;
    pub(crate) const PT_INTERP: u32 = 3;
    pub(crate) const PT_NOTE: u32 = 4;
    pub(crate) const PT_GNU_STACK: u32 = 0x6474_e551;
    pub(crate) const PT_GNU_RELRO: u32 = 0x6474_e552;
    pub(crate) const PT_GNU_PROPERTY: u32 = 0x6474_e553;
    pub(crate) const PF_X: u32 = 1;
    pub(crate) const PF_W: u32 = 2;

    pub(crate) const SHT_NULL: u32 = 0;
    pub(crate) const SHT_SYMTAB: u32 = 2;
    pub(crate) const SHT_DYNAMIC: u32 = 6;
    pub(crate) const SHT_NOTE: u32 = 7;
    pub(crate) const SHT_NOBITS: u32 = 8;
    pub(crate) const SHT_DYNSYM: u32 = 11;

    pub(crate) const DT_NEEDED: i64 = 1;
    pub(crate) const DT_PLTRELSZ: i64 = 2;
    pub(crate) const DT_HASH: i64 = 4;
    pub(crate) const DT_STRTAB: i64 = 5;
    pub(crate) const DT_SYMTAB: i64 = 6;
    pub(crate) const DT_RELA: i64 = 7;
    pub(crate) const DT_RELASZ: i64 = 8;
    pub(crate) const DT_RELAENT: i64 = 9;
    pub(crate) const DT_STRSZ: i64 = 10;
    pub(crate) const DT_SONAME: i64 = 14;
    pub(crate) const DT_RPATH: i64 = 15;
    pub(crate) const DT_REL: u64 = 17;
    pub(crate) const DT_RELSZ: i64 = 18;
    pub(crate) const DT_RELENT: i64 = 19;
    pub(crate) const DT_PLTREL: i64 = 20;
    pub(crate) const DT_DEBUG: i64 = 21;
    pub(crate) const DT_JMPREL: i64 = 23;
    pub(crate) const DT_BIND_NOW: i64 = 24;
    pub(crate) const DT_RUNPATH: i64 = 29;
    pub(crate) const DT_FLAGS: i64 = 30;
    pub(crate) const DT_RELRSZ: i64 = 35;
    pub(crate) const DT_RELR: i64 = 36;
    pub(crate) const DT_GNU_HASH: i64 = 0x6fff_fef5;
    pub(crate) const DT_DEPAUDIT: i64 = 0x6fff_fefb;
    pub(crate) const DT_AUDIT: i64 = 0x6fff_fefc;
    pub(crate) const DT_RELACOUNT: i64 = 0x6fff_fff9;
    pub(crate) const DT_RELCOUNT: i64 = 0x6fff_fffa;
    pub(crate) const DT_VERSYM: i64 = 0x6fff_fff0;
    pub(crate) const DT_FLAGS_1: i64 = 0x6fff_fffb;
    pub(crate) const DT_VERDEF: i64 = 0x6fff_fffc;
    pub(crate) const DT_VERDEFNUM: i64 = 0x6fff_fffd;
    pub(crate) const DT_VERNEED: i64 = 0x6fff_fffe;
    pub(crate) const DT_VERNEEDNUM: i64 = 0x6fff_ffff;
    pub(crate) const DT_AUXILIARY: i64 = 0x7fff_fffd;
    pub(crate) const DT_FILTER: i64 = 0x7fff_ffff;

    pub(crate) const DF_BIND_NOW: u64 = 8;
    pub(crate) const DF_1_NOW: u64 = 1;
    pub(crate) const DF_1_PIE: u64 = 0x800_0000;
    pub(crate) const VER_FLG_WEAK: u16 = 2;
    pub(crate) const EM_386: u16 = 3;
    pub(crate) const EM_MIPS: u16 = 8;
    pub(crate) const EM_PARISC: u16 = 15;
    pub(crate) const EM_PPC64: u16 = 21;
    pub(crate) const EM_S390: u16 = 22;
    pub(crate) const EM_ARM: u16 = 40;
    pub(crate) const EM_IA_64: u16 = 50;
    pub(crate) const EM_X86_64: u16 = 62;
    pub(crate) const EM_AARCH64: u16 = 183;
    pub(crate) const EM_RISCV: u16 = 243;
    pub(crate) const EM_LOONGARCH: u16 = 258;
    pub(crate) const EM_ALPHA: u16 = 0x9026;
    pub(crate) const VER_NDX_GLOBAL: u16 = 1;

    pub(crate) const SHN_UNDEF: u16 = 0;
    pub(crate) const STB_LOCAL: u8 = 0;
    pub(crate) const STB_WEAK: u8 = 2;
}

/// PE: PE/COFF specification.
pub(crate) mod pe {
    pub(crate) const IMAGE_FILE_EXECUTABLE_IMAGE: u16 = 2;
    pub(crate) const IMAGE_FILE_DLL: u16 = 0x2000;
    pub(crate) const IMAGE_FILE_MACHINE_I386: u16 = 0x14c;
    pub(crate) const IMAGE_FILE_MACHINE_AMD64: u16 = 0x8664;
    pub(crate) const IMAGE_FILE_MACHINE_ARM64: u16 = 0xaa64;
    pub(crate) const IMAGE_SCN_MEM_EXECUTE: u32 = 0x2000_0000;
    pub(crate) const IMAGE_SUBSYSTEM_WINDOWS_GUI: u16 = 2;
    pub(crate) const IMAGE_SUBSYSTEM_WINDOWS_CUI: u16 = 3;
    pub(crate) const IMAGE_DLLCHARACTERISTICS_HIGH_ENTROPY_VA: u16 = 0x20;
    pub(crate) const IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE: u16 = 0x40;
    pub(crate) const IMAGE_DLLCHARACTERISTICS_NX_COMPAT: u16 = 0x100;
}
