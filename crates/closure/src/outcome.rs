//! What a closure is: who was loaded from where, for whom, and everything that is missing.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

/// The libraries of one program, in the order in which the loader searches them for symbols.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(extend("x-source" = "glibc, ld.so(8)"))]
pub struct Closure {
    /// Where the program itself stands in the root, where it does.
    pub place: Option<String>,
    /// The loader it names; `None` for a static program and for a library.
    pub interpreter: Option<Interpreter>,
    /// The program first, then its libraries breadth first. Edges and problems give indexes into this list.
    pub libraries: Vec<Library>,
    /// Who supplies the symbols that the program itself wants.
    pub bindings: Vec<Binding>,
    /// What is missing, damaged, or not to be told.
    pub problems: Vec<Problem>,
    /// Symbols whose supplier cannot be known, because a library that may have them is missing.
    pub undetermined: usize,
}

impl Closure {
    /// The problems of this weight.
    pub fn problems_of(&self, weight: Weight) -> impl Iterator<Item = &Problem> {
        self.problems.iter().filter(move |problem| problem.weight() == weight)
    }

    /// Whether the program finds everything it must.
    pub fn is_complete(&self) -> bool {
        self.problems.iter().all(|problem| problem.weight() == Weight::Note)
    }
}

/// The loader that a program names.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Interpreter {
    /// `PT_INTERP`: the path that the kernel starts as the loader.
    pub path: String,
    /// The file that is in the root.
    pub real: Option<String>,
}

/// One loaded file.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Library {
    /// The name it was asked for first; for the program, its place.
    pub name: String,
    /// The path it was found at, as the loader would say it.
    pub path: Option<String>,
    /// The same without links.
    pub real: Option<String>,
    /// `DT_SONAME`: the name it gives itself.
    pub soname: Option<String>,
    /// Which part of the search found it.
    pub via: Via,
    /// Who asked first.
    pub loader: usize,
    /// What it needs, in its own order.
    pub needs: Vec<Edge>,
}

/// One `DT_NEEDED`.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Edge {
    /// The name asked for.
    pub name: String,
    /// Which library answers; `None` where none does.
    pub library: Option<usize>,
    /// Versions needed of it, in file order.
    pub versions: Vec<String>,
}

/// Which part of the search found a library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// It is the program.
    Program,
    /// Its name has a slash: no search.
    Path,
    /// `DT_RPATH`, of the asker or of one that loaded it.
    Rpath,
    /// `DT_RUNPATH` of the asker.
    Runpath,
    /// A folder of `/etc/ld.so.conf` (or of musl's path file).
    Configured,
    /// A folder that the loader has built in.
    Default,
    /// It is the loader itself, which is there already.
    Interpreter,
}

/// Who supplies a symbol.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Binding {
    /// The symbol's name.
    pub symbol: String,
    /// The version asked for.
    pub version: Option<Arc<str>>,
    /// Whether it may stay open.
    pub weak: bool,
    /// Index of the supplier.
    pub supplier: Option<usize>,
}

/// A file of the right name that the loader does not take.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct PassedOver {
    /// Its path in the root.
    pub path: String,
    /// Why not.
    pub reason: Reason,
}

/// Why a file of the right name is not taken.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Of the other class, 32 and 64 bits.
    WrongClass {
        /// Its `EI_CLASS`, in bits.
        class: u8,
    },
    /// For another processor.
    WrongMachine {
        /// Its `e_machine`.
        machine: u16,
    },
    /// In a folder for processors that are newer than the least one.
    NewerProcessor,
    /// In a folder of `ld.so.conf`, of which `ldconfig` enters libraries by their `DT_SONAME`, where their files are called
    /// `lib*.so*` or `ld-*.so*`.
    OtherName {
        /// Its `DT_SONAME`.
        soname: Option<String>,
    },
    /// A link that leads nowhere, in circles, or to something that is not a file.
    NoFile,
}

