//! SW-SECOND-OPINION: a reader that shares no code with ours reads the same.

use inspect::Disagreement;

use crate::rule::{Check, Judgement, Rule, listed};
use crate::{Policy, Subject};

pub(crate) const RULE: Rule = Rule {
    id: "SW-SECOND-OPINION",
    summary: "a reader that shares no code with ours reads the same",
    why: "Where two readers see two files in the same bytes, the loader may see a third.",
    fix: "build the file again; if it stays, report it with the file: one of the two readers is wrong",
    references: &["goblin, an independent reader of ELF and PE", "CWE-436: Interpretation Conflict"],
    check: Check::Always(check),
};

fn check(subject: &Subject, _: &Policy) -> Judgement {
    let expected = "goblin, which shares no code with our reader, sees the same facts";
    if !subject.facts.anomalies.is_empty() {
        return Judgement::not_applicable("the first reader could not read all of it, see SW-READABLE");
    }
    let disagreements: Vec<_> = inspect::second_opinion(subject.bytes, subject.facts)
        .into_iter()
        .map(|Disagreement { fact, ours, theirs }| format!("{fact}: {ours}, goblin: {theirs}"))
        .collect();
    if disagreements.is_empty() {
        Judgement::pass("both readers agree", expected)
    } else {
        Judgement::cannot_tell(listed(&disagreements), expected)
    }
}

#[cfg(test)]
mod tests {
    use artifact::{Outcome, Target};
    use inspect::facts::Anomaly;

    use super::*;
    use crate::testing::*;

    #[test]
    fn what_goblin_cannot_read_is_never_a_pass() {
        let (facts, policy) = (elf_facts(), Policy::for_target(Target::Aarch64Linux));
        assert_ends(&judge(&RULE, &facts, b"\x7fELF", &policy), Outcome::CannotTell, "goblin");
    }

    #[test]
    fn a_damaged_file_has_its_refusal_already() {
        let mut facts = elf_facts();
        facts.anomalies.push(Anomaly { part: "notes".to_owned(), detail: "cut off".to_owned() });
        let policy = Policy::for_target(Target::Aarch64Linux);
        assert_ends(&judge(&RULE, &facts, b"", &policy), Outcome::NotApplicable, "SW-READABLE");
    }
}
