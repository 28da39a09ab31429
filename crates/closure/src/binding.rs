//! Versions and symbols: each version needed against the versions of the library found, each symbol against the
//! libraries in load order (glibc: `_dl_check_map_versions`, `do_lookup_x`).

use std::collections::HashSet;
use std::sync::Arc;

use crate::limits;
use crate::musl;
use crate::object::{Object, Request, Rules};
use crate::outcome::{Binding, Closure, NotApplied, Problem};
use crate::search::Search;

/// glibc's flag of a version that may be missing (`vna_flags`).
const VER_FLG_WEAK: u16 = 2;

pub(crate) fn bind(mut search: Search<'_>) -> Closure {
    if search.loader.rules == Rules::Glibc {
        check_versions(&mut search);
    }
    check_packed_relocations(&mut search);
    let mut symbols = Symbols::new(&search);
    for index in 0..search.objects.len() {
        symbols.bind(index, &mut search);
    }
    let Symbols { bindings, undetermined, .. } = symbols;
    let Search { place, interpreter, libraries, problems, .. } = search;
    Closure { place, interpreter, libraries, bindings, problems, undetermined }
}

fn check_versions(search: &mut Search<'_>) {
    for needed_by in 0..search.objects.len() {
        let object = Arc::clone(&search.objects[needed_by]);
        for need in &object.versions_needed {
            // By name, as the loader does; a library that is missing was told already.
            let Some(library) = search.answers(&need.library) else { continue };
            let supplier = Arc::clone(&search.objects[library]);
            // A warning, and the symbols are bound; but where there is no table of versions at all, an assertion fails at
            // the first of them (elf/dl-lookup.c, check_match).
            if supplier.versions_defined.is_empty() && supplier.versioned {
                search.problem(Problem::Unversioned { library, needed_by });
                continue;
            }
            for version in &need.versions {
                if !supplier.versions_defined.contains(&version.name) {
                    let weak = version.flags & VER_FLG_WEAK != 0;
                    let version = version.name.clone();
                    search.problem(Problem::VersionMissing { version, library, needed_by, weak });
                }
            }
        }
    }
}

/// Pointers that the C library found leaves as they stand in the file.
fn check_packed_relocations(search: &mut Search<'_>) {
    let packed = |index: &usize| search.objects[*index].packed_relocations;
    let packed: Vec<_> = (0..search.objects.len()).filter(packed).collect();
    let rules = search.loader.rules;
    let library = match rules {
        Rules::Glibc => search.answers("libc.so.6"),
        Rules::Musl => search.libraries.iter().position(|library| musl::is_part(&library.name)),
    };
    let Some(library) = library.filter(|_| !packed.is_empty()) else { return };
    let by_musl = if rules == Rules::Musl { not_applied_by_musl(search, library) } else { None };
    for needed_by in packed {
        let because = match rules {
            Rules::Glibc => not_applied_by_glibc(&search.objects[library], &search.objects[needed_by]),
            Rules::Musl => by_musl.clone(),
        };
        if let Some(because) = because {
            search.problem(Problem::PackedRelocations { library, needed_by, because });
        }
    }
}

/// glibc from 2.36 on relocates what asks for the version that says so, and refuses what has versions of the C library without
/// it (elf/dl-version.c); one from before relocates none.
fn not_applied_by_glibc(libc: &Object, object: &Object) -> Option<NotApplied> {
    const ANNOUNCED: &str = "GLIBC_ABI_DT_RELR";
    if !libc.versions_defined.contains(ANNOUNCED) {
        return Some(NotApplied::OldGlibc);
    }
    let of_libc = || object.versions_needed.iter().filter(|need| need.library.starts_with("libc.so."));
    let announced = of_libc().any(|need| need.versions.iter().any(|version| version.name == ANNOUNCED));
    (of_libc().next().is_some() && !announced).then_some(NotApplied::NotAnnounced)
}

/// musl looks at no version: it relocates what it knows, and passes over the rest.
fn not_applied_by_musl(search: &Search<'_>, library: usize) -> Option<NotApplied> {
    let real = search.libraries[library].real.as_deref()?;
    let bytes = search.root.read(real, limits::LIBRARY_BYTES).unwrap_or_default();
    match musl::version(&bytes) {
        None => Some(NotApplied::MuslOfUnknownVersion),
        Some(version) if musl::applies_packed_relocations(&version) => None,
        Some(version) => Some(NotApplied::OldMusl { version }),
    }
}

/// The search for symbols.
struct Symbols {
    bindings: Vec<Binding>,
    undetermined: usize,
    lookups: usize,
    /// Names of libraries that somebody needs and nobody found.
    missing: HashSet<String>,
}

impl Symbols {
    fn new(search: &Search<'_>) -> Symbols {
        let edges = search.libraries.iter().flat_map(|library| &library.needs);
        let missing = edges.filter(|edge| edge.library.is_none()).map(|edge| edge.name.clone()).collect();
        Symbols { bindings: Vec::new(), undetermined: 0, lookups: 0, missing }
    }

    fn bind(&mut self, needed_by: usize, search: &mut Search<'_>) {
        let object = Arc::clone(&search.objects[needed_by]);
        for request in &object.requests {
            let supplier = self.supplier(request, needed_by, &search.objects, search.loader.rules);
            if self.lookups > limits::LOOKUPS {
                let (what, limit) = ("symbol lookups".to_owned(), limits::LOOKUPS as u64);
                search.problem(Problem::LimitReached { what, limit });
                self.lookups = 0;
                return;
            }
            let Request { symbol, version, library, weak, .. } = request;
            if needed_by == 0 {
                let (symbol, version, weak) = (symbol.clone(), version.clone(), *weak);
                self.bindings.push(Binding { symbol, version, weak, supplier });
            }
            if supplier.is_some() || *weak {
                continue;
            }
            // The library it is bound to is missing, or nobody says which it is and one is missing.
            let unknown = match library {
                Some(library) => self.missing.contains(&**library),
                None => !self.missing.is_empty(),
            };
            if unknown {
                self.undetermined += 1;
                continue;
            }
            let (symbol, version, library) = (symbol.clone(), version.clone(), library.clone());
            search.problem(Problem::SymbolMissing { symbol, version, library, needed_by });
        }
    }

    /// The first in load order that has it.
    fn supplier(
        &mut self,
        request: &Request,
        needed_by: usize,
        objects: &[Arc<Object>],
        rules: Rules,
    ) -> Option<usize> {
        let has = |(index, object): (usize, &Arc<Object>)| {
            let own_copy = request.copy && index == needed_by;
            let (defines, compared) = object.defines(&request.symbol, request.version.as_deref(), rules);
            self.lookups += 1 + compared;
            !own_copy && defines
        };
        objects.iter().enumerate().map(has).position(|has| has)
    }
}
