//! SW-PE-CFG: the guard that the flag promises is there.

use inspect::facts::{LoadConfig, Pe};

use crate::code_table::{addresses, are_code};
use crate::pe_kind::no_code_of_its_own;
use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Requirement, Subject};

pub(crate) const RULE: Rule = Rule {
    id: "SW-PE-CFG",
    summary: "control flow guard works where the file claims it",
    why: "A set GUARD_CF flag without its tables guards nothing, and checkers that read only the flag call it protected.",
    fix: "link with `/guard:cf` and objects compiled for it, or clear the flag; `policy.control-flow-guard` says whether it must be there",
    references: &[
        "PE/COFF specification, Load Configuration Layout: GuardFlags, GuardCFFunctionTable",
        "MSVC linker, /GUARD:CF",
        "CWE-691: Insufficient Control Flow Management",
    ],
    check: Check::Pe(check),
};

/// `IMAGE_DLLCHARACTERISTICS_GUARD_CF`, `…_DYNAMIC_BASE`, `IMAGE_FILE_RELOCS_STRIPPED`
const GUARD_CF: u16 = 0x4000;
const DYNAMIC_BASE: u16 = 0x40;
const RELOCS_STRIPPED: u16 = 1;
/// `IMAGE_GUARD_CF_INSTRUMENTED | IMAGE_GUARD_CF_FUNCTION_TABLE_PRESENT`
const INSTRUMENTED: u32 = 0x100 | 0x400;
/// From the PE signature to `DllCharacteristics`.
const OFFSET: u64 = 24 + 70;

fn check(pe: &Pe, subject: &Subject, policy: &Policy) -> Judgement {
    if policy.control_flow_guard == Requirement::Ignore {
        return Judgement::not_applicable("the policy does not look at control flow guard");
    }
    if let Some(reason) = no_code_of_its_own(pe) {
        return Judgement::not_applicable(reason);
    }
    let expected = "GUARD_CF (0x4000) set, a check pointer, a function table, and ASLR";
    let field = |judgement: Judgement| judgement.at(subject.bytes, u64::from(pe.header_offset) + OFFSET, 2);
    if pe.dll_characteristics & GUARD_CF == 0 {
        return match policy.control_flow_guard {
            Requirement::Required => {
                let observed = format!("DllCharacteristics {:#x}: no GUARD_CF", pe.dll_characteristics);
                field(Judgement::fail(observed, expected))
            }
            _ => Judgement::not_applicable(
                "built without control flow guard, which the policy does not require",
            ),
        };
    }
    let missing = missing(pe, subject.bytes);
    let functions = pe.load_config.map_or(0, |config| config.guard_function_count);
    if missing.is_empty() {
        return Judgement::pass(format!("{functions} functions in the table"), expected);
    }
    field(Judgement::fail(format!("GUARD_CF set, but {}", missing.join(", ")), expected))
}

/// What the flag promises and the file does not have.
fn missing(pe: &Pe, bytes: &[u8]) -> Vec<&'static str> {
    let mut missing = Vec::new();
    // Without ASLR an attacker knows which targets are valid.
    if pe.dll_characteristics & DYNAMIC_BASE == 0 || pe.characteristics & RELOCS_STRIPPED != 0 {
        missing.push("no ASLR");
    }
    let Some(config) = pe.load_config else {
        missing.push("no load configuration");
        return missing;
    };
    let section = |address: u64| pe.relative(address).and_then(|address| pe.section_at(address));
    if config.guard_flags & INSTRUMENTED != INSTRUMENTED {
        missing.push("guard flags without 0x500");
    }
    if section(config.guard_check).is_none() {
        missing.push("no check function pointer");
    }
    match functions(pe, bytes, config).map(|functions| are_code(pe, functions)) {
        Some(true) => {}
        // What is read as valid targets would be bytes of something else.
        Some(false) => {
            missing.push("what should be the function table is not one: addresses of code, ascending");
        }
        None => missing.push("no function table"),
    }
    missing
}

