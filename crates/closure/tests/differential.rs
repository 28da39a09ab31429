//! The same closures from the loaders themselves: glibc's on this machine's root, and the arm64 one under qemu.
//!
//! A sample by default; every ELF file of /usr/bin and /usr/lib with `SEAWORTHY_DIFFERENTIAL=all`. The loader lists and
//! binds only (`LD_TRACE_LOADED_OBJECTS`), no program is started.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use closure::{Closure, Problem, Sysroot, resolve};
use support::roots;
use xshell::{Shell, cmd};

const PROGRAMS: usize = 200;
const LIBRARIES: usize = 100;

#[test]
fn this_machines_programs_and_libraries_close_as_the_loader_closes_them() {
    let mut files = spread(elf_files("/usr/bin"), PROGRAMS);
    files.extend(spread(elf_files("/usr/lib"), LIBRARIES));
    assert!(files.len() > 200, "only {} ELF files in /usr/bin and /usr/lib", files.len());
    let root = Sysroot::open(Path::new("/")).unwrap();
    let shell = Shell::new().unwrap();
    let loader = "/lib64/ld-linux-x86-64.so.2";
    let (mut compared, mut differences) = (0, Vec::new());
    for path in &files {
        let Some(ours) = closure_of(path, &root) else { continue };
        let listing = cmd!(shell, "{loader} {path}")
            .env("LD_TRACE_LOADED_OBJECTS", "1")
            .env("LD_WARN", "yes")
            .env("LD_BIND_NOW", "yes")
            .env("LC_ALL", "C")
            .env_remove("LD_LIBRARY_PATH")
            .env_remove("LD_PRELOAD")
            .quiet()
            .ignore_status()
            .output()
            .expect("glibc's loader runs: apt-get install libc6");
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&listing.stdout),
            String::from_utf8_lossy(&listing.stderr)
        );
        compared += 1;
        compare(path, &Told::by_loader(&text, &root), &Told::by_us(&ours), &mut differences);
    }
    assert!(compared > 200, "only {compared} of {} files were compared", files.len());
    assert!(
        differences.is_empty(),
        "{} differences in {compared} files:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

#[test]
fn arm64_programs_and_libraries_close_as_the_arm64_loader_closes_them() {
    let root = Path::new("/usr/aarch64-linux-gnu");
    assert!(root.join("lib/libc.so.6").exists(), "apt-get install libc6-arm64-cross");
    let shell = Shell::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut files = spread(elf_files("/usr/aarch64-linux-gnu/lib"), 15);
    for (compiler, name, source, flags) in [
        ("aarch64-linux-gnu-gcc", "math.c", "#include <math.h>\nint main(int n) { return cos(n); }", "-lm"),
        (
            "aarch64-linux-gnu-gcc",
            "old.c",
            "int main(void) { return 0; }",
            "-Wl,--no-as-needed,-lm,-lrt,-lgomp",
        ),
        (
            "aarch64-linux-gnu-gcc",
            "open.c",
            "int open_end(void); int f(void) { return open_end(); }",
            "-shared",
        ),
    ] {
        let (input, output) = (folder.path().join(name), folder.path().join(name).with_extension(""));
        fs::write(&input, source).unwrap();
        cmd!(shell, "{compiler} -fPIC -o {output} {input} {flags}")
            .quiet()
            .run()
            .expect("the arm64 compiler runs: apt-get install gcc-aarch64-linux-gnu");
        files.push(output);
    }
    let sysroot = Sysroot::open(root).unwrap();
    let (mut compared, mut differences) = (0, Vec::new());
    for path in &files {
        let program = inspect::elf_linkage(&fs::read(path).unwrap()).unwrap();
        if program.machine != 183 || program.needed.is_empty() || program.file_type != 3 {
            continue;
        }
        let ours = resolve(&program, sysroot.place(path).as_deref(), &sysroot);
        let text = by_arm64_loader(root, path);
        compared += 1;
        compare(path, &Told::by_loader(&text, &sysroot), &Told::by_us(&ours), &mut differences);
    }
    assert!(compared > 10, "only {compared} of {} files were compared", files.len());
    assert!(differences.is_empty(), "{compared} files:\n{}", differences.join("\n"));
}

#[test]
fn a_whole_root_closes_from_outside_as_ldd_says_inside_of_it() {
    let place = roots::native();
    let root = Sysroot::open(&place).unwrap();
    let files = programs_of(&place, 62);
    assert!(files.len() > 200, "only {} programs", files.len());
    let mut differences = Vec::new();
    for file in &files {
        let inside = root.place(file).unwrap();
        // -r: every symbol is looked up, functions too.
        let text = roots::shell(&format!(
            "LC_ALL=C chroot {} /usr/bin/ldd -r '{inside}' 2>&1 || true",
            place.display()
        ));
        let ours = closure_of(file, &root).unwrap();
        compare(file, &Told::by_loader(&text, &root), &Told::by_us(&ours), &mut differences);
    }
    assert!(
        differences.is_empty(),
        "{} of {} programs:\n{}",
        differences.len(),
        files.len(),
        differences.join("\n")
    );
}

#[test]
fn a_whole_arm64_root_closes_as_its_loader_says_under_qemu() {
    let place = roots::arm64();
    let root = Sysroot::open(&place).unwrap();
    let files = programs_of(&place, 183);
    assert!(files.len() > 120, "only {} programs", files.len());
    let mut differences = Vec::new();
    for file in &files {
        let inside = root.place(file).unwrap();
        let text = by_arm64_loader(&place, Path::new(&inside));
        let program = inspect::elf_linkage(&fs::read(file).unwrap()).unwrap();
        let ours = resolve(&program, Some(&inside), &root);
        compare(file, &Told::by_loader(&text, &root), &Told::by_us(&ours), &mut differences);
    }
    assert!(
        differences.is_empty(),
        "{} of {} programs:\n{}",
        differences.len(),
        files.len(),
        differences.join("\n")
    );
}

/// What the arm64 loader of `root` lists and binds for a file.
fn by_arm64_loader(root: &Path, file: &Path) -> String {
    let shell = Shell::new().unwrap();
    let listing = cmd!(shell, "qemu-aarch64-static -L {root} {root}/lib/ld-linux-aarch64.so.1 {file}")
        .env("QEMU_SET_ENV", "LD_TRACE_LOADED_OBJECTS=1,LD_WARN=yes,LD_BIND_NOW=yes")
        .env("LC_ALL", "C")
        .quiet()
        .ignore_status()
        .output()
        .expect("qemu-aarch64-static runs: apt-get install qemu-user-static");
    String::from_utf8_lossy(&listing.stdout).into_owned() + &String::from_utf8_lossy(&listing.stderr)
}

/// Every dynamic program for `machine` that the root has.
fn programs_of(root: &Path, machine: u16) -> Vec<PathBuf> {
    let folders = ["usr/bin", "usr/sbin", "usr/libexec", "usr/lib/apt", "usr/lib/git-core"];
    let mut files: Vec<_> =
        folders.iter().flat_map(|folder| elf_files(root.join(folder).to_str().unwrap())).collect();
    files.retain(|file| {
        let program = inspect::elf_linkage(&fs::read(file).unwrap()).unwrap();
        program.machine == machine && !program.needed.is_empty() && program.interpreter.is_some()
    });
    files
}

/// What one of the two says about a file.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    /// Files found, without links.
    found: BTreeSet<String>,
    /// Names of libraries that were not found.
    missing: BTreeSet<String>,
    /// Names of symbols that nobody has.
    symbols: BTreeSet<String>,
    /// Versions that a library lacks.
    versions: BTreeSet<String>,
    /// How many symbols may be in a library that is missing; the loader lists them as missing.
    undetermined: usize,
}

