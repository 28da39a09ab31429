//! Libraries that programs are linked with, and whether what they need is there.

use std::collections::BTreeMap;

use artifact::Digest;
use closure::{Closure, Problem, Weight, resolve};
use inspect::facts::{Binary, Elf, ElfLinkage};

use crate::capture::Taker;
use crate::packages::Installed;
use crate::{Class, Error, ErrorKind, Fact, Place, Wanted};

/// A library of more bytes is not read.
const LARGEST: u64 = 512 << 20;
/// Loaders, by where each architecture's C library has one.
const LOADERS: &[&str] = &[
    "/lib64/ld-linux-x86-64.so.2",
    "/lib/ld-linux-aarch64.so.1",
    "/lib/ld-linux-armhf.so.3",
    "/lib/ld-linux-riscv64-lp64d.so.1",
    "/lib/ld-linux.so.2",
    "/lib/ld-musl-x86_64.so.1",
    "/lib/ld-musl-aarch64.so.1",
    "/lib/ld-musl-armhf.so.1",
];
/// What nearly every program is linked with: looked at where no artifact is named.
const PLATFORM: &[&str] = &[
    "libc.so.6",
    "libm.so.6",
    "libpthread.so.0",
    "libdl.so.2",
    "librt.so.1",
    "libresolv.so.2",
    "libgcc_s.so.1",
    "libstdc++.so.6",
];
const MET: &str = "met";
/// The property that says which level of its processor a program needs (`GNU_PROPERTY_X86_ISA_1_NEEDED`).
const ISA_NEEDED: &str = "x86 ISA needed";

/// Takes the loader, the closures of `artifacts` and whether they are whole; without artifacts the platform's libraries.
pub(crate) fn take(
    place: &Place,
    artifacts: &[Wanted],
    installed: &Installed,
    taker: &mut Taker,
) -> Result<(), Error> {
    let root = place.root();
    let loaders: Vec<_> = LOADERS.iter().filter(|path| root.without_links(path).is_some()).collect();
    for path in &loaders {
        library(place, path, 1, installed, taker);
    }
    let elf = |path: &str| -> Option<Elf> {
        let bytes = root.file(path, LARGEST).ok()??;
        match inspect::inspect(&bytes).ok()?.binary {
            Binary::Elf(elf) => Some(*elf),
            Binary::Pe(_) => None,
        }
    };
    if let Some((path, elf)) = loaders.iter().find_map(|path| Some((path, elf(path)?))) {
        let name = architecture(&elf);
        taker.text(Class::Gate, "architecture", &name, path);
        taker.text(Class::Gate, "loader", **path, path);
        taker.capture.architecture = Some(name);
    }
    let mut needed: BTreeMap<String, u32> = BTreeMap::new();
    for wanted in artifacts {
        let (Some(elf), Some(linkage)) = program(wanted)? else { continue };
        let closure = resolve(&linkage, wanted.installed.as_ref().and_then(|path| path.to_str()), root);
        for library in closure.libraries.iter().skip(1) {
            if let Some(real) = &library.real {
                let entry = needed.entry(real.clone()).or_insert(1);
                *entry += u32::try_from(needs(&closure, &library.name)).unwrap_or(u32::MAX);
            }
        }
        gates(place, &wanted.name, &elf, &closure, taker);
    }
    if artifacts.is_empty() {
        let folders = root.list("/usr/lib").into_iter().filter(|name| name.contains("-linux-"));
        let folders: Vec<_> = folders.map(|name| format!("/usr/lib/{name}")).collect();
        let places = ["/lib", "/lib64", "/usr/lib", "/usr/lib64"].map(str::to_owned);
        for name in PLATFORM {
            let mut paths = folders.iter().chain(&places).map(|folder| format!("{folder}/{name}"));
            if let Some(real) = paths.find_map(|path| root.without_links(&path)) {
                needed.entry(real).or_insert(1);
            }
        }
    }
    for (path, weight) in needed {
        library(place, &path, weight, installed, taker);
    }
    Ok(())
}

/// How many of a closure's files ask for the library called `name`.
fn needs(closure: &Closure, name: &str) -> usize {
    closure.libraries.iter().filter(|library| library.needs.iter().any(|edge| edge.name == name)).count()
}