/// The addresses in the function table; `None` where its section does not hold it.
fn functions<'a>(
    pe: &Pe,
    bytes: &'a [u8],
    config: LoadConfig,
) -> Option<impl Iterator<Item = u32> + use<'a>> {
    // Four bytes an entry, and as many more as the flags' upper four bits say.
    let entry = 4 + u64::from(config.guard_flags >> 28);
    addresses(pe, bytes, config.guard_functions, config.guard_function_count, entry)
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;
    use artifact::Target;

    use super::*;
    use crate::testing::*;

    /// Three functions at the begin of `.text`, whose table is 0x10 bytes behind that of `.data`.
    const FUNCTIONS: [u32; 3] = [0x1000, 0x1010, 0x11f0];
    /// Where `.data` begins in the file.
    const DATA: usize = 0x1400;

    fn guarded(change: impl FnOnce(&mut Pe, &mut Policy)) -> Judgement {
        with_table(&FUNCTIONS, change)
    }

    fn with_table(functions: &[u32], change: impl FnOnce(&mut Pe, &mut Policy)) -> Judgement {
        let (mut facts, mut policy) = (pe_facts(), Policy::for_target(Target::X86_64Windows));
        let pe = pe_of(&mut facts);
        pe.dll_characteristics |= GUARD_CF;
        pe.load_config = Some(LoadConfig {
            size: 0x140,
            guard_check: pe.image_base + 0x2000,
            guard_functions: pe.image_base + 0x2010,
            guard_function_count: functions.len() as u64,
            guard_flags: INSTRUMENTED,
            ..LoadConfig::default()
        });
        change(pe, &mut policy);
        let mut bytes = vec![0; DATA + 0x10];
        bytes.extend(functions.iter().flat_map(|function| function.to_le_bytes()));
        // Other sections' bytes follow the 0x200 of `.data`.
        bytes.resize(DATA + 0x400, 0);
        judge(&RULE, &facts, &bytes, &policy)
    }

    fn without(change: impl FnOnce(&mut LoadConfig)) -> Judgement {
        guarded(|pe, _| change(pe.load_config.as_mut().expect("set above")))
    }

    #[test]
    fn the_flag_counts_only_with_what_it_promises() {
        assert_ends(&guarded(|_, _| ()), Outcome::Pass, "3 functions");
        assert_ends(&guarded(|pe, _| pe.load_config = None), Outcome::Fail, "no load configuration");
        assert_ends(&guarded(|pe, _| pe.characteristics |= 1), Outcome::Fail, "no ASLR");
        assert_ends(&guarded(|pe, _| pe.dll_characteristics &= !0x40), Outcome::Fail, "no ASLR");
        assert_ends(&without(|config| config.guard_flags = 0x100), Outcome::Fail, "0x500");
        assert_ends(&without(|config| config.guard_check = 0), Outcome::Fail, "no check function");
        assert_ends(&without(|config| config.guard_functions = 0), Outcome::Fail, "no function table");
        assert_ends(&without(|config| config.guard_function_count = 0), Outcome::Fail, "no function table");
        assert_ends(&without(|config| config.guard_function_count = 125), Outcome::Fail, "no function table");
        // 0x1f0 bytes are left: 124 entries of four bytes, 99 of five.
        let many: Vec<u32> = (0x1000..0x1000 + 124).collect();
        assert_ends(&with_table(&many, |_, _| ()), Outcome::Pass, "124");
        let wide = |pe: &mut Pe, _: &mut Policy| {
            pe.load_config.as_mut().expect("set above").guard_flags |= 0x1000_0000;
        };
        assert_ends(&with_table(&many, wide), Outcome::Fail, "no function table");
        // A fifth byte is about the function, and no part of its address.
        let spread = [0x1000, 0x0001_1001, 0x0200_0010, 0];
        let five = |pe: &mut Pe, policy: &mut Policy| {
            wide(pe, policy);
            pe.load_config.as_mut().expect("set above").guard_function_count = 3;
        };
        assert_ends(&with_table(&spread, five), Outcome::Fail, "not one");
        let packed = [0x1000, 0x0010_1001, 0x1020_0200];
        let two = |pe: &mut Pe, policy: &mut Policy| {
            wide(pe, policy);
            pe.load_config.as_mut().expect("set above").guard_function_count = 2;
        };
        assert_ends(&with_table(&packed, two), Outcome::Pass, "2 functions");
    }

    #[test]
    fn a_table_over_something_else_is_none() {
        for wrong in [
            [0x1010, 0x1000, 0x11f0],
            [0x1000, 0x1000, 0x11f0],
            [0x1000, 0x2000, 0x2010],
            [0, 0x1000, 0x1010],
        ] {
            assert_ends(&with_table(&wrong, |_, _| ()), Outcome::Fail, "addresses of code, ascending");
        }
        // Within the section, and behind what it has of bytes.
        let beyond = with_table(&[0x1000, 0x11f0, 0x1200], |_, _| ());
        assert_ends(&beyond, Outcome::Fail, "addresses of code, ascending");
    }

    #[test]
    fn a_file_without_the_flag_fails_only_where_it_is_required() {
        assert_ends(&judge_pe(&RULE, |_, _| ()), Outcome::NotApplicable, "does not require");
        let required = judge_pe(&RULE, |_, policy| policy.control_flow_guard = Requirement::Required);
        assert_ends(&required, Outcome::Fail, "no GUARD_CF");
        let ignored = guarded(|pe, policy| {
            pe.load_config = None;
            policy.control_flow_guard = Requirement::Ignore;
        });
        assert_ends(&ignored, Outcome::NotApplicable, "does not look");
        let packed = judge_pe(&RULE, |pe, policy| {
            pe.sections[0].name = "UPX0".into();
            policy.control_flow_guard = Requirement::Required;
        });
        assert_ends(&packed, Outcome::NotApplicable, "UPX");
    }
}
