//! SW-ELF-CLOSURE: every library, version and symbol is in the sysroot.

use std::path::Path;

use closure::{Closure, Problem, Weight};
use inspect::facts::Elf;

use crate::rule::{Check, Judgement, Rule, listed};
use crate::{Policy, Subject};
use artifact::matching::matches;

pub(crate) const RULE: Rule = Rule {
    id: "SW-ELF-CLOSURE",
    summary: "every library, version and symbol it needs is in the sysroot",
    why: "A library, a version or a symbol that the device lacks stops the program at start, or when it is first called.",
    fix: "ship the library or link it statically, build against the device's own libraries, or for a plug-in name the \
          symbols its host supplies in `policy.unresolved-symbols`",
    references: &[
        "ELF gABI, Shared Object Dependencies",
        "Linux man-pages, ld.so(8): search order, $ORIGIN, $LIB, $PLATFORM",
        "glibc, elf/dl-version.c: _dl_check_map_versions; elf/dl-lookup.c: do_lookup_x",
    ],
    check: Check::Elf(check),
};

const EXPECTED: &str = "every library, version and symbol found in the sysroot";
/// `e_type` of what a loader takes: a fixed program; a position-independent one or a library.
const LOADED: [u16; 2] = [2, 3];

fn check(elf: &Elf, subject: &Subject, policy: &Policy) -> Judgement {
    let Some(sysroot) = &policy.sysroot else { return Judgement::not_applicable("no sysroot given") };
    if !LOADED.contains(&elf.file_type) {
        return Judgement::not_applicable("not a program or library that a loader takes");
    }
    let root = match sysroot.root() {
        Ok(root) => root,
        Err(why) => return Judgement::cannot_tell(why.to_owned(), EXPECTED),
    };
    let program = match inspect::elf_linkage(subject.bytes) {
        Ok(program) => program,
        Err(error) => return Judgement::cannot_tell(error.to_string(), EXPECTED),
    };
    let place = root.place(Path::new(subject.path));
    judge(&closure::resolve(&program, place.as_deref(), root), policy)
}

fn judge(closure: &Closure, policy: &Policy) -> Judgement {
    let allowed = |problem: &&Problem| match problem {
        Problem::SymbolMissing { symbol, .. } => {
            policy.unresolved_symbols.iter().any(|pattern| matches(pattern, symbol))
        }
        _ => false,
    };
    let breaking: Vec<_> = closure.problems_of(Weight::Breaks).filter(|problem| !allowed(problem)).collect();
    let sentences = |problems: &[&Problem]| {
        let sentences: Vec<_> = problems.iter().map(|problem| closure.sentence(problem)).collect();
        listed(&sentences)
    };
    if !breaking.is_empty() {
        let missing = breaking.iter().all(|problem| matches!(problem, Problem::LibraryMissing { .. }));
        let origin: Vec<_> = closure.problems.iter().filter(|problem| depends_on_place(problem)).collect();
        if missing && !origin.is_empty() {
            // A library beside a program whose place nobody told: it may be there.
            let observed = format!("{}; {}", sentences(&breaking), sentences(&origin));
            return Judgement::cannot_tell(observed, EXPECTED);
        }
        return Judgement::fail(sentences(&breaking), EXPECTED);
    }
    let unknown: Vec<_> = closure.problems_of(Weight::Unknown).collect();
    if !unknown.is_empty() {
        return Judgement::cannot_tell(sentences(&unknown), EXPECTED);
    }
    let (libraries, symbols) = (closure.libraries.len() - 1, closure.bindings.len());
    Judgement::pass(format!("{libraries} libraries, {symbols} symbols bound"), EXPECTED)
}

fn depends_on_place(problem: &Problem) -> bool {
    matches!(problem, Problem::PathUnknown { element, owner: 0 } if element.contains("ORIGIN"))
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;

    use super::*;
    use crate::SysrootPolicy;
    use crate::testing::*;

    #[test]
    fn without_a_sysroot_nothing_is_asked_and_one_that_cannot_be_read_is_no_answer() {
        assert_ends(&judge_elf(&RULE, |_, _| ()), Outcome::NotApplicable, "no sysroot given");
        let named = |path: &'static str| {
            move |_: &mut Elf, policy: &mut Policy| {
                policy.sysroot = Some(SysrootPolicy::new(Path::new(path)));
            }
        };
        assert_ends(&judge_elf(&RULE, named("/nowhere")), Outcome::CannotTell, "cannot read the sysroot");
        assert_ends(&judge_elf(&RULE, named("/")), Outcome::CannotTell, "ends inside its ELF header");
        let core = judge_elf(&RULE, |elf, policy| {
            elf.file_type = 4;
            policy.sysroot = Some(SysrootPolicy::new(Path::new("/")));
        });
        assert_ends(&core, Outcome::NotApplicable, "not a program");
    }
}