impl Told {
    fn by_loader(text: &str, root: &Sysroot) -> Told {
        let mut told = Told::default();
        for line in text.lines().map(str::trim) {
            if let Some(rest) = line.strip_prefix("undefined symbol: ") {
                // `name, version V	(file)` or `name	(file)`
                let name = rest.split([',', '\t', ' ']).next().unwrap_or_default();
                told.symbols.insert(name.to_owned());
            } else if let Some(rest) =
                line.strip_prefix("symbol ").filter(|_| line.contains("not defined in file"))
            {
                told.symbols.insert(rest.split([',', ' ']).next().unwrap_or_default().to_owned());
            } else if let Some((_, rest)) = line.split_once("version `") {
                told.versions.insert(rest.split('\'').next().unwrap_or_default().to_owned());
            } else if let Some((name, found)) = line.split_once(" => ") {
                if found.starts_with("not found") {
                    told.missing.insert(name.to_owned());
                } else {
                    told.found.extend(real(found, root));
                }
            } else if line.starts_with('/') {
                told.found.extend(real(line, root));
            }
        }
        told
    }

    fn by_us(closure: &Closure) -> Told {
        let found = closure.libraries.iter().skip(1).filter_map(|library| library.real.clone());
        let mut told = Told { found: found.collect(), undetermined: closure.undetermined, ..Told::default() };
        for problem in &closure.problems {
            let (set, name) = match problem {
                Problem::LibraryMissing { library, .. } => (&mut told.missing, library),
                Problem::SymbolMissing { symbol, .. } => (&mut told.symbols, symbol),
                Problem::VersionMissing { version, weak: false, .. } => (&mut told.versions, version),
                Problem::PathUnknown { .. } | Problem::Unversioned { .. } => continue,
                other => panic!("{:?}: {other:?}", closure.place),
            };
            set.insert(name.clone());
        }
        told
    }
}

