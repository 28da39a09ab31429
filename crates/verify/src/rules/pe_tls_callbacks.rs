//! SW-PE-TLS-CALLBACKS: callbacks point to code.

use inspect::facts::Pe;

use crate::pe_kind::EXECUTE;
use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject};

pub(crate) const RULE: Rule = Rule {
    id: "SW-PE-TLS-CALLBACKS",
    summary: "what runs before the entry point is code of the file",
    why: "Thread-local storage callbacks run before the entry point, where debuggers and reviewers look last; mingw needs two, malware hides in them.",
    fix: "find who registers it (`.CRT$XL…`), and build the file again with an intact linker",
    references: &[
        "PE/COFF specification, TLS Callback Functions",
        "MITRE ATT&CK, T1055.005: Thread Local Storage",
    ],
    check: Check::Pe(check),
};

fn check(pe: &Pe, _: &Subject, _: &Policy) -> Judgement {
    let Some(tls) = &pe.tls else { return Judgement::not_applicable("no thread-local storage") };
    let is_code = |callback: u64| {
        let section = pe.relative(callback).and_then(|address| pe.section_at(address));
        section.is_some_and(|section| section.characteristics & EXECUTE != 0)
    };
    let wrong: Vec<_> = tls.callbacks.iter().filter(|callback| !is_code(**callback)).collect();
    let wrong: Vec<_> = wrong.into_iter().map(|callback| format!("{callback:#x}")).collect();
    let fine = format!("{} callbacks", tls.callbacks.len());
    Judgement::none_wrong(&wrong, fine, "callbacks in executable sections only")
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;
    use inspect::facts::PeTls;

    use super::*;
    use crate::testing::*;

    #[test]
    fn a_callback_outside_of_code_fails() {
        let calling = |callbacks: &[u64]| {
            let tls = PeTls { callbacks: callbacks.to_vec(), ..PeTls::default() };
            judge_pe(&RULE, |pe, _| pe.tls = Some(tls))
        };
        assert_ends(&calling(&[0x1_4000_1000, 0x1_4000_1010]), Outcome::Pass, "2 callbacks");
        assert_ends(&calling(&[]), Outcome::Pass, "0 callbacks");
        for callback in [0x1_4000_2000, 0x1_4000_9000, 0x1000] {
            assert_ends(&calling(&[0x1_4000_1000, callback]), Outcome::Fail, &format!("{callback:#x}"));
        }
        assert_ends(&judge_pe(&RULE, |_, _| ()), Outcome::NotApplicable, "no thread-local");
    }
}
