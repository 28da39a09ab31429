//! The places that are named on a command line, and the files below them.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use crate::engine::Save;
use crate::error::from_io;
use crate::format::Format;
use crate::image::Image;
use crate::limits::{Budget, Counted};
use crate::visit::{Names, Visit};
use crate::{Bytes, Error, ErrorKind, Input, Item, Limits};

/// Something that is read in one pass: a file, an image's folder, or an image in an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    name: String,
    place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// A file; `asked` where it was named itself and not found in a folder.
    File { path: PathBuf, asked: bool },
    /// A folder with an OCI image layout.
    Layout(PathBuf),
    /// An image in a container engine.
    Image { engine: &'static str, image: String },
    /// What cannot be read, and why.
    Unreadable(ErrorKind, String),
}

/// What there is to read at `path`: the file; the files of a folder, in order of their names; or the image in
/// `docker://NAME` or `podman://NAME`.
///
/// Links in folders are not followed, so they cannot lead in circles; sockets, devices and pipes are passed over. What
/// cannot be read is a source that says so.
pub fn list(path: &Path, limits: &Limits) -> Result<Vec<Source>, Error> {
    let name = path.display().to_string();
    for engine in ["docker", "podman"] {
        if let Some(image) = name.strip_prefix(engine).and_then(|rest| rest.strip_prefix("://")) {
            let place = Place::Image { engine, image: image.to_owned() };
            return Ok(vec![Source { name, place }]);
        }
    }
    let metadata = fs::metadata(path).map_err(|error| from_io(&name, error))?;
    let mut sources = Vec::new();
    if metadata.is_dir() {
        list_folder(path, limits, 0, &[], &mut sources);
    } else if metadata.is_file() {
        sources.push(Source { name, place: Place::File { path: path.to_owned(), asked: true } });
    } else {
        return Err(Error::new(ErrorKind::Unreadable, format!("{name} is not a regular file"))
            .with_hint("name files, folders, archives, or docker://IMAGE"));
    }
    Ok(sources)
}

/// The files of an OCI image layout, and the folder among its blobs, that are read as an image's.
const LAYOUT: [&str; 2] = ["index.json", "oci-layout"];
const BLOBS: &str = "sha256";

/// The files below `path`, without those in it that are called as in `skipped`.
fn list_folder(path: &Path, limits: &Limits, depth: usize, skipped: &[&str], sources: &mut Vec<Source>) {
    let name = path.display().to_string();
    let refused = |kind, message| Source { name: name.clone(), place: Place::Unreadable(kind, message) };
    if depth > limits.depth {
        let message = format!("{name} lies more than {} folders deep", limits.depth);
        return sources.push(refused(ErrorKind::TooLarge, message));
    }
    let mut entries = match fs::read_dir(path).and_then(|entries| entries.collect::<Result<Vec<_>, _>>()) {
        Ok(entries) => entries,
        Err(error) => {
            return sources
                .push(refused(ErrorKind::Unreadable, format!("cannot read the folder {name}: {error}")));
        }
    };
    entries.sort_by_key(fs::DirEntry::file_name);
    let has = |name: &str| entries.iter().any(|entry| entry.file_name() == name);
    let is_layout = has("oci-layout") && has("index.json") && has("blobs");
    if is_layout {
        sources.push(Source { name: name.clone(), place: Place::Layout(path.to_owned()) });
    }
    // What else lies beside an image's parts, or among its blobs, is not the image's.
    let skipped = if is_layout { &LAYOUT[..] } else { skipped };
    for entry in entries.into_iter().filter(|entry| skipped.iter().all(|name| entry.file_name() != *name)) {
        if sources.len() >= limits.files {
            let message = format!("{name}: not read further: more than {} files", limits.files);
            return sources.push(refused(ErrorKind::TooLarge, message));
        }
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => {
                let read = is_layout && entry.file_name() == "blobs";
                let skipped = if read { &[BLOBS][..] } else { &[] };
                list_folder(&path, limits, depth + 1, skipped, sources);
            }
            Ok(kind) if kind.is_file() => {
                let name = path.display().to_string();
                sources.push(Source { name, place: Place::File { path, asked: false } });
            }
            Ok(_) => {}
            Err(error) => {
                let name = path.display().to_string();
                let message = format!("cannot read {name}: {error}");
                sources.push(Source { name, place: Place::Unreadable(ErrorKind::Unreadable, message) });
            }
        }
    }
}

