//! Machine code without the addresses and numbers in it: what stays the same when everything moves.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::Range;

use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind};
use inspect::facts::Binary;

use crate::view::View;

const EM_X86_64: u16 = 62;
const EM_AARCH64: u16 = 183;
const IMAGE_FILE_MACHINE_AMD64: u16 = 0x8664;
const IMAGE_FILE_MACHINE_ARM64: u16 = 0xaa64;

/// A processor whose instructions are told apart here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Machine {
    X86_64,
    Aarch64,
    /// Another one: its code is compared byte for byte.
    Other,
}

impl Machine {
    pub(crate) fn of(view: &View<'_>) -> Machine {
        match &view.facts.binary {
            Binary::Elf(elf) if elf.machine == EM_X86_64 && elf.class == 64 => Machine::X86_64,
            Binary::Elf(elf) if elf.machine == EM_AARCH64 && !elf.big_endian => Machine::Aarch64,
            Binary::Pe(pe) if pe.machine == IMAGE_FILE_MACHINE_AMD64 => Machine::X86_64,
            Binary::Pe(pe) if pe.machine == IMAGE_FILE_MACHINE_ARM64 => Machine::Aarch64,
            _ => Machine::Other,
        }
    }
}

/// One function's code: a hash over what its instructions do to which registers.
pub(crate) fn fingerprint(machine: Machine, code: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    match machine {
        Machine::X86_64 => for_each_x86(code, |instruction| {
            if instruction.mnemonic() != Mnemonic::Nop {
                shape(instruction, &mut hasher);
            }
        }),
        Machine::Aarch64 => words(code).for_each(|word| (word & !aarch64_numbers(word)).hash(&mut hasher)),
        Machine::Other => code.hash(&mut hasher),
    }
    hasher.finish()
}

/// How often each kind of instruction occurs in `functions`, as hashes in order: the same however they are arranged.
pub(crate) fn kinds(machine: Machine, bytes: &[u8], functions: &[Range<usize>]) -> Vec<u64> {
    let mut kinds = Vec::new();
    for code in functions.iter().map(|range| &bytes[range.clone()]) {
        match machine {
            Machine::X86_64 => for_each_x86(code, |instruction| {
                if instruction.mnemonic() != Mnemonic::Nop {
                    kinds.push(instruction.mnemonic() as u64);
                }
            }),
            // The top 11 bits: operation and size.
            Machine::Aarch64 => kinds.extend(words(code).map(|word| u64::from(word >> 21))),
            Machine::Other => kinds.extend(code.iter().map(|byte| u64::from(*byte))),
        }
    }
    kinds.sort_unstable();
    kinds
}

/// The numbers that stand in the instructions of `code`, in order; of an address, what there is of it.
pub(crate) fn numbers(machine: Machine, code: &[u8]) -> Vec<u64> {
    let mut numbers = Vec::new();
    match machine {
        Machine::X86_64 => for_each_x86(code, |instruction| {
            for operand in 0..instruction.op_count() {
                if let Ok(number) = instruction.try_immediate(operand) {
                    numbers.push(number);
                }
            }
        }),
        Machine::Aarch64 => {
            // MOVZ begins a number and MOVK puts 16 bits more into it (Arm ARM, C6.2).
            for word in words(code) {
                let (half, shift) = (u64::from(word >> 5 & 0xffff), (word >> 21 & 3) * 16);
                match word & 0x7f80_0000 {
                    0x5280_0000 => numbers.push(half << shift),
                    0x7280_0000 => {
                        if let Some(number) = numbers.last_mut() {
                            *number = *number & !(0xffff << shift) | half << shift;
                        }
                    }
                    _ => {}
                }
            }
        }
        Machine::Other => {}
    }
    numbers
}

fn for_each_x86(code: &[u8], mut visit: impl FnMut(&Instruction)) {
    let mut decoder = Decoder::with_ip(64, code, 0, DecoderOptions::NONE);
    let mut instruction = Instruction::default();
    while decoder.can_decode() {
        decoder.decode_out(&mut instruction);
        visit(&instruction);
    }
}

