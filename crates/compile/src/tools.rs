//! The compilers a builder offers for a target, and the few scripts of ours that stand before them.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

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
            cxx: Some(driver.replace("gcc", "g++")),
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
        let text = format!("#!/bin/sh\nreal_dlltool() {{ {real} \"$@\"; }}\n{}", include_str!("dlltool.sh"));
        let script = script(request, layout, DLLTOOL, &text)?;
        let folder = script.trim_end_matches(DLLTOOL).trim_end_matches('/');
        Ok(Compilers { path: format!("{folder}:{}", self.path), ..self })
    }
}

/// The name under which rustc looks for dlltool on other systems than Windows, for x86_64.
pub(crate) const DLLTOOL: &str = "x86_64-w64-mingw32-dlltool";

/// rustc links aarch64 musl programs at a fixed address, as its target description has no static PIE. This linker
/// takes rustc's arguments (`-flavor gnu …`) and adds the start files of a static PIE from the same Rust target.
fn static_pie_script(target: Target, layout: &Layout) -> String {
    let folder = format!("{}/lib/rustlib/{}/lib/self-contained", layout.sysroot, target.triple());
    format!(
        "#!/bin/sh\n\
         # Links a static PIE with the Rust target's own start files; rustc's first two arguments are `-flavor gnu`.\n\
         crt={}\n\
         shift 2\n\
         exec rust-lld -flavor gnu \"$crt/rcrt1.o\" \"$crt/crti.o\" \"$crt/crtbeginS.o\" -L \"$crt\" \"$@\" \\\n  \
         -pie --no-dynamic-linker -z text \"$crt/crtendS.o\" \"$crt/crtn.o\"\n",
        shell_word(&folder)
    )
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
