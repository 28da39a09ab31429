//! Symbol versions of a library that a real linker made.

use std::fs;

use inspect::facts::Binary;
use xshell::{Shell, cmd};

const DT_VERDEF: i64 = 0x6fff_fffc;

#[test]
fn an_import_without_a_version_does_not_get_the_name_of_the_file_that_wants_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let (source, script, library) = (file("library.c"), file("library.map"), file("library.so"));
    fs::write(
        &source,
        "extern int wanted(void) __attribute__((weak)); int given(void) { return wanted ? wanted() : 1; }\n",
    )
    .unwrap();
    fs::write(&script, "FIRST_1.0 { global: given; local: *; };\n").unwrap();
    let shell = Shell::new().unwrap();
    let options = ["-shared", "-fPIC", "-nostdlib", "-Wl,-soname,library.so.1"];
    cmd!(shell, "gcc {options...} -Wl,--version-script,{script} -o {library} {source}")
        .quiet()
        .run()
        .expect("gcc links: apt-get install gcc libc6-dev");
    let mut bytes = fs::read(library).unwrap();
    let facts = inspect::inspect(&bytes).unwrap();
    let Binary::Elf(elf) = facts.binary else { panic!("gcc makes ELF files") };
    assert_eq!(elf.versions_defined[0].name, "library.so.1", "the base version is the file's own name");
    let imports: Vec<_> =
        elf.imports.iter().map(|import| (import.name.as_str(), import.version.clone())).collect();
    assert_eq!(imports, [("wanted", None)]);
    assert_eq!(inspect::elf_linkage(&bytes).unwrap().imports, elf.imports);

    // A definition's format and the hash of its name.
    let definitions = elf.dynamic.iter().find(|entry| entry.tag == DT_VERDEF).unwrap().value as usize;
    for (at, told) in [(definitions, "has format"), (definitions + 8, "of another name")] {
        bytes[at] ^= 2;
        let anomalies = inspect::inspect(&bytes).unwrap().anomalies;
        assert!(anomalies.iter().any(|anomaly| anomaly.detail.contains(told)), "{anomalies:?}");
        bytes[at] ^= 2;
    }
}

#[test]
fn a_loader_binds_by_names_versions_and_which_of_them_is_the_default() {
    let folder = tempfile::tempdir().unwrap();
    let [source, script, library] =
        ["library.c", "library.map", "library.so"].map(|name| folder.path().join(name));
    let code = "int first(void) { return 1; } int second(void) { return 2; }\n\
                __asm__(\".symver first,given@FIRST_1.0\"); __asm__(\".symver second,given@@SECOND_1.0\");\n";
    fs::write(&source, code).unwrap();
    fs::write(&script, "FIRST_1.0 { global: given; local: *; }; SECOND_1.0 { } FIRST_1.0;\n").unwrap();
    let shell = Shell::new().unwrap();
    for style in ["gnu", "sysv", "both"] {
        let options = ["-shared", "-fPIC", "-nostdlib", "-Wl,-soname,library.so.1", "-Wl,-F,filtered.so"];
        cmd!(
            shell,
            "gcc {options...} -Wl,--hash-style={style} -Wl,--version-script,{script} -o {library} {source}"
        )
        .quiet()
        .run()
        .expect("gcc links: apt-get install gcc libc6-dev");
        let linkage = inspect::elf_linkage(&fs::read(&library).unwrap()).unwrap();
        assert_eq!(linkage.anomalies, []);
        let exports = linkage.exports.iter().filter(|export| export.name == "given");
        let mut exports: Vec<_> =
            exports.map(|export| (export.version.as_deref(), export.version_index, export.hidden)).collect();
        exports.sort_unstable();
        assert_eq!(exports, [(Some("FIRST_1.0"), 2, true), (Some("SECOND_1.0"), 3, false)], "{style}");
        assert_eq!(linkage.filtered, ["filtered.so"]);
        let defined = linkage
            .versions_defined
            .iter()
            .map(|version| (version.name.as_str(), version.index, version.flags));
        let expected = [("library.so.1", 1, 1), ("FIRST_1.0", 2, 0), ("SECOND_1.0", 3, 0)];
        assert_eq!(defined.collect::<Vec<_>>(), expected, "{style}");
    }
}
