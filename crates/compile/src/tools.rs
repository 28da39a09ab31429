//! The compilers a builder offers for a target, and the few scripts of ours that stand before them.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use artifact::contract::{DLLTOOL_SHIM, STATIC_PIE_SHIM};
use artifact::{Digest, Linkage, Machine, Target};

use crate::cargo::Layout;
use crate::error::Faults as _;
use crate::flags::{LinkerKind, shell_word};
use crate::{CompileRequest, Error};

/// What cargo and the `cc` crate are told to use, in the words of the builder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Compilers {
    /// The linker, as rustc starts it.
    pub(crate) linker: String,
    /// How options reach it.
    pub(crate) linker_kind: LinkerKind,
    /// The C compiler for the target, where there is one.
    pub(crate) c: Option<String>,
    /// The C++ compiler for the target, where there is one.
    pub(crate) cxx: Option<String>,
    /// The archiver, where it is not the one on PATH.
    pub(crate) ar: Option<String>,
    /// PATH after the Rust toolchain's own folder.
    pub(crate) path: String,
    /// Variables that only this builder needs.
    pub(crate) env: BTreeMap<String, String>,
}

impl Compilers {
    /// GCC under its Debian name, or `rust-lld` where the target brings its own C library; `path` is PATH.
    pub(crate) fn gcc(
        driver: &str,
        path: &str,
        request: &CompileRequest,
        layout: &Layout,
    ) -> Result<Compilers, Error> {
        let base = Compilers {
            linker: driver.to_owned(),
            linker_kind: LinkerKind::Driver,
            c: Some(driver.to_owned()),
            cxx: Some(if driver == "cc" { "c++".to_owned() } else { driver.replace("gcc", "g++") }),
            ar: None,
            path: path.to_owned(),
            env: BTreeMap::new(),
        };
        base.with_musl_linker(request, layout)
    }

    /// Replaces the linker for a target that carries its C library: everything it needs is in the Rust toolchain.
    pub(crate) fn with_musl_linker(
        self,
        request: &CompileRequest,
        layout: &Layout,
    ) -> Result<Compilers, Error> {
        if request.target.row().linkage != Linkage::StaticPie {
            return Ok(self);
        }
        if request.target.row().machine == Machine::X86_64 {
            return Ok(Compilers { linker: "rust-lld".to_owned(), linker_kind: LinkerKind::Lld, ..self });
        }
        let text = static_pie_script(request.target, layout);
        let linker = script(request, layout, "ld-static-pie", &text)?;
        Ok(Compilers { linker, linker_kind: LinkerKind::LldStaticPie, ..self })
    }

    /// Puts a dlltool first on PATH that makes the same bytes from any folder; `real`, in a shell's words, does the
    /// work.
    pub(crate) fn with_steady_dlltool(
        self,
        real: &str,
        request: &CompileRequest,
        layout: &Layout,
    ) -> Result<Compilers, Error> {
        let text = format!("#!/bin/sh\nreal_dlltool() {{ {real} \"$@\"; }}\n{DLLTOOL_SHIM}");
        let script = script(request, layout, DLLTOOL, &text)?;
        let folder = script.trim_end_matches(DLLTOOL).trim_end_matches('/');
        Ok(Compilers { path: format!("{folder}:{}", self.path), ..self })
    }
}

/// The name under which rustc looks for dlltool on other systems than Windows, for x86_64.
pub(crate) const DLLTOOL: &str = "x86_64-w64-mingw32-dlltool";

/// The linker of static PIEs, with the start files of the Rust target's own.
fn static_pie_script(target: Target, layout: &Layout) -> String {
    let folder = format!("{}/lib/rustlib/{}/lib/self-contained", layout.sysroot, target.triple());
    format!("#!/bin/sh\ncrt={}\n{STATIC_PIE_SHIM}", shell_word(&folder))
}

/// Writes an executable script below the target folder and says where the builder finds it. The folder is named
/// after the text, so that cargo links again when the script changes.
pub(crate) fn script(
    request: &CompileRequest,
    layout: &Layout,
    name: &str,
    text: &str,
) -> Result<String, Error> {
    let folder = format!("tools/{}", Digest::of(text.as_bytes()).short());
    write_executable(&request.target_dir.join(&folder), name, text)?;
    Ok(format!("{}/{folder}/{name}", layout.target_dir))
}

