//! SW-PE-SIGNATURE-PRESENT: somebody signed it.

use inspect::facts::Pe;

use crate::authenticode;
use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Requirement, Subject};

pub(crate) const RULE: Rule = Rule {
    id: "SW-PE-SIGNATURE-PRESENT",
    summary: "the program is signed, where the policy asks",
    why: "Windows warns the user about a program that nobody signed, and policies of companies refuse to start it.",
    fix: "sign the finished file, or set `policy.authenticode` to `optional`",
    references: &[
        "Windows Authenticode Portable Executable Signature Format",
        "PE/COFF specification, The Attribute Certificate Table",
        "CWE-347: Improper Verification of Cryptographic Signature",
    ],
    check: Check::Pe(check),
};

fn check(pe: &Pe, subject: &Subject, policy: &Policy) -> Judgement {
    let expected = "an Authenticode signature";
    match (authenticode::entry(pe), policy.authenticode) {
        (_, Requirement::Ignore) => Judgement::not_applicable("the policy does not look at signatures"),
        (Some(entry), _) => {
            let signature = entry.signature.as_ref();
            let signer = signature.and_then(|signature| signature.certificates.get(signature.signer?));
            let signer = signer.map_or("an unnamed signer", |signer| signer.subject.as_str());
            Judgement::pass(format!("signed by {signer}"), expected).at(subject.bytes, entry.offset, 8)
        }
        (None, Requirement::Required) => Judgement::fail("not signed", expected),
        (None, Requirement::Optional) => {
            Judgement::not_applicable("not signed, which the policy does not require")
        }
    }
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;
    use inspect::facts::Certificate;

    use super::*;
    use crate::testing::*;

    #[test]
    fn a_missing_signature_fails_only_where_it_is_required() {
        let required = |change: fn(&mut Pe)| {
            judge_pe(&RULE, |pe, policy| {
                policy.authenticode = Requirement::Required;
                change(pe);
            })
        };
        let other_kind = |pe: &mut Pe| pe.certificates = vec![Certificate { kind: 1, ..signed_by_test() }];
        assert_ends(&required(|pe| pe.certificates = vec![signed_by_test()]), Outcome::Pass, "CN=Test");
        assert_ends(&required(|_| ()), Outcome::Fail, "not signed");
        assert_ends(&required(other_kind), Outcome::Fail, "not signed");
        assert_ends(&judge_pe(&RULE, |_, _| ()), Outcome::NotApplicable, "does not require");
        let ignored = judge_pe(&RULE, |pe, policy| {
            pe.certificates = vec![signed_by_test()];
            policy.authenticode = Requirement::Ignore;
        });
        assert_ends(&ignored, Outcome::NotApplicable, "does not look");
    }
}
