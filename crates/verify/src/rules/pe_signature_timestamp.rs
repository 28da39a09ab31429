//! SW-PE-SIGNATURE-TIMESTAMP: the signature outlives its certificate.

use inspect::facts::{Pe, Timestamp};

use crate::authenticode;
use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject};

pub(crate) const RULE: Rule = Rule {
    id: "SW-PE-SIGNATURE-TIMESTAMP",
    summary: "a signature says when it was made, where the policy asks",
    why: "Without a timestamp a signature ends on the day its certificate does, and every copy in the field turns into an unsigned one.",
    fix: "sign with a time stamping authority (`signtool /tr`, `osslsigncode -ts`), or set `policy.authenticode-timestamp` to false",
    references: &[
        "RFC 3161: Time-Stamp Protocol",
        "Windows Authenticode Portable Executable Signature Format, Authenticode Timestamps",
    ],
    check: Check::Pe(check),
};

fn check(pe: &Pe, subject: &Subject, policy: &Policy) -> Judgement {
    let (entry, signature) = match authenticode::signature(pe, policy) {
        Ok(found) => found,
        Err(judgement) => return judgement,
    };
    let expected = "a timestamp of this signature, signed by its authority";
    let Some(timestamp) = &signature.timestamp else {
        return match policy.authenticode_timestamp {
            true => Judgement::fail("no timestamp", expected).at(subject.bytes, entry.offset, 8),
            false => Judgement::not_applicable("no timestamp, which the policy does not require"),
        };
    };
    let signed = inspect::pe_signature_check(subject.bytes, pe).and_then(|check| check.timestamp_signed);
    judge(timestamp, signed, policy).at(subject.bytes, entry.offset, 8)
}

fn judge(timestamp: &Timestamp, signed: Option<bool>, policy: &Policy) -> Judgement {
    let expected = "a timestamp of this signature, signed by its authority";
    let authority = timestamp.authority.as_deref().unwrap_or("an authority whose certificate is missing");
    match (timestamp.about_this_signature, signed, timestamp.time) {
        (Some(false), _, _) => Judgement::fail("the timestamp is of another signature", expected),
        _ if timestamp.authority_stamps == Some(false) => {
            let what = format!("the certificate of {authority} is none for time stamping (RFC 3161, 2.3)");
            Judgement::fail(what, expected)
        }
        (_, Some(false), _) => Judgement::fail(format!("not signed by the key of {authority}"), expected),
        (Some(true), Some(true), Some(time)) => {
            Judgement::pass(format!("{time} s since 1970, by {authority} ({})", timestamp.form), expected)
        }
        _ if policy.authenticode_timestamp => Judgement::cannot_tell(
            format!("a key, algorithm or time of {authority} is not known here"),
            expected,
        ),
        _ => {
            Judgement::not_applicable("a timestamp that cannot be judged here, and the policy requires none")
        }
    }
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;
    use artifact::Target;

    use super::*;
    use crate::testing::{assert_ends, judge_pe, signed_by_test};

    fn judged(about: Option<bool>, signed: Option<bool>, required: bool) -> Judgement {
        let mut policy = Policy::for_target(Target::X86_64Windows);
        policy.authenticode_timestamp = required;
        let timestamp = Timestamp {
            form: "RFC 3161".to_owned(),
            time: Some(7),
            about_this_signature: about,
            authority: Some("CN=Clock".to_owned()),
            authority_stamps: Some(true),
        };
        super::judge(&timestamp, signed, &policy)
    }

    #[test]
    fn whose_certificate_is_for_something_else_is_no_authority() {
        let timestamp = |authority_stamps| Timestamp {
            form: "RFC 3161".to_owned(),
            time: Some(7),
            about_this_signature: Some(true),
            authority: Some("CN=Clock".to_owned()),
            authority_stamps,
        };
        let policy = Policy::for_target(Target::X86_64Windows);
        let judged = |stamps| super::judge(&timestamp(stamps), Some(true), &policy);
        assert_ends(&judged(Some(false)), Outcome::Fail, "CN=Clock is none for time stamping");
        assert_ends(&judged(Some(true)), Outcome::Pass, "CN=Clock");
    }

    #[test]
    fn a_timestamp_must_be_of_this_signature_and_signed() {
        assert_ends(&judged(Some(true), Some(true), false), Outcome::Pass, "7 s since 1970, by CN=Clock");
        assert_ends(&judged(Some(false), Some(true), false), Outcome::Fail, "another signature");
        assert_ends(&judged(Some(true), Some(false), false), Outcome::Fail, "not signed by the key");
        assert_ends(&judged(None, Some(true), true), Outcome::CannotTell, "not known here");
        assert_ends(&judged(Some(true), None, false), Outcome::NotApplicable, "requires none");
    }

    #[test]
    fn a_missing_one_fails_only_where_it_is_required() {
        let signed = |required| {
            judge_pe(&RULE, |pe, policy| {
                pe.certificates = vec![signed_by_test()];
                policy.authenticode_timestamp = required;
            })
        };
        assert_ends(&signed(true), Outcome::Fail, "no timestamp");
        assert_ends(&signed(false), Outcome::NotApplicable, "does not require");
        assert_ends(&judge_pe(&RULE, |_, _| ()), Outcome::NotApplicable, "not signed");
    }
}