fn program(wanted: &Wanted) -> Result<(Option<Elf>, Option<ElfLinkage>), Error> {
    let refused = |error: inspect::Error| {
        Error::new(ErrorKind::NotAProgram, format!("{}: {error}", wanted.name)).with_source(error)
    };
    match inspect::inspect(&wanted.bytes).map_err(refused)?.binary {
        Binary::Elf(elf) => Ok((Some(*elf), Some(inspect::elf_linkage(&wanted.bytes).map_err(refused)?))),
        Binary::Pe(_) => Ok((None, None)),
    }
}

/// The processor's name, as in target triples.
fn architecture(elf: &Elf) -> String {
    match (elf.machine, elf.class, elf.big_endian) {
        (3, ..) => "x86".to_owned(),
        (40, ..) => "arm".to_owned(),
        (62, ..) => "x86_64".to_owned(),
        (183, _, false) => "aarch64".to_owned(),
        (243, 64, _) => "riscv64".to_owned(),
        (machine, class, _) => format!("machine {machine}, {class}-bit"),
    }
}

/// One library's fact: its build-id, else its digest.
fn library(place: &Place, path: &str, weight: u32, installed: &Installed, taker: &mut Taker) {
    let root = place.root();
    let Some(real) = root.without_links(path) else { return };
    let bytes = match root.file(&real, LARGEST) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return,
        Err(why) => return taker.unknown(Class::Abi, path, &why),
    };
    let facts = inspect::inspect(&bytes).ok().map(|facts| facts.binary);
    let (build_id, soname) = match facts {
        Some(Binary::Elf(elf)) => (elf.build_id, elf.soname),
        _ => return taker.unknown(Class::Abi, path, "it is no library that can be read"),
    };
    let value = match build_id {
        Some(id) => format!("build-id:{}", id.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
        None => format!("sha256:{}", Digest::of(&bytes)),
    };
    let name = path.rsplit('/').next().unwrap_or(path);
    let key = soname.unwrap_or_else(|| name.to_owned());
    let package = installed.owner(&real).or_else(|| installed.owner(path)).cloned();
    let version =
        package.as_ref().and_then(|package| package.split_once('=')).map(|(_, version)| version.to_owned());
    let before = taker.capture.facts.get(&Class::Abi).and_then(|facts| facts.get(&key));
    let weight = weight.max(before.and_then(|fact| fact.weight).unwrap_or(1));
    let weight = (weight > 1).then_some(weight);
    taker.fact(Class::Abi, &key, Fact { value, source: real, version, package, weight });
}

/// What an artifact must find, one fact each: met, or why not.
fn gates(place: &Place, name: &str, elf: &Elf, closure: &Closure, taker: &mut Taker) {
    if let Some(interpreter) = &closure.interpreter {
        let is_there = interpreter.real.is_some();
        let value =
            if is_there { MET.to_owned() } else { format!("the loader {} is absent", interpreter.path) };
        taker.text(Class::Gate, &format!("{name}: loader {}", interpreter.path), value, name);
    }
    for library in closure.libraries.iter().skip(1) {
        let source = library.path.as_deref().unwrap_or(name);
        taker.text(Class::Gate, &format!("{name}: library {}", library.name), MET, source);
        for need in &closure.libraries {
            let edges = need.needs.iter().filter(|edge| edge.name == library.name);
            for version in edges.flat_map(|edge| &edge.versions) {
                taker.text(
                    Class::Gate,
                    &format!("{name}: version {version} of {}", library.name),
                    MET,
                    source,
                );
            }
        }
    }
    for (key, why) in problems(closure) {
        taker.text(Class::Gate, &format!("{name}: {key}"), why, name);
    }
    // Only a running place has a kernel and a processor.
    if let (Some(tag), Some(kernel)) = (elf.marks.abi_tag, place.kernel()) {
        let [major, minor, patch] = tag.kernel;
        let told = format!("{major}.{minor}.{patch}");
        let value =
            if kernel >= tag.kernel { MET.to_owned() } else { format!("the kernel is older than {told}") };
        taker.text(Class::Gate, &format!("{name}: kernel {told}"), value, name);
    }
    let levels = elf.marks.properties.iter().filter(|property| property.name == ISA_NEEDED);
    for level in levels.flat_map(|property| &property.meaning) {
        if let Some(has) = place.has_processor_level(level) {
            let value = if has { MET.to_owned() } else { format!("the processor is no {level}") };
            taker.text(Class::Gate, &format!("{name}: processor {level}"), value, name);
        }
    }
}

