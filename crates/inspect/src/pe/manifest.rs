//! Manifests: XML, of which Windows reads some settings.

use roxmltree::{Document, Node, ParsingOptions};

use crate::bytes::Survey;
use crate::facts::{Manifest, ManifestSetting, ResourceName};

const PART: &str = "manifest";
/// In bytes; honest ones have some hundred.
const LONGEST: usize = 256 << 10;
const NODES: u32 = 20_000;
const SETTINGS: usize = 200;

/// Reads the bytes of the manifest of that name.
pub(super) fn read(name: Option<ResourceName>, bytes: &[u8], survey: &mut Survey) -> Option<Manifest> {
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
    Some(Manifest { name, text, settings })
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
    for node in document.root().descendants().filter(Node::is_element) {
        let mut note = |name: &str, value: &str, is_read: bool| {
            if settings.len() < SETTINGS {
                let (name, value) = (name.to_owned(), value.trim().to_owned());
                settings.push(ManifestSetting { name, value, is_read });
            }
        };
        let namespace = node.tag_name().namespace().unwrap_or("");
        let parent = node.parent_element().map_or("", |parent| parent.tag_name().name());
        match (parent, node.tag_name().name()) {
            (_, "requestedExecutionLevel") => {
                let path = ["requestedPrivileges", "security", "trustInfo", "assembly"];
                let is_read = ASSEMBLY.contains(&namespace) && is_below(node, &path);
                note("requestedExecutionLevel", node.attribute("level").unwrap_or(""), is_read);
                note("uiAccess", node.attribute("uiAccess").unwrap_or("false"), is_read);
            }
            (_, "supportedOS") => {
                let is_read = namespace == COMPATIBILITY
                    && is_below(node, &["application", "compatibility", "assembly"]);
                note("supportedOS", node.attribute("Id").unwrap_or(""), is_read);
            }
            ("assembly", "assemblyIdentity") => {
                note("name", node.attribute("name").unwrap_or(""), true);
                note("version", node.attribute("version").unwrap_or(""), true);
            }
            ("dependentAssembly", "assemblyIdentity") => {
                note("dependency", node.attribute("name").unwrap_or(""), true)
            }
            ("windowsSettings", name) => {
                let is_read = is_below(node, &["windowsSettings", "application", "assembly"])
                    && is_looked_up(name, namespace);
                note(name, node.text().unwrap_or(""), is_read);
            }
            _ => {}
        }
    }
    settings
}

/// Whether these are the elements around `node`, from the inner to the outermost.
fn is_below(node: Node<'_, '_>, elements: &[&str]) -> bool {
    let around = node.ancestors().skip(1).filter(Node::is_element);
    around.map(|element| element.tag_name().name()).eq(elements.iter().copied())
}

/// Namespaces of manifests themselves, which Windows takes for one.
const ASSEMBLY: [&str; 3] = [
    "urn:schemas-microsoft-com:asm.v1",
    "urn:schemas-microsoft-com:asm.v2",
    "urn:schemas-microsoft-com:asm.v3",
];
const COMPATIBILITY: &str = "urn:schemas-microsoft-com:compatibility.v1";

/// The namespace that a setting is looked up in has the year in which Windows got it (Windows, SbsCs: Application manifests;
/// `QueryActCtxSettingsW` asks for both); of a setting that is not listed any year will do.
fn is_looked_up(name: &str, namespace: &str) -> bool {
    const SETTINGS: &str = "http://schemas.microsoft.com/SMI/";
    let Some(year) = namespace.strip_prefix(SETTINGS).and_then(|rest| rest.strip_suffix("/WindowsSettings"))
    else {
        return false;
    };
    YEARS.iter().find(|(known, _)| *known == name).is_none_or(|(_, first)| *first == year)
}

const YEARS: [(&str, &str); 13] = [
    ("autoElevate", "2005"),
    ("disableTheming", "2005"),
    ("dpiAware", "2005"),
    ("disableWindowFiltering", "2011"),
    ("printerDriverIsolation", "2011"),
    ("highResolutionScrollingAware", "2013"),
    ("ultraHighResolutionScrollingAware", "2013"),
    ("dpiAwareness", "2016"),
    ("longPathAware", "2016"),
    ("gdiScaling", "2017"),
    ("activeCodePage", "2019"),
    ("heapType", "2020"),
    ("supportedArchitectures", "2024"),
];
