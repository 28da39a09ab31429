//! The COFF object that brings the section into the program ("PE Format", "COFF File Header" and following).

/// The processor of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Machine {
    X86_64,
    Aarch64,
}

impl Machine {
    /// IMAGE_FILE_MACHINE_AMD64, IMAGE_FILE_MACHINE_ARM64.
    fn number(self) -> u16 {
        match self {
            Self::X86_64 => 0x8664,
            Self::Aarch64 => 0xaa64,
        }
    }

    /// IMAGE_REL_AMD64_ADDR32NB, IMAGE_REL_ARM64_ADDR32NB: an address relative to the image's.
    fn relocation(self) -> u16 {
        match self {
            Self::X86_64 => 3,
            Self::Aarch64 => 2,
        }
    }
}

/// Sizes of the file header, a section header, a relocation and a symbol. Bytes.
const FILE_HEADER: usize = 20;
const SECTION_HEADER: usize = 40;
const RELOCATION: usize = 10;
/// Initialized data that can be read, aligned to 8 bytes (IMAGE_SCN_CNT_INITIALIZED_DATA, ALIGN_8BYTES, MEM_READ).
const CHARACTERISTICS: u32 = 0x40 | 0x40_0000 | 0x4000_0000;
/// IMAGE_SYM_CLASS_STATIC.
const STATIC: u8 = 3;

/// An object with `section` as its only one. `addresses` are the fields to which the linker adds the section's address.
/// It has no time and no name of a file: the same bytes each time.
pub(crate) fn object(machine: Machine, section: &[u8], addresses: &[u32]) -> Vec<u8> {
    let data = FILE_HEADER + SECTION_HEADER;
    let relocations = (data + section.len()).next_multiple_of(4);
    let symbols = relocations + addresses.len() * RELOCATION;

    let mut out = Vec::new();
    out.extend(machine.number().to_le_bytes());
    out.extend(1_u16.to_le_bytes());
    for field in [0, symbols as u32, 1] {
        out.extend(field.to_le_bytes());
    }
    // No optional header, no flags.
    out.extend([0; 4]);

    out.extend(b".rsrc\0\0\0");
    for field in [0, 0, section.len() as u32, data as u32, relocations as u32, 0] {
        out.extend(field.to_le_bytes());
    }
    out.extend((addresses.len() as u16).to_le_bytes());
    out.extend(0_u16.to_le_bytes());
    out.extend(CHARACTERISTICS.to_le_bytes());

    out.extend(section);
    out.resize(relocations, 0);
    for address in addresses {
        out.extend(address.to_le_bytes());
        out.extend(0_u32.to_le_bytes());
        out.extend(machine.relocation().to_le_bytes());
    }

    // The one symbol is the section; no auxiliary record. Then the string table, which is only its own length.
    out.extend(b".rsrc\0\0\0");
    out.extend(0_u32.to_le_bytes());
    out.extend(1_u16.to_le_bytes());
    out.extend(0_u16.to_le_bytes());
    out.extend([STATIC, 0]);
    out.extend(4_u32.to_le_bytes());
    out
}
