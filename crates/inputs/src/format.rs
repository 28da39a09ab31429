//! What bytes are, by how they begin.

/// What is opened, or looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// ELF or MZ.
    Program,
    Zip,
    Tar,
    Gzip,
    Xz,
    Bzip2,
    Zstd,
    /// The format before xz, which has no magic bytes: known by a name alone.
    Lzma,
    /// An `ar` archive that begins as a Debian package does. Other `ar` archives hold object files, not programs.
    Deb,
    Rpm,
    Cabinet,
    /// A compound file (MS-CFB) with the class of a Windows Installer database.
    Installer,
    /// An archive or a compression that is known and not opened here, by what people call it.
    Foreign(&'static str),
}

/// What [`Format::Foreign`] begins with.
const FOREIGN: [(&[u8], &str); 10] = [
    (b"7z\xbc\xaf\x27\x1c", "7z archive"),
    (b"Rar!\x1a\x07", "RAR archive"),
    (b"\x04\x22\x4d\x18", "LZ4 file"),
    (b"\x02\x21\x4c\x18", "LZ4 file"),
    (b"\x89LZO\0\r\n\x1a\n", "lzop file"),
    (b"LRZI", "lrzip file"),
    (b"LZIP\x01", "lzip file"),
    (b"MSWIM\0\0\0", "Windows image"),
    (b"xar!\0", "xar archive"),
    (b"hsqs", "SquashFS image"),
];

/// How many first bytes [`Format::of`] wants to see.
pub(crate) const HEAD: u64 = 0x8006;

impl Format {
    /// What `head`, the first [`HEAD`] bytes or all, is the beginning of.
    pub(crate) fn of(head: &[u8]) -> Option<Format> {
        let begins = |magic: &[u8]| head.starts_with(magic);
        let foreign = FOREIGN.iter().find(|(magic, _)| begins(magic));
        if begins(b"\x7fELF") || begins(b"MZ") {
            Some(Format::Program)
        } else if begins(b"PK\x03\x04")
            || begins(b"PK\x05\x06")
            || is_marked_zip(head)
            || is_started_zip(head)
        {
            Some(Format::Zip)
        } else if begins(&[0x1f, 0x8b, 8]) {
            Some(Format::Gzip)
        } else if begins(b"\xfd7zXZ\0") {
            Some(Format::Xz)
        } else if begins(b"BZh") && head.get(4..10).is_some_and(is_bzip2_block) {
            Some(Format::Bzip2)
        } else if begins(&[0x28, 0xb5, 0x2f, 0xfd]) || is_skippable(head) {
            Some(Format::Zstd)
        } else if begins(b"!<arch>\ndebian-binary") {
            Some(Format::Deb)
        } else if begins(&[0xed, 0xab, 0xee, 0xdb]) {
            Some(Format::Rpm)
        } else if begins(b"MSCF\0\0\0\0") || begins(b"MSCF") && head.get(24..26) == Some(&[3, 1]) {
            Some(Format::Cabinet)
        } else if begins(&[0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1]) {
            Some(Format::Installer)
        } else if is_tar(head) {
            Some(Format::Tar)
        } else {
            foreign.map(|(_, name)| Format::Foreign(name)).or_else(|| file_system(head).map(Format::Foreign))
        }
    }

