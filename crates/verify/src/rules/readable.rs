//! SW-READABLE: every part of the file can be read.

use crate::rule::{Check, Judgement, Rule, listed};
use crate::{Policy, Subject};

pub(crate) const RULE: Rule = Rule {
    id: "SW-READABLE",
    summary: "every part of the file can be read",
    why: "A damaged or cut-off file may still look right in the parts that can be read, and fail when it is started.",
    fix: "build the file again and copy it whole; a file that is meant to be so needs a reader that understands it",
    references: &["ELF gABI, Object Files", "PE/COFF specification, File Headers"],
    check: Check::Always(check),
};

fn check(subject: &Subject, _: &Policy) -> Judgement {
    let expected = "every part readable and inside the file";
    if subject.facts.anomalies.is_empty() {
        return Judgement::pass(format!("all of {} bytes", subject.facts.size), expected);
    }
    let anomalies: Vec<_> = subject
        .facts
        .anomalies
        .iter()
        .map(|anomaly| format!("{}: {}", anomaly.part, anomaly.detail))
        .collect();
    Judgement::cannot_tell(listed(&anomalies), expected)
}

#[cfg(test)]
mod tests {
    use artifact::{Outcome, Target};
    use inspect::facts::Anomaly;

    use super::*;
    use crate::testing::*;

    #[test]
    fn an_anomaly_is_never_a_pass() {
        let mut facts = elf_facts();
        let policy = Policy::for_target(Target::Aarch64Linux);
        assert_ends(&judge(&RULE, &facts, b"", &policy), Outcome::Pass, "bytes");
        let detail = "ends at 0x9000, the file at 0x3000".to_owned();
        facts.anomalies.push(Anomaly { part: "section .text".to_owned(), detail });
        assert_ends(
            &judge(&RULE, &facts, b"", &policy),
            Outcome::CannotTell,
            "section .text: ends at 0x9000",
        );
    }
}