/// Written beside its place, then renamed: another build may be starting it.
fn write_executable(folder: &Path, name: &str, text: &str) -> Result<(), Error> {
    let path = folder.join(name);
    if fs::read(&path).is_ok_and(|present| present == text.as_bytes()) {
        return Ok(());
    }
    fs::create_dir_all(folder).map_err(|cause| Error::io(folder, cause))?;
    let private = folder.join(format!(".{name}.{}", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o755)
        .open(&private)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.and_then(|()| fs::rename(&private, &path)).map_err(|cause| Error::io(&path, cause))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cargo::tests::{layout, request};
    use crate::command::{self, CommandLine};

    #[test]
    fn gcc_links_what_needs_a_c_library_and_rust_lld_what_brings_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let compilers = |target, driver| {
            let request = CompileRequest { target_dir: folder.path().to_owned(), ..request(target) };
            Compilers::gcc(driver, "/bin", &request, &layout()).unwrap()
        };
        let gnu = compilers(Target::Aarch64Linux, "aarch64-linux-gnu-gcc");
        assert_eq!((gnu.linker.as_str(), gnu.linker_kind), ("aarch64-linux-gnu-gcc", LinkerKind::Driver));
        assert_eq!(gnu.cxx.as_deref(), Some("aarch64-linux-gnu-g++"));
        assert_eq!(compilers(Target::X86_64Linux, "cc").cxx.as_deref(), Some("c++"));
        let musl = compilers(Target::X86_64LinuxMusl, "cc");
        assert_eq!((musl.linker.as_str(), musl.linker_kind), ("rust-lld", LinkerKind::Lld));
        let musl = compilers(Target::Aarch64LinuxMusl, "cc");
        assert_eq!(musl.linker_kind, LinkerKind::LldStaticPie);
        assert!(musl.linker.starts_with("/target/tools/") && musl.linker.ends_with("/ld-static-pie"));
    }

    #[test]
    fn a_script_is_where_the_builder_is_told_and_another_text_is_another_place() {
        let folder = tempfile::tempdir().unwrap();
        let request =
            CompileRequest { target_dir: folder.path().to_owned(), ..request(Target::Aarch64LinuxMusl) };
        let write = |text: &str| script(&request, &layout(), "name", text).unwrap();
        let place = write("one");
        assert_eq!(place, write("one"));
        assert_ne!(place, write("two"));
        let here = folder.path().join(place.strip_prefix("/target/").unwrap());
        assert_eq!(fs::read_to_string(here).unwrap(), "one");
    }

    /// Runs dlltool.sh for a crate, with a dlltool that writes down its arguments as the library.
    fn dlltool(crate_name: &str, dll: &str, folder: &Path) -> String {
        let real = r#"sh -c 'for last; do [ "$before" = -l ] && library=$last; before=$last; done; echo "$@" >"$library"' sh"#;
        let text = format!("#!/bin/sh\nreal_dlltool() {{ {real} \"$@\"; }}\n{DLLTOOL_SHIM}");
        write_executable(folder, "dlltool", &text).unwrap();
        fs::write(folder.join("some.def"), "EXPORTS").unwrap();
        let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        let command = CommandLine {
            program: path("dlltool"),
            args: [
                "-d",
                &path("some.def"),
                "-D",
                dll,
                "-l",
                &path("some.lib"),
                "-m",
                "i386:x86-64",
                "-f",
                "--64",
            ]
            .into_iter()
            .chain(["--no-leading-underscore", "--temp-prefix", &path("some.lib")])
            .map(str::to_owned)
            .collect(),
            env: BTreeMap::from([
                ("PATH".to_owned(), "/usr/bin:/bin".to_owned()),
                ("CARGO_CRATE_NAME".to_owned(), crate_name.to_owned()),
            ]),
            inherits_env: false,
            folder: folder.to_owned(),
        };
        let mut told = String::new();
        let ended = command::run(&command, &mut |_, line| told.push_str(line)).unwrap();
        assert!(ended.success, "{told}");
        fs::read_to_string(folder.join("some.lib")).unwrap()
    }

    #[test]
    fn import_libraries_are_named_after_crate_and_dll_and_never_after_a_folder() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = dlltool("sound", "user32.dll", one.path());
        assert_eq!(first, dlltool("sound", "user32.dll", two.path()));
        assert!(first.contains("sound_user32_dll") && first.contains("-m i386:x86-64 -f --64"), "{first}");
        assert_ne!(first, dlltool("light", "user32.dll", one.path()), "one DLL, two crates");
        assert_ne!(first, dlltool("sound", "kernel32.dll", one.path()), "one crate, two DLLs");
    }
}
