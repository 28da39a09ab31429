//! Names against a policy's list: exact, or a prefix that ends in `*`.

/// Whether `pattern` stands for `name`.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => pattern == name,
    }
}

/// As [`matches()`], without regard to ASCII case, as Windows compares library names.
pub(crate) fn matches_ignoring_case(pattern: &str, name: &str) -> bool {
    matches(&pattern.to_ascii_lowercase(), &name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

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
