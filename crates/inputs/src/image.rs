//! Container images: what an archive or a folder must hold to be one, whole and unchanged.
//!
//! Layers are archives in an archive, and found as such. This checks what makes them an image: each blob is what its
//! name says (OCI image layout), and each layer that a manifest names is there (OCI and `docker save`).

use std::collections::{BTreeSet, HashMap};
use std::io::{self, Read};
use std::mem;

use artifact::Hasher;
use serde_json::Value;

use crate::error::damaged;
use crate::format::Format;
use crate::visit::{Names, Visit, shown};

/// Bytes of a manifest or index that is read, and of all of them (OCI asks for 4 MiB at least).
const DOCUMENT: usize = 4 << 20;
const DOCUMENTS: usize = 16 << 20;
/// Parts of an image that are remembered; an image has some hundred layers at most.
const PRESENT: usize = 20_000;
/// How deep an index may point to indexes.
const INDEXES: usize = 4;
/// Names of the folder in which blobs lie.
const BLOBS: &str = "blobs/sha256/";

/// What was seen of an image so far.
#[derive(Default)]
pub(crate) struct Image {
    /// By name: `index.json` and `manifest.json`; by digest: manifests.
    documents: HashMap<String, Vec<u8>>,
    kept: usize,
    /// Names of parts, and whether each was opened as an archive.
    present: HashMap<String, bool>,
    /// Names of links, and what they lead to.
    links: HashMap<String, String>,
}

/// A member that belongs to an image, about to be read.
pub(crate) struct Watched<'i> {
    image: &'i mut Image,
}

impl Image {
    /// Whether the member of this name is part of what makes an image.
    pub(crate) fn watch(&mut self, member: &str) -> Option<Watched<'_>> {
        let plain = plain(member);
        let part =
            matches!(plain, "index.json" | "manifest.json") || plain.starts_with(BLOBS) || is_layer(plain);
        part.then_some(Watched { image: self })
    }

    /// Notes a name without bytes of its own: old `docker save` archives link one layer to another.
    pub(crate) fn link(&mut self, member: &str, target: &str) {
        if is_layer(plain(member)) && self.links.len() < PRESENT {
            self.links.insert(plain(member).to_owned(), plain(target).to_owned());
        }
    }

    fn note(&mut self, plain: &str, opened: bool) {
        if self.present.len() < PRESENT {
            self.present.insert(plain.to_owned(), opened);
        }
    }

    /// What is wrong with the layer of this name; `shown` is what its manifest calls it.
    fn layer(&self, name: Option<&str>, shown: &str) -> Option<String> {
        let name = name.map(|name| self.links.get(name).map_or(name, String::as_str));
        match name.and_then(|name| self.present.get(name)) {
            Some(true) => None,
            Some(false) => Some(format!("the layer {shown} is no archive that is opened here")),
            None => Some(format!("the layer {shown} is not in it")),
        }
    }

    /// One sentence for each part that a manifest names and that is not there.
    pub(crate) fn missing(&self) -> BTreeSet<String> {
        let mut missing = BTreeSet::new();
        if let Some(index) = self.documents.get("index.json") {
            match serde_json::from_slice(index) {
                Ok(index) => self.index(&index, 0, &mut missing),
                Err(error) => drop(missing.insert(format!("its index.json is no JSON: {error}"))),
            }
        }
        // Many archives have a file of this name; docker's is a list of images with layers.
        if let Some(Ok(Value::Array(images))) =
            self.documents.get("manifest.json").map(|bytes| serde_json::from_slice(bytes))
        {
            let layers = images.iter().flat_map(|image| list(&image["Layers"])).filter_map(Value::as_str);
            missing.extend(layers.filter_map(|layer| self.layer(Some(layer), &shown(layer))));
        }
        missing
    }

    /// An image index (OCI image specification, image-index): manifests, or indexes again.
    fn index(&self, index: &Value, depth: usize, missing: &mut BTreeSet<String>) {
        let manifests = list(&index["manifests"]);
        let known =
            |descriptor: &&Value| blob(descriptor).is_some_and(|name| self.present.contains_key(&name));
        // An index of many platforms is often kept with one platform's image alone.
        if depth == 0 || !manifests.iter().any(|descriptor| known(&descriptor)) {
            for descriptor in manifests.iter().filter(|descriptor| !known(descriptor)) {
                missing.insert(format!("the manifest {} is not in it", digest(descriptor)));
            }
        }
        for name in manifests.iter().filter_map(blob) {
            let Some(Ok(document)) =
                self.documents.get(&name).map(|bytes| serde_json::from_slice::<Value>(bytes))
            else {
                continue;
            };
            if depth < INDEXES {
                self.index(&document, depth + 1, missing);
            }
            for layer in list(&document["layers"]) {
                // Layers that may not be passed on lie elsewhere, by design.
                let kind = layer["mediaType"].as_str().unwrap_or_default();
                let elsewhere = kind.contains("nondistributable") || kind.contains("foreign");
                if !elsewhere {
                    missing.extend(self.layer(blob(layer).as_deref(), &digest(layer)));
                }
            }
        }
    }
}

