//! SW-PE-IMAGE-BASE: the preferred address leaves room.

use inspect::facts::Pe;

use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject};

pub(crate) const RULE: Rule = Rule {
    id: "SW-PE-IMAGE-BASE",
    summary: "a 64-bit program prefers an address above 4 GiB",
    why: "Windows gives a program that prefers a low address far fewer places, whatever its high entropy flag says.",
    fix: "link with `-Wl,--image-base=0x140000000`, the default of today's linkers, or set `policy.high-image-base` to false",
    references: &[
        "PE/COFF specification, Optional Header Windows-Specific Fields: ImageBase",
        "MSVC linker, /HIGHENTROPYVA",
        "BinSkim, BA2001.LoadImageAboveFourGigabyteAddress",
    ],
    check: Check::Pe(check),
};

/// Optional header `Magic` of PE32+.
const PE32_PLUS: u16 = 0x20b;
const FOUR_GIB: u64 = 1 << 32;
/// From the PE signature to `ImageBase` of PE32+.
const OFFSET: u64 = 24 + 24;

fn check(pe: &Pe, subject: &Subject, policy: &Policy) -> Judgement {
    if !policy.high_image_base {
        return Judgement::not_applicable("the policy lets the image base be low");
    }
    if pe.magic != PE32_PLUS {
        return Judgement::not_applicable("a 32-bit program, see SW-CLASS");
    }
    let judgement =
        Judgement::require(pe.image_base >= FOUR_GIB, format!("{:#x}", pe.image_base), "0x100000000 or more");
    judgement.at(subject.bytes, u64::from(pe.header_offset) + OFFSET, 8)
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;

    use super::*;
    use crate::testing::*;

    #[test]
    fn a_low_address_fails_where_the_policy_asks() {
        assert_ends(&judge_pe(&RULE, |_, _| ()), Outcome::Pass, "0x140000000");
        assert_ends(&judge_pe(&RULE, |pe, _| pe.image_base = 0x40_0000), Outcome::Fail, "0x400000");
        assert_ends(&judge_pe(&RULE, |pe, _| pe.image_base = FOUR_GIB), Outcome::Pass, "0x100000000");
        let low = judge_pe(&RULE, |pe, policy| {
            pe.image_base = 0x40_0000;
            policy.high_image_base = false;
        });
        assert_ends(&low, Outcome::NotApplicable, "policy");
        assert_ends(&judge_pe(&RULE, |pe, _| pe.magic = 0x10b), Outcome::NotApplicable, "32-bit");
    }
}
