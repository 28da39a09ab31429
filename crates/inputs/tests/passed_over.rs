//! Programs that some unpacker finds, in places that are easily passed over: each is looked at, or its archive is refused.

mod support;

use std::fs;

use inputs::{ErrorKind, Limits};
use support::{Place, cpio, installer, read, read_within, rpm, tar, tar_header, tree};
use xshell::cmd;

const FILE: u8 = b'0';

fn program(place: &Place) -> Vec<u8> {
    place.bytes("tree/bin/small")
}

/// A folder with `bytes` in it, in an archive and not, under `name`.
fn both(place: &Place, name: &str, bytes: &[u8]) -> [support::Found; 2] {
    fs::create_dir_all(place.path("in")).unwrap();
    place.write(&format!("in/{name}"), bytes);
    place.write("outer.tar", tar(&[(name.as_bytes(), FILE, bytes)]));
    let found = [read(&place.path("in")), read(&place.path("outer.tar"))];
    fs::remove_file(place.path("in").join(name)).unwrap();
    found
}

#[test]
fn a_tar_whose_first_name_begins_as_a_program_does() {
    let place = tree();
    let archive = tar(&[(b"MZlib/ship", FILE, &program(&place))]);
    for found in both(&place, "ship.tar", &archive).into_iter().chain(both(&place, "ship", &archive)) {
        found.assert_one("!MZlib/ship");
    }
    place.write("ship.tar", &archive);
    let shell = &place.shell;
    cmd!(shell, "gzip ship.tar").quiet().run().unwrap();
    for found in both(&place, "ship.tar.gz", &place.bytes("ship.tar.gz")) {
        found.assert_one("!MZlib/ship");
    }
    // A program and an archive at once: Windows starts it, and tar unpacks it.
    let mut name = [b'.'; 100];
    name[..2].copy_from_slice(b"MZ");
    name[0x3c..0x40].copy_from_slice(&345_u32.to_le_bytes());
    let program = program(&place);
    let header = tar_header(&name, FILE, program.len(), b"PE\0\0");
    let mut archive = [&header[..], &program].concat();
    archive.resize(archive.len().next_multiple_of(512) + 1024, 0);
    for found in both(&place, "ship", &archive) {
        found.assert_refused(ErrorKind::Unreadable, "a program and a tar archive at once");
    }
}

#[test]
fn a_member_that_is_not_what_its_name_promises() {
    let place = tree();
    for name in
        ["a.zip", "a.whl", "a.tar.gz", "a.tgz", "a.tar.xz", "a.tzst", "a.deb", "a.rpm", "a.cab", "a.msi"]
    {
        for bytes in [&b"garbage"[..], b"", b"MZ garbage"] {
            for found in both(&place, name, bytes) {
                found.assert_refused(ErrorKind::Unreadable, "it does not begin as a");
            }
        }
    }
    for bytes in [&b"garbage"[..], &[7; 600]] {
        for found in both(&place, "a.tar", bytes) {
            assert_eq!(found.problems.len(), 1, "{:?}", found.problems);
        }
    }
    let shell = &place.shell;
    cmd!(shell, "gcab -cn tree.cab tree/bin/small").quiet().run().unwrap();
    let mut cabinet = place.bytes("tree.cab");
    cabinet[3] ^= 1;
    place.write("ship.msi", installer(&[("ship.cab", &cabinet)]));
    read(&place.path("ship.msi")).assert_refused(ErrorKind::Unreadable, "does not begin as a cabinet");
}

