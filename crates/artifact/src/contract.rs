//! What surrounds every build, whoever builds: its variables, and the scripts that stand in front of tools.
//!
//! `compile` uses them, `docker/toolchain.lock` names them, and a lock that names others is refused.

/// Variables that always have these values.
pub const FIXED_VARIABLES: &[(&str, &str)] = &[
    ("CARGO_INCREMENTAL", "0"),
    ("CARGO_NET_OFFLINE", "true"),
    ("CARGO_TERM_COLOR", "never"),
    ("CARGO_TERM_PROGRESS_WHEN", "never"),
    ("CC_SHELL_ESCAPED_FLAGS", "1"),
    ("LC_ALL", "C.UTF-8"),
    ("RUSTC_WORKSPACE_WRAPPER", ""),
    ("RUSTC_WRAPPER", ""),
    ("TZ", "UTC"),
];

/// Variables whose values follow from what is built and by whom; `<triple>` stands for the target triple. No variable of
/// the caller's reaches a build.
pub const COMPUTED_VARIABLES: &[&str] = &[
    "AR_<triple>",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_HOME",
    "CARGO_TARGET_<triple>_LINKER",
    "CARGO_TARGET_DIR",
    "CC_<triple>",
    "CFLAGS_<triple>",
    "CXXFLAGS_<triple>",
    "CXX_<triple>",
    "HOME",
    "PATH",
    "RUSTC",
    "SOURCE_DATE_EPOCH",
    "TMPDIR",
    "WINAPI_NO_BUNDLED_LIBRARIES",
    "ZIG_GLOBAL_CACHE_DIR",
    "ZIG_LOCAL_CACHE_DIR",
];

/// Whether a build for `triple` may have the variable `name`.
pub fn allows(name: &str, triple: &str) -> bool {
    let word = triple.replace('-', "_");
    let computed = |pattern: &&str| {
        [word.clone(), word.to_uppercase()].iter().any(|word| pattern.replace("<triple>", word) == name)
    };
    FIXED_VARIABLES.iter().any(|(fixed, _)| *fixed == name) || COMPUTED_VARIABLES.iter().any(computed)
}

/// Stands in front of dlltool, so that import libraries are the same from any folder. Needs a function `real_dlltool`.
pub const DLLTOOL_SHIM: &str = include_str!("shims/dlltool.sh");

/// Stands in front of rust-lld for static PIEs on aarch64. Needs a variable `crt`, the folder of the start files.
pub const STATIC_PIE_SHIM: &str = include_str!("shims/ld-static-pie.sh");

/// The scripts by the names of the tools that they stand in front of, in order.
pub const SHIMS: &[(&str, &str)] = &[("dlltool", DLLTOOL_SHIM), ("rust-lld", STATIC_PIE_SHIM)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_listed_is_not_allowed() {
        let triple = "aarch64-unknown-linux-gnu";
        for allowed in
            ["TZ", "PATH", "CC_aarch64_unknown_linux_gnu", "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER"]
        {
            assert!(allows(allowed, triple), "{allowed}");
        }
        for other in ["RUSTFLAGS", "CC", "CC_x86_64_pc_windows_gnu", "LD_PRELOAD", "CC_<triple>", ""] {
            assert!(!allows(other, triple), "{other}");
        }
    }

    #[test]
    fn lists_are_in_order_and_name_nothing_twice() {
        assert!(FIXED_VARIABLES.is_sorted_by(|one, next| one.0 < next.0));
        assert!(COMPUTED_VARIABLES.is_sorted_by(|one, next| one < next));
        assert!(SHIMS.is_sorted_by(|one, next| one.0 < next.0));
    }
}
