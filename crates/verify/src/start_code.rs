//! Whether a static program's start code relocates the program, told from the instructions alone.
//!
//! A static PIE has no loader: its own first instructions must walk the relocation table and compare every entry's
//! type with `R_<machine>_RELATIVE`, before anything else runs. musl's `rcrt1.o` brings such code, `crt1.o` does not;
//! headers, relocations and flags of the two results are alike (measured), and the second crashes at start. So it is with
//! glibc's two, whose `_dl_relocate_static_pie` runs late, and does nothing where it is that of `crt1.o`.
//! So the code that can be reached from the entry point, without jumps through memory, is searched for the compare.

use std::collections::{HashSet, VecDeque};

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind};
use inspect::facts::{Elf, ElfSegment};

const PT_LOAD: u32 = 1;
const PF_X: u32 = 1;
const EM_X86_64: u16 = 62;
const EM_AARCH64: u16 = 183;
const R_X86_64_RELATIVE: u64 = 8;
const R_AARCH64_RELATIVE: u32 = 0x403;
/// musl takes a relocation's type out of its entry with this mask (`R_TYPE` in `ldso/dlstart.c`).
const TYPE_MASK: u64 = 0x7fff_ffff;
/// glibc has no mask: `elf_machine_rela` compares with this type first (`sysdeps/x86_64/dl-machine.h`).
const R_X86_64_RELATIVE64: u64 = 38;
/// On x86-64 the type is 8, a number many programs compare with: it counts so many instructions after the mask.
const AFTER_MASK: u8 = 8;

/// How many instructions are looked at. musl's compare is among the first 200; glibc, which reads tunables and the
/// processor's features before, has it among the first 4,000.
const INSTRUCTIONS: usize = 1 << 16;

/// What the start code does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StartCode {
    /// It compares with the machine's relative relocation type; address of the instruction.
    Relocates(u64),
    /// No reachable instruction does; how many were looked at.
    DoesNotRelocate(usize),
    /// None of so many does, and more can be reached.
    GoesOn(usize),
    /// The entry point is not in executable file contents.
    NoCode,
    /// A processor whose instructions are not known here.
    UnknownMachine,
}

/// Follows the code from the entry point of `elf`, whose file is `bytes`.
pub(crate) fn follow(elf: &Elf, bytes: &[u8]) -> StartCode {
    let step = match elf.machine {
        EM_AARCH64 => aarch64_step,
        EM_X86_64 => x86_64_step,
        _ => return StartCode::UnknownMachine,
    };
    let mut seen = HashSet::new();
    // A whole function before those that it calls, and these in their order: what runs early is found early, whatever big
    // function is called somewhere below.
    let (mut waiting, mut called) = (VecDeque::from([(elf.entry, 0_u8)]), VecDeque::new());
    while let Some((address, masked)) = waiting.pop_front().or_else(|| called.pop_front()) {
        let Some(code) = code_at(elf, bytes, address) else { continue };
        if seen.contains(&address) {
            continue;
        }
        if seen.len() >= INSTRUCTIONS {
            return StartCode::GoesOn(seen.len());
        }
        seen.insert(address);
        let Some(step) = step(code, address) else { continue };
        if step.kind == Kind::ComparesWithRelative || (step.kind == Kind::ComparesAfterMask && masked > 0) {
            return StartCode::Relocates(address);
        }
        let masked = if step.kind == Kind::Masks { AFTER_MASK } else { masked.saturating_sub(1) };
        waiting.extend(step.next.into_iter().flatten().map(|next| (next, masked)));
        called.extend(step.call.map(|function| (function, 0)));
    }
    if seen.is_empty() { StartCode::NoCode } else { StartCode::DoesNotRelocate(seen.len()) }
}

