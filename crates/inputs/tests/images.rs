//! Container images: as an engine has them, as it saves them, as a folder; and with parts that are gone or changed.

mod support;

use std::fs;
use std::path::Path;

use inputs::ErrorKind;
use support::{Found, PROGRAMS, Place, read, tree};
use xshell::cmd;

/// An image in Docker with `tree/` as its one layer; gone when it is dropped.
struct Image<'p> {
    place: &'p Place,
    name: String,
}

impl Image<'_> {
    fn new<'p>(place: &'p Place, test: &str) -> Image<'p> {
        let name = format!("seaworthy-inputs-{test}-{}:test", std::process::id());
        let shell = &place.shell;
        cmd!(shell, "tar -cf layer.tar tree").quiet().run().unwrap();
        cmd!(shell, "docker import layer.tar {name}")
            .quiet()
            .ignore_stdout()
            .run()
            .expect("Docker answers: run ci/setup");
        Image { place, name }
    }
}

impl Drop for Image<'_> {
    fn drop(&mut self) {
        let (shell, name) = (&self.place.shell, &self.name);
        let _ = cmd!(shell, "docker rmi {name}").quiet().ignore_stdout().ignore_stderr().run();
    }
}

/// The paths of what was found, without the image's and the layer's name.
fn assert_has_the_tree(place: &Place, path: &Path) {
    let found = read(path);
    assert_eq!(found.problems, [""; 0], "{}", path.display());
    let inner: Vec<_> = found.files.keys().map(|name| name.rsplit('!').next().unwrap()).collect();
    assert_eq!(inner, PROGRAMS);
    for (name, bytes) in &found.files {
        assert!(name.starts_with(&format!("{}!", path.display())), "{name}");
        assert!(*bytes == place.bytes(name.rsplit('!').next().unwrap()), "{name}");
    }
}

#[test]
fn in_an_engine_and_saved() {
    let place = tree();
    let shell = &place.shell;
    let image = Image::new(&place, "whole");
    let name = &image.name;
    assert_has_the_tree(&place, Path::new(&format!("docker://{name}")));

    cmd!(shell, "docker save -o saved.tar {name}").quiet().run().unwrap();
    assert_has_the_tree(&place, &place.path("saved.tar"));
    cmd!(shell, "gzip -k saved.tar").quiet().run().unwrap();
    assert_has_the_tree(&place, &place.path("saved.tar.gz"));
}

/// An OCI image layout (image-spec 1.1) in the folder `layout`, with `tree/` as its one layer. Gives the layer's digest.
fn layout(place: &Place) -> String {
    let shell = &place.shell;
    cmd!(shell, "tar -czf layer.tar.gz tree").quiet().run().unwrap();
    layout_of(place, &place.bytes("layer.tar.gz"))
}

/// A layout with `layer` as its one layer.
fn layout_of(place: &Place, layer: &[u8]) -> String {
    fs::create_dir_all(place.path("layout/blobs/sha256")).unwrap();
    let blob = |bytes: &[u8]| {
        let digest = artifact::Digest::of(bytes).to_string();
        place.write(&format!("layout/blobs/sha256/{digest}"), bytes);
        digest
    };
    let layer = blob(layer);
    let config = blob(br#"{"architecture":"arm64","os":"linux"}"#);
    let descriptor = |kind: &str, digest: &str| {
        format!(r#"{{"mediaType":"application/vnd.oci.image.{kind}","digest":"sha256:{digest}","size":1}}"#)
    };
    let (config, layer_entry) =
        (descriptor("config.v1+json", &config), descriptor("layer.v1.tar+gzip", &layer));
    let manifest =
        blob(format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{layer_entry}]}}"#).as_bytes());
    let index =
        format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, descriptor("manifest.v1+json", &manifest));
    place.write("layout/index.json", index);
    place.write("layout/oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
    layer
}

/// The layout as a folder, and as a tar archive.
fn both(place: &Place) -> [Found; 2] {
    let shell = &place.shell;
    cmd!(shell, "tar -cf layout.tar -C layout .").quiet().run().unwrap();
    [read(&place.path("layout")), read(&place.path("layout.tar"))]
}

#[test]
fn an_oci_layout() {
    let place = tree();
    layout(&place);
    let listed = inputs::list(&place.path("layout"), &inputs::Limits::default()).unwrap();
    assert_eq!(listed.len(), 1, "an image's folder is one source");
    for (found, name) in both(&place).iter().zip(["layout", "layout.tar"]) {
        assert_eq!(found.problems, [""; 0], "{name}");
        assert_has_the_tree(&place, &place.path(name));
    }
}

