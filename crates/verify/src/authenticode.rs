//! What the four rules about signatures have in common.

use inspect::facts::{Certificate, Pe, Signature};

use crate::rule::Judgement;
use crate::{Policy, Requirement};

/// `WIN_CERT_TYPE_PKCS_SIGNED_DATA`
const SIGNED_DATA: u16 = 2;

/// The entry of the certificate table that Windows looks at.
pub(crate) fn entry(pe: &Pe) -> Option<&Certificate> {
    pe.certificates.iter().find(|entry| entry.kind == SIGNED_DATA)
}

/// The signature to judge, or why there is nothing to judge.
pub(crate) fn signature<'a>(
    pe: &'a Pe,
    policy: &Policy,
) -> Result<(&'a Certificate, &'a Signature), Judgement> {
    if policy.authenticode == Requirement::Ignore {
        return Err(Judgement::not_applicable("the policy does not look at signatures"));
    }
    let Some(entry) = entry(pe) else {
        return Err(Judgement::not_applicable("not signed, see SW-PE-SIGNATURE-PRESENT"));
    };
    match &entry.signature {
        Some(signature) => Ok((entry, signature)),
        None => Err(Judgement::cannot_tell("the signature cannot be read", "Authenticode signed data")),
    }
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().take(64).map(|byte| format!("{byte:02x}")).collect()
}
