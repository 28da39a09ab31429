//! musl: which names are it, and which release a file of it is.

/// The first that applies `DT_RELR` (musl 1.2.4, ldso/dynlink.c, `do_relr_relocs`).
const PACKED_RELOCATIONS: [u32; 3] = [1, 2, 4];

/// The version of a released musl, by the one text in it that can be a version of musl (`__libc_version` in src/internal/version.c);
/// `None` where there is no such text, or several, as between releases.
pub(crate) fn version(bytes: &[u8]) -> Option<String> {
    let mut versions: Vec<&str> = bytes.split(|byte| *byte == 0).filter_map(version_at_end).collect();
    versions.dedup();
    match versions[..] {
        [version] => Some(version.to_owned()),
        _ => None,
    }
}

/// musl is one file: these names are all it (ldso/dynlink.c, `reserved`).
pub(crate) fn is_part(name: &str) -> bool {
    let Some(name) = name.strip_prefix("lib") else { return false };
    ["c.", "pthread.", "rt.", "m.", "dl.", "util.", "xnet."].iter().any(|part| name.starts_with(part))
}

/// Whether that version relocates what has `DT_RELR`.
pub(crate) fn applies_packed_relocations(version: &str) -> bool {
    numbers(version).is_some_and(|numbers| numbers >= PACKED_RELOCATIONS)
}

/// A text in the middle of others may follow a byte of anything.
fn version_at_end(text: &[u8]) -> Option<&str> {
    /// `127.0.0.1` is none.
    const LONGEST: usize = "1.22.333".len();
    let is_part = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
    let length = text.iter().rev().take(LONGEST + 1).take_while(|byte| is_part(byte)).count();
    let version = std::str::from_utf8(&text[text.len() - length..]).ok()?;
    (length <= LONGEST).then_some(version).filter(|version| numbers(version).is_some())
}

/// Three numbers, of which the first was never more than 1.
fn numbers(version: &str) -> Option<[u32; 3]> {
    let mut parts = version.split('.').map(|part| part.parse().ok());
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    (parts.next().is_none() && numbers[0] <= 1).then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_the_only_text_that_can_be_one() {
        for (bytes, expected) in [
            (&b"\0musl libc (x86_64)\nVersion %s\n\x00127.0.0.1\0\x071.2.3\0/etc\0"[..], Some("1.2.3")),
            (b"1.1.24\0", Some("1.1.24")),
            (b"0.9.15\0x1.2\0", Some("0.9.15")),
            (b"1.2.3\0a1.2.3\0", Some("1.2.3")),
            (b"1.2.3\x001.2.4\0", None),
            (b"1.2.3-git-5-gab12\0", None),
            (b"2.36.0\0", None),
            (b"1.2.\0.2.3\x001.2\x001..2\x001.2.3.4\0", None),
            (b"1.2.99999999999\0", None),
            (b"", None),
        ] {
            assert_eq!(version(bytes).as_deref(), expected, "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn packed_relocations_came_with_one_release() {
        for (version, applies) in [
            ("0.9.15", false),
            ("1.1.24", false),
            ("1.2.3", false),
            ("1.2.4", true),
            ("1.2.10", true),
            ("1.3.0", true),
        ] {
            assert_eq!(applies_packed_relocations(version), applies, "{version}");
        }
    }
}
