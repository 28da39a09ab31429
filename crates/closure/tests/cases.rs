//! glibc: roots made by hand, a question each: what is found, by which part of the search, and what is told as missing.

mod support;

use std::fs;
use std::os::unix::fs::symlink;

use closure::{PassedOver, Problem, Reason, Sysroot, Via, Weight, tree};
use support::{INTERPRETER, Root, sentences, table};

/// Case 19 of the verification anchors: private libraries beside the program.
#[test]
fn case_19_private_libraries_are_found_from_where_the_program_stands() {
    let root = Root::new();
    let library = root.library("/opt/app/lib/libprivate.so.1", "int work(void) { return 1; }", &[]);
    let path = ["-Wl,-rpath,$ORIGIN/../lib"];
    root.program("/opt/app/bin/app", "int work(void); void _start(void) { work(); }", &[&library], &path);

    let closure = root.close("/opt/app/bin/app");
    assert!(closure.is_complete(), "{}", tree(&closure));
    assert_eq!(closure.libraries[1].via, Via::Runpath);
    assert_eq!(closure.libraries[1].path.as_deref(), Some("/opt/app/bin/../lib/libprivate.so.1"));
    assert_eq!(closure.libraries[1].real.as_deref(), Some("/opt/app/lib/libprivate.so.1"));
    let work = closure.bindings.iter().find(|binding| binding.symbol == "work").unwrap();
    assert_eq!(work.supplier, Some(1));

    // Through a link, the origin is where the program really is, as the kernel tells the loader.
    fs::create_dir_all(root.path("/usr/bin")).unwrap();
    symlink("/opt/app/bin/app", root.path("/usr/bin/app")).unwrap();
    assert!(root.close("/usr/bin/app").is_complete());

    // Of a program whose place is not known, nobody can say what its origin has.
    let nowhere = closure::resolve(&root.linkage("/opt/app/bin/app"), None, &root.open());
    assert!(!nowhere.is_complete());
    assert!(sentences(&nowhere).contains("`$ORIGIN/../lib` of (program)"), "{}", tree(&nowhere));
}

#[test]
fn a_runpath_is_its_owners_alone_and_an_rpath_is_for_all_that_it_loads() {
    for (tags, complete) in [("-Wl,--enable-new-dtags", false), ("-Wl,--disable-new-dtags", true)] {
        let root = Root::new();
        let second = root.library("/opt/lib/libsecond.so", "int second(void) { return 2; }", &[]);
        let source = "int second(void); int first(void) { return second(); }";
        let first = root.library("/opt/lib/libfirst.so", source, &[&second]);
        let path = ["-Wl,-rpath,/opt/lib", tags, "-Wl,--allow-shlib-undefined"];
        root.program("/bin/app", "int first(void); void _start(void) { first(); }", &[&first], &path);
        let closure = root.close("/bin/app");
        assert_eq!(closure.is_complete(), complete, "{tags}: {}", tree(&closure));
        if complete {
            assert_eq!(closure.libraries[2].via, Via::Rpath);
        } else {
            assert!(sentences(&closure).contains("libsecond.so, needed by /opt/lib/libfirst.so"));
            assert_eq!(closure.undetermined, 1, "`second` may be in libsecond.so");
        }
    }
}

#[test]
fn a_library_with_a_runpath_does_not_inherit() {
    let root = Root::new();
    let second = root.library("/opt/lib/libsecond.so", "int second(void) { return 2; }", &[]);
    let source = "int second(void); int first(void) { return second(); }";
    let own = ["-Wl,-rpath,/opt/other", "-Wl,--enable-new-dtags"];
    let first = root.library_with("/opt/lib/libfirst.so", source, &[&second], &own);
    let path = ["-Wl,-rpath,/opt/lib", "-Wl,--disable-new-dtags", "-Wl,--allow-shlib-undefined"];
    root.program("/bin/app", "int first(void); void _start(void) { first(); }", &[&first], &path);
    assert!(sentences(&root.close("/bin/app")).contains("libsecond.so, needed by"));
}

