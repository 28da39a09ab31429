//! A closure for people: who needs whom, where it was found, and what is missing.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;

use crate::limits;
use crate::outcome::{Closure, Edge, NotApplied, PassedOver, Problem, Reason, Weight};
use crate::pe::{PeClosure, PeProblem, PeSupplier};

/// The tree of libraries, each with the newest version needed of it, then the problems.
///
/// A library is unfolded where it is needed first; further down it has a line of its own only.
pub fn tree(closure: &Closure) -> String {
    let mut text = format!("{}\n", closure.libraries[0].name);
    if let Some(interpreter) = &closure.interpreter {
        let found = interpreter.real.as_deref().unwrap_or("not found");
        let _ = writeln!(text, "  interpreter {} => {found}", interpreter.path);
    }
    let mut lines = 0;
    let mut unfolded = HashSet::from([0]);
    // A stack of edges to print, deepest last; no recursion, as a hostile chain has thousands.
    let mut rest: Vec<(usize, &Edge)> =
        closure.libraries[0].needs.iter().rev().map(|edge| (1, edge)).collect();
    while let Some((depth, edge)) = rest.pop() {
        lines += 1;
        if lines > limits::TREE_LINES {
            text += "  …\n";
            break;
        }
        let version = newest(&edge.versions).map(|version| format!(" ({version})")).unwrap_or_default();
        let library = edge.library.map(|index| &closure.libraries[index]);
        let found = library.map_or("not found", |library| library.path.as_deref().unwrap_or(&library.name));
        let _ = writeln!(text, "{:indent$}{}{version} => {found}", "", edge.name, indent = 2 * depth.min(40));
        if let Some(index) = edge.library.filter(|index| unfolded.insert(*index)) {
            rest.extend(closure.libraries[index].needs.iter().rev().map(|edge| (depth + 1, edge)));
        }
    }
    for problem in &closure.problems {
        let word = match problem.weight() {
            Weight::Breaks => "missing",
            Weight::Unknown => "unknown",
            Weight::Note => "note",
        };
        let _ = writeln!(text, "{word}: {}", closure.sentence(problem));
    }
    if closure.undetermined > 0 {
        let _ = writeln!(text, "unknown: {} symbols may be in what is missing", closure.undetermined);
    }
    text
}

