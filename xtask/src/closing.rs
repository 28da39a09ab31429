//! What `--sysroot` adds to `inspect`: the libraries that a file finds there.

use std::path::Path;

use closure::{Closure, PeClosure, Sysroot, SystemDlls};
use inspect::facts::{Binary, Facts};
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::Failure;

/// The closure of one file, as its format has it.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(untagged)]
pub(crate) enum Closed {
    Elf(Box<Closure>),
    Pe(PeClosure),
}

impl Closed {
    /// What the file `name` finds in `sysroot`. Where it stands there itself, `$ORIGIN` is known.
    pub(crate) fn of(name: &str, bytes: &[u8], facts: &Facts, sysroot: &Sysroot) -> Result<Closed, Failure> {
        Ok(match &facts.binary {
            Binary::Elf(_) => {
                let place = sysroot.place(Path::new(name));
                let program = inspect::elf_linkage(bytes)?;
                Closed::Elf(Box::new(closure::resolve(&program, place.as_deref(), sysroot)))
            }
            Binary::Pe(_) => {
                let file_name = name.rsplit(['/', '!']).next().unwrap_or(name);
                let (program, windows) = (inspect::pe_linkage(bytes)?, SystemDlls::windows_10());
                let folder = sysroot.folder_of(Path::new(name));
                Closed::Pe(closure::resolve_pe(file_name, &program, &folder, &windows))
            }
        })
    }

    /// For people: a tree of who needs whom, then what is missing.
    pub(crate) fn text(&self) -> String {
        match self {
            Closed::Elf(closure) => closure::tree(closure),
            Closed::Pe(closure) => closure::pe_tree(closure),
        }
    }
}
