//! What a sysroot adds to the gate: real files, a root made for them, and what a policy lets be missing.

use std::fs;
use std::path::Path;

use artifact::{Finding, Outcome};
use seaworthy_verify::{Policy, Subject, SysrootPolicy, verify};
use xshell::{Shell, cmd};

use crate::support::*;

fn finding(rule: &str, path: &str, bytes: &[u8], policy: &Policy) -> Finding {
    let facts = inspect::inspect_without_exports(bytes).expect("the headers can be read");
    let report = verify(&Subject::new(path, bytes, &facts), policy);
    report.findings.into_iter().find(|finding| finding.rule == rule).expect("the rule is there")
}

#[test]
fn what_a_device_lacks_is_named_with_who_needs_it() {
    let folder = tempfile::tempdir().unwrap();
    let lib = folder.path().join("lib");
    fs::create_dir(&lib).unwrap();
    for name in ["ld-linux-aarch64.so.1", "libc.so.6", "libgcc_s.so.1"] {
        fs::write(lib.join(name), read(&format!("aarch64-root/lib/{name}"))).unwrap();
    }
    let closed = || {
        // A fresh policy each time: one remembers what it read.
        let policy = Policy { sysroot: Some(SysrootPolicy::new(folder.path())), ..Fixture::Glibc.policy() };
        finding("SW-ELF-CLOSURE", "dist/fixture", &Fixture::Glibc.bytes(), &policy)
    };
    let whole = closed();
    assert_eq!((whole.outcome, &*whole.observed), (Outcome::Pass, "2 libraries, 8 symbols bound"));

    // An older libc of the device: the version is another one, and with it the symbol is gone.
    let mut older = read("aarch64-root/lib/libc.so.6");
    overwrite(&mut older, "GLIBC_2.34", "GLIBC_2.33");
    fs::write(lib.join("libc.so.6"), older).unwrap();
    let older = closed();
    assert_eq!(older.outcome, Outcome::Fail);
    for part in
        ["version GLIBC_2.34, needed by", "is not in /lib/libc.so.6", "symbol __libc_start_main@GLIBC_2.34"]
    {
        assert!(older.observed.contains(part), "{part}: {older:?}");
    }

    fs::write(lib.join("libc.so.6"), read("aarch64-root/lib/libc.so.6")).unwrap();
    fs::remove_file(lib.join("libgcc_s.so.1")).unwrap();
    let lacking = closed();
    assert_eq!(lacking.outcome, Outcome::Fail, "its place matters to nothing that it needs");
    assert!(lacking.observed.contains("libgcc_s.so.1, needed by (program), is not in"), "{lacking:?}");
    fs::write(lib.join("libgcc_s.so.1"), "\x7fELF").unwrap();
    assert!(closed().observed.contains("/lib/libgcc_s.so.1, needed by (program), cannot be loaded"));
}

/// Case 19 of the verification anchors: symbols that the program which loads a plug-in supplies.
#[test]
fn case_19_a_plug_in_may_lack_what_its_host_supplies_where_the_policy_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (source, plug_in) = (folder.path().join("plug-in.c"), folder.path().join("plug-in.so"));
    fs::write(&source, "int host_call(int); int plug_in(void) { return host_call(1); }").unwrap();
    let shell = Shell::new().unwrap();
    cmd!(shell, "aarch64-linux-gnu-gcc -shared -fPIC -nostdlib -o {plug_in} {source}")
        .quiet()
        .run()
        .expect("apt-get install gcc-aarch64-linux-gnu");
    let bytes = fs::read(&plug_in).unwrap();
    let mut policy = Fixture::InRoot.policy();
    let refused = finding("SW-ELF-CLOSURE", "plug-in.so", &bytes, &policy);
    assert_eq!(refused.outcome, Outcome::Fail);
    assert!(
        refused.observed.contains("symbol host_call, needed by (program), is in no library"),
        "{refused:?}"
    );
    policy.unresolved_symbols = vec!["host_*".to_owned()];
    assert_eq!(finding("SW-ELF-CLOSURE", "plug-in.so", &bytes, &policy).outcome, Outcome::Pass);
}

