//! SW-WX-SECTIONS: no section is writable and executable.

use inspect::facts::Binary;

use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject};

/// `SHF_WRITE | SHF_EXECINSTR`
const ELF_WRITE_EXECUTE: u64 = 0x1 | 0x4;
/// `IMAGE_SCN_MEM_WRITE | IMAGE_SCN_MEM_EXECUTE`
const PE_WRITE_EXECUTE: u32 = 0x8000_0000 | 0x2000_0000;

pub(crate) const RULE: Rule = Rule {
    id: "SW-WX-SECTIONS",
    summary: "no section is writable and executable",
    why: "Memory that is writable and executable turns any write through a wild pointer into code.",
    fix: "look for a linker script or a `link_section` attribute that mixes code and data",
    references: &[
        "ELF gABI, Section Attribute Flags: SHF_WRITE, SHF_EXECINSTR",
        "PE/COFF specification, Section Flags: IMAGE_SCN_MEM_WRITE, IMAGE_SCN_MEM_EXECUTE",
        "CWE-693: Protection Mechanism Failure",
    ],
    check: Check::Either(check),
};

fn check(subject: &Subject, _: &Policy) -> Judgement {
    let mut wrong = Vec::new();
    match &subject.facts.binary {
        Binary::Elf(elf) if elf.sections.is_empty() => {
            return Judgement::not_applicable(
                "no section headers; SW-ELF-WX-SEGMENTS looks at what is loaded",
            );
        }
        Binary::Elf(elf) => {
            let both =
                elf.sections.iter().filter(|section| section.flags & ELF_WRITE_EXECUTE == ELF_WRITE_EXECUTE);
            wrong.extend(both.map(|section| format!("`{}` flags {:#x}", section.name, section.flags)));
        }
        Binary::Pe(pe) => {
            let both = |characteristics: u32| characteristics & PE_WRITE_EXECUTE == PE_WRITE_EXECUTE;
            let sections = pe.sections.iter().filter(|section| both(section.characteristics));
            wrong.extend(
                sections.map(|section| {
                    format!("`{}` characteristics {:#x}", section.name, section.characteristics)
                }),
            );
        }
    }
    Judgement::none_wrong(&wrong, "none", "no section both writable and executable")
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;

    use super::*;
    use crate::testing::*;

    #[test]
    fn writable_code_fails_in_both_formats() {
        assert_ends(&judge_elf(&RULE, |_, _| ()), Outcome::Pass, "none");
        assert_ends(
            &judge_elf(&RULE, |elf, _| elf.sections[1].flags = 7),
            Outcome::Fail,
            "`.text` flags 0x7",
        );
        assert_ends(&judge_pe(&RULE, |_, _| ()), Outcome::Pass, "none");
        let writable = judge_pe(&RULE, |pe, _| pe.sections[0].characteristics |= 0x8000_0000);
        assert_ends(&writable, Outcome::Fail, "`.text` characteristics 0xe0000020");
    }
}
