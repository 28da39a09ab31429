//! Programs and DLLs of mingw in one folder: who supplies what, by name, by ordinal, late, or not at all.

use std::fs;
use std::path::Path;

use closure::{PeClosure, PeProblem, PeSupplier, SystemDlls, pe_tree, resolve_pe};
use tempfile::TempDir;
use xshell::{Shell, cmd};

/// A folder with `helper.dll`, a program that needs it, and a DLL that forwards to it.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let shell = Shell::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(
        at("helper.c"),
        "__declspec(dllexport) int one(void) { return 1; } int two(void) { return 2; }",
    )
    .unwrap();
    fs::write(
        at("helper.def"),
        "LIBRARY Helper.dll\nEXPORTS\n one\n two @7 NONAME\n late = KERNEL32.Sleep\n",
    )
    .unwrap();
    let source =
        "int one(void); int two(void); void late(int); int main(void) { late(0); return one() + two(); }";
    fs::write(at("program.c"), source).unwrap();
    let (dll, program) = (at("Helper.dll"), at("program.exe"));
    let (library, helper, definitions, main) =
        (at("libhelper.a"), at("helper.c"), at("helper.def"), at("program.c"));
    let compiler = "x86_64-w64-mingw32-gcc";
    let expected = "mingw links: apt-get install gcc-mingw-w64-x86-64";
    cmd!(shell, "{compiler} -shared -o {dll} {helper} {definitions} -Wl,--out-implib,{library}")
        .quiet()
        .run()
        .expect(expected);
    cmd!(shell, "{compiler} -o {program} {main} {library}").quiet().run().expect(expected);
    folder
}

fn close(folder: &Path) -> PeClosure {
    let program = inspect::pe_linkage(&fs::read(folder.join("program.exe")).unwrap()).unwrap();
    resolve_pe("program.exe", &program, folder, &SystemDlls::windows_10())
}

#[test]
fn a_dll_beside_the_program_supplies_by_name_and_ordinal() {
    let folder = folder();
    // Windows does not tell `Helper.dll` from `HELPER.DLL`.
    fs::rename(folder.path().join("Helper.dll"), folder.path().join("HELPER.DLL")).unwrap();
    let closure = close(folder.path());
    assert!(closure.is_complete(), "{}", pe_tree(&closure));
    let supplier = |name: &str| {
        let imports = &closure.modules[0].imports;
        imports.iter().find(|import| import.library.eq_ignore_ascii_case(name)).unwrap().supplier
    };
    assert_eq!(supplier("helper.dll"), PeSupplier::Module(1));
    assert_eq!(supplier("kernel32.dll"), PeSupplier::System);
    let forwarded =
        |problem: &PeProblem| matches!(problem, PeProblem::Forwarded { to, .. } if to == "KERNEL32.Sleep");
    assert!(closure.problems.iter().any(forwarded), "{}", pe_tree(&closure));
}

#[test]
fn a_forwarder_is_followed_to_its_end() {
    let folder = folder();
    let dll = folder.path().join("Helper.dll");
    let whole = fs::read(&dll).unwrap();
    let forwarder = b"KERNEL32.Sleep\0";
    let at = whole.windows(forwarder.len()).position(|bytes| bytes == forwarder).unwrap();
    let told = |to: &[u8; 15]| {
        let mut changed = whole.clone();
        changed[at..at + 15].copy_from_slice(to);
        fs::write(&dll, changed).unwrap();
        let closure = close(folder.path());
        (closure.is_complete(), pe_tree(&closure))
    };
    for (to, complete, text) in [
        (b"KERNEL32.Sleep\0", true, "KERNEL32.Sleep"),
        (b"Helper.one\0\0\0\0\0", true, "Helper.one"),
        (b"Helper.#7\0\0\0\0\0\0", true, "Helper.#7"),
        (b"Helper.nowhere\0", false, "nowhere, needed by Helper.dll, is not exported by Helper.dll"),
        (b"Helper.#8\0\0\0\0\0\0", false, "#8, needed by Helper.dll, is not exported by Helper.dll"),
        (b"MISSING1.Sleep\0", false, "MISSING1"),
        // In a circle.
        (b"Helper.late\0\0\0\0", false, "forwarders of one function"),
    ] {
        let (is_complete, tree) = told(to);
        assert_eq!(is_complete, complete, "{tree}");
        assert!(tree.contains(text), "{text}: {tree}");
    }
}

#[test]
fn what_is_gone_is_told() {
    let folder = folder();
    let dll = folder.path().join("Helper.dll");
    let bytes = fs::read(&dll).unwrap();
    fs::remove_file(&dll).unwrap();
    let closure = close(folder.path());
    assert!(
        matches!(&closure.problems[..], [PeProblem::DllMissing { needed_by: 0, delayed: false, .. }]),
        "{}",
        pe_tree(&closure)
    );

    // The function has another name.
    let mut renamed = bytes.clone();
    // In the export directory, names follow that of the DLL.
    let place =
        |from: usize, text: &[u8]| (from..bytes.len()).find(|at| bytes[*at..].starts_with(text)).unwrap();
    let at = place(place(0, b"Helper.dll\0"), b"\0one\0");
    renamed[at + 1] = b'O';
    fs::write(&dll, &renamed).unwrap();
    let text = pe_tree(&close(folder.path()));
    assert!(text.contains("one, needed by program.exe, is not exported by Helper.dll"), "{text}");

    // The right name for the wrong processor: 32-bit x86.
    let mut other = bytes;
    let header = u32::from_le_bytes(other[0x3c..0x40].try_into().unwrap()) as usize;
    other[header + 4..header + 6].copy_from_slice(&0x14cu16.to_le_bytes());
    fs::write(&dll, &other).unwrap();
    assert!(matches!(close(folder.path()).problems[..], [PeProblem::WrongMachine { machine: 0x14c, .. }]));
}

#[test]
fn a_known_dll_is_windows_own_whatever_stands_beside_the_program() {
    let folder = folder();
    fs::copy(folder.path().join("Helper.dll"), folder.path().join("kernel32.dll")).unwrap();
    let closure = close(folder.path());
    assert!(closure.modules.iter().all(|module| module.name != "kernel32.dll"));
    assert!(closure.is_complete(), "{}", pe_tree(&closure));
}
