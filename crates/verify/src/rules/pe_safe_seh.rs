//! SW-PE-SAFESEH: only listed exception handlers run.

use inspect::facts::Pe;

use crate::code_table::{addresses, are_code};
use crate::pe_kind::no_code_of_its_own;
use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject};

pub(crate) const RULE: Rule = Rule {
    id: "SW-PE-SAFESEH",
    summary: "a 32-bit program lists its exception handlers",
    why: "A 32-bit program keeps handler addresses on the stack; without a list of the real ones any overwritten one is called.",
    fix: "link with `/SAFESEH`, or without handlers (NO_SEH)",
    references: &[
        "PE/COFF specification, Load Configuration Layout: SEHandlerTable",
        "MSVC linker, /SAFESEH",
        "CWE-693: Protection Mechanism Failure",
    ],
    check: Check::Pe(check),
};

/// `IMAGE_FILE_MACHINE_I386`
const I386: u16 = 0x14c;
/// `IMAGE_DLLCHARACTERISTICS_NO_SEH`
const NO_SEH: u16 = 0x400;

fn check(pe: &Pe, subject: &Subject, _: &Policy) -> Judgement {
    if pe.machine != I386 {
        return Judgement::not_applicable("not for 32-bit x86: handlers are in tables, not on the stack");
    }
    if let Some(reason) = no_code_of_its_own(pe) {
        return Judgement::not_applicable(reason);
    }
    let expected = "NO_SEH (0x400) set, or a handler table in the load configuration";
    if pe.dll_characteristics & NO_SEH != 0 {
        return Judgement::pass("no handlers: NO_SEH", expected);
    }
    let table = pe.load_config.filter(|config| config.se_handler_table != 0 && config.se_handler_count != 0);
    let Some(config) = table else { return Judgement::fail("handlers may be anywhere", expected) };
    let count = config.se_handler_count;
    match addresses(pe, subject.bytes, config.se_handler_table, count, 4).map(|table| are_code(pe, table)) {
        Some(true) => Judgement::pass(format!("{count} handlers listed"), expected),
        // Windows searches it by halves.
        Some(false) => Judgement::fail(
            format!("what should be the table of {count} handlers is not one: addresses of code, ascending"),
            expected,
        ),
        None => Judgement::fail(format!("a table of {count} handlers that is not in the file"), expected),
    }
}

#[cfg(test)]
mod tests {
    use artifact::{Outcome, Target};
    use inspect::facts::LoadConfig;

    use super::*;
    use crate::testing::*;

    fn narrow(change: impl FnOnce(&mut Pe)) -> Judgement {
        judge_pe(&RULE, |pe, _| {
            (pe.machine, pe.magic) = (I386, 0x10b);
            change(pe);
        })
    }

    #[test]
    fn a_list_or_the_word_that_there_are_none_passes() {
        assert_ends(&narrow(|_| ()), Outcome::Fail, "anywhere");
        assert_ends(&narrow(|pe| pe.dll_characteristics |= NO_SEH), Outcome::Pass, "NO_SEH");
        // `.data` is at 0x1400 in the file.
        let with = |table: [u32; 3], se_handler_table, se_handler_count| {
            let mut facts = pe_facts();
            let pe = pe_of(&mut facts);
            (pe.machine, pe.magic) = (I386, 0x10b);
            let data = pe.sections.iter().find(|section| section.name == ".data").unwrap();
            let se_handler_table = pe.image_base + u64::from(data.virtual_address) + se_handler_table;
            pe.load_config = Some(LoadConfig { se_handler_table, se_handler_count, ..LoadConfig::default() });
            let mut bytes = vec![0; 0x2600];
            bytes[0x1410..0x141c].copy_from_slice(&table.map(u32::to_le_bytes).concat());
            judge(&RULE, &facts, &bytes, &Policy::for_target(Target::X86_64Windows))
        };
        let good = [0x1000, 0x1010, 0x11f0];
        assert_ends(&with(good, 0x10, 3), Outcome::Pass, "3 handlers");
        assert_ends(&with(good, 0x10, 0), Outcome::Fail, "anywhere");
        assert_ends(&with([0x1010, 0x1000, 0x11f0], 0x10, 3), Outcome::Fail, "addresses of code, ascending");
        assert_ends(&with([0x1000, 0x1010, 0x9000], 0x10, 3), Outcome::Fail, "addresses of code, ascending");
        assert_ends(&with(good, 0x10, 1 << 30), Outcome::Fail, "is not in the file");
        assert_ends(&with(good, 0x4141_4141, 3), Outcome::Fail, "is not in the file");
        let nowhere = LoadConfig { se_handler_count: 5, ..LoadConfig::default() };
        assert_ends(&narrow(|pe| pe.load_config = Some(nowhere)), Outcome::Fail, "anywhere");
        assert_ends(&judge_pe(&RULE, |_, _| ()), Outcome::NotApplicable, "32-bit x86");
    }
}