#[test]
fn an_archive_of_a_kind_that_is_not_opened() {
    let place = tree();
    let at = |offset: usize, magic: &[u8]| [vec![0; offset], magic.to_owned()].concat();
    let (disc, disk) = (at(0x8001, b"CD001"), at(0x438, b"\x53\xef"));
    let kinds: [(&[u8], &str); 14] = [
        (&disc, "ISO 9660 image"),
        (&at(0, &[&disk[..], &[0; 64]].concat()), "ext file system"),
        (b"MSWIM\0\0\0\xd0", "Windows image"),
        (b"\x02\x21\x4c\x18", "LZ4 file"),
        (b"\x89LZO\0\r\n\x1a\n", "lzop file"),
        (b"LRZI\0", "lrzip file"),
        (b"\x1f\x9d\x8c", "file packed by compress"),
        (b"7z\xbc\xaf\x27\x1c", "7z archive"),
        (b"Rar!\x1a\x07\0", "RAR archive"),
        (b"\x04\x22\x4d\x18", "LZ4 file"),
        (b"LZIP\x01", "lzip file"),
        (b"\x1f\x9d\x90", "file packed by compress"),
        (b"xar!\0\x1c", "xar archive"),
        (b"hsqs", "SquashFS image"),
    ];
    for (magic, kind) in kinds {
        for found in both(&place, "payload.bin", &[magic, b" and more"].concat()) {
            found.assert_refused(ErrorKind::Unsupported, &format!("is a {kind}, which is not opened here"));
        }
    }
}

#[test]
fn a_cabinet_whose_reserved_field_is_used() {
    let place = tree();
    cmd!(place.shell, "gcab -cn tree.cab tree/bin/small").quiet().run().unwrap();
    let mut cabinet = place.bytes("tree.cab");
    cabinet[4] = 1;
    for found in both(&place, "ship.bin", &cabinet) {
        found.assert_one("!small");
    }
}

#[test]
fn what_only_looks_like_such_a_kind_at_first() {
    let place = tree();
    let disk = |at: usize, value: u8| {
        let mut bytes = vec![0; 0x480];
        bytes[0x438..0x43a].copy_from_slice(&[0x53, 0xef]);
        bytes[at] = value;
        bytes
    };
    for bytes in [
        &b"\x1f\x9d\x88"[..],
        b"\x1f\x9d",
        &disk(0x418, 7),
        &disk(0x448, 5),
        &disk(0x44c, 2),
        &disk(0x439, 0),
    ] {
        for found in both(&place, "data.bin", bytes) {
            assert_eq!((found.files.len(), found.problems), (0, vec![]));
        }
    }
}

#[test]
fn a_zip_that_was_meant_for_several_disks() {
    let place = tree();
    let shell = &place.shell;
    cmd!(shell, "zip -q -j ship.zip tree/bin/small").run().unwrap();
    let whole = place.bytes("ship.zip");
    for marker in [b"PK\x07\x08", b"PK00"] {
        // The marker moves everything behind it.
        let mut marked = [&marker[..], &whole].concat();
        let end = marked.len() - 22;
        let directory = u32::from_le_bytes(marked[end + 16..end + 20].try_into().unwrap()) + 4;
        marked[end + 16..end + 20].copy_from_slice(&directory.to_le_bytes());
        marked[directory as usize + 42..][..4].copy_from_slice(&4_u32.to_le_bytes());
        for name in ["ship.zip", "ship.vsix"] {
            for found in both(&place, name, &marked) {
                found.assert_one("!small");
            }
        }
    }
}

#[test]
fn what_lzma_packed_is_known_by_its_name() {
    let place = tree();
    place.write("ship.tar", tar(&[(b"ship", FILE, &program(&place))]));
    let shell = &place.shell;
    cmd!(shell, "xz --format=lzma ship.tar").quiet().run().unwrap();
    let packed = place.bytes("ship.tar.lzma");
    for name in ["ship.tar.lzma", "ship.tlz"] {
        for found in both(&place, name, &packed) {
            found.assert_one("!ship");
        }
    }
    for found in both(&place, "ship.tar.lzma", &packed[..packed.len() / 2]) {
        assert!(!found.problems.is_empty());
    }
    // A package's data is what it is for.
    let package = |data: &str, bytes: &[u8]| {
        let mut package = b"!<arch>\n".to_vec();
        for (name, bytes) in [("debian-binary", &b"2.0\n"[..]), (data, bytes)] {
            package.extend(
                format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 100_644, bytes.len()).bytes(),
            );
            package.extend(bytes);
            package.resize(package.len().next_multiple_of(2), b'\n');
        }
        package
    };
    for found in both(&place, "ship.deb", &package("data.tar.lzma", &packed)) {
        found.assert_one("!data.tar.lzma!ship");
    }
    for found in both(&place, "ship.deb", &package("data.tar.br", b"packed by nobody here")) {
        found.assert_refused(ErrorKind::Unreadable, "no data archive that is opened here");
    }
}

