//! Authenticode: what a signature claims, and how much of it the bytes confirm.

use schemars::JsonSchema;
use serde::Serialize;

/// One entry of the attribute certificate table.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(extend("x-source" = "PE/COFF specification, The Attribute Certificate Table"))]
pub struct Certificate {
    /// File offset of the entry.
    pub offset: u64,
    /// `dwLength` in bytes, with the header's eight.
    pub size: u32,
    /// `wRevision`: 0x200 is in use.
    pub revision: u16,
    /// `wCertificateType`: 2 is PKCS #7 signed data.
    pub kind: u16,
    /// What the PKCS #7 data says; `None` where it cannot be read.
    pub signature: Option<Signature>,
}

/// An Authenticode signature (Microsoft's "Windows Authenticode Portable Executable Signature Format").
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(extend("x-source" = "Microsoft, Windows Authenticode Portable Executable Signature Format"))]
pub struct Signature {
    /// The digest's algorithm: `sha256`, `sha1`, … or its object identifier.
    pub algorithm: String,
    /// The digest of the program in `SpcIndirectDataContent`.
    pub digest: Vec<u8>,
    /// Whether the signed attributes name the digest of `SpcIndirectDataContent`; `None`: algorithm not known.
    pub content_signed: Option<bool>,
    /// The signer's certificate, as an index into `certificates`.
    pub signer: Option<usize>,
    /// Every certificate that came along.
    pub certificates: Vec<X509Certificate>,
    /// The timestamp countersignature.
    pub timestamp: Option<Timestamp>,
    /// Further signatures inside this one.
    pub nested: u32,
}

/// What the keys in a signature confirm.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SignatureCheck {
    /// Whether the signer's key made the signature; `None`: key or algorithm not known here.
    pub signed_by_signer: Option<bool>,
    /// The chain from the signer up, as indexes into the signature's certificates; each one's signature was made by
    /// the next one's key.
    pub chain: Vec<usize>,
    /// Whether the last one's signature was made by its own key.
    pub ends_in_itself: bool,
    /// Whether the time stamping authority's key signed the timestamp; `None`: no timestamp, or not known here.
    pub timestamp_signed: Option<bool>,
}

/// One X.509 certificate (RFC 5280).
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(extend("x-source" = "RFC 5280"))]
pub struct X509Certificate {
    /// Whom it names, as RFC 4514 writes names.
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// The serial number's bytes.
    pub serial: Vec<u8>,
    /// Beginning and end of its validity, in seconds since 1970.
    pub validity: (u64, u64),
    /// SHA-256 of its bytes.
    pub sha256: Vec<u8>,
    /// Whether it names itself as its issuer.
    pub self_issued: bool,
    /// Whether it may issue others: `basicConstraints`, and `keyCertSign` where it has a `keyUsage`.
    pub authority: bool,
    /// `pathLenConstraint`: how many authorities may stand between it and a signer, those that issued themselves apart.
    pub path_length: Option<u8>,
    /// Whether it may sign code, or issue who does (`extendedKeyUsage`); one that names no use may.
    pub signs_code: bool,
    /// Whether its key may sign data (`digitalSignature` or `nonRepudiation`); one without a `keyUsage` may.
    pub signs_data: bool,
    /// The first critical extension whose meaning is not known here, by its object identifier.
    pub unknown_extension: Option<String>,
}

/// A countersignature of a time stamping authority.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(extend("x-source" = "RFC 3161 and PKCS #9"))]
pub struct Timestamp {
    /// `RFC 3161` or `PKCS #9`.
    pub form: String,
    /// The time in seconds since 1970; `None` where it cannot be read.
    pub time: Option<u64>,
    /// Whether it is about this signature; `None`: algorithm not known.
    pub about_this_signature: Option<bool>,
    /// Whom the authority's certificate names.
    pub authority: Option<String>,
    /// Whether that certificate is one for time stamping, by its extended key usage (RFC 3161, 2.3); `None`: there is none.
    pub authority_stamps: Option<bool>,
}