#[test]
fn a_library_for_another_processor_is_passed_over() {
    let root = Root::new();
    let library = root.library("/opt/second/libx.so", "int x(void) { return 1; }", &[]);
    root.foreign_library("/opt/first/libx.so", "int x(void) { return 1; }");
    let path = ["-Wl,-rpath,/opt/first:/opt/second"];
    root.program("/bin/app", "int x(void); void _start(void) { x(); }", &[&library], &path);
    let closure = root.close("/bin/app");
    assert!(closure.is_complete(), "{}", tree(&closure));
    assert_eq!(closure.libraries[1].path.as_deref(), Some("/opt/second/libx.so"));

    fs::remove_file(root.path("/opt/second/libx.so")).unwrap();
    root.narrow_library("/opt/second/libx.so", "int x(void) { return 1; }");
    let closure = root.close("/bin/app");
    let Some(Problem::LibraryMissing { passed_over, .. }) = closure.problems.first() else {
        panic!("{}", tree(&closure))
    };
    let passed = |path: &str, reason| PassedOver { path: path.to_owned(), reason };
    let (first, second) = ("/opt/first/libx.so", "/opt/second/libx.so");
    let expected = [
        passed(first, Reason::WrongMachine { machine: 183 }),
        passed(second, Reason::WrongClass { class: 32 }),
    ];
    assert_eq!(passed_over[..], expected);

    // What is no ELF file at all ends the loader's search.
    fs::write(root.path("/opt/first/libx.so"), "GROUP ( /lib/libx.so.1 )").unwrap();
    let closure = root.close("/bin/app");
    assert!(sentences(&closure).contains("/opt/first/libx.so, needed by /bin/app, cannot be loaded"));
}

#[test]
fn the_interpreter_is_there_and_fits() {
    let root = Root::new();
    root.program("/bin/app", "void _start(void) {}", &[], &["-Wl,--no-as-needed"]);
    let complete = root.close("/bin/app");
    assert!(complete.is_complete(), "{}", tree(&complete));
    assert_eq!(complete.interpreter.unwrap().real.as_deref(), Some(INTERPRETER));

    fs::remove_file(root.path(INTERPRETER)).unwrap();
    root.foreign_library(INTERPRETER, "int x;");
    assert!(sentences(&root.close("/bin/app")).contains("does not fit: it is for machine 183"));
    fs::remove_file(root.path(INTERPRETER)).unwrap();
    symlink("/bin/sh", root.path(INTERPRETER)).unwrap();
    assert!(sentences(&root.close("/bin/app")).contains("is not in the sysroot"), "a link out of the root");
}

#[test]
fn a_version_that_the_library_lacks_is_told_with_its_symbols() {
    let root = Root::new();
    let both = "int old(void) { return 1; } int new(void) { return 2; }";
    let map = "V1 { global: old; local: *; }; V2 { global: new; } V1;";
    let library = root.versioned_library("/lib/libv.so.1", both, map);
    let source = "int old(void); int new(void); void _start(void) { old(); new(); }";
    root.program("/bin/app", source, &[&library], &[]);
    assert!(root.close("/bin/app").is_complete());

    // The release before had V1 only.
    root.versioned_library("/lib/libv.so.1", "int old(void) { return 1; }", "V1 { global: old; local: *; };");
    let closure = root.close("/bin/app");
    let text = sentences(&closure);
    assert!(text.contains("version V2, needed by /bin/app, is not in /lib/libv.so.1"), "{text}");
    assert!(text.contains("symbol new@V2 of libv.so.1, needed by /bin/app, is in no library"), "{text}");
    assert_eq!(closure.problems.len(), 2, "{text}");

    // The version is there, the symbol is gone.
    let map = "V1 { global: old; local: *; }; V2 { global: other; } V1;";
    let source = "int old(void) { return 1; } int other(void) { return 2; }";
    root.versioned_library("/lib/libv.so.1", source, map);
    let closure = root.close("/bin/app");
    assert!(matches!(&closure.problems[..], [Problem::SymbolMissing { symbol, .. }] if symbol == "new"));

    // Without a table of versions an assertion of the loader fails at the first symbol.
    root.library("/lib/libv.so.1", both, &[]);
    let closure = root.close("/bin/app");
    assert!(matches!(
        &closure.problems[..],
        [Problem::VersionMissing { weak: false, .. }, Problem::VersionMissing { weak: false, .. }]
    ));

    // With one that has none of its own versions the loader warns and takes it.
    let other = root.versioned_library("/lib/libw.so.1", "int w(void) { return 1; }", "W1 { global: w; };");
    let source = format!("{both} int w(void); int uses(void) {{ return w(); }}");
    root.library("/lib/libv.so.1", &source, &[&other]);
    let closure = root.close("/bin/app");
    assert!(closure.is_complete());
    assert!(matches!(closure.problems[..], [Problem::Unversioned { library: 1, needed_by: 0 }]));
    assert_eq!(closure.problems_of(Weight::Note).count(), 1);
}