/// One instruction, as far as it matters here.
struct Step {
    kind: Kind,
    /// The instruction behind it and the one it jumps to.
    next: [Option<u64>; 2],
    /// The function it calls.
    call: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Compares with a number that is the relative relocation type and hardly anything else.
    ComparesWithRelative,
    /// Compares with a number that is the relative relocation type where the mask came before.
    ComparesAfterMask,
    /// Takes the type out of a relocation entry, loads the mask that will, or compares it with a rarer type.
    Masks,
    Other,
}

/// The file's bytes from `address` to the end of its executable segment.
fn code_at<'a>(elf: &Elf, bytes: &'a [u8], address: u64) -> Option<&'a [u8]> {
    let inside = |segment: &&ElfSegment| {
        let distance = address.checked_sub(segment.virtual_address);
        segment.kind == PT_LOAD
            && segment.flags & PF_X != 0
            && distance.is_some_and(|distance| distance < segment.file_size)
    };
    let segment = elf.segments.iter().find(inside)?;
    let distance = address - segment.virtual_address;
    let start = usize::try_from(segment.offset.checked_add(distance)?).ok()?;
    let end = usize::try_from(segment.offset.checked_add(segment.file_size)?).ok()?;
    bytes.get(start..end.min(bytes.len()))
}

/// Encodings from the Arm Architecture Reference Manual for A-profile, C4.1.
fn aarch64_step(code: &[u8], address: u64) -> Option<Step> {
    let word = u32::from_le_bytes(*code.first_chunk()?);
    let after = address.checked_add(4);
    let jump = |bits: u32, low: u32| Some(address.wrapping_add_signed(branch_offset(word, bits, low)));
    // CMP (immediate), 64 or 32 bit, unshifted: SUBS to the zero register.
    let compares = word & 0x7fff_fc1f == 0x7100_001f | (R_AARCH64_RELATIVE << 10);
    let kind = if compares { Kind::ComparesWithRelative } else { Kind::Other };
    let next = match word {
        // B
        _ if word & 0xfc00_0000 == 0x1400_0000 => [None, jump(26, 0)],
        // B.cond, CBZ, CBNZ
        _ if word & 0xff00_0000 == 0x5400_0000 || word & 0x7e00_0000 == 0x3400_0000 => [after, jump(19, 5)],
        // TBZ, TBNZ
        _ if word & 0x7e00_0000 == 0x3600_0000 => [after, jump(14, 5)],
        // BL and BLR come back; BR and RET do not.
        _ if word & 0xffff_fc1f == 0xd63f_0000 => [after, None],
        _ if word & 0xfe00_0000 == 0xd600_0000 => [None, None],
        // UDF: data, or the end of a function that does not return.
        _ if word & 0xffff_0000 == 0 => [None, None],
        _ => [after, None],
    };
    let is_call = word & 0xfc00_0000 == 0x9400_0000;
    Some(Step { kind, next, call: if is_call { jump(26, 0) } else { None } })
}

/// The signed byte offset in `bits` bits of `word` from bit `low` on.
fn branch_offset(word: u32, bits: u32, low: u32) -> i64 {
    let field = i64::from(word >> low) << (64 - bits);
    (field >> (64 - bits)) * 4
}

fn x86_64_step(code: &[u8], address: u64) -> Option<Step> {
    // The longest instruction has 15 bytes.
    let code = &code[..code.len().min(15)];
    let instruction = Decoder::with_ip(64, code, address, DecoderOptions::NONE).decode();
    if instruction.is_invalid() {
        return None;
    }
    let after = Some(instruction.next_ip());
    let target = direct_target(&instruction);
    let next = match instruction.flow_control() {
        FlowControl::Next | FlowControl::Call | FlowControl::IndirectCall | FlowControl::Interrupt => {
            [after, None]
        }
        FlowControl::UnconditionalBranch => [None, target],
        FlowControl::ConditionalBranch => [after, target],
        FlowControl::Return | FlowControl::IndirectBranch => [None, None],
        FlowControl::XbeginXabortXend | FlowControl::Exception => [None, None],
    };
    let kind = match immediate(&instruction) {
        Some((Mnemonic::And | Mnemonic::Mov, TYPE_MASK) | (Mnemonic::Cmp, R_X86_64_RELATIVE64)) => {
            Kind::Masks
        }
        Some((Mnemonic::Cmp, R_X86_64_RELATIVE)) => Kind::ComparesAfterMask,
        _ => Kind::Other,
    };
    let is_call = instruction.flow_control() == FlowControl::Call;
    Some(Step { kind, next, call: target.filter(|_| is_call) })
}

