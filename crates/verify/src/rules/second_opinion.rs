//! SW-SECOND-OPINION: a reader that shares no code with ours reads the same.

use crate::rule::{Check, Judgement, Rule, listed};
use crate::{Policy, Subject};

pub(crate) const RULE: Rule = Rule {
    id: "SW-SECOND-OPINION",
    why: "Where two readers see two files in the same bytes, the loader may see a third.",
    fix: "build the file again; if it stays, report it with the file: one of the two readers is wrong",
    check: Check::Always(check),
};

fn check(subject: &Subject, _: &Policy) -> Judgement {
    let expected = "goblin, which shares no code with our reader, sees the same facts";
    let disagreements: Vec<_> = inspect::second_opinion(subject.bytes, subject.facts)
        .iter()
        .map(|disagreement| format!("{disagreement:?}"))
        .collect();
    if disagreements.is_empty() {
        Judgement::pass("both readers agree", expected)
    } else {
        Judgement::cannot_tell(listed(&disagreements), expected)
    }
}
