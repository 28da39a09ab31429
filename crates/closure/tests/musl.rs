//! How musl searches, where it differs from glibc.

mod support;

use std::fs;

use closure::{Via, tree};
use support::{Root, sentences};

#[test]
fn musl_searches_its_own_way_and_is_one_file() {
    let root = Root::new();
    let musl = "/lib/ld-musl-x86_64.so.1";
    let libc = root.library_with(musl, "int puts(void) { return 1; }", &[], &["-Wl,-soname,libc.so"]);
    let second = root.library("/opt/lib/libsecond.so", "int second(void) { return 2; }", &[]);
    let first = root.library(
        "/opt/lib/libfirst.so",
        "int second(void); int first(void) { return second(); }",
        &[&second],
    );
    let third = root.library("/usr/local/lib/libthird.so", "int third(void) { return 3; }", &[]);
    let source =
        "int first(void); int puts(void); int third(void); void _start(void) { first(); puts(); third(); }";
    let interpreter = format!("-Wl,--dynamic-linker={musl}");
    let path = ["-Wl,-rpath,/opt/lib", "-Wl,--enable-new-dtags", "-Wl,--allow-shlib-undefined", &interpreter];
    root.program("/bin/app", source, &[&libc, &first, &third], &path);
    let closure = root.close("/bin/app");
    // The RUNPATH is inherited here, and libc.so is the loader.
    assert!(closure.is_complete(), "{}", tree(&closure));
    assert_eq!(closure.libraries[1].path.as_deref(), Some(musl));
    assert_eq!(closure.libraries[1].via, Via::Interpreter);
    let paths: Vec<_> = closure.libraries.iter().filter_map(|library| library.path.as_deref()).collect();
    assert!(paths.contains(&"/opt/lib/libsecond.so") && paths.contains(&"/usr/local/lib/libthird.so"));

    // A path file replaces the default folders.
    root.write("/etc/ld-musl-x86_64.path", "/srv/lib:/lib\n");
    assert!(
        sentences(&root.close("/bin/app"))
            .contains("libthird.so, needed by /bin/app, is not in /opt/lib:/srv/lib:/lib")
    );
}

#[test]
fn musl_takes_a_file_by_its_name_alone() {
    let root = Root::new();
    let musl = "/lib/ld-musl-x86_64.so.1";
    let libc = root.library_with(musl, "int puts(void) { return 1; }", &[], &["-Wl,-soname,libc.so"]);
    let source = "int f(void) { return 1; }";
    let flags = |rpath: &str| [format!("-Wl,--dynamic-linker={musl}"), format!("-Wl,-rpath,{rpath}")];
    let program = |library: &str, rpath: &str| {
        let [interpreter, rpath] = flags(rpath);
        root.program(
            "/bin/app",
            "int f(void); void _start(void) { f(); }",
            &[&libc, library],
            &[&interpreter, &rpath],
        );
        sentences(&root.close("/bin/app"))
    };
    let library = root.library("/opt/lib/libf.so.1", source, &[]);
    assert_eq!(program(&library, "/opt/lib"), "");
    // One token that it does not know leaves out the whole path.
    assert_eq!(program(&library, "/opt/lib:$ORIGIN/x"), "");
    assert!(program(&library, "/opt/lib:$LIB").contains("libf.so.1, needed by /bin/app, is not in /lib:"));

    // Loaded under another name, it is not known by its SONAME.
    let other = root.library_with("/opt/lib/libother.so", source, &[], &["-Wl,-soname,libf.so.1"]);
    fs::rename(root.path("/opt/lib/libf.so.1"), root.path("/opt/lib/gone")).unwrap();
    let user = root.library("/opt/lib/libuser.so", "int f(void); int g(void) { return f(); }", &[&other]);
    let mut bytes = fs::read(root.path("/opt/lib/libother.so")).unwrap();
    let at = bytes.windows(10).position(|text| text == b"libf.so.1\0").unwrap();
    bytes[at..at + 10].copy_from_slice(b"libo.so.1\0");
    fs::write(root.path("/opt/lib/libo.so.1"), &bytes).unwrap();
    let [interpreter, rpath] = flags("/opt/lib");
    let libo = root.path("/opt/lib/libo.so.1");
    let libraries = [libc.as_str(), libo.to_str().unwrap(), &user];
    root.program(
        "/bin/app",
        "int f(void); int g(void); void _start(void) { f(); g(); }",
        &libraries,
        &[&interpreter, &rpath],
    );
    bytes[at..at + 10].copy_from_slice(b"libf.so.1\0");
    fs::write(&libo, &bytes).unwrap();
    let told = sentences(&root.close("/bin/app"));
    assert!(told.contains("libf.so.1, needed by /opt/lib/libuser.so, is not in"), "{told}");

    // For another processor: musl maps it, and what runs is not code.
    bytes[18] = 183;
    fs::write(&libo, &bytes).unwrap();
    let told = sentences(&root.close("/bin/app"));
    assert!(told.contains("it is for machine 183, 64-bit, and musl takes it all the same"), "{told}");
}
