//! Inputs that lie: each is told as unreadable, in bounded time, and nothing in them is passed over in silence.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use inputs::{ErrorKind, Limits};
use support::{read, read_within, tree};
use xshell::cmd;

#[test]
fn bombs_are_not_unpacked() {
    let place = tree();
    let shell = &place.shell;
    place.write("big", vec![0; 1 << 20]);
    cmd!(shell, "tar czf bomb.tar.gz big").quiet().run().unwrap();
    cmd!(shell, "zip -q bomb.zip big").run().unwrap();
    cmd!(shell, "zip -q nested.zip bomb.zip").run().unwrap();
    let small = Limits { free_bytes: 1 << 19, ..Limits::default() };
    for name in ["bomb.tar.gz", "bomb.zip", "nested.zip"] {
        let found = read_within(&place.path(name), &small);
        found.assert_refused(ErrorKind::TooLarge, "over 100 times as many");
        assert_eq!(found.problems.len(), 1, "said once: {:?}", found.problems);
        let few = Limits { unpacked_bytes: 1 << 19, ..Limits::default() };
        read_within(&place.path(name), &few)
            .assert_refused(ErrorKind::TooLarge, "unpacks to more than 524288");
        assert_eq!(read(&place.path(name)).problems, [""; 0], "{name}");
    }
}

#[test]
fn every_limit_is_named_when_it_is_hit() {
    let place = tree();
    let shell = &place.shell;
    cmd!(shell, "tar cf tree.tar tree").quiet().run().unwrap();
    cmd!(shell, "zip -qr tree.zip tree").run().unwrap();
    cmd!(shell, "tar cf outer.tar tree.tar").quiet().run().unwrap();
    let found = |name: &str, limits: Limits| read_within(&place.path(name), &limits);
    let usual = Limits::default();
    for name in ["tree.tar", "tree.zip"] {
        found(name, Limits { members: 2, ..usual }).assert_refused(ErrorKind::TooLarge, "more than 2");
        let large = found(name, Limits { file_bytes: 1 << 20, ..usual });
        large.assert_refused(ErrorKind::TooLarge, "large.so has more than 1048576 bytes");
        assert_eq!(large.files.len(), 1, "the small program is read still");
    }
    let deep = found("outer.tar", Limits { nesting: 1, ..usual });
    deep.assert_refused(ErrorKind::TooLarge, "tree.tar lies more than 1 archives deep");
    found("tree", Limits { depth: 0, ..usual })
        .assert_refused(ErrorKind::TooLarge, "more than 0 folders deep");
    found("tree", Limits { files: 1, ..usual }).assert_refused(ErrorKind::TooLarge, "more than 1 files");
}

#[test]
fn names_that_lead_out_or_come_twice_are_refused() {
    let place = tree();
    let shell = &place.shell;
    cmd!(shell, "tar cf outside.tar -P --transform s,tree/bin,../out, tree/bin/small tree/lib/large.so")
        .quiet()
        .run()
        .unwrap();
    cmd!(shell, "tar cf absolute.tar -P --transform s,tree/bin,/out, tree/bin/small tree/lib/large.so")
        .quiet()
        .run()
        .unwrap();
    cmd!(shell, "tar cf twice.tar tree/bin/small tree/bin/small --hard-dereference").quiet().run().unwrap();
    for name in ["outside.tar", "absolute.tar"] {
        let found = read(&place.path(name));
        found.assert_refused(ErrorKind::Unreadable, "outside of the archive's folder");
        assert_eq!(found.files.len(), 1, "{name}: what comes after it is read");
    }
    let found = read(&place.path("twice.tar"));
    found.assert_refused(ErrorKind::Unreadable, "is there twice");
    assert_eq!(found.files.len(), 1);
}

