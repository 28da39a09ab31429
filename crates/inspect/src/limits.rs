//! Hard caps. A file that is larger in any respect gets an anomaly, and the rest of that part is not read.

/// Things listed from one file in all: sections, symbols, imports, notes, exports but those that follow. The largest honest
/// file seen has some 120,000.
pub(crate) const ITEMS: usize = 150_000;
/// Symbols that an ELF file offers, where no more than their names are kept: Debian's `dockerd` has 170,776.
pub(crate) const EXPORTS: usize = 250_000;
/// Bytes of names copied from one file in all.
pub(crate) const TEXT: usize = 16 << 20;
/// The longest single name or path, in bytes.
pub(crate) const NAME: usize = 16 << 10;
/// Section headers of one file. Programs have some forty; a larger object file is not what is released.
pub(crate) const SECTIONS: u64 = 1 << 16;
/// Bytes of the program headers of what is loaded: Linux starts nothing with more (fs/binfmt_elf.c, `load_elf_phdrs`), and what is
/// asked of each segment for each section stays short work. A core dump may have more.
pub(crate) const SEGMENTS: u64 = 64 << 10;
/// Bytes of one note's description that are kept.
pub(crate) const NOTE: usize = 4 << 10;
/// Bytes of all notes' descriptions: written out as numbers they take twenty times as much.
pub(crate) const NOTES: usize = 1 << 20;
/// Base relocation entries that are counted.
pub(crate) const BASE_RELOCATIONS: usize = 16 << 20;
/// Dynamic relocations that are looked at. Debian's `dockerd` has 244,000.
pub(crate) const DYNAMIC_RELOCATIONS: u64 = 4 << 20;
/// Resources of a PE file that are listed; each has a path of its own.
pub(crate) const RESOURCES: usize = 1 << 16;
/// Bytes of names in the paths of those resources, as they are printed: a directory's name with each resource below it.
pub(crate) const RESOURCE_TEXT: usize = 1 << 20;
/// Anomalies that are listed.
pub(crate) const ANOMALIES: usize = 100;