#[test]
fn zstd_frames_that_are_to_be_skipped() {
    let place = tree();
    place.write("ship.tar", tar(&[(b"ship", FILE, &program(&place))]));
    let shell = &place.shell;
    cmd!(shell, "zstd -q ship.tar").quiet().run().unwrap();
    let packed = place.bytes("ship.tar.zst");
    let skipped = [&0x184d_2a5c_u32.to_le_bytes()[..], &3_u32.to_le_bytes(), b"any"].concat();
    for bytes in [[&skipped[..], &packed].concat(), [&packed[..], &skipped, &skipped].concat()] {
        for name in ["ship.tar.zst", "ship"] {
            for found in both(&place, name, &bytes) {
                found.assert_one("!ship");
            }
        }
        for found in both(&place, "ship.tar.zst", &bytes[..bytes.len() - 1]) {
            assert!(!found.problems.is_empty(), "cut off");
        }
    }
}

#[test]
fn tar_headers_as_old_and_careless_writers_make_them() {
    let place = tree();
    let program = program(&place);
    // The name lies before the header, whose own is empty.
    let pax = b"13 path=ship\n";
    for (kind, name) in [(b'x', &pax[..]), (b'L', b"ship\0")] {
        let mut archive = tar(&[(b"", kind, name), (b"", FILE, &program)]);
        for found in both(&place, "data", &archive) {
            found.assert_one("!ship");
        }
        archive[148] = b'7';
        for found in both(&place, "data", &archive) {
            assert!(found.files.is_empty(), "a wrong checksum is no tar");
        }
    }
    // A checksum of signed bytes.
    let mut archive = tar(&[(b"sh\xfep", FILE, &program)]);
    let sum: i32 = archive[..512]
        .iter()
        .enumerate()
        .map(|(at, byte)| {
            i32::from(if (148..156).contains(&at) { b' '.cast_signed() } else { byte.cast_signed() })
        })
        .sum();
    archive[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    for found in both(&place, "data", &archive) {
        assert_eq!((found.files.len(), found.problems.len()), (1, 0), "{:?}", found.problems);
    }
}

#[test]
fn tar_members_that_are_no_files_and_have_bytes() {
    let place = tree();
    let program = program(&place);
    let hidden = tar(&[(b"ship", FILE, &program)]);
    for kind in *b"123456" {
        let archive = tar(&[(b"folder", kind, &hidden), (b"after", FILE, &program)]);
        let name = &place.write("ship.tar", archive);
        let found = read(name);
        found.assert_refused(ErrorKind::Unreadable, "it is no file and has bytes");
        assert!(found.files.keys().any(|name| name.ends_with("!after")), "{:?}", found.files.keys());
    }
    // Some make a file of it.
    let path = place.write("ship.tar", tar(&[(b"bin/", FILE, b""), (b"bin/ship/", FILE, &program)]));
    read(&path).assert_one("!bin/ship/");
}

/// A record of a pax header.
fn pax(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let length = rest + (rest + 2).to_string().len();
    [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
}

#[test]
fn a_pax_value_may_hold_any_byte() {
    let place = tree();
    let program = program(&place);
    let records =
        [pax("SCHILY.xattr.security.capability", b"\x02\n12 path=no\n"), pax("path", b"ship")].concat();
    let path = place.write("ship.tar", tar(&[(b"x", b'x', &records), (b"short", FILE, &program)]));
    read(&path).assert_one("!ship");
    for broken in [&b"12 path=ship\n"[..], b"14 path=ship\n", b"path=ship\n", b"13 path:ship\n", b"5 \n"] {
        let path = place.write("ship.tar", tar(&[(b"x", b'x', broken), (b"short", FILE, &program)]));
        read(&path).assert_refused(ErrorKind::Unreadable, "a pax record is malformed");
    }
}

/// An archive of a header of this type with these records, a text whose size is said to be nothing and which hides a
/// program, and a file behind it.
fn hiding(kind: u8, records: &[u8], program: &[u8]) -> Vec<u8> {
    let hidden = tar(&[(b"ship", FILE, program)]);
    let mut text = tar(&[(b"readme", FILE, &hidden[..hidden.len() - 1024])]);
    // Who knows the records takes this for an empty file, and what follows it for the next member.
    let header = tar_header(b"readme", FILE, text.len() - 1536, b"");
    text[..512].copy_from_slice(&header);
    let said = tar(&[(b"pax", kind, records)]);
    [&said[..said.len() - 1024], &text].concat()
}

#[test]
fn solaris_pax_headers_are_pax_headers() {
    let place = tree();
    let program = program(&place);
    for kind in [b'x', b'X'] {
        let path = place.write("ship.tar", hiding(kind, &pax("size", b"0"), &program));
        read(&path).assert_one("!ship");
        // So do those who people unpack it with.
        let (shell, list) = (&place.shell, &path);
        let listed = cmd!(shell, "tar -tf {list}").quiet().read().unwrap();
        assert_eq!(listed.lines().collect::<Vec<_>>(), ["readme", "ship"]);
    }
}

#[test]
fn a_global_pax_header_that_changes_what_members_are() {
    let place = tree();
    let program = program(&place);
    for records in [
        pax("size", b"0"),
        pax("path", b"../../ship"),
        pax("linkpath", b"/etc/passwd"),
        pax("GNU.sparse.major", b"1"),
        [pax("comment", b"8f3a"), pax("size", b"0")].concat(),
    ] {
        let path = place.write("ship.tar", hiding(b'g', &records, &program));
        read(&path)
            .assert_refused(ErrorKind::Unreadable, "a global pax header says what all members are called");
    }
    // As `git archive` writes it.
    let records = pax("comment", b"8f3a");
    let path =
        place.write("ship.tar", tar(&[(b"pax_global_header", b'g', &records), (b"ship", FILE, &program)]));
    read(&path).assert_one("!ship");
}

#[test]
fn zip_entries_that_are_no_files_and_have_bytes() {
    let place = tree();
    let shell = &place.shell;
    fs::copy(place.path("tree/bin/small"), place.path("ship_")).unwrap();
    cmd!(shell, "zip -q ship.zip ship_").run().unwrap();
    let whole = place.bytes("ship.zip");
    let directory = whole.windows(4).rposition(|window| window == b"PK\x01\x02").unwrap();
    // A link's mode: who knows no links makes a file of it.
    let mut link = whole.clone();
    link[directory + 40..directory + 42].copy_from_slice(&0o120_777_u16.to_le_bytes());
    read(&place.write("link.whl", link)).assert_one("!ship_");
    let mut name = whole.clone();
    for at in [30 + 4, directory + 46 + 4] {
        name[at] = b'\\';
    }
    read(&place.write("name.zip", name)).assert_one("!ship\\");
}

#[test]
fn a_zip_that_is_read_in_two_ways() {
    let place = tree();
    let shell = &place.shell;
    cmd!(shell, "zip -q one.zip tree/bin/small").run().unwrap();
    cmd!(shell, "zip -q two.zip tree/bin/small tree/doc/readme").run().unwrap();
    cmd!(shell, "zip -q -fz long.zip tree/bin/small").run().unwrap();
    let [one, two, long] = ["one.zip", "two.zip", "long.zip"].map(|name| place.bytes(name));
    read(&place.path("long.zip")).assert_one("!tree/bin/small");
    let refused = |bytes: Vec<u8>, text: &str| {
        read(&place.write("changed.zip", bytes)).assert_refused(ErrorKind::Unreadable, text);
    };
    // Members before those that the end record lists: a stream's reader sees them.
    refused([&one[..], &two].concat(), "does not end where its end record begins");
    refused([&one[..], &long].concat(), "zip64 end record is not where its locator says");
    let end = two.len() - 22;
    for count in [0, 1, 3] {
        let mut changed = two.clone();
        changed[end + 10] = count;
        changed[end + 8] = count;
        refused(changed, "another number of members");
    }
    let mut changed = two.clone();
    changed[8] ^= 8;
    refused(changed, "compression method mismatch");
    refused([&two[..], b"more"].concat(), "does not end with the end record");
    // An end record in the end record's comment.
    let mut changed = [&two[..], &two[end..]].concat();
    changed[end + 20] = 22;
    refused(changed, "two end records");
}

#[test]
fn an_rpm_payload_s_modes_say_nothing() {
    let place = tree();
    let payload = cpio(&[("./ship", &program(&place))]);
    for mode in ["0000a1ff", "000041ed", "00000000"] {
        let text = b"000081ed";
        let at = payload.windows(8).position(|window| window == text).unwrap();
        let mut changed = payload.clone();
        changed[at..at + 8].copy_from_slice(mode.as_bytes());
        read(&place.write("ship.rpm", rpm(&changed))).assert_one("!./ship");
    }
}

#[test]
fn a_cabinet_is_read_on_behind_a_name_that_is_refused() {
    let place = tree();
    let shell = &place.shell;
    fs::remove_file(place.path("tree/lib/large.so")).unwrap();
    fs::copy(place.path("tree/bin/small"), place.path("zzzz")).unwrap();
    cmd!(shell, "gcab -cn tree.cab tree/bin/small zzzz").quiet().run().unwrap();
    let mut cabinet = place.bytes("tree.cab");
    let at = cabinet.windows(6).position(|window| window == b"small\0").unwrap();
    cabinet[at..at + 5].copy_from_slice(b"../xy");
    let found = read(&place.write("tree.cab", cabinet));
    found.assert_refused(ErrorKind::Unreadable, "outside of the archive's folder");
    assert_eq!(found.problems.len(), 1, "{:?}", found.problems);
    assert!(found.files.keys().any(|name| name.ends_with("!zzzz")), "{:?}", found.files.keys());
}

#[test]
fn limits_are_of_members_once_and_of_programs_alone() {
    let place = tree();
    let program = program(&place);
    let path = place.write("ship.tar", tar(&[(b"a", FILE, &program), (b"b", FILE, &program)]));
    let members = |members| read_within(&path, &Limits { members, ..Limits::default() });
    assert_eq!(members(2).problems, [""; 0]);
    members(1).assert_refused(ErrorKind::TooLarge, "more than 1 members");
    place.write("ship.rpm", rpm(&cpio(&[("./ship", &program)])));
    let one = Limits { members: 1, ..Limits::default() };
    read_within(&place.path("ship.rpm"), &one).assert_one("!./ship");

    let small = Limits { file_bytes: 1000, ..Limits::default() };
    fs::create_dir(place.path("in")).unwrap();
    place.write("in/disk.img", [1; 5000]);
    assert_eq!(read_within(&place.path("in"), &small).problems, [""; 0]);
    place.write("in/ship", &program);
    read_within(&place.path("in"), &small).assert_refused(ErrorKind::TooLarge, "which is more than 1000");
}
