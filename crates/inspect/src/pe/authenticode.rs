//! The attribute certificate table and Authenticode ("Windows Authenticode Portable Executable Signature Format").

mod certificates;
mod cryptography;
mod signed_data;
mod timestamp;

use der::asn1::ObjectIdentifier;

use self::certificates::Known;
use self::cryptography::Algorithm;
use self::signed_data::{Item, SignedData};
use super::{CERTIFICATES, Image, directory};
use crate::bytes::{Bytes, Survey};
use crate::facts::{Certificate, Pe, Signature, SignatureCheck};

/// `WIN_CERT_TYPE_PKCS_SIGNED_DATA`
const SIGNED_DATA: u16 = 2;
/// `SPC_INDIRECT_DATA_OBJID`
const INDIRECT_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.2.1.4");
/// `SPC_NESTED_SIGNATURE_OBJID`
const NESTED: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.2.4.1");

const PART: &str = "certificates";

/// Reads the table's entries; of the first signature all that it says.
pub(super) fn read(image: Image<'_>, pe: &Pe, survey: &mut Survey) -> Vec<Certificate> {
    let mut entries: Vec<Certificate> = Vec::new();
    let Some(place) = directory(pe, CERTIFICATES) else { return entries };
    // The only directory whose address is a file offset.
    let mut offset = u64::from(place.address);
    let end = offset + u64::from(place.size);
    while offset + 8 <= end && survey.admit(PART) {
        let size = image.bytes.u32(offset);
        let body = size.and_then(|size| image.bytes.slice(offset + 8, u64::from(size).checked_sub(8)?));
        let (Some(size), Some(body)) = (size, body) else {
            survey.anomaly(PART, format!("the entry at {offset:#x} does not fit into the file"));
            break;
        };
        let revision = image.bytes.u16(offset + 4).unwrap_or(0);
        let kind = image.bytes.u16(offset + 6).unwrap_or(0);
        // Windows looks at the first one.
        let first = kind == SIGNED_DATA && !entries.iter().any(|entry| entry.kind == SIGNED_DATA);
        let signature = if first { Signed::read(body).map(|signed| signed.facts()) } else { None };
        if first && signature.is_none() {
            survey.anomaly(PART, format!("the entry at {offset:#x} is not Authenticode's signed data"));
        }
        entries.push(Certificate { offset, size, revision, kind, signature });
        // Each entry begins at a multiple of eight.
        offset += u64::from(size).next_multiple_of(8);
    }
    entries
}

/// What the keys of the first signature confirm.
pub(crate) fn check(data: &[u8], pe: &Pe) -> Option<SignatureCheck> {
    let signed = Signed::of(data, pe)?;
    let signer = signed.data.signer.certificate(&signed.certificates);
    let chain = certificates::chain(&signed.certificates, signer);
    let last = chain.last().map(|last| &signed.certificates[*last]);
    Some(SignatureCheck {
        signed_by_signer: signer
            .and_then(|signer| signed.data.signer.signed_by(&signed.certificates[signer])),
        ends_in_itself: last.is_some_and(|last| last.issued_by(last) == Some(true)),
        chain,
        timestamp_signed: timestamp::signed(&signed.data.signer, &signed.certificates),
    })
}

/// The digest of the file without its checksum, its certificate table and the directory entry that names the table.
pub(crate) fn program_digest(data: &[u8], pe: &Pe) -> Option<Vec<u8>> {
    let algorithm = Algorithm::of_digest(Signed::of(data, pe)?.algorithm)?;
    let bytes = Bytes { data, big_endian: false };
    let optional = u64::from(pe.header_offset) + 24;
    let checksum = optional + 64;
    let entry = optional + if pe.magic == 0x20b { 112 } else { 96 } + 8 * CERTIFICATES as u64;
    let table = directory(pe, CERTIFICATES)?;
    let (start, end) = (u64::from(table.address), u64::from(table.address) + u64::from(table.size));
    let parts = [(0, checksum), (checksum + 4, entry), (entry + 8, start), (end, bytes.len())];
    let parts = parts.map(|(from, to)| bytes.slice(from, to.saturating_sub(from)).unwrap_or(&[]));
    Some(algorithm.digest(&parts))
}

/// An Authenticode signature, taken apart.
struct Signed<'a> {
    data: SignedData<'a>,
    algorithm: ObjectIdentifier,
    digest: &'a [u8],
    certificates: Vec<Known>,
}

impl<'a> Signed<'a> {
    /// The file's first one.
    fn of(data: &'a [u8], pe: &Pe) -> Option<Signed<'a>> {
        let entry = pe.certificates.iter().find(|entry| entry.kind == SIGNED_DATA)?;
        let body = Bytes { data, big_endian: false };
        Signed::read(body.slice(entry.offset + 8, u64::from(entry.size).checked_sub(8)?)?)
    }

    fn read(body: &'a [u8]) -> Option<Signed<'a>> {
        let data = SignedData::read(body)?;
        if data.content_type != INDIRECT_DATA {
            return None;
        }
        // SpcIndirectDataContent: what is signed, then its digest's algorithm and value.
        let [_, digest] = data.content?.children()[..] else { return None };
        let [algorithm, digest] = digest.children()[..] else { return None };
        Some(Signed {
            algorithm: only(algorithm)?.identifier()?,
            digest: digest.value,
            certificates: certificates::read(&data.certificates),
            data,
        })
    }

    fn facts(self) -> Signature {
        let signer = &self.data.signer;
        Signature {
            algorithm: Algorithm::name(self.algorithm),
            digest: self.digest.to_vec(),
            content_signed: self.data.names_its_content(),
            signer: signer.certificate(&self.certificates),
            timestamp: timestamp::read(signer, &self.certificates),
            nested: signer.unsigned.iter().filter(|attribute| attribute.kind == NESTED).count() as u32,
            certificates: self.certificates.into_iter().map(|certificate| certificate.facts).collect(),
        }
    }
}

/// The value of the only item of a set.
fn only<'a>(set: Item<'a>) -> Option<Item<'a>> {
    set.children().first().copied()
}
