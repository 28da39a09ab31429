//! SW-PE-SIGNATURE-DIGEST: nothing was changed after signing.

use inspect::facts::Pe;

use crate::authenticode::{self, hexadecimal};
use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Requirement, Subject};

pub(crate) const RULE: Rule = Rule {
    id: "SW-PE-SIGNATURE-DIGEST",
    summary: "a signature is of exactly these bytes",
    why: "A signature of other bytes is worse than none: the file was changed after it was signed, by a tool or by somebody.",
    fix: "sign last, after `finish`, and copy the file unchanged",
    references: &[
        "Windows Authenticode Portable Executable Signature Format, Calculating the PE Image Hash",
        "CWE-347: Improper Verification of Cryptographic Signature",
    ],
    check: Check::Pe(check),
};

fn check(pe: &Pe, subject: &Subject, policy: &Policy) -> Judgement {
    let (entry, signature) = match authenticode::signature(pe, policy) {
        Ok(found) => found,
        Err(judgement) => return judgement,
    };
    let (signed, algorithm) = (hexadecimal(&signature.digest), &signature.algorithm);
    let judgement = match (inspect::pe_authenticode_digest(subject.bytes, pe), signature.content_signed) {
        (None, _) | (_, None) => Judgement::cannot_tell(
            format!("a digest of algorithm {algorithm}, which is not known here"),
            "a digest that can be computed",
        ),
        (Some(computed), _) if computed != signature.digest => {
            let expected = format!("{algorithm} {} as the bytes have it", hexadecimal(&computed));
            Judgement::fail(format!("{algorithm} {signed} was signed"), expected)
        }
        (_, Some(false)) => Judgement::fail(
            format!("{algorithm} {signed} is not what was signed"),
            "a digest that was signed",
        ),
        // Two files with one SHA-1 can be made on purpose, since 2017.
        (Some(_), Some(true)) if algorithm == "sha1" && policy.authenticode == Requirement::Required => {
            Judgement::fail(format!("{algorithm} {signed}"), "a digest by SHA-256 or stronger")
        }
        (Some(_), Some(true)) => {
            Judgement::pass(format!("{algorithm} {signed}"), "the digest of the bytes as they are")
        }
    };
    judgement.at(subject.bytes, entry.offset, 8)
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;
    use inspect::facts::Certificate;

    use super::*;
    use crate::testing::*;

    #[test]
    fn without_a_signature_there_is_nothing_to_compare() {
        assert_ends(&judge_pe(&RULE, |_, _| ()), Outcome::NotApplicable, "not signed");
        let unreadable = Certificate { signature: None, ..signed_by_test() };
        let judgement = judge_pe(&RULE, |pe, _| pe.certificates = vec![unreadable]);
        assert_ends(&judgement, Outcome::CannotTell, "cannot be read");
    }

    #[test]
    fn an_unknown_algorithm_is_no_pass() {
        // The bytes of the subject hold no signature, so no digest can be computed either.
        let judgement = judge_pe(&RULE, |pe, _| pe.certificates = vec![signed_by_test()]);
        assert_ends(&judgement, Outcome::CannotTell, "not known here");
        let ignored = judge_pe(&RULE, |pe, policy| {
            pe.certificates = vec![signed_by_test()];
            policy.authenticode = Requirement::Ignore;
        });
        assert_ends(&ignored, Outcome::NotApplicable, "does not look");
    }
}
