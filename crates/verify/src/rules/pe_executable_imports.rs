//! SW-PE-EXECUTABLE-IMPORTS: tables of imports are data.

use inspect::facts::Pe;

use crate::pe_kind::EXECUTE;
use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject};

pub(crate) const RULE: Rule = Rule {
    id: "SW-PE-EXECUTABLE-IMPORTS",
    summary: "import tables are not in executable memory",
    why: "Import tables in executable memory are bytes an attacker may choose among for code, and often writable ones.",
    fix: "keep `.idata` and `.rdata` apart from `.text`: no `/MERGE`, no `finish.merge-sections` into code",
    references: &[
        "PE/COFF specification, The .idata Section",
        "BinSkim, BA2010.DoNotMarkImportsSectionAsExecutable",
        "CWE-693: Protection Mechanism Failure",
    ],
    check: Check::Pe(check),
};

/// Import, IAT and delay import directories.
const DIRECTORIES: [(usize, &str); 3] = [(1, "imports"), (12, "import addresses"), (13, "delay imports")];

fn check(pe: &Pe, _: &Subject, _: &Policy) -> Judgement {
    let mut wrong = Vec::new();
    for (index, name) in DIRECTORIES {
        let section = pe.directory(index).and_then(|place| pe.section_at(place.address));
        if let Some(section) = section.filter(|section| section.characteristics & EXECUTE != 0) {
            wrong
                .push(format!("{name} in `{}` characteristics {:#x}", section.name, section.characteristics));
        }
    }
    Judgement::none_wrong(&wrong, "none", "no import table in an executable section")
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;
    use inspect::facts::DataDirectory;

    use super::*;
    use crate::testing::*;

    #[test]
    fn a_table_in_code_fails() {
        assert_ends(&judge_pe(&RULE, |_, _| ()), Outcome::Pass, "none");
        for (index, name) in DIRECTORIES {
            let placed = |address| {
                judge_pe(&RULE, |pe, _| pe.data_directories[index] = DataDirectory { address, size: 20 })
            };
            assert_ends(&placed(0x1010), Outcome::Fail, &format!("{name} in `.text`"));
            assert_ends(&placed(0x2010), Outcome::Pass, "none");
        }
    }
}
