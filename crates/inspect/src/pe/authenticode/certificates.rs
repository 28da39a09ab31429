//! The certificates that came along, and the chain they form.

use der::asn1::ObjectIdentifier;
use der::oid::AssociatedOid;
use der::{Decode, Encode, Tag};
use x509_cert::Certificate;
use x509_cert::ext::pkix::{
    BasicConstraints, CertificatePolicies, ExtendedKeyUsage, KeyUsage, SubjectAltName,
};

use super::cryptography::Algorithm;
use super::signed_data::Item;
use crate::facts::X509Certificate;

/// Certificates read; a signature brings five at most.
const MOST: usize = 32;
/// Certificates in a chain.
const LONGEST: usize = 10;
/// `id-kp-codeSigning` and `anyExtendedKeyUsage`
const CODE_SIGNING: [ObjectIdentifier; 2] =
    [ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.3"), ObjectIdentifier::new_unwrap("2.5.29.37.0")];

/// `id-kp-timeStamping`
const TIME_STAMPING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8");

/// Extensions that are looked at, and two that forbid nothing: other names, and policies, of which none is asked for.
const EXTENSIONS: [ObjectIdentifier; 5] = [
    BasicConstraints::OID,
    KeyUsage::OID,
    ExtendedKeyUsage::OID,
    SubjectAltName::OID,
    CertificatePolicies::OID,
];

/// A certificate that could be read, with what is needed to check signatures.
#[derive(Clone)]
pub(super) struct Known {
    certificate: Certificate,
    /// Its signed part, as it stands in the file.
    signed_part: Vec<u8>,
    pub(super) facts: X509Certificate,
    /// Whether it is for time stamping.
    pub(super) stamps: bool,
}

pub(super) fn read(items: &[Item<'_>]) -> Vec<Known> {
    let certificates = items.iter().filter(|item| item.tag == Tag::Sequence).take(MOST);
    certificates.filter_map(|item| Known::read(*item)).collect()
}

/// The signer, the one whose key signed it, and so on.
pub(super) fn chain(certificates: &[Known], signer: Option<usize>) -> Vec<usize> {
    let mut chain: Vec<usize> = signer.into_iter().collect();
    while let Some(last) = chain.last().copied().filter(|_| chain.len() < LONGEST) {
        let last = &certificates[last];
        let issuers = certificates.iter().enumerate().filter(|(index, candidate)| {
            !chain.contains(index) && candidate.certificate.tbs_certificate().subject() == last.issuer()
        });
        // A few may have the same name; each one tried costs a computation with its key.
        let issuer = issuers.take(4).find(|(_, candidate)| last.issued_by(candidate) == Some(true));
        match issuer {
            Some((index, _)) => chain.push(index),
            None => break,
        }
    }
    chain
}

impl Known {
    fn read(item: Item<'_>) -> Option<Known> {
        let certificate = Certificate::from_der(item.whole).ok()?;
        let signed_part = item.children().first()?.whole.to_vec();
        let tbs = certificate.tbs_certificate();
        let validity = tbs.validity();
        let seconds = |time: &x509_cert::time::Time| time.to_unix_duration().as_secs();
        let uses = tbs.get_extension::<ExtendedKeyUsage>().ok()?;
        let constraints = tbs.get_extension::<BasicConstraints>().ok()?.map(|(_, constraints)| constraints);
        let key = tbs.get_extension::<KeyUsage>().ok()?.map(|(_, usage)| usage);
        let mut critical = tbs.extensions().into_iter().flatten().filter(|extension| extension.critical);
        let unknown = critical.find(|extension| !EXTENSIONS.contains(&extension.extn_id));
        let facts = X509Certificate {
            subject: tbs.subject().to_string(),
            issuer: tbs.issuer().to_string(),
            serial: tbs.serial_number().as_bytes().to_vec(),
            validity: (seconds(&validity.not_before), seconds(&validity.not_after)),
            sha256: Algorithm::Sha256.digest(&[item.whole]),
            self_issued: tbs.subject() == tbs.issuer(),
            authority: constraints.as_ref().is_some_and(|constraints| constraints.ca)
                && key.is_none_or(|key| key.key_cert_sign()),
            path_length: constraints.and_then(|constraints| constraints.path_len_constraint),
            signs_code: uses
                .as_ref()
                .is_none_or(|(_, uses)| uses.0.iter().any(|usage| CODE_SIGNING.contains(usage))),
            signs_data: key.is_none_or(|key| key.digital_signature() || key.non_repudiation()),
            unknown_extension: unknown.map(|extension| extension.extn_id.to_string()),
        };
        let stamps = uses.is_some_and(|(_, uses)| uses.0.contains(&TIME_STAMPING));
        Some(Known { certificate, signed_part, facts, stamps })
    }

    fn issuer(&self) -> &x509_cert::name::Name {
        self.certificate.tbs_certificate().issuer()
    }

    /// Whether it is the one of this issuer (as DER) with this serial number.
    pub(super) fn is(&self, issuer: &[u8], serial: &[u8]) -> bool {
        self.facts.serial == serial && self.issuer().to_der().is_ok_and(|name| name == issuer)
    }

    pub(super) fn issued_by(&self, issuer: &Known) -> Option<bool> {
        let algorithm = Algorithm::of_signature(self.certificate.signature_algorithm().oid)?;
        issuer.signed(algorithm, &self.signed_part, self.certificate.signature().as_bytes()?)
    }

    /// Whether its key signed `content`; `None`: not an RSA key.
    pub(super) fn signed(&self, algorithm: Algorithm, content: &[u8], signature: &[u8]) -> Option<bool> {
        let key = self.certificate.tbs_certificate().subject_public_key_info();
        // RSAPublicKey (RFC 8017, A.1.1): modulus and exponent.
        let [modulus, exponent] = Item::first(key.subject_public_key.as_bytes()?)?.children()[..] else {
            return None;
        };
        algorithm.verify((modulus.value, exponent.value), content, signature)
    }
}
