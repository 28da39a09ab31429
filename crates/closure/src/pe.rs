//! The import closure of a Windows program: a folder beside it, and what Windows has.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::path::Path;

use inspect::facts::{PeExport, PeFunction, PeImport, PeLinkage};
use schemars::JsonSchema;
use serde::Serialize;

use crate::limits;

/// The DLLs of a Windows, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemDlls {
    known: BTreeSet<String>,
    system: BTreeSet<String>,
    prefixes: Vec<String>,
}

/// The list that is built in; see its head for where the names are from.
const WINDOWS_10: &str = include_str!("windows-10-x64.txt");

impl SystemDlls {
    /// What every desktop Windows 10 on x86-64 has in System32.
    pub fn windows_10() -> SystemDlls {
        let mut dlls = SystemDlls { known: BTreeSet::new(), system: BTreeSet::new(), prefixes: Vec::new() };
        let mut section = "";
        for line in WINDOWS_10.lines().map(|line| line.split('#').next().unwrap_or_default().trim()) {
            match (line, section) {
                ("", _) => {}
                ("[known]" | "[system]" | "[prefixes]", _) => section = line,
                (names, "[prefixes]") => dlls.prefixes.extend(names.split_whitespace().map(str::to_owned)),
                (names, "[known]") => dlls.known.extend(names.split_whitespace().map(file_name)),
                (names, _) => dlls.system.extend(names.split_whitespace().map(file_name)),
            }
        }
        dlls
    }

    /// With more DLLs that the devices have.
    #[must_use]
    pub fn with(mut self, names: &[String]) -> SystemDlls {
        self.system.extend(names.iter().map(|name| file_name(name)));
        self
    }

    /// Whether Windows has it.
    pub fn has(&self, library: &str) -> bool {
        let name = file_name(library);
        self.known.contains(&name) || self.system.contains(&name) || self.is_api_set(&name)
    }

    /// `KnownDLLs`, and what those import: taken from System32 whatever stands beside the program.
    fn is_known(&self, library: &str) -> bool {
        self.known.contains(&file_name(library))
    }

    /// A name without a file: Windows has a table from such names to files (API set schema).
    fn is_api_set(&self, library: &str) -> bool {
        let name = file_name(library);
        self.prefixes.iter().any(|prefix| name.starts_with(prefix))
    }
}

/// As the loader compares names: without regard to case, and `.dll` where there is no extension.
fn file_name(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    if name.contains('.') { name } else { name + ".dll" }
}

/// The import closure of one program.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(extend("x-source" = "Windows, Dynamic-Link Library Search Order"))]
pub struct PeClosure {
    /// The program first, then the DLLs of the folder that it reaches.
    pub modules: Vec<PeModule>,
    /// What is missing, damaged, or not to be told.
    pub problems: Vec<PeProblem>,
}

impl PeClosure {
    /// Whether the program finds everything it must.
    pub fn is_complete(&self) -> bool {
        !self.problems.iter().any(PeProblem::is_fatal)
    }
}

/// A file and where its imports are.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct PeModule {
    /// Its name in the folder.
    pub name: String,
    /// What it imports.
    pub imports: Vec<PeEdge>,
}

/// One imported DLL.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct PeEdge {
    /// Its name as written.
    pub library: String,
    /// Whether it is delay-loaded.
    pub delayed: bool,
    /// Where it is.
    pub supplier: PeSupplier,
}

/// Where a DLL is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PeSupplier {
    /// In Windows.
    System,
    /// In Windows, behind a name of an API set.
    ApiSet,
    /// In the folder: index into `modules`.
    Module(usize),
    /// Nowhere.
    Missing,
}

/// What is missing, damaged, or not to be told. Indexes are into `modules`.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum PeProblem {
    /// Neither the folder nor Windows has the DLL.
    DllMissing {
        /// Its name as written.
        library: String,
        /// Who imports it.
        needed_by: usize,
        /// Whether the program starts without it, and fails at the first call.
        delayed: bool,
    },
    /// The folder's DLL is for another processor.
    WrongMachine {
        /// Its name.
        library: String,
        /// Who imports it.
        needed_by: usize,
        /// Its COFF `Machine`.
        machine: u16,
    },
    /// The folder's file of that name is no DLL.
    Unfit {
        /// Its name.
        library: String,
        /// Who imports it.
        needed_by: usize,
        /// What is wrong.
        why: String,
    },
    /// The folder's DLL does not export a function.
    FunctionMissing {
        /// Its name or `#` and its ordinal.
        function: String,
        /// The DLL's name.
        library: String,
        /// Who imports it.
        needed_by: usize,
    },
    /// A function that is used is really another DLL's; that one was not looked at.
    Forwarded {
        /// Its name or `#` and its ordinal.
        function: String,
        /// The DLL's name.
        library: String,
        /// Where it really is.
        to: String,
    },
    /// A part of a file that was read is damaged.
    Damaged {
        /// The file's name.
        library: String,
        /// The part.
        part: String,
        /// What is wrong.
        detail: String,
    },
    /// More than this crate is willing to do.
    LimitReached {
        /// Of what.
        what: String,
        /// The limit.
        limit: u64,
    },
}

