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