#[test]
fn a_layer_that_is_gone_or_changed() {
    let place = tree();
    let digest = layout(&place);
    let layer = place.path("layout/blobs/sha256").join(&digest);
    let whole = fs::read(&layer).unwrap();

    // The operating system in gzip's header: the bytes inside stay the same.
    let mut changed = whole.clone();
    changed[9] ^= 1;
    fs::write(&layer, &changed).unwrap();
    for found in both(&place) {
        assert!(
            found.problems.iter().any(|problem| problem.contains("its sha256 is")),
            "{:?}",
            found.problems
        );
    }
    fs::remove_file(&layer).unwrap();
    for found in both(&place) {
        let gone = format!("the layer sha256:{digest} is not in it");
        assert!(found.problems.iter().any(|problem| problem.contains(&gone)), "{:?}", found.problems);
        assert!(found.files.is_empty());
    }
    fs::write(&layer, &whole).unwrap();
    fs::write(place.path("layout/index.json"), "{").unwrap();
    for found in both(&place) {
        found.assert_refused(ErrorKind::Unreadable, "its index.json cannot be read: EOF");
    }
    fs::write(place.path("layout/index.json"), "no JSON").unwrap();
    for found in both(&place) {
        found.assert_refused(ErrorKind::Unreadable, "its index.json is not in it, no JSON, or too large");
    }
}

#[test]
fn an_index_json_that_is_not_an_images() {
    let place = tree();
    for text in ["{", r#"{"manifests":[{"file":"a.js"}]}"#, r#"// {"manifests":3}"#] {
        place.write("tree/index.json", text);
        cmd!(place.shell, "tar -cf ship.tar -C tree .").quiet().run().unwrap();
        let found = read(&place.path("ship.tar"));
        assert_eq!((found.files.len(), found.problems), (2, vec![]), "{text}");
    }
}

/// The documents of an image, and its index, in a tar archive; `pointing` is what an index says of other documents.
fn documents(place: &Place, documents: &[&str], index: &str) -> Found {
    let names: Vec<_> = documents
        .iter()
        .map(|text| format!("blobs/sha256/{}", artifact::Digest::of(text.as_bytes())))
        .collect();
    let blobs = names.iter().zip(documents).map(|(name, text)| (name.as_bytes(), b'0', text.as_bytes()));
    let members: Vec<_> = blobs.chain([(&b"index.json"[..], b'0', index.as_bytes())]).collect();
    read(&place.write("image.tar", support::tar(&members)))
}

