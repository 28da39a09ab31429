//! SW-PE-PACKER: no packer, no installer stub.

use inspect::facts::Pe;

use crate::pe_kind::packer;
use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject};

pub(crate) const RULE: Rule = Rule {
    id: "SW-PE-PACKER",
    summary: "the program is not packed",
    why: "A packed program writes its code when it runs: no scanner, no mitigation and no rule of this gate sees what that code is.",
    fix: "ship the program as it was linked (MSVC: with `/INCREMENTAL:NO`), or set `policy.packed` where it is an installer",
    references: &["MITRE ATT&CK, T1027.002: Software Packing", "PE/COFF specification, Section Table"],
    check: Check::Pe(check),
};

fn check(pe: &Pe, _: &Subject, policy: &Policy) -> Judgement {
    if policy.packed {
        return Judgement::not_applicable("the policy lets packed files pass");
    }
    let expected = "no section of a packer, and no executable section without bytes in the file";
    match packer(pe) {
        None => Judgement::pass("none", expected),
        Some((section, packer)) => Judgement::fail(format!("{packer}: section `{}`", section.name), expected),
    }
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;

    use super::*;
    use crate::testing::*;

    #[test]
    fn a_packers_section_fails_unless_the_policy_allows_it() {
        assert_ends(&judge_pe(&RULE, |_, _| ()), Outcome::Pass, "none");
        for (name, packer) in
            [("UPX1", "UPX"), (".ndata", "NSIS"), (".vmp0", "VMProtect"), (".textbss", "incremental linking")]
        {
            let judgement = judge_pe(&RULE, |pe, _| pe.sections[1].name = name.to_owned());
            assert_ends(&judgement, Outcome::Fail, packer);
        }
        let allowed = judge_pe(&RULE, |pe, policy| {
            pe.sections[1].name = "UPX1".to_owned();
            policy.packed = true;
        });
        assert_ends(&allowed, Outcome::NotApplicable, "policy");
    }

    #[test]
    fn code_without_bytes_fails_whatever_it_is_called() {
        let renamed = judge_pe(&RULE, |pe, _| pe.sections[0].raw_size = 0);
        assert_ends(&renamed, Outcome::Fail, "unknown packer: section `.text`");
        assert_ends(&judge_pe(&RULE, |pe, _| pe.sections[1].raw_size = 0), Outcome::Pass, "none");
    }
}
