//! SW-CLASS: 64-bit and little endian, as all our targets are.

use inspect::facts::Binary;

use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject};

/// Optional header `Magic` of PE32+.
const PE32_PLUS: u16 = 0x20b;

pub(crate) const RULE: Rule = Rule {
    id: "SW-CLASS",
    summary: "64-bit and little endian, as all our targets are",
    why: "A 32-bit or big-endian program for the same processor family (x32, ILP32) finds no libraries on the system.",
    fix: "check the target triple and the linker's emulation (`-m`)",
    references: &[
        "ELF gABI, ELF Identification: EI_CLASS and EI_DATA",
        "PE/COFF specification, Optional Header: Magic",
    ],
    check: Check::Either(check),
};

fn check(subject: &Subject, _: &Policy) -> Judgement {
    let expected = "64-bit, little endian";
    match &subject.facts.binary {
        Binary::Elf(elf) => {
            let order = if elf.big_endian { "big" } else { "little" };
            let observed = format!("{}-bit, {order} endian", elf.class);
            Judgement::require(elf.class == 64 && !elf.big_endian, observed, expected)
        }
        Binary::Pe(pe) => {
            let observed = format!("optional header magic {:#x}", pe.magic);
            Judgement::require(pe.magic == PE32_PLUS, observed, "magic 0x20b (PE32+)")
        }
    }
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;

    use super::*;
    use crate::testing::*;

    #[test]
    fn thirty_two_bits_or_big_endian_fail() {
        assert_ends(&judge_elf(&RULE, |_, _| ()), Outcome::Pass, "64-bit");
        assert_ends(&judge_elf(&RULE, |elf, _| elf.class = 32), Outcome::Fail, "32-bit, little");
        assert_ends(&judge_elf(&RULE, |elf, _| elf.big_endian = true), Outcome::Fail, "big endian");
        assert_ends(&judge_pe(&RULE, |_, _| ()), Outcome::Pass, "0x20b");
        assert_ends(&judge_pe(&RULE, |pe, _| pe.magic = 0x10b), Outcome::Fail, "0x10b");
    }
}
