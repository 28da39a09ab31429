//! What the suites share: a folder with programs in it, and what is read back from a path.
#![allow(dead_code, reason = "each suite uses a part")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use inputs::{ErrorKind, Item, Limits};
use xshell::Shell;

/// What [`tree`] puts below its folder: two programs, one of them large, and what is none.
pub(crate) const PROGRAMS: [&str; 2] = ["tree/bin/small", "tree/lib/large.so"];

pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) shell: Shell,
}

impl Place {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    /// Asserts that `archive` holds the programs of [`tree`], byte for byte, and nothing else that could be one; `prefix`
    /// is what lies between the archive's name and the path in the tree.
    pub(crate) fn assert_holds_the_tree(&self, archive: &str, prefix: &str) {
        let found = read(&self.path(archive));
        assert_eq!(found.problems, [""; 0], "{archive}");
        let names: Vec<_> = found.files.keys().cloned().collect();
        let base = self.path(archive).display().to_string();
        let expected = PROGRAMS.map(|name| format!("{base}!{prefix}{name}"));
        assert_eq!(names, expected, "{archive}");
        for name in PROGRAMS {
            let bytes = &found.files[&format!("{base}!{prefix}{name}")];
            assert!(*bytes == self.bytes(name), "{archive}: {name} has other bytes");
        }
    }
}

/// A folder that holds `tree/` with programs and other files.
pub(crate) fn tree() -> Place {
    let place = Place { folder: tempfile::tempdir().unwrap(), shell: Shell::new().unwrap() };
    place.shell.change_dir(place.folder.path());
    for folder in ["tree/bin", "tree/lib", "tree/doc"] {
        fs::create_dir_all(place.path(folder)).unwrap();
    }
    let mut small = b"\x7fELF small".to_vec();
    small.extend(noise(3000, 1));
    // Larger than what is kept in memory, and most of it easy to pack.
    let mut large = b"\x7fELF large".to_vec();
    large.extend(noise(1 << 20, 2));
    large.resize(9 << 20, 7);
    place.write("tree/bin/small", small);
    place.write("tree/lib/large.so", large);
    place.write("tree/doc/readme", "no program\n".repeat(1000));
    place.write("tree/doc/empty", "");
    std::os::unix::fs::symlink("large.so", place.path("tree/lib/large.so.1")).unwrap();
    fs::hard_link(place.path("tree/doc/readme"), place.path("tree/doc/same")).unwrap();
    place
}

/// Bytes that no compression makes smaller.
pub(crate) fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        // xorshift64 (Marsaglia 2003).
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// What a path gave.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) modes: BTreeMap<String, Option<u32>>,
    pub(crate) problems: Vec<String>,
    pub(crate) kinds: Vec<inputs::ErrorKind>,
}

impl Found {
    /// Asserts that one program was found in `archive`, called `name` there, and nothing wrong.
    #[track_caller]
    pub(crate) fn assert_one(&self, name: &str) {
        assert_eq!(self.problems, [""; 0]);
        let names: Vec<_> = self.files.keys().collect();
        assert!(names.len() == 1 && names[0].ends_with(name), "{name}: {names:?}");
    }

    /// Asserts that something was refused, and why.
    #[track_caller]
    pub(crate) fn assert_refused(&self, kind: ErrorKind, text: &str) {
        assert!(self.kinds.contains(&kind), "{kind:?}: {:?}", self.problems);
        assert!(self.problems.iter().any(|problem| problem.contains(text)), "{text}: {:?}", self.problems);
    }
}

pub(crate) fn read(path: &Path) -> Found {
    read_within(path, &Limits::default())
}

pub(crate) fn read_within(path: &Path, limits: &Limits) -> Found {
    let mut found = Found::default();
    for source in inputs::list(path, limits).unwrap() {
        source.visit(limits, &mut |item| match item {
            Item::File(input) => {
                found.modes.insert(input.name.clone(), input.mode);
                let twice = found.files.insert(input.name, input.bytes.to_vec());
                assert!(twice.is_none());
            }
            Item::Unreadable { error, .. } => {
                found.kinds.push(error.kind());
                found.problems.push(error.to_string());
            }
        });
    }
    found
}

/// A tar archive of these entries: name, type, and what follows the header, whose size the header says.
pub(crate) fn tar(entries: &[(&[u8], u8, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, kind, body) in entries {
        bytes.extend(tar_header(name, *kind, body.len(), b""));
        bytes.extend(*body);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

/// A ustar header; `prefix` is the part of it that most archives leave empty.
pub(crate) fn tar_header(name: &[u8], kind: u8, size: usize, prefix: &[u8]) -> [u8; 512] {
    let mut header = [0; 512];
    header[..name.len()].copy_from_slice(name);
    header[100..108].copy_from_slice(b"0000755\0");
    header[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    header[156] = kind;
    header[257..265].copy_from_slice(b"ustar\x0000");
    header[345..345 + prefix.len()].copy_from_slice(prefix);
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

/// A cpio archive as rpm writes it.
pub(crate) fn cpio(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let trailer: (&str, &[u8]) = ("TRAILER!!!", b"");
    for (name, content) in files.iter().chain([&trailer]) {
        let fields = [1, 0o100_755, 0, 0, 1, 0, content.len(), 0, 0, 0, 0, name.len() + 1, 0];
        bytes.extend(b"070701");
        bytes.extend(fields.iter().flat_map(|field| format!("{field:08x}").into_bytes()));
        for part in [&[name.as_bytes(), b"\0"].concat(), *content] {
            bytes.extend(part);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
    }
    bytes
}

/// A package with nothing but a payload, packed by gzip.
pub(crate) fn rpm(payload: &[u8]) -> Vec<u8> {
    rpm_with(&[], payload)
}

/// A package with a header of these tags (tag, type, count, values) and a payload, packed by gzip.
pub(crate) fn rpm_with(tags: &[(u32, u32, u32, Vec<u8>)], payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xed, 0xab, 0xee, 0xdb, 3, 0];
    bytes.resize(96, 0);
    bytes.extend([[0x8e, 0xad, 0xe8, 1], [0; 4], [0; 4], [0; 4]].concat());
    let (mut index, mut store) = (Vec::new(), Vec::<u8>::new());
    for (tag, kind, count, values) in tags {
        let entry = [*tag, *kind, store.len() as u32, *count];
        index.extend(entry.iter().flat_map(|number| number.to_be_bytes()));
        store.extend(values);
    }
    bytes.extend([0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0]);
    bytes.extend((tags.len() as u32).to_be_bytes());
    bytes.extend((store.len() as u32).to_be_bytes());
    bytes.extend(index);
    bytes.extend(store);
    let mut packed = flate2::write::GzEncoder::new(bytes, flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, payload).unwrap();
    packed.finish().unwrap()
}

/// An installer's database with these streams and no tables.
pub(crate) fn installer(streams: &[(&str, &[u8])]) -> Vec<u8> {
    let mut file = cfb::CompoundFile::create(std::io::Cursor::new(Vec::new())).unwrap();
    let class = "000c1084-0000-0000-c000-000000000046".parse().unwrap();
    file.set_storage_clsid("/", class).unwrap();
    for (name, bytes) in streams {
        std::io::Write::write_all(&mut file.create_stream(name).unwrap(), bytes).unwrap();
    }
    file.into_inner().into_inner()
}
