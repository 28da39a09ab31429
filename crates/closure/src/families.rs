//! What differs from processor to processor: default folders, names of the loader, and what `$LIB` means.

/// One processor as glibc builds for it.
#[derive(Debug)]
pub(crate) struct Family {
    machine: u16,
    class: u8,
    big_endian: Option<bool>,
    /// The loader's usual path, for files that name none.
    pub(crate) loader: &'static str,
    /// `AT_PLATFORM`, which `$PLATFORM` becomes.
    pub(crate) platform: &'static str,
    /// The folder of glibc's own build; `lib` is always searched too.
    pub(crate) slib: &'static str,
    /// Debian's folder below `lib`.
    pub(crate) multiarch: &'static str,
    /// Folders below `glibc-hwcaps`, best first.
    pub(crate) hwcaps: &'static [&'static str],
    /// As musl names it in `/etc/ld-musl-*.path`.
    pub(crate) musl: &'static str,
}

/// The family of a file, if it is one of those known.
pub(crate) fn family(machine: u16, class: u8, big_endian: bool) -> Option<&'static Family> {
    FAMILIES.iter().find(|family| {
        family.machine == machine
            && family.class == class
            && family.big_endian.is_none_or(|order| order == big_endian)
    })
}

const fn row(
    (machine, class, big_endian): (u16, u8, Option<bool>),
    (loader, platform, slib): (&'static str, &'static str, &'static str),
    multiarch: &'static str,
    musl: &'static str,
    hwcaps: &'static [&'static str],
) -> Family {
    Family { machine, class, big_endian, loader, platform, slib, multiarch, hwcaps, musl }
}

/// Machine numbers are those of the gABI; loaders those of glibc's `shlib-versions` and Debian's multiarch tuples.
const FAMILIES: &[Family] = &[
    row(
        (62, 64, None),
        ("/lib64/ld-linux-x86-64.so.2", "x86_64", "lib64"),
        "x86_64-linux-gnu",
        "x86_64",
        &["x86-64-v4", "x86-64-v3", "x86-64-v2"],
    ),
    row(
        (62, 32, None),
        ("/libx32/ld-linux-x32.so.2", "x86_64", "libx32"),
        "x86_64-linux-gnux32",
        "x32",
        &["x86-64-v4", "x86-64-v3", "x86-64-v2"],
    ),
    row((3, 32, None), ("/lib/ld-linux.so.2", "i686", "lib"), "i386-linux-gnu", "i386", &[]),
    row(
        (183, 64, Some(false)),
        ("/lib/ld-linux-aarch64.so.1", "aarch64", "lib64"),
        "aarch64-linux-gnu",
        "aarch64",
        &[],
    ),
    row(
        (183, 64, Some(true)),
        ("/lib/ld-linux-aarch64_be.so.1", "aarch64", "lib64"),
        "aarch64_be-linux-gnu",
        "aarch64_be",
        &[],
    ),
    row((40, 32, None), ("/lib/ld-linux-armhf.so.3", "v7l", "lib"), "arm-linux-gnueabihf", "armhf", &[]),
    row(
        (243, 64, None),
        ("/lib/ld-linux-riscv64-lp64d.so.1", "", "lib64/lp64d"),
        "riscv64-linux-gnu",
        "riscv64",
        &[],
    ),
    row(
        (21, 64, Some(false)),
        ("/lib64/ld64.so.2", "power8", "lib64"),
        "powerpc64le-linux-gnu",
        "powerpc64le",
        &["power10", "power9"],
    ),
    row(
        (21, 64, Some(true)),
        ("/lib64/ld64.so.1", "power4", "lib64"),
        "powerpc64-linux-gnu",
        "powerpc64",
        &[],
    ),
    row(
        (22, 64, None),
        ("/lib/ld64.so.1", "z900", "lib64"),
        "s390x-linux-gnu",
        "s390x",
        &["z16", "z15", "z14", "z13"],
    ),
    row(
        (258, 64, None),
        ("/lib64/ld-linux-loongarch-lp64d.so.1", "", "lib64"),
        "loongarch64-linux-gnu",
        "loongarch64",
        &[],
    ),
    row(
        (8, 64, Some(false)),
        ("/lib64/ld.so.1", "mips64", "lib64"),
        "mips64el-linux-gnuabi64",
        "mips64el",
        &[],
    ),
    row((8, 32, Some(false)), ("/lib/ld.so.1", "mips", "lib"), "mipsel-linux-gnu", "mipsel", &[]),
    row((8, 32, Some(true)), ("/lib/ld.so.1", "mips", "lib"), "mips-linux-gnu", "mips", &[]),
    row((20, 32, None), ("/lib/ld.so.1", "ppc", "lib"), "powerpc-linux-gnu", "powerpc", &[]),
];