#[test]
fn what_glibc_does_not_load_as_a_library() {
    let root = Root::new();
    let source = "int f(void) { return 1; }";
    let library = root.library("/lib/libf.so.1", source, &[]);
    root.program("/bin/app", "int f(void); void _start(void) { f(); }", &[&library], &[]);
    assert!(root.close("/bin/app").is_complete());
    let path = root.path("/lib/libf.so.1");
    let whole = fs::read(&path).unwrap();
    for (at, value, told) in [
        (7, 9, "its EI_OSABI is 9 and its EI_ABIVERSION 0, which glibc does not load"),
        (7, 3, ""),
        (8, 1, "its EI_OSABI is 0 and its EI_ABIVERSION 1"),
        (16, 2, "it is a program, which glibc does not load as a library"),
    ] {
        let mut changed = whole.clone();
        changed[at] = value;
        fs::write(&path, changed).unwrap();
        let closure = root.close("/bin/app");
        assert_eq!(closure.is_complete(), told.is_empty(), "{at}");
        assert!(sentences(&closure).contains(told), "{}", sentences(&closure));
    }
    root.library_with("/lib/libf.so.1", source, &[], &["-Wl,-z,pack-relative-relocs"]);
    assert!(root.close("/bin/app").is_complete());
    root.program(
        "/lib/libf.so.1",
        "int f(void) { return 1; } void _start(void) { f(); }",
        &[],
        &["-pie", "-Wl,-E"],
    );
    assert!(sentences(&root.close("/bin/app")).contains("it is a program"));
}

