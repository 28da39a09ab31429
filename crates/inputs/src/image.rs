//! Container images: what an archive or a folder must hold to be one, whole and unchanged.
//!
//! Layers are archives in an archive, and found as such. This checks what makes them an image: each blob is what its
//! name says (OCI image layout), and each layer that a manifest names is there (OCI and `docker save`).

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt;
use std::io::{self, Read};
use std::marker::PhantomData;
use std::mem;

use artifact::Hasher;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};

use crate::error::damaged;
use crate::format::Format;
use crate::limits::PROBLEMS;
use crate::visit::{Names, Visit, shown};

/// Bytes of a manifest or index that is read, and of all of them (OCI asks for 4 MiB at least).
const DOCUMENT: usize = 4 << 20;
const DOCUMENTS: usize = 16 << 20;
/// Parts of an image that are remembered; an image has some hundred layers at most.
const PRESENT: usize = 20_000;
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
        let part = matches!(plain, "index.json" | "manifest.json" | "oci-layout")
            || plain.starts_with(BLOBS)
            || is_layer(plain);
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
        // Many an archive has an index.json; an image's lies beside its mark (OCI image-layout) or blobs.
        let marked = self.present.contains_key("oci-layout");
        match self.documents.get("index.json") {
            Some(index) if marked || self.present.keys().any(|name| name.starts_with(BLOBS)) => {
                self.index(index, &mut missing);
            }
            None if marked => {
                missing.insert("its index.json is not in it, no JSON, or too large to be read".to_owned());
            }
            _ => {}
        }
        // Docker's is a list of images with layers; others are called so, too.
        let docker = self.documents.get("manifest.json").map(|document| serde_json::from_slice(document));
        if let Some(Ok(Parts::<DockerImage<'_>>(images))) = docker {
            let layers = images.iter().flat_map(|image| &image.layers.0);
            let gone = layers.filter_map(|Name(layer)| self.layer(Some(layer), &shown(layer)));
            missing.extend(gone.take(PROBLEMS));
            if images.len() > PRESENT || images.iter().any(|image| image.layers.0.len() > PRESENT) {
                missing.insert(format!("its manifest.json lists more than {PRESENT} parts"));
            }
        }
        missing
    }

    /// The image index (OCI image specification, image-index) and what it points to: manifests, or indexes again. Each is
    /// read once, however many point to it.
    fn index(&self, index: &[u8], missing: &mut BTreeSet<String>) {
        let mut waiting = VecDeque::from([("index.json".to_owned(), "index.json".to_owned(), index)]);
        let mut seen = HashSet::new();
        while let Some((name, called, document)) = waiting.pop_front() {
            if missing.len() > PROBLEMS {
                return;
            }
            let document: Document<'_> = match serde_json::from_slice(document) {
                Ok(document) => document,
                Err(error) => {
                    missing.insert(format!("its {called} cannot be read: {error}"));
                    continue;
                }
            };
            if document.manifests.0.len() > PRESENT || document.layers.0.len() > PRESENT {
                missing.insert(format!("its {called} lists more than {PRESENT} parts"));
            }
            let known = |descriptor: &&Descriptor<'_>| {
                descriptor.blob().is_some_and(|name| self.present.contains_key(&name))
            };
            let (there, gone): (Vec<_>, Vec<_>) = document.manifests.0.iter().partition(known);
            // An index of many platforms is often kept with one platform's image alone.
            if name == "index.json" || there.is_empty() {
                missing
                    .extend(gone.iter().map(|gone| format!("the manifest {} is not in it", gone.called())));
            }
            for descriptor in there {
                let Some(name) = descriptor.blob().filter(|name| seen.insert(name.clone())) else { continue };
                let called = format!("manifest {}", descriptor.called());
                match self.documents.get(&name) {
                    Some(document) => waiting.push_back((name, called, document.as_slice())),
                    None => drop(missing.insert(format!("its {called} is no JSON, or too large to be read"))),
                }
            }
            // Layers that may not be passed on lie elsewhere, by design.
            for layer in document.layers.0.iter().filter(|layer| !layer.elsewhere()) {
                missing.extend(self.layer(layer.blob().as_deref(), &layer.called()));
            }
        }
    }
}

/// What an image index and an image manifest say that is read here (OCI image specification).
#[derive(Deserialize)]
struct Document<'d> {
    #[serde(borrow, default)]
    manifests: Parts<Descriptor<'d>>,
    #[serde(borrow, default)]
    layers: Parts<Descriptor<'d>>,
}

/// Points to a blob (OCI image specification, descriptor).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor<'d> {
    #[serde(borrow, default)]
    digest: Name<'d>,
    #[serde(borrow, default)]
    media_type: Name<'d>,
}

/// An image in the manifest.json of `docker save`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage<'d> {
    #[serde(borrow, default)]
    layers: Parts<Name<'d>>,
}

/// A string, which is kept where it is if it has no escapes.
#[derive(Default, Deserialize)]
#[serde(transparent)]
struct Name<'d>(#[serde(borrow)] Cow<'d, str>);

/// A list of parts, of which no more are kept than tell that there are more than [`PRESENT`]; `null` is an empty one, as Go
/// writes it.
struct Parts<T>(Vec<T>);

impl<T> Default for Parts<T> {
    fn default() -> Parts<T> {
        Parts(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Parts<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Parts<T>, D::Error> {
        struct Reader<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
            type Value = Parts<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list")
            }

            fn visit_unit<E>(self) -> Result<Parts<T>, E> {
                Ok(Parts::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Parts<T>, A::Error> {
                let mut list = Vec::new();
                while list.len() <= PRESENT {
                    let Some(part) = parts.next_element()? else { return Ok(Parts(list)) };
                    list.push(part);
                }
                while parts.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Parts(list))
            }
        }

        deserializer.deserialize_any(Reader(PhantomData))
    }
}

impl Descriptor<'_> {
    /// The name of the blob that it points to.
    fn blob(&self) -> Option<String> {
        Some(format!("{BLOBS}{}", self.digest.0.strip_prefix("sha256:")?))
    }

    fn called(&self) -> String {
        if self.digest.0.is_empty() { "without a digest".to_owned() } else { shown(&self.digest.0) }
    }

    fn elsewhere(&self) -> bool {
        self.media_type.0.contains("nondistributable") || self.media_type.0.contains("foreign")
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
