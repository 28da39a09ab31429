//! SW-PE-SAFESEH: only listed exception handlers run.

use inspect::facts::Pe;

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

fn check(pe: &Pe, _: &Subject, _: &Policy) -> Judgement {
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
    match table {
        Some(config) => Judgement::pass(format!("{} handlers listed", config.se_handler_count), expected),
        None => Judgement::fail("handlers may be anywhere", expected),
    }
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;
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
        let listed = |se_handler_table, se_handler_count| {
            let config = LoadConfig { se_handler_table, se_handler_count, ..LoadConfig::default() };
            narrow(|pe| pe.load_config = Some(config))
        };
        assert_ends(&listed(0x40_2000, 5), Outcome::Pass, "5 handlers");
        assert_ends(&listed(0x40_2000, 0), Outcome::Fail, "anywhere");
        assert_ends(&listed(0, 5), Outcome::Fail, "anywhere");
        assert_ends(&judge_pe(&RULE, |_, _| ()), Outcome::NotApplicable, "32-bit x86");
    }
}