#[test]
fn a_library_that_a_filter_stands_before_is_needed_and_one_without_hashes_offers_nothing() {
    let root = Root::new();
    let source = "int f(void) { return 1; }";
    let filter = root.library_with("/lib/libf.so.1", source, &[], &["-Wl,-F,libreal.so.1"]);
    root.program("/bin/app", "int f(void); void _start(void) { f(); }", &[&filter], &[]);
    let told = sentences(&root.close("/bin/app"));
    assert!(told.contains("libreal.so.1, needed by /lib/libf.so.1"), "{told}");
    root.library("/lib/libreal.so.1", source, &[]);
    assert!(root.close("/bin/app").is_complete());

    // The entry of its only hash table became one that says nothing.
    root.library_with("/lib/libf.so.1", source, &[], &["-Wl,--hash-style=gnu"]);
    let path = root.path("/lib/libf.so.1");
    let mut bytes = fs::read(&path).unwrap();
    let tag = 0x6fff_fef5_u64.to_le_bytes();
    let at = bytes.windows(8).position(|bytes| bytes == tag).unwrap();
    bytes[at..at + 8].copy_from_slice(&0x6fff_fdf8_u64.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    let told = sentences(&root.close("/bin/app"));
    assert!(told.contains("symbol f, needed by /bin/app, is in no library"), "{told}");
}

#[test]
fn a_configured_folder_is_looked_at_through_what_ldconfig_enters() {
    let root = Root::new();
    root.write("/etc/ld.so.conf", "/opt/l\n");
    let source = "int f(void) { return 1; }";
    for (name, soname, found) in [
        ("libf.so.1", "libf.so.1", true),
        ("libf.so", "libf.so.1", false),
        ("plug.so", "plug.so", false),
        ("libf.plug", "libf.plug", false),
    ] {
        let path = format!("/opt/l/{name}");
        root.library_with(&path, source, &[], &[&format!("-Wl,-soname,{soname}")]);
        // Linked while its SONAME was its file's name.
        let asked = root.library(&format!("/build/{name}"), source, &[]);
        root.program("/bin/app", "int f(void); void _start(void) { f(); }", &[&asked], &[]);
        let closure = root.close("/bin/app");
        assert_eq!(closure.is_complete(), found, "{name}: {}", sentences(&closure));
        assert_eq!(sentences(&closure).contains("ldconfig"), !found, "{name}: {}", sentences(&closure));
    }
    // A program that forgoes the default folders does not forgo these, but for those that are both.
    let asked = root.library("/opt/l/libf.so.1", source, &[]);
    let flags = ["-Wl,-z,nodefaultlib"];
    root.program("/bin/app", "int f(void); void _start(void) { f(); }", &[&asked], &flags);
    assert!(root.close("/bin/app").is_complete());
    root.library("/lib/libf.so.1", source, &[]);
    fs::remove_dir_all(root.path("/opt/l")).unwrap();
    assert!(!root.close("/bin/app").is_complete());
    root.write("/etc/ld.so.conf", "/lib\n");
    assert!(!root.close("/bin/app").is_complete());
}

#[test]
fn who_asks_without_a_version_gets_the_oldest_or_the_only_default() {
    let root = Root::new();
    let plain = root.library("/lib/libv.so.1", "int f(void) { return 0; } int g(void) { return 0; }", &[]);
    root.program("/bin/app", "int f(void); int g(void); void _start(void) { f(); g(); }", &[&plain], &[]);
    // f has one default version at index 3; g is hidden at index 3 and is not found.
    let source = "int f(void) { return 1; } int h(void) { return 1; }
        int g_old(void) { return 2; } __asm__(\".symver g_old, g@V2\");";
    let map = "V1 { global: h; local: *; }; V2 { global: f; g; } V1;";
    root.versioned_library("/lib/libv.so.1", source, map);
    let text = sentences(&root.close("/bin/app"));
    assert!(text.contains("symbol g,") && !text.contains("symbol f,"), "{text}");
}

/// Case 19 of the verification anchors: what is weak may stay open.
#[test]
fn case_19_weak_symbols_may_stay_open() {
    let root = Root::new();
    let source = "__attribute__((weak)) int optional(void); void _start(void) { if (optional) optional(); }";
    let library = root.library("/lib/liby.so", "int y;", &[]);
    root.program("/bin/app", source, &[&library], &["-Wl,--no-as-needed", "-Wl,-z,dynamic-undefined-weak"]);
    let closure = root.close("/bin/app");
    assert!(closure.is_complete(), "{}", tree(&closure));
    let optional = closure.bindings.iter().find(|binding| binding.symbol == "optional").unwrap();
    assert!(optional.weak && optional.supplier.is_none());
}

#[test]
fn a_copied_variable_must_still_be_there_to_be_copied() {
    let root = Root::new();
    let map = "V1 { global: value; other; local: *; };";
    let library = root.versioned_library("/lib/libv.so.1", "int value = 1; int other = 1;", map);
    let source = "extern int value; int _start(void) { return value; }";
    root.program("/bin/app", source, &[&library], &["-no-pie", "-fno-pie"]);
    assert!(root.close("/bin/app").is_complete());
    root.versioned_library("/lib/libv.so.1", "int other = 1;", "V1 { global: other; local: *; };");
    let text = sentences(&root.close("/bin/app"));
    assert!(text.contains("symbol value@V1"), "{text}");
}

#[test]
fn links_of_a_root_are_its_own() {
    let root = Root::new();
    let library = root.library("/real/libx.so.1.2", "int x(void) { return 1; }", &["-Wl,-soname,libx.so.1"]);
    root.program("/bin/app", "int x(void); void _start(void) { x(); }", &[&library], &[]);
    assert!(!root.close("/bin/app").is_complete());
    // Absolute: from the root on.
    symlink("/real/libx.so.1.2", root.path("/lib/libx.so.1")).unwrap();
    let closure = root.close("/bin/app");
    assert_eq!(closure.libraries[1].real.as_deref(), Some("/real/libx.so.1.2"), "{}", tree(&closure));
    // To the same file by the path that it has outside of the root: there is no such file inside.
    fs::remove_file(root.path("/lib/libx.so.1")).unwrap();
    symlink(root.path("/real/libx.so.1.2"), root.path("/lib/libx.so.1")).unwrap();
    assert!(!root.close("/bin/app").is_complete());
    for circle in ["libx.so.1", "/lib/libx.so.1", "../lib/libx.so.1"] {
        fs::remove_file(root.path("/lib/libx.so.1")).unwrap();
        symlink(circle, root.path("/lib/libx.so.1")).unwrap();
        assert!(!root.close("/bin/app").is_complete(), "{circle}");
    }
}

#[test]
fn libraries_that_need_each_other_are_loaded_once() {
    let root = Root::new();
    let stub = root.library("/lib/libb.so", "int b(void) { return 1; }", &[]);
    let a = root.library("/lib/liba.so", "int b(void); int a(void) { return b(); }", &[&stub]);
    let b = root.library("/lib/libb.so", "int a(void); int b(void) { return a(); }", &[&a]);
    root.program("/bin/app", "int a(void); int b(void); void _start(void) { a(); b(); }", &[&a, &b], &[]);
    let closure = root.close("/bin/app");
    assert!(closure.is_complete());
    assert_eq!(closure.libraries.len(), 3);
    let text = tree(&closure);
    assert_eq!(text.matches("liba.so => /lib/liba.so").count(), 2, "{text}");
}

#[test]
fn newer_processors_have_folders_of_their_own() {
    let root = Root::new();
    let library = root.library("/lib/glibc-hwcaps/x86-64-v3/libx.so", "int x(void) { return 1; }", &[]);
    root.program("/bin/app", "int x(void); void _start(void) { x(); }", &[&library], &[]);
    let closure = root.close("/bin/app");
    assert!(
        sentences(&closure).contains("x86-64-v3/libx.so is for newer processors only"),
        "{}",
        tree(&closure)
    );
    let newer = root.open().with_hwcaps(&["x86-64-v3", "x86-64-v2"]);
    let closure = closure::resolve(&root.linkage("/bin/app"), Some("/bin/app"), &newer);
    assert!(closure.is_complete());
    assert_eq!(closure.libraries[1].path.as_deref(), Some("/lib/glibc-hwcaps/x86-64-v3/libx.so"));
}

#[test]
fn tokens_and_configured_folders_lead_to_their_libraries() {
    let root = Root::new();
    let one = root.library("/opt/lib/x86_64-linux-gnu/libone.so", "int one(void) { return 1; }", &[]);
    let two = root.library("/opt/x86_64/libtwo.so", "int two(void) { return 1; }", &[]);
    let three = root.library("/opt/three/libthree.so", "int three(void) { return 1; }", &[]);
    let path = ["-Wl,-rpath,${ORIGIN}/../opt/$LIB:/opt/$PLATFORM:/opt/$LIBRARY"];
    let source =
        "int one(void); int two(void); int three(void); void _start(void) { one(); two(); three(); }";
    root.program("/bin/app", source, &[&one, &two, &three], &path);
    root.write("/etc/ld.so.conf", "include conf.d/*.conf\n");
    root.write("/etc/conf.d/three.conf", "/opt/three/\n");
    let closure = root.close("/bin/app");
    assert!(closure.is_complete(), "{}", tree(&closure));
    let via: Vec<_> = closure.libraries.iter().map(|library| library.via).collect();
    assert_eq!(via, [Via::Program, Via::Runpath, Via::Runpath, Via::Configured]);
}

#[test]
fn names_with_a_slash_are_paths_and_other_names_of_a_library_are_it() {
    let root = Root::new();
    // Without a SONAME the linker writes the path that it was given.
    root.bare_library("/opt/libx.so", "int x(void) { return 1; }");
    root.program_beside("/bin/app", "int x(void); void _start(void) { x(); }", "/opt/libx.so");
    let closure = root.close("/bin/app");
    assert_eq!(closure.libraries[0].needs[0].name, "/opt/libx.so");
    assert!(closure.is_complete() && closure.libraries[1].via == Via::Path, "{}", tree(&closure));
}

/// Case 18 of the verification anchors: mangled names, two libraries below libstdc++, versions of three families.
#[test]
fn case_18_a_cpp_program_finds_all_of_libstdcpp() {
    let root = Root::new();
    let source = "#include <iostream>\n#include <stdexcept>\n#include <string>\n
        int main(int n, char **) { std::string s(n, 'x'); if (n > 3) throw std::runtime_error(s); std::cout << s; }";
    let program = root.cpp_program("/app", source);
    let here = Sysroot::open("/".as_ref()).unwrap();
    let linkage = inspect::elf_linkage(&fs::read(program).unwrap()).unwrap();
    let closure = closure::resolve(&linkage, None, &here);
    assert!(closure.is_complete(), "{}", tree(&closure));
    let supplier = |symbol: &str| {
        let binding = closure.bindings.iter().find(|binding| binding.symbol == symbol).unwrap();
        closure.libraries[binding.supplier.unwrap()].name.clone()
    };
    assert_eq!(supplier("_ZNSt13runtime_errorD1Ev"), "libstdc++.so.6");
    assert_eq!(supplier("__libc_start_main"), "libc.so.6");
    assert!(
        tree(&closure).contains("libstdc++.so.6 (CXXABI_1.3, GLIBCXX_3.4.21) => /lib"),
        "{}",
        tree(&closure)
    );
}

/// As mold leaves them with `--gc-sections`: ld.so starts such a program, also with `LD_BIND_NOW=1`.
#[test]
fn a_symbol_that_no_relocation_names_is_not_looked_up() {
    const DT_JMPREL: i64 = 23;
    let root = Root::new();
    let both = "int kept(void) { return 1; } int gone(void) { return 2; }";
    let library = root.library("/lib/libx.so.1", both, &[]);
    let source = "int kept(void); int gone(void); void _start(void) { kept(); gone(); }";
    root.program("/bin/app", source, &[&library], &[]);
    root.library("/lib/libx.so.1", "int kept(void) { return 1; }", &[]);
    let closure = root.close("/bin/app");
    assert!(
        matches!(&closure.problems[..], [Problem::SymbolMissing { symbol, .. }] if symbol == "gone"),
        "{}",
        tree(&closure)
    );

    // Two relocations of 24 bytes, with the symbol at 12: both get that of `kept`, the one whose twin is not missing.
    let linked = fs::read(root.path("/bin/app")).unwrap();
    let first = table(&linked, DT_JMPREL);
    let complete = [(12, 36), (36, 12)].map(|(from, to)| {
        let mut bytes = linked.clone();
        bytes.copy_within(first + from..first + from + 4, first + to);
        fs::write(root.path("/bin/app"), &bytes).unwrap();
        let closure = root.close("/bin/app");
        (closure.is_complete(), closure.bindings.len())
    });
    assert!(complete == [(true, 1), (false, 1)] || complete == [(false, 1), (true, 1)], "{complete:?}");
}

#[test]
fn a_static_program_needs_nothing() {
    let root = Root::new();
    root.program("/bin/app", "void _start(void) {}", &[], &["-static-pie", "-Wl,--no-dynamic-linker"]);
    fs::remove_file(root.path(INTERPRETER)).unwrap();
    let closure = root.close("/bin/app");
    assert!(closure.is_complete() && closure.libraries.len() == 1, "{}", tree(&closure));
}
