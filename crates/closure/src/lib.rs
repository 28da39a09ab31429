//! The library closure: what `ldd` and `ldd -r` would say inside a root folder, of any architecture, running nothing.
//!
//! ```no_run
//! let root = closure::Sysroot::open(std::path::Path::new("/srv/arm64-root"))?;
//! let bytes = std::fs::read("dist/seaworthyd").unwrap();
//! let program = inspect::elf_linkage(&bytes).unwrap();
//! let closure = closure::resolve(&program, Some("/usr/bin/seaworthyd"), &root);
//! print!("{}", closure::tree(&closure));
//! # Ok::<(), closure::Error>(())
//! ```
//!
//! [`resolve`] follows the loader that the program names, glibc's or musl's: [`resolve_pe`] follows Windows'. What a
//! root holds is hostile: its links are followed inside of it only, and all work has limits that are told when hit.

mod binding;
mod configuration;
mod error;
mod families;
mod limits;
mod musl;
mod object;
mod outcome;
mod pe;
mod search;
mod sysroot;
mod text;
mod tokens;

pub use error::{Error, ErrorKind};
pub use outcome::{
    Binding, Closure, Edge, Interpreter, Library, NotApplied, PassedOver, Problem, Reason, Via, Weight,
};
pub use pe::{PeClosure, PeProblem, PeSupplier, SystemDlls, resolve_pe};
pub use search::resolve;
pub use sysroot::Sysroot;
pub use text::{pe_tree, tree};
