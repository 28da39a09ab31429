//! SW-PE-CET: compatible with the shadow stack.

use inspect::facts::Pe;

use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject};

pub(crate) const RULE: Rule = Rule {
    id: "SW-PE-CET",
    summary: "the program works with shadow stacks, where the policy asks",
    why: "Windows switches the processor's shadow stack on only for a program that says it can live with it.",
    fix: "link with `/CETCOMPAT`, or set `policy.cet-compat` to false",
    references: &[
        "PE/COFF specification, Debug Type: IMAGE_DEBUG_TYPE_EX_DLLCHARACTERISTICS",
        "MSVC linker, /CETCOMPAT",
        "CWE-693: Protection Mechanism Failure",
    ],
    check: Check::Pe(check),
};

/// `IMAGE_DLLCHARACTERISTICS_EX_CET_COMPAT`
const CET_COMPAT: u32 = 1;
/// `IMAGE_FILE_MACHINE_I386` and `…_AMD64`
const X86: [u16; 2] = [0x14c, 0x8664];

fn check(pe: &Pe, subject: &Subject, policy: &Policy) -> Judgement {
    if !policy.cet_compat {
        return Judgement::not_applicable("the policy does not ask for CET");
    }
    if !X86.contains(&pe.machine) {
        return Judgement::not_applicable("not for x86 processors, which alone have CET");
    }
    let expected = "extended DLL characteristics with CET_COMPAT (1)";
    let entry = pe.debug.iter().find_map(|entry| Some((entry, entry.extended_dll_characteristics?)));
    match entry {
        None => Judgement::fail("no extended DLL characteristics in the debug directory", expected),
        Some((entry, flags)) => {
            let observed = format!("extended DLL characteristics {flags:#x}");
            Judgement::require(flags & CET_COMPAT != 0, observed, expected).at(
                subject.bytes,
                entry.offset.into(),
                4,
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;
    use inspect::facts::PeDebug;

    use super::*;
    use crate::testing::*;

    fn judge_flags(flags: Option<u32>, asked: bool) -> Judgement {
        judge_pe(&RULE, |pe, policy| {
            policy.cet_compat = asked;
            pe.debug.push(PeDebug { kind: 20, extended_dll_characteristics: flags, ..PeDebug::default() });
        })
    }

    #[test]
    fn the_flag_must_be_set_where_it_is_asked_for() {
        assert_ends(&judge_flags(Some(1), true), Outcome::Pass, "0x1");
        assert_ends(&judge_flags(Some(0x40), true), Outcome::Fail, "0x40");
        assert_ends(&judge_flags(None, true), Outcome::Fail, "no extended");
        assert_ends(&judge_flags(None, false), Outcome::NotApplicable, "policy");
        let other = judge_pe(&RULE, |pe, policy| {
            policy.cet_compat = true;
            pe.machine = 0xaa64;
        });
        assert_ends(&other, Outcome::NotApplicable, "x86");
    }
}