impl PeProblem {
    /// Whether it may keep the program from working; the rest is for a person to know.
    pub fn is_fatal(&self) -> bool {
        !matches!(self, PeProblem::Forwarded { .. })
    }

    /// Whether it is not known what it means for the program.
    pub fn is_unknown(&self) -> bool {
        matches!(self, PeProblem::Damaged { .. } | PeProblem::LimitReached { .. })
    }
}

/// What `program` finds in `folder`, beside it, and in Windows.
///
/// KnownDLLs are Windows' own; of the others the folder's goes before Windows' (the DLL search order of a program that
/// sets nothing else). Functions are checked where the DLL is in the folder; of Windows' DLLs names only.
pub fn resolve_pe(name: &str, program: &PeLinkage, folder: &Path, windows: &SystemDlls) -> PeClosure {
    let mut walk = Walk {
        windows,
        folder,
        files: files(folder),
        modules: Vec::new(),
        linkages: Vec::new(),
        exports: Vec::new(),
        loaded: HashMap::new(),
        missing: HashSet::new(),
    };
    let mut closure = PeClosure { modules: Vec::new(), problems: Vec::new() };
    walk.add(name, program.clone());
    let mut index = 0;
    while index < walk.modules.len() {
        for import in std::mem::take(&mut walk.linkages[index].imports) {
            let supplier = walk.supplier(&import.library, import.delayed, index, &mut closure.problems);
            if let PeSupplier::Module(found) = supplier {
                walk.check_functions(&import.functions, index, found, 0, &mut closure.problems);
            }
            let PeImport { library, delayed, .. } = import;
            walk.modules[index].imports.push(PeEdge { library, delayed, supplier });
            // Told in full below; no more than that is gathered.
            closure.problems.truncate(limits::PROBLEMS + 1);
        }
        for anomaly in walk.linkages[index].anomalies.iter().take(10) {
            let (part, detail) = (anomaly.part.clone(), anomaly.detail.clone());
            closure.problems.push(PeProblem::Damaged {
                library: walk.modules[index].name.clone(),
                part,
                detail,
            });
        }
        index += 1;
    }
    closure.modules = walk.modules;
    if closure.problems.len() > limits::PROBLEMS {
        closure.problems.truncate(limits::PROBLEMS);
        let (what, limit) = ("problems".to_owned(), limits::PROBLEMS as u64);
        closure.problems.push(PeProblem::LimitReached { what, limit });
    }
    closure
}

/// Regular files of a folder by their names in lower case. Links lead to anywhere, so they are not files here.
fn files(folder: &Path) -> HashMap<String, String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    let names = files.filter_map(|entry| entry.file_name().into_string().ok());
    names.take(limits::CONFIGURED * 10).map(|name| (name.to_ascii_lowercase(), name)).collect()
}

/// How often one function is forwarded; in Windows it is twice at most.
const FORWARDS: usize = 8;

struct Walk<'a> {
    windows: &'a SystemDlls,
    folder: &'a Path,
    files: HashMap<String, String>,
    modules: Vec<PeModule>,
    linkages: Vec<PeLinkage>,
    /// What each module offers.
    exports: Vec<Exports>,
    /// How each file of the folder was loaded, by its name.
    loaded: HashMap<String, PeSupplier>,
    /// What was told as missing, and for whom.
    missing: HashSet<(String, usize)>,
}

/// Where each function of a DLL really is, where that is elsewhere.
#[derive(Default)]
struct Exports {
    names: HashMap<String, Option<String>>,
    ordinals: HashMap<u32, Option<String>>,
}

impl From<Vec<PeExport>> for Exports {
    fn from(all: Vec<PeExport>) -> Exports {
        let mut exports = Exports::default();
        for PeExport { name, ordinal, forwarder } in all {
            exports.names.extend(name.map(|name| (name, forwarder.clone())));
            exports.ordinals.insert(ordinal, forwarder);
        }
        exports
    }
}

