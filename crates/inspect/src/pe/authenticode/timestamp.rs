//! The countersignature of a time stamping authority: RFC 3161's token, or PKCS #9's older form.

use der::asn1::{GeneralizedTime, ObjectIdentifier};
use der::{Decode, Tag};
use x509_cert::time::Time;

use super::certificates::{self, Known};
use super::cryptography::Algorithm;
use super::only;
use super::signed_data::{Item, SignedData, Signer};
use crate::facts::Timestamp;

const RFC_3161: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.3.3.1");
const PKCS_9: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.6");
const SIGNING_TIME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.5");
const TIMESTAMP_CONTENT: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");

/// What the first countersignature among a signer's unsigned attributes says.
pub(super) fn read(signer: &Signer<'_>, certificates: &[Known]) -> Option<Timestamp> {
    let countersignature = Countersignature::read(signer)?;
    let authority = countersignature.authority(certificates);
    Some(Timestamp {
        form: if countersignature.token.is_some() { "RFC 3161" } else { "PKCS #9" }.to_owned(),
        time: countersignature.time,
        about_this_signature: countersignature.about_this_signature,
        authority_stamps: authority.as_ref().map(|authority| authority.stamps),
        authority: authority.map(|authority| authority.facts.subject),
    })
}

/// Whether the authority's key signed it.
pub(super) fn signed(signer: &Signer<'_>, certificates: &[Known]) -> Option<bool> {
    let countersignature = Countersignature::read(signer)?;
    let signed = countersignature.signer.signed_by(&countersignature.authority(certificates)?)?;
    let content = countersignature.token.as_ref().map_or(Some(true), SignedData::names_its_content)?;
    Some(signed && content)
}

struct Countersignature<'a> {
    time: Option<u64>,
    about_this_signature: Option<bool>,
    signer: Signer<'a>,
    /// RFC 3161: the token, which brings its own certificates.
    token: Option<SignedData<'a>>,
}

impl<'a> Countersignature<'a> {
    fn read(signer: &Signer<'a>) -> Option<Countersignature<'a>> {
        signer.unsigned.iter().find_map(|attribute| match attribute.kind {
            RFC_3161 => Countersignature::of_token(attribute.value, signer.signature),
            PKCS_9 => Countersignature::of_signer(attribute.value, signer.signature),
            _ => None,
        })
    }

    fn of_token(value: Item<'a>, signature: &[u8]) -> Option<Countersignature<'a>> {
        let data = SignedData::read(value.whole)?;
        if data.content_type != TIMESTAMP_CONTENT {
            return None;
        }
        // An octet string around TSTInfo: version, policy, digest of what is stamped, serial number, time.
        let [_version, _policy, imprint, _serial, time, ..] =
            Item::first(data.content?.value)?.children()[..]
        else {
            return None;
        };
        let [algorithm, digest] = imprint.children()[..] else { return None };
        let algorithm = only(algorithm).and_then(Item::identifier).and_then(Algorithm::of_digest);
        Some(Countersignature {
            time: generalized_time(time),
            about_this_signature: algorithm.map(|algorithm| algorithm.digest(&[signature]) == digest.value),
            signer: data.signer.clone(),
            token: Some(data),
        })
    }

    fn of_signer(value: Item<'a>, signature: &[u8]) -> Option<Countersignature<'a>> {
        let signer = Signer::read(value)?;
        let time = signer.signed_attribute(SIGNING_TIME).and_then(|time| Time::from_der(time.whole).ok());
        Some(Countersignature {
            time: time.map(|time| time.to_unix_duration().as_secs()),
            about_this_signature: signer.names(signature),
            signer,
            token: None,
        })
    }

    fn authority(&self, beside: &[Known]) -> Option<Known> {
        let own =
            self.token.as_ref().map(|token| certificates::read(&token.certificates)).unwrap_or_default();
        let find = |known: &[Known]| self.signer.certificate(known).map(|index| known[index].clone());
        find(&own).or_else(|| find(beside))
    }
}

/// In seconds since 1970. Authorities write fractions of a second, which RFC 3161 allows and DER's own reader does not.
fn generalized_time(item: Item<'_>) -> Option<u64> {
    let [whole @ .., b'Z'] = item.value else { return None };
    let (seconds, fraction) = whole.split_at_checked(14)?;
    let is_fraction =
        |rest: &[u8]| matches!(rest, [b'.', digits @ ..] if digits.iter().all(u8::is_ascii_digit));
    if item.tag != Tag::GeneralizedTime || !(fraction.is_empty() || is_fraction(fraction)) {
        return None;
    }
    let plain = [&[0x18, 15], seconds, b"Z"].concat();
    GeneralizedTime::from_der(&plain).ok().map(|time| time.to_unix_duration().as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Option<u64> {
        generalized_time(Item { tag: Tag::GeneralizedTime, value: text.as_bytes(), whole: &[] })
    }

    #[test]
    fn fractions_of_a_second_are_left_out() {
        assert_eq!(time("19700101000107Z"), Some(67));
        assert_eq!(time("19700101000107.123Z"), Some(67));
        for text in ["", "Z", "19700101000107", "1970010100010Z", "19700101000107,5Z", "19701301000107Z"] {
            assert_eq!(time(text), None, "{text}");
        }
    }
}
