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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cargo::tests::layout;

    const REMAPS: &str = "--remap-path-prefix=/src=/src --remap-path-prefix=/rust=/rust \
                          --remap-path-prefix=/cargo=/cargo --remap-path-prefix=/target=/src/target";

    fn flags(target: Target, linker: LinkerKind) -> String {
        let flags = rust_flags(target, &layout(), linker).join(" ");
        flags.strip_prefix(REMAPS).unwrap_or_else(|| panic!("{flags}")).trim().to_owned()
    }

    #[test]
    fn each_target_and_linker_has_its_flags() {
        let elf = "-Crelro-level=full -Clink-arg=-Wl,--build-id=sha1";
        let lld = "-Crelro-level=full -Clink-arg=--build-id=sha1 -Clinker-flavor=ld.lld";
        let static_pie = format!("{lld} -Crelocation-model=pie -Clink-self-contained=no");
        let pe = "-Clink-arg=-Wl,--no-insert-timestamp";
        for (target, linker, expected) in [
            (Target::Aarch64Linux, LinkerKind::Driver, elf),
            (Target::Aarch64Linux, LinkerKind::Zig, elf),
            (Target::X86_64Linux, LinkerKind::Driver, elf),
            (Target::X86_64Linux, LinkerKind::Zig, elf),
            (Target::X86_64LinuxMusl, LinkerKind::Lld, lld),
            (Target::Aarch64LinuxMusl, LinkerKind::LldStaticPie, &static_pie),
            (Target::X86_64Windows, LinkerKind::Driver, pe),
            (Target::X86_64Windows, LinkerKind::Zig, ""),
        ] {
            assert_eq!(flags(target, linker), expected, "{target} {linker:?}");
        }
    }

    #[test]
    fn the_longest_prefix_comes_last_and_so_wins() {
        let nested = Layout {
            source: "/home/me/work".to_owned(),
            target_dir: "/home/me/work/target/zig/aarch64-linux".to_owned(),
            cargo_home: "/home/me/work/cargo".to_owned(),
            sysroot: "/home/me".to_owned(),
        };
        let to: Vec<_> = prefixes(&nested).into_iter().map(|(_, to)| to).collect();
        assert_eq!(to, ["/rust", "/src", "/cargo", "/src/target"]);
    }

    #[test]
    fn c_flags_survive_spaces_and_quotes() {
        let layout = Layout { source: "/it's here".to_owned(), ..layout() };
        assert!(c_flags(&layout).contains(r"'-ffile-prefix-map=/it'\''s here=/src'"), "{}", c_flags(&layout));
    }
}
