//! Small roots, linked by gcc without any C library: nothing in them but what a test puts there.

// Each suite uses its part.
#![allow(dead_code)]

use std::fs;
use std::path::{Path, PathBuf};

use closure::{Closure, Sysroot, resolve};
use inspect::facts::ElfLinkage;
use tempfile::TempDir;
use xshell::{Shell, cmd};

/// The loader that the programs name.
pub(crate) const INTERPRETER: &str = "/lib64/ld-linux-x86-64.so.2";

/// A root folder with a loader in it.
pub(crate) struct Root {
    folder: TempDir,
    shell: Shell,
}

impl Root {
    pub(crate) fn new() -> Root {
        let root = Root { folder: tempfile::tempdir().unwrap(), shell: Shell::new().unwrap() };
        root.library(INTERPRETER, "int loader;", &[]);
        fs::create_dir_all(root.path("/lib")).unwrap();
        root
    }

    /// The path on this machine.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join("root").join(path.trim_start_matches('/'))
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A fresh look at the root.
    pub(crate) fn open(&self) -> Sysroot {
        Sysroot::open(&self.path("/")).unwrap()
    }

    pub(crate) fn linkage(&self, path: &str) -> ElfLinkage {
        inspect::elf_linkage(&fs::read(self.path(path)).unwrap()).unwrap()
    }

    /// What the program at `path` finds.
    pub(crate) fn close(&self, path: &str) -> Closure {
        // Through a link of the root, which this machine would follow elsewhere.
        let bytes = fs::read(self.path(path)).or_else(|_| {
            let target = fs::read_link(self.path(path)).unwrap();
            fs::read(self.path(target.to_str().unwrap()))
        });
        resolve(&inspect::elf_linkage(&bytes.unwrap()).unwrap(), Some(path), &self.open())
    }

    /// A library whose SONAME is its file's name, linked to `others`, which may also be flags.
    pub(crate) fn library(&self, path: &str, source: &str, others: &[&str]) -> String {
        self.library_with(path, source, others, &[])
    }

    pub(crate) fn library_with(&self, path: &str, source: &str, others: &[&str], flags: &[&str]) -> String {
        let name = path.rsplit('/').next().unwrap();
        let soname = format!("-Wl,-soname,{name}");
        let all = [&["-shared", "-fPIC", &soname, "-Wl,--no-as-needed"], flags].concat();
        self.link("gcc", path, source, &all, others)
    }

    /// A library with the symbol versions of a linker map.
    pub(crate) fn versioned_library(&self, path: &str, source: &str, map: &str) -> String {
        let file = self.folder.path().join("versions.map");
        fs::write(&file, map).unwrap();
        self.library_with(path, source, &[], &[&format!("-Wl,--version-script={}", file.display())])
    }

    /// A library without SONAME.
    pub(crate) fn bare_library(&self, path: &str, source: &str) -> String {
        self.link("gcc", path, source, &["-shared", "-fPIC"], &[])
    }

    /// The same for AArch64.
    pub(crate) fn foreign_library(&self, path: &str, source: &str) -> String {
        self.link("aarch64-linux-gnu-gcc", path, source, &["-shared", "-fPIC"], &[])
    }

    /// The same for 32-bit x86.
    pub(crate) fn narrow_library(&self, path: &str, source: &str) -> String {
        self.link("gcc", path, source, &["-shared", "-m32", "-fno-pic", "-Wl,-z,notext"], &[])
    }

    pub(crate) fn program(&self, path: &str, source: &str, libraries: &[&str], flags: &[&str]) -> String {
        let interpreter = format!("-Wl,--dynamic-linker={INTERPRETER}");
        let all = [&["-pie", "-fPIE", "-Wl,--no-as-needed", &interpreter], flags].concat();
        self.link("gcc", path, source, &all, libraries)
    }

    /// A program whose `DT_NEEDED` is the path of a library without SONAME.
    pub(crate) fn program_beside(&self, path: &str, source: &str, library: &str) {
        let target = self.path(library);
        self.program(path, source, &[target.to_str().unwrap()], &[]);
        // The linker wrote this machine's path; in the root it is shorter.
        let mut bytes = fs::read(self.path(path)).unwrap();
        let written = target.to_str().unwrap().as_bytes();
        let places = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(written)).collect::<Vec<_>>();
        for at in places {
            bytes[at..at + written.len()].fill(0);
            bytes[at..at + library.len()].copy_from_slice(library.as_bytes());
        }
        fs::write(self.path(path), bytes).unwrap();
    }

    /// A program for this machine, with its C library: glibc by `gcc`, musl by `musl-gcc`.
    pub(crate) fn hosted_program(&self, compiler: &str, path: &str, source: &str, flags: &[&str]) -> PathBuf {
        let (input, output) = (self.folder.path().join("source.c"), self.path(path));
        fs::write(&input, source).unwrap();
        let shell = &self.shell;
        cmd!(shell, "{compiler} -pie -fPIE -w -o {output} {input} {flags...}")
            .quiet()
            .run()
            .unwrap_or_else(|error| panic!("{compiler} links: apt-get install gcc musl-tools: {error}"));
        output
    }

    /// Whether this machine's loader starts the program; else what it says.
    pub(crate) fn starts(&self, program: &Path) -> Result<(), String> {
        let shell = &self.shell;
        let output = cmd!(shell, "{program}").quiet().ignore_status().output().unwrap();
        if output.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// A C++ program for this machine, with all that its compiler links by itself.
    pub(crate) fn cpp_program(&self, path: &str, source: &str) -> PathBuf {
        let (input, output) = (self.folder.path().join("source.cpp"), self.path(path));
        fs::write(&input, source).unwrap();
        let shell = &self.shell;
        cmd!(shell, "g++ -o {output} {input}").quiet().run().expect("g++ runs: apt-get install g++");
        output
    }

    fn link(&self, compiler: &str, path: &str, source: &str, flags: &[&str], libraries: &[&str]) -> String {
        let output = self.path(path);
        fs::create_dir_all(output.parent().unwrap()).unwrap();
        let input = self.folder.path().join("source.c");
        fs::write(&input, source).unwrap();
        let shell = &self.shell;
        cmd!(shell, "{compiler} -nostdlib -fno-builtin -w -O0 -o {output} {input} {flags...} {libraries...}")
            .quiet()
            .run()
            .unwrap_or_else(|error| {
                panic!("{compiler} links {path}: apt-get install gcc gcc-aarch64-linux-gnu: {error}")
            });
        output.to_str().unwrap().to_owned()
    }
}

/// All problems, a sentence a line.
pub(crate) fn sentences(closure: &Closure) -> String {
    closure.problems.iter().map(|problem| closure.sentence(problem) + "\n").collect()
}

/// Where the dynamic entry with `tag` points to; in the files linked here that is the offset in the file too.
pub(crate) fn table(bytes: &[u8], tag: i64) -> usize {
    let inspect::facts::Binary::Elf(elf) = inspect::inspect(bytes).unwrap().binary else { panic!("not ELF") };
    elf.dynamic.iter().find(|entry| entry.tag == tag).unwrap().value as usize
}
