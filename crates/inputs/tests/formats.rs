//! Every format, written by the tool that people write it with, and read here: the same files, byte for byte.

mod support;

use std::fs;

use support::{PROGRAMS, read, tree};
use xshell::cmd;

#[test]
fn tar_in_every_compression() {
    let place = tree();
    let shell = &place.shell;
    for (suffix, pack) in [
        ("tar", "cat"),
        ("tar.gz", "gzip"),
        ("tgz", "gzip"),
        ("tar.xz", "xz"),
        ("tar.bz2", "bzip2"),
        ("tar.zst", "zstd"),
    ] {
        let options = if pack == "cat" { "-cf" } else { "-I" };
        let archive = format!("tree.{suffix}");
        let command = match pack {
            "cat" => cmd!(shell, "tar {options} {archive} tree"),
            _ => cmd!(shell, "tar {options} {pack} -cf {archive} tree"),
        };
        command.quiet().run().unwrap_or_else(|error| panic!("apt-get install {pack}: {error}"));
        place.assert_holds_the_tree(&archive, "");
        // What it is called does not matter.
        fs::rename(place.path(&archive), place.path("unnamed")).unwrap();
        place.assert_holds_the_tree("unnamed", "");
    }
}

#[test]
fn tar_in_every_dialect() {
    let place = tree();
    let shell = &place.shell;
    let long = format!("tree/{}", "deep-folder-name/".repeat(12));
    fs::create_dir_all(place.path(&long)).unwrap();
    fs::copy(place.path("tree/bin/small"), place.path(&format!("{long}program"))).unwrap();
    for dialect in ["gnu", "pax", "oldgnu"] {
        cmd!(shell, "tar --format={dialect} -cf tree.tar tree").quiet().run().unwrap();
        let found = read(&place.path("tree.tar"));
        assert_eq!(found.problems, [""; 0], "{dialect}");
        let wanted = format!("{}!{long}program", place.path("tree.tar").display());
        assert_eq!(found.files.len(), 3, "{dialect}");
        assert!(found.files.contains_key(&wanted), "{dialect}: {:?}", found.files.keys());
    }
    fs::remove_dir_all(place.path("tree/deep-folder-name")).unwrap();
    for dialect in ["ustar", "v7"] {
        cmd!(shell, "tar --format={dialect} -cf tree.tar tree").quiet().run().unwrap();
        place.assert_holds_the_tree("tree.tar", "");
    }
}

#[test]
fn zip_wheel_and_jar() {
    let place = tree();
    let shell = &place.shell;
    cmd!(shell, "zip -qry tree.zip tree").run().expect("zip runs: apt-get install zip");
    place.assert_holds_the_tree("tree.zip", "");
    cmd!(shell, "zip -qry0 stored.whl tree").run().unwrap();
    place.assert_holds_the_tree("stored.whl", "");
    let mode = read(&place.path("tree.zip")).modes.values().next().copied().flatten();
    assert!(mode.is_some_and(|mode| mode & 0o600 == 0o600), "{mode:?}");
}

#[test]
fn a_debian_package() {
    let place = tree();
    let shell = &place.shell;
    fs::create_dir_all(place.path("package/DEBIAN")).unwrap();
    let control = "Package: ship\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b.c>\nDescription: d\n";
    place.write("package/DEBIAN/control", control);
    cmd!(shell, "cp -a tree package/tree").quiet().run().unwrap();
    for compression in ["gzip", "xz", "zstd", "none"] {
        cmd!(shell, "dpkg-deb -Z{compression} --root-owner-group --build package ship.deb")
            .quiet()
            .ignore_stdout()
            .run()
            .expect("dpkg-deb runs: apt-get install dpkg");
        let suffix = match compression {
            "gzip" => ".gz",
            "xz" => ".xz",
            "zstd" => ".zst",
            _ => "",
        };
        place.assert_holds_the_tree("ship.deb", &format!("data.tar{suffix}!./"));
    }
}

#[test]
fn archives_in_archives_and_single_packed_files() {
    let place = tree();
    let shell = &place.shell;
    cmd!(shell, "tar -czf inner.tgz tree").quiet().run().unwrap();
    cmd!(shell, "zip -q middle.zip inner.tgz").run().unwrap();
    cmd!(shell, "tar -cf outer.tar middle.zip").quiet().run().unwrap();
    place.assert_holds_the_tree("outer.tar", "middle.zip!inner.tgz!");

    cmd!(shell, "gzip -k tree/bin/small").quiet().run().unwrap();
    let found = read(&place.path("tree/bin/small.gz"));
    let bytes: Vec<_> = found.files.into_iter().collect();
    let name = format!("{}!small", place.path("tree/bin/small.gz").display());
    assert_eq!(bytes, [(name, place.bytes("tree/bin/small"))]);
}

#[test]
fn a_folder_in_order_of_its_names() {
    let place = tree();
    let found = read(&place.path("tree"));
    assert_eq!(found.problems, [""; 0]);
    let names: Vec<_> = found.files.into_keys().collect();
    assert_eq!(names, PROGRAMS.map(|name| place.path(name).display().to_string()));
}
