//! SW-PE-CHECKSUM: the stored checksum is that of the bytes.

use inspect::PeChecksum;
use inspect::facts::Pe;

use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject};

pub(crate) const RULE: Rule = Rule {
    id: "SW-PE-CHECKSUM",
    summary: "the stored checksum is that of the bytes",
    why: "A wrong checksum says that the file was changed after its last tool; scanners distrust it and drivers are refused.",
    fix: "run `finish` last: it computes the checksum over its own edits",
    references: &[
        "PE/COFF specification, Optional Header Windows-Specific Fields: CheckSum",
        "Windows, ImageHlp: CheckSumMappedFile",
    ],
    check: Check::Pe(check),
};

fn check(pe: &Pe, subject: &Subject, policy: &Policy) -> Judgement {
    if !policy.checksum {
        return Judgement::not_applicable("the policy does not ask for the checksum");
    }
    let mut sum = PeChecksum::default();
    if let Err(error) = subject.each_piece(0, &mut |offset, piece| sum.add(offset, piece)) {
        return Judgement::cannot_tell(
            format!("the file cannot be read again: {error}"),
            "the sum of its bytes",
        );
    }
    let (stored, computed) = (pe.checksum, sum.finish(subject.bytes, pe.header_offset));
    Judgement::require(stored == computed, format!("{stored:#x}"), format!("{computed:#x}"))
}

#[cfg(test)]
mod tests {
    use artifact::{Outcome, Target};

    use super::*;
    use crate::testing::*;

    #[test]
    fn another_or_no_checksum_fails() {
        // Five bytes: words 0x0201, 0x0403 and 5, and the length. The field of the facts lies behind them.
        let judge_sum = |sum: u32, asked: bool| {
            let (mut facts, mut policy) = (pe_facts(), Policy::for_target(Target::X86_64Windows));
            pe_of(&mut facts).checksum = sum;
            policy.checksum = asked;
            judge(&RULE, &facts, &[1, 2, 3, 4, 5], &policy)
        };
        let sum = 0x0201 + 0x0403 + 5 + 5;
        assert_ends(&judge_sum(sum, true), Outcome::Pass, "0x60e");
        assert_ends(&judge_sum(0, true), Outcome::Fail, "0x0");
        assert_ends(&judge_sum(0, false), Outcome::NotApplicable, "policy");
    }
}
