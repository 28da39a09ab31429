//! SW-PE-EXECUTABLE-IMPORTS: tables of imports are data.

use std::collections::HashSet;

use inspect::facts::Pe;

use crate::pe_kind::EXECUTE;
use crate::pe_kind::{is_intermediate_language, not_a_program_of_windows};
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
/// The tables that the loader fills in: of those loaded at start, and at first use.
const TABLES: [&str; 2] = ["import addresses", "delay import addresses"];

fn check(pe: &Pe, _: &Subject, _: &Policy) -> Judgement {
    if let Some(reason) = not_a_program_of_windows(pe) {
        return Judgement::not_applicable(reason);
    }
    if is_intermediate_language(pe) {
        return Judgement::not_applicable(".NET code, whose one import is of no use to anybody");
    }
    let directories =
        DIRECTORIES.into_iter().filter_map(|(index, name)| Some((name, pe.directory(index)?.address)));
    // The directory of addresses may be elsewhere, or missing: the loader goes by each library's own table.
    let tables = pe.imports.iter().map(|import| (TABLES[usize::from(import.delayed)], import.address_table));
    let (mut wrong, mut seen) = (Vec::new(), HashSet::new());
    for (name, address) in directories.chain(tables) {
        let section = pe.section_at(address).filter(|section| section.characteristics & EXECUTE != 0);
        // Each section once, whatever the number of libraries.
        if let Some(section) = section.filter(|section| seen.insert((name, section.virtual_address))) {
            wrong
                .push(format!("{name} in `{}` characteristics {:#x}", section.name, section.characteristics));
        }
    }
    Judgement::none_wrong(&wrong, "none", "no import table in an executable section")
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;
    use inspect::facts::{ClrHeader, DataDirectory};

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
        for (delayed, name) in [(false, "import addresses"), (true, "delay import addresses")] {
            let table = judge_pe(&RULE, |pe, _| {
                (pe.imports[0].delayed, pe.imports[0].address_table) = (delayed, 0x1010);
                pe.imports.push(pe.imports[0].clone());
            });
            let told = format!("{name} in `.text` characteristics 0x60000020");
            assert_ends(&table, Outcome::Fail, &told);
            assert_eq!(table.observed, told, "once for all libraries");
        }
    }

    #[test]
    fn the_one_import_of_dot_net_may_be_in_its_text() {
        let judged = |flags| {
            judge_pe(&RULE, |pe, _| {
                pe.clr = Some(ClrHeader { runtime_version: (2, 5), flags });
                pe.sections.iter_mut().for_each(|section| section.characteristics |= EXECUTE);
            })
        };
        assert_ends(&judged(1), Outcome::NotApplicable, ".NET");
        assert_ends(&judged(0), Outcome::Fail, "import addresses in");
    }
}
