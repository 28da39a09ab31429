//! SW-PE-RELOCATIONS: the ASLR that the flags promise can happen.

use inspect::facts::Pe;

use crate::pe_kind::EXECUTE;
use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject};

/// `IMAGE_FILE_RELOCS_STRIPPED`
const RELOCS_STRIPPED: u16 = 1;

pub(crate) const RULE: Rule = Rule {
    id: "SW-PE-RELOCATIONS",
    summary: "the ASLR that the flags promise can happen",
    why: "Without base relocations Windows loads the program at its fixed address and leaves every ASLR flag without effect.",
    fix: "keep `.reloc`: no `strip -R .reloc`, no linker from before binutils 2.36",
    references: &[
        "PE/COFF specification, The .reloc Section",
        "PE/COFF specification, Characteristics: IMAGE_FILE_RELOCS_STRIPPED",
        "CERT/CC VU#307144: mingw-w64 by default produces executables that opt in to ASLR, but are not compatible with ASLR",
        "CWE-693: Protection Mechanism Failure",
    ],
    check: Check::Pe(check),
};

fn check(pe: &Pe, _: &Subject, _: &Policy) -> Judgement {
    let expected = "RELOCS_STRIPPED clear and at least one base relocation";
    if !pe.sections.iter().any(|section| section.characteristics & EXECUTE != 0) {
        return Judgement::not_applicable("no code: resources only, or exports that are other libraries'");
    }
    if pe.characteristics & RELOCS_STRIPPED != 0 {
        return Judgement::fail(
            format!("no ASLR: Characteristics {:#x}, RELOCS_STRIPPED", pe.characteristics),
            expected,
        );
    }
    let relocations = pe.base_relocations;
    // Windows moves such a file, and leaves every absolute address in it as it was.
    let suspicious =
        if relocations.entries == 0 { ", though RELOCS_STRIPPED is clear: suspicious" } else { "" };
    let observed =
        format!("{} base relocations in {} blocks{suspicious}", relocations.entries, relocations.blocks);
    Judgement::require(relocations.entries > 0, observed, expected)
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;
    use inspect::facts::BaseRelocations;

    use super::*;
    use crate::testing::*;

    #[test]
    fn stripped_missing_and_padding_only_relocations_fail() {
        assert_ends(&judge_pe(&RULE, |_, _| ()), Outcome::Pass, "12 base relocations");
        assert_ends(&judge_pe(&RULE, |pe, _| pe.characteristics |= 1), Outcome::Fail, "RELOCS_STRIPPED");
        let none = BaseRelocations::default();
        assert_ends(
            &judge_pe(&RULE, |pe, _| pe.base_relocations = none),
            Outcome::Fail,
            "0 base relocations",
        );
        let library = judge_pe(&RULE, |pe, _| {
            pe.sections.remove(0);
            pe.base_relocations = none;
        });
        assert_ends(&library, Outcome::NotApplicable, "resources only");
        let padding = BaseRelocations { blocks: 1, entries: 0 };
        assert_ends(&judge_pe(&RULE, |pe, _| pe.base_relocations = padding), Outcome::Fail, "in 1 blocks");
    }
}
