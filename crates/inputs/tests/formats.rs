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
    // What Python starts: a line for the kernel, then the archive.
    fs::create_dir_all(place.path("app")).unwrap();
    cmd!(shell, "cp -a tree app/tree").quiet().run().unwrap();
    // zipapp would put in what links lead to.
    cmd!(shell, "find app -type l -delete").quiet().run().unwrap();
    for interpreter in ["/usr/bin/env python3", "/opt/a/longer/path/to/python3 -I"] {
        let made =
            cmd!(shell, "python3 -m zipapp app --main os:getcwd --python {interpreter} --output started");
        made.quiet().run().expect("python3 runs");
        place.assert_holds_the_tree("started", "");
    }
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

#[test]
fn an_rpm_in_every_compression() {
    let place = tree();
    let shell = &place.shell;
    let root = place.path("").display().to_string();
    for payload in ["w6.gzdio", "w6.xzdio", "w3.zstdio", "w6.lzdio", "w6.bzdio", "w.ufdio"] {
        place.write(
            "ship.spec",
            format!(
                "Name: ship\nVersion: 1\nRelease: 1\nSummary: s\nLicense: MIT\nAutoReqProv: no\n\
                 %global __os_install_post %{{nil}}\n%global _build_id_links none\n%description\nd\n\
                 %install\nmkdir -p %{{buildroot}}\ncp -a {root}tree %{{buildroot}}/tree\n%files\n/tree\n"
            ),
        );
        let mut command = cmd!(shell, "rpmbuild --quiet --target noarch -bb ship.spec");
        for definition in [
            format!("_topdir {root}rpm"),
            format!("_rpmdir {root}"),
            "_rpmfilename ship.rpm".to_owned(),
            format!("_binary_payload {payload}"),
        ] {
            command = command.arg("--define").arg(definition);
        }
        command.quiet().ignore_stdout().ignore_stderr().run().expect("rpmbuild runs: apt-get install rpm");
        place.assert_holds_the_tree("ship.rpm", "./");
    }
}

#[test]
fn an_rpm_whose_payload_only_numbers_its_files() {
    let place = tree();
    let program = place.bytes("tree/bin/small");
    let numbers = |values: &[u32]| values.iter().flat_map(|value| value.to_be_bytes()).collect::<Vec<_>>();
    let size = program.len() as u32;
    let mode = 0o100_755_u16.to_be_bytes();
    // The second file is a further name of the third.
    let tags = [
        (1028, 4, 3, numbers(&[4, size, size])),
        (1030, 3, 3, [mode, mode, mode].concat()),
        (1095, 4, 3, numbers(&[1, 1, 1])),
        (1096, 4, 3, numbers(&[1, 2, 2])),
        (1116, 4, 3, numbers(&[0, 1, 1])),
        (1117, 8, 3, b"readme\0name\0program\0".to_vec()),
        (1118, 8, 2, b"/doc/\0/bin/\0".to_vec()),
    ];
    let mut payload = b"07070X00000000\0\0textxxxx".to_vec();
    payload.truncate(20);
    payload.extend(b"07070X00000001\x00\x0007070X00000002\x00\x00");
    payload.extend(&program);
    payload.resize(payload.len().next_multiple_of(4), 0);
    payload.extend(support::cpio(&[]));
    let path = place.write("numbered.rpm", support::rpm_with(&tags, &payload));
    let found = read(&path);
    assert_eq!(found.problems, [""; 0]);
    let files: Vec<_> = found.files.into_iter().collect();
    assert_eq!(files, [(format!("{}!./bin/program", path.display()), program)]);

    let unlisted = place.write("unlisted.rpm", support::rpm_with(&tags[..3], &payload));
    assert!(read(&unlisted).problems[0].contains("does not list"));
}

