//! Where the files come from: this machine's own root and packages, the image that starts Windows programs, and, where
//! `SEAWORTHY_CORPORA` names its folder, everything that `ci/corpora` fetched.

use std::env;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use xshell::{Shell, cmd};

/// Files from one place.
pub(crate) struct Corpus {
    pub(crate) name: String,
    pub(crate) files: Vec<PathBuf>,
}

/// What every machine that tests has: a name, folders, how many files a sample takes, and at least how many there are.
struct Local {
    name: &'static str,
    folders: &'static [&'static str],
    sample: usize,
    least: usize,
    /// The Debian package without which there are fewer.
    package: &'static str,
}

const LOCAL: [Local; 3] = [
    Local {
        name: "Debian amd64, the machine's root",
        folders: &["/usr/bin", "/usr/sbin", "/usr/lib", "/usr/libexec"],
        sample: 100,
        least: 300,
        package: "binutils",
    },
    Local {
        name: "Debian arm64, the C library to link with",
        folders: &["/usr/aarch64-linux-gnu/lib"],
        sample: 30,
        least: 20,
        package: "libc6-dev-arm64-cross",
    },
    Local {
        name: "mingw-w64's libraries",
        folders: &["/usr/x86_64-w64-mingw32/lib", "/usr/lib/gcc/x86_64-w64-mingw32"],
        sample: 30,
        least: 5,
        package: "gcc-mingw-w64-x86-64",
    },
];

const WINE: &str = "Wine of the x86_64-windows image";
const WINE_SAMPLE: usize = 60;
/// What `ci/corpora` fetches, one package a line.
const TABLE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../ci/corpora.tsv"));

/// The folder of the fetched corpora, where they are asked for.
pub(crate) fn fetched() -> Option<PathBuf> {
    env::var_os("SEAWORTHY_CORPORA").map(PathBuf::from)
}

/// The corpora, with the files that are compared; `folder` takes the files that must be made or copied first.
pub(crate) fn all(folder: &Path) -> Vec<Corpus> {
    let mut corpora: Vec<_> = LOCAL.iter().map(local).collect();
    corpora.push(wine(&folder.join("wine")));
    corpora.push(linked(&folder.join("linked")));
    let launchers =
        programs(&readers().join("lib"), |path| path.extension().is_some_and(|name| name == "exe"));
    corpora.push(Corpus { name: "pip's launchers of programs".to_owned(), files: launchers });
    let Some(root) = fetched() else { return corpora };
    let mut names: Vec<_> = TABLE.lines().filter_map(|line| line.split('\t').next()).collect();
    names.retain(|name| !name.starts_with('#'));
    names.sort_unstable();
    names.dedup();
    for name in names {
        let files = programs(&root.join(name), |_| true);
        assert!(!files.is_empty(), "no programs in {}: run ci/corpora fetch", root.join(name).display());
        corpora.push(Corpus { name: name.to_owned(), files });
    }
    corpora
}

fn local(local: &Local) -> Corpus {
    let Local { name, folders, sample, least, package } = local;
    let mut files: Vec<_> = folders.iter().flat_map(|folder| programs(Path::new(folder), |_| true)).collect();
    // A machine may have Wine's modules as well, which are compared on their own.
    files.retain(|path| !path.components().any(|part| part.as_os_str() == "wine"));
    assert!(files.len() >= *least, "only {} programs in {folders:?}: apt-get install {package}", files.len());
    Corpus { name: (*name).to_owned(), files: sampled(files, *sample) }
}

/// Wine's own modules, PE32 and PE32+, out of the image that builds for Windows.
fn wine(into: &Path) -> Corpus {
    let shell = Shell::new().unwrap();
    let images = cmd!(shell, "docker images --quiet localhost/seaworthy-x86_64-windows").quiet().read();
    let images = images.expect("Docker answers: ci/setup starts it");
    let image = images.lines().next().expect("the image is there: cargo xtask toolchain image");
    let find = "find /usr/lib/x86_64-linux-gnu/wine/x86_64-windows /usr/lib/x86_64-linux-gnu/wine/i386-windows -type f";
    let in_image =
        cmd!(shell, "docker run --rm --network none {image} sh -c {find}").quiet().ignore_status().read();
    let mut all: Vec<_> = in_image.expect("the image runs").lines().map(PathBuf::from).collect();
    all.sort();
    let chosen = sampled(all, WINE_SAMPLE);
    assert!(chosen.len() >= WINE_SAMPLE / 2, "only {} files of Wine in {image}", chosen.len());
    fs::create_dir(into).unwrap();
    let copy = format!("xargs cp --parents -t /out && chown -R {} /out", owner(into));
    let list: String = chosen.iter().map(|path| format!("{}\n", path.display())).collect();
    cmd!(shell, "docker run --rm --interactive --network none --volume {into}:/out {image} sh -c {copy}")
        .stdin(list)
        .quiet()
        .run()
        .expect("the modules can be copied");
    Corpus { name: WINE.to_owned(), files: programs(into, |_| true) }
}