fn direct_target(instruction: &Instruction) -> Option<u64> {
    matches!(instruction.op0_kind(), OpKind::NearBranch64).then(|| instruction.near_branch64())
}

/// What is done with the constant that is the second operand.
fn immediate(instruction: &Instruction) -> Option<(Mnemonic, u64)> {
    let constant = matches!(
        instruction.op1_kind(),
        OpKind::Immediate8
            | OpKind::Immediate8to32
            | OpKind::Immediate8to64
            | OpKind::Immediate32
            | OpKind::Immediate32to64
    );
    constant.then(|| (instruction.mnemonic(), instruction.immediate(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{elf_facts, elf_of};

    /// A program whose only segment holds `code`, at address 0x1000.
    fn program(machine: u16, code: &[u8]) -> Elf {
        let mut facts = elf_facts();
        let elf = elf_of(&mut facts);
        elf.machine = machine;
        elf.entry = 0x1000;
        let size = code.len() as u64;
        elf.segments = vec![ElfSegment {
            kind: PT_LOAD,
            flags: PF_X,
            offset: 0,
            virtual_address: 0x1000,
            physical_address: 0x1000,
            file_size: size,
            memory_size: size,
            alignment: 0x1000,
        }];
        elf.clone()
    }

    fn aarch64(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// Encodings as `aarch64-linux-gnu-as` writes them, at address 0x1000.
    #[test]
    fn every_aarch64_branch_goes_where_the_processor_goes() {
        let (after, target) = (Some(0x1004), Some(0x1008));
        let call = aarch64_step(&0x9400_0002_u32.to_le_bytes(), 0x1000).unwrap();
        assert_eq!((call.next, call.call), ([after, None], target), "bl .+8");
        let cases: &[(&str, u32, [Option<u64>; 2])] = &[
            ("b .+8", 0x1400_0002, [None, target]),
            ("b .-4", 0x17ff_ffff, [None, Some(0xffc)]),
            ("b.ne .+8", 0x5400_0041, [after, target]),
            ("cbz x0, .+8", 0xb400_0040, [after, target]),
            ("cbnz w0, .+8", 0x3500_0040, [after, target]),
            ("tbz w0, #0, .+8", 0x3600_0040, [after, target]),
            ("tbnz x0, #33, .+8", 0xb708_0040, [after, target]),
            ("blr x0", 0xd63f_0000, [after, None]),
            ("br x0", 0xd61f_0000, [None, None]),
            ("ret", 0xd65f_03c0, [None, None]),
            ("udf #7", 0x0000_0007, [None, None]),
            ("add x0, x1, #1", 0x9100_0420, [after, None]),
            ("movz w0, #1", 0x5280_0020, [after, None]),
        ];
        for (text, word, next) in cases {
            let step = aarch64_step(&word.to_le_bytes(), 0x1000).unwrap();
            assert_eq!((step.next, step.call), (*next, None), "{text}");
            assert!(step.kind == Kind::Other, "{text}");
        }
    }

    #[test]
    fn a_compare_behind_a_branch_is_found() {
        // b +8; udf; cmp x4, #0x403; ret
        let code = aarch64(&[0x1400_0002, 0, 0xf110_0c9f, 0xd65f_03c0]);
        assert_eq!(follow(&program(EM_AARCH64, &code), &code), StartCode::Relocates(0x1008));
        // xor ebp,ebp; call +1; hlt; and ecx, 0x7fffffff; cmp rcx, 8
        let code =
            [0x31, 0xed, 0xe8, 1, 0, 0, 0, 0xf4, 0x81, 0xe1, 0xff, 0xff, 0xff, 0x7f, 0x48, 0x83, 0xf9, 8];
        assert_eq!(follow(&program(EM_X86_64, &code), &code), StartCode::Relocates(0x100e));
        // cmp rdx, 38; je +6; cmp rdx, 8
        let code = [0x48, 0x83, 0xfa, 38, 0x74, 6, 0x48, 0x83, 0xfa, 8];
        assert_eq!(follow(&program(EM_X86_64, &code), &code), StartCode::Relocates(0x1006));
    }

    #[test]
    fn code_that_goes_on_for_long_is_not_said_to_lack_anything() {
        let nop = 0xd503_201f;
        let mut code = aarch64(&vec![nop; INSTRUCTIONS]);
        assert_eq!(follow(&program(EM_AARCH64, &code), &code), StartCode::DoesNotRelocate(INSTRUCTIONS));
        code.extend(aarch64(&[nop]));
        assert_eq!(follow(&program(EM_AARCH64, &code), &code), StartCode::GoesOn(INSTRUCTIONS));
    }

    #[test]
    fn what_a_function_does_itself_is_looked_at_before_what_it_calls() {
        // bl +12, a function of more instructions than are looked at; cmp x4, #0x403; ret
        let mut words = vec![0xd503_201f; INSTRUCTIONS + 3];
        words[..2].copy_from_slice(&[0x9400_0003, 0xf110_0c9f]);
        words[2] = 0xd65f_03c0;
        let mut code = aarch64(&words);
        assert_eq!(follow(&program(EM_AARCH64, &code), &code), StartCode::Relocates(0x1004));
        code[4..8].copy_from_slice(&0xd503_201f_u32.to_le_bytes());
        assert_eq!(follow(&program(EM_AARCH64, &code), &code), StartCode::GoesOn(INSTRUCTIONS));
    }

    #[test]
    fn a_compare_that_nothing_leads_to_does_not_count() {
        // ret; cmp x4, #0x403
        let code = aarch64(&[0xd65f_03c0, 0xf110_0c9f]);
        assert_eq!(follow(&program(EM_AARCH64, &code), &code), StartCode::DoesNotRelocate(1));
        // ret; and ecx, 0x7fffffff; cmp rcx, 8
        let code = [0xc3, 0x81, 0xe1, 0xff, 0xff, 0xff, 0x7f, 0x48, 0x83, 0xf9, 8];
        assert_eq!(follow(&program(EM_X86_64, &code), &code), StartCode::DoesNotRelocate(1));
        // cmp rcx, 8; ret: a compare with eight, of anything
        let code = [0x48, 0x83, 0xf9, 8, 0xc3];
        assert_eq!(follow(&program(EM_X86_64, &code), &code), StartCode::DoesNotRelocate(2));
    }

    #[test]
    fn a_loop_ends_and_a_compare_with_another_number_does_not_count() {
        // cmp x4, #0x404; b -4
        let code = aarch64(&[0xf110_109f, 0x17ff_ffff]);
        assert_eq!(follow(&program(EM_AARCH64, &code), &code), StartCode::DoesNotRelocate(2));
    }

    #[test]
    fn an_entry_outside_of_code_and_an_unknown_machine_are_said() {
        let code = aarch64(&[0xd65f_03c0]);
        let mut elf = program(EM_AARCH64, &code);
        elf.entry = u64::MAX;
        assert_eq!(follow(&elf, &code), StartCode::NoCode);
        elf.entry = 0x1000 + code.len() as u64;
        assert_eq!(follow(&elf, &code), StartCode::NoCode, "right behind the last byte");
        elf.segments[0].offset = u64::MAX;
        elf.entry = 0x1000;
        assert_eq!(follow(&elf, &code), StartCode::NoCode);
        elf.machine = 243;
        assert_eq!(follow(&elf, &code), StartCode::UnknownMachine);
    }
}
