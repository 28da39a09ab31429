//! SW-PE-CHECKSUM: the stored checksum is that of the bytes.

use inspect::facts::Pe;

use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject};

pub(crate) const RULE: Rule = Rule {
    id: "SW-PE-CHECKSUM",
    why: "A wrong checksum says that the file was changed after its last tool; scanners distrust it and drivers are refused.",
    fix: "run `finish` last: it computes the checksum over its own edits",
    check: Check::Pe(check),
};

fn check(pe: &Pe, _: &Subject, _: &Policy) -> Judgement {
    let (stored, computed) = (pe.checksum, pe.computed_checksum);
    Judgement::require(stored == computed, format!("{stored:#x}"), format!("{computed:#x}"))
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;

    use super::*;
    use crate::testing::*;

    #[test]
    fn another_or_no_checksum_fails() {
        assert_ends(&judge_pe(&RULE, |_, _| ()), Outcome::Pass, "0xd67b");
        assert_ends(&judge_pe(&RULE, |pe, _| pe.checksum = 0), Outcome::Fail, "0x0");
    }
}
