//! GNU properties ("Linux Extensions to gABI", and the x86-64, AArch64 and RISC-V supplements), decoded.

use super::Image;
use crate::bytes::{Bytes, Survey};
use crate::facts::{Elf, GnuProperty, Note};

const EM_386: u16 = 3;
const EM_X86_64: u16 = 62;
const EM_AARCH64: u16 = 183;
const EM_RISCV: u16 = 243;

type Bits = &'static [(u64, &'static str)];

const X86_FEATURE: Bits = &[(1, "IBT"), (2, "SHSTK"), (4, "LAM_U48"), (8, "LAM_U57")];
const X86_ISA: Bits = &[(1, "x86-64-baseline"), (2, "x86-64-v2"), (4, "x86-64-v3"), (8, "x86-64-v4")];
const X86_PARTS: Bits = &[
    (0x1, "x86"),
    (0x2, "x87"),
    (0x4, "MMX"),
    (0x8, "XMM"),
    (0x10, "YMM"),
    (0x20, "ZMM"),
    (0x40, "FXSR"),
    (0x80, "XSAVE"),
    (0x100, "XSAVEOPT"),
    (0x200, "XSAVEC"),
    (0x400, "TMM"),
    (0x800, "MASK"),
];
const AARCH64_FEATURE: Bits = &[(1, "BTI"), (2, "PAC"), (4, "GCS")];
const RISCV_FEATURE: Bits = &[(1, "CFI_LP_UNLABELED"), (2, "CFI_SS"), (4, "CFI_LP_FUNC_SIG")];
const NEEDED_1: Bits = &[(1, "indirect external access")];

/// The properties of one note's description. Each is padded to the class's word, whatever the note's alignment.
pub(super) fn decode(image: Image<'_>, elf: &Elf, note: &Note, survey: &mut Survey) -> Vec<GnuProperty> {
    const PART: &str = "GNU properties";
    let bytes = Bytes { data: &note.description, big_endian: image.bytes.big_endian };
    let mut properties = Vec::new();
    let mut offset = 0;
    while offset < bytes.len() {
        if !survey.admit(PART) {
            return properties;
        }
        let (Some(kind), Some(size)) = (bytes.u32(offset), bytes.u32(offset + 4)) else {
            survey.anomaly(PART, "a property ends outside its note");
            return properties;
        };
        let Some(data) = bytes.slice(offset + 8, u64::from(size)) else {
            survey.anomaly(PART, format!("property {kind:#x} of {size} bytes ends outside its note"));
            return properties;
        };
        let value = match data.len() {
            4 => bytes.u32(offset + 8).map(u64::from),
            8 => bytes.u64(offset + 8),
            _ => None,
        };
        properties.push(property(elf.machine, kind, size, value));
        offset += (8 + u64::from(size)).next_multiple_of(image.word_size());
    }
    properties
}

fn property(machine: u16, kind: u32, size: u32, value: Option<u64>) -> GnuProperty {
    let (name, bits) = meaning(machine, kind);
    let name = name.map_or_else(|| format!("{kind:#x}"), str::to_owned);
    let mut rest = value.unwrap_or(0);
    let mut names = Vec::new();
    for (bit, name) in bits {
        if rest & bit != 0 {
            names.push((*name).to_owned());
            rest &= !bit;
        }
    }
    if rest != 0 && !bits.is_empty() {
        names.push(format!("{rest:#x}"));
    }
    GnuProperty { kind, value, size, name, meaning: names }
}

/// Types from 0xc0000000 on belong to the processor.
fn meaning(machine: u16, kind: u32) -> (Option<&'static str>, Bits) {
    let (name, bits): (_, Bits) = match (machine, kind) {
        (_, 1) => ("stack size", &[]),
        (_, 2) => ("no copy on protected", &[]),
        (_, 0xb000_8000) => ("1_needed", NEEDED_1),
        (EM_386 | EM_X86_64, 0xc000_0002) => ("x86 feature", X86_FEATURE),
        (EM_386 | EM_X86_64, 0xc000_8001) => ("x86 feature needed", X86_PARTS),
        (EM_386 | EM_X86_64, 0xc000_8002) => ("x86 ISA needed", X86_ISA),
        (EM_386 | EM_X86_64, 0xc001_0001) => ("x86 feature used", X86_PARTS),
        (EM_386 | EM_X86_64, 0xc001_0002) => ("x86 ISA used", X86_ISA),
        (EM_AARCH64, 0xc000_0000) => ("AArch64 feature", AARCH64_FEATURE),
        (EM_AARCH64, 0xc000_0001) => ("AArch64 pointer authentication ABI", &[]),
        (EM_RISCV, 0xc000_0000) => ("RISC-V feature", RISCV_FEATURE),
        _ => return (None, &[]),
    };
    (Some(name), bits)
}
