//! Flags that make a program the same from any folder and hard to exploit, for every builder and target.

use artifact::{BinaryFormat, Target};

use crate::cargo::Layout;

/// How options reach the linker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkerKind {
    /// Through a C compiler: `-Wl,…`.
    Driver,
    /// Through zig, which takes some of what a driver takes.
    Zig,
    /// Directly to `rust-lld`, with the start files and libraries of the Rust target itself.
    Lld,
    /// Directly to `rust-lld`, by the script that makes a static PIE (see `tools.rs`).
    LldStaticPie,
}

/// rustc's flags. They stand in for every `rustflags` of the user's configuration, and hold no path except the ones
/// they replace: cargo makes flags part of the symbols' names, remapped prefixes excepted.
pub(crate) fn rust_flags(target: Target, layout: &Layout, linker: LinkerKind) -> Vec<String> {
    let mut flags: Vec<String> =
        prefixes(layout).iter().map(|(from, to)| format!("--remap-path-prefix={from}={to}")).collect();
    let mut add = |flag: &str| flags.push(flag.to_owned());
    match target.row().format {
        BinaryFormat::Elf => {
            add("-Crelro-level=full"); // `-z relro -z now`
            add(match linker {
                LinkerKind::Driver | LinkerKind::Zig => "-Clink-arg=-Wl,--build-id=sha1",
                LinkerKind::Lld | LinkerKind::LldStaticPie => "-Clink-arg=--build-id=sha1",
            });
        }
        // zig refuses this one; its linker takes the time from SOURCE_DATE_EPOCH.
        BinaryFormat::Pe if linker == LinkerKind::Zig => {}
        BinaryFormat::Pe => add("-Clink-arg=-Wl,--no-insert-timestamp"),
    }
    match linker {
        LinkerKind::Driver | LinkerKind::Zig => {}
        LinkerKind::Lld => add("-Clinker-flavor=ld.lld"),
        LinkerKind::LldStaticPie => {
            add("-Clinker-flavor=ld.lld");
            add("-Crelocation-model=pie");
            add("-Clink-self-contained=no"); // else rustc adds the start files of a fixed-address program
        }
    }
    flags
}

/// The same for C and C++ code that build scripts compile: rustc's remapping does not reach `__FILE__` and DWARF there.
pub(crate) fn c_flags(layout: &Layout) -> String {
    let flags = prefixes(layout).map(|(from, to)| shell_word(&format!("-ffile-prefix-map={from}={to}")));
    flags.join(" ")
}

/// What is replaced by what. Of several that fit, compilers take the last: so the longest comes last, and a target
/// folder inside the workspace is still the target folder.
fn prefixes(layout: &Layout) -> [(&str, &str); 4] {
    let mut prefixes = [
        (layout.sysroot.as_str(), "/rust"),
        (layout.source.as_str(), "/src"),
        (layout.cargo_home.as_str(), "/cargo"),
        (layout.target_dir.as_str(), "/src/target"),
    ];
    prefixes.sort_by_key(|(from, _)| from.len());
    prefixes
}

/// `text` as one word of a POSIX shell.
pub(crate) fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_=/.,:+@%".contains(c);
    if text.chars().all(is_plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