/// What breaks or cannot be told, as what is missing and the sentence about it.
fn problems(closure: &Closure) -> Vec<(String, String)> {
    let who = |index: usize| {
        closure
            .libraries
            .get(index)
            .map_or("?", |library| library.name.rsplit('/').next().unwrap_or(&library.name))
    };
    let problems = closure.problems.iter().filter(|problem| problem.weight() != Weight::Note);
    problems
        .map(|problem| match problem {
            Problem::InterpreterMissing { path } => {
                (format!("loader {path}"), format!("the loader {path} is absent"))
            }
            Problem::InterpreterUnfit { path, why } => {
                (format!("loader {path}"), format!("the loader {path} cannot be used: {why}"))
            }
            Problem::LibraryMissing { library, needed_by, .. } => (
                format!("library {library}"),
                format!("library {library}, needed by {}, is absent", who(*needed_by)),
            ),
            Problem::LibraryUnfit { path, needed_by, why } => (
                format!("library {path}"),
                format!("library {path}, needed by {}, cannot be loaded: {why}", who(*needed_by)),
            ),
            Problem::VersionMissing { version, library, needed_by, .. } => (
                format!("version {version} of {}", who(*library)),
                format!("version {version} of {}, needed by {}, is absent", who(*library), who(*needed_by)),
            ),
            Problem::SymbolMissing { symbol, version, needed_by, .. } => {
                let symbol = version.as_ref().map_or(symbol.clone(), |version| format!("{symbol}@{version}"));
                (
                    format!("symbol {symbol}"),
                    format!("symbol {symbol}, needed by {}, is absent", who(*needed_by)),
                )
            }
            Problem::PackedRelocations { library, needed_by, .. } => {
                let are = if problem.weight() == Weight::Unknown { "may not be" } else { "are not" };
                (
                    format!("packed relocations of {}", who(*needed_by)),
                    format!("packed relocations of {} {are} applied by {}", who(*needed_by), who(*library)),
                )
            }
            Problem::Damaged { library, part, detail } => (
                format!("library {}", who(*library)),
                format!("{} is damaged: {part}: {detail}", who(*library)),
            ),
            Problem::LimitReached { what, limit } => (what.clone(), format!("more than {limit} {what}")),
            Problem::Unversioned { .. } | Problem::PathUnknown { .. } => (String::new(), String::new()),
        })
        .collect()
}

/// What `wanted` would not find at `place`: sentences; empty where it finds everything.
///
/// # Errors
/// [`ErrorKind::NotAProgram`] where its bytes are none.
pub fn missing(place: &Place, wanted: &Wanted) -> Result<Vec<String>, Error> {
    let (Some(_), Some(linkage)) = program(wanted)? else {
        return Ok(vec!["it is a Windows program, and this place is a Linux one".to_owned()]);
    };
    let closure = resolve(&linkage, wanted.installed.as_ref().and_then(|path| path.to_str()), place.root());
    let mut told: Vec<_> = problems(&closure).into_iter().map(|(_, why)| why).collect();
    told.sort_unstable();
    told.dedup();
    Ok(told)
}

#[cfg(test)]
mod tests {
    use closure::{Library, NotApplied, Via};

    use super::*;

    #[test]
    fn what_cannot_be_told_is_not_told_as_what_is_so() {
        let library = |name: &str| Library {
            name: name.to_owned(),
            path: None,
            real: None,
            soname: None,
            via: Via::Program,
            loader: 0,
            needs: Vec::new(),
        };
        let said = |because| {
            let closure = Closure {
                place: None,
                interpreter: None,
                libraries: vec![library("/opt/ship"), library("libc.so")],
                bindings: Vec::new(),
                problems: vec![Problem::PackedRelocations { library: 1, needed_by: 0, because }],
                undetermined: 0,
            };
            problems(&closure)
        };
        let of_ship = "packed relocations of ship".to_owned();
        let old = NotApplied::OldMusl { version: "1.2.3".to_owned() };
        let told = "packed relocations of ship are not applied by libc.so".to_owned();
        assert_eq!(said(old), [(of_ship.clone(), told)]);
        let told = "packed relocations of ship may not be applied by libc.so".to_owned();
        assert_eq!(said(NotApplied::MuslOfUnknownVersion), [(of_ship, told)]);
    }
}
