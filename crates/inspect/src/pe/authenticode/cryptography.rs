//! Digests, and signatures with RSA (PKCS #1 v1.5), which is what programs are signed with.

use der::asn1::ObjectIdentifier;
use rsa::{BoxedUint, PublicKey};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// A digest algorithm that is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

/// Name, digest's identifier, identifier of the digest signed with RSA.
const ALGORITHMS: [(Algorithm, &str, ObjectIdentifier, ObjectIdentifier); 4] = [
    (
        Algorithm::Sha1,
        "sha1",
        ObjectIdentifier::new_unwrap("1.3.14.3.2.26"),
        ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.5"),
    ),
    (
        Algorithm::Sha256,
        "sha256",
        ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1"),
        ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11"),
    ),
    (
        Algorithm::Sha384,
        "sha384",
        ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2"),
        ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12"),
    ),
    (
        Algorithm::Sha512,
        "sha512",
        ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3"),
        ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13"),
    ),
];

impl Algorithm {
    pub(super) fn of_digest(identifier: ObjectIdentifier) -> Option<Algorithm> {
        ALGORITHMS.iter().find(|row| row.2 == identifier).map(|row| row.0)
    }

    /// Of an identifier that names the digest and RSA.
    pub(super) fn of_signature(identifier: ObjectIdentifier) -> Option<Algorithm> {
        ALGORITHMS.iter().find(|row| row.3 == identifier).map(|row| row.0)
    }

    /// Of an identifier that names RSA alone, with the digest's beside it.
    pub(super) fn of_digest_with_rsa(
        signature: ObjectIdentifier,
        digest: ObjectIdentifier,
    ) -> Option<Algorithm> {
        if signature == RSA { Algorithm::of_digest(digest) } else { None }
    }

    /// The digest's name, or its identifier where it is not known here.
    pub(super) fn name(identifier: ObjectIdentifier) -> String {
        let known = ALGORITHMS.iter().find(|row| row.2 == identifier);
        known.map_or_else(|| identifier.to_string(), |row| row.1.to_owned())
    }

    pub(super) fn digest(self, parts: &[&[u8]]) -> Vec<u8> {
        match self {
            Algorithm::Sha1 => digest::<Sha1>(parts),
            Algorithm::Sha256 => digest::<Sha256>(parts),
            Algorithm::Sha384 => digest::<Sha384>(parts),
            Algorithm::Sha512 => digest::<Sha512>(parts),
        }
    }

    /// Whether the key of modulus and exponent signed `content`; `None`: a key that is not used.
    pub(super) fn verify(self, key: (&[u8], &[u8]), content: &[u8], signature: &[u8]) -> Option<bool> {
        let number = |bytes: &[u8]| {
            // In bits; longer ones would only cost time.
            const LONGEST: usize = 8192;
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            let bytes = bytes.get(zeros..).filter(|bytes| bytes.len() <= LONGEST / 8)?;
            Some(BoxedUint::from_be_slice_vartime(bytes))
        };
        let key = PublicKey::new(number(key.0)?, number(key.1)?).ok()?;
        let digest = self.digest(&[content]);
        let verified = match self {
            Algorithm::Sha1 => key.pkcs1v15_verify_prehash::<Sha1>(&digest, signature),
            Algorithm::Sha256 => key.pkcs1v15_verify_prehash::<Sha256>(&digest, signature),
            Algorithm::Sha384 => key.pkcs1v15_verify_prehash::<Sha384>(&digest, signature),
            Algorithm::Sha512 => key.pkcs1v15_verify_prehash::<Sha512>(&digest, signature),
        };
        Some(verified.is_ok())
    }
}

fn digest<D: Digest>(parts: &[&[u8]]) -> Vec<u8> {
    let mut digest = D::new();
    parts.iter().for_each(|part| digest.update(part));
    digest.finalize().to_vec()
}
