//! An image archive (docker-archive: layer, configuration, manifest.json) whose bytes follow from the layer alone.
//!
//! `docker import` would put the present time into the configuration, and give another image ID each time. A layer has some
//! gigabytes, so it is written once, straight into its archive.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use artifact::{Digest, Hasher};
use serde_json::json;
use tar::{Builder, EntryType, Header};

/// The layer's name in the archive.
const LAYER: &str = "layer.tar";
/// Size of a header, and what members are padded to (POSIX ustar).
const BLOCK: u64 = 512;

/// Digests of an archive that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digests {
    /// sha256 of the layer.
    pub(crate) layer: Digest,
    /// sha256 of the configuration: the image ID.
    pub(crate) image: Digest,
}

/// The configuration of an image that is one Debian layer; its sha256 is the image ID.
fn configuration(layer: Digest) -> Vec<u8> {
    // serde_json writes keys sorted, so the bytes are always these.
    json!({
        "architecture": "amd64",
        "config": {
            "Cmd": ["/bin/sh"],
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        },
        "created": "1970-01-01T00:00:00Z",
        "history": [{ "created": "1970-01-01T00:00:00Z", "created_by": "mmdebstrap" }],
        "os": "linux",
        "rootfs": { "diff_ids": [format!("sha256:{layer}")], "type": "layers" },
    })
    .to_string()
    .into_bytes()
}

/// Begins an archive: what is written to the file next is its layer.
pub(crate) fn begin(path: &Path) -> io::Result<File> {
    let mut file = File::options().read(true).write(true).create_new(true).open(path)?;
    file.seek(SeekFrom::Start(BLOCK))?;
    Ok(file)
}

/// Ends the archive: reads the layer back, and writes what says that it is the image called `tag(image)`.
pub(crate) fn end(mut file: File, tag: impl FnOnce(Digest) -> String) -> io::Result<Digests> {
    let size = file.seek(SeekFrom::End(0))?.saturating_sub(BLOCK);
    file.seek(SeekFrom::Start(BLOCK))?;
    let mut hasher = Hasher::default();
    let mut piece = vec![0; 1 << 20];
    loop {
        match file.read(&mut piece)? {
            0 => break,
            read => hasher.update(&piece[..read]),
        }
    }
    let layer = hasher.finish();
    let padding = size.next_multiple_of(BLOCK) - size;
    file.write_all(&vec![0; padding as usize])?;

    let configuration = configuration(layer);
    let image = Digest::of(&configuration);
    let name = format!("{image}.json");
    let manifest = json!([{ "Config": name, "Layers": [LAYER], "RepoTags": [tag(image)] }]).to_string();
    let mut tar = Builder::new(&mut file);
    tar.append_data(&mut header(configuration.len() as u64), name, configuration.as_slice())?;
    tar.append_data(&mut header(manifest.len() as u64), "manifest.json", manifest.as_bytes())?;
    tar.into_inner()?;

    let mut header = header(size);
    header.set_path(LAYER)?;
    header.set_cksum();
    file.seek(SeekFrom::Start(0))?;
    file.write_all(header.as_bytes())?;
    Ok(Digests { layer, image })
}

fn header(size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_size(size);
    header.set_mtime(0);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(layer: &[u8]) -> (Digests, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image.tar");
        let mut file = begin(&path).unwrap();
        file.write_all(layer).unwrap();
        let digests = end(file, |image| format!("localhost/base:{}", image.short())).unwrap();
        (digests, std::fs::read(path).unwrap())
    }

    #[test]
    fn equal_layers_give_equal_archives_that_any_tar_reads() {
        let (digests, bytes) = made(b"a layer");
        assert_eq!(made(b"a layer"), (digests, bytes.clone()));
        assert_eq!(digests.layer, Digest::of(b"a layer"));
        let mut archive = tar::Archive::new(bytes.as_slice());
        let mut members = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut text = Vec::new();
            entry.read_to_end(&mut text).unwrap();
            members.push((entry.path().unwrap().display().to_string(), text));
        }
        let names: Vec<_> = members.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["layer.tar", &format!("{}.json", digests.image), "manifest.json"]);
        assert_eq!(members[0].1, b"a layer");
        assert_eq!(Digest::of(&members[1].1), digests.image);
    }

    #[test]
    fn the_image_id_follows_from_the_layer() {
        let (one, other) = (made(&[1; 512]).0, made(&[2; 512]).0);
        assert_ne!(one.image, other.image);
        assert!(String::from_utf8(configuration(one.layer)).unwrap().contains(&one.layer.to_string()));
    }
}
