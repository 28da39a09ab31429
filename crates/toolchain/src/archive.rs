//! An image archive (docker-archive: manifest.json, configuration, layer) whose bytes follow from the layer alone.
//!
//! `docker import` would put the present time into the configuration, and give another image ID each time.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use artifact::Digest;
use serde_json::json;
use tar::{Builder, EntryType, Header};

/// The configuration of an image that is one Debian layer; its sha256 is the image ID.
pub(crate) fn configuration(layer: Digest) -> Vec<u8> {
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

/// Writes the archive of the image named `tag` whose one layer is the tar file `layer_file` with digest `layer`.
pub(crate) fn write(archive: &Path, layer_file: &Path, layer: Digest, tag: &str) -> io::Result<()> {
    let configuration = configuration(layer);
    let name = format!("{}.json", Digest::of(&configuration));
    let layer_name = format!("{layer}/layer.tar");
    let manifest = json!([{ "Config": name, "Layers": [layer_name], "RepoTags": [tag] }]).to_string();
    let mut layer = File::open(layer_file)?;
    let size = layer.metadata()?.len();

    let mut tar = Builder::new(io::BufWriter::new(File::create_new(archive)?));
    tar.append_data(&mut header(manifest.len() as u64), "manifest.json", manifest.as_bytes())?;
    tar.append_data(&mut header(configuration.len() as u64), name, configuration.as_slice())?;
    tar.append_data(&mut header(size), layer_name, &mut layer)?;
    tar.into_inner()?.flush()
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

    #[test]
    fn equal_layers_give_equal_archives() {
        let folder = tempfile::tempdir().unwrap();
        let layer = folder.path().join("layer.tar");
        std::fs::write(&layer, b"a layer").unwrap();
        let digest = Digest::of(b"a layer");
        let made = ["one", "two"].map(|name| {
            let path = folder.path().join(name);
            write(&path, &layer, digest, "localhost/base:1").unwrap();
            std::fs::read(path).unwrap()
        });
        assert_eq!(made[0], made[1]);
        let mut archive = tar::Archive::new(made[0].as_slice());
        let names: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect();
        let id = Digest::of(&configuration(digest));
        assert_eq!(names, ["manifest.json".to_owned(), format!("{id}.json"), format!("{digest}/layer.tar")]);
    }

    #[test]
    fn the_configuration_names_the_layer() {
        let (one, two) = (configuration(Digest::of(b"1")), configuration(Digest::of(b"2")));
        assert_ne!(one, two);
        assert!(String::from_utf8(one).unwrap().contains(&Digest::of(b"1").to_string()));
    }
}
