//! SW-PE-DYNAMIC-BASE: the program may be loaded at another address.

use inspect::facts::Pe;

use crate::pe_kind::not_a_program_of_windows;
use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject};

/// `IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE`
const DYNAMIC_BASE: u16 = 0x40;

pub(crate) const RULE: Rule = Rule {
    id: "SW-PE-DYNAMIC-BASE",
    summary: "the program may be loaded at another address",
    why: "A program at a fixed address gives an attacker every address in it; ASLR has nothing to move.",
    fix: "link with `-Wl,--dynamicbase`, and do not clear the flag afterwards",
    references: &[
        "PE/COFF specification, DLL Characteristics: IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE",
        "MSVC linker, /DYNAMICBASE",
        "CWE-693: Protection Mechanism Failure",
    ],
    check: Check::Pe(check),
};

fn check(pe: &Pe, _: &Subject, _: &Policy) -> Judgement {
    if let Some(reason) = not_a_program_of_windows(pe) {
        return Judgement::not_applicable(reason);
    }
    let observed = format!("DllCharacteristics {:#x}", pe.dll_characteristics);
    Judgement::require(pe.dll_characteristics & DYNAMIC_BASE != 0, observed, "DYNAMIC_BASE (0x40) set")
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;

    use super::*;
    use crate::testing::*;

    #[test]
    fn a_cleared_flag_fails() {
        assert_ends(&judge_pe(&RULE, |_, _| ()), Outcome::Pass, "0x160");
        assert_ends(&judge_pe(&RULE, |pe, _| pe.dll_characteristics = 0x120), Outcome::Fail, "0x120");
    }
}