/// MS-CAB with one LZX block of the kind that only copies (MS-PATCH 2.6): no tool of Debian writes LZX.
#[test]
fn a_cabinet_packed_by_lzx() {
    let place = tree();
    let program = b"\x7fELF in LZX.";
    // No translation of calls, block type 3, its size in 24 bits, R0 to R2, the bytes.
    let size = program.len() as u32;
    let bits = 0b0011 << 28 | size << 4;
    let mut block = Vec::new();
    block.extend(((bits >> 16) as u16).to_le_bytes());
    block.extend((bits as u16).to_le_bytes());
    block.extend([1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]);
    block.extend(program);
    let number = |value: u32| value.to_le_bytes();
    let mut cabinet = b"MSCF\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    cabinet.extend(number(44));
    cabinet.extend([0, 0, 0, 0, 3, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    let files_end = 44 + 16 + 8;
    cabinet.extend([&number(files_end)[..], &[1, 0, 3, 15]].concat());
    cabinet.extend([&number(size)[..], &number(0), &[0; 8], b"program\0"].concat());
    cabinet.extend([&number(0)[..], &number(block.len() as u32 | size << 16), &block].concat());
    let path = place.write("lzx.cab", &cabinet);
    let found = read(&path);
    assert_eq!(found.problems, [""; 0]);
    assert_eq!(found.files.values().collect::<Vec<_>>(), [program]);
    for at in files_end as usize..cabinet.len() {
        for value in [0, 0xff, 0x55] {
            let mut changed = cabinet.clone();
            changed[at] = value;
            read(&place.write("lzx.cab", &changed));
        }
    }
}

#[test]
fn a_cabinet_and_an_installer() {
    let place = tree();
    let shell = &place.shell;
    // Stored, and MSZIP.
    for options in ["-cn", "-czn"] {
        cmd!(shell, "gcab {options} tree.cab tree/bin/small tree/doc/readme tree/lib/large.so")
            .quiet()
            .run()
            .expect("gcab runs: apt-get install gcab");
        let found = read(&place.path("tree.cab"));
        assert_eq!(found.problems, [""; 0]);
        let base = place.path("tree.cab").display().to_string();
        let expected = [("large.so", "tree/lib/large.so"), ("small", "tree/bin/small")];
        let names: Vec<_> = found.files.keys().cloned().collect();
        assert_eq!(names, expected.map(|(name, _)| format!("{base}!{name}")));
        for (name, source) in expected {
            assert!(found.files[&format!("{base}!{name}")] == place.bytes(source), "{name}");
        }
        let listed = cmd!(shell, "gcab -t tree.cab").quiet().read().unwrap();
        assert_eq!(listed.lines().collect::<Vec<_>>(), ["small", "readme", "large.so"]);
    }

    place.write(
        "ship.wxs",
        r#"<?xml version="1.0"?>
<Wix xmlns="http://schemas.microsoft.com/wix/2006/wi">
  <Product Id="*" Name="ship" Version="1.0.0" Manufacturer="m" Language="1033"
           UpgradeCode="7b2b5ab2-9e4e-4b6e-9c3c-0d5a0ff4a001">
    <Package InstallerVersion="200" Compressed="yes"/>
    <Media Id="1" Cabinet="ship.cab" EmbedCab="yes"/>
    <Directory Id="TARGETDIR" Name="SourceDir">
      <Component Id="C1" Guid="7b2b5ab2-9e4e-4b6e-9c3c-0d5a0ff4a002">
        <File Id="small" Source="tree/bin/small"/>
      </Component>
      <Component Id="C2" Guid="7b2b5ab2-9e4e-4b6e-9c3c-0d5a0ff4a003">
        <File Id="large" Source="tree/lib/large.so"/>
      </Component>
    </Directory>
    <Binary Id="helper" SourceFile="tree/bin/small"/>
    <Feature Id="F" Level="1"><ComponentRef Id="C1"/><ComponentRef Id="C2"/></Feature>
  </Product>
</Wix>
"#,
    );
    cmd!(shell, "wixl -o ship.msi ship.wxs").quiet().run().expect("wixl runs: apt-get install wixl");
    let found = read(&place.path("ship.msi"));
    assert_eq!(found.problems, [""; 0]);
    let base = place.path("ship.msi").display().to_string();
    let expected = [
        ("Binary.helper", "tree/bin/small"),
        ("ship.cab!large", "tree/lib/large.so"),
        ("ship.cab!small", "tree/bin/small"),
    ];
    let names: Vec<_> = found.files.keys().cloned().collect();
    assert_eq!(names, expected.map(|(name, _)| format!("{base}!{name}")));
    for (name, source) in expected {
        assert!(found.files[&format!("{base}!{name}")] == place.bytes(source), "{name}");
    }
}
