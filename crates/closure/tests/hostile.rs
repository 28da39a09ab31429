//! Bytes and roots that mean harm: an answer in bounded time, whatever they say.

mod support;

use std::fs;
use std::time::{Duration, Instant};

use closure::{Problem, SystemDlls, resolve_pe, tree};
use support::{Root, sentences};

#[test]
fn flipped_bytes_get_an_answer() {
    let root = Root::new();
    let map = "V1 { global: value; other; local: *; };";
    let library =
        root.versioned_library("/lib/libv.so.1", "int value = 1; int other(void) { return 1; }", map);
    let source = "int other(void); void _start(void) { other(); }";
    root.program("/bin/app", source, &[&library], &["-Wl,-rpath,$ORIGIN/../x:/opt"]);
    let (program, good) = (fs::read(root.path("/bin/app")).unwrap(), fs::read(&library).unwrap());
    let start = Instant::now();
    let mut random = 1u64;
    let mut next = |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % below
    };
    let mut complete = 0;
    for round in 0..1500 {
        let (mut program, mut library) = (program.clone(), good.clone());
        let target = if round % 2 == 0 { &mut program } else { &mut library };
        for _ in 0..1 + round % 4 {
            let at = next(target.len().min(0x800));
            target[at] = [0, 0xff, 0x7f, 1, next(256) as u8][next(5)];
        }
        fs::write(root.path("/lib/libv.so.1"), &library).unwrap();
        let Ok(linkage) = inspect::elf_linkage(&program) else { continue };
        let closure = closure::resolve(&linkage, Some("/bin/app"), &root.open());
        complete += usize::from(closure.is_complete());
        assert!(!tree(&closure).is_empty());
    }
    assert!(complete > 100, "most bytes do not matter, yet only {complete} of 1500 closed");
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

#[test]
fn a_search_path_without_end_is_bounded_and_told() {
    let root = Root::new();
    let folders: Vec<_> = (0..3000).map(|folder| format!("/f{folder}")).collect();
    let mut linkage = {
        root.program("/bin/app", "void _start(void) {}", &[], &["-Wl,--no-as-needed"]);
        root.linkage("/bin/app")
    };
    linkage.runpath = Some(folders.join(":"));
    linkage.needed = (0..2000).map(|library| format!("lib{library}.so")).collect();
    let start = Instant::now();
    let closure = closure::resolve(&linkage, Some("/bin/app"), &root.open());
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    let limits = closure.problems.iter().filter(|problem| matches!(problem, Problem::LimitReached { .. }));
    assert_eq!(limits.count(), 1);
    assert!(!closure.is_complete());
}

#[test]
fn tables_that_multiply_are_bounded() {
    let root = Root::new();
    root.versioned_library("/lib/libv.so.1", "int v = 1;", "V1 { global: v; local: *; };");
    root.program("/bin/app", "void _start(void) {}", &[], &["-Wl,--no-as-needed"]);
    let mut linkage = root.linkage("/bin/app");
    let start = Instant::now();
    // The same library a hundred thousand times, with as many versions.
    linkage.needed = vec!["libv.so.1".to_owned(); 100_000];
    let version = |index: usize| inspect::facts::NeededVersion {
        name: format!("V{index}"),
        flags: 0,
        index: 2,
        hash: 0,
    };
    let versions = (0..100).map(version).collect();
    let need = inspect::facts::VersionNeed { library: "libv.so.1".to_owned(), versions };
    linkage.versions_needed = vec![need; 1000];
    let closure = closure::resolve(&linkage, Some("/bin/app"), &root.open());
    assert_eq!(closure.libraries[0].needs.len(), 1);
    assert!(closure.problems.len() <= 10_001, "{}", closure.problems.len());
    assert!(sentences(&closure).contains("more than 10000 problems"));

    // A path of elements that nobody knows, for as many libraries that nobody has.
    linkage.runpath = Some("$ORIGIN:x:".repeat(1600));
    linkage.needed = (0..100_000).map(|library| format!("lib{library}.so")).collect();
    let closure = closure::resolve(&linkage, None, &root.open());
    assert!(!closure.is_complete());

    // Long folders, each told with each library.
    linkage.runpath = Some("/".to_owned() + &"x".repeat(4000));
    let closure = closure::resolve(&linkage, None, &root.open());
    assert!(tree(&closure).len() < 16 << 20, "{}", tree(&closure).len());
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
fn a_folder_of_windows_files_that_are_none_gets_an_answer() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("first.dll"), "MZ").unwrap();
    fs::create_dir(folder.path().join("second.dll")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", folder.path().join("third.dll")).unwrap();
    let mut program =
        inspect::pe_linkage(&fs::read(env!("CARGO_MANIFEST_DIR").to_owned() + FIXTURE).unwrap()).unwrap();
    let import = program.imports[0].clone();
    for name in ["first.dll", "second.dll", "third.dll"] {
        program.imports.push(inspect::facts::PeImport { library: name.to_owned(), ..import.clone() });
    }
    // Repeated, each is told once and read once.
    program.imports = vec![program.imports; 10_000].concat();
    let start = Instant::now();
    let closure = resolve_pe("app.exe", &program, folder.path(), &SystemDlls::windows_10());
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    let fatal = closure.problems.iter().filter(|problem| problem.is_fatal());
    assert_eq!(fatal.count(), 3, "{:?}", closure.problems);
}

const FIXTURE: &str = "/../verify/tests/fixtures/x86_64-console.exe";
