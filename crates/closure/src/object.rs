//! One loadable file: what it needs, what it has, and which of its definitions answers a request.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use inspect::facts::{Anomaly, ElfExport, ElfImport, ElfLinkage, VersionNeed};

/// Why a file cannot be loaded at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// Neither a file nor a link to one.
    NoFile,
    /// Its size in bytes.
    TooLarge(u64),
    /// What the system says.
    Unreadable(String),
    /// What its reader says.
    Malformed(String),
}

impl fmt::Display for Unfit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unfit::NoFile => formatter.write_str("it is not a file"),
            Unfit::TooLarge(bytes) => write!(formatter, "it has {bytes} bytes"),
            Unfit::Unreadable(why) | Unfit::Malformed(why) => formatter.write_str(why),
        }
    }
}

/// How the symbols of a loader are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rules {
    /// By name and version.
    Glibc,
    /// By name, default versions only (musl, `find_sym`).
    Musl,
}

/// A symbol that an object wants of others.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) symbol: String,
    pub(crate) version: Option<Arc<str>>,
    pub(crate) library: Option<Arc<str>>,
    pub(crate) weak: bool,
    /// The object has a copy of the variable itself, which does not count (`R_*_COPY`).
    pub(crate) copy: bool,
}

#[derive(Debug)]
struct Definition {
    version: Option<Arc<str>>,
    version_index: u16,
    hidden: bool,
}

/// A loadable file.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) class: u8,
    pub(crate) big_endian: bool,
    machine: u16,
    file_type: u16,
    pub(crate) interpreter: Option<String>,
    pub(crate) needed: Vec<String>,
    pub(crate) soname: Option<String>,
    /// Only where it counts, which is without `DT_RUNPATH` (glibc, `elf_get_dynamic_info`).
    pub(crate) rpath: Option<String>,
    pub(crate) runpath: Option<String>,
    os_abi: (u8, u8),
    flags_1: u64,
    /// `DT_RELR`.
    pub(crate) packed_relocations: bool,
    pub(crate) filtered: Vec<String>,
    /// `DF_1_NODEFLIB`: only its own paths are searched.
    pub(crate) own_paths_only: bool,
    pub(crate) versions_needed: Vec<VersionNeed>,
    pub(crate) versions_defined: HashSet<String>,
    pub(crate) requests: Vec<Request>,
    pub(crate) anomalies: Vec<Anomaly>,
    pub(crate) versioned: bool,
    definitions: HashMap<String, Vec<Definition>>,
}

const DF_1_NODEFLIB: u64 = 0x800;
/// x86, x86-64, AArch64, RISC-V.
const HAS_NO_ABI_OF_ITS_OWN: [u16; 4] = [3, 62, 183, 243];

impl Object {
    pub(crate) fn read(bytes: &[u8]) -> Result<Object, Unfit> {
        match inspect::elf_linkage(bytes) {
            Ok(linkage) => Ok(Object::from(linkage)),
            Err(error) => Err(Unfit::Malformed(error.to_string())),
        }
    }

    /// What the loader compares before it takes a file: the class in bits and `e_machine`.
    pub(crate) fn class_machine(&self) -> (u8, u16) {
        (self.class, self.machine)
    }