#[test]
fn a_library_beside_a_program_of_unknown_place_is_not_to_be_told() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("lib")).unwrap();
    fs::copy(fixture("aarch64-root/lib/ld-linux-aarch64.so.1"), at("lib/ld-linux-aarch64.so.1")).unwrap();
    let (source, library, program) = (at("source.c"), at("libx.so"), at("program"));
    let shell = Shell::new().unwrap();
    let link = |text: &str, flags: &[&str], output: &Path| {
        fs::write(&source, text).unwrap();
        cmd!(shell, "aarch64-linux-gnu-gcc -nostdlib -fPIC -o {output} {source} {flags...}")
            .quiet()
            .run()
            .expect("apt-get install gcc-aarch64-linux-gnu");
    };
    link("int x(void) { return 1; }", &["-shared", "-Wl,-soname,libx.so"], &library);
    let beside = ["-pie", "-Wl,-rpath,$ORIGIN", library.to_str().unwrap()];
    link("int x(void); void _start(void) { x(); }", &beside, &program);
    let bytes = fs::read(&program).unwrap();
    let policy = Policy { sysroot: Some(SysrootPolicy::new(folder.path())), ..Fixture::Glibc.policy() };
    let place = program.to_str().unwrap();
    let here = finding("SW-ELF-CLOSURE", place, &bytes, &policy);
    assert_eq!(here.outcome, Outcome::Pass, "{here:?}");
    let elsewhere = finding("SW-ELF-CLOSURE", "release.tar!program", &bytes, &policy);
    assert_eq!(elsewhere.outcome, Outcome::CannotTell);
    assert!(elsewhere.observed.contains("search path `$ORIGIN` of (program)"), "{elsewhere:?}");
}

#[test]
fn a_dll_is_windows_or_the_devices_or_beside_the_program() {
    let mut bytes = Fixture::InFolder.bytes();
    overwrite(&mut bytes, "msvcrt.dll", "device.dll");
    let mut policy = Fixture::InFolder.policy();
    let refused = finding("SW-PE-CLOSURE", "app.exe", &bytes, &policy);
    assert_eq!(refused.outcome, Outcome::Fail);
    assert!(refused.observed.contains("device.dll, needed by app.exe, is neither"), "{refused:?}");
    policy.system_dlls = vec!["Device".to_owned()];
    let passed = finding("SW-PE-CLOSURE", "app.exe", &bytes, &policy);
    assert_eq!(passed.outcome, Outcome::Pass);
    assert!(passed.observed.ends_with(" DLLs imported, 0 of all in the sysroot"), "{passed:?}");

    // In the sysroot, beside it is in its own folder; for what is elsewhere, the sysroot is that folder.
    let root = tempfile::tempdir().unwrap();
    let (folder, library) = (root.path().join("app"), Fixture::Console.bytes());
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("app.exe"), &bytes).unwrap();
    let inside = folder.join("app.exe").to_str().unwrap().to_owned();
    let policy_of = |path: &Path| Policy {
        sysroot: Some(SysrootPolicy::new(path)),
        system_dlls: Vec::new(),
        ..policy.clone()
    };
    let told = |name: &str| finding("SW-PE-CLOSURE", name, &bytes, &policy_of(root.path())).observed;
    fs::write(root.path().join("device.dll"), &library).unwrap();
    assert!(told(&inside).contains("device.dll, needed by app.exe, is neither"), "{}", told(&inside));
    assert!(told("dist.zip!app.exe").contains("is not exported by device.dll"));
    fs::rename(root.path().join("device.dll"), folder.join("device.dll")).unwrap();
    assert!(told(&inside).contains("is not exported by device.dll"), "{}", told(&inside));
    assert!(told("dist.zip!app.exe").contains("device.dll, needed by app.exe, is neither"));

    // What it imports late is said to stand where the file has nothing: data directory 13 of a PE32+ header.
    let header = u32::from_le_bytes(bytes[0x3c..0x40].try_into().unwrap()) as usize;
    let delayed = header + 24 + 112 + 13 * 8;
    bytes[delayed..delayed + 8].copy_from_slice(&[0, 0xf0, 0xff, 0x7f, 0x40, 0, 0, 0]);
    let damaged = finding("SW-PE-CLOSURE", "app.exe", &bytes, &policy);
    assert_eq!(damaged.outcome, Outcome::CannotTell, "{damaged:?}");
    assert!(damaged.observed.contains("app.exe"), "{damaged:?}");
}
