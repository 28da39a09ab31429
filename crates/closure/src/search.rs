//! Libraries in load order, searched for as the program's loader does it.
//!
//! glibc: `_dl_map_object`, `open_path` and `_dl_map_object_deps` in elf/; musl: `load_library` in ldso/dynlink.c.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use inspect::facts::ElfLinkage;

use crate::binding;
use crate::configuration::Loader;
use crate::families::{Family, family};
use crate::limits;
use crate::musl;
use crate::object::{Object, Rules, Unfit};
use crate::outcome::{Closure, Edge, Interpreter, Library, PassedOver, Problem, Reason, Via};
use crate::sysroot::Sysroot;
use crate::tokens;

/// What `program` finds in `root`. `place` is where it stands there, which is what `$ORIGIN` depends on; `None` where
/// that is not known.
pub fn resolve(program: &ElfLinkage, place: Option<&str>, root: &Sysroot) -> Closure {
    let program = Arc::new(Object::from(program.clone()));
    let interpreter = &program.interpreter;
    let mut problems = Vec::new();
    let family = family(program.class_machine().1, program.class, program.big_endian);
    let found = interpreter.as_ref().map(|path| find_interpreter(path, &program, root, &mut problems));
    let rules = rules(&program);
    let real = found.as_ref().and_then(|interpreter| interpreter.real.as_deref());
    let path = found.as_ref().map(|interpreter| interpreter.path.as_str());
    let loader = Loader::of(root, rules, path, real, family);
    let mut search = Search::new(root, loader, family, found, problems);
    search.load_program(program, place);
    search.load_libraries();
    search.tell_damage();
    binding::bind(search)
}

/// The C library decides how names are searched: by the loader that the program names, else by the C library it needs.
fn rules(program: &Object) -> Rules {
    let musl = match &program.interpreter {
        Some(path) => path.contains("ld-musl-"),
        None => program.needed.iter().any(|name| name == "libc.so" || name.starts_with("libc.musl-")),
    };
    if musl { Rules::Musl } else { Rules::Glibc }
}

fn find_interpreter(
    path: &str,
    program: &Object,
    root: &Sysroot,
    problems: &mut Vec<Problem>,
) -> Interpreter {
    let real = path.starts_with('/').then(|| root.real(path)).flatten();
    let mut unfit = |why: String| problems.push(Problem::InterpreterUnfit { path: path.to_owned(), why });
    match real.as_deref().map(|real| root.object(real)) {
        None | Some(Err(Unfit::NoFile)) => {
            problems.push(Problem::InterpreterMissing { path: path.to_owned() })
        }
        Some(Err(why)) => unfit(why.to_string()),
        Some(Ok(loader)) if loader.class_machine() != program.class_machine() => {
            let (class, machine) = loader.class_machine();
            unfit(format!("it is for machine {machine}, {class}-bit"));
        }
        Some(Ok(_)) => {}
    }
    Interpreter { path: path.to_owned(), real }
}

/// The work on one program.
pub(crate) struct Search<'a> {
    pub(crate) root: &'a Sysroot,
    pub(crate) loader: Loader,
    pub(crate) interpreter: Option<Interpreter>,
    pub(crate) libraries: Vec<Library>,
    /// What was read of each library; in step with `libraries`.
    pub(crate) objects: Vec<Arc<Object>>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) place: Option<String>,
    family: Option<&'static Family>,
    /// Who answers to a name: as asked for, as a path, or as `DT_SONAME`.
    names: HashMap<String, usize>,
    /// Who is which file, by its path without links.
    files: HashMap<String, usize>,
    /// Elements of search paths that were told already, with their owners.
    unknown: HashSet<(String, usize)>,
    /// Where `$ORIGIN` is for each.
    origins: Vec<Option<String>>,
    probes: usize,
    bytes: u64,
}

/// How a search for one name ended.
enum Found {
    /// It is loaded already.
    Known(usize),
    /// A file to load.
    File { path: String, real: String, object: Arc<Object>, via: Via },
    /// A file that ends the search and cannot be loaded.
    Unfit { path: String, why: Unfit },
    /// Nothing.
    Nowhere,
}

/// What a search saw on its way.
#[derive(Default)]
struct Trail {
    searched: Vec<String>,
    passed_over: Vec<PassedOver>,
}

