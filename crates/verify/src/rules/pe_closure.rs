//! SW-PE-CLOSURE: every DLL is beside the program or in Windows, with every function.

use std::path::Path;

use closure::{PeProblem, SystemDlls, resolve_pe};
use inspect::facts::Pe;

use crate::rule::{Check, Judgement, Rule, listed};
use crate::{Policy, Subject};

pub(crate) const RULE: Rule = Rule {
    id: "SW-PE-CLOSURE",
    summary: "every DLL it imports is beside it in the sysroot or in Windows",
    why: "A DLL or a function that is missing ends the program with a message box before its first line.",
    fix: "put the DLL beside the program, link it statically, or name it in `policy.system-dlls` when every device has it",
    references: &[
        "PE/COFF specification, The .idata Section; The Delay-Load Import Tables; The .edata Section",
        "Microsoft Learn, Dynamic-link library search order; Windows API sets",
    ],
    check: Check::Pe(check),
};

const EXPECTED: &str = "every DLL beside the program or in Windows, with every function";

fn check(_: &Pe, subject: &Subject, policy: &Policy) -> Judgement {
    let Some(sysroot) = &policy.sysroot else { return Judgement::not_applicable("no sysroot given") };
    let root = match sysroot.root() {
        Ok(root) => root,
        Err(why) => return Judgement::cannot_tell(why.to_owned(), EXPECTED),
    };
    let program = match inspect::pe_linkage(subject.bytes) {
        Ok(program) => program,
        Err(error) => return Judgement::cannot_tell(error.to_string(), EXPECTED),
    };
    let name = subject.path.rsplit(['/', '!']).next().unwrap_or(subject.path);
    let windows = SystemDlls::windows_10().with(&policy.system_dlls);
    let closure = resolve_pe(name, &program, &root.folder_of(Path::new(subject.path)), &windows);
    let told = |filter: fn(&PeProblem) -> bool| {
        let problems = closure.problems.iter().filter(|problem| filter(problem));
        problems.map(|problem| closure.sentence(problem)).collect::<Vec<_>>()
    };
    let missing = told(|problem| problem.is_fatal() && !problem.is_unknown());
    let unknown = told(PeProblem::is_unknown);
    if !missing.is_empty() {
        return Judgement::fail(listed(&missing), EXPECTED);
    }
    if !unknown.is_empty() {
        return Judgement::cannot_tell(listed(&unknown), EXPECTED);
    }
    let (beside, imports) = (closure.modules.len() - 1, closure.modules[0].imports.len());
    Judgement::pass(format!("{imports} DLLs imported, {beside} of all in the sysroot"), EXPECTED)
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;

    use super::*;
    use crate::SysrootPolicy;
    use crate::testing::*;

    #[test]
    fn without_a_sysroot_nothing_is_asked_and_one_that_cannot_be_read_is_no_answer() {
        assert_ends(&judge_pe(&RULE, |_, _| ()), Outcome::NotApplicable, "no sysroot given");
        let judgement = judge_pe(&RULE, |_, policy| {
            policy.sysroot = Some(SysrootPolicy::new(Path::new("/nowhere")));
        });
        assert_ends(&judgement, Outcome::CannotTell, "cannot read the sysroot");
    }
}
