//! Whether zig can aim at a glibc version. It takes any number without a word and then uses what it likes.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use artifact::Target;

use crate::error::Faults as _;
use crate::{Error, ErrorKind};

/// Rust's standard library needs this one at least (rustc book, platform support: `*-unknown-linux-gnu`).
const OLDEST: (u8, u8) = (2, 17);

/// The list of versions is at the start of zig's file of glibc symbols; it is much shorter than this, in bytes.
const HEADER_LIMIT: u64 = 4096;

/// The floor that zig is to be asked for, checked against the versions that this zig has symbols of.
pub(crate) fn checked(target: Target, asked: &str, zig: &Path) -> Result<(u8, u8), Error> {
    let abilists = zig.with_file_name("lib").join("libc/glibc/abilists");
    let known = read(&abilists)?;
    let possible = || known.iter().filter(|version| **version >= OLDEST);
    let found = version(asked).and_then(|wanted| possible().find(|version| **version == wanted));
    found.copied().ok_or_else(|| {
        let (oldest, newest) = (possible().min().unwrap_or(&OLDEST), possible().max().unwrap_or(&OLDEST));
        let message =
            format!("{target}: zig cannot aim at glibc `{asked}`, only at 2.{} to 2.{}", oldest.1, newest.1);
        Error::new(ErrorKind::FloorImpossible, message)
            .with_hint("set `glibc-floor` of the target in release.toml to a version in that range")
    })
}

/// `2.31`, and nothing that only looks like it.
fn version(text: &str) -> Option<(u8, u8)> {
    let (major, minor) = text.split_once('.')?;
    let number = |part: &str| part.parse().ok().filter(|number: &u8| number.to_string() == part);
    Some((number(major)?, number(minor)?))
}

fn read(abilists: &Path) -> Result<Vec<(u8, u8)>, Error> {
    let mut header = Vec::new();
    let file = File::open(abilists).map_err(|cause| Error::io(abilists, cause))?;
    file.take(HEADER_LIMIT).read_to_end(&mut header).map_err(|cause| Error::io(abilists, cause))?;
    versions(&header).ok_or_else(|| {
        let message = format!("{}: zig's list of glibc versions has another form", abilists.display());
        Error::new(ErrorKind::FloorImpossible, message)
            .with_hint("use the zig that docker/toolchain.lock names")
    })
}

/// The list's form (zig, `src/libs/glibc.zig`, `loadMetaData`): the number of libraries, so many names that end in a
/// zero byte, the number of versions, so many triples of major, minor, patch.
fn versions(mut header: &[u8]) -> Option<Vec<(u8, u8)>> {
    let mut byte = || -> Option<u8> {
        let (first, rest) = header.split_first()?;
        header = rest;
        Some(*first)
    };
    for _ in 0..byte()? {
        while byte()? != 0 {}
    }
    let count = byte()?;
    let mut versions = Vec::new();
    for _ in 0..count {
        let (major, minor, patch) = (byte()?, byte()?, byte()?);
        if patch == 0 {
            versions.push((major, minor));
        }
    }
    Some(versions)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A zig with one library and the versions 2.3.2, 2.5, 2.17, 2.31 and 2.42.
    fn zig() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let glibc = folder.path().join("lib/libc/glibc");
        std::fs::create_dir_all(&glibc).unwrap();
        let header = b"\x01c\0\x05\x02\x03\x02\x02\x05\x00\x02\x11\x00\x02\x1f\x00\x02\x2a\x00rest";
        std::fs::write(glibc.join("abilists"), header).unwrap();
        let zig = folder.path().join("zig");
        (folder, zig)
    }

    #[test]
    fn takes_what_zig_and_rust_know() {
        let (_folder, zig) = zig();
        assert_eq!(checked(Target::Aarch64Linux, "2.17", &zig).unwrap(), (2, 17));
        assert_eq!(checked(Target::X86_64Linux, "2.42", &zig).unwrap(), (2, 42));
    }

    #[test]
    fn refuses_what_zig_would_silently_replace() {
        let (_folder, zig) = zig();
        for asked in
            ["2.99", "2.1", "2.5", "2.3", "2.30", "3.31", "2", "", "2.031", "2.31.1", "+2.31", "2.31 "]
        {
            let refused = checked(Target::Aarch64Linux, asked, &zig).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::FloorImpossible, "{asked}");
            assert!(refused.to_string().contains("2.17 to 2.42"), "{refused}");
        }
    }

    #[test]
    fn another_form_of_the_list_is_an_error() {
        for header in [&b""[..], b"\x01c", b"\x01c\0\x02\x02\x11\x00"] {
            assert_eq!(versions(header), None);
        }
    }
}