/// `path (0x…)` as a path of the root without links. Under qemu a path may begin with the root's own place.
fn real(found: &str, root: &Sysroot) -> Option<String> {
    let path = found.rsplit_once(" (0x").map_or(found, |(path, _)| path);
    let place = root.root().to_str().filter(|place| *place != "/");
    let inside = place.and_then(|place| path.strip_prefix(place)).unwrap_or(path);
    Some(root.without_links(inside).unwrap_or_else(|| panic!("{path} is not in the root")))
}

fn compare(path: &Path, theirs: &Told, ours: &Told, differences: &mut Vec<String>) {
    let mut say = |what: &str, theirs: &BTreeSet<String>, ours: &BTreeSet<String>| {
        let only = |left: &BTreeSet<String>, right: &BTreeSet<String>| {
            left.difference(right).take(5).cloned().collect::<Vec<_>>().join(" ")
        };
        if theirs != ours {
            let (path, theirs, ours) = (path.display(), only(theirs, ours), only(ours, theirs));
            differences.push(format!("{path}: {what}: only the loader: {theirs}; only we: {ours}"));
        }
    };
    say("found", &theirs.found, &ours.found);
    say("missing", &theirs.missing, &ours.missing);
    say("versions", &theirs.versions, &ours.versions);
    let more = theirs.symbols.difference(&ours.symbols).count();
    let ours_and_undetermined = ours.symbols.is_subset(&theirs.symbols) && more <= ours.undetermined;
    if ours.undetermined == 0 || more == 0 || !ours_and_undetermined {
        say("symbols", &theirs.symbols, &ours.symbols);
    }
}

/// `None` for what is not dynamic.
fn closure_of(path: &Path, root: &Sysroot) -> Option<Closure> {
    let bytes = fs::read(path).unwrap();
    let program = inspect::elf_linkage(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let dynamic = matches!(program.file_type, 2 | 3) && !program.needed.is_empty();
    // 32-bit files have another loader, which is not on every machine.
    (dynamic && program.class == 64 && program.machine == 62)
        .then(|| resolve(&program, root.place(path).as_deref(), root))
}

fn spread(files: Vec<PathBuf>, sample: usize) -> Vec<PathBuf> {
    if std::env::var_os("SEAWORTHY_DIFFERENTIAL").is_some_and(|value| value == "all") {
        return files;
    }
    let step = (files.len() / sample).max(1);
    files.into_iter().step_by(step).collect()
}

/// ELF files below `folder`, sorted; links are not followed.
fn elf_files(folder: &str) -> Vec<PathBuf> {
    let (mut files, mut folders) = (Vec::new(), vec![PathBuf::from(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() && is_elf(&entry.path()) {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    files
}

fn is_elf(path: &Path) -> bool {
    use std::io::Read;
    let mut magic = [0; 4];
    fs::File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && &magic == b"\x7fELF"
}
