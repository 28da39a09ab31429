//! SW-PE-SIGNATURE-CHAIN: the signer is who it should be.

use inspect::facts::{Pe, Signature, SignatureCheck, X509Certificate};

use crate::authenticode::{self, hexadecimal};
use crate::rule::{Check, Judgement, Rule, listed_or_none};
use crate::{Policy, Subject};

pub(crate) const RULE: Rule = Rule {
    id: "SW-PE-SIGNATURE-CHAIN",
    summary: "a signature leads to a certificate that the policy trusts",
    why: "Anybody can sign with a certificate made at home; only the chain to a trusted one says who did.",
    fix: "sign with the right key, bring the intermediate certificates along, or name one of the chain in `policy.trusted-certificates`",
    references: &[
        "RFC 5280, 6: Certification Path Validation",
        "Windows Authenticode Portable Executable Signature Format, Certificate Processing",
        "CWE-295: Improper Certificate Validation",
    ],
    check: Check::Pe(check),
};

fn check(pe: &Pe, subject: &Subject, policy: &Policy) -> Judgement {
    let (entry, signature) = match authenticode::signature(pe, policy) {
        Ok(found) => found,
        Err(judgement) => return judgement,
    };
    let Some(check) = inspect::pe_signature_check(subject.bytes, pe) else {
        return Judgement::cannot_tell("the signature cannot be read", "Authenticode signed data");
    };
    judge(signature, &check, policy).at(subject.bytes, entry.offset, 8)
}

fn judge(signature: &Signature, check: &SignatureCheck, policy: &Policy) -> Judgement {
    let chain: Vec<_> = check.chain.iter().filter_map(|link| signature.certificates.get(*link)).collect();
    let names: Vec<_> = chain.iter().map(|link| format!("`{}`", link.subject)).collect();
    let shown = if check.ends_in_itself && chain.len() == 1 {
        format!("{}, self-signed", listed_or_none(&names))
    } else {
        listed_or_none(&names)
    };
    let expected = "a signature by the named signer, whose chain has a certificate that the policy trusts";
    match check.signed_by_signer {
        Some(true) => {}
        Some(false) => return Judgement::fail(format!("not made with the key of {shown}"), expected),
        None if policy.trusted_certificates.is_empty() => {
            return Judgement::not_applicable(
                "a key or algorithm that is not known here; the policy trusts none",
            );
        }
        None => {
            return Judgement::cannot_tell("the signer's key or its algorithm is not known here", expected);
        }
    }
    if policy.trusted_certificates.is_empty() {
        return Judgement::not_applicable(format!(
            "the policy names no certificate to trust; chain: {shown}"
        ));
    }
    match wrong(signature, &chain, policy) {
        Some(wrong) => Judgement::fail(format!("{wrong}; chain: {shown}"), expected),
        None => Judgement::pass(shown, expected),
    }
}