impl Walk<'_> {
    fn add(&mut self, name: &str, mut linkage: PeLinkage) -> usize {
        self.loaded.insert(name.to_owned(), PeSupplier::Module(self.modules.len()));
        self.modules.push(PeModule { name: name.to_owned(), imports: Vec::new() });
        self.exports.push(std::mem::take(&mut linkage.exports).into());
        self.linkages.push(linkage);
        self.modules.len() - 1
    }

    fn supplier(
        &mut self,
        library: &str,
        delayed: bool,
        needed_by: usize,
        problems: &mut Vec<PeProblem>,
    ) -> PeSupplier {
        let wanted = file_name(library);
        if self.windows.is_api_set(&wanted) {
            return PeSupplier::ApiSet;
        }
        if self.windows.is_known(&wanted) {
            return PeSupplier::System;
        }
        if let Some(name) = self.files.get(&wanted).cloned() {
            return self.load(&name, needed_by, problems);
        }
        if self.windows.has(&wanted) {
            return PeSupplier::System;
        }
        if self.missing.insert((wanted, needed_by)) {
            problems.push(PeProblem::DllMissing { library: library.to_owned(), needed_by, delayed });
        }
        PeSupplier::Missing
    }

    fn load(&mut self, name: &str, needed_by: usize, problems: &mut Vec<PeProblem>) -> PeSupplier {
        if let Some(known) = self.loaded.get(name) {
            return *known;
        }
        // Until it is loaded: what cannot be is told once.
        self.loaded.insert(name.to_owned(), PeSupplier::Missing);
        if self.modules.len() >= limits::LIBRARIES {
            let (what, limit) = ("libraries".to_owned(), limits::LIBRARIES as u64);
            problems.push(PeProblem::LimitReached { what, limit });
            return PeSupplier::Missing;
        }
        let library = name.to_owned();
        let linkage = match self.read(name) {
            Ok(linkage) => linkage,
            Err(why) => {
                problems.push(PeProblem::Unfit { library, needed_by, why });
                return PeSupplier::Missing;
            }
        };
        if linkage.machine != self.linkages[0].machine {
            problems.push(PeProblem::WrongMachine { library, needed_by, machine: linkage.machine });
            return PeSupplier::Missing;
        }
        PeSupplier::Module(self.add(name, linkage))
    }

    fn read(&self, name: &str) -> Result<PeLinkage, String> {
        let path = self.folder.join(name);
        let size = fs::metadata(&path).map_err(|error| error.to_string())?.len();
        if size > limits::LIBRARY_BYTES {
            return Err(format!("it has {size} bytes"));
        }
        let bytes = fs::read(&path).map_err(|error| error.to_string())?;
        inspect::pe_linkage(&bytes).map_err(|error| error.to_string())
    }

    /// Whether the module `found` offers the functions, itself or by others that it forwards to, at most `FORWARDS` deep.
    fn check_functions(
        &mut self,
        functions: &[PeFunction],
        needed_by: usize,
        found: usize,
        depth: usize,
        problems: &mut Vec<PeProblem>,
    ) {
        let library = self.modules[found].name.clone();
        let mut forwarded = Vec::new();
        for function in functions {
            let exports = &self.exports[found];
            let (shown, export) = match function {
                PeFunction::Name(name) => (name.clone(), exports.names.get(name)),
                PeFunction::Ordinal(ordinal) => {
                    (format!("#{ordinal}"), exports.ordinals.get(&u32::from(*ordinal)))
                }
            };
            let (function, library) = (shown, library.clone());
            match export {
                None => problems.push(PeProblem::FunctionMissing { function, library, needed_by }),
                Some(Some(to)) => {
                    forwarded.push(to.clone());
                    problems.push(PeProblem::Forwarded { function, library, to: to.clone() });
                }
                Some(None) => {}
            }
            if problems.len() > limits::PROBLEMS {
                return;
            }
        }
        for to in forwarded {
            self.follow(&to, found, depth, problems);
        }
    }

    /// A forwarder is an import of its own: `DLL.function` or `DLL.#ordinal`, looked for as any (PE/COFF specification, Export
    /// Address Table).
    fn follow(&mut self, to: &str, from: usize, depth: usize, problems: &mut Vec<PeProblem>) {
        if depth >= FORWARDS {
            let (what, limit) = ("forwarders of one function".to_owned(), FORWARDS as u64);
            return problems.push(PeProblem::LimitReached { what, limit });
        }
        let (library, function) = to.rsplit_once('.').unwrap_or((to, ""));
        let function = match function.strip_prefix('#').and_then(|ordinal| ordinal.parse().ok()) {
            Some(ordinal) => PeFunction::Ordinal(ordinal),
            None => PeFunction::Name(function.to_owned()),
        };
        if let PeSupplier::Module(found) = self.supplier(library, false, from, problems) {
            self.check_functions(&[function], from, found, depth + 1, problems);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_as_windows_does() {
        let windows = SystemDlls::windows_10();
        for name in [
            "KERNEL32.dll",
            "kernel32",
            "Ws2_32.DLL",
            "winspool.drv",
            "MFC42u.DLL",
            "ntoskrnl.exe",
            "NDIS.SYS",
            "API-MS-WIN-CRT-heap-l1-1-0.dll",
        ] {
            assert!(windows.has(name), "{name}");
        }
        let not_there = [
            "libgcc_s_seh-1.dll",
            "libwinpthread-1.dll",
            "vcruntime140.dll",
            "msvcr100.dll",
            "d3dx9_43.dll",
            "",
        ];
        for name in not_there {
            assert!(!windows.has(name), "{name}");
        }
        assert!(windows.clone().with(&["VCRUNTIME140.dll".to_owned()]).has("vcruntime140.dll"));
        assert!(windows.system.is_disjoint(&windows.known));
    }
}
