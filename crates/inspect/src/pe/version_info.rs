//! The version resource (`VS_VERSIONINFO`): nodes of a length, a value's length, a type, a key and children.

use crate::bytes::{Bytes, Survey};
use crate::facts::{ResourceName, VersionInfo, VersionString};

const PART: &str = "version resource";
/// `VS_FIXEDFILEINFO.dwSignature`
const SIGNATURE: u32 = 0xfeef_04bd;

/// Reads the bytes of the resource of that name.
pub(super) fn read(name: Option<ResourceName>, bytes: &[u8], survey: &mut Survey) -> Option<VersionInfo> {
    let Some(root) = Node::read(bytes).filter(|root| root.key == "VS_VERSION_INFO") else {
        survey.anomaly(PART, "not a VS_VERSION_INFO");
        return None;
    };
    let mut version = VersionInfo { name, ..fixed(root.value) };
    for block in root.children(survey).into_iter().filter(|block| block.key == "StringFileInfo") {
        for table in block.children(survey) {
            for line in table.children(survey) {
                let units = line.value.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
                let value = text(units.take_while(|unit| *unit != 0));
                let (Some(key), Some(value)) = (survey.kept(PART, line.key), survey.kept(PART, value)) else {
                    return Some(version);
                };
                version.strings.push(VersionString { language: table.key.clone(), key, value });
            }
        }
    }
    Some(version)
}

fn fixed(data: &[u8]) -> VersionInfo {
    let bytes = Bytes { data, big_endian: false };
    let word = |index: u64| bytes.u32(4 * index).unwrap_or(0);
    if word(0) != SIGNATURE {
        return VersionInfo::default();
    }
    let parts = |high: u32, low: u32| [(high >> 16) as u16, high as u16, (low >> 16) as u16, low as u16];
    VersionInfo {
        file_version: parts(word(2), word(3)),
        product_version: parts(word(4), word(5)),
        flags: word(6) & word(7),
        file_type: word(9),
        ..VersionInfo::default()
    }
}

struct Node<'a> {
    key: String,
    value: &'a [u8],
    /// All children, one behind the other.
    rest: &'a [u8],
    length: usize,
}

impl<'a> Node<'a> {
    fn read(bytes: &'a [u8]) -> Option<Node<'a>> {
        let field =
            |at: usize| Some(usize::from(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?)));
        let (length, value_length, is_text) = (field(0)?, field(2)?, field(4)? == 1);
        let bytes = bytes.get(..length)?;
        let units = bytes.get(6..)?.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
        let key: Vec<u16> = units.take_while(|unit| *unit != 0).take(256).collect();
        let value = (6 + 2 * (key.len() + 1)).next_multiple_of(4).min(length);
        // A text's length counts UTF-16 units; some tools count bytes, so it is cut to what is there.
        let value_length = if is_text { 2 * value_length } else { value_length };
        let end = (value + value_length).min(length);
        let rest = bytes.get(end.next_multiple_of(4)..).unwrap_or(&[]);
        Some(Node { key: text(key.into_iter()), value: &bytes[value..end], rest, length })
    }

    fn children(&self, survey: &mut Survey) -> Vec<Node<'a>> {
        let mut children = Vec::new();
        let mut rest = self.rest;
        // Less than a node's head is padding.
        while rest.len() >= 6 && survey.admit(PART) {
            let Some(child) = Node::read(rest).filter(|child| child.length >= 6) else {
                if rest.iter().any(|byte| *byte != 0) {
                    survey.anomaly(PART, format!("the entries of `{}` end outside of it", self.key));
                }
                break;
            };
            rest = rest.get(child.length.next_multiple_of(4)..).unwrap_or(&[]);
            children.push(child);
        }
        children
    }
}

fn text(units: impl Iterator<Item = u16>) -> String {
    char::decode_utf16(units).map(|letter| letter.unwrap_or('\u{fffd}')).collect()
}