/// What a problem means for the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// It does not start, or stops when it first needs the symbol.
    Breaks,
    /// The root does not tell.
    Unknown,
    /// It runs; a person may want to know.
    Note,
}

/// Why a C library does not apply packed relocations (`DT_RELR`).
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotApplied {
    /// A glibc before 2.36: it does not have the version `GLIBC_ABI_DT_RELR`.
    OldGlibc,
    /// glibc refuses what needs versions of it and not `GLIBC_ABI_DT_RELR` (elf/dl-version.c).
    NotAnnounced,
    /// A musl before 1.2.4.
    OldMusl {
        /// Its version.
        version: String,
    },
    /// Which musl it is cannot be told, so neither whether it applies them.
    MuslOfUnknownVersion,
}

/// What is missing, damaged, or not to be told. Indexes are into `libraries`.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Problem {
    /// The loader that the program names is not in the root.
    InterpreterMissing {
        /// `PT_INTERP`: the path that the kernel starts as the loader.
        path: String,
    },
    /// It is there, but not for this program.
    InterpreterUnfit {
        /// `PT_INTERP`: the path that the kernel starts as the loader.
        path: String,
        /// Why not.
        why: String,
    },
    /// No folder that is searched has the library.
    LibraryMissing {
        /// Its name.
        library: String,
        /// Who needs it.
        needed_by: usize,
        /// Folders that were searched, in order.
        searched: Vec<String>,
        /// Files of that name that were not taken.
        passed_over: Vec<PassedOver>,
    },
    /// The file found first is none that can be loaded, and the loader stops there.
    LibraryUnfit {
        /// Its path.
        path: String,
        /// Who needs it.
        needed_by: usize,
        /// What is wrong.
        why: String,
    },
    /// The library found has versions, but not this one.
    VersionMissing {
        /// The version.
        version: String,
        /// Index of the library that should have it.
        library: usize,
        /// Who needs it.
        needed_by: usize,
        /// `VER_FLG_WEAK`: the loader warns and goes on.
        weak: bool,
    },
    /// The library found has no versions at all: the loader warns and goes on.
    Unversioned {
        /// Index of the library.
        library: usize,
        /// Who needs versions of it.
        needed_by: usize,
    },
    /// It has `DT_RELR`, which the C library found does not apply, so that its pointers stay as they were in the file, or refuses.
    PackedRelocations {
        /// Index of the C library.
        library: usize,
        /// Whose relocations they are.
        needed_by: usize,
        /// Why it does not.
        because: NotApplied,
    },
    /// Nobody supplies a symbol that must be there.
    SymbolMissing {
        /// Its name.
        symbol: String,
        /// The version asked for.
        version: Option<Arc<str>>,
        /// The library that version is asked of.
        library: Option<Arc<str>>,
        /// Who needs it.
        needed_by: usize,
    },
    /// A part of a file that was read is damaged, so what it needs or has is not known.
    Damaged {
        /// Index of the file.
        library: usize,
        /// The part.
        part: String,
        /// What is wrong.
        detail: String,
    },
    /// A search path depends on where the program will stand, or on the folder it is started from.
    PathUnknown {
        /// The element of the search path.
        element: String,
        /// Whose path it is.
        owner: usize,
    },
    /// More than this crate is willing to do.
    LimitReached {
        /// Of what.
        what: String,
        /// The limit.
        limit: u64,
    },
}

impl Problem {
    /// What it means for the program.
    pub fn weight(&self) -> Weight {
        match self {
            Problem::VersionMissing { weak: true, .. }
            | Problem::Unversioned { .. }
            | Problem::PathUnknown { .. } => Weight::Note,
            Problem::Damaged { .. }
            | Problem::LimitReached { .. }
            | Problem::PackedRelocations { because: NotApplied::MuslOfUnknownVersion, .. } => Weight::Unknown,
            _ => Weight::Breaks,
        }
    }
}
