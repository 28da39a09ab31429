//! Manifests: XML, of which Windows reads some settings.

use roxmltree::{Document, Node, ParsingOptions};

use crate::bytes::Survey;
use crate::facts::{Manifest, ManifestSetting};

const PART: &str = "manifest";
/// In bytes; honest ones have some hundred.
const LONGEST: usize = 256 << 10;
const NODES: u32 = 20_000;
const SETTINGS: usize = 200;

/// Reads a manifest's bytes.
pub(super) fn read(bytes: &[u8], survey: &mut Survey) -> Option<Manifest> {
    if bytes.len() > LONGEST {
        survey.anomaly(PART, format!("{} bytes, more than {LONGEST}: not read", bytes.len()));
        return None;
    }
    let text = survey.kept(PART, decode(bytes))?;
    let options = ParsingOptions { allow_dtd: false, nodes_limit: NODES, ..ParsingOptions::default() };
    let settings = match Document::parse_with_options(&text, options) {
        Ok(document) => settings(&document),
        // Windows refuses to start a program with such a manifest.
        Err(error) => {
            survey.anomaly(PART, format!("not XML: {error}"));
            Vec::new()
        }
    };
    Some(Manifest { text, settings })
}

/// UTF-8, or UTF-16 with a mark; padding zeros are not part of it.
fn decode(bytes: &[u8]) -> String {
    let text = match bytes {
        [0xff, 0xfe, units @ ..] => {
            let units = units.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
            char::decode_utf16(units).map(|letter| letter.unwrap_or('\u{fffd}')).collect()
        }
        [0xef, 0xbb, 0xbf, text @ ..] | text => String::from_utf8_lossy(text).into_owned(),
    };
    text.trim_end_matches('\0').to_owned()
}

fn settings(document: &Document<'_>) -> Vec<ManifestSetting> {
    let mut settings = Vec::new();
    let mut note = |name: &str, value: &str| {
        if settings.len() < SETTINGS {
            settings.push(ManifestSetting { name: name.to_owned(), value: value.trim().to_owned() });
        }
    };
    for node in document.root().descendants().filter(Node::is_element) {
        let parent = node.parent_element().map_or("", |parent| parent.tag_name().name());
        match (parent, node.tag_name().name()) {
            (_, "requestedExecutionLevel") => {
                note("requestedExecutionLevel", node.attribute("level").unwrap_or(""));
                note("uiAccess", node.attribute("uiAccess").unwrap_or("false"));
            }
            (_, "supportedOS") => note("supportedOS", node.attribute("Id").unwrap_or("")),
            ("assembly", "assemblyIdentity") => {
                note("name", node.attribute("name").unwrap_or(""));
                note("version", node.attribute("version").unwrap_or(""));
            }
            ("dependentAssembly", "assemblyIdentity") => {
                note("dependency", node.attribute("name").unwrap_or(""))
            }
            ("windowsSettings", name) => note(name, node.text().unwrap_or("")),
            _ => {}
        }
    }
    settings
}
