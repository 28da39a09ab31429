//! SW-PE-NX: data and stacks are not executable.

use inspect::facts::Pe;

use crate::pe_kind::not_a_program_of_windows;
use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject};

/// `IMAGE_DLLCHARACTERISTICS_NX_COMPAT`
const NX_COMPAT: u16 = 0x100;

pub(crate) const RULE: Rule = Rule {
    id: "SW-PE-NX",
    summary: "data and stacks are not executable",
    why: "Without the flag Windows may switch data execution prevention off for the whole process.",
    fix: "link with `-Wl,--nxcompat`",
    references: &[
        "PE/COFF specification, DLL Characteristics: IMAGE_DLLCHARACTERISTICS_NX_COMPAT",
        "MSVC linker, /NXCOMPAT",
        "CWE-693: Protection Mechanism Failure",
    ],
    check: Check::Pe(check),
};

fn check(pe: &Pe, _: &Subject, _: &Policy) -> Judgement {
    if let Some(reason) = not_a_program_of_windows(pe) {
        return Judgement::not_applicable(reason);
    }
    let observed = format!("DllCharacteristics {:#x}", pe.dll_characteristics);
    Judgement::require(pe.dll_characteristics & NX_COMPAT != 0, observed, "NX_COMPAT (0x100) set")
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;

    use super::*;
    use crate::testing::*;

    #[test]
    fn a_cleared_flag_fails() {
        assert_ends(&judge_pe(&RULE, |_, _| ()), Outcome::Pass, "0x160");
        assert_ends(&judge_pe(&RULE, |pe, _| pe.dll_characteristics = 0x60), Outcome::Fail, "0x60");
    }
}
