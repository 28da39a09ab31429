//! SW-PE-STACK-PROTECTOR: stack cookies, by evidence.

use inspect::facts::{Pe, PeFunction};

use crate::pe_kind::no_code_of_its_own;
use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject};

pub(crate) const RULE: Rule = Rule {
    id: "SW-PE-STACK-PROTECTOR",
    summary: "the code has a stack protector, where the policy asks",
    why: "Without a cookie before it, a return address is overwritten by the first buffer in C code that is written too far.",
    fix: "compile C and C++ with `-fstack-protector-strong` or `/GS`; code in Rust alone needs `policy.stack-cookies = false`",
    references: &[
        "GCC manual, Program Instrumentation Options: -fstack-protector-strong",
        "MSVC, /GS (Buffer Security Check)",
        "CWE-121: Stack-based Buffer Overflow",
    ],
    check: Check::Pe(check),
};

/// `IMAGE_GUARD_SECURITY_COOKIE_UNUSED`
const COOKIE_UNUSED: u32 = 0x800;

fn check(pe: &Pe, _: &Subject, policy: &Policy) -> Judgement {
    if let Some(reason) = no_code_of_its_own(pe) {
        return Judgement::not_applicable(reason);
    }
    let expected = "code that checks a stack cookie";
    if let Some(evidence) = protector(pe) {
        return Judgement::pass(evidence, expected);
    }
    let cookie = pe.load_config.filter(|config| config.security_cookie != 0);
    let unused = cookie.is_some_and(|config| config.guard_flags & COOKIE_UNUSED != 0);
    let stripped = pe.symbol_count == 0;
    let by_libssp = brought_by_fortify(pe);
    let seen = match cookie {
        _ if by_libssp => "`__stack_chk_fail` in libssp, which `_FORTIFY_SOURCE` brings too",
        Some(_) if unused => "a cookie that the file says nobody checks",
        // Whoever links the C run-time has it.
        Some(_) => "a cookie in the load configuration, which is the C run-time's; the rest cannot be told",
        None if stripped => {
            "no stack protector imported; of what is linked in, a stripped file does not tell"
        }
        None => "no canary: no stack protector imported or among the symbols",
    };
    let absent = !by_libssp && (unused || (cookie.is_none() && !stripped));
    match (policy.stack_cookies, absent) {
        (false, _) => Judgement::not_applicable(format!("{seen}; the policy asks for none")),
        (true, true) => Judgement::fail(seen, expected),
        (true, false) => Judgement::cannot_tell(seen, expected),
    }
}

/// Names that only code compiled with `-fstack-protector` asks for. mingw's start code has a `__security_cookie` of its
/// own that nobody checks, so that name is no evidence.
fn protector(pe: &Pe) -> Option<String> {
    const NAMES: [&str; 2] = ["__stack_chk_fail", "__stack_chk_guard"];
    for import in &pe.imports {
        let named = |function: &PeFunction| match function {
            PeFunction::Name(name) => NAMES.iter().copied().find(|known| known == name),
            PeFunction::Ordinal(_) => None,
        };
        if let Some(name) = import.functions.iter().find_map(named) {
            return Some(format!("`{name}` of `{}`", import.library));
        }
    }
    // GCC's libssp has it in one object with what `_FORTIFY_SOURCE` calls; the pointer to the guard stands beside code that checks.
    let is_proof =
        |name: &&String| name.starts_with(".refptr.") || *name != CHECK_FAILED && !brought_by_fortify(pe);
    pe.protector_symbols.iter().find(is_proof).map(|name| format!("symbol `{name}`"))
}

/// What `_FORTIFY_SOURCE` calls where a buffer is too small.
const CHECK_FAILED: &str = "__chk_fail";

/// Whether the protector's symbols may be there for that alone.
fn brought_by_fortify(pe: &Pe) -> bool {
    let has = |wanted: &str| pe.protector_symbols.iter().any(|name| name == wanted);
    has(CHECK_FAILED) && has("__stack_chk_fail")
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;
    use inspect::facts::LoadConfig;

    use super::*;
    use crate::testing::*;

    fn required(change: impl FnOnce(&mut Pe)) -> Judgement {
        judge_pe(&RULE, |pe, policy| {
            policy.stack_cookies = true;
            change(pe);
        })
    }

    fn with_cookie(flags: u32) -> Judgement {
        let config = LoadConfig { security_cookie: 1, guard_flags: flags, ..LoadConfig::default() };
        required(|pe| pe.load_config = Some(config))
    }

    #[test]
    fn only_what_the_protector_alone_needs_is_evidence() {
        let name = || PeFunction::Name("__stack_chk_fail".to_owned());
        assert_ends(
            &required(|pe| pe.imports[0].functions.push(name())),
            Outcome::Pass,
            "`__stack_chk_fail` of",
        );
        let symbol = |pe: &mut Pe| pe.protector_symbols.push("__stack_chk_guard".to_owned());
        assert_ends(&required(symbol), Outcome::Pass, "symbol");
        assert_ends(&with_cookie(0), Outcome::CannotTell, "run-time's");
        // Of libssp's one object, FORTIFY's functions ask as well; of the pointer to the guard, nobody else.
        let with_fortify = |symbols: &[&str]| {
            required(|pe| {
                pe.symbol_count = 7;
                pe.protector_symbols = symbols.iter().map(|name| (*name).to_owned()).collect();
            })
        };
        let of_libssp = ["__chk_fail", "__stack_chk_fail", "__stack_chk_guard"];
        assert_ends(&with_fortify(&of_libssp), Outcome::CannotTell, "which `_FORTIFY_SOURCE` brings too");
        let checked = [of_libssp[0], of_libssp[1], ".refptr.__stack_chk_guard"];
        assert_ends(&with_fortify(&checked), Outcome::Pass, "symbol `.refptr.__stack_chk_guard`");
        assert_ends(&with_fortify(&[CHECK_FAILED]), Outcome::Fail, "no canary");
        assert_ends(&with_cookie(COOKIE_UNUSED), Outcome::Fail, "nobody checks");
    }

    #[test]
    fn a_program_without_one_is_never_refused_by_default() {
        assert_ends(&judge_pe(&RULE, |_, _| ()), Outcome::NotApplicable, "asks for none");
        assert_ends(&judge_pe(&RULE, |pe, _| pe.symbol_count = 7), Outcome::NotApplicable, "no canary");
        assert_ends(&required(|pe| pe.symbol_count = 7), Outcome::Fail, "no canary");
        assert_ends(&required(|_| ()), Outcome::CannotTell, "stripped");
        assert_ends(&required(|pe| pe.sections[0].raw_size = 0), Outcome::NotApplicable, "packer");
    }
}
