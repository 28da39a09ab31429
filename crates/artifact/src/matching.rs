//! Names against a policy's list: exact, or a prefix that ends in `*`. Paths against a waiver's pattern.

/// Whether `pattern` stands for `name`.
pub fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => pattern == name,
    }
}

/// As [`matches()`], without regard to ASCII case, as Windows compares library names.
pub fn matches_ignoring_case(pattern: &str, name: &str) -> bool {
    matches(&pattern.to_ascii_lowercase(), &name.to_ascii_lowercase())
}

/// Whether the end of `path`, from the start of one of its components on, is what `pattern` stands for: `*` is any text
/// within one component, `**` any text, `?` one character of a component. Components end at `/`, `\\` and `!`.
pub fn ends_with(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<_>, Vec<_>) =
        (pattern.bytes().map(slash).collect(), path.bytes().map(slash).collect());
    // Which ends of the path's prefixes are reached: one row a byte of the pattern, so the steps are the product of
    // the lengths, whatever they hold. Every component's start is reached by nothing.
    let mut reached: Vec<bool> =
        (0..=path.len()).map(|at| at < path.len() && (at == 0 || is_boundary(path[at - 1]))).collect();
    let mut at = 0;
    while at < pattern.len() {
        let deep = pattern[at..].starts_with(b"**");
        let mut next = vec![false; path.len() + 1];
        for end in 0..=path.len() {
            let before = end.checked_sub(1);
            let grown = before.is_some_and(|before| match pattern[at] {
                b'*' => next[before] && (deep || !is_boundary(path[before])),
                b'?' => reached[before] && !is_boundary(path[before]),
                byte => reached[before] && byte == path[before],
            });
            next[end] = grown || pattern[at] == b'*' && reached[end];
        }
        reached = next;
        at += if deep { 2 } else { 1 };
    }
    reached[path.len()]
}

fn slash(byte: u8) -> u8 {
    if byte == b'\\' { b'/' } else { byte }
}

fn is_boundary(byte: u8) -> bool {
    byte == b'/' || byte == b'!'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_pattern_is_the_end_of_a_path_in_whole_components() {
        for (pattern, path) in [
            ("ship", "ship"),
            ("ship", "dist/ship"),
            ("ship", "dist/a.tar.gz!a/ship"),
            ("a/ship", "dist/a.tar.gz!a/ship"),
            ("*.so.?", "/usr/lib/libc.so.6"),
            ("lib/*/libc.so*", "/usr/lib/x86/libc.so.6"),
            ("/usr/**", "/usr/lib/x86/libc.so.6"),
            ("a*b*c", "x/aXbXc"),
            ("dist\\ship.exe", "C:\\dist\\ship.exe"),
            ("**", "any/thing!at/all"),
        ] {
            assert!(ends_with(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("ship", "airship"),
            ("ship", "ship/other"),
            ("lib/*", "lib/a/b"),
            ("a?b", "a/b"),
            ("*.so", "libc.so.6"),
            ("", "ship"),
        ] {
            assert!(!ends_with(pattern, path), "{pattern} {path}");
        }
    }

    #[test]
    fn a_pattern_full_of_stars_ends_soon() {
        let pattern = "*a".repeat(100) + "b";
        assert!(!ends_with(&pattern, &"a".repeat(4000)));
    }

    #[test]
    fn a_star_ends_a_prefix_and_nothing_else_is_special() {
        assert!(matches(".debug_*", ".debug_info"));
        assert!(matches(".text", ".text"));
        assert!(!matches(".text", ".text.unlikely"));
        assert!(!matches("api-ms-win-*", "api-ms-wix-core.dll"));
    }

    #[test]
    fn library_names_are_compared_without_case() {
        assert!(matches_ignoring_case("KERNEL32.dll", "kernel32.DLL"));
        assert!(matches_ignoring_case("api-ms-win-*", "API-MS-WIN-core-synch-l1-2-0.dll"));
        assert!(!matches_ignoring_case("KERNEL32.dll", "KERNEL32.dll.evil"));
    }
}