/// The highest of each family by its numbers: `CXXABI_1.3, GLIBCXX_3.4.21` of some thirty.
fn newest(versions: &[String]) -> Option<String> {
    let mut families: BTreeMap<&str, (Vec<u64>, &str)> = BTreeMap::new();
    for version in versions {
        let digits = version.find(|byte: char| byte.is_ascii_digit()).unwrap_or(version.len());
        let (family, numbers) = version.split_at(digits);
        let numbers = numbers.split(|byte: char| !byte.is_ascii_digit());
        let numbers: Vec<u64> = numbers.map(|number| number.parse().unwrap_or(0)).collect();
        let highest = families.entry(family).or_default();
        if (&numbers, version.as_str()) >= (&highest.0, highest.1) {
            *highest = (numbers, version);
        }
    }
    let names: Vec<_> = families.into_values().map(|(_, version)| version).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

impl Closure {
    /// One problem as a sentence that names files.
    pub fn sentence(&self, problem: &Problem) -> String {
        let name = |index: usize| {
            self.libraries.get(index).map_or("?", |library| library.path.as_deref().unwrap_or(&library.name))
        };
        match problem {
            Problem::InterpreterMissing { path } => format!("the interpreter {path} is not in the sysroot"),
            Problem::InterpreterUnfit { path, why } => format!("the interpreter {path} does not fit: {why}"),
            Problem::LibraryMissing { library, needed_by, searched, passed_over } => {
                let folders = if searched.is_empty() { "no folder".to_owned() } else { searched.join(":") };
                let others: String = passed_over.iter().map(passed).collect();
                format!("{library}, needed by {}, is not in {folders}{others}", name(*needed_by))
            }
            Problem::LibraryUnfit { path, needed_by, why } => {
                format!("{path}, needed by {}, cannot be loaded: {why}", name(*needed_by))
            }
            Problem::VersionMissing { version, library, needed_by, weak } => {
                let weak = if *weak { " (weakly)" } else { "" };
                format!(
                    "version {version}, needed{weak} by {}, is not in {}",
                    name(*needed_by),
                    name(*library)
                )
            }
            Problem::Unversioned { library, needed_by } => {
                format!("{} has no versions, but {} needs some of it", name(*library), name(*needed_by))
            }
            Problem::PackedRelocations { library, needed_by, because } => {
                let why = match because {
                    NotApplied::OldGlibc => "does not know: it lacks GLIBC_ABI_DT_RELR".to_owned(),
                    NotApplied::NotAnnounced => {
                        "refuses them without the version GLIBC_ABI_DT_RELR".to_owned()
                    }
                    NotApplied::OldMusl { version } => {
                        format!("does not know: it is musl {version}, and 1.2.4 is the first that does")
                    }
                    NotApplied::MuslOfUnknownVersion => {
                        "knows from musl 1.2.4 on, and which musl it is cannot be told".to_owned()
                    }
                };
                let (file, library) = (name(*needed_by), name(*library));
                format!("{file} has packed relocations (DT_RELR), which {library} {why}")
            }
            Problem::SymbolMissing { symbol, version, library, needed_by } => {
                let version = version.as_ref().map(|version| format!("@{version}")).unwrap_or_default();
                let library = library.as_ref().map(|library| format!(" of {library}")).unwrap_or_default();
                format!("symbol {symbol}{version}{library}, needed by {}, is in no library", name(*needed_by))
            }
            Problem::Damaged { library, part, detail } => {
                format!("{}: {part}: {detail}", name(*library))
            }
            Problem::PathUnknown { element, owner } => {
                format!("the search path `{element}` of {} is no folder of the sysroot", name(*owner))
            }
            Problem::LimitReached { what, limit } => {
                format!("more than {limit} {what}: not followed further")
            }
        }
    }
}

fn passed(PassedOver { path, reason }: &PassedOver) -> String {
    let why = match reason {
        Reason::WrongClass { class } => format!("is {class}-bit"),
        Reason::WrongMachine { machine } => format!("is for machine {machine}"),
        Reason::NewerProcessor => "is for newer processors only".to_owned(),
        Reason::OtherName { soname: Some(soname) } => format!("is {soname} to ldconfig, by its SONAME"),
        Reason::OtherName { soname: None } => "is not called as what ldconfig looks at".to_owned(),
        Reason::NoFile => "is no file".to_owned(),
    };
    format!("; {path} {why}")
}

/// The imports of a Windows program and of the DLLs beside it, then the problems.
pub fn pe_tree(closure: &PeClosure) -> String {
    let mut text = String::new();
    for module in &closure.modules {
        let _ = writeln!(text, "{}", module.name);
        for import in &module.imports {
            let delayed = if import.delayed { " (delay-loaded)" } else { "" };
            let found = match &import.supplier {
                PeSupplier::System => "Windows",
                PeSupplier::ApiSet => "Windows (API set)",
                PeSupplier::Module(index) => &closure.modules[*index].name,
                PeSupplier::Missing => "not found",
            };
            let _ = writeln!(text, "  {}{delayed} => {found}", import.library);
        }
    }
    for problem in &closure.problems {
        let word = if problem.is_fatal() { "missing" } else { "note" };
        let _ = writeln!(text, "{word}: {}", closure.sentence(problem));
    }
    text
}

impl PeClosure {
    /// One problem as a sentence that names files.
    pub fn sentence(&self, problem: &PeProblem) -> String {
        let name = |index: usize| self.modules.get(index).map_or("?", |module| module.name.as_str());
        match problem {
            PeProblem::DllMissing { library, needed_by, delayed } => {
                let delayed = if *delayed { ", delay-loaded" } else { "" };
                format!(
                    "{library}, needed by {}{delayed}, is neither beside it nor in Windows",
                    name(*needed_by)
                )
            }
            PeProblem::WrongMachine { library, needed_by, machine } => {
                format!("{library}, needed by {}, is for machine {machine:#x}", name(*needed_by))
            }
            PeProblem::Unfit { library, needed_by, why } => {
                format!("{library}, needed by {}, cannot be loaded: {why}", name(*needed_by))
            }
            PeProblem::FunctionMissing { function, library, needed_by } => {
                format!("{function}, needed by {}, is not exported by {library}", name(*needed_by))
            }
            PeProblem::Forwarded { function, library, to } => {
                format!("{function} of {library} is really {to}, which was not looked at")
            }
            PeProblem::Damaged { library, part, detail } => format!("{library}: {part}: {detail}"),
            PeProblem::LimitReached { what, limit } => {
                format!("more than {limit} {what}: not followed further")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_of_each_family_is_shown() {
        let names = |names: &[&str]| newest(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(names(&["GLIBC_2.4", "GLIBC_2.34", "GLIBC_2.2.5"]).as_deref(), Some("GLIBC_2.34"));
        let several = ["GLIBCXX_3.4.9", "CXXABI_1.3", "GLIBCXX_3.4.21", "GLIBCXX_3.4"];
        assert_eq!(names(&several).as_deref(), Some("CXXABI_1.3, GLIBCXX_3.4.21"));
        assert_eq!(names(&["GLIBC_PRIVATE"]).as_deref(), Some("GLIBC_PRIVATE"));
        assert_eq!(names(&[]), None);
    }
}
