//! Inputs that lie: each is told as unreadable, in bounded time, and nothing in them is passed over in silence.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use inputs::{ErrorKind, Limits};
use support::{read, read_within, tree};
use xshell::cmd;

fn assert_refused(found: &support::Found, kind: ErrorKind, text: &str) {
    assert!(found.kinds.contains(&kind), "{kind:?}: {:?}", found.problems);
    assert!(found.problems.iter().any(|problem| problem.contains(text)), "{text}: {:?}", found.problems);
}

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
        assert_refused(&found, ErrorKind::TooLarge, "over 100 times as many");
        assert_eq!(found.problems.len(), 1, "said once: {:?}", found.problems);
        let few = Limits { unpacked_bytes: 1 << 19, ..Limits::default() };
        assert_refused(
            &read_within(&place.path(name), &few),
            ErrorKind::TooLarge,
            "unpacks to more than 524288",
        );
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
        assert_refused(&found(name, Limits { members: 2, ..usual }), ErrorKind::TooLarge, "more than 2");
        let large = found(name, Limits { file_bytes: 10 << 20, ..usual });
        assert_refused(&large, ErrorKind::TooLarge, "large.so has more than 10485760 bytes");
        assert_eq!(large.files.len(), 1, "the small program is read still");
    }
    let deep = found("outer.tar", Limits { nesting: 1, ..usual });
    assert_refused(&deep, ErrorKind::TooLarge, "tree.tar lies more than 1 archives deep");
    assert_refused(
        &found("tree", Limits { depth: 0, ..usual }),
        ErrorKind::TooLarge,
        "more than 0 folders deep",
    );
    assert_refused(&found("tree", Limits { files: 1, ..usual }), ErrorKind::TooLarge, "more than 1 files");
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
        assert_refused(&found, ErrorKind::Unreadable, "outside of the archive's folder");
        assert_eq!(found.files.len(), 1, "{name}: what comes after it is read");
    }
    let found = read(&place.path("twice.tar"));
    assert_refused(&found, ErrorKind::Unreadable, "is there twice");
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
