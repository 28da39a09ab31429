//! SW-ELF-TEXTREL: the loader need not write into code.

use inspect::facts::Elf;

use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject};

const DT_TEXTREL: i64 = 22;
const DT_FLAGS: i64 = 30;
const DF_TEXTREL: u64 = 4;

pub(crate) const RULE: Rule = Rule {
    id: "SW-ELF-TEXTREL",
    summary: "the loader need not write into code",
    why: "Relocations in code make the loader map it writable; hardened kernels and musl refuse such a program.",
    fix: "build every object with `-fPIC` (assembler files too); link with `-z text` to see which one is wrong",
    references: &[
        "ELF gABI, Dynamic Section: DT_TEXTREL, DF_TEXTREL",
        "glibc, elf/dl-reloc.c: _dl_relocate_object",
        "CWE-693: Protection Mechanism Failure",
    ],
    check: Check::Elf(check),
};

fn check(elf: &Elf, _: &Subject, _: &Policy) -> Judgement {
    let mut tags = Vec::new();
    for entry in &elf.dynamic {
        match entry.tag {
            DT_TEXTREL => tags.push("DT_TEXTREL".to_owned()),
            DT_FLAGS if entry.value & DF_TEXTREL != 0 => {
                tags.push(format!("DF_TEXTREL in {:#x}", entry.value))
            }
            _ => {}
        }
    }
    Judgement::none_wrong(&tags, "none", "neither DT_TEXTREL nor DF_TEXTREL")
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;

    use super::*;
    use crate::testing::*;

    #[test]
    fn either_mark_fails() {
        assert_ends(&judge_elf(&RULE, |_, _| ()), Outcome::Pass, "none");
        assert_ends(
            &judge_elf(&RULE, |elf, _| elf.dynamic.push(dynamic(22, 0))),
            Outcome::Fail,
            "DT_TEXTREL",
        );
        assert_ends(
            &judge_elf(&RULE, |elf, _| elf.dynamic[0].value |= 4),
            Outcome::Fail,
            "DF_TEXTREL in 0xc",
        );
    }
}