    /// What a file of this name promises to be. One that begins otherwise is damaged.
    pub(crate) fn promised(name: &str) -> Option<Format> {
        let name = name.to_ascii_lowercase();
        let ends = |suffixes: &[&str]| suffixes.iter().any(|suffix| name.ends_with(suffix));
        if ends(&[".zip", ".whl", ".jar", ".nupkg"]) {
            Some(Format::Zip)
        } else if ends(&[".tar"]) {
            Some(Format::Tar)
        } else if ends(&[".tar.gz", ".tgz"]) {
            Some(Format::Gzip)
        } else if ends(&[".tar.xz", ".txz"]) {
            Some(Format::Xz)
        } else if ends(&[".tar.bz2", ".tbz2"]) {
            Some(Format::Bzip2)
        } else if ends(&[".tar.zst", ".tzst"]) {
            Some(Format::Zstd)
        } else if ends(&[".lzma", ".tlz"]) {
            Some(Format::Lzma)
        } else if ends(&[".deb", ".udeb"]) {
            Some(Format::Deb)
        } else if ends(&[".rpm"]) {
            Some(Format::Rpm)
        } else if ends(&[".cab"]) {
            Some(Format::Cabinet)
        } else if ends(&[".msi"]) {
            Some(Format::Installer)
        } else {
            None
        }
    }

    /// Whether a file of this name promises a tar archive, packed or not.
    pub(crate) fn promises_tar(name: &str) -> bool {
        match Format::promised(name) {
            Some(Format::Tar | Format::Gzip | Format::Xz | Format::Bzip2 | Format::Zstd) => true,
            Some(Format::Lzma) => {
                let name = name.to_ascii_lowercase();
                name.ends_with(".tar.lzma") || name.ends_with(".tlz")
            }
            _ => false,
        }
    }

    /// What people call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Format::Program => "program",
            Format::Zip => "zip archive",
            Format::Tar => "tar archive",
            Format::Gzip => "gzip file",
            Format::Xz => "xz file",
            Format::Bzip2 => "bzip2 file",
            Format::Zstd => "zstd file",
            Format::Deb => "Debian package",
            Format::Rpm => "RPM package",
            Format::Cabinet => "cabinet",
            Format::Installer => "Windows Installer database",
            Format::Lzma => "lzma file",
            Format::Foreign(name) => name,
        }
    }
}

/// Whether the bytes begin as an ELF or a PE file does. A PE file that ends before its header is one, too: what was cut
/// off must not be passed over.
pub fn looks_like_a_program(bytes: &[u8]) -> bool {
    if bytes.starts_with(b"\x7fELF") {
        return true;
    }
    if !bytes.starts_with(b"MZ") {
        return false;
    }
    // Every DOS program begins with MZ; only a PE file has its signature where `e_lfanew` points to.
    let Some(pointer) = bytes.get(0x3c..0x40) else { return false };
    let pointer = u32::from_le_bytes([pointer[0], pointer[1], pointer[2], pointer[3]]) as usize;
    match bytes.get(pointer..).and_then(|rest| rest.get(..4)) {
        Some(signature) => signature == b"PE\0\0",
        // Cut off. `e_lfarlc` is 0x40 in what is made for Windows; in a DOS program `e_lfanew` means nothing.
        None => bytes.get(0x18..0x1a) == Some(&[0x40, 0]),
    }
}

/// What is told further inside: compress's bits, and images of file systems.
fn file_system(head: &[u8]) -> Option<&'static str> {
    // Codes of 9 to 16 bits, and a flag (ncompress, compress42.c).
    if head.starts_with(&[0x1f, 0x9d]) && head.get(2).is_some_and(|bits| matches!(bits & 0x7f, 9..=16)) {
        return Some("file packed by compress");
    }
    // ECMA-119, 8.1.2: the first volume descriptor's standard identifier.
    if head.get(0x8001..0x8006) == Some(b"CD001") {
        return Some("ISO 9660 image");
    }
    // Linux, fs/ext4/ext4.h: s_magic of the superblock at 1024, block size, state, errors and creator as they may be.
    let number = |at: usize| {
        head.get(0x400 + at..0x404 + at).map(|number| number.try_into().map_or(0, u32::from_le_bytes))
    };
    let is_ext = head.get(0x438..0x43a) == Some(&[0x53, 0xef])
        && number(0x18).is_some_and(|block| block <= 6)
        && number(0x48).is_some_and(|system| system <= 4)
        && number(0x4c).is_some_and(|revision| revision <= 1);
    is_ext.then_some("ext file system")
}

