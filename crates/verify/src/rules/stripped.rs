//! SW-STRIPPED: no symbol table, no debug section.

use inspect::facts::Binary;

use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject};

/// `SHT_SYMTAB`
const SYMBOL_TABLE: u32 = 2;
/// `SHF_ALLOC`: the section is loaded, so no tool takes it out. rustc writes a `.debug_gdb_scripts` of this kind, some
/// 40 bytes that name its pretty printers.
const LOADED: u64 = 2;

pub(crate) const RULE: Rule = Rule {
    id: "SW-STRIPPED",
    summary: "no symbol table, no debug section",
    why: "Symbols and debug sections make the download several times larger and tell how and where it was built.",
    fix: "set `finish.strip = \"symbols\"`: they are kept in the separate symbols file",
    references: &[
        "ELF gABI, Symbol Table",
        "PE/COFF specification, COFF Symbol Table",
        "CWE-489: Active Debug Code",
    ],
    check: Check::Either(check),
};

fn check(subject: &Subject, policy: &Policy) -> Judgement {
    if !policy.stripped {
        return Judgement::not_applicable("the policy lets symbols stay");
    }
    let mut left = Vec::new();
    let mut note_debug = |name: &str| {
        if name.starts_with(".debug_") || name.starts_with(".zdebug_") {
            left.push(format!("section `{name}`"));
        }
    };
    match &subject.facts.binary {
        Binary::Elf(elf) => {
            let not_loaded = elf.sections.iter().filter(|section| section.flags & LOADED == 0);
            not_loaded.for_each(|section| note_debug(&section.name));
            let table = |section: &&inspect::facts::ElfSection| section.kind == SYMBOL_TABLE;
            if let Some(table) = elf.sections.iter().find(table) {
                left.push(format!("symbol table `{}` of {} entries", table.name, elf.symbol_count));
            }
        }
        Binary::Pe(pe) => {
            pe.sections.iter().for_each(|section| note_debug(&section.name));
            // A file with long section names keeps the string table behind the symbols, so an offset alone is no symbol.
            if pe.symbol_count != 0 {
                let (count, offset) = (pe.symbol_count, pe.symbol_table_offset);
                left.push(format!("COFF symbol table of {count} entries at offset {offset:#x}"));
            }
        }
    }
    Judgement::none_wrong(&left, "stripped", "no symbol table, no debug section")
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;

    use super::*;
    use crate::testing::*;

    #[test]
    fn a_symbol_table_or_a_debug_section_fails() {
        assert_ends(&judge_elf(&RULE, |_, _| ()), Outcome::Pass, "stripped");
        assert_ends(&judge_pe(&RULE, |_, _| ()), Outcome::Pass, "stripped");
        let symbols = judge_elf(&RULE, |elf, _| elf.sections.push(section(".symtab", 2, 0, 0, 0, 0)));
        assert_ends(&symbols, Outcome::Fail, "`.symtab`");
        let debug = judge_elf(&RULE, |elf, _| elf.sections.push(section(".debug_info", 1, 0, 0, 0, 0)));
        assert_ends(&debug, Outcome::Fail, "`.debug_info`");
        assert_ends(&judge_pe(&RULE, |pe, _| pe.symbol_count = 7), Outcome::Fail, "7 entries");
        let names = judge_pe(&RULE, |pe, _| pe.symbol_table_offset = 0x9000);
        assert_ends(&names, Outcome::Pass, "stripped");
        let loaded =
            judge_elf(&RULE, |elf, _| elf.sections.push(section(".debug_gdb_scripts", 1, LOADED, 0, 0, 0)));
        assert_ends(&loaded, Outcome::Pass, "stripped");
    }

    #[test]
    fn a_policy_may_let_symbols_stay() {
        assert_ends(&judge_pe(&RULE, |_, policy| policy.stripped = false), Outcome::NotApplicable, "policy");
    }
}
