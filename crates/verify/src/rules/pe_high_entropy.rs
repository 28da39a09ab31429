//! SW-PE-HIGH-ENTROPY: the program may be loaded anywhere in 64 bits.

use inspect::facts::Pe;

use crate::pe_kind::not_a_program_of_windows;
use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject};

/// `IMAGE_DLLCHARACTERISTICS_HIGH_ENTROPY_VA`
const HIGH_ENTROPY_VA: u16 = 0x20;
/// `IMAGE_FILE_LARGE_ADDRESS_AWARE`
const LARGE_ADDRESS_AWARE: u16 = 0x20;
/// Optional header `Magic` of PE32+.
const PE32_PLUS: u16 = 0x20b;

pub(crate) const RULE: Rule = Rule {
    id: "SW-PE-HIGH-ENTROPY",
    summary: "the program may be loaded anywhere in 64 bits",
    why: "Without it Windows moves a 64-bit program among 256 places only: a few minutes of guessing.",
    fix: "link with `-Wl,--high-entropy-va` and `-Wl,--large-address-aware`",
    references: &[
        "PE/COFF specification, DLL Characteristics: IMAGE_DLLCHARACTERISTICS_HIGH_ENTROPY_VA",
        "MSVC linker, /HIGHENTROPYVA",
        "CWE-693: Protection Mechanism Failure",
    ],
    check: Check::Pe(check),
};

fn check(pe: &Pe, _: &Subject, _: &Policy) -> Judgement {
    if pe.magic != PE32_PLUS {
        return Judgement::not_applicable("a 32-bit program, see SW-CLASS");
    }
    if let Some(reason) = not_a_program_of_windows(pe) {
        return Judgement::not_applicable(reason);
    }
    // The second flag is what lets addresses above 2 GiB be used at all.
    let set = pe.dll_characteristics & HIGH_ENTROPY_VA != 0 && pe.characteristics & LARGE_ADDRESS_AWARE != 0;
    let observed = format!(
        "DllCharacteristics {:#x}, Characteristics {:#x}",
        pe.dll_characteristics, pe.characteristics
    );
    Judgement::require(set, observed, "HIGH_ENTROPY_VA (0x20) and LARGE_ADDRESS_AWARE (0x20) set")
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;

    use super::*;
    use crate::testing::*;

    #[test]
    fn either_cleared_flag_fails() {
        assert_ends(&judge_pe(&RULE, |_, _| ()), Outcome::Pass, "0x160");
        assert_ends(&judge_pe(&RULE, |pe, _| pe.dll_characteristics = 0x140), Outcome::Fail, "0x140");
        assert_ends(&judge_pe(&RULE, |pe, _| pe.characteristics = 0x20e), Outcome::Fail, "0x20e");
        assert_ends(&judge_pe(&RULE, |pe, _| pe.magic = 0x10b), Outcome::NotApplicable, "32-bit");
    }
}