fn pointing(times: usize, document: &str) -> String {
    let descriptor = format!(r#"{{"digest":"sha256:{}"}}"#, artifact::Digest::of(document.as_bytes()));
    format!(r#"{{"manifests":[{}]}}"#, vec![descriptor; times].join(","))
}

#[test]
fn an_index_is_read_once_however_many_point_to_it() {
    let place = tree();
    // Each points 500 times to the one before: read at each mention, that would be 500 to the fourth.
    let mut chain = vec![r#"{"layers":[{"digest":"sha256:0"}]}"#.to_owned()];
    for _ in 0..4 {
        chain.push(pointing(500, chain.last().unwrap()));
    }
    let (index, rest) = chain.split_last().unwrap();
    let found = documents(&place, &rest.iter().map(String::as_str).collect::<Vec<_>>(), index);
    found.assert_refused(ErrorKind::Unreadable, "the layer sha256:0 is not in it");
    assert_eq!(found.problems.len(), 1, "{:?}", found.problems);
}

#[test]
fn a_manifest_that_cannot_be_read_is_said() {
    let place = tree();
    let empty = r#"{"layers":null}"#;
    assert_eq!(documents(&place, &[empty], &pointing(1, empty)).problems, [""; 0]);
    for (manifest, reason) in [
        (r#"{"layers":[}"#, "cannot be read: expected value"),
        (r#"{"layers":[3]}"#, "cannot be read: invalid type"),
        ("no JSON", "is no JSON, or too large to be read"),
    ] {
        let found = documents(&place, &[manifest], &pointing(1, manifest));
        found.assert_refused(ErrorKind::Unreadable, reason);
    }
    // More than what is kept in memory of one list.
    let many = format!(r#"{{"manifests":[{}{{}}]}}"#, "{},".repeat(20_000));
    documents(&place, &[empty], &many).assert_refused(ErrorKind::Unreadable, "lists more than 20000 parts");
    let layers = format!(r#"[{{"Layers":[{}""]}}]"#, r#""","#.repeat(20_000));
    let path = place.write("saved.tar", support::tar(&[(b"manifest.json", b'0', layers.as_bytes())]));
    read(&path).assert_refused(ErrorKind::Unreadable, "manifest.json lists more than 20000 parts");
}

#[test]
fn a_layer_that_is_no_archive() {
    let place = tree();
    let digest = layout_of(&place, b"a key would open this");
    for found in both(&place) {
        let closed = format!("the layer sha256:{digest} is no archive that is opened here");
        found.assert_refused(ErrorKind::Unreadable, &closed);
    }
    // Nothing in a layer is something: an empty archive, packed or not.
    for pack in ["cat empty.tar", "gzip -c empty.tar"] {
        let place = tree();
        place.write("empty.tar", [0; 10240]);
        let shell = &place.shell;
        let layer = cmd!(shell, "sh -c {pack}").quiet().output().unwrap().stdout;
        layout_of(&place, &layer);
        for found in both(&place) {
            assert_eq!(found.problems, [""; 0], "{pack}");
        }
    }
}

#[test]
fn what_lies_beside_an_images_parts_is_looked_at() {
    let place = tree();
    layout(&place);
    let whole = read(&place.path("layout"));
    let program = place.bytes("tree/bin/small");
    for beside in ["ship", "blobs/ship", "blobs/sha512/ship", "blobs/more/sha256/ship", "sub/index.json"] {
        let path = place.path("layout").join(beside);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &program).unwrap();
        let found = read(&place.path("layout"));
        assert_eq!(found.files.len(), whole.files.len() + 1, "{beside}: {:?}", found.problems);
        fs::remove_file(path).unwrap();
    }
    fs::write(place.path("layout/oci-layout"), &program).unwrap();
    assert_eq!(read(&place.path("layout")).files.len(), whole.files.len() + 1);
}

#[test]
fn a_docker_archive_without_its_layer() {
    let place = tree();
    let shell = &place.shell;
    place.write("manifest.json", r#"[{"Config":"c.json","RepoTags":[],"Layers":["abc/layer.tar"]}]"#);
    cmd!(shell, "tar -cf saved.tar manifest.json").quiet().run().unwrap();
    let found = read(&place.path("saved.tar"));
    assert!(
        found.problems.iter().any(|problem| problem.contains("the layer abc/layer.tar")),
        "{:?}",
        found.problems
    );
    fs::create_dir(place.path("abc")).unwrap();
    cmd!(shell, "tar -cf abc/layer.tar tree").quiet().run().unwrap();
    cmd!(shell, "tar -cf saved.tar abc manifest.json").quiet().run().unwrap();
    assert_has_the_tree(&place, &place.path("saved.tar"));

    // Podman's way.
    place.write("manifest.json", r#"[{"Config":"c.json","RepoTags":[],"Layers":["abc.tar"]}]"#);
    fs::rename(place.path("abc/layer.tar"), place.path("abc.tar")).unwrap();
    cmd!(shell, "tar -cf saved.tar manifest.json abc.tar").quiet().run().unwrap();
    assert_has_the_tree(&place, &place.path("saved.tar"));

    // The way of others, whose layers are packed.
    place.write("manifest.json", r#"[{"Config":"c.json","RepoTags":[],"Layers":["abc.tar.gz"]}]"#);
    cmd!(shell, "gzip abc.tar").quiet().run().unwrap();
    cmd!(shell, "tar -cf saved.tar manifest.json abc.tar.gz").quiet().run().unwrap();
    assert_has_the_tree(&place, &place.path("saved.tar"));
}

#[test]
fn a_layer_that_is_a_link_is_the_one_it_leads_to() {
    let place = tree();
    let shell = &place.shell;
    place.write("manifest.json", r#"[{"Layers":["def/layer.tar"]}]"#);
    for folder in ["abc", "def"] {
        fs::create_dir(place.path(folder)).unwrap();
    }
    cmd!(shell, "tar -cf abc/layer.tar tree").quiet().run().unwrap();
    std::os::unix::fs::symlink("../abc/layer.tar", place.path("def/layer.tar")).unwrap();
    cmd!(shell, "tar -cf saved.tar abc def manifest.json").quiet().run().unwrap();
    assert_has_the_tree(&place, &place.path("saved.tar"));
    cmd!(shell, "tar -cf saved.tar def manifest.json").quiet().run().unwrap();
    let found = read(&place.path("saved.tar"));
    found.assert_refused(ErrorKind::Unreadable, "the layer def/layer.tar is not in it");
}

#[test]
fn an_image_that_is_not_there() {
    for name in ["docker://seaworthy-no-such-image:at-all", "docker://--help", "docker://"] {
        let found = read(Path::new(name));
        assert_eq!(found.kinds, [ErrorKind::Engine], "{name}: {:?}", found.problems);
    }
    let found = read(Path::new("docker://seaworthy-no-such-image:at-all"));
    assert!(found.problems[0].contains("Error response from daemon"), "{:?}", found.problems);
}
