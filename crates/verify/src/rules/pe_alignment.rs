//! SW-PE-ALIGNMENT: each section has pages of its own.

use inspect::facts::Pe;

use crate::pe_kind::not_a_program_of_windows;
use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject};

pub(crate) const RULE: Rule = Rule {
    id: "SW-PE-ALIGNMENT",
    summary: "sections are aligned to pages",
    why: "With sections smaller than a page Windows maps the whole file at once, writable and executable everywhere.",
    fix: "do not give the linker `--section-alignment` or `/ALIGN` less than 4096",
    references: &[
        "PE/COFF specification, Optional Header Windows-Specific Fields: SectionAlignment",
        "BinSkim, BA2021.DoNotMarkWritableSectionsAsExecutable",
        "CWE-693: Protection Mechanism Failure",
    ],
    check: Check::Pe(check),
};

const PAGE: u32 = 4096;
/// From the PE signature to `SectionAlignment`.
const OFFSET: u64 = 24 + 32;

fn check(pe: &Pe, subject: &Subject, _: &Policy) -> Judgement {
    if let Some(reason) = not_a_program_of_windows(pe) {
        return Judgement::not_applicable(reason);
    }
    let aligned = pe.section_alignment >= PAGE;
    let judgement = Judgement::require(aligned, format!("{:#x}", pe.section_alignment), "0x1000 or more");
    judgement.at(subject.bytes, u64::from(pe.header_offset) + OFFSET, 4)
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;

    use super::*;
    use crate::testing::*;

    #[test]
    fn sections_smaller_than_a_page_fail() {
        assert_ends(&judge_pe(&RULE, |_, _| ()), Outcome::Pass, "0x1000");
        assert_ends(&judge_pe(&RULE, |pe, _| pe.section_alignment = 0x200), Outcome::Fail, "0x200");
        assert_ends(&judge_pe(&RULE, |pe, _| pe.section_alignment = 0xfff), Outcome::Fail, "0xfff");
    }
}