    /// Why the loader gives up at this file although class and machine are right (`open_verify`).
    pub(crate) fn unfit_for(&self, program: &Object, rules: Rules) -> Option<Unfit> {
        const EXECUTABLE_OR_SHARED: [u16; 2] = [2, 3];
        const EXECUTABLE: u16 = 2;
        const DF_1_PIE: u64 = 0x0800_0000;
        /// System V's, and GNU's with the ABI versions up to unique symbols, indirect functions and absolute ones.
        const SYSTEM_V: (u8, u8) = (0, 0);
        const GNU: u8 = 3;
        const GNU_VERSIONS: u8 = 3;
        if self.big_endian != program.big_endian {
            return Some(Unfit::Malformed("its byte order is the other one".to_owned()));
        }
        if rules == Rules::Glibc {
            // elf/dl-load.c, open_verify and _dl_map_object_from_fd; ARM and MIPS have values of their own.
            let (os_abi, version) = self.os_abi;
            let is_known = self.os_abi == SYSTEM_V || os_abi == GNU && version <= GNU_VERSIONS;
            if !is_known && HAS_NO_ABI_OF_ITS_OWN.contains(&self.machine) {
                let what = format!(
                    "its EI_OSABI is {os_abi} and its EI_ABIVERSION {version}, which glibc does not load"
                );
                return Some(Unfit::Malformed(what));
            }
            if self.file_type == EXECUTABLE || self.flags_1 & DF_1_PIE != 0 {
                return Some(Unfit::Malformed(
                    "it is a program, which glibc does not load as a library".to_owned(),
                ));
            }
        }
        let loadable = EXECUTABLE_OR_SHARED.contains(&self.file_type);
        (!loadable).then(|| Unfit::Malformed(format!("its e_type is {}, not 2 or 3", self.file_type)))
    }

    /// Whether a definition here answers a request (glibc, `check_match`; musl, `find_sym`), and how many were compared.
    pub(crate) fn defines(&self, symbol: &str, version: Option<&str>, rules: Rules) -> (bool, usize) {
        let Some(definitions) = self.definitions.get(symbol) else { return (false, 0) };
        if !self.versioned {
            return (true, 1);
        }
        let answers = match (rules, version) {
            (Rules::Musl, _) => definitions.iter().any(|definition| !definition.hidden),
            (Rules::Glibc, Some(wanted)) => definitions.iter().any(|definition| match &definition.version {
                Some(version) => **version == *wanted,
                None => !definition.hidden,
            }),
            (Rules::Glibc, None) => {
                // Linked before this library had versions: the base, the first version, or the only default.
                let first = definitions.iter().any(|definition| definition.version_index < 3);
                let defaults = definitions.iter().filter(|definition| !definition.hidden).count();
                first || defaults == 1
            }
        };
        (answers, definitions.len())
    }
}

impl From<ElfLinkage> for Object {
    fn from(linkage: ElfLinkage) -> Object {
        // What carries a version of another library is a copy of its variable, which must be there to be copied.
        let copies = linkage.exports.iter().filter(|export| export.library.is_some());
        let copies = copies.map(|ElfExport { name, version, library, .. }| Request {
            symbol: name.clone(),
            version: version.clone(),
            library: library.clone(),
            weak: false,
            copy: true,
        });
        let imports = linkage.imports.into_iter().zip(linkage.looked_up).filter(|(_, looked_up)| *looked_up);
        let imports = imports.map(|(ElfImport { name, weak, version, library }, _)| Request {
            symbol: name,
            version,
            library,
            weak,
            copy: false,
        });
        let requests = imports.chain(copies).collect();
        let mut definitions: HashMap<String, Vec<Definition>> = HashMap::with_capacity(linkage.exports.len());
        for ElfExport { name, version, version_index, hidden, .. } in linkage.exports {
            definitions.entry(name).or_default().push(Definition { version, version_index, hidden });
        }
        Object {
            class: linkage.class,
            big_endian: linkage.big_endian,
            machine: linkage.machine,
            file_type: linkage.file_type,
            interpreter: linkage.interpreter,
            needed: linkage.needed,
            os_abi: linkage.os_abi,
            flags_1: linkage.flags_1,
            packed_relocations: linkage.packed_relocations,
            filtered: linkage.filtered,
            soname: linkage.soname,
            rpath: linkage.rpath.filter(|_| linkage.runpath.is_none()),
            runpath: linkage.runpath,
            own_paths_only: linkage.flags_1 & DF_1_NODEFLIB != 0,
            versions_needed: linkage.versions_needed,
            versions_defined: linkage.versions_defined.into_iter().map(|version| version.name).collect(),
            requests,
            anomalies: linkage.anomalies,
            versioned: linkage.versioned,
            definitions,
        }
    }
}