impl<'a> Search<'a> {
    fn new(
        root: &'a Sysroot,
        loader: Loader,
        family: Option<&'static Family>,
        interpreter: Option<Interpreter>,
        problems: Vec<Problem>,
    ) -> Search<'a> {
        Search {
            root,
            loader,
            interpreter,
            libraries: Vec::new(),
            objects: Vec::new(),
            problems,
            place: None,
            family,
            names: HashMap::new(),
            files: HashMap::new(),
            unknown: HashSet::new(),
            origins: Vec::new(),
            probes: 0,
            bytes: 0,
        }
    }

    pub(crate) fn problem(&mut self, problem: Problem) {
        if self.problems.len() < limits::PROBLEMS {
            self.problems.push(problem);
        } else if self.problems.len() == limits::PROBLEMS {
            let (what, limit) = ("problems".to_owned(), limits::PROBLEMS as u64);
            self.problems.push(Problem::LimitReached { what, limit });
        }
    }

    fn limit(&mut self, what: &str, limit: u64) {
        let problem = Problem::LimitReached { what: what.to_owned(), limit };
        if !self.problems.contains(&problem) {
            self.problem(problem);
        }
    }

    fn load_program(&mut self, object: Arc<Object>, place: Option<&str>) {
        // The kernel resolves links before the loader asks where the program stands.
        let real = place.map(|place| self.root.real(place).unwrap_or_else(|| place.to_owned()));
        self.place = real.clone();
        let name = real.clone().unwrap_or_else(|| "(program)".to_owned());
        self.add(&name, real.as_deref(), real.clone(), object, Via::Program, 0);
    }

    fn add(
        &mut self,
        name: &str,
        path: Option<&str>,
        real: Option<String>,
        object: Arc<Object>,
        via: Via,
        loader: usize,
    ) -> usize {
        let index = self.libraries.len();
        // musl knows a library by what it was asked for, and by its file.
        let soname = object.soname.as_deref().filter(|_| self.loader.rules == Rules::Glibc);
        for name in [Some(name), path, soname].into_iter().flatten() {
            self.names.entry(name.to_owned()).or_insert(index);
        }
        if let Some(real) = &real {
            self.files.entry(real.clone()).or_insert(index);
        }
        let folder = path.and_then(|path| path.rsplit_once('/')).map(|(folder, _)| folder);
        let origin = folder.map(|folder| if folder.is_empty() { "/" } else { folder }.to_owned());
        self.origins.push(origin);
        let (name, path, soname) = (name.to_owned(), path.map(str::to_owned), object.soname.clone());
        self.libraries.push(Library { name, path, real, soname, via, loader, needs: Vec::new() });
        self.objects.push(object);
        index
    }

    /// Breadth first: what the program needs, then what those need, each once.
    fn load_libraries(&mut self) {
        let mut index = 0;
        while index < self.libraries.len() {
            let object = Arc::clone(&self.objects[index]);
            let mut versions: HashMap<&str, Vec<String>> = HashMap::new();
            for need in &object.versions_needed {
                let names = need.versions.iter().map(|version| version.name.clone());
                versions.entry(&need.library).or_default().extend(names);
            }
            let mut seen = HashSet::new();
            // glibc loads what a filter stands before as what is needed; musl knows no filters. Asked for twice is once.
            let filtered = object.filtered.iter().filter(|_| self.loader.rules == Rules::Glibc);
            let names: Vec<_> = object.needed.iter().chain(filtered).collect();
            for name in names.into_iter().filter(|name| seen.insert(name.as_str())) {
                if self.probes > limits::PROBES || self.libraries.len() > limits::LIBRARIES {
                    return;
                }
                let library = self.load(name, index);
                let versions = versions.remove(name.as_str()).unwrap_or_default();
                let edge = Edge { name: name.clone(), library, versions };
                self.libraries[index].needs.push(edge);
            }
            index += 1;
        }
    }

    fn load(&mut self, name: &str, asker: usize) -> Option<usize> {
        let mut trail = Trail::default();
        let found = self.find(name, asker, &mut trail);
        // What was not looked at is not missing.
        if self.probes > limits::PROBES {
            self.limit("paths looked at", limits::PROBES as u64);
            return None;
        }
        if self.bytes > limits::TOTAL_BYTES {
            return None;
        }
        match found {
            Found::Known(index) => Some(index),
            Found::File { path, real, object, via } => {
                // The same file under another name is the same library.
                if let Some(known) = self.files.get(&real).copied() {
                    self.names.insert(name.to_owned(), known);
                    return Some(known);
                }
                if self.libraries.len() >= limits::LIBRARIES {
                    self.limit("libraries", limits::LIBRARIES as u64);
                    return None;
                }
                Some(self.add(name, Some(&path), Some(real), object, via, asker))
            }
            Found::Unfit { why: Unfit::TooLarge(_), .. } => {
                self.limit("bytes of one library", limits::LIBRARY_BYTES);
                None
            }
            Found::Unfit { path, why } => {
                self.problem(Problem::LibraryUnfit { path, needed_by: asker, why: why.to_string() });
                None
            }
            Found::Nowhere => {
                let Trail { searched, mut passed_over } = trail;
                self.look_at_newer_processors(name, &searched, &mut passed_over);
                let library = name.to_owned();
                self.problem(Problem::LibraryMissing { library, needed_by: asker, searched, passed_over });
                None
            }
        }
    }

    fn find(&mut self, name: &str, asker: usize, trail: &mut Trail) -> Found {
        if let Some(known) = self.answers(name) {
            return Found::Known(known);
        }
        if let Some(found) = self.find_interpreter(name) {
            return found;
        }
        if name.contains('/') {
            let Some(path) = self.expanded(name, asker).filter(|path| path.starts_with('/')) else {
                return Found::Nowhere;
            };
            return self.take(&path, Via::Path, trail).unwrap_or(Found::Nowhere);
        }
        self.in_paths(name, asker, trail).unwrap_or(Found::Nowhere)
    }

    /// The loader is loaded before all others, so a library that needs it by name finds it without a search.
    fn find_interpreter(&self, name: &str) -> Option<Found> {
        let interpreter = self.interpreter.as_ref()?;
        let real = interpreter.real.clone()?;
        let object = self.root.object(&real).ok()?;
        let asked = name == interpreter.path
            || object.soname.as_deref() == Some(name)
            || self.loader.rules == Rules::Musl && musl::is_part(name);
        let path = interpreter.path.clone();
        asked.then_some(Found::File { path, real, object, via: Via::Interpreter })
    }

    /// Every search path in its order; `None` where nothing is found.
    fn in_paths(&mut self, name: &str, asker: usize, trail: &mut Trail) -> Option<Found> {
        for (owner, via) in self.own_paths(asker) {
            let object = &self.objects[owner];
            let list = if via == Via::Rpath { object.rpath.clone() } else { object.runpath.clone() };
            let list = list.unwrap_or_default();
            if self.loader.rules == Rules::Musl && tokens::has_other_than_origin(&list) {
                continue;
            }
            // Expanded element by element, and each tried at once: a hostile path has thousands.
            for element in list.split(':') {
                self.probes += 1;
                if self.probes > limits::PROBES {
                    return None;
                }
                let Some(folder) = self.folder(element, owner) else { continue };
                if let Some(found) = self.in_folder(&folder, name, via, trail) {
                    return Some(found);
                }
            }
        }
        // Without the default folders, also where the configuration names them (elf/dl-load.c, _dl_map_object).
        let own_paths_only = self.objects[asker].own_paths_only;
        for (via, count) in
            [(Via::Configured, self.loader.configured.len()), (Via::Default, self.loader.defaults.len())]
        {
            for index in 0..count {
                let folders =
                    if via == Via::Configured { &self.loader.configured } else { &self.loader.defaults };
                let folder = folders[index].clone();
                if own_paths_only && (via == Via::Default || self.loader.defaults.contains(&folder)) {
                    continue;
                }
                if let Some(found) = self.in_folder(&folder, name, via, trail) {
                    return Some(found);
                }
            }
        }
        None
    }

    /// Whose paths are searched for what `asker` needs. glibc: the asker's RPATH and that of everyone who loaded it,
    /// unless the asker has a RUNPATH, which is its alone. musl makes no difference and takes both from all of them.
    fn own_paths(&self, asker: usize) -> Vec<(usize, Via)> {
        let mut chain = vec![asker];
        while let Some(last) = chain.last().copied().filter(|last| *last != 0) {
            chain.push(self.libraries[last].loader);
        }
        let object = |index: usize| &self.objects[index];
        match self.loader.rules {
            Rules::Musl => chain
                .into_iter()
                .map(|index| (index, if object(index).runpath.is_some() { Via::Runpath } else { Via::Rpath }))
                .filter(|(index, _)| object(*index).runpath.is_some() || object(*index).rpath.is_some())
                .collect(),
            Rules::Glibc if object(asker).runpath.is_some() => vec![(asker, Via::Runpath)],
            Rules::Glibc => chain
                .into_iter()
                .filter(|index| object(*index).rpath.is_some())
                .map(|index| (index, Via::Rpath))
                .collect(),
        }
    }

    /// One element of `owner`'s path as a folder of the root; `None`, and told, where it depends on something else.
    fn folder(&mut self, element: &str, owner: usize) -> Option<String> {
        let folder = self.expanded(element, owner).filter(|folder| folder.starts_with('/'));
        if folder.is_none() && self.unknown.insert((element.to_owned(), owner)) {
            self.problem(Problem::PathUnknown { element: element.to_owned(), owner });
        }
        Some(folder?.trim_end_matches('/').to_owned())
    }

    /// With `$ORIGIN`, `$LIB` and `$PLATFORM` replaced, in braces or not; `None` where the origin is not known.
    fn expanded(&self, text: &str, owner: usize) -> Option<String> {
        let (lib, platform) = (self.loader.lib.as_str(), self.loader.platform.as_str());
        tokens::expanded(text, self.origins[owner].as_deref(), lib, platform)
    }

    fn in_folder(&mut self, folder: &str, name: &str, via: Via, trail: &mut Trail) -> Option<Found> {
        if self.probes > limits::PROBES {
            return None;
        }
        if trail.searched.len() < limits::CONFIGURED && self.problems.len() < limits::TOLD_IN_FULL {
            trail.searched.push(if folder.is_empty() { "/".to_owned() } else { folder.to_owned() });
        }
        if self.loader.rules == Rules::Glibc {
            for level in self.root.hwcaps() {
                let path = format!("{folder}/glibc-hwcaps/{level}/{name}");
                if let Some(found) = self.take(&path, via, trail) {
                    return Some(found);
                }
            }
        }
        self.take(&format!("{folder}/{name}"), via, trail)
    }

    /// The file at `path`, if it ends the search. Of another class or processor it is passed over (`open_verify`).
    fn take(&mut self, path: &str, via: Via, trail: &mut Trail) -> Option<Found> {
        self.probes += 1;
        let real = self.root.real(path)?;
        // Also what is passed over was read.
        self.bytes = self.bytes.saturating_add(self.root.size(&real));
        if self.bytes > limits::TOTAL_BYTES {
            self.limit("bytes of libraries", limits::TOTAL_BYTES);
            return None;
        }
        let pass_over = |trail: &mut Trail, reason| {
            if trail.passed_over.len() < limits::CONFIGURED {
                trail.passed_over.push(PassedOver { path: path.to_owned(), reason });
            }
        };
        match self.root.object(&real) {
            Err(Unfit::NoFile) => {
                pass_over(trail, Reason::NoFile);
                None
            }
            Err(why) => Some(Found::Unfit { path: path.to_owned(), why }),
            Ok(object) => {
                let (wanted, (class, machine)) = (self.objects[0].class_machine(), object.class_machine());
                // musl looks at neither, and maps it (ldso/dynlink.c, map_library).
                if self.loader.rules == Rules::Musl && (class, machine) != wanted {
                    let what =
                        format!("it is for machine {machine}, {class}-bit, and musl takes it all the same");
                    return Some(Found::Unfit { path: path.to_owned(), why: Unfit::Malformed(what) });
                }
                if class != wanted.0 {
                    pass_over(trail, Reason::WrongClass { class });
                    return None;
                }
                if machine != wanted.1 {
                    pass_over(trail, Reason::WrongMachine { machine });
                    return None;
                }
                if let Some(why) = object.unfit_for(&self.objects[0], self.loader.rules) {
                    return Some(Found::Unfit { path: path.to_owned(), why });
                }
                if via == Via::Configured && !is_entered(path, &object) {
                    pass_over(trail, Reason::OtherName { soname: object.soname.clone() });
                    return None;
                }
                Some(Found::File { path: path.to_owned(), real, object, via })
            }
        }
    }

    /// Files of that name that only a newer processor would find.
    fn look_at_newer_processors(&self, name: &str, searched: &[String], passed_over: &mut Vec<PassedOver>) {
        let levels = self.family.map_or(&[][..], |family| family.hwcaps);
        for folder in searched.iter().take(limits::CONFIGURED) {
            for level in levels.iter().filter(|level| !self.root.hwcaps().iter().any(|known| known == *level))
            {
                let path = format!("{folder}/glibc-hwcaps/{level}/{name}");
                if self.root.real(&path).is_some() {
                    passed_over.push(PassedOver { path, reason: Reason::NewerProcessor });
                }
            }
        }
    }

    /// The library of this name: as asked for, as a path, or by `DT_SONAME`.
    pub(crate) fn answers(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }

    /// What could not be read of a file may be what another one needs of it.
    fn tell_damage(&mut self) {
        for library in 0..self.objects.len() {
            let object = Arc::clone(&self.objects[library]);
            for anomaly in object.anomalies.iter().take(10) {
                let (part, detail) = (anomaly.part.clone(), anomaly.detail.clone());
                self.problem(Problem::Damaged { library, part, detail });
            }
        }
    }
}

/// Whether `ldconfig` enters the library under its file's name (elf/ldconfig.c, `search_dir`): a configured folder is only
/// looked at through what it entered. musl has no such thing.
fn is_entered(path: &str, object: &Object) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let is_looked_at =
        ["lib", "ld-", "ld.so."].iter().any(|begin| name.starts_with(begin)) && name.contains(".so");
    is_looked_at && object.soname.as_deref().is_none_or(|soname| soname == name)
}