/// The operation and its registers; neither targets nor numbers, nor how many bytes these take.
fn shape(instruction: &Instruction, hasher: &mut DefaultHasher) {
    (instruction.mnemonic() as u32).hash(hasher);
    for operand in 0..instruction.op_count() {
        match instruction.op_kind(operand) {
            OpKind::Register => (1, instruction.op_register(operand) as u32).hash(hasher),
            OpKind::Memory => {
                let (base, index) = (instruction.memory_base() as u32, instruction.memory_index() as u32);
                (2, base, index, instruction.memory_index_scale(), instruction.memory_size() as u32)
                    .hash(hasher);
            }
            OpKind::NearBranch16 | OpKind::NearBranch32 | OpKind::NearBranch64 => 3.hash(hasher),
            _ => 4.hash(hasher),
        }
    }
}

fn words(code: &[u8]) -> impl Iterator<Item = u32> + '_ {
    code.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
}

/// The bits of an A64 instruction that hold a number or a distance (Arm ARM, C4.1, by encoding group).
fn aarch64_numbers(word: u32) -> u32 {
    let is = |mask: u32, value: u32| word & mask == value;
    if is(0x1f00_0000, 0x1000_0000) {
        0x60ff_ffe0 // ADR, ADRP
    } else if is(0x7c00_0000, 0x1400_0000) {
        0x03ff_ffff // B, BL
    } else if is(0xff00_0000, 0x5400_0000) || is(0x7e00_0000, 0x3400_0000) {
        0x00ff_ffe0 // B.cond, CBZ, CBNZ
    } else if is(0x7e00_0000, 0x3600_0000) {
        0x0007_ffe0 // TBZ, TBNZ
    } else if is(0x1f00_0000, 0x1100_0000) {
        0x007f_fc00 // ADD, SUB with a number
    } else if is(0x1f80_0000, 0x1280_0000) {
        0x007f_ffe0 // MOVN, MOVZ, MOVK
    } else if is(0x1f80_0000, 0x1200_0000) {
        0x007f_fc00 // AND, ORR, EOR with a number
    } else if is(0x3b00_0000, 0x1800_0000) {
        0x00ff_ffe0 // LDR from near the instruction
    } else if is(0x3b00_0000, 0x3900_0000) {
        0x003f_fc00 // LDR, STR with an offset
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x86_code_that_only_moved_has_one_fingerprint() {
        // lea rdi,[rip+d]; mov esi,n; call f; ret
        let code = |distance: u8, number: u8, call: u8| {
            [0x48, 0x8d, 0x3d, distance, 0, 0, 0, 0xbe, number, 0, 0, 0, 0xe8, call, 0, 0, 0, 0xc3]
        };
        let print = |code: &[u8]| fingerprint(Machine::X86_64, code);
        assert_eq!(print(&code(1, 2, 3)), print(&code(9, 8, 7)));
        let mut other = code(1, 2, 3);
        other[2] = 0x35; // lea rsi
        assert_ne!(print(&code(1, 2, 3)), print(&other));
        assert_eq!(numbers(Machine::X86_64, &code(1, 2, 3)), [2]);
    }

    #[test]
    fn aarch64_code_that_only_moved_has_one_fingerprint() {
        let code = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
        let print = |words: &[u32]| fingerprint(Machine::Aarch64, &code(words));
        // adrp x0; add x0,x0,#n; mov w1,#n; bl f; ret
        let here = [0x9000_0000, 0x9104_0000, 0x5280_0021, 0x9400_0001, 0xd65f_03c0];
        let there = [0xb000_0020, 0x9108_1000, 0x5280_0521, 0x97ff_ff01, 0xd65f_03c0];
        assert_eq!(print(&here), print(&there));
        assert_ne!(print(&here), print(&[0x9000_0001, here[1], here[2], here[3], here[4]]));
        // movz x0,#0xd3c0; movk x0,#0x6b05,lsl #16
        let number = code(&[0xd29a_7800, 0xf2ad_60a0]);
        assert_eq!(numbers(Machine::Aarch64, &number), [0x6b05_d3c0]);
    }

    #[test]
    fn kinds_do_not_know_an_order() {
        let (one, two) = ([0x50, 0x53, 0xc3], [0x53, 0x50, 0xc3]);
        let all = |code: &[u8]| kinds(Machine::X86_64, code, std::slice::from_ref(&(0..3)));
        assert_eq!(all(&one), all(&two));
        assert_ne!(fingerprint(Machine::X86_64, &one), fingerprint(Machine::X86_64, &two));
    }
}
