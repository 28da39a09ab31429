//! PKCS #7 signed data (RFC 2315, RFC 5652), read item by item: real signatures are rarely in strict DER order, so
//! structures of sorted sets would refuse them.

use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode, Reader, SliceReader, Tag, TagNumber, Tagged};

use super::certificates::Known;
use super::cryptography::Algorithm;
use super::only;

const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");

/// Items read of one set or sequence.
const ITEMS: usize = 256;

/// One item: its tag, its value, and both with the length between.
#[derive(Clone, Copy)]
pub(super) struct Item<'a> {
    pub(super) tag: Tag,
    pub(super) value: &'a [u8],
    pub(super) whole: &'a [u8],
}

impl<'a> Item<'a> {
    /// The first item of `bytes`; what follows it is padding.
    pub(super) fn first(bytes: &'a [u8]) -> Option<Item<'a>> {
        items(bytes, 1).first().copied()
    }

    pub(super) fn children(self) -> Vec<Item<'a>> {
        items(self.value, ITEMS)
    }

    pub(super) fn identifier(self) -> Option<ObjectIdentifier> {
        if self.tag != Tag::ObjectIdentifier {
            return None;
        }
        ObjectIdentifier::from_bytes(self.value).ok()
    }

    fn is(self, number: u32) -> bool {
        self.tag.is_context_specific() && self.tag.number() == TagNumber(number)
    }
}

fn items(bytes: &[u8], most: usize) -> Vec<Item<'_>> {
    let mut items = Vec::new();
    let Ok(mut reader) = SliceReader::new(bytes) else { return items };
    while !reader.is_finished() && items.len() < most {
        let Ok(whole) = reader.tlv_bytes() else { break };
        let Ok(any) = AnyRef::from_der(whole) else { break };
        items.push(Item { tag: any.tag(), value: any.value(), whole });
    }
    items
}

pub(super) struct SignedData<'a> {
    pub(super) content_type: ObjectIdentifier,
    /// What is signed.
    pub(super) content: Option<Item<'a>>,
    pub(super) certificates: Vec<Item<'a>>,
    pub(super) signer: Signer<'a>,
}

impl<'a> SignedData<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Option<SignedData<'a>> {
        let [kind, data, ..] = Item::first(bytes)?.children()[..] else { return None };
        if kind.identifier()? != SIGNED_DATA {
            return None;
        }
        let [_version, _algorithms, content, rest @ ..] = &only(data)?.children()[..] else { return None };
        let content = content.children();
        let certificates = rest.iter().find(|item| item.is(0)).map(|set| set.children()).unwrap_or_default();
        let signers = rest.iter().find(|item| item.tag == Tag::Set)?;
        Some(SignedData {
            content_type: content.first()?.identifier()?,
            content: content.get(1).and_then(|content| only(*content)),
            certificates,
            signer: Signer::read(only(*signers)?)?,
        })
    }

    /// Whether the signed attributes name the digest of the content.
    pub(super) fn names_its_content(&self) -> Option<bool> {
        // The value alone: RFC 2315, 9.3 leaves tag and length out.
        self.signer.names(self.content?.value)
    }
}

#[derive(Clone)]
pub(super) struct Attribute<'a> {
    pub(super) kind: ObjectIdentifier,
    pub(super) value: Item<'a>,
}

#[derive(Clone)]
pub(super) struct Signer<'a> {
    issuer_and_serial: Item<'a>,
    digest_algorithm: ObjectIdentifier,
    signed: Option<Item<'a>>,
    signature_algorithm: ObjectIdentifier,
    pub(super) signature: &'a [u8],
    pub(super) unsigned: Vec<Attribute<'a>>,
}

impl<'a> Signer<'a> {
    pub(super) fn read(item: Item<'a>) -> Option<Signer<'a>> {
        let fields = item.children();
        let [_version, issuer_and_serial, digest, rest @ ..] = &fields[..] else { return None };
        let signed = rest.first().copied().filter(|item| item.is(0));
        let [algorithm, signature, rest @ ..] = &rest[usize::from(signed.is_some())..] else { return None };
        let unsigned = rest.first().filter(|item| item.is(1)).map(|set| attributes(*set)).unwrap_or_default();
        Some(Signer {
            issuer_and_serial: *issuer_and_serial,
            digest_algorithm: digest.children().first()?.identifier()?,
            signed,
            signature_algorithm: algorithm.children().first()?.identifier()?,
            signature: signature.value,
            unsigned,
        })
    }

    pub(super) fn signed_attribute(&self, kind: ObjectIdentifier) -> Option<Item<'a>> {
        let attributes = attributes(self.signed?);
        attributes.into_iter().find(|attribute| attribute.kind == kind).map(|attribute| attribute.value)
    }

    /// Whether the signed attributes name the digest of `content`; `None`: algorithm not known.
    pub(super) fn names(&self, content: &[u8]) -> Option<bool> {
        let digest = Algorithm::of_digest(self.digest_algorithm)?.digest(&[content]);
        Some(self.signed_attribute(MESSAGE_DIGEST).is_some_and(|named| named.value == digest))
    }

    /// The index of the certificate that the signer names.
    pub(super) fn certificate(&self, certificates: &[Known]) -> Option<usize> {
        let [issuer, serial] = self.issuer_and_serial.children()[..] else { return None };
        certificates.iter().position(|known| known.is(issuer.whole, serial.value))
    }

    /// Whether the key of `certificate` signed the attributes; `None`: key or algorithm not known here.
    pub(super) fn signed_by(&self, certificate: &Known) -> Option<bool> {
        // Signed as the set that they are, not under the tag that they stand behind (RFC 5652, 5.4).
        let mut attributes = self.signed?.whole.to_vec();
        *attributes.first_mut()? = 0x31;
        let algorithm = Algorithm::of_signature(self.signature_algorithm)
            .or_else(|| Algorithm::of_digest_with_rsa(self.signature_algorithm, self.digest_algorithm))?;
        certificate.signed(algorithm, &attributes, self.signature)
    }
}

fn attributes(set: Item<'_>) -> Vec<Attribute<'_>> {
    let attributes = set.children().into_iter().filter_map(|item| {
        let [kind, values, ..] = item.children()[..] else { return None };
        Some(Attribute { kind: kind.identifier()?, value: only(values)? })
    });
    attributes.collect()
}