/// `user:group` of a folder, so that what a container's root put there can be removed again.
fn owner(folder: &Path) -> String {
    use std::os::unix::fs::MetadataExt;
    let about = fs::metadata(folder).unwrap();
    format!("{}:{}", about.uid(), about.gid())
}

/// What few programs of others have: text relocations, packed relocations, static PIE; and what mingw links: console, GUI
/// without symbols, a DLL, and the first of them signed.
fn linked(folder: &Path) -> Corpus {
    let shell = Shell::new().unwrap();
    fs::create_dir(folder).unwrap();
    let windows = folder.join("program.c");
    fs::write(&windows, "#include <windows.h>\nint main(void) { Sleep(1); return GetTickCount() == 0; }\n__declspec(dllexport) int answer(void) { return 42; }\n").unwrap();
    let linux = folder.join("linux.c");
    fs::write(&linux, "int value; int *place(void) { return &value; } int *places[] = { &value };\nint main(void) { return *place(); }\n").unwrap();
    let text_relocations = "-shared -fno-pic -mcmodel=large -Wl,-z,notext";
    for (compiler, source, name, options) in [
        ("x86_64-w64-mingw32-gcc", &windows, "console.exe", ""),
        ("x86_64-w64-mingw32-gcc", &windows, "gui.exe", "-mwindows -s"),
        ("x86_64-w64-mingw32-gcc", &windows, "library.dll", "-shared"),
        ("gcc", &linux, "text-relocations.so", text_relocations),
        ("gcc", &linux, "packed", "-pie -fPIE -Wl,-z,pack-relative-relocs"),
        ("gcc", &linux, "static-pie", "-static-pie -fPIE"),
        ("aarch64-linux-gnu-gcc", &linux, "text-relocations-arm64.so", text_relocations),
    ] {
        let (out, options) = (folder.join(name), options.split_whitespace());
        cmd!(shell, "{compiler} -O1 -g {options...} -o {out} {source}").quiet().run().unwrap_or_else(|error| {
            panic!("{compiler} links, apt-get install gcc libc6-dev gcc-aarch64-linux-gnu gcc-mingw-w64-x86-64: {error}")
        });
    }
    signed(&shell, folder);
    Corpus { name: "linked and signed here".to_owned(), files: programs(folder, |_| true) }
}

/// `console.exe` with a signature of each digest in use.
fn signed(shell: &Shell, folder: &Path) {
    let (key, certificate, program) =
        (folder.join("key"), folder.join("certificate"), folder.join("console.exe"));
    let subject = ["-subj", "/CN=Example", "-addext", "extendedKeyUsage=codeSigning", "-days", "30"];
    cmd!(shell, "openssl req -x509 -newkey rsa:2048 -nodes -keyout {key} -out {certificate} {subject...}")
        .quiet()
        .ignore_stderr()
        .run()
        .expect("openssl makes a certificate: apt-get install openssl");
    for digest in ["sha1", "sha256", "sha384"] {
        let out = folder.join(format!("{digest}.exe"));
        cmd!(shell, "osslsigncode sign -certs {certificate} -key {key} -h {digest} -in {program} -out {out}")
            .quiet()
            .ignore_stdout()
            .run()
            .expect("osslsigncode signs: apt-get install osslsigncode");
    }
}

/// The Python environment that `ci/corpora readers` made.
pub(crate) fn readers() -> PathBuf {
    let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = variable("SEAWORTHY_CACHE")
        .or_else(|| variable("XDG_CACHE_HOME").map(|folder| folder.join("seaworthy")))
        .unwrap_or_else(|| variable("HOME").expect("HOME is set").join(".cache/seaworthy"));
    let readers = cache.join("readers");
    assert!(readers.join("installed").exists(), "no LIEF and pefile in {}: run ci/setup", readers.display());
    readers
}

/// Whether the file starts as an ELF file does.
pub(crate) fn is_elf(path: &Path) -> bool {
    beginning(path).starts_with(b"\x7fELF")
}

fn beginning(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Ok(file) = fs::File::open(path) {
        let _ = file.take(4096).read_to_end(&mut bytes);
    }
    bytes
}

fn programs(folder: &Path, wanted: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut files = Vec::new();
    walk(folder, &mut files);
    files.retain(|path| wanted(path) && inputs::looks_like_a_program(&beginning(path)));
    files.sort();
    files
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => walk(&entry.path(), files),
            Ok(kind) if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
}

fn sampled(files: Vec<PathBuf>, count: usize) -> Vec<PathBuf> {
    if fetched().is_some() {
        return files;
    }
    let step = files.len().div_ceil(count).max(1);
    files.into_iter().step_by(step).collect()
}