/// What is wrong with the chain up to the certificate that is trusted.
fn wrong(signature: &Signature, chain: &[&X509Certificate], policy: &Policy) -> Option<String> {
    let trusted = |link: &X509Certificate| {
        let fingerprint = hexadecimal(&link.sha256);
        let plain = |text: &String| text.replace([':', ' '], "").eq_ignore_ascii_case(&fingerprint);
        policy.trusted_certificates.iter().any(plain)
    };
    let Some(end) = chain.iter().position(|link| trusted(link)) else {
        return Some("leads to no trusted certificate".to_owned());
    };
    let signer = chain[0];
    if !signer.signs_code || !signer.signs_data {
        return Some(format!("`{}` may not sign code", signer.subject));
    }
    // Authorities between the signer and the one that is looked at (RFC 5280, 6.1.4 (l)).
    let mut between = 0;
    for link in &chain[1..=end] {
        if !link.authority {
            return Some(format!("`{}` may not issue certificates", link.subject));
        }
        if !link.signs_code {
            return Some(format!("`{}` may not issue certificates for code", link.subject));
        }
        if let Some(most) = link.path_length.filter(|most| usize::from(*most) < between) {
            return Some(format!("`{}` allows {most} authorities below it, not {between}", link.subject));
        }
        between += usize::from(!link.self_issued);
    }
    // Whoever does not know a critical extension must not go by the certificate (RFC 5280, 4.2).
    let unknown = chain[..=end].iter().find_map(|link| Some((link, link.unknown_extension.as_ref()?)));
    if let Some((link, extension)) = unknown {
        return Some(format!("`{}` has the critical extension {extension}, not known here", link.subject));
    }
    // Without a timestamp only a clock could tell, and a verdict that depends on the day is none.
    let time = signature.timestamp.as_ref().and_then(|timestamp| timestamp.time)?;
    let valid = |link: &&&X509Certificate| (link.validity.0..=link.validity.1).contains(&time);
    let expired = chain[..=end].iter().find(|link| !valid(link))?;
    Some(format!("`{}` was not valid when the signature was made", expired.subject))
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;
    use artifact::Target;
    use inspect::facts::Timestamp;

    use super::*;
    use crate::testing::{assert_ends, judge_pe};

    /// A signer, its authority, and the policy that trusts the authority.
    fn judged(change: impl FnOnce(&mut Signature, &mut SignatureCheck, &mut Policy)) -> Judgement {
        let certificate = |subject: &str, authority, sha256| X509Certificate {
            subject: subject.to_owned(),
            authority,
            signs_code: true,
            signs_data: true,
            validity: (100, 200),
            sha256: vec![sha256; 32],
            ..X509Certificate::default()
        };
        let mut signature = Signature {
            signer: Some(0),
            certificates: vec![certificate("CN=Test", false, 0x11), certificate("CN=Root", true, 0x22)],
            ..Signature::default()
        };
        let mut check =
            SignatureCheck { signed_by_signer: Some(true), chain: vec![0, 1], ..SignatureCheck::default() };
        let mut policy = Policy::for_target(Target::X86_64Windows);
        policy.trusted_certificates = vec!["22:".repeat(31) + "22"];
        change(&mut signature, &mut check, &mut policy);
        super::judge(&signature, &check, &policy)
    }

    fn stamped(signature: &mut Signature, time: u64) {
        signature.timestamp = Some(Timestamp {
            form: "RFC 3161".to_owned(),
            time: Some(time),
            about_this_signature: Some(true),
            authority_stamps: Some(true),
            authority: None,
        });
    }

    #[test]
    fn the_chain_must_lead_to_a_certificate_that_is_trusted() {
        assert_ends(&judged(|_, _, _| ()), Outcome::Pass, "`CN=Test`, `CN=Root`");
        assert_ends(&judged(|_, check, _| check.chain = vec![0]), Outcome::Fail, "no trusted certificate");
        let forged = judged(|_, check, _| check.signed_by_signer = Some(false));
        assert_ends(&forged, Outcome::Fail, "not made with the key");
        let unknown = judged(|_, check, _| check.signed_by_signer = None);
        assert_ends(&unknown, Outcome::CannotTell, "not known here");
        let alone = judged(|_, check, policy| {
            (check.chain, check.ends_in_itself) = (vec![0], true);
            policy.trusted_certificates.clear();
        });
        assert_ends(&alone, Outcome::NotApplicable, "`CN=Test`, self-signed");
        let rooted = judged(|_, check, _| check.ends_in_itself = true);
        assert_eq!(rooted.observed, "`CN=Test`, `CN=Root`", "the root is its own, the signer is not");
    }

    #[test]
    fn an_authority_says_how_many_may_stand_below_it() {
        let below = |path_length, self_issued| {
            judged(|signature, check, _| {
                signature.certificates[1].path_length = path_length;
                let between = X509Certificate { self_issued, ..signature.certificates[1].clone() };
                let between = X509Certificate {
                    subject: "CN=Between".to_owned(),
                    sha256: vec![0x33; 32],
                    path_length: Some(0),
                    ..between
                };
                signature.certificates.push(between);
                check.chain = vec![0, 2, 1];
            })
        };
        assert_ends(&below(Some(0), false), Outcome::Fail, "`CN=Root` allows 0 authorities below it, not 1");
        assert_ends(&below(Some(1), false), Outcome::Pass, "");
        assert_ends(&below(None, false), Outcome::Pass, "");
        assert_ends(&below(Some(0), true), Outcome::Pass, "`CN=Between`");
    }

    #[test]
    fn a_forged_signature_fails_though_nobody_is_trusted() {
        let forged = judged(|_, check, policy| {
            check.signed_by_signer = Some(false);
            policy.trusted_certificates.clear();
        });
        assert_ends(&forged, Outcome::Fail, "not made with the key");
        let unknown = judged(|_, check, policy| {
            check.signed_by_signer = None;
            policy.trusted_certificates.clear();
        });
        assert_ends(&unknown, Outcome::NotApplicable, "not known here; the policy trusts none");
    }

    #[test]
    fn what_a_certificate_may_do_and_when_is_looked_at() {
        let other_use = judged(|signature, _, _| signature.certificates[0].signs_code = false);
        assert_ends(&other_use, Outcome::Fail, "may not sign code");
        let no_authority = judged(|signature, _, _| signature.certificates[1].authority = false);
        assert_ends(&no_authority, Outcome::Fail, "`CN=Root` may not issue certificates; ");
        let other_use = judged(|signature, _, _| signature.certificates[1].signs_code = false);
        assert_ends(&other_use, Outcome::Fail, "`CN=Root` may not issue certificates for code");
        let other_data = judged(|signature, _, _| signature.certificates[0].signs_data = false);
        assert_ends(&other_data, Outcome::Fail, "`CN=Test` may not sign code");
        for index in [0, 1] {
            let unknown = judged(|signature, _, _| {
                signature.certificates[index].unknown_extension = Some("2.5.29.30".to_owned());
            });
            assert_ends(&unknown, Outcome::Fail, "critical extension 2.5.29.30, not known");
        }
        assert_ends(&judged(|signature, _, _| stamped(signature, 200)), Outcome::Pass, "CN=Test");
        assert_ends(&judged(|signature, _, _| stamped(signature, 201)), Outcome::Fail, "not valid when");
        assert_ends(&judge_pe(&RULE, |_, _| ()), Outcome::NotApplicable, "not signed");
    }
}
