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
    /// An `ar` archive that begins as a Debian package does. Other `ar` archives hold object files, not programs.
    Deb,
    Rpm,
    Cabinet,
    /// A compound file (MS-CFB) with the class of a Windows Installer database.
    Installer,
}

/// How many first bytes [`Format::of`] wants to see.
pub(crate) const HEAD: u64 = 512;

impl Format {
    /// What `head`, the first [`HEAD`] bytes or all, is the beginning of.
    pub(crate) fn of(head: &[u8]) -> Option<Format> {
        let begins = |magic: &[u8]| head.starts_with(magic);
        if begins(b"\x7fELF") || begins(b"MZ") {
            Some(Format::Program)
        } else if begins(b"PK\x03\x04") || begins(b"PK\x05\x06") {
            Some(Format::Zip)
        } else if begins(&[0x1f, 0x8b, 8]) {
            Some(Format::Gzip)
        } else if begins(b"\xfd7zXZ\0") {
            Some(Format::Xz)
        } else if begins(b"BZh") && head.get(4..10).is_some_and(is_bzip2_block) {
            Some(Format::Bzip2)
        } else if begins(&[0x28, 0xb5, 0x2f, 0xfd]) {
            Some(Format::Zstd)
        } else if begins(b"!<arch>\ndebian-binary") {
            Some(Format::Deb)
        } else if begins(&[0xed, 0xab, 0xee, 0xdb]) {
            Some(Format::Rpm)
        } else if begins(b"MSCF\0\0\0\0") {
            Some(Format::Cabinet)
        } else if begins(&[0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1]) {
            Some(Format::Installer)
        } else {
            is_tar(head).then_some(Format::Tar)
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

/// What a bzip2 file goes on with: the first block's mark, or the end's in an empty one.
fn is_bzip2_block(mark: &[u8]) -> bool {
    mark == [0x31, 0x41, 0x59, 0x26, 0x53, 0x59] || mark == [0x17, 0x72, 0x45, 0x38, 0x50, 0x90]
}

/// Whether a tar archive begins with `head`: a header with a name and the right checksum.
fn is_tar(head: &[u8]) -> bool {
    head.first_chunk().is_some_and(|block| block[0] != 0 && is_tar_header(block))
}

/// Whether a tar header (POSIX ustar and older) has the right checksum: the sum of its bytes, the checksum as spaces.
pub(crate) fn is_tar_header(block: &[u8; 512]) -> bool {
    let text = str::from_utf8(&block[148..156]).unwrap_or_default();
    let Ok(wanted) = u32::from_str_radix(text.trim_matches([' ', '\0']), 8) else { return false };
    let sum = |range: std::ops::Range<usize>| block[range].iter().map(|byte| u32::from(*byte)).sum::<u32>();
    wanted == sum(0..148) + sum(156..512) + 8 * u32::from(b' ')
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
        for text in [&b"BZh is how bzip2 begins"[..], b"PK", b"!<arch>\nlibc.o/", b"", &[0; 512]] {
            assert_eq!(Format::of(text), None);
        }
    }
}