#[test]
fn a_tar_cut_anywhere_is_noticed() {
    let place = tree();
    let shell = &place.shell;
    fs::remove_file(place.path("tree/lib/large.so")).unwrap();
    cmd!(shell, "tar cf whole.tar tree").quiet().run().unwrap();
    cmd!(shell, "gzip -k whole.tar").quiet().run().unwrap();
    let whole = place.bytes("whole.tar");
    let end = whole.iter().rposition(|byte| *byte != 0).unwrap() / 512 * 512 + 512;
    for length in (0..=end).step_by(512) {
        let path = place.write("cut.tar", &whole[..length]);
        let found = read(&path);
        assert!(!found.problems.is_empty(), "cut at {length} of {end}");
    }
    let packed = place.bytes("whole.tar.gz");
    for length in 0..packed.len() {
        let path = place.write("cut.tar.gz", &packed[..length]);
        assert!(!read(&path).problems.is_empty(), "cut at {length} of {}", packed.len());
    }
}

#[test]
fn a_folder_of_traps() {
    let place = tree();
    let shell = &place.shell;
    let trap = |name: &str| place.path("tree").join(name);
    cmd!(shell, "mkfifo tree/pipe").quiet().run().unwrap();
    let _socket = UnixListener::bind(trap("socket")).unwrap();
    std::os::unix::fs::symlink(".", trap("circle")).unwrap();
    std::os::unix::fs::symlink("/nonexistent", trap("nowhere")).unwrap();
    assert_eq!(read(&place.path("tree")).problems, [""; 0]);
    assert_eq!(read(&place.path("tree")).files.len(), 2);
    assert!(inputs::list(&trap("pipe"), &Limits::default()).is_err(), "a pipe is never opened");

    // A file that is gone or has changed its kind when it is its turn.
    let sources = inputs::list(&place.path("tree"), &Limits::default()).unwrap();
    fs::remove_file(place.path("tree/bin/small")).unwrap();
    fs::remove_file(place.path("tree/lib/large.so")).unwrap();
    fs::create_dir(place.path("tree/lib/large.so")).unwrap();
    let mut problems = 0;
    for source in &sources {
        source.visit(&Limits::default(), &mut |item| {
            problems += usize::from(matches!(item, inputs::Item::Unreadable { .. }));
        });
    }
    assert_eq!(problems, 2);
}

#[test]
fn what_may_not_be_read_is_said() {
    let place = tree();
    let unreadable = place.path("tree/bin/small");
    fs::set_permissions(&unreadable, fs::Permissions::from_mode(0o0)).unwrap();
    // The superuser reads everything; then a file that nobody can read takes its place.
    let path = if fs::read(&unreadable).is_ok() { "/proc/self/mem".into() } else { unreadable };
    let found = read(&path);
    assert_eq!(found.problems.len(), 1, "{:?}", found.problems);
    assert!(found.problems[0].contains("cannot read"), "{:?}", found.problems);
}

/// Small archives of every format that is not a tar, each with a program in it.
fn small_archives(place: &support::Place) -> [&'static str; 6] {
    let shell = &place.shell;
    fs::remove_file(place.path("tree/lib/large.so")).unwrap();
    cmd!(shell, "zip -qr tree.zip tree").run().unwrap();
    cmd!(shell, "gcab -czn tree.cab tree/bin/small tree/doc/readme").quiet().run().unwrap();
    fs::create_dir_all(place.path("package/DEBIAN")).unwrap();
    let control = "Package: ship\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b.c>\nDescription: d\n";
    place.write("package/DEBIAN/control", control);
    cmd!(shell, "cp -a tree package/tree").quiet().run().unwrap();
    cmd!(shell, "dpkg-deb -Zxz --root-owner-group --build package ship.deb")
        .quiet()
        .ignore_stdout()
        .run()
        .unwrap();
    cmd!(shell, "dpkg-deb -Zzstd --root-owner-group --build package zstd.deb")
        .quiet()
        .ignore_stdout()
        .run()
        .unwrap();
    place.write(
        "ship.rpm",
        support::rpm(&support::cpio(&[("./tree/bin/small", &place.bytes("tree/bin/small"))])),
    );
    place.write("ship.msi", support::installer(&[("ship.cab", &place.bytes("tree.cab"))]));
    ["tree.zip", "tree.cab", "ship.deb", "zstd.deb", "ship.rpm", "ship.msi"]
}