impl Source {
    /// A path, or `docker://NAME`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives every program in this source, whole, and what cannot be looked at. A file that was named itself is given,
    /// whatever it is.
    pub fn visit(&self, limits: &Limits, give: &mut dyn FnMut(Item)) {
        let budget = Budget::new(limits);
        let mut visit = Visit::new(&budget, give);
        let visited = match &self.place {
            Place::File { path, asked } => Bytes::of_file(path, limits.unpacked_bytes)
                .map(|(bytes, mode)| visit.file(&self.name, Some(path), bytes, mode, *asked)),
            Place::Layout(folder) => {
                read_layout(&mut visit, &self.name, folder);
                Ok(())
            }
            Place::Image { engine, image } => read_image(&mut visit, &self.name, engine, image),
            Place::Unreadable(kind, message) => Err(Error::new(*kind, message.clone())),
        };
        if let Err(error) = visited {
            visit.unreadable(&self.name, error);
        }
    }
}

/// Gives every program in `bytes`, as [`Source::visit`] does for a file of that name and content.
pub fn visit_bytes(name: &str, bytes: Vec<u8>, limits: &Limits, give: &mut dyn FnMut(Item)) {
    let budget = Budget::new(limits);
    Visit::new(&budget, give).file(name, None, bytes.into(), None, true);
}

/// Gives every member of the archive at `path`, whatever it is and without opening it.
pub fn members(path: &Path, limits: &Limits, give: &mut dyn FnMut(Input)) -> Result<(), Error> {
    let budget = Budget::new(limits);
    let mut first = None;
    let mut take = |item| match item {
        Item::File(input) => give(input),
        Item::Unreadable { error, .. } => drop(first.get_or_insert(error)),
    };
    let mut visit = Visit::new(&budget, &mut take);
    visit.members = true;
    let (bytes, mode) = Bytes::of_file(path, limits.unpacked_bytes)?;
    visit.file(&path.display().to_string(), Some(path), bytes, mode, true);
    first.map_or(Ok(()), Err)
}

/// The blobs of an OCI image layout, in order of their names.
fn read_layout(visit: &mut Visit<'_>, name: &str, folder: &Path) {
    let (mut image, mut names) = (Image::default(), Names::default());
    let mut files: Vec<_> = LAYOUT.map(str::to_owned).into();
    let blobs = folder.join("blobs").join(BLOBS);
    match fs::read_dir(&blobs).and_then(|entries| entries.collect::<Result<Vec<_>, _>>()) {
        Ok(entries) => {
            let names = entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned());
            files.extend(names.map(|name| format!("blobs/{BLOBS}/{name}")));
        }
        Err(error) => visit.unreadable(name, from_io(&blobs.display().to_string(), error)),
    }
    files.sort();
    for file in files {
        if visit.ended() {
            return;
        }
        let path = folder.join(&file);
        match open_regular(&path) {
            Ok(blob) => {
                let mut reader = Counted { reader: blob, budget: visit.budget };
                match image.watch(&file) {
                    Some(watched) => watched.member(visit, name, &file, None, &mut names, &mut reader),
                    None => visit.member(name, &file, None, &mut names, &mut reader),
                }
            }
            Err(error) => visit.unreadable(&path.display().to_string(), error),
        }
    }
    for missing in image.missing() {
        visit.unreadable(name, crate::error::damaged(name, missing));
    }
}

fn open_regular(path: &Path) -> Result<File, Error> {
    let name = path.display().to_string();
    let failed = |error| from_io(&name, error);
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(Error::new(ErrorKind::Unreadable, format!("{name} is not a regular file")));
    }
    File::open(path).map_err(failed)
}

/// The image as its engine saves it: a tar archive of layers.
fn read_image(visit: &mut Visit<'_>, name: &str, engine: &str, image: &str) -> Result<(), Error> {
    let (save, output) = Save::start(engine, image)?;
    let budget = visit.budget;
    let mut reader = BufReader::with_capacity(256 << 10, Counted { reader: output, budget });
    let read = visit.open_stream(name, Format::Tar, &mut reader);
    drop(reader);
    // When the engine failed, its own words say more than an archive that ends too early. When reading ended first, the
    // engine's broken pipe says nothing.
    match (read, save.finish()) {
        (Ok(()), Err(error)) if !visit.ended() => Err(error),
        (Err(error), Err(engine)) if error.kind() == ErrorKind::Unreadable => Err(engine.with_source(error)),
        (read, _) => read,
    }
}
