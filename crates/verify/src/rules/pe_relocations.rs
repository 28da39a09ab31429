//! SW-PE-RELOCATIONS: the ASLR that the flags promise can happen.

use inspect::facts::Pe;

use crate::pe_kind::EXECUTE;
use crate::pe_kind::not_a_program_of_windows;
use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject};

/// `IMAGE_NT_OPTIONAL_HDR64_MAGIC`
const PE32_PLUS: u16 = 0x20b;
/// `IMAGE_SCN_MEM_DISCARDABLE`
const DISCARDABLE: u32 = 0x0200_0000;
/// `IMAGE_FILE_RELOCS_STRIPPED`
const RELOCS_STRIPPED: u16 = 1;

pub(crate) const RULE: Rule = Rule {
    id: "SW-PE-RELOCATIONS",
    summary: "the ASLR that the flags promise can happen",
    why: "With RELOCS_STRIPPED Windows loads the program at its fixed address, whatever the ASLR flags say; where the table alone is \
          lost it moves the program, and every absolute address inside goes on to point where it was built for.",
    fix: "keep `.reloc`: no `strip -R .reloc`, no linker from before binutils 2.36",
    references: &[
        "PE/COFF specification, The .reloc Section",
        "PE/COFF specification, Characteristics: IMAGE_FILE_RELOCS_STRIPPED",
        "CERT/CC VU#307144: mingw-w64 by default produces executables that opt in to ASLR, but are not compatible with ASLR",
        "CWE-693: Protection Mechanism Failure",
    ],
    check: Check::Pe(check),
};

fn check(pe: &Pe, subject: &Subject, _: &Policy) -> Judgement {
    if let Some(reason) = not_a_program_of_windows(pe) {
        return Judgement::not_applicable(reason);
    }
    let expected = "RELOCS_STRIPPED clear, and a base relocation for every absolute address";
    if !pe.sections.iter().any(|section| section.characteristics & EXECUTE != 0) {
        return Judgement::not_applicable("no code: resources only, or exports that are other libraries'");
    }
    if pe.characteristics & RELOCS_STRIPPED != 0 {
        return Judgement::fail(
            format!("no ASLR: Characteristics {:#x}, RELOCS_STRIPPED", pe.characteristics),
            expected,
        );
    }
    let relocations = &pe.base_relocations;
    let observed = format!("{} base relocations in {} blocks", relocations.entries, relocations.blocks);
    if relocations.entries > 0 {
        // What Windows itself follows; a table that lacks one was not left as the linker wrote it.
        let Some(at) = relocations.unrelocated.first() else { return Judgement::pass(observed, expected) };
        let observed = format!("{observed}, and none for the pointer at {at:#x}, which Windows follows");
        let offset = pe.file_offset(*at).unwrap_or_default();
        let width = if pe.magic == PE32_PLUS { 8 } else { 4 };
        return Judgement::fail(observed, expected).at(subject.bytes, offset, width);
    }
    let observed = format!("{observed}, though RELOCS_STRIPPED is clear");
    // Below, any number may be meant as an address, and code has addresses of 32 bits.
    if pe.magic != PE32_PLUS || pe.image_base < 1 << 32 {
        return Judgement::fail(format!("{observed}: suspicious"), expected);
    }
    match absolute_address(pe, subject.bytes) {
        Some((offset, address)) => Judgement::fail(
            format!("{observed}: suspicious, {address:#x} is an address in it"),
            expected,
        )
        .at(subject.bytes, offset, 8),
        None => Judgement::pass(format!("{observed}; no absolute address is inside"), expected),
    }
}

/// The first number of 64 bits, aligned or not, that is an address in the program; with its offset. What may be discarded is
/// not looked at: mingw's debugging sections are full of addresses that nothing in the program follows.
fn absolute_address(pe: &Pe, bytes: &[u8]) -> Option<(u64, u64)> {
    let inside = pe.image_base..pe.image_base.saturating_add(u64::from(pe.size_of_image));
    let mut kept = pe.sections.iter().filter(|section| section.characteristics & DISCARDABLE == 0);
    kept.find_map(|section| {
        let start = section.file_start(pe);
        let end = start.saturating_add(u64::from(section.raw_size)).min(bytes.len() as u64);
        let content = bytes.get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)?;
        let mut numbers = content.windows(8).map(|number| number.try_into().map_or(0, u64::from_le_bytes));
        let at = numbers.position(|number| inside.contains(&number))?;
        let number = content[at..at + 8].try_into().map_or(0, u64::from_le_bytes);
        Some((start + at as u64, number))
    })
}