#[test]
fn every_other_archive_cut_anywhere_is_noticed() {
    let place = tree();
    for name in small_archives(&place) {
        assert_eq!(read(&place.path(name)).problems, [""; 0], "{name}");
        assert_eq!(read(&place.path(name)).files.len(), 1, "{name}");
        let whole = place.bytes(name);
        // The last bytes of an rpm's payload and of a compound file are padding.
        let steps = (0..whole.len().min(1000)).chain((0..whole.len()).step_by(61));
        for length in steps {
            let path = place.write(&format!("cut-{name}"), &whole[..length]);
            let found = read(&path);
            let same = found.files.values().next() == Some(&place.bytes("tree/bin/small"));
            assert!(!found.problems.is_empty() || same, "{name} cut at {length} of {}", whole.len());
            assert!(!found.problems.is_empty() || whole.len() - length < 1024, "{name} cut at {length}");
        }
    }
}

#[test]
fn no_changed_byte_makes_a_reader_panic_or_lose_a_program_in_silence() {
    let place = tree();
    let program = place.bytes("tree/bin/small");
    for name in small_archives(&place) {
        let whole = place.bytes(name);
        let mut silent = 0;
        let places: Vec<_> = (0..whole.len().min(600)).chain((600..whole.len()).step_by(53)).collect();
        for &at in &places {
            let mut changed = whole.clone();
            changed[at] ^= if at % 2 == 0 { 0xff } else { 1 };
            let found = read(&place.write(&format!("changed-{name}"), &changed));
            // A changed name or mode loses nothing.
            let kept = found.files.values().any(|bytes| *bytes == program);
            silent += usize::from(!kept && found.problems.is_empty());
        }
        // What these formats do not cover by a checksum: an entry's type, a stream's name, a table's count.
        assert!(silent * 40 <= places.len(), "{name}: {silent} of {} changes", places.len());
    }
}

#[test]
fn a_damaged_packed_file_is_not_taken_for_one_without_programs() {
    let place = tree();
    let shell = &place.shell;
    fs::remove_file(place.path("tree/lib/large.so")).unwrap();
    for pack in ["gzip", "bzip2", "xz", "zstd"] {
        cmd!(shell, "tar -I {pack} -cf packed tree").quiet().run().unwrap();
        let mut bytes = place.bytes("packed");
        for at in [40, 60, 80, 100] {
            bytes[at] ^= 0x55;
            let found = read(&place.write("damaged", &bytes));
            assert!(!found.problems.is_empty(), "{pack}: nothing is said of a change at {at}");
            bytes[at] ^= 0x55;
        }
    }
}

#[test]
fn a_payload_that_lies_about_its_sizes() {
    let place = tree();
    let program = place.bytes("tree/bin/small");
    let lying = |field: usize, value: &str| {
        let mut cpio = support::cpio(&[("./program", &program)]);
        cpio[6 + 8 * field..14 + 8 * field].copy_from_slice(value.as_bytes());
        read(&place.write("lying.rpm", support::rpm(&cpio)))
    };
    for (field, value, text) in [
        (6, "ffffffff", "too early"),
        (6, "00000010", "cpio"),
        (6, "0000zzzz", "number"),
        (11, "ffffffff", "a name of 4294967295 bytes"),
        (11, "00000000", "does not end"),
    ] {
        let found = lying(field, value);
        assert!(found.problems.iter().any(|problem| problem.contains(text)), "{text}: {:?}", found.problems);
    }
}

