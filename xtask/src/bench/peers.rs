//! The other checkers, and how each is started over a list of files. Who is not installed is named, not left out.

use std::path::{Path, PathBuf};

use super::measure::{self, Line};

/// A checker that may be here.
pub(super) struct Peer {
    pub(super) name: &'static str,
    /// The command that installs it.
    pub(super) install: &'static str,
    /// How it is started; `None` where it is not installed.
    pub(super) line: Option<Line>,
}

/// What a checker is given: the list, a path a line, and a folder with the same files.
pub(super) struct Given<'a> {
    pub(super) list: &'a Path,
    pub(super) folder: &'a Path,
    /// Where this bench's own tools are: `~/.cache/seaworthy/bench`.
    pub(super) cache: &'a Path,
}

const PYTHON: &str = "python3 -m venv ~/.cache/seaworthy/bench/venv && ~/.cache/seaworthy/bench/venv/bin/pip install lief pefile";

/// Everything that a checker would want to know; reading alone would flatter LIEF.
const LIEF_ELF: &str = "
import sys, lief
lief.logging.disable()
for path in open(sys.argv[1]):
    program = lief.ELF.parse(path.rstrip('\\n'))
    if program is not None:
        print(path, program.is_pie, program.has_nx, list(program.libraries), program.has_interpreter)
";
const LIEF_PE: &str = "
import sys, lief
lief.logging.disable()
for path in open(sys.argv[1]):
    program = lief.PE.parse(path.rstrip('\\n'))
    if program is not None:
        print(path, program.is_pie, program.has_nx, [library.name for library in program.imports])
";
const PEFILE: &str = "
import sys, pefile
for path in open(sys.argv[1]):
    program = pefile.PE(path.rstrip('\\n'))
    imports = [entry.dll for entry in getattr(program, 'DIRECTORY_ENTRY_IMPORT', [])]
    print(path, program.OPTIONAL_HEADER.DllCharacteristics, imports)
";

/// `readelf -hldV`, which everything is compared with, in `processes` at a time.
pub(super) fn readelf(list: &Path, files: usize, processes: usize) -> Line {
    let each = files.div_ceil(processes).to_string();
    xargs(list, &["-P", &processes.to_string(), "-n", &each], "readelf", &["-hldV"])
}

/// `x86_64-w64-mingw32-objdump -p`, the same for PE.
pub(super) fn objdump(list: &Path, files: usize, processes: usize) -> Line {
    let each = files.div_ceil(processes).to_string();
    xargs(list, &["-P", &processes.to_string(), "-n", &each], "x86_64-w64-mingw32-objdump", &["-p"])
}

/// Those that look at ELF files.
pub(super) fn elf(given: &Given<'_>) -> Vec<Peer> {
    let over_list = |name, install, arguments: &[&str]| Peer {
        name,
        install,
        line: installed(name).map(|_| xargs(given.list, &[], name, arguments)),
    };
    vec![
        over_list("eu-readelf", "apt-get install elfutils", &["-hldV"]),
        over_list("scanelf", "apt-get install pax-utils", &["-a"]),
        over_list("hardening-check", "apt-get install devscripts", &[]),
        Peer {
            name: "checksec",
            install: "apt-get install checksec",
            line: Some(Path::new("/usr/bin/checksec"))
                .filter(|path| path.exists())
                .map(|_| xargs(given.list, &["-I{}"], "/usr/bin/checksec", &["--format=json", "--file={}"])),
        },
        Peer {
            name: "checksec.rs",
            install: "cargo install checksec --locked --root ~/.cache/seaworthy/bench",
            line: Some(given.cache.join("bin/checksec"))
                .filter(|path| path.exists())
                .map(|path| Line::new(path, &["--json", "--directory", &given.folder.display().to_string()])),
        },
        python("LIEF", "lief", LIEF_ELF, given),
    ]
}

/// Those that look at PE files.
pub(super) fn pe(given: &Given<'_>) -> Vec<Peer> {
    vec![python("LIEF", "lief", LIEF_PE, given), python("pefile", "pefile", PEFILE, given)]
}

fn xargs(list: &Path, options: &[&str], program: &str, arguments: &[&str]) -> Line {
    let list = list.display().to_string();
    Line::new("xargs", &[&["-a", list.as_str()], options, &[program], arguments].concat())
}

/// A script for whichever Python here has `module`.
fn python(name: &'static str, module: &str, script: &str, given: &Given<'_>) -> Peer {
    let import = format!("import {module}");
    let has_module = |python: &PathBuf| {
        measure::answer(python, &["-c", &import]).is_some_and(|output| output.status.success())
    };
    let pythons = [given.cache.join("venv/bin/python3"), PathBuf::from("python3")];
    let python = pythons.into_iter().find(has_module);
    let list = given.list.display().to_string();
    Peer { name, install: PYTHON, line: python.map(|python| Line::new(python, &["-c", script, &list])) }
}

/// Where on PATH the program is.
pub(super) fn installed(program: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| path.is_file())
}