impl Watched<'_> {
    /// Reads the member as any other, and takes its digest and what it says on the way.
    pub(crate) fn member(
        self,
        visit: &mut Visit<'_>,
        archive: &str,
        member: &str,
        mode: Option<u32>,
        names: &mut Names,
        reader: &mut dyn Read,
    ) {
        let plain = plain(member);
        let before = visit.opened;
        let room = DOCUMENTS.saturating_sub(self.image.kept).min(DOCUMENT);
        let hasher = plain.starts_with(BLOBS).then(Hasher::default);
        let mut hearing = Hearing { reader, hasher, said: Vec::new(), room };
        visit.member(archive, member, mode, names, &mut hearing);
        let Hearing { hasher, said, .. } = hearing;
        self.image.kept += said.len();
        if !said.is_empty() {
            self.image.documents.insert(plain.to_owned(), said);
        }
        self.image.note(plain, visit.opened > before);
        let Some(promised) = plain.strip_prefix(BLOBS) else { return };
        let found = hasher.map(Hasher::finish).map(|digest| digest.to_string());
        if found.as_deref() != Some(promised) && !visit.ended() {
            let name = format!("{archive}!{}", shown(member));
            let what = format!("its sha256 is {}, not its name", found.unwrap_or_default());
            visit.unreadable(&name, damaged(&name, what));
        }
    }
}

/// Passes bytes on, hashes them, and keeps those of a JSON document.
struct Hearing<'r> {
    reader: &'r mut dyn Read,
    hasher: Option<Hasher>,
    said: Vec<u8>,
    room: usize,
}

impl Read for Hearing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        let bytes = &buffer[..read];
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
        let first = self.said.first().or(bytes.first());
        if matches!(first, Some(b'{' | b'[')) && self.said.len() + read <= self.room {
            self.said.extend_from_slice(bytes);
        } else if read > 0 {
            // Too large to be a manifest, or a layer.
            self.room = 0;
            drop(mem::take(&mut self.said));
        }
        Ok(read)
    }
}

fn plain(member: &str) -> &str {
    member.strip_prefix("./").unwrap_or(member)
}

/// Whether a layer may be called so: `ID/layer.tar` and `DIGEST.tar` by `docker save` and `podman save`, `DIGEST.tar.gz` by
/// others that write docker's archives.
fn is_layer(plain: &str) -> bool {
    Format::promises_tar(plain)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The name of the blob that a descriptor points to.
fn blob(descriptor: &Value) -> Option<String> {
    Some(format!("{BLOBS}{}", descriptor["digest"].as_str()?.strip_prefix("sha256:")?))
}

fn digest(descriptor: &Value) -> String {
    shown(descriptor["digest"].as_str().unwrap_or("without a digest"))
}