#[cfg(test)]
mod tests {
    use artifact::{Outcome, Target};
    use inspect::facts::BaseRelocations;

    use super::*;
    use crate::testing::*;

    #[test]
    fn stripped_missing_and_padding_only_relocations_fail() {
        assert_ends(&judge_pe(&RULE, |_, _| ()), Outcome::Pass, "12 base relocations");
        assert_ends(&judge_pe(&RULE, |pe, _| pe.characteristics |= 1), Outcome::Fail, "RELOCS_STRIPPED");
        let library = judge_pe(&RULE, |pe, _| {
            pe.sections.remove(0);
            pe.base_relocations = BaseRelocations::default();
        });
        assert_ends(&library, Outcome::NotApplicable, "resources only");
    }

    /// A program without relocations, with `number` at `offset` in the file.
    fn with_number(number: u64, offset: usize, change: fn(&mut Pe)) -> Judgement {
        let mut facts = pe_facts();
        let pe = pe_of(&mut facts);
        pe.base_relocations = BaseRelocations { blocks: 1, ..BaseRelocations::default() };
        change(pe);
        let mut bytes = vec![0; 0x2600];
        bytes[offset..offset + 8].copy_from_slice(&number.to_le_bytes());
        judge(&RULE, &facts, &bytes, &Policy::for_target(Target::X86_64Windows))
    }

    #[test]
    fn a_pointer_that_windows_follows_has_a_relocation() {
        for (magic, shown) in [(0x20b, "0102030405060708"), (0x10b, "01020304")] {
            let mut facts = pe_facts();
            let pe = pe_of(&mut facts);
            pe.magic = magic;
            pe.base_relocations.unrelocated = vec![0x2008, 0x2010];
            let offset = pe.file_offset(0x2008).unwrap();
            let mut bytes = vec![0; 0x2600];
            bytes[offset as usize..][..8].copy_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8]);
            let judgement = judge(&RULE, &facts, &bytes, &Policy::for_target(Target::X86_64Windows));
            let told = "12 base relocations in 1 blocks, and none for the pointer at 0x2008";
            assert_ends(&judgement, Outcome::Fail, told);
            let evidence = &judgement.evidence[0];
            assert_eq!((evidence.offset, evidence.bytes.as_str()), (offset, shown));
        }
    }

    #[test]
    fn without_relocations_no_address_may_be_inside() {
        // The sections lie at 0x400, 0x1400 and 0x2400, of 0x200 bytes each.
        let none = with_number(0x1_3fff_ffff, 0x1410, |_| ());
        assert_ends(&none, Outcome::Pass, "0 base relocations in 1 blocks");
        assert_ends(&none, Outcome::Pass, "no absolute address is inside");
        for (number, offset) in [(0x1_4000_0000, 0x400), (0x1_4000_3fff, 0x1411), (0x1_4000_1000, 0x15f8)] {
            let judgement = with_number(number, offset, |_| ());
            assert_ends(&judgement, Outcome::Fail, &format!("suspicious, {number:#x} is an address in it"));
            assert_eq!(judgement.evidence[0].offset, offset as u64);
        }
        assert_ends(&with_number(0x1_4000_4000, 0x1410, |_| ()), Outcome::Pass, "no absolute");
        assert_ends(&with_number(0x1_4000_1000, 0x800, |_| ()), Outcome::Pass, "no absolute");
        let debugging = with_number(0x1_4000_1000, 0x2410, |_| ());
        assert_ends(&debugging, Outcome::Pass, "no absolute address is inside");
        let lowest = with_number(0, 0, |pe| pe.image_base = 1 << 32);
        assert_ends(&lowest, Outcome::Pass, "no absolute address is inside");
        for change in [|pe: &mut Pe| pe.image_base = 0x40_0000, |pe: &mut Pe| pe.magic = 0x10b] {
            assert_ends(&with_number(0, 0, change), Outcome::Fail, "RELOCS_STRIPPED is clear: suspicious");
        }
    }
}
