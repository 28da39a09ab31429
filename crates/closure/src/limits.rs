//! Hard caps on the work for one program. Each is a problem of weight "unknown" when hit, never a guess.

/// Libraries loaded. The largest program seen, of a desktop, has some 300.
pub(crate) const LIBRARIES: usize = 2_000;
/// Bytes of one library file.
pub(crate) const LIBRARY_BYTES: u64 = 512 << 20;
/// Bytes of all library files that one program loads.
pub(crate) const TOTAL_BYTES: u64 = 2 << 30;
/// Paths looked at while libraries are searched.
pub(crate) const PROBES: usize = 200_000;
/// Bytes of one path, Linux' `PATH_MAX`.
pub(crate) const PATH: usize = 4096;
/// Problems that list every folder that was searched.
pub(crate) const TOLD_IN_FULL: usize = 100;
/// Comparisons of a wanted symbol with a library's table.
pub(crate) const LOOKUPS: usize = 40_000_000;
/// Links followed on the way to one file; Linux' own limit (path_resolution(7)).
pub(crate) const LINKS: usize = 40;
/// Bytes of one configuration file.
pub(crate) const CONFIGURATION_BYTES: u64 = 1 << 20;
/// Folders listed in the loader's configuration, and files included.
pub(crate) const CONFIGURED: usize = 1_000;
/// How deep configuration files include each other.
pub(crate) const INCLUDES: usize = 8;
/// Problems listed.
pub(crate) const PROBLEMS: usize = 10_000;
/// Edges printed by a tree.
pub(crate) const TREE_LINES: usize = 20_000;