#[test]
fn a_tar_that_lies_about_its_sizes() {
    let place = tree();
    for size in [u64::MAX, 1 << 62, 8 << 30, 4096] {
        let mut header = tar::Header::new_gnu();
        header.set_path("program").unwrap();
        header.set_size(size);
        header.set_cksum();
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend(place.bytes("tree/bin/small"));
        bytes.resize(512 * 8, 0);
        let found = read(&place.write("lying.tar", &bytes));
        assert!(!found.problems.is_empty() && found.files.is_empty(), "{size}: {found:?}");
    }
    // A name of a gigabyte, and a pax header that gives the file another size.
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_size(1 << 30);
    header.set_cksum();
    let found = read(&place.write("long.tar", [header.as_bytes(), &[b'a'; 512][..]].concat()));
    found.assert_refused(ErrorKind::TooLarge, "a name of 1073741824 bytes");
}

#[test]
fn a_program_stored_without_its_holes_is_told_and_the_next_one_read() {
    let place = tree();
    let shell = &place.shell;
    let sparse = fs::File::create(place.path("tree/bin/hole")).unwrap();
    sparse.set_len(4 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"\x7fELF", 0).unwrap();
    // So many pieces that old GNU headers need blocks of their own for them.
    for piece in 1..30 {
        std::os::unix::fs::FileExt::write_all_at(&sparse, b"piece", piece << 17).unwrap();
    }
    for dialect in ["gnu", "oldgnu", "pax"] {
        cmd!(shell, "tar --format={dialect} -S -cf sparse.tar tree/bin/hole tree/bin/small")
            .quiet()
            .run()
            .unwrap();
        let found = read(&place.path("sparse.tar"));
        assert_eq!(found.kinds, [ErrorKind::Unsupported], "{dialect}: {:?}", found.problems);
        let name = format!("{}!tree/bin/small", place.path("sparse.tar").display());
        assert_eq!(found.files.into_keys().collect::<Vec<_>>(), [name], "{dialect}");
    }
}

#[test]
fn members_that_share_bytes_are_a_bomb() {
    let place = tree();
    let shell = &place.shell;
    place.write("one", vec![0; 100_000]);
    place.write("two", vec![0; 100_000]);
    cmd!(shell, "zip -q two.zip one two").run().unwrap();
    let mut bytes = place.bytes("two.zip");
    // The second record of the central directory points to the first member, too.
    let second = bytes.windows(4).rposition(|window| window == b"PK\x01\x02").unwrap();
    bytes[second + 42..second + 46].copy_from_slice(&[0; 4]);
    read(&place.write("shared.zip", &bytes)).assert_refused(ErrorKind::Unreadable, "share bytes");

    // Two files of a cabinet at one offset.
    cmd!(shell, "gcab -czn two.cab one two").quiet().run().unwrap();
    let mut bytes = place.bytes("two.cab");
    let second = bytes.windows(4).position(|window| window == b"two\0").unwrap() - 16;
    bytes[second + 4..second + 8].copy_from_slice(&[0; 4]);
    read(&place.write("shared.cab", &bytes)).assert_refused(ErrorKind::Unreadable, "shares bytes");
}

#[test]
fn a_compound_file_in_a_circle() {
    let place = tree();
    let bytes = support::installer(&[("a", &[1; 20_000])]);
    // The table of sectors, in the one that the header names first; each entry in turn points to itself, or to the start.
    let first = u32::from_le_bytes([bytes[76], bytes[77], bytes[78], bytes[79]]) as usize;
    let table = (first + 1) << u16::from_le_bytes([bytes[30], bytes[31]]);
    for entry in 0..12 {
        for to in [entry, 0] {
            let mut changed = bytes.clone();
            let at = table + 4 * entry as usize;
            changed[at..at + 4].copy_from_slice(&u32::to_le_bytes(to));
            let found = read(&place.write("circle.msi", &changed));
            assert!(found.files.is_empty());
        }
    }
}
