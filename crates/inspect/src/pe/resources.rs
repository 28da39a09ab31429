//! The resource directory: a tree of named entries, which hostile files bend into circles.

use std::collections::HashSet;

use super::{Image, RESOURCES, directory, locate, manifest, version_info};
use crate::bytes::Survey;
use crate::facts::{Pe, Resource, ResourceName, Resources};
use crate::limits;

/// `RT_VERSION` and `RT_MANIFEST`.
const VERSION: ResourceName = ResourceName::Number(16);
const MANIFEST: ResourceName = ResourceName::Number(24);
/// `VS_VERSION_INFO`, the number under which Windows looks for the version.
const FIRST: ResourceName = ResourceName::Number(1);

const PART: &str = "resources";
/// Type, name and language are three levels; no program has more.
const DEEPEST: usize = 8;
/// A program has one manifest, a library perhaps two.
const MANIFESTS: usize = 16;

/// Reads the tree, the version resource and the manifests.
pub(super) fn read(image: Image<'_>, pe: &Pe, survey: &mut Survey) -> Option<Resources> {
    let place = directory(pe, RESOURCES)?;
    let Some(start) = locate(pe, place.address) else {
        survey.anomaly(PART, format!("address {:#x} is in no section", place.address));
        return None;
    };
    let leaves = Tree { image, start, survey, leaves: Vec::new(), text: 0 }.read();
    let mut resources = Resources { leaves, ..Resources::default() };
    let of = |kind| resources.leaves.iter().filter(move |leaf| leaf.path.first() == Some(kind));
    let version = of(&VERSION).find(|leaf| leaf.path.get(1) == Some(&FIRST)).or_else(|| of(&VERSION).next());
    resources.version = version.and_then(|leaf| {
        let bytes = content(image, pe, leaf, survey)?;
        version_info::read(leaf.path.get(1).cloned(), bytes, survey)
    });
    for (index, leaf) in of(&MANIFEST).enumerate() {
        if index == MANIFESTS {
            survey.anomaly(PART, format!("more than {MANIFESTS} manifests: not read further"));
            break;
        }
        if let Some(bytes) = content(image, pe, leaf, survey) {
            resources.manifests.extend(manifest::read(leaf.path.get(1).cloned(), bytes, survey));
        }
    }
    Some(resources)
}

fn content<'a>(image: Image<'a>, pe: &Pe, leaf: &Resource, survey: &mut Survey) -> Option<&'a [u8]> {
    let bytes = locate(pe, leaf.address).and_then(|offset| image.bytes.slice(offset, leaf.size.into()));
    if bytes.is_none() {
        survey.anomaly(
            PART,
            format!("{} bytes at address {:#x} are outside the file", leaf.size, leaf.address),
        );
    }
    bytes
}

struct Tree<'a, 's> {
    image: Image<'a>,
    /// File offset of the root directory; all offsets inside count from it.
    start: u64,
    survey: &'s mut Survey,
    leaves: Vec<Resource>,
    /// Bytes of the names in all leaves' paths.
    text: usize,
}

impl Tree<'_, '_> {
    fn read(mut self) -> Vec<Resource> {
        let mut waiting = vec![(0_u32, Vec::new())];
        let mut seen = HashSet::new();
        while let Some((offset, path)) = waiting.pop() {
            // Each directory once: one that is reached twice is a circle, or multiplies what is below it.
            if !seen.insert(offset) {
                self.survey.anomaly(PART, format!("the directory at {offset:#x} is reached twice"));
                continue;
            }
            if path.len() >= DEEPEST {
                self.survey.anomaly(PART, format!("directories nested deeper than {DEEPEST}"));
                break;
            }
            let Some(below) = self.directory(offset, &path) else { break };
            // The last one in is read first, and the tree in its own order.
            waiting.extend(below.into_iter().rev());
        }
        self.leaves
    }

    /// Reads one directory's entries; gives the directories below. `None`: no more may be read.
    fn directory(&mut self, offset: u32, path: &[ResourceName]) -> Option<Vec<(u32, Vec<ResourceName>)>> {
        let at = self.start + u64::from(offset);
        let counts = self.image.bytes.u16(at + 12).zip(self.image.bytes.u16(at + 14));
        let Some((named, numbered)) = counts else {
            self.survey.anomaly(PART, format!("the directory at {offset:#x} is outside the file"));
            return Some(Vec::new());
        };
        let mut below = Vec::new();
        for index in 0..u64::from(named) + u64::from(numbered) {
            let entry = at + 16 + 8 * index;
            let Some((name, child)) = self.image.bytes.u32(entry).zip(self.image.bytes.u32(entry + 4)) else {
                self.survey.anomaly(PART, format!("the directory at {offset:#x} ends outside the file"));
                break;
            };
            if self.leaves.len() + below.len() >= limits::RESOURCES || !self.survey.admit(PART) {
                self.survey.anomaly(PART, format!("more than {}: not read further", limits::RESOURCES));
                return None;
            }
            if self.text > limits::RESOURCE_TEXT {
                let what = format!("paths of more than {} bytes: not read further", limits::RESOURCE_TEXT);
                self.survey.anomaly(PART, what);
                return None;
            }
            let mut path = path.to_vec();
            path.push(self.name(name));
            if child >> 31 == 1 {
                below.push((child & 0x7fff_ffff, path));
            } else {
                self.leaf(child, path);
            }
        }
        Some(below)
    }

    /// Bit 31: offset of a length in UTF-16 units and the text; else a number.
    fn name(&mut self, name: u32) -> ResourceName {
        if name >> 31 == 0 {
            return ResourceName::Number(name);
        }
        let at = self.start + u64::from(name & 0x7fff_ffff);
        let length = self.image.bytes.u16(at).unwrap_or(0);
        let text = self.image.bytes.slice(at + 2, 2 * u64::from(length)).and_then(|units| {
            let units = units.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
            let text =
                char::decode_utf16(units).map(|letter| letter.unwrap_or('\u{fffd}')).collect::<String>();
            self.survey.kept(PART, text)
        });
        text.map_or(ResourceName::Number(name), |text| ResourceName::Text(text.into()))
    }

    fn leaf(&mut self, offset: u32, path: Vec<ResourceName>) {
        let at = self.start + u64::from(offset);
        // Whoever prints the leaves prints the names of all directories above each.
        for name in &path {
            self.text += if let ResourceName::Text(text) = name { text.len() } else { 0 };
        }
        match self.image.bytes.u32(at).zip(self.image.bytes.u32(at + 4)) {
            Some((address, size)) => self.leaves.push(Resource { path, address, size }),
            None => self.survey.anomaly(PART, format!("the entry at {offset:#x} is outside the file")),
        }
    }
}
