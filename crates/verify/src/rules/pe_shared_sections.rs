//! SW-PE-SHARED-SECTIONS: no memory shared with every other process that runs the file.

use inspect::facts::Pe;

use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject};

/// `IMAGE_SCN_MEM_SHARED | IMAGE_SCN_MEM_WRITE`
const SHARED_WRITABLE: u32 = 0x1000_0000 | 0x8000_0000;

pub(crate) const RULE: Rule = Rule {
    id: "SW-PE-SHARED-SECTIONS",
    summary: "no memory shared with every other process that runs the file",
    why: "A shared writable section lets any user's copy of the program change the memory of every other copy.",
    fix: "look for `#pragma data_seg` with `SHARED`, or a `/SECTION:…,S` link argument; use a named mapping instead",
    references: &[
        "PE/COFF specification, Section Flags: IMAGE_SCN_MEM_SHARED",
        "CWE-732: Incorrect Permission Assignment for Critical Resource",
    ],
    check: Check::Pe(check),
};

fn check(pe: &Pe, _: &Subject, _: &Policy) -> Judgement {
    let shared =
        pe.sections.iter().filter(|section| section.characteristics & SHARED_WRITABLE == SHARED_WRITABLE);
    let wrong: Vec<_> = shared
        .map(|section| format!("`{}` characteristics {:#x}", section.name, section.characteristics))
        .collect();
    Judgement::none_wrong(&wrong, "none", "no section both shared and writable")
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;

    use super::*;
    use crate::testing::*;

    #[test]
    fn shared_and_writable_fails_shared_and_constant_does_not() {
        assert_ends(&judge_pe(&RULE, |_, _| ()), Outcome::Pass, "none");
        let data = judge_pe(&RULE, |pe, _| pe.sections[1].characteristics |= 0x1000_0000);
        assert_ends(&data, Outcome::Fail, "`.data` characteristics 0xd0000040");
        let code = judge_pe(&RULE, |pe, _| pe.sections[0].characteristics |= 0x1000_0000);
        assert_ends(&code, Outcome::Pass, "none");
    }
}