/// A zip archive that was meant for several disks and needs but one (APPNOTE 8.5.3 and 8.5.4).
fn is_marked_zip(head: &[u8]) -> bool {
    head.starts_with(b"PK\x07\x08PK\x03\x04") || head.starts_with(b"PK00PK\x03\x04")
}

/// Whether a line that names an interpreter has a zip archive right behind it, as Python's zipapp, pex and shiv make it.
fn is_started_zip(head: &[u8]) -> bool {
    let line = head
        .strip_prefix(b"#!")
        .and_then(|rest| Some(&rest[rest.iter().position(|byte| *byte == b'\n')? + 1..]));
    line.is_some_and(|behind| behind.starts_with(b"PK\x03\x04"))
}

/// What a bzip2 file goes on with: the first block's mark, or the end's in an empty one.
fn is_bzip2_block(mark: &[u8]) -> bool {
    mark == [0x31, 0x41, 0x59, 0x26, 0x53, 0x59] || mark == [0x17, 0x72, 0x45, 0x38, 0x50, 0x90]
}

/// Whether a zstd file begins with a frame that decoders skip (RFC 8878, section 3.1.2), as pzstd writes it.
pub(crate) fn is_skippable(head: &[u8]) -> bool {
    head.first_chunk().is_some_and(|magic| u32::from_le_bytes(*magic) & !0xf == 0x184d_2a50)
}

/// Whether a tar archive begins with `head`: a header with the right checksum. Its name may be empty, where the real one
/// comes before it.
pub(crate) fn is_tar(head: &[u8]) -> bool {
    head.first_chunk().is_some_and(is_tar_header)
}

/// Whether a tar header (POSIX ustar and older) has the right checksum: the sum of its bytes, the checksum as spaces. Old
/// writers added them up as signed numbers.
pub(crate) fn is_tar_header(block: &[u8; 512]) -> bool {
    let field = block[148..156].trim_ascii_start();
    let (digits, end) = field.split_at(field.iter().take_while(|byte| (b'0'..=b'7').contains(byte)).count());
    if digits.is_empty() || !matches!(end.first(), None | Some(0 | b' ')) {
        return false;
    }
    let wanted = digits.iter().fold(0, |sum, digit| sum * 8 + i64::from(digit - b'0'));
    let bytes = || block[..148].iter().chain(&block[156..]);
    let spaces = 8 * i64::from(b' ');
    let unsigned = bytes().map(|byte| i64::from(*byte)).sum::<i64>() + spaces;
    let signed = bytes().map(|byte| i64::from(byte.cast_signed())).sum::<i64>() + spaces;
    wanted == unsigned || wanted == signed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_off_program_is_still_one() {
        let mut pe = vec![0; 0x100];
        pe[..2].copy_from_slice(b"MZ");
        pe[0x18] = 0x40;
        pe[0x3c] = 0xf0;
        pe[0xf0..0xf4].copy_from_slice(b"PE\0\0");
        assert!(looks_like_a_program(&pe));
        assert!(looks_like_a_program(&pe[..0xf2]), "cut inside its signature");
        assert!(looks_like_a_program(&pe[..0x40]));
        pe[0xf0] = b'L';
        assert!(!looks_like_a_program(&pe), "an OS/2 program");
        let mut dos = pe[..0x40].to_vec();
        dos[0x18] = 0x1c;
        assert!(!looks_like_a_program(&dos), "a DOS program");
        assert!(looks_like_a_program(b"\x7fELF"));
    }

    #[test]
    fn text_that_only_begins_like_an_archive_is_none() {
        for text in [
            &b"BZh is how bzip2 begins"[..],
            b"PK",
            b"!<arch>\nlibc.o/",
            b"",
            &[0; 512],
            b"#!/bin/sh PK\x03\x04",
        ] {
            assert_eq!(Format::of(text), None);
        }
    }
}
